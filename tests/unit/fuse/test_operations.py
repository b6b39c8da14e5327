"""The edge between libfuse and the file system."""

from __future__ import annotations

import errno
import logging
import os
import stat
from dataclasses import dataclass
from typing import Any

import pytest

from mountfs.attributes import Moment
from mountfs.fuse.kinds import KEPT_S, Kinds
from mountfs.fuse.operations import Operations
from mountfs.model.entry import NS_PER_S
from tests.doubles.world import World
from tests.unit.fuse.answers import taken


@dataclass
class Info:
    """As libfuse's ``fuse_file_info``."""

    flags: int = 0
    fh: int = 0
    writepage: int = 0
    keep_cache: int = 0
    direct_io: int = 0


@pytest.fixture
def ops(world: World) -> Operations:
    return Operations(world.fs)


def errno_from(ops: Operations, op: str, *args: Any) -> int | None:
    with pytest.raises(OSError) as caught:
        ops(op, *args)
    return caught.value.errno


def test_what_the_kernel_takes_for_a_file_it_looks_up_again_where_there_is_none(ops: Operations) -> None:
    """It makes one then, for O_CREAT, or says ENOENT."""
    ops("mkdir", "/folder", 0o755)
    assert errno_from(ops, "open", "/none", Info(os.O_WRONLY | os.O_CREAT)) == errno.ESTALE
    assert errno_from(ops, "open", "/folder", Info(os.O_RDONLY)) == errno.ESTALE
    # By /proc/self/fd, of what libfuse has removed: there is nothing to look up.
    assert errno_from(ops, "open", "/.fuse_hidden0000000100000001", Info(os.O_RDONLY)) == errno.ENOENT


@pytest.fixture
def looking(world: World) -> Operations:
    """As a mount has them."""
    return Operations(world.fs, kinds=Kinds(world.clock.now_s))


@pytest.mark.parametrize("is_folder", [True, False])
def test_each_thread_looks_up_again_what_is_of_another_kind(world: World, *, is_folder: bool) -> None:
    """The second may have had the folder in hand when the first one looked the name up."""
    threads = [1]
    looking = Operations(world.fs, kinds=Kinds(world.clock.now_s, lambda: threads[-1]))
    _put(world, is_folder=not is_folder)
    looking("getattr", "/it")
    world.account.remove("/it")
    _put(world, is_folder=is_folder)
    for thread in (1, 2):
        threads.append(thread)
        assert errno_from(looking, "getattr", "/it") == errno.ESTALE
        assert stat.S_ISDIR(looking("getattr", "/it").mode) is is_folder
    for thread in (1, 2):
        threads.append(thread)
        assert stat.S_ISDIR(looking("getattr", "/it").mode) is is_folder
    world.advance(KEPT_S)
    threads.append(3)
    assert stat.S_ISDIR(looking("getattr", "/it").mode) is is_folder


def _put(world: World, *, is_folder: bool) -> None:
    if is_folder:
        world.account.mkdir("/it")
    else:
        world.account.write("/it", b"1")
    world.follow()


def test_a_file_that_was_made_here_is_known_to_be_one(world: World, looking: Operations) -> None:
    """libfuse asks for the attributes of what it just made by the handle."""
    info = Info(os.O_WRONLY | os.O_CREAT)
    looking("create", "/it", 0o644, info)
    looking("getattr", "/it", info)
    looking("flush", None, info)
    looking("release", None, info)
    world.settle()
    world.account.remove("/it")
    world.account.mkdir("/it")
    world.follow()
    assert errno_from(looking, "getattr", "/it") == errno.ESTALE
    assert stat.S_ISDIR(looking("getattr", "/it").mode)


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_the_kernel_takes_for_another_kind_it_looks_up_again(
    world: World, looking: Operations, *, is_folder: bool
) -> None:
    """Told of a file where it has a folder, it would give that up, and answer EIO."""
    for at in range(2):
        if bool(at) is is_folder:
            world.account.write("/it", b"1")
        else:
            world.account.mkdir("/it")
        world.follow()
        if at:
            assert errno_from(looking, "getattr", "/it") == errno.ESTALE
        for _ in range(2):
            assert stat.S_ISREG(looking("getattr", "/it").mode) is (bool(at) is is_folder)
        world.account.remove("/it")


