"""Names that programs give to files of their own: what is made here under one stays here, and what the
service has under one is like any other file."""

from __future__ import annotations

import os

import pytest

from mountfs.errors import CrossDevice, DirectoryNotEmpty, NotFound
from tests.doubles.world import World

NAMES = ["~$doc.docx", ".x.swp", ".~lock.doc.odt#"]

each_name = pytest.mark.parametrize("name", NAMES)


# What the service has


@each_name
def test_what_the_service_has_is_listed_and_read(world: World, name: str) -> None:
    world.theirs(f"/{name}", b"theirs")
    assert world.names() == {name}
    assert world.get(f"/{name}") == b"theirs"
    assert world.word(f"/{name}") == "clean"


@each_name
def test_what_the_service_has_is_written_there(world: World, name: str) -> None:
    world.theirs(f"/{name}", b"theirs")
    number = world.fs.open(f"/{name}", os.O_RDWR).number
    world.fs.write(number, 0, b"T")
    world.close_file(number)
    world.settle()
    assert world.account.files() == {f"/{name}": b"Theirs"}


@each_name
def test_what_the_service_has_is_removed_there(world: World, name: str) -> None:
    world.theirs(f"/{name}", b"theirs")
    world.fs.unlink(f"/{name}")
    assert world.names() == set()
    world.settle()
    assert world.account.files() == {}


@each_name
def test_a_folder_is_removed_with_what_the_service_has_in_it(world: World, name: str) -> None:
    world.theirs(f"/d/{name}", b"theirs")
    with pytest.raises(DirectoryNotEmpty):
        world.fs.rmdir("/d")
    world.fs.unlink(f"/d/{name}")
    world.fs.rmdir("/d")
    assert world.names() == set()
    world.settle()
    assert world.remote() == {}
    assert world.notices() == []


@each_name
@pytest.mark.parametrize("target", ["/doc", "/~$other.docx", "/d/doc", "/d/~$doc.docx"])
def test_what_the_service_has_is_renamed_there(world: World, name: str, target: str) -> None:
    world.theirs(f"/{name}", b"theirs")
    world.account.mkdir("/d")
    world.follow()
    item_id = world.file(f"/{name}").id
    world.rename(f"/{name}", target)
    assert world.get(target) == b"theirs"
    world.settle()
    assert world.account.files() == {target: b"theirs"}
    assert world.file(target).id == item_id


@each_name
@pytest.mark.parametrize("is_ours", [True, False])
def test_no_rename_withdraws_what_the_service_has(world: World, name: str, is_ours: bool) -> None:
    if is_ours:
        world.put("/doc", b"bytes")
        world.settle()
    else:
        world.theirs("/doc", b"bytes")
    world.rename("/doc", f"/{name}")
    assert world.get(f"/{name}") == b"bytes"
    world.settle()
    assert world.account.files() == {f"/{name}": b"bytes"}


@each_name
def test_a_folder_that_the_service_has_is_renamed_there_with_all_that_is_in_it(
    world: World, name: str
) -> None:
    world.theirs("/d/f", b"bytes")
    world.rename("/d", f"/{name}")
    world.put(f"/{name}/g", b"more")
    world.settle()
    assert world.account.files() == {f"/{name}/f": b"bytes", f"/{name}/g": b"more"}


@each_name
def test_what_the_service_has_is_not_moved_into_a_folder_that_stays_here(world: World, name: str) -> None:
    """`mv` then copies it, and removes it where it was."""
    world.theirs("/doc", b"bytes")
    world.mkdir(f"/{name}")
    with pytest.raises(CrossDevice):
        world.rename("/doc", f"/{name}/doc")
    world.settle()
    assert world.account.files() == {"/doc": b"bytes"}
    assert world.get("/doc") == b"bytes"


@each_name
def test_what_is_on_its_way_is_not_withdrawn_by_a_rename(world: World, name: str) -> None:
    world.account.job_polls = 3
    world.put("/doc", b"bytes")
    while world.word("/doc") != "committing":
        world.commit_steps(1)
    world.rename("/doc", f"/{name}")
    world.settle()
    assert world.account.files() == {f"/{name}": b"bytes"}


@each_name
def test_a_new_file_beside_what_the_service_had_does_not_keep_it_there(world: World, name: str) -> None:
    world.theirs(f"/{name}", b"theirs")
    world.fs.unlink(f"/{name}")
    world.put(f"/{name}", b"ours")
    world.settle()
    assert world.account.files() == {}
    assert world.get(f"/{name}") == b"ours"


# What is made here


@each_name
def test_a_file_that_is_made_here_stays_here(world: World, name: str) -> None:
    world.put(f"/{name}", b"ours")
    world.settle()
    world.restart()
    world.settle()
    assert world.account.files() == {}
    assert world.account.submits == []
    assert world.get(f"/{name}") == b"ours"
    assert world.word(f"/{name}") == "local"
    world.fs.unlink(f"/{name}")
    assert world.names() == set()
    world.settle()
    assert world.core.spool.names() == []


@each_name
def test_a_folder_that_is_made_here_stays_here_with_all_that_is_in_it(world: World, name: str) -> None:
    world.mkdir(f"/{name}")
    world.mkdir(f"/{name}/d")
    world.put(f"/{name}/d/f", b"ours")
    world.settle()
    world.restart()
    world.settle()
    assert world.remote() == {}
    assert world.get(f"/{name}/d/f") == b"ours"


@each_name
def test_what_stayed_here_is_sent_once_it_has_another_name(world: World, name: str) -> None:
    world.put(f"/{name}", b"file")
    world.mkdir("/~$dir")
    world.put("/~$dir/f", b"in it")
    world.settle()
    world.rename(f"/{name}", "/doc")
    world.rename("/~$dir", "/dir")
    world.settle()
    assert world.remote() == {"/doc": b"file", "/dir": None, "/dir/f": b"in it"}


@each_name
def test_a_file_that_was_never_sent_stays_here_once_it_has_such_a_name(world: World, name: str) -> None:
    world.put("/doc", b"ours")
    world.rename("/doc", f"/{name}")
    world.settle()
    assert world.account.files() == {}
    assert world.get(f"/{name}") == b"ours"


@each_name
def test_a_folder_goes_once_what_was_made_here_in_it_is_removed(world: World, name: str) -> None:
    world.theirs("/d/f", b"theirs")
    world.put(f"/d/{name}", b"ours")
    world.settle()
    world.fs.unlink("/d/f")
    with pytest.raises(DirectoryNotEmpty):
        world.fs.rmdir("/d")
    world.fs.unlink(f"/d/{name}")
    world.fs.rmdir("/d")
    world.settle()
    assert world.remote() == {}
    with pytest.raises(NotFound):
        world.fs.getattr("/d")


@each_name
def test_a_new_version_of_what_the_service_has_takes_its_place_though_it_was_written_under_such_a_name(
    world: World, name: str
) -> None:
    world.theirs("/doc", b"old")
    item_id = world.file("/doc").id
    world.put(f"/{name}", b"new")
    world.settle()
    world.rename(f"/{name}", "/doc")
    world.settle()
    assert world.account.files() == {"/doc": b"new"}
    assert world.file("/doc").id == item_id
