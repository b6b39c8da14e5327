"""The state directory's disk is full or fails: what is pending gets through, and writers are told."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.options import MountOptions
from daemon.config.settings import DropboxRemote, RemoteSpec
from daemon.process import assembly
from daemon.process.assembly import assemble
from daemon.process.connection import Connection
from daemon.process.run import MountPlan
from mountfs.attributes import HardLinks
from mountfs.errors import NoSpace
from mountfs.model.path import ROOT
from mountfs.ports import BackendLimits
from mountfs.reading.limits import LEAST_BYTES
from mountfs.spool.ballast import Ballast
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import RESERVE_BYTES, Quota
from mountfs.tree.database import StoreDiskFull
from tests.doubles.crew import Crew
from tests.doubles.memory import MemoryBackend
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS, MemoryAccount
from tests.doubles.world import World
from tests.fakes.smalldisk import KINDS, MIB, SmallDisk, small_disk

HELD = {"ballast_bytes": 4 * MIB}
LIMITS = {"batches": MEMORY_LIMITS, "side-by-side": SIDE_BY_SIDE_LIMITS}


@pytest.fixture(params=KINDS)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(request.param, tmp_path) as disk:
        yield disk


def world_on(small: SmallDisk, limits: BackendLimits = MEMORY_LIMITS) -> World:
    world = World(small.directory, limits=limits, disk=small.disk, settings=HELD)
    small.watch(world.core.tree.store)
    return world


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_what_is_pending_gets_through_though_others_filled_the_disk(
    small: SmallDisk, limits: BackendLimits
) -> None:
    world = world_on(small, limits)
    bodies = {f"/f{number}": bytes([number]) * 20_000 for number in range(30)}
    for path, body in bodies.items():
        world.put(path, body)
    small.fill()
    Crew(world).work(lambda: world.pending() == [])
    assert world.account.files() == bodies
    assert {world.revisions_of(path) for path in bodies} == {1}
    sent = world.memory.calls().get("append_pack", 0) + world.memory.calls().get("upload_whole", 0)
    assert sent <= 3
    world.close()


def test_a_full_disk_refuses_what_is_written_and_takes_it_once_there_is_room(small: SmallDisk) -> None:
    world = world_on(small)
    world.put("/before", b"b")
    small.fill()
    with pytest.raises(NoSpace):
        for number in range(2000):
            world.put(f"/f{number}", b"x" * 5000)
    small.empty()
    world.put("/after", b"a")
    Crew(world).work(lambda: world.pending() == [] and world.core.ballast.hold())
    assert {"/before", "/after"} <= world.account.files().keys()
    assert world.core.ballast.release()
    world.close()


def test_what_a_refused_write_left_on_the_disk_is_no_part_of_the_file(small: SmallDisk) -> None:
    """The disk takes the first page of what a program adds, and no more. What then lies behind the end is
    zeros, as on any disk, once the file is made longer."""
    world = world_on(small)
    number = world.begin("/f")
    world.fs.write(number, 0, b"old")
    small.fill()
    with pytest.raises(NoSpace):
        world.fs.write(number, 3, b"junk" * 32 * 1024)
    small.empty()
    world.fs.ftruncate(number, 200)
    assert world.fs.read(number, 0, 1000) == b"old" + bytes(197)
    world.close_file(number)
    Crew(world).work(lambda: world.pending() == [])
    assert world.account.files() == {"/f": b"old" + bytes(197)}
    world.close()


def test_what_was_written_before_the_journal_was_full_is_no_part_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an edit over a revision: the bytes were written, and which of them are ours was not."""
    world = World(tmp_path, settings={"small_bytes": 0})
    world.theirs("/f", b"theirs")
    number = world.open("/f", os.O_RDWR)
    world.fs.write(number, 0, b"T")

    def full(*_: object) -> None:
        raise NoSpace("the disk that keeps the journal is full")

    with monkeypatch.context() as patch, pytest.raises(NoSpace):
        patch.setattr(world.core.tree.store.gaps, "apply", full)
        world.fs.write(number, 4, b"junk")
    world.fs.ftruncate(number, 20)
    assert world.fs.read(number, 0, 100) == b"Theirs" + bytes(14)
    world.close_file(number)
    Crew(world).work(lambda: world.pending() == [])
    assert world.account.files() == {"/f": b"Theirs" + bytes(14)}
    world.close()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind == "tmpfs"])
def test_a_mount_on_a_full_disk_says_so_in_one_line(kind: str, tmp_path: Path) -> None:
    with small_disk(kind, tmp_path) as small:
        small.fill()
        with pytest.raises(StoreDiskFull, match=r"^the disk of .* is full: free some space there"):
            World(small.directory, disk=small.disk)


def test_the_space_is_held_without_a_name_and_given_once(tmp_path: Path) -> None:
    class Counting(RealDisk):
        def __init__(self) -> None:
            self.free = 100

        def free_bytes(self, directory: str) -> int:
            return self.free

    disk = Counting()
    ballast = Ballast(tmp_path, disk, size_bytes=50)
    assert ballast.hold()
    assert ballast.hold()
    assert list(tmp_path.iterdir()) == []
    assert ballast.release()
    assert not ballast.release()
    disk.free = 99
    assert not ballast.hold()
    disk.free = 100
    assert ballast.hold()
    ballast.release()


