"""Modes and owners: what this machine keeps of files and folders, and how long."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mountfs.attributes import Caller
from mountfs.errors import NoSpace, NotExecutable
from mountfs.metadata import Metadata
from mountfs.tree import residents
from tests.doubles.world import World

WO = os.O_WRONLY | os.O_CREAT
ANNA = Caller(1001, 1002)
KEY = b"-----BEGIN"


def shown(world: World, path: str) -> tuple[int, int, int]:
    """Permissions, owner and group."""
    told = world.fs.getattr(path)
    return stat.S_IMODE(told.mode), told.uid, told.gid


def make(world: World, path: str, mode: int, body: bytes = KEY) -> None:
    number = world.fs.create(path, WO, mode, ANNA).number
    world.fs.write(number, 0, body)
    world.close_file(number)


def test_a_file_has_the_mode_and_the_owner_that_it_was_made_with(world: World) -> None:
    make(world, "/key", 0o600)
    world.fs.mkdir("/d", 0o700, ANNA)
    world.fs.mknod("/d/empty", stat.S_IFREG | 0o640, 0, ANNA)
    assert shown(world, "/key") == (0o600, *ANNA)
    assert shown(world, "/d") == (0o700, *ANNA)
    assert shown(world, "/d/empty") == (0o640, *ANNA)
    assert stat.S_ISDIR(world.fs.getattr("/d").mode)


@pytest.mark.parametrize(
    ("mode", "caller", "left"),
    [
        (0o6775, ANNA, 0o775),
        (0o2765, ANNA, 0o2765),
        (0o2765, Caller(1003, 1003), 0o765),
        (0o6775, Caller(0, 0), 0o6775),
    ],
)
def test_who_empties_a_file_at_its_open_takes_its_set_id_bits(
    world: World, mode: int, caller: Caller, left: int
) -> None:
    make(world, "/program", 0o775)
    world.fs.metadata.chmod("/program", mode)
    world.close_file(world.fs.open("/program", os.O_WRONLY | os.O_TRUNC, caller).number)
    assert shown(world, "/program") == (left, *ANNA)


def test_they_outlive_the_commit_a_rename_and_a_restart(world: World) -> None:
    world.fs.mkdir("/d", 0o700, ANNA)
    make(world, "/d/key", 0o600)
    world.settle()
    assert shown(world, "/d/key") == (0o600, *ANNA)
    world.rename("/d/key", "/d/other")
    world.rename("/d", "/e")
    world.settle()
    world.restart()
    assert shown(world, "/e/other") == (0o600, *ANNA)
    assert shown(world, "/e") == (0o700, *ANNA)
    assert world.pending() == []


@pytest.mark.parametrize("is_flushed", [True, False])
def test_a_kill_before_the_file_has_a_row_makes_nothing_readable_to_others(
    world: World, *, is_flushed: bool
) -> None:
    number = world.fs.create("/key", WO, 0o600, ANNA).number
    world.fs.write(number, 0, KEY)
    if is_flushed:
        world.fs.flush(number)
    assert not world.node("/key").is_saved
    world.restart()
    (name,) = world.names()
    assert shown(world, f"/{name}") == (0o600, *ANNA)
    assert world.get(f"/{name}") == KEY


def test_what_is_changed_stays_whatever_becomes_of_the_bytes(world: World) -> None:
    world.theirs("/f", b"x")
    world.fs.metadata.chmod("/f", 0o751)
    world.fs.metadata.chown("/f", 7, None)
    world.fs.metadata.chown("/f", None, 8)
    assert world.pending() == []
    assert shown(world, "/f") == (0o751, 7, 8)
    world.put("/f", b"ours")
    world.settle()
    world.theirs("/f", b"theirs again")
    assert world.get("/f") == b"theirs again"
    world.restart()
    assert shown(world, "/f") == (0o751, 7, 8)


def test_a_file_that_others_save_by_renaming_keeps_its_mode(world: World) -> None:
    world.theirs("/run.sh", b"#!/bin/sh")
    world.names()
    world.fs.metadata.chmod("/run.sh", 0o755)
    world.account.remove("/run.sh")
    world.theirs("/run.sh", b"#!/bin/sh -e")
    assert world.get("/run.sh") == b"#!/bin/sh -e"
    assert shown(world, "/run.sh")[0] == 0o755


def test_a_clean_file_keeps_its_mode_though_it_leaves_the_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.theirs("/d/f", b"x")
    world.theirs("/e/f", b"x")
    world.fs.metadata.chmod("/d/f", 0o600)
    world.core.durability.save()
    before = world.node("/d/f")
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 1)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    world.names("/e")
    assert before.id not in world.core.tree.nodes
    assert shown(world, "/d/f")[0] == 0o600


def test_a_conflicted_copy_is_as_private_as_the_file(world: World) -> None:
    make(world, "/key", 0o600)
    world.settle()
    world.put("/key", b"ours")
    world.account.write("/key", b"theirs")
    world.settle()
    (copy,) = [name for name in world.names() if "conflicted" in name]
    assert shown(world, f"/{copy}")[0] == 0o600


def test_a_removal_that_the_service_does_not_take_brings_the_mode_back(world: World) -> None:
    make(world, "/key", 0o600)
    world.settle()
    world.fs.unlink("/key")
    world.account.write("/key", b"theirs")
    world.settle()
    world.follow()
    assert world.get("/key") == b"theirs"
    assert shown(world, "/key")[0] == 0o600


def test_in_a_folder_with_the_setgid_bit_everything_has_its_group(world: World) -> None:
    world.fs.mkdir("/team", 0o2770, Caller(0, 50))
    make(world, "/team/f", 0o660)
    world.fs.mkdir("/team/sub", 0o770, ANNA)
    assert shown(world, "/team/f") == (0o660, ANNA.uid, 50)
    assert shown(world, "/team/sub") == (0o2770, ANNA.uid, 50)


def test_a_removed_file_that_is_open_keeps_its_mode(world: World) -> None:
    number = world.fs.create("/f", WO, 0o600, ANNA).number
    world.fs.rename("/f", "/.fuse_hidden0000000100000001")
    told = world.fs.fgetattr(number)
    assert (stat.S_IMODE(told.mode), told.uid) == (0o600, ANNA.uid)
    world.fs.metadata.chmod("/.fuse_hidden0000000100000001", 0o640)
    assert stat.S_IMODE(world.fs.fgetattr(number).mode) == 0o640
    world.close_file(number)


@pytest.mark.parametrize("how", ["removed", "written anew", "removed by others"])
def test_it_keeps_it_also_once_the_service_knows(world: World, how: str) -> None:
    make(world, "/f", 0o600)
    world.settle()
    number = world.open("/f", os.O_RDWR)
    if how == "removed by others":
        world.account.remove("/f")
        world.follow()
        world.names()
    else:
        world.fs.rename("/f", "/.fuse_hidden0000000100000001")
        if how == "written anew":
            world.put("/f", b"other")
    world.settle()
    told = world.fs.fgetattr(number)
    assert (stat.S_IMODE(told.mode), told.uid) == (0o600, ANNA.uid)
    world.close_file(number)
    world.settle()
    world.restart()
    assert world.pending() == []


def test_a_file_with_an_executable_bit_is_a_program(world: World) -> None:
    make(world, "/run.sh", 0o755)
    world.fs.access("/run.sh", os.X_OK)
    world.fs.metadata.chmod("/run.sh", 0o644)
    with pytest.raises(NotExecutable):
        world.fs.access("/run.sh", os.X_OK)


def test_a_mount_that_keeps_none_shows_all_files_alike(tmp_path: Path) -> None:
    world = World(tmp_path, keeps_attributes=False, umask=0o027, uid=1234, gid=4321)
    make(world, "/f", 0o700)
    world.fs.metadata.chmod("/f", 0o777)
    world.fs.metadata.chown("/f", 1, 1)
    assert shown(world, "/f") == (0o640, 1234, 4321)
    assert world.state("/f").kept is None
    world.close()


def test_an_open_that_fails_at_the_set_id_bits_leaves_the_bytes_and_no_handle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(world, "/f", 0o4755)
    world.put("/f", b"precious")
    world.settle()

    def fail(*_: object) -> None:
        raise NoSpace("the store's disk is full")

    with monkeypatch.context() as patch, pytest.raises(NoSpace):
        patch.setattr(Metadata, "drop_set_ids", fail)
        world.fs.open("/f", os.O_WRONLY | os.O_TRUNC, Caller(1003, 1004))
    assert len(world.core.files) == 0
    world.settle()
    assert world.pending() == []
    assert world.remote() == {"/f": b"precious"}


@pytest.mark.parametrize(("caller", "mode"), [(Caller(1003, 1004), 0o755), (Caller(0, 0), 0o6755)])
def test_a_write_past_the_kernel_s_pages_takes_the_set_id_bits(
    world: World, caller: Caller, mode: int
) -> None:
    """Of a write through the pages the kernel takes them itself."""
    opened = world.fs.create("/f", os.O_WRONLY, 0o755, caller)
    assert opened.is_direct
    world.fs.metadata.chmod("/f", 0o6755)
    world.fs.write(opened.number, 0, b"x", caller=lambda: caller)
    assert stat.S_IMODE(world.fs.fgetattr(opened.number).mode) == mode
    world.close_file(opened.number)
