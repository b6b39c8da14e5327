"""A writer killed at every point of its work, then recovery, then what was promised."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mountfs.journal.journal import Journal
from mountfs.journal.recovery import TORN, Recovery, recover
from mountfs.model.change import FINAL_STATES, Change, ChangeKind, ChangeState
from mountfs.model.hashing import HashKind
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import Quota
from mountfs.spool.spool import Spool
from tests.crash.writer import FILES, JOURNAL, LEDGER, version
from tests.fakes.clock import FakeClock

REPOSITORY = Path(__file__).parents[2]
WHOLE = (ChangeState.SEALED, ChangeState.UPLOADED, ChangeState.COMMITTING)


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
    """What each killed writer left, by the point it was killed at."""
    directory = memory / "killed"
    directory.mkdir()
    subprocess.run(_writer(directory), cwd=REPOSITORY, check=True, timeout=120)
    return sorted(directory.iterdir())


class Scene:
    """A dead writer's directory, opened by the next run."""

    def __init__(self, directory: Path) -> None:
        self.journal = Journal(directory / JOURNAL, FakeClock())
        self.spool = Spool(directory / "spool", RealDisk(), Quota(reserve_bytes=0))
        # The dead writer's own start would have noted it.
        if self.journal.fact("boot_id") is None:
            self.journal.set_fact("boot_id", "boot-1")
        ledger = directory / LEDGER
        lines = ledger.read_text().splitlines() if ledger.exists() else []
        self.promises: dict[int, list[tuple[str, int]]] = {}
        for line in lines:
            word, number, which = line.split()
            self.promises.setdefault(int(number), []).append((word, int(which)))

    def recover(self) -> Recovery:
        return recover(
            self.journal,
            self.spool,
            boot_id="boot-1",
            host="box",
            clock=FakeClock(),
            hash_kind=HashKind.DROPBOX,
        )

    def rows(self, number: int) -> list[Change]:
        return [row for row in self.journal.rows() if row.path.components[0] == str(number)]

    def bytes_of(self, row: Change) -> bytes:
        assert row.spool is not None
        return self.spool.read(row.spool, 0, row.size_bytes + 1)


@contextmanager
def _opened(directory: Path) -> Iterator[Scene]:
    scene = Scene(directory)
    try:
        yield scene
    finally:
        scene.spool.close()
        scene.journal.close()


def _check_promises(scene: Scene) -> None:
    """S-CLOSE: what was closed is there whole. S-ATOMIC: nothing torn may be published."""
    for number, notes in scene.promises.items():
        rows = scene.rows(number)
        assert [row.kind for row in rows if row.kind is ChangeKind.MKDIR] == [ChangeKind.MKDIR]
        puts = [row for row in rows if row.kind is ChangeKind.PUT and row.state not in FINAL_STATES]
        word, which = notes[-1]
        if word == "closed":
            [row] = puts
            assert row.state in WHOLE
            assert scene.bytes_of(row) == version(number, which)
        elif word == "reopening":
            # Either closed version, whole, or a recovered copy; which one, is looked at below.
            assert len(puts) == 1
    for row in scene.journal.live():
        assert row.state is not ChangeState.OPEN
        if row.kind is ChangeKind.PUT and row.state in WHOLE:
            number = int(row.path.components[0])
            assert row.path.name == "a.bin"
            assert scene.bytes_of(row) in (version(number, 1), version(number, 2))
        elif row.kind is ChangeKind.PUT:
            assert (row.state, row.error) == (ChangeState.FAILED, TORN)
            assert re.fullmatch(r"a \(recovered copy box [\d-]+\)\.bin", row.path.name)
            assert len(scene.bytes_of(row)) == row.size_bytes
            assert scene.journal.parts(row.id) == ()


def _check_order(scene: Scene) -> None:
    """Nothing of the middle is missing, and no file lies about that no row names."""
    rows = scene.journal.rows()
    assert [row.seq for row in rows] == sorted(row.seq for row in rows)
    assert set(scene.spool.names()) <= {row.spool for row in rows}
    for row in rows:
        if row.kind is ChangeKind.PUT and row.state not in FINAL_STATES:
            assert row.spool in scene.spool.names()


def test_at_whatever_point_a_writer_is_killed_its_closed_files_are_whole(scenes: list[Path]) -> None:
    repaired: set[str] = set()
    for directory in scenes:
        with _opened(directory) as scene:
            done = scene.recover()
            _check_promises(scene)
            _check_order(scene)
            again = scene.recover()
            assert not (again.repairs or again.strays), directory.name
        with _opened(directory) as scene:
            _check_promises(scene)
        repaired |= {type(repair).__name__ for repair in done.repairs}
        repaired |= {"stray"} if done.strays else set()
    # The points are close enough to meet every state a writer can leave.
    assert len(scenes) > 100
    assert repaired == {"Drop", "SetAside", "Seal", "stray"}
    with _opened(scenes[-1]) as scene:
        assert len(scene.promises) == FILES


@pytest.mark.parametrize("lines", [1, 5, 20, 60, 150])
def test_killed_at_any_moment_its_closed_files_are_whole(tmp_path: Path, lines: int) -> None:
    ledger = tmp_path / LEDGER
    with subprocess.Popen(_writer(tmp_path, "--endless"), cwd=REPOSITORY) as process:
        deadline_s = time.monotonic() + 60
        while not ledger.exists() or ledger.read_bytes().count(b"\n") < lines:
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.001)
        process.kill()
    with _opened(tmp_path) as scene:
        scene.recover()
        _check_promises(scene)
        _check_order(scene)
        assert not scene.recover().repairs
