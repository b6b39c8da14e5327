"""Power lost at each step of a run: what a disk may have kept, and what must be left of the promises."""

from __future__ import annotations

import copy
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from threading import Condition, RLock
from unittest import mock

from daemon.core import Foundation
from daemon.upkeep import filling
from mountfs.attributes import Promise
from mountfs.files import copyup
from mountfs.tree.doubt import LOST
from mountfs.tree.strays import set_aside_directory
from tests.doubles.memory_account import MEMORY_LIMITS, MemoryAccount
from tests.doubles.world import World
from tests.fakes.forgetfuldisk import ForgetfulDisk, Trace

LARGE_BYTES = 150_000
"""Three parts; few bytes, since each moment keeps all of them."""
LIMITS = replace(MEMORY_LIMITS, session_min_bytes=65_536, chunk_bytes=65_536)

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
"""Of a write-ahead log, and of each page in it (https://sqlite.org/fileformat2.html#walformat)."""

SETTINGS = {"small_bytes": 10_000, "cache_bytes": 0}
"""A large remote file is edited without being fetched, and nothing but the service has what is not filled."""

Versions = dict[str, tuple[bytes | None, ...]]
"""Path -> what may stand there, oldest first: what was promised last, then what came after; None: nothing."""


def frames(log: bytes) -> list[int]:
    """Where the frames of the log's present round end, from the end of its header on."""
    if len(log) < HEADER_BYTES:
        return [0]
    (page_bytes,) = struct.unpack_from(">I", log, 8)
    salt = log[16:24]
    ends = [HEADER_BYTES]
    while log[ends[-1] + 8 : ends[-1] + 16] == salt:
        ends.append(ends[-1] + FRAME_HEADER_BYTES + page_bytes)
    return ends


def commits(log: bytes) -> list[tuple[int, int]]:
    """Where the last frame of each transaction, which says how large the database is, begins and ends."""
    return [(start, end) for start, end in pairwise(frames(log)) if any(log[start + 4 : start + 8])]


