"""Any calls on a mount while each request to the service may go wrong in any way, the process dies now and
then, and others change things too. Once the service is well again both sides are equal and nothing is
pending; where nobody else was at work there is nothing to tell. Where others did no more than write, each
version is in one file once.

The real clients speak with the stand-ins; the workers have their turns on a faked clock, so that hours pass
in moments. SEEDS in the environment (``SEEDS=100-200``) asks for others than the usual few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from random import Random

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox, DropboxSwitches
from cloudsandbox.faults import FaultKind, FaultRule
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.limits import CHUNK_BYTES
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.http import HttpSettings
from mountfs.errors import MountfsError
from mountfs.model.hashing import content_hash
from mountfs.ports import Backend
from tests.contract.boxfar import UNLIMITED, BoxFar
from tests.contract.far import DropboxFar, OneToken, file_at
from tests.doubles.crew import Crew
from tests.doubles.world import World
from tests.fakes.clock import FakeClock
from tests.fakes.ending import ClockedEnding
from tests.model.seeds import asked

USUAL_SEEDS = (2, 5, 109, 129)
"""In the last two, writers replace a version of ours whose commit nobody had heard of."""
ROUNDS = 6
OVERWRITES = 3
BETWEEN_OVERWRITES_S = 0.7
"""A name has settled, the commit is sent, and nobody has looked what came of it yet."""
LARGE_BYTES = 10_000
"""From there on a file of Box has a session of its own, with parts of PART_BYTES."""
PART_BYTES = 4096
LONGEST_PAUSE_S = 400.0
"""After so long no gate is shut, whatever the service had asked for."""
AWAKE_S = 60.0
"""So much of it, its end, the workers are at work: each second of that Box is asked what is new."""
MOST_TURNS = 200_000
QUICK = HttpSettings(read_timeout_s=5.0)

FAULTS = [
    *(
        FaultRule(action=FaultKind.REPLY, status=status)
        for status in (401, 408, 412, 425, 429, 500, 502, 503)
    ),
    *(FaultRule(action=FaultKind.REPLY, status=503, retry_after_s=wait_s) for wait_s in (0.0, 5.0)),
    *(FaultRule(action=FaultKind.REPLY, status=429, retry_after_s=wait_s) for wait_s in (0.0, 86_400.0)),
    FaultRule(action=FaultKind.REPLY, status=500, body={"code": "x"}),
    FaultRule(action=FaultKind.REPLY, status=412, body="<html>"),
    FaultRule(action=FaultKind.CUT_BODY, cut_bytes=3),
    FaultRule(action=FaultKind.DROP_BEFORE),
    FaultRule(action=FaultKind.DROP_REQUEST, cut_bytes=50),
    FaultRule(action=FaultKind.DROP_AFTER),
    FaultRule(action=FaultKind.EXPIRED_TOKEN),
    FaultRule(action=FaultKind.BUSY_NAMESPACE),
    FaultRule(action=FaultKind.SESSION_EXPIRED),
]

Far = DropboxFar | BoxFar


class Others(StrEnum):
    """What other people do in the account meanwhile."""

    NOTHING = "alone"
    WRITE = "with writers"
    """They write new files, and over any that are there."""
    ANYTHING = "with others"
    """They remove and move things, too: what they removed before we heard that it was made is made anew."""


SIZES: dict[type[Far], Sequence[int]] = {
    DropboxFar: (0, 1, 100, 100, 5000, 5000, 10_000, CHUNK_BYTES + 5),
    BoxFar: (0, 1, 100, 5000, LARGE_BYTES + 2000, 3 * LARGE_BYTES),
}


class DrawingClock(FakeClock):
    """Draws its jitter; no two answers of it are the same time."""

    def __init__(self, draw: Random) -> None:
        super().__init__(tick_s=1e-6)
        self._draw = draw

    def jitter(self) -> float:
        return self._draw.random()


class Mount(World):
    """A world whose account is one of a stand-in."""

    def __init__(self, directory: Path, backend: Backend, clock: FakeClock) -> None:
        self._service = backend
        super().__init__(directory, clock=clock)

    def start(self) -> None:
        self.backend = self._service  # type: ignore[assignment]
        super().start()


class Programs:
    """Makes calls, those of others too if there are any; a call may fail while the service is in trouble."""

    def __init__(self, mount: Mount, far: Far, draw: Random, others: Others) -> None:
        self._sizes = SIZES[type(far)]
        self._mount = mount
        self._far = far
        self._draw = draw
        self._calls: list[Callable[[], None]] = [
            *[self._put_new] * 3,
            *[self._put_over] * 2,
            *[self._copy] * 2,
            *[self._move] * 2,
            self._remove,
            self._make_folder,
            self._remove_folder,
            self._move_folder,
            self._read,
        ]
        self.bodies: list[bytes] = []
        """All that was written here."""
        self.bodies_of_others: list[bytes] = []
        if others is Others.WRITE:
            self._calls.append(self._others_put)
        elif others is Others.ANYTHING:
            self._calls += [self._others_put, self._others_remove, self._others_move]

    def call(self) -> None:
        try:
            self._draw.choice(self._calls)()
        except (MountfsError, IndexError):
            pass  # IndexError: there is nothing yet to do it with

    def shown(self) -> dict[str, bool]:
        """All paths of the mount; whether it is a folder."""
        found: dict[str, bool] = {}
        todo = [""]
        while todo:
            above = todo.pop()
            for name in sorted(self._mount.names(above or "/")):
                path = f"{above}/{name}"
                found[path] = self._mount.node(path).is_folder
                todo += [path] if found[path] else []
        return found

    def _files(self) -> list[str]:
        return [path for path, is_folder in self.shown().items() if not is_folder]

    def _folders(self) -> list[str]:
        return [path for path, is_folder in self.shown().items() if is_folder]

    def _new_name(self, of_a_folder: str = "n") -> str:
        return f"{self._draw.choice(['', *self._folders()])}/{of_a_folder}{self._draw.randrange(6)}"

    def _body(self) -> bytes:
        body = self._draw.randbytes(self._draw.choice(self._sizes))
        self.bodies.append(body)
        return body

    def _put_new(self) -> None:
        self._mount.put(self._new_name(), self._body())

    def _put_over(self) -> None:
        self._mount.put(self._draw.choice(self._files()), self._body())

    def _copy(self) -> None:
        body = self._mount.get(self._draw.choice(self._files()))
        self.bodies.append(body)
        self._mount.put(self._new_name(), body)

    def _move(self) -> None:
        self._mount.rename(self._draw.choice(self._files()), self._new_name())

    def _remove(self) -> None:
        self._mount.fs.unlink(self._draw.choice(self._files()))

    def _make_folder(self) -> None:
        self._mount.mkdir(self._new_name("d"))

    def _remove_folder(self) -> None:
        self._mount.fs.rmdir(self._draw.choice(self._folders()))

    def _move_folder(self) -> None:
        self._mount.rename(self._draw.choice(self._folders()), self._new_name("d"))

    def _read(self) -> None:
        self._mount.get(self._draw.choice(self._files()))

    def _others_put(self) -> None:
        path = f"/n{self._draw.randrange(6)}"
        if path not in self._far.paths():
            self._others_write(path)

    def others_put_over(self) -> None:
        """Over every other file that the account has."""
        for path in sorted(self._far.paths()):
            if path.rpartition("/")[2].startswith("n") and self._draw.random() < 0.5:
                self._others_write(path)

    def _others_write(self, path: str) -> None:
        self.bodies_of_others.append(self._draw.randbytes(20))
        self._far.write(path, self.bodies_of_others[-1])

    def _others_remove(self) -> None:
        self._far.remove(self._draw.choice(sorted(self._far.paths())))

    def _others_move(self) -> None:
        paths, target = sorted(self._far.paths()), f"/n{self._draw.randrange(6)}"
        if target not in paths:
            self._far.move(self._draw.choice(paths), target)


def far_side(opened: ExitStack, service: str) -> Far:
    if service == "box":
        return BoxFar(opened.enter_context(BoxSandbox(token="sandbox")))
    # Its jobs run on the machine's clock, on which the minutes that a lost one is waited for are moments.
    switches = DropboxSwitches(job_duration_s=0.0)
    return DropboxFar(opened.enter_context(DropboxSandbox(token="sandbox", switches=switches)))


def connected(far: Far, clock: FakeClock) -> Backend:
    """The real client, whose waits pass on the test's clock."""
    ending = ClockedEnding(clock)
    if isinstance(far, BoxFar):
        far.sandbox.set_switches(part_size_bytes=PART_BYTES)
        box = BoxSettings(
            api_url=far.sandbox.api_url,
            upload_url=far.sandbox.upload_url,
            uploads_per_minute=UNLIMITED,
            calls_per_minute=UNLIMITED,
            small_file_bytes=LARGE_BYTES,
        )
        return BoxBackend(box, OneToken("sandbox"), clock, QUICK, ending)
    url = far.sandbox.base_url
    dropbox = DropboxSettings(api_url=url, content_url=url, notify_url=url)
    backend = DropboxBackend(dropbox, OneToken("sandbox"), clock, QUICK, ending)
    # Its long polls would wait on the machine's clock.
    backend.wait_for_changes = lambda cursor, timeout_s: True  # type: ignore[method-assign]
    return backend


