"""What is added to a pending file goes behind its bytes: they are not copied, and the older version stays."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mountfs.files import copyup
from mountfs.ports import BackendLimits
from mountfs.spool.disk import RealDisk
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.fakes.forgetfuldisk import ForgetfulDisk

AP = os.O_WRONLY | os.O_APPEND
RW = os.O_RDWR
HIDDEN = "/.fuse_hidden0000000700000001"
BODY = Random(3).randbytes(300_000)


class CountingDisk(RealDisk):
    """Counts what is copied, and fails to sync one file."""

    def __init__(self) -> None:
        self.copied_bytes = 0
        self.has_links = True
        self.fails = False

    def copy(self, source_fd: int, target_fd: int, length: int, at: int = 0) -> None:
        self.copied_bytes += length
        super().copy(source_fd, target_fd, length, at)

    def link(self, source: str, target: str) -> None:
        if not self.has_links:
            raise OSError(errno.EPERM, "no links")
        super().link(source, target)

    def fdatasync(self, fd: int) -> None:
        if self.fails:
            raise OSError(errno.EIO, "I/O error")
        super().fdatasync(fd)


class Account(World):
    disk: CountingDisk

    def add(self, path: str, data: bytes) -> None:
        number = self.open(path, AP)
        self.fs.write(number, 0, data)
        self.close_file(number)

    def edit(self, path: str, at: int, data: bytes) -> None:
        number = self.open(path, RW)
        self.fs.write(number, at, data)
        self.close_file(number)

    def spooled(self) -> int:
        return sum(1 for _ in self.places.spool.iterdir())


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["dropbox", "box"])
def limits(request: pytest.FixtureRequest) -> BackendLimits:
    assert isinstance(request.param, BackendLimits)
    return request.param


@pytest.fixture
def world(tmp_path: Path, limits: BackendLimits, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setattr(copyup, "EXTENDED_FROM_BYTES", 100_000)
    world = Account(tmp_path, limits=limits, disk=CountingDisk())
    world.put("/log", BODY)
    world.disk.copied_bytes = 0
    yield world
    world.close()


def test_what_is_added_to_a_pending_file_copies_nothing(world: Account) -> None:
    for number in range(5):
        world.add("/log", b"line %d\n" % number)
        world.advance(0.1)
    lines = b"".join(b"line %d\n" % number for number in range(5))
    assert world.get("/log") == BODY + lines
    assert world.disk.copied_bytes == 0
    world.settle()
    assert world.remote() == {"/log": BODY + lines}
    assert world.spooled() == 0


def test_a_small_file_is_copied(world: Account) -> None:
    world.put("/small", b"a")
    world.add("/small", b"b")
    assert world.disk.copied_bytes == 1
    world.settle()
    assert world.remote()["/small"] == b"ab"


def test_a_file_is_extended_without_a_copy(world: Account) -> None:
    world.fs.truncate("/log", len(BODY) + 10)
    world.edit("/log", len(BODY) + 20, b"end")
    assert world.disk.copied_bytes == 0
    assert world.get("/log") == BODY + bytes(20) + b"end"
    world.settle()
    assert world.remote() == {"/log": BODY + bytes(20) + b"end"}


def test_where_files_have_one_name_each_they_are_copied(world: Account) -> None:
    world.disk.has_links = False
    world.add("/log", b"more")
    assert world.disk.copied_bytes == len(BODY)
    world.settle()
    assert world.remote() == {"/log": BODY + b"more"}


def test_the_older_version_is_sent_as_it_was_closed(world: Account) -> None:
    world.commit_steps(2)  # it is on its way, or there
    number = world.open("/log", AP)
    world.fs.write(number, 0, b"more")
    world.settle()
    assert world.remote() == {"/log": BODY}
    world.fs.write(number, 0, b" and more")
    world.close_file(number)
    world.settle()
    assert world.remote() == {"/log": BODY + b"more and more"}


@pytest.mark.parametrize("how", ["write", "cut", "empty"])
def test_who_changes_older_bytes_has_a_copy(world: Account, how: str) -> None:
    number = world.open("/log", RW)
    world.fs.write(number, len(BODY), b"more")
    shared = world.state("/log").content
    assert shared is not None
    if how == "write":
        world.fs.write(number, 10, b"edited")
        expected = BODY[:10] + b"edited" + BODY[16:] + b"more"
        assert world.disk.copied_bytes == len(BODY) + 4
    else:
        kept_bytes = 50 if how == "cut" else 0
        world.fs.ftruncate(number, kept_bytes)
        expected = BODY[:kept_bytes]
        assert world.disk.copied_bytes == kept_bytes
    assert world.fs.read(number, 0, 2 * len(BODY)) == expected
    assert world.core.spool.read(shared.spool, 0, shared.size_bytes) == BODY
    world.fs.write(number, 0, b"twice")
    assert world.disk.copied_bytes <= len(BODY) + 4
    world.close_file(number)
    world.settle()
    assert world.remote() == {"/log": b"twice" + expected[5:]}
    assert world.spooled() == 0


def test_a_closed_version_that_is_begun_anew_leaves_the_one_below_after_a_kill(world: Account) -> None:
    number = world.open("/log", RW)
    world.fs.write(number, len(BODY), b"more")
    world.fs.flush(number)
    world.fs.write(number, 0, b"torn")
    world.restart()
    assert world.get("/log") == BODY
    [copy] = world.names() - {"log"}
    assert world.get(f"/{copy}") == b"torn" + BODY[4:] + b"more"
    world.settle()
    assert world.remote() == {"/log": BODY}


@pytest.mark.parametrize("how", ["write", "cut", "empty"])
def test_what_was_added_and_changed_after_that_is_one_recovered_copy_after_a_kill(
    world: Account, how: str
) -> None:
    number = world.open("/log", RW)
    world.fs.write(number, len(BODY), b"more")
    if how == "write":
        world.fs.write(number, 0, b"torn")
        expected = {b"torn" + BODY[4:] + b"more"}
    else:
        world.fs.ftruncate(number, 50 if how == "cut" else 0)
        expected = {BODY[:50]} if how == "cut" else set()
    world.restart()
    assert world.get("/log") == BODY
    assert {world.get(f"/{copy}") for copy in world.names() - {"log"}} == expected
    world.settle()
    assert world.remote() == {"/log": BODY}
    assert world.spooled() == len(expected)


def test_a_kill_takes_nothing_that_was_closed(world: Account) -> None:
    world.add("/log", b"closed ")
    number = world.open("/log", AP)
    world.fs.write(number, 0, b"torn")
    world.restart()
    closed = BODY + b"closed "
    assert world.get("/log") == closed
    [copy] = world.names() - {"log"}
    assert world.get(f"/{copy}") == closed + b"torn"
    # Both end in one file still: none may write what the other would show.
    world.add("/log", b"more")
    world.add(f"/{copy}", b" of it")
    assert world.get("/log") == closed + b"more"
    assert world.get(f"/{copy}") == closed + b"torn of it"
    world.rename(f"/{copy}", "/copy")
    world.settle()
    assert world.remote() == {"/log": closed + b"more", "/copy": closed + b"torn of it"}


@pytest.mark.parametrize("has_labels", [True, False])
def test_a_kill_before_the_first_byte_that_is_added_cuts_and_publishes_nothing(
    world: Account, monkeypatch: pytest.MonkeyPatch, *, has_labels: bool
) -> None:
    """Closed twice by a program with a child: the label of the spool file is of the first time."""
    number = world.begin("/twice", BODY[:200_000])
    world.fs.flush(number)
    world.fs.write(number, 200_000, BODY[200_000:])
    world.close_file(number)
    if not has_labels:
        monkeypatch.setattr(world.disk, "label", lambda _fd, _text: False)  # it is full, say
    for path in ("/log", "/twice"):
        world.fs.ftruncate(world.open(path, AP), len(BODY) + 10)
    world.restart()
    assert world.get("/log") == world.get("/twice") == BODY
    world.settle()
    assert world.remote() == {"/log": BODY, "/twice": BODY}


@pytest.mark.parametrize("how", ["synced", "closed"])
def test_what_was_synced_survives_a_power_loss_also_where_older_bytes_are_changed_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(copyup, "EXTENDED_FROM_BYTES", 100_000)
    disk = ForgetfulDisk()
    world = World(tmp_path / "before", disk=disk)
    world.put("/log", BODY)
    number = world.open("/log", RW)
    world.fs.write(number, len(BODY), b"more")
    if how == "synced":
        world.fs.fsync(number)
    else:
        world.fs.flush(number)
        world.core.durability.step(world.clock.now_s())
    world.fs.write(number, 0, BODY[:4])
    world.fs.write(number, 4, BODY[4:8])
    world.settle()
    disk.lose_power(world.directory, tmp_path / "after", {"journal.db", "journal.db-wal"})
    after = World(tmp_path / "after", world.account, boot_id="boot-2")
    assert after.get("/log") == BODY
    assert BODY + b"more" in after.tree().values()
    after.close()
    world.close()


def test_two_files_with_the_same_bytes_are_not_both_written_behind(world: Account) -> None:
    """A kill between the second name and its first byte leaves a recovered copy of the same length."""
    number = world.open("/log", AP)
    world.fs.ftruncate(number, len(BODY))
    world.restart()
    [copy] = world.names() - {"log"}
    first, second = world.open("/log", AP), world.open(f"/{copy}", AP)
    world.fs.ftruncate(first, len(BODY))
    world.fs.write(second, 0, b"second")
    world.fs.write(first, 0, b"first")
    world.close_file(first)
    world.close_file(second)
    assert world.get("/log") == BODY + b"first"
    assert world.get(f"/{copy}") == BODY + b"second"


def test_a_removed_file_that_is_open_does_not_change_what_is_sent(world: Account) -> None:
    world.commit_steps(1)
    number = world.open("/log", RW)
    world.fs.write(number, len(BODY), b"more")
    world.rename("/log", HIDDEN)
    world.core.sweeper.step(world.clock.now_s())
    world.fs.write(number, 0, b"over")
    assert world.fs.read(number, 0, 2 * len(BODY)) == b"over" + BODY[4:] + b"more"
    world.settle()
    assert set(world.remote().values()) <= {BODY}
    world.close_file(number)
    world.settle()
    assert world.remote() == {}


def test_the_newest_version_alone_becomes_cache(world: Account) -> None:
    world.commit_steps(2)  # it is on its way, or there
    world.add("/log", b"more")
    world.settle()
    adopted = [path.stat().st_nlink for path in world.places.cache.rglob("*") if path.is_file()]
    assert set(adopted) <= {1}
    assert world.get("/log") == BODY + b"more"


def test_bytes_that_a_failed_sync_may_have_lost_do_not_count_as_safe(world: Account) -> None:
    world.add("/log", b"more")
    number = world.open("/log", AP)
    world.fs.write(number, 0, b" and more")
    older = world.state("/log").content
    assert older is not None
    world.disk.fails = True
    with pytest.raises(OSError, match="I/O error"):
        world.core.spool.fdatasync(older.spool)
    world.disk.fails = False
    with pytest.raises(OSError, match="earlier sync"):
        world.fs.fsync(number)
    world.close_file(number)
    world.add("/log", b", copied")
    assert world.disk.copied_bytes > len(BODY)
    number = world.open("/log", AP)
    world.fs.fsync(number)
    world.close_file(number)
    world.settle()
    assert world.remote() == {"/log": BODY + b"more and more, copied"}