@dataclass(frozen=True, slots=True)
class Moment:
    """A machine as it is when its power goes: what its disk may have, and what its user was promised."""

    name: str
    database: bytes
    log: bytes
    synced_bytes: int
    """So much of the log is certain."""
    spool: dict[str, Trace]
    account: MemoryAccount
    versions: Versions
    ever: Versions
    """Every whole version there was, by path."""
    either: tuple[tuple[tuple[str, bytes | None], ...], ...]
    kept: tuple[bytes, ...]

    def cuts(self) -> list[int]:
        """Where the log may end: behind what is certain, and behind and in the last frame of each further
        transaction. SQLite takes no other frame of a transaction for anything without that one."""
        certain = [end for end in frames(self.log) if end >= self.synced_bytes][:1]
        ends = [(start, end) for start, end in commits(self.log) if end > certain[0]]
        return certain + [cut for start, end in ends for cut in ((start + end) // 2, end)]


@dataclass(slots=True)
class Promises:
    """What may stand where after a power loss, as the calls so far say."""

    versions: Versions = field(default_factory=dict)
    ever: Versions = field(default_factory=dict)
    either: list[list[tuple[str, bytes | None]]] = field(default_factory=list)
    """Of a synced file that was renamed: where it may stand, or what became of that. One of them is so."""
    kept: list[bytes] = field(default_factory=list)
    """Synced bytes of files that are still open: somewhere they must be."""

    def now(self, path: str) -> bytes | None:
        return self.versions.get(path, (None,))[-1]

    def becomes(self, path: str, body: bytes | None) -> None:
        for group in self.either:
            if any(path == name for name, _ in group):
                group.append((path, body))
        self.versions[path] = (*self.versions.get(path, (None,)), body)
        self.ever[path] = (*self.ever.get(path, ()), body)

    def renamed(self, source: str, target: str) -> None:
        body = self.now(source)
        synced = len(self.versions[source]) == 1
        self.becomes(target, body)
        self.versions[source] = (*self.versions[source], None)
        if synced:
            self.either.append([(source, body), (target, body)])

    def synced(self, path: str) -> None:
        """What stands there now survives."""
        self.versions[path] = self.versions[path][-1:]


class Run:
    """A world that remembers each moment at which its power may go."""

    def __init__(self, folder: Path) -> None:
        self.moments: list[Moment] = []
        self.promises = Promises()
        self.disk = WatchedDisk(self._pass)
        self._folder = folder
        self._world: World | None = None
        self._bodies = Random(7)
        self.world = self._world = World(
            folder,
            MemoryAccount(LIMITS),
            disk=self.disk,
            on_laid=self._watch,
            limits=LIMITS,
            settings=SETTINGS,
        )
        self.strict = self.world.file_system(close=Promise.FSYNC)

    def body(self, size_bytes: int) -> bytes:
        return self._bodies.randbytes(size_bytes)

    # What programs do

    def put(self, path: str, body: bytes) -> None:
        """Written and closed; nobody asks whether it is on the disk."""
        self.promises.becomes(path, body)
        self.world.put(path, body)

    def put_synced(self, path: str, body: bytes) -> None:
        self.promises.becomes(path, body)
        number = self.world.begin(path, body)
        self.world.fs.fsync(number)
        self.world.close_file(number)
        self.world.fs.fsyncdir(self.world.fs.opendir("/"))
        self.promises.synced(path)

    def put_strictly(self, path: str, body: bytes) -> None:
        """On a mount with close=fsync."""
        self.promises.becomes(path, body)
        number = self.strict.create(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC).number
        self.strict.write(number, 0, body)
        self.strict.flush(number)
        self.promises.synced(path)
        self.strict.release(number)

    def theirs(self, path: str, body: bytes) -> None:
        """Somebody else's, which is certain."""
        self.world.account.write(path, body)
        self.promises.versions[path] = (None, body)
        self.world.follow()
        self.promises.versions[path] = (body,)

    def edit(self, path: str, at: int, data: bytes, *, is_synced: bool = False) -> None:
        """Bytes in the middle of a file; *is_synced*: by its program, before it closes it."""
        before = self.promises.now(path)
        assert before is not None
        self.promises.becomes(path, before[:at] + data + before[at + len(data) :])
        number = self.world.open(path, os.O_WRONLY)
        self.world.fs.write(number, at, data)
        if is_synced:
            self.world.fs.flush(number)
            self.world.fs.fsync(number)
            self.promises.synced(path)
        self.world.close_file(number)

    def append(self, path: str, data: bytes, *, is_synced: bool = False) -> None:
        before = self.promises.now(path)
        assert before is not None
        self.edit(path, len(before), data, is_synced=is_synced)

    def rename(self, source: str, target: str) -> None:
        self.promises.renamed(source, target)
        self.world.rename(source, target)

    def remove(self, path: str) -> None:
        self.promises.becomes(path, None)
        self.world.fs.unlink(path)

    def sync_all(self) -> None:
        """What the worker that syncs does once a second."""
        self.world.advance(1.0)
        self.world.core.durability.step(self.world.clock.now_s())
        for path in self.promises.versions:
            self.promises.synced(path)
        self.promises.either.clear()

    # Moments

    def _watch(self, foundation: Foundation) -> None:
        store = foundation.tree.store
        end = store.end

        def ended() -> None:
            end()
            self._pass("transaction")

        store.end = ended  # type: ignore[method-assign]

    def _pass(self, name: str) -> None:
        if self._world is None:
            return  # the first start has nothing to lose
        places = self._world.places
        path = Path(f"{places.store}-wal")
        log, synced = path.read_bytes(), self.disk.synced(path)
        # A log that starts over overwrites what was synced of its last round: that is in the database.
        is_same_round = synced[16:24] == log[16:24]
        self.moments.append(
            Moment(
                f"{len(self.moments)} {name}",
                places.store.read_bytes(),
                log,
                frames(synced)[-1] if is_same_round else 0,
                self.disk.traces(places.spool),
                cloned(self._world.account),
                dict(self.promises.versions),
                dict(self.promises.ever),
                tuple(tuple(group) for group in self.promises.either),
                tuple(self.promises.kept),
            )
        )


class WatchedDisk(ForgetfulDisk):
    """Tells before and after each sync."""

    def __init__(self, on_sync: Callable[[str], None]) -> None:
        super().__init__()
        self._on_sync = on_sync

    def fdatasync(self, fd: int) -> None:
        self._on_sync("before fdatasync")
        super().fdatasync(fd)
        self._on_sync("after fdatasync")

    def sync_directory(self, path: str) -> None:
        self._on_sync("before sync_directory")
        super().sync_directory(path)
        self._on_sync("after sync_directory")


def cloned(account: MemoryAccount) -> MemoryAccount:
    """The account as it is now, for a future of its own."""
    memo: dict[int, object] = {id(account.changed): Condition(RLock()), id(account.limits): account.limits}
    # Orders are values, though they hold on to what made them.
    memo |= {id(orders): orders for orders in account.submits}
    memo |= {id(job.orders): job.orders for job in account._jobs.values()}
    return copy.deepcopy(account, memo)


def run(folder: Path) -> list[Moment]:
    """All moments of a scenario in which something is always pending: one file is open from its beginning."""
    here = Run(folder)
    world = here.world
    opened = world.begin("/open", here.body(3000))
    world.fs.fsync(opened)
    here.promises.versions["/open"] = (None,)
    here.promises.kept.append(world.get("/open"))
    here.put("/small", here.body(1000))
    here.put("/empty", b"")
    here.put_synced("/synced", here.body(1100))
    here.put_strictly("/strict", here.body(1200))
    here.put("/saved", here.body(1300))
    here.put_synced("/save.tmp", here.body(1400))
    here.rename("/save.tmp", "/saved")
    here.put("/large", here.body(LARGE_BYTES))
    world.core.uploader.step(world.clock.now_s())
    here.put_synced("/large synced", here.body(LARGE_BYTES))
    here.remove("/small")
    here.put_synced("/over", here.body(1500))
    here.put("/over", here.body(1600))
    here.sync_all()
    world.core.tree.store.checkpoint("PASSIVE")
    here.put("/over", here.body(1700))
    here.put("/late", here.body(1800))
    world.upload_all()
    world.commit_steps(2)
    here.put("/new", here.body(1900))
    world.settle()
    here.put("/over", here.body(2000))
    here.put_synced("/strict", here.body(2100))
    here.put("/strict", here.body(2200))
    here.put("/save.tmp", here.body(2300))
    here.rename("/save.tmp", "/saved")
    here.rename("/large", "/film")
    here.remove("/synced")
    here.put("/large synced", here.body(LARGE_BYTES + 1))
    world.settle()
    here.sync_all()
    world.close_file(opened)
    world.close()
    return here.moments


@mock.patch.multiple(filling, FILL_BYTES=60_000, SKIPPED_BYTES=10)
def run_with_gaps(folder: Path) -> list[Moment]:
    """All moments of another one: files of the service are edited, filled, and sent."""
    here = Run(folder)
    world, filler = here.world, here.world.core.filler
    new = world.begin("/new", here.body(100))
    here.promises.versions["/new"] = (None,)
    for name in ("/open", "/edited", "/twice", "/cut"):
        here.theirs(name, here.body(LARGE_BYTES))
    opened = world.open("/open", os.O_RDWR)
    world.fs.write(opened, 70_000, here.body(100))
    world.fs.write(opened, LARGE_BYTES, here.body(10))
    synced = world.fs.read(opened, 0, LARGE_BYTES + 10)
    world.fs.fsync(opened)
    here.promises.kept.append(synced)
    here.edit("/edited", 50_000, here.body(20_000))
    here.edit("/twice", 0, here.body(1000), is_synced=True)
    for _ in range(3):
        filler.step(world.clock.now_s())
    here.edit("/twice", 90_000, here.body(1000))
    filler.step(world.clock.now_s())
    here.sync_all()
    world.upload_all()
    here.edit("/cut", 60_000, here.body(5), is_synced=True)
    world.commit_steps(2)
    world.settle()
    here.sync_all()
    here.edit("/edited", 0, b"once more")
    here.edit("/cut", 7, b"once more", is_synced=True)
    world.settle()
    here.sync_all()
    world.close_file(opened)
    here.promises.becomes("/new", world.get("/new"))
    world.close_file(new)
    world.close()
    return here.moments


@mock.patch.object(copyup, "EXTENDED_FROM_BYTES", 1000)
def run_with_appends(folder: Path) -> list[Moment]:
    """All moments of a third one: pending files grow, behind bytes that are synced, sent, or neither."""
    here = Run(folder)
    world = here.world
    opened = world.begin("/open", here.body(3000))
    world.fs.fsync(opened)
    here.promises.versions["/open"] = (None,)
    here.promises.kept.append(world.get("/open"))
    here.put_synced("/synced", here.body(2000))
    here.put("/late", here.body(2100))
    held = open_between(here, "/held")
    here.append("/synced", here.body(100))
    here.append("/late", here.body(110), is_synced=True)
    here.append("/late", here.body(120))
    here.sync_all()
    here.append("/synced", here.body(130))
    world.upload_all()
    world.commit_steps(1)
    here.append("/synced", here.body(140), is_synced=True)
    here.append("/late", here.body(150))
    here.edit("/late", 10, here.body(20))
    here.append("/synced", here.body(160))
    here.rename("/synced", "/renamed")
    here.append("/renamed", here.body(170), is_synced=True)
    here.remove("/late")
    world.settle()
    here.sync_all()
    world.close_file(opened)
    here.promises.becomes("/held", world.get("/held"))
    world.close_file(held)
    world.close()
    return here.moments


def open_between(here: Run, path: str) -> int:
    """A file that is open: bytes were added and synced, and then some were written that the version before
    has in the same file. They are the same as were there, so what was synced is somewhere at each moment."""
    here.put_synced(path, here.body(2000))
    number = here.world.open(path, os.O_WRONLY)
    here.world.fs.write(number, 2000, here.body(50))
    here.world.fs.fsync(number)
    synced = here.world.get(path)
    here.promises.kept.append(synced)
    here.world.fs.write(number, 10, synced[10:30])
    return number


def start_after(moment: Moment, cut: int, folder: Path, draw: Random, *, has_labels: bool) -> World:
    """The next start, on what the disk kept: the log up to *cut*, what was synced, of the rest anything."""
    spool = folder / "spool"
    spool.mkdir(parents=True)
    (folder / "journal.db").write_bytes(moment.database)
    (folder / "journal.db-wal").write_bytes(moment.log[:cut])
    disk = ForgetfulDisk()
    for name, trace in sorted(moment.spool.items(), key=lambda each: (each[1].labels, each[1].written)):
        if trace.is_named or draw.random() < 0.5:
            (spool / name).write_bytes(trace.drawn(draw))
            if trace.labels and has_labels:
                disk.set_label(spool / name, draw.choice(trace.labels[-2:]))
    return World(
        folder, cloned(moment.account), disk=disk, boot_id="boot-2", limits=LIMITS, settings=SETTINGS
    )


def check(moment: Moment, after: World) -> None:
    """Raises AssertionError unless what was promised at *moment* is there, and nothing torn is shown."""
    versions = moment.versions
    world = after
    assert moment.spool, "nothing was pending"
    _check_shown(versions, moment, world, is_settled=False)
    world.restart()
    assert (world.core.recovery.repairs, world.core.recovery.strays) == (0, ()), "repaired twice"
    world.follow()
    world.settle()
    # A version the service has is one that nothing takes back.
    known = {
        path: states[states.index(body) :]
        for path, states in versions.items()
        if (body := moment.account.files().get(path)) is not None and body in states
    }
    shown = _check_shown(versions | known, moment, world, is_settled=True)
    ours = {path: body for path, body in shown.items() if "(recovered copy " not in path}
    assert world.account.files() == ours


def _is_at_service(world: World, path: str) -> bool:
    """Whether the service has the bytes of a version that is not committed: until then it cannot be read."""
    state = world.state(path)
    return state.flight is not None or (state.content is not None and state.content.is_uploaded)


def _check_shown(versions: Versions, moment: Moment, world: World, *, is_settled: bool) -> dict[str, bytes]:
    shown = _readable(world)
    for path, states in versions.items():
        body = shown.get(path)
        if body is None and not is_settled and path[1:] in world.names() and _is_at_service(world, path):
            continue
        assert body in states, f"{path} is {body and len(body)} of {[each and len(each) for each in states]}"
    for group in moment.either if is_settled else ():
        assert any(shown.get(path) == body for path, body in group), f"{group[0][0]} is nowhere"
    notices = world.notices()
    ever = {body for states in moment.ever.values() for body in states}
    for path in shown.keys() - versions.keys():
        is_copy = "(conflicted copy " in path and shown[path] in ever
        assert is_copy or "(recovered copy " in path, f"{path} came from nowhere"
        assert any(path[1:] in notice for notice in notices), f"{path} is not told"
    aside = set_aside_directory(world.places.spool)
    bodies = [file.read_bytes() for file in aside.iterdir()] if aside.exists() else []
    assert not bodies or any(str(aside) in notice for notice in notices)
    for body in moment.kept:
        assert body in [*shown.values(), *bodies], "synced bytes of an open file are lost"
    return shown


def _readable(world: World) -> dict[str, bytes]:
    """What is shown, but for files whose bytes only the service has, and those that are told to be lost."""
    found: dict[str, bytes] = {}
    for name in world.names():
        try:
            found[f"/{name}"] = world.get(f"/{name}")
        except FileNotFoundError:
            state = world.state(f"/{name}")
            is_lost = state.refusal is not None and state.refusal.reason == LOST
            assert is_lost or _is_at_service(world, f"/{name}"), f"/{name} cannot be read"
    return found