def versions(backend: Backend, paths: Sequence[str]) -> Iterator[str | None]:
    """The hashes of all versions of the files at *paths*."""
    for path in paths:
        head = file_at(backend, path)
        history = (head, *backend.revisions_before(head, None))
        for number, file in enumerate(history[:-1]):
            # At Dropbox a move makes a revision of the same bytes, and a commit of the same bytes none.
            is_own = file.content_hash != history[number + 1].content_hash
            if is_own or not isinstance(backend, DropboxBackend):
                yield file.content_hash
        yield history[-1].content_hash


@pytest.mark.parametrize("others", Others)
@pytest.mark.parametrize("service", ["dropbox", "box"])
@pytest.mark.parametrize("seed", asked(USUAL_SEEDS))
def test_both_sides_are_equal_once_the_trouble_is_over(
    tmp_path: Path, service: str, others: Others, seed: int
) -> None:
    draw = Random(f"{service} {others} {seed}")
    clock = DrawingClock(draw)
    with ExitStack() as opened:
        far = opened.enter_context(closing(far_side(opened, service)))
        backend = opened.enter_context(closing(connected(far, clock)))
        mount = opened.enter_context(closing(Mount(tmp_path, backend, clock)))
        programs = Programs(mount, far, draw, others)
        crew = Crew(mount)

        def work(seconds: float) -> None:
            begun_s = clock.now_s()
            most_s = 2.0 * seconds + 1000.0
            crew.work(lambda: clock.now_s() - begun_s > seconds, most_s=most_s, most_turns=MOST_TURNS)

        def pause() -> None:
            mount.advance(LONGEST_PAUSE_S - AWAKE_S)
            work(AWAKE_S)

        for _ in range(ROUNDS):
            for _ in range(draw.randrange(1, 6)):
                programs.call()
            for _ in range(OVERWRITES if others is Others.WRITE else 0):
                work(BETWEEN_OVERWRITES_S)
                programs.others_put_over()
            work(draw.choice((1.0, 5.0, 30.0, 120.0)))
            if draw.random() < 0.2:
                mount.restart()
                crew = Crew(mount)
            chosen, share = draw.sample(FAULTS, draw.randint(2, 8)), draw.choice((0.05, 0.2, 0.4))
            if others is Others.WRITE:
                chosen = [FaultRule(action=FaultKind.DROP_AFTER), *chosen]
            far.sandbox.set_faults(
                [replace(each, probability=share, seed=draw.randrange(10**6)) for each in chosen]
            )
        far.sandbox.set_faults([])
        pause()
        crew.work(lambda: mount.pending() == [], most_s=2000.0, most_turns=MOST_TURNS)
        pause()  # what others did is heard of
        shown = programs.shown()
        assert set(shown) == far.paths()
        for path, is_folder in shown.items():
            assert is_folder or mount.get(path) == far.read(path)
        assert others is not Others.NOTHING or mount.notices() == []
        if others is not Others.ANYTHING:
            arrived = Counter(
                versions(far.backend, [path for path, is_folder in shown.items() if not is_folder])
            )
            # Of what others wrote a version may arrive more often: where they write over a file while the
            # service copies it for us, their version is copied, found to be another one, and replaced.
            written = Counter(
                content_hash(backend.limits.hash_kind, body)
                for body in programs.bodies
                if len(body) > 1 and body not in programs.bodies_of_others
            )
            assert [each for each, times in written.items() if arrived[each] > times] == []
