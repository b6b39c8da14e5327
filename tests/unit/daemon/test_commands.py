"""Commands about what is cached of a path, and what it was before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.process.commands import PENDING, PRESENT, Commands
from mountfs.errors import (
    AlreadyExists,
    Busy,
    DiskFull,
    InvalidArgument,
    MountfsError,
    NotFound,
    Offline,
    ReadOnly,
    ServerFault,
    Throttled,
    Unreachable,
)
from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from tests.doubles.memory_account import MemoryAccount
from tests.doubles.world import World
from tests.unit.daemon.test_pinner import pinner_of

MIB = 1024 * 1024


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.account.write("/d/x", b"first")
    made.account.write("/d/x", b"the second")
    made.account.write("/d/x", b"3")
    made.account.write("/d/e/big", b"b" * 3 * MIB)
    made.follow()
    yield made
    made.close()


def told(world: World, command: str, path: str, argument: str = "") -> list[str]:
    return list(Commands(world.core, pinner_of(world)).carry_out(command, RemotePath.parse(path), argument))


def revisions(world: World, path: str) -> list[str]:
    return [line.split()[-1] for line in told(world, "versions", path)]


def test_versions_are_listed_the_newest_first(world: World) -> None:
    lines = told(world, "versions", "/d/x")
    assert [line.split()[2:4] for line in lines] == [["1", "B"], ["10", "B"], ["5", "B"]]
    assert lines[0].endswith(PRESENT)
    assert lines[0].startswith("20")


def test_a_former_version_becomes_the_present_one_and_is_shown_at_once(world: World) -> None:
    oldest = revisions(world, "/d/x")[-1]
    assert "5 B" in told(world, "restore", "/d/x", oldest)[0]
    assert world.get("/d/x") == b"first"
    assert len(revisions(world, "/d/x")) == 4
    assert world.pending() == []


def test_a_version_is_shown_without_listing_a_large_folder(world: World) -> None:
    oldest = revisions(world, "/d/x")[-1]
    world.names("/d")
    before = world.backend.calls().get("list_page", 0) + world.backend.calls().get("list_folder", 0)
    told(world, "restore", "/d/x", oldest)
    assert world.get("/d/x") == b"first"
    assert world.backend.calls().get("list_page", 0) + world.backend.calls().get("list_folder", 0) == before


@pytest.mark.parametrize("lost", [Offline("cut"), ServerFault("500")])
def test_a_version_that_became_the_present_one_though_the_reply_was_lost_did(
    world: World, lost: MountfsError
) -> None:
    oldest = revisions(world, "/d/x")[-1]
    world.backend.fail("restore", lost, after=True)
    assert "5 B" in told(world, "restore", "/d/x", oldest)[0]
    assert world.get("/d/x") == b"first"


@pytest.mark.parametrize(
    "lost", [Offline("cut"), ServerFault("500"), Throttled("slow", 1.0), Unreachable("no")]
)
def test_a_version_that_did_not_become_the_present_one_is_told_with_the_reason(
    world: World, lost: MountfsError
) -> None:
    oldest = revisions(world, "/d/x")[-1]
    world.backend.fail("restore", lost)
    with pytest.raises(type(lost)):
        told(world, "restore", "/d/x", oldest)
    assert world.get("/d/x") == b"3"


def test_a_version_without_a_hash_is_not_taken_for_what_nobody_could_look_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest, backend = revisions(world, "/d/x")[-1], world.core.backend
    known = backend.revisions_before

    def without_hashes(file: File, since: str | None) -> list[File]:
        return [replace(each, content_hash=None) for each in known(file, since)]

    monkeypatch.setattr(backend, "revisions_before", without_hashes)
    world.backend.fail("restore", Offline("cut"))
    world.backend.fail("list_folder", Offline("away"))
    with pytest.raises(Offline, match="cut"):
        told(world, "restore", "/d/x", oldest)


def test_what_came_back_though_the_reply_was_lost_is_back(world: World) -> None:
    world.fs.unlink("/d/x")
    world.settle()
    world.backend.fail("undelete", Offline("cut"))
    with pytest.raises(Offline):
        told(world, "undelete", "/d/x")
    world.backend.fail("undelete", Offline("cut"), after=True)
    assert told(world, "undelete", "/d/x") == ["it is back"]
    assert world.get("/d/x") == b"3"


@pytest.mark.parametrize("path", ["/d/x", "/d/e"])
def test_what_stood_there_before_is_no_sign_that_an_undelete_took_effect(world: World, path: str) -> None:
    """A folder whose rest was to come back, for one."""
    world.backend.fail("undelete", ServerFault("500"))
    with pytest.raises(ServerFault):
        told(world, "undelete", path)


def test_a_revision_of_something_else_is_refused(world: World) -> None:
    world.account.write("/d/e/big", b"other")
    world.follow()
    other = revisions(world, "/d/e/big")[-1]
    with pytest.raises(NotFound, match="mountfs versions"):
        told(world, "restore", "/d/x", other)
    assert world.get("/d/x") == b"3"


def test_what_is_pending_is_not_restored_over(world: World) -> None:
    oldest = revisions(world, "/d/x")[-1]
    world.put("/d/x", b"ours")
    with pytest.raises(Busy, match="mountfs wait"):
        told(world, "restore", "/d/x", oldest)
    world.settle()
    told(world, "restore", "/d/x", oldest)
    assert world.get("/d/x") == b"first"
    assert "/d/x" in world.remote()


def test_what_was_removed_comes_back_and_is_shown_at_once(world: World) -> None:
    world.fs.unlink("/d/x")
    world.settle()
    assert "x" not in world.names("/d")
    told(world, "undelete", "/d/x")
    assert world.get("/d/x") == b"3"
    with pytest.raises(AlreadyExists):
        told(world, "undelete", "/d/x")


def test_a_folder_comes_back_with_what_went_along_with_it_and_is_shown_at_once(world: World) -> None:
    world.account.remove("/d")
    world.follow()
    told(world, "undelete", "/d")
    assert world.get("/d/x") == b"3"
    with pytest.raises(AlreadyExists):
        told(world, "undelete", "/d")


@pytest.mark.parametrize(
    ("command", "path", "error"),
    [
        ("versions", "/d", InvalidArgument),
        ("versions", "/none", NotFound),
        ("undelete", "/d/never", NotFound),
        ("undelete", "/", InvalidArgument),
        ("nothing", "/d", InvalidArgument),
    ],
)
def test_what_makes_no_sense_is_told(
    world: World, command: str, path: str, error: type[MountfsError]
) -> None:
    with pytest.raises(error):
        told(world, command, path)


def test_what_is_cached_is_told_and_forgotten(world: World) -> None:
    world.get("/d/x")
    world.get("/d/e/big")
    assert told(world, "cache", "/d") == ["3.0 MiB of 3.0 MiB in 2 files are cached"]
    assert told(world, "cache", "/d/x") == ["1 B of 1 B in 1 file are cached"]
    assert told(world, "clear-cache", "/d/e") == ["3.0 MiB removed from the cache"]
    assert told(world, "cache", "/") == ["1 B of at most 2.0 GiB are cached"]
    assert told(world, "clear-cache", "/") == ["1 B removed from the cache"]
    assert world.core.blocks.used_bytes == 0
    assert world.get("/d/x") == b"3"


def test_what_is_pinned_is_told(world: World) -> None:
    told(world, "pin", "/d")
    pinner = pinner_of(world)
    while pinner.step(world.clock.now_s()) <= world.clock.now_s():
        pass
    assert told(world, "pinned", "/") == ["/d: 3.0 MiB of 3.0 MiB in 2 files are here"]
    assert told(world, "clear-cache", "/d/e") == [
        "0 B removed from the cache; 3.0 MiB stay, since they are pinned"
    ]
    assert "3.0 MiB stay" in told(world, "clear-cache", "/")[0]
    told(world, "unpin", "/d")
    assert told(world, "pinned", "/") == []
    with pytest.raises(NotFound):
        told(world, "unpin", "/d")


def test_that_the_disk_has_no_room_for_what_is_pinned_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(world, "pin", "/d/e/big")
    pinner = pinner_of(world)
    monkeypatch.setattr(world.core.blocks, "has_room_for", lambda _: False)
    with pytest.raises(DiskFull):
        while pinner.step(world.clock.now_s()) <= world.clock.now_s():
            pass
    far = "/d/e/big: 0 B of 3.0 MiB in 1 file are here"
    assert told(world, "pinned", "/") == [f"{far}; the disk has no room for more"]
    monkeypatch.undo()
    assert told(world, "pinned", "/") == [far]


def test_what_is_pinned_is_told_as_this_mount_shows_it(tmp_path: Path) -> None:
    """A mount of a folder has the pins of the mount of everything that was there before."""
    account = MemoryAccount()
    account.write("/d/e/x", b"x")
    account.write("/f", b"f")
    world = World(tmp_path, account=account)
    for path in ("/d/e", "/f"):
        told(world, "pin", path)
    world.close()
    world = World(tmp_path, account=account, settings={"top": RemotePath("/d")})
    assert [line.partition(": ")[0] for line in told(world, "pinned", "/")] == ["/e", "not in this mount"]
    told(world, "unpin", "/E")
    assert told(world, "pinned", "/") == ["not in this mount: /f: 0 B of 1 B in 1 file are here"]
    with pytest.raises(NotFound):
        told(world, "unpin", "/d")
    told(world, "unpin", "/f")
    assert told(world, "pinned", "/") == []
    world.close()


def test_a_pin_whose_file_is_gone_is_told_and_ended(world: World) -> None:
    told(world, "pin", "/d")
    world.account.remove("/d")
    world.follow()
    assert "d" not in world.names("/")
    assert told(world, "pinned", "/") == ["/d: nothing is there now"]
    told(world, "unpin", "/d")
    assert told(world, "pinned", "/") == []


def test_versions_are_listed_while_another_one_is_pending(world: World) -> None:
    world.put("/d/x", b"ours, not sent")
    assert revisions(world, "/d/x")[:2] == [PENDING, PRESENT]
    assert len(revisions(world, "/d/x")) == 4
    world.put("/d/new", b"new")
    with pytest.raises(NotFound, match="no versions"):
        told(world, "versions", "/d/new")


def test_nothing_is_brought_back_over_what_is_pending(world: World) -> None:
    """It would take the name, and what is pending would become a conflicted copy."""
    world.account.remove("/d/x")
    world.follow()
    world.put("/d/x", b"ours")
    with pytest.raises(AlreadyExists, match="not sent yet"):
        told(world, "undelete", "/d/x")
    world.rename("/d/e/big", "/d/e/moved")
    with pytest.raises(Busy, match="still being renamed"):
        told(world, "undelete", "/d/e/big")
    with pytest.raises(AlreadyExists, match="not sent yet"):
        told(world, "undelete", "/d/e/moved")
    world.settle()
    assert world.remote()["/d/x"] == b"ours"


def test_who_asks_for_what_was_in_a_removed_folder_is_told_to_begin_with_that(world: World) -> None:
    world.account.remove("/d")
    world.follow()
    for inner in ("/d/x", "/d/e/big", "/d/e/f/g/h"):
        with pytest.raises(NotFound, match=r"^/d is not there: bring that back first$"):
            told(world, "undelete", inner)


def test_a_mount_that_is_read_only_changes_nothing_at_the_service(world: World) -> None:
    oldest = revisions(world, "/d/x")[-1]
    fs = world.file_system(is_read_only=True)
    commands = Commands(world.core, pinner_of(world), fs.check_writable)
    for command, argument in (("restore", oldest), ("undelete", "")):
        with pytest.raises(ReadOnly):
            commands.carry_out(command, RemotePath("/d/x"), argument)
    assert world.remote()["/d/x"] == b"3"