# The spool's own bounds


class CountedDisk(RealDisk):
    """Of so many bytes, which the spool and the cache take up together."""

    folders: tuple[str, ...] = ("spool", "cache")

    def __init__(self, directory: Path, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._directory = directory

    def free_bytes(self, directory: str) -> int:
        files = (path for name in self.folders for path in (self._directory / name).iterdir())
        return self.size_bytes - sum(path.stat().st_size for path in files)


class SpoolDisk(CountedDisk):
    """Of so many bytes, which nothing but the spool takes up."""

    folders = ("spool",)


def test_a_disk_filled_by_pending_bytes_refuses_writers_until_uploads_made_room(tmp_path: Path) -> None:
    pauses: list[float] = []
    quota = Quota(reserve_bytes=16 * MIB)
    disk = SpoolDisk(tmp_path, quota.reserve_bytes + 32 * MIB)
    world = World(tmp_path, disk=disk, settings={"quota": quota, "pause": pauses.append})
    with pytest.raises(NoSpace, match="16 MiB stay reserved: free some space"):
        for number in range(100):
            world.put(f"/f{number}", bytes([number]) * MIB)
    assert pauses == sorted(pauses)
    slowest_s = max(pauses)
    assert slowest_s > 0.9  # slowed before that
    assert world.core.spool.shortage() is not None
    Crew(world).work(lambda: world.pending() == [] and not world.core.tree.freed)
    pauses.clear()
    world.put("/later", b"l" * MIB)
    assert world.core.spool.shortage() is None
    assert all(pause < slowest_s for pause in pauses)
    world.close()


@pytest.mark.parametrize("is_made_longer", [False, True])
def test_a_byte_of_each_page_takes_the_room_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_made_longer: bool
) -> None:
    """As posix_fallocate(3) writes them, where a file system cannot set room aside."""
    world = World(tmp_path, settings={"quota": Quota(reserve_bytes=16 * MIB)})
    taken = world.core.spool.directory

    def free_bytes(_: str) -> int:
        return 32 * MIB - sum(path.stat().st_blocks * 512 for path in taken.iterdir())

    monkeypatch.setattr(world.disk, "free_bytes", free_bytes)
    number = world.begin("/f")
    if is_made_longer:
        world.fs.ftruncate(number, 64 * MIB)
    with pytest.raises(NoSpace, match="16 MiB stay reserved: free some space"):
        for at in range(4095, 64 * MIB, 4096):
            world.fs.write(number, at, b"\0")
    assert free_bytes("") > 10 * MIB
    world.close_file(number)
    world.close()


def test_what_is_added_to_a_page_takes_no_more_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of short lines, one after another, at the end or in a hole: nobody waits for it."""
    world = World(tmp_path)
    asked: list[int] = []

    def admit(growth_bytes: int) -> float:
        asked.append(growth_bytes)
        return 0.0

    monkeypatch.setattr(world.core.spool, "admit", admit)
    number = world.begin("/f")
    for at in range(0, 12_000, 10):
        world.fs.write(number, at, b"x" * 10)
    assert sum(asked) == 3 * 4096
    world.fs.ftruncate(number, 100_000)
    for at in range(40_960, 52_960, 10):
        world.fs.write(number, at, b"x" * 10)
    assert sum(asked) == 6 * 4096
    world.close_file(number)
    world.close()


@pytest.mark.parametrize("call", ["edit", "link"])
def test_a_copy_of_many_bytes_leaves_the_room_that_is_to_stay_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The first write into a file that waits to be sent begins a copy of it, as in `truncate -s 1G disk` and
    then `dd conv=notrunc of=disk`; a hard link of one of the service does, where links are copies."""
    quota = Quota(reserve_bytes=16 * MIB)
    world = World(tmp_path, settings={"quota": quota}, hard_links=HardLinks.COPY)
    taken, seen = world.core.spool.directory, list[int]()

    def free_bytes(_: str) -> int:
        seen.append(48 * MIB - sum(path.stat().st_blocks * 512 for path in taken.iterdir()))
        return seen[-1]

    monkeypatch.setattr(world.disk, "free_bytes", free_bytes)
    world.theirs("/theirs", bytes(80 * MIB))
    number = world.begin("/ours")
    world.fs.ftruncate(number, 80 * MIB)
    world.close_file(number)
    number = world.open("/ours", os.O_WRONLY)
    with pytest.raises(NoSpace, match="16 MiB stay reserved: free some space"):
        if call == "edit":
            world.fs.write(number, MIB, b"x")
        else:
            world.fs.link("/theirs", "/copy")
    assert min(seen) >= 0
    assert free_bytes("") == 48 * MIB, "nothing is left of the copy"
    world.close_file(number)
    world.close()


