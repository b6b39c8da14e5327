"""link(2): refused, or a second file with the same bytes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from mountfs.attributes import Caller, HardLinks, Links
from mountfs.errors import AlreadyExists, NotFound, NotPermitted, Offline, ReadOnly
from mountfs.files.openfile import OpenFile
from mountfs.model.order import OrderKind
from tests.doubles.world import MIB, World

ANNA = Caller(1001, 1002)
THEN_NS = 10**18 + 7


@pytest.fixture
def linking(tmp_path: Path) -> World:
    return World(tmp_path, hard_links=HardLinks.COPY)


def orders(world: World) -> list[OrderKind]:
    return [order.kind for batch in world.account.submits for order in batch]


def test_a_hard_link_is_refused_unless_the_option_says_otherwise(world: World) -> None:
    world.put("/a", b"text")
    with pytest.raises(NotPermitted):
        world.fs.link("/a", "/b")
    assert world.names() == {"a"}


def test_a_hard_link_to_a_file_that_is_still_to_be_sent_is_a_second_file(linking: World) -> None:
    linking.put("/a", b"text")
    linking.mkdir("/d")
    linking.fs.link("/a", "/d/b")
    assert linking.get("/d/b") == b"text"
    assert linking.fs.getattr("/d/b").links == linking.fs.getattr("/a").links == 1
    assert linking.fs.getattr("/d/b").inode != linking.fs.getattr("/a").inode
    linking.put("/a", b"other")
    assert linking.get("/d/b") == b"text"
    linking.restart()
    linking.settle()
    assert linking.remote() == {"/a": b"other", "/d": None, "/d/b": b"text"}


@pytest.mark.parametrize("size", [5, 3 * MIB])
def test_the_service_makes_the_second_file_of_one_that_it_has(linking: World, size: int) -> None:
    body = os.urandom(size)
    linking.theirs("/a", body)
    linking.get("/a")
    linking.fs.link("/a", "/b")
    linking.fs.unlink("/a")
    linking.fs.link("/b", "/a")
    linking.account.submits.clear()
    linking.settle()
    assert linking.remote() == {"/a": body, "/b": body}
    linking.fs.link("/a", "/c")
    linking.account.submits.clear()
    linking.settle()
    assert orders(linking) == [OrderKind.COPY]
    assert linking.remote() == dict.fromkeys(("/a", "/b", "/c"), body)


def test_a_hard_link_has_the_attributes_of_the_file_and_its_time(linking: World) -> None:
    number = linking.fs.create("/a", os.O_WRONLY | os.O_CREAT, 0o640, ANNA).number
    linking.fs.write(number, 0, b"text")
    linking.close_file(number)
    linking.fs.metadata.setxattr("/a", "user.origin", b"camera")
    linking.touch("/a", THEN_NS)
    linking.fs.link("/a", "/b")
    for _ in range(2):
        told = linking.fs.getattr("/b")
        assert (stat.S_IMODE(told.mode), told.uid, told.gid, told.mtime_ns) == (0o640, *ANNA, THEN_NS)
        assert linking.fs.metadata.getxattr("/b", "user.origin") == b"camera"
        linking.restart()
    linking.fs.metadata.chmod("/b", 0o600)
    assert stat.S_IMODE(linking.fs.getattr("/a").mode) == 0o640


def test_a_hard_link_outlives_a_kill_also_where_its_attributes_fit_into_no_label(linking: World) -> None:
    linking.put("/a", b"text")
    for number in range(3):
        linking.fs.metadata.setxattr("/a", f"user.{number}", b"v" * 4096)
    linking.fs.link("/a", "/b")
    linking.restart()
    assert linking.get("/b") == b"text"
    assert len(linking.fs.metadata.getxattr("/b", "user.2")) == 4096
    assert linking.notices() == []


def test_a_file_that_is_open_is_linked_as_it_is_at_that_moment(linking: World) -> None:
    number = linking.begin("/a", b"begun")
    linking.fs.link("/a", "/b")
    linking.fs.write(number, 5, b" and done")
    assert linking.get("/b") == b"begun"
    linking.close_file(number)
    linking.settle()
    assert linking.remote() == {"/a": b"begun and done", "/b": b"begun"}


def test_a_large_file_of_the_services_that_was_edited_is_linked_whole(linking: World) -> None:
    linking.theirs("/a", b"x" * 3 * MIB)
    number = linking.open("/a", os.O_WRONLY)
    linking.fs.write(number, 5, b"edit")
    linking.fs.link("/a", "/b")
    linking.close_file(number)
    wanted = b"x" * 5 + b"edit" + b"x" * (3 * MIB - 9)
    assert linking.get("/b") == wanted
    linking.settle()
    assert linking.remote() == {"/a": wanted, "/b": wanted}


@pytest.mark.parametrize("is_edited", [True, False])
def test_what_is_written_while_a_link_is_fetched_is_not_in_it(
    linking: World, monkeypatch: pytest.MonkeyPatch, *, is_edited: bool
) -> None:
    monkeypatch.setattr("mountfs.files.copyup.COPY_BYTES", MIB)
    linking.theirs("/a", b"x" * 3 * MIB)
    linking.touch("/a", THEN_NS)
    number = linking.open("/a", os.O_WRONLY)
    if is_edited:
        linking.fs.write(number, 5, b"edit")
        linking.touch("/a", THEN_NS)
    before = b"x" * 5 + (b"edit" if is_edited else b"xxxx") + b"x" * (3 * MIB - 9)
    reader = linking.core.reader
    read, reads = reader.read, []

    def read_and_write(*given: Any, **named: Any) -> bytes:
        found = read(*given, **named)
        reads.append(given)
        if len(reads) == 1:
            linking.fs.write(number, MIB, b"y" * 2 * MIB)
        return found

    monkeypatch.setattr(type(reader), "read", lambda _, *given, **named: read_and_write(*given, **named))
    linking.fs.link("/a", "/b")
    assert reads
    linking.close_file(number)
    assert linking.get("/b") == before
    assert linking.fs.getattr("/b").mtime_ns == THEN_NS
    assert linking.get("/a") == before[:MIB] + b"y" * 2 * MIB


def test_what_stays_here_is_linked_as_a_second_one_of_its_kind(linking: World) -> None:
    linking.fs.symlink("/a", "no/where", ANNA)
    linking.fs.mknod("/fifo", stat.S_IFIFO | 0o640, 0, ANNA)
    linking.fs.link("/a", "/b")
    linking.fs.link("/fifo", "/g")
    linking.restart()
    assert linking.fs.readlink("/b") == "no/where"
    told = linking.fs.getattr("/g")
    assert (told.mode, told.uid, told.gid) == (stat.S_IFIFO | 0o640, *ANNA)


def test_a_link_that_the_service_keeps_is_linked_as_a_link(tmp_path: Path) -> None:
    world = World(tmp_path, hard_links=HardLinks.COPY, links=Links.RCLONE)
    world.fs.symlink("/a", "no/where", ANNA)
    world.fs.link("/a", "/b")
    assert world.fs.readlink("/b") == "no/where"
    world.settle()
    assert set(world.remote()) == {"/a.rclonelink", "/b.rclonelink"}


def test_a_hard_link_is_refused_where_no_file_could_be_made(linking: World) -> None:
    linking.put("/a", b"text")
    linking.put("/b", b"other")
    linking.mkdir("/d")
    for source, target, error in (
        ("/a", "/b", AlreadyExists),
        ("/a", "/d", AlreadyExists),
        ("/a", "/none/b", NotFound),
        ("/none", "/c", NotFound),
        ("/d", "/c", NotPermitted),
    ):
        with pytest.raises(error):
            linking.fs.link(source, target)
    with pytest.raises(ReadOnly):
        linking.file_system(hard_links=HardLinks.COPY, is_read_only=True).link("/a", "/c")
    assert linking.tree() == {"/a": b"text", "/b": b"other", "/d": None}
    assert len(os.listdir(linking.places.spool)) == 2


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_kill_amid_a_link_leaves_nothing_of_it(linking: World, *, is_sent: bool) -> None:
    if is_sent:
        linking.theirs("/a", b"x" * 3 * MIB)
    else:
        linking.put("/a", b"text")
    linking.open("/a", os.O_RDONLY)
    (file,) = linking.core.files.all()
    file.copied()
    linking.restart()
    linking.settle()
    assert linking.notices() == []
    assert linking.names() == {"a"}
    assert os.listdir(linking.places.spool) == []


def test_a_file_whose_bytes_cannot_be_had_is_not_linked(linking: World) -> None:
    linking.theirs("/a", b"text")
    linking.names()
    linking.backend.fail("read", Offline("no network"), times=9)
    with pytest.raises(Offline):
        linking.fs.link("/a", "/b")
    assert linking.names() == {"a"}


def test_a_link_that_failed_leaves_no_second_file(linking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    linking.put("/a", b"text")

    def fail(_: OpenFile) -> None:
        raise OSError(errno.EIO, "the disk fails")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(OpenFile, "flush", fail)
        linking.fs.link("/a", "/b")
    assert linking.names() == {"a"}
    linking.fs.link("/a", "/b")
    linking.settle()
    assert linking.remote() == {"/a": b"text", "/b": b"text"}
    assert linking.notices() == []


def test_a_link_to_what_was_made_here_is_not_lost_with_the_first(linking: World) -> None:
    linking.put("/a", b"text")
    linking.fs.link("/a", "/b")
    linking.fs.unlink("/a")
    linking.restart()
    assert linking.tree() == {"/b": b"text"}
    linking.settle()
    assert linking.remote() == {"/b": b"text"}