@pytest.mark.parametrize("how", ["later", "names change", "other folder", "was told of nothing"])
def test_a_name_that_the_kernel_may_have_dropped_is_told_at_once(
    world: World, looking: Operations, how: str
) -> None:
    """mkdir(2) of it would pass ESTALE on."""
    world.theirs("/d/it", b"1")
    world.account.mkdir("/e/it")
    looking("getattr", "/d")
    assert stat.S_ISREG(looking("getattr", "/d/it").mode)
    if how == "later":
        world.advance(2.0)
    if how == "names change":
        looking("mkdir", "/other", 0o755)
    if how == "was told of nothing":
        world.account.remove("/d/it")
        world.follow()
        assert errno_from(looking, "getattr", "/d/it") == errno.ENOENT
    if how == "other folder":
        world.account.move("/d", "/f")
        world.account.move("/e", "/d")
    else:
        world.account.remove("/d/it")
        world.account.mkdir("/d/it")
    world.follow()
    looking("getattr", "/d")
    assert stat.S_ISDIR(looking("getattr", "/d/it").mode)


def test_a_file_goes_through_its_whole_life(ops: Operations) -> None:
    info = Info(os.O_RDWR | os.O_CREAT)
    ops("create", "/f", 0o644, info)
    assert ops("write", None, b"hello", 0, info) == 5
    assert taken(ops("read", None, 10, 1, info)) == b"ello"
    assert ops("getattr", None, info).size_bytes == 5
    ops("truncate", None, 2, info)
    ops("fsync", None, 0, info)
    ops("flush", None, info)
    ops("release", None, info)
    shown = ops("getattr", "/f", None)
    assert stat.S_ISREG(shown.mode)
    assert (shown.size_bytes, shown.links) == (2, 1)
    again = Info(os.O_RDONLY)
    ops("open", "/f", again)
    assert (again.keep_cache, again.direct_io) == (1, 0)
    ops("release", None, again)


def test_who_appends_no_more_writes_where_the_kernel_says(ops: Operations, world: World) -> None:
    """By fcntl(2), which no file system hears of."""
    world.put("/f", b"12345")
    info = Info(os.O_WRONLY | os.O_APPEND)
    ops("open", "/f", info)
    ops("write", None, b"6", 0, info)
    info.flags = os.O_WRONLY
    ops("write", None, b"a", 0, info)
    info.flags, info.writepage = 0, 1
    ops("write", None, b"b", 1, info)
    ops("flush", None, info)
    ops("release", None, info)
    assert world.get("/f") == b"ab3456"


def test_a_folder_is_listed_with_types(ops: Operations, world: World) -> None:
    ops("mkdir", "/d", 0o755)
    world.put("/f", b"")
    number = ops("opendir", "/")
    listed = {name: stat.S_IFMT(mode) for name, mode, _ in ops("readdir", None, number)}
    assert listed == {".": stat.S_IFDIR, "..": stat.S_IFDIR, "d": stat.S_IFDIR, "f": stat.S_IFREG}
    ops("releasedir", None, number)


def test_a_file_and_a_folder_have_one_number_wherever_it_is_told(ops: Operations, world: World) -> None:
    world.mkdir("/d")
    world.put("/d/f", b"")
    info = Info(os.O_RDONLY)
    ops("open", "/D/F", info)
    number = ops("opendir", "/d")
    listed = {name: inode for name, _, inode in ops("readdir", None, number)}
    assert ops("getattr", "/d/f", None).inode == ops("getattr", None, info).inode == listed["f"]
    assert ops("getattr", "/D", None).inode == listed["."]
    ops("releasedir", None, number)
    ops("release", None, info)