@pytest.mark.parametrize("first", ["made longer", "written at its end"])
def test_holes_that_are_filled_take_no_room_that_is_to_stay_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """A program that makes its file as long as it will be, and fills it piece by piece: what it downloads
    from many, or `truncate -s 1G disk; dd conv=notrunc of=disk`."""
    quota = Quota(reserve_bytes=16 * MIB)
    world = World(tmp_path, settings={"quota": quota, "pause": lambda _: None})
    taken = world.core.spool.directory

    def free_bytes(_: str) -> int:
        return 48 * MIB - sum(path.stat().st_blocks * 512 for path in taken.iterdir())

    monkeypatch.setattr(world.disk, "free_bytes", free_bytes)
    number = world.begin("/f")
    if first == "made longer":
        world.fs.ftruncate(number, 80 * MIB)
    else:
        world.fs.write(number, 80 * MIB - 1, b"x")
    with pytest.raises(NoSpace, match="16 MiB stay reserved: free some space"):
        for at in range(78, 0, -2):
            world.fs.write(number, at * MIB, b"x" * MIB)
    assert free_bytes("") > 10 * MIB
    for _ in range(100):
        world.fs.write(number, 78 * MIB, b"y" * MIB)  # what it has already takes no more room
    world.close_file(number)
    world.close()


def test_what_is_cached_gives_way_to_what_is_written(tmp_path: Path) -> None:
    """What was uploaded stays as cache: it must not keep the disk as full as it was."""
    pauses: list[float] = []
    quota = Quota(reserve_bytes=16 * MIB)
    disk = CountedDisk(tmp_path, LEAST_BYTES + quota.spare_bytes() + 10 * MIB)
    world = World(tmp_path, disk=disk, settings={"quota": quota, "pause": pauses.append})
    crew = Crew(world)
    for number in range(disk.size_bytes // (4 * MIB) + 5):
        world.put(f"/f{number}", number.to_bytes(4, "big") * MIB)
        crew.work(lambda: world.pending() == [] and not world.core.tree.freed)
    assert [pause for pause in pauses if pause > 0.1] == []
    assert LEAST_BYTES // 2 < world.core.blocks.used_bytes <= LEAST_BYTES + 10 * MIB
    world.close()


def test_what_is_cached_gives_way_once_others_fill_the_disk(tmp_path: Path) -> None:
    quota = Quota(reserve_bytes=16 * MIB)
    disk = CountedDisk(tmp_path, 10**12)
    world = World(tmp_path, disk=disk, settings={"quota": quota})
    world.put("/cached", b"x" * (LEAST_BYTES + 8 * MIB))
    Crew(world).work(lambda: world.pending() == [] and not world.core.tree.freed)
    assert world.core.blocks.used_bytes > LEAST_BYTES
    disk.size_bytes = LEAST_BYTES + 20 * MIB
    assert world.core.spool.shortage() is None
    world.put("/written", b"w" * 5 * MIB)
    assert world.core.blocks.used_bytes == 0
    world.close()


def test_a_nearly_full_disk_takes_what_is_written_though_somebody_removed_the_cache(tmp_path: Path) -> None:
    """As one does who needs room."""
    quota = Quota(reserve_bytes=0)
    world = World(tmp_path, settings={"quota": quota})
    free_bytes = world.disk.free_bytes

    def scarce(directory: str) -> int:
        return min(free_bytes(directory), quota.spare_bytes() - 1)

    world.disk.free_bytes = scarce  # type: ignore[method-assign]
    shutil.rmtree(world.places.cache)
    world.put("/written", b"w" * 5 * MIB)
    assert world.get("/written") == b"w" * 5 * MIB
    world.close()


def test_a_spool_disk_that_fails_to_write_tells_the_writer_and_keeps_nobody_else(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("/before", b"before")
    write = world.disk.pwrite

    def failing(fd: int, data: bytes, offset: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    world.disk.pwrite = failing  # type: ignore[method-assign]
    number = world.begin("/torn")
    with pytest.raises(OSError, match="Input/output error"):
        world.fs.write(number, 0, b"torn")
    world.disk.pwrite = write  # type: ignore[method-assign]
    world.fs.unlink("/torn")
    world.close_file(number)
    world.put("/after", b"after")
    Crew(world).work(lambda: world.pending() == [])
    assert world.account.files() == {"/before": b"before", "/after": b"after"}
    world.close()


def test_a_state_directory_below_the_reserve_says_so_at_the_mount_and_in_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(RealDisk, "free_bytes", lambda *_: RESERVE_BYTES - 1)
    monkeypatch.setattr(assembly, "connect", lambda *_: Connection(MemoryBackend(MemoryAccount())))
    plan = MountPlan(
        RemoteSpec("work", ROOT),
        DropboxRemote("work", access_token="t"),
        Path("/mnt/x"),
        MountOptions(tmp_path, 0, 0),
    )
    with caplog.at_level(logging.WARNING):
        account = assemble(plan, DropboxRemote("work", access_token="t"), Path("/run/s"))
    [line] = [record.getMessage() for record in caplog.records]
    assert line == (
        f"{tmp_path}: nothing can be written to the mount: the disk that keeps pending files has 255 MiB "
        "free, 256 MiB stay reserved: free some space"
    )
    assert account.status().workers["write"] in line
    account.close()
