"""A writer killed at every point of its work, then the next process, then what was promised."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mountfs.tree.doubt import LOST, TORN
from tests.crash.writer import FILES, KILLED, LEDGER, nothing, version, watched_world
from tests.doubles.world import HOST
from tests.fakes.clock import EPOCH_NS, FakeClock
from tests.waiting import until

REPOSITORY = Path(__file__).parents[2]
DAY_NS = 24 * 3600 * 10**9
COPY = re.compile(rf"/\d+/a \(recovered copy {HOST} [\d-]+\)\.bin")


def _writer(directory: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.crash.writer", str(directory), *options]


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A directory in memory where there is one: SQLite syncs when it opens and closes, hundreds of times
    here, and what a process leaves when it dies does not depend on it."""
    parent = Path("/dev/shm")
    with TemporaryDirectory(prefix="mountfs-", dir=parent if os.access(parent, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def scenes(memory: Path) -> list[Path]:
    """What a writer leaves that is killed, by the point it is killed at."""
    subprocess.run(_writer(memory), cwd=REPOSITORY, check=True, timeout=240)
    return sorted((memory / KILLED).iterdir())


class Scene:
    """A dead writer's directory, taken up by the next process."""

    def __init__(self, directory: Path) -> None:
        self.world = watched_world(directory, nothing, FakeClock(wall_ns=EPOCH_NS + DAY_NS))
        ledger = directory / LEDGER
        lines = ledger.read_text().splitlines() if ledger.exists() else []
        self.promises: dict[int, list[tuple[str, int]]] = {}
        for line in lines:
            word, number, which = line.split()
            self.promises.setdefault(int(number), []).append((word, int(which)))

    def closed(self, number: int) -> list[int]:
        """The versions of a file that close() had succeeded for, oldest first."""
        return [which for word, which in self.promises[number] if word == "closed"]

    def notices(self) -> list[tuple[str, str]]:
        return [(notice.path, notice.text) for notice in self.world.core.tree.store.notices.all()]

    def found(self) -> set[str]:
        """What there was to be made good."""
        core = self.world.core
        words = [node.state for node in core.tree.dirty.values()]
        facts = {
            "recovered copy": any(COPY.fullmatch(path) for path in self.world.tree()),
            "file that nothing names": bool(core.recovery.strays),
            "version that was closed": any(state.content is not None for state in words),
            "order without an outcome": bool(core.committer.current),
            "session to be ended": core.tree.store.orphans.count() > 0,
            "file to be swept": bool(core.tree.freed),
        }
        return {fact for fact, is_so in facts.items() if is_so}


@contextmanager
def _opened(directory: Path) -> Iterator[Scene]:
    scene = Scene(directory)
    try:
        yield scene
    finally:
        scene.world.close()


def _check_promises(scene: Scene) -> None:
    """S-CLOSE: what was closed is there whole. S-ATOMIC: nothing torn may be published."""
    world = scene.world
    shown = world.tree()
    for number, notes in scene.promises.items():
        assert shown[f"/{number}"] is None
        files = [path for path in shown if path.startswith(f"/{number}/")]
        if notes[-1][0] in ("closed", "committing"):
            assert files == [f"/{number}/a.bin"]
            assert shown[files[0]] == version(number, scene.closed(number)[-1])
        elif notes[-1][0] == "reopening":
            # Either closed version, whole, or a recovered copy of what was being written, if it was anything.
            is_lost = (f"/{number}/a.bin", LOST) in scene.notices()
            assert len(files) == (0 if is_lost else 1)
    for path, body in shown.items():
        if body is None:
            continue
        number = int(path.split("/")[1])
        state = world.state(path)
        if path.endswith("/a.bin"):
            assert body in (version(number, 1), version(number, 2))
            assert state.refusal is None
        else:
            assert COPY.fullmatch(path)
            assert state.refusal is not None
            assert state.refusal.reason == TORN
            assert state.content is not None
            assert len(body) == state.content.size_bytes


def _check_order(scene: Scene) -> None:
    """No file lies about that nothing names, and none is missing that something names."""
    core = scene.world.core
    named = {content.spool for content, _, _ in core.tree.store.contents()}
    assert set(core.spool.names()) <= named
    for node in core.tree.dirty.values():
        for content in (node.state.content, node.state.draft):
            assert content is None or content.spool in core.spool.names()


def _check_end(scene: Scene) -> None:
    """All that is whole arrives, each version once, and nothing else does."""
    world = scene.world
    world.settle()
    expected = {path: body for path, body in world.tree().items() if not COPY.fullmatch(path)}
    assert world.remote() == expected
    assert {word for _, word in world.pending()} <= {"failed"}
    for number in scene.promises:
        versions = len(scene.closed(number))
        # A version that was being written when the one before was closed may have been closed in the end.
        assert world.revisions_of(f"/{number}/a.bin") <= max(1, versions)
    core = world.core
    held = [node.state.content for node in core.tree.dirty.values() if node.state.content is not None]
    assert sorted(core.spool.names()) == sorted(content.spool for content in held)
    # A copy goes on with what was sent of it. Else only a session whose opening was never answered is left.
    known = {content.session for content in held}
    unknown = [session for token, session in world.account.sessions.items() if token not in known]
    assert len(unknown) <= 1
    assert not any(session.parts for session in unknown)


def test_at_whatever_point_a_writer_is_killed_its_closed_files_are_whole(scenes: list[Path]) -> None:
    found: set[str] = set()
    for directory in scenes:
        with _opened(directory) as scene:
            found |= scene.found()
            _check_promises(scene)
            _check_order(scene)
        with _opened(directory) as scene:
            assert scene.world.core.recovery.repairs == 0, directory.name
            assert scene.world.core.recovery.strays == (), directory.name
            _check_promises(scene)
            _check_end(scene)
            _check_promises(scene)
    # The points are close enough to meet every state a writer can leave.
    assert len(scenes) > 100
    # Whose the bytes are that no row names is known where the disk keeps attributes: they become copies.
    assert found - {"file that nothing names"} == {
        "recovered copy",
        "version that was closed",
        "order without an outcome",
        "session to be ended",
        "file to be swept",
    }
    with _opened(scenes[-1]) as scene:
        assert len(scene.promises) == FILES


@pytest.mark.parametrize("lines", [1, 5, 20, 60, 150])
def test_killed_at_any_moment_its_closed_files_are_whole(tmp_path: Path, lines: int) -> None:
    ledger = tmp_path / LEDGER
    with subprocess.Popen(_writer(tmp_path, "--endless"), cwd=REPOSITORY) as process:

        def is_far_enough() -> bool:
            assert process.poll() is None
            return ledger.exists() and ledger.read_bytes().count(b"\n") >= lines

        try:
            until(is_far_enough, f"{lines} lines are written")
        finally:
            process.kill()  # or it would write on for ever, and be waited for
    with _opened(tmp_path) as scene:
        _check_promises(scene)
        _check_order(scene)
    with _opened(tmp_path) as scene:
        assert scene.world.core.recovery.repairs == 0
        _check_promises(scene)
        _check_end(scene)