@pytest.mark.parametrize("mtime_ns", [-(10**10) * NS_PER_S, 10**10 * NS_PER_S])
def test_a_time_of_any_year_is_taken_and_told(ops: Operations, world: World, mtime_ns: int) -> None:
    world.put("/f", b"")
    ops("utimens", "/f", (0, mtime_ns))
    assert ops("getattr", "/f", None).mtime_ns == mtime_ns


def test_a_listing_that_fails_fails_in_the_call(ops: Operations, world: World) -> None:
    number = ops("opendir", "/")
    world.memory.is_online = False
    assert errno_from(ops, "readdir", None, number) == errno.EIO


@pytest.mark.parametrize(
    ("op", "args", "number"),
    [
        ("getattr", ("/no", None), errno.ENOENT),
        ("getattr", (f"/{'n' * 256}", None), errno.ENAMETOOLONG),
        ("read", (None, 1, 0, Info(fh=99)), errno.EBADF),
        ("link", ("/g", "/f"), errno.EPERM),
        ("readlink", ("/",), errno.EINVAL),
        ("getxattr", ("/", "security.capability"), errno.ENOTSUP),
        ("getxattr", ("/", "user.no"), errno.ENODATA),
        ("setxattr", ("/", "trusted.x", b"", 0), errno.ENOTSUP),
        ("setxattr", ("/", "user.x", b"x" * 4097, 0), errno.ENOSPC),
        ("removexattr", ("/", "user.mountfs.state"), errno.ENOTSUP),
        ("removexattr", ("/", "user.no"), errno.ENODATA),
    ],
)
def test_a_refusal_has_its_errno_and_no_line_in_the_log(
    ops: Operations, caplog: pytest.LogCaptureFixture, op: str, args: tuple[Any, ...], number: int
) -> None:
    assert errno_from(ops, op, *args) == number
    assert not caplog.records


def test_what_the_errno_does_not_tell_the_log_does(
    ops: Operations, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.memory.is_online = False
    assert errno_from(ops, "getattr", "/f", None) == errno.EIO
    (record,) = caplog.records
    assert "getattr of /f: Unreachable" in record.getMessage()


def test_a_service_that_is_away_does_not_fill_the_log(
    ops: Operations, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.memory.is_online = False
    for _ in range(1000):
        assert errno_from(ops, "getattr", "/f", None) == errno.EIO
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) == 16


@pytest.mark.parametrize("surprise", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_a_surprise_is_an_io_error_with_its_traceback(
    world: World, caplog: pytest.LogCaptureFixture, surprise: type[BaseException]
) -> None:
    class Broken(Operations):
        def statfs(self, path: str) -> dict[str, int]:
            raise surprise

    assert errno_from(Broken(world.fs), "statfs", "/") == errno.EIO
    (record,) = caplog.records
    assert record.exc_info is not None


def test_init_never_fails(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise ValueError("no")

    Operations(world.fs, on_init=broken)("init", "/")
    assert len(caplog.records) == 1
    Operations(world.fs)("init", "/")


def test_times_left_out_are_left_alone_and_now_is_now(ops: Operations, world: World) -> None:
    world.put("/f", b"")
    ops("utimens", "/f", (7, 1_500_000_000 * NS_PER_S))
    ops("utimens", "/f", (Moment.NOW, Moment.OMIT))
    assert ops("getattr", "/f", None).mtime_ns == 1_500_000_000 * NS_PER_S
    ops("utimens", "/f", (Moment.OMIT, Moment.NOW))
    assert ops("getattr", "/f", None).mtime_ns == world.clock.wall_ns()


def test_what_is_free_is_told_in_blocks(ops: Operations, world: World) -> None:
    world.account.tree.quota_bytes = 40960
    told = ops("statfs", "/")
    assert (told["f_blocks"], told["f_bavail"], told["f_frsize"]) == (10, 10, 4096)
    assert told["f_files"] > told["f_ffree"] == told["f_favail"] > 0


def test_no_operation_is_offered_that_is_not_carried_out() -> None:
    """libfuse answers ENOSYS for what is missing, and the kernel then does locks by itself."""
    assert not any(hasattr(Operations, op) for op in ("lock", "bmap", "ioctl"))
