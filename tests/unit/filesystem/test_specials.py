"""Symbolic links, fifos, sockets and devices: this machine alone has them."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from mountfs.attributes import Caller, Links
from mountfs.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    InvalidArgument,
    IsADirectory,
    NotADirectory,
    NotFound,
    NotPermitted,
    Stale,
)
from mountfs.fuse.errno import errno_of
from mountfs.tree import residents
from tests.doubles.world import World

ANNA = Caller(1001, 1002)


def kinds(world: World, path: str = "/") -> dict[str, int]:
    number = world.fs.opendir(path)
    try:
        return {name: stat.S_IFMT(mode) for name, mode, _ in world.fs.readdir(number)}
    finally:
        world.fs.releasedir(number)


def make_one_of_each(world: World, folder: str = "") -> None:
    world.fs.symlink(f"{folder}/link", "no/where", ANNA)
    world.fs.mknod(f"{folder}/fifo", stat.S_IFIFO | 0o640, 0, ANNA)
    world.fs.mknod(f"{folder}/socket", stat.S_IFSOCK | 0o755, 0, ANNA)
    world.fs.mknod(f"{folder}/disk", stat.S_IFBLK | 0o660, 0x0801, ANNA)
    world.fs.mknod(f"{folder}/tty", stat.S_IFCHR | 0o620, 0x0440, ANNA)


EACH = {
    "link": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "disk": stat.S_IFBLK,
    "tty": stat.S_IFCHR,
}


def test_each_kind_is_what_it_was_made_also_after_a_kill(world: World) -> None:
    world.mkdir("/d")
    make_one_of_each(world, "/d")
    for _ in range(2):
        assert kinds(world, "/d") == EACH
        assert world.fs.readlink("/d/link") == "no/where"
        link, fifo, disk = (world.fs.getattr(f"/d/{name}") for name in ("link", "fifo", "disk"))
        assert (link.mode, link.size_bytes) == (stat.S_IFLNK | 0o777, len("no/where"))
        assert (fifo.mode, fifo.uid, fifo.gid) == (stat.S_IFIFO | 0o640, *ANNA)
        assert (disk.mode, disk.device) == (stat.S_IFBLK | 0o660, 0x0801)
        assert link.mtime_ns > 0
        world.restart()


def test_the_service_is_told_of_none_and_nobody_waits_for_them(world: World) -> None:
    world.mkdir("/d")
    make_one_of_each(world, "/d")
    make_one_of_each(world)
    world.put("/d/f", b"x")
    world.settle()
    assert world.remote() == {"/d": None, "/d/f": b"x"}
    assert world.pending() == []
    assert world.core.tree.store.count_specials() == 2 * len(EACH)
    assert world.fs.metadata.getxattr("/link", "user.mountfs.state") == b"local"


def test_a_link_is_renamed_removed_and_made_again(world: World) -> None:
    world.fs.symlink("/a", "x")
    world.rename("/a", "/b")
    with pytest.raises(NotFound):
        world.fs.readlink("/a")
    with pytest.raises(AlreadyExists):
        world.fs.symlink("/b", "y")
    world.fs.unlink("/b")
    world.fs.symlink("/b", "y")
    world.restart()
    assert world.fs.readlink("/b") == "y"


def test_a_target_may_be_any_bytes(world: World) -> None:
    target = os.fsdecode(b"\xff\xfe spaces \n \xc3\xa9" * 20)
    world.fs.symlink("/l", target)
    world.restart()
    assert world.fs.readlink("/l") == target
    assert world.fs.getattr("/l").size_bytes == len(os.fsencode(target))


def test_readlink_of_anything_else_is_refused(world: World) -> None:
    world.put("/f", b"")
    world.fs.mknod("/p", stat.S_IFIFO)
    for path in ("/", "/f", "/p"):
        with pytest.raises(InvalidArgument) as caught:
            world.fs.readlink(path)
        assert errno_of(caught.value) == errno.EINVAL


def test_what_somebody_makes_just_before_a_file_is_created_is_looked_up_again(world: World) -> None:
    world.fs.symlink("/l", "x")
    with pytest.raises(Stale):
        world.fs.create("/l", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(AlreadyExists):
        world.fs.create("/l", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with pytest.raises(Stale):
        world.fs.open("/l", os.O_RDONLY)


def test_a_mount_may_take_no_links(world: World) -> None:
    fs = world.file_system(links=Links.REFUSE)
    with pytest.raises(NotPermitted):
        fs.symlink("/l", "x")
    fs.mknod("/p", stat.S_IFIFO)


# Among what the service has


def test_a_link_takes_the_place_of_a_published_file(world: World) -> None:
    world.put("/f", b"x")
    world.settle()
    world.fs.symlink("/l", "y")
    world.rename("/l", "/f")
    assert world.fs.readlink("/f") == "y"
    world.settle()
    assert world.remote() == {}
    world.restart()
    assert world.fs.readlink("/f") == "y"


def test_a_file_takes_the_place_of_a_link(world: World) -> None:
    world.theirs("/f", b"x")
    world.fs.symlink("/l", "y")
    world.rename("/f", "/l")
    world.settle()
    assert world.remote() == {"/l": b"x"}
    world.fs.unlink("/l")
    world.fs.symlink("/l", "z")
    world.fs.symlink("/new", "z")
    world.put("/g", b"g")
    world.rename("/g", "/new")
    world.settle()
    assert world.remote() == {"/new": b"g"}
    assert world.fs.readlink("/l") == "z"
    assert world.pending() == []


def test_files_and_folders_replace_what_rename_lets_them(world: World) -> None:
    world.mkdir("/d")
    world.fs.symlink("/l", "d")
    with pytest.raises(IsADirectory):
        world.rename("/l", "/d")
    with pytest.raises(NotADirectory):
        world.rename("/d", "/l")
    with pytest.raises(NotADirectory):
        world.fs.rmdir("/l")
    with pytest.raises(NotADirectory):
        world.fs.getattr("/l/below")


def test_a_folder_with_a_link_in_it_moves_and_is_removed_as_any_other(world: World) -> None:
    world.theirs("/d/f", b"x")
    world.fs.symlink("/d/l", "f")
    world.rename("/d", "/e")
    world.settle()
    assert world.remote() == {"/e": None, "/e/f": b"x"}
    world.fs.unlink("/e/f")
    with pytest.raises(DirectoryNotEmpty):
        world.fs.rmdir("/e")
    world.fs.unlink("/e/l")
    world.fs.rmdir("/e")
    world.settle()
    assert (world.remote(), world.pending()) == ({}, [])


# What others do


def test_what_others_make_under_the_name_is_shown_once_the_link_is_gone(world: World) -> None:
    world.fs.symlink("/l", "x")
    world.names()
    world.theirs("/l", b"theirs")
    assert world.fs.readlink("/l") == "x"
    world.settle()
    assert world.account.files() == {"/l": b"theirs"}
    world.restart()
    assert world.fs.readlink("/l") == "x"
    world.fs.unlink("/l")
    world.settle()
    assert world.get("/l") == b"theirs"


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_folder_that_others_remove_goes_with_the_links_in_it(world: World, *, is_restarted: bool) -> None:
    world.theirs("/d/sub/f", b"x")
    make_one_of_each(world, "/d/sub")
    world.fs.symlink("/d/l", "f")
    if is_restarted:
        world.restart()
    world.account.remove("/d")
    world.follow()
    assert world.names() == set()
    world.settle()
    assert (world.remote(), world.pending()) == ({}, [])
    world.restart()
    assert (world.names(), world.pending()) == (set(), [])


def test_a_folder_that_others_remove_stays_for_a_file_of_ours_with_the_links(world: World) -> None:
    world.theirs("/d/f", b"x")
    world.fs.symlink("/d/l", "mine")
    world.put("/d/mine", b"y")
    world.account.remove("/d")
    world.follow()
    world.settle()
    assert world.remote() == {"/d": None, "/d/mine": b"y"}
    assert world.fs.readlink("/d/l") == "mine"


def test_folders_with_links_in_them_leave_the_memory_and_no_start_reads_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.theirs("/d/f", b"x")
    world.theirs("/e/f", b"x")
    make_one_of_each(world, "/d")
    node = world.node("/d/link")
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 1)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    world.names("/e")
    assert node.id not in world.core.tree.nodes
    assert world.fs.readlink("/d/link") == "no/where"
    assert world.node("/d/link").id == node.id
    world.restart()
    assert node.id not in world.core.tree.nodes
    assert kinds(world, "/d") == EACH | {"f": stat.S_IFREG}


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_folder_that_others_make_anew_keeps_its_links_and_its_mode(
    world: World, *, is_restarted: bool
) -> None:
    world.theirs("/d/f", b"x")
    world.fs.symlink("/d/l", "f")
    world.fs.metadata.chmod("/d", 0o700)
    if is_restarted:
        world.settle()
        world.restart()  # what is in the folder is not in memory
        world.names()
    world.account.remove("/d")
    world.account.write("/d/g", b"y")
    world.core.view.listings.relist(world.core.tree.root)
    assert world.names("/d") == {"g", "l"}
    assert world.fs.readlink("/d/l") == "f"
    assert stat.S_IMODE(world.fs.getattr("/d").mode) == 0o700
    world.settle()
    assert world.remote() == {"/d": None, "/d/g": b"y"}
