"""Handles, numbers, and contents shared by several opens."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mountfs.errors import BadHandle, NotFound
from mountfs.files.handles import Numbered
from mountfs.model.change import Change, ChangeEvent
from mountfs.model.path import RemotePath
from tests.unit.files.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_number_is_never_given_twice() -> None:
    numbered: Numbered[str] = Numbered()
    first = numbered.add("a")
    assert numbered.pop(first) == "a"
    assert numbered.add("b") != first
    with pytest.raises(BadHandle):
        numbered[first]
    with pytest.raises(BadHandle):
        numbered.pop(first)


def test_all_opens_of_one_content_share_it(world: World) -> None:
    world.theirs("/f", b"x")
    numbers = [world.fs.open("/f", flags).number for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY)]
    assert len(world.files) == 1
    for number in numbers:
        world.close_file(number)
    assert len(world.files) == 0


def test_writers_at_once_lose_nothing(world: World) -> None:
    count, size_bytes = 8, 1000
    numbers = [world.fs.create("/f", os.O_RDWR | os.O_CREAT).number for _ in range(count)]

    def write(position: int) -> None:
        for at in range(0, size_bytes, 100):
            body = bytes([position]) * 100
            assert world.fs.write(numbers[position], position * size_bytes + at, body) == 100
        world.close_file(numbers[position])

    threads = [threading.Thread(target=write, args=(position,)) for position in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert world.get("/f") == b"".join(bytes([position]) * size_bytes for position in range(count))
    assert len(world.files) == 0


def test_appenders_at_once_never_overwrite_each_other(world: World) -> None:
    world.put("/log", b"")
    flags = os.O_WRONLY | os.O_APPEND

    def write(line: bytes) -> None:
        number = world.fs.open("/log", flags).number
        for _ in range(50):
            world.fs.write(number, 0, line)
        world.close_file(number)

    threads = [threading.Thread(target=write, args=(bytes([65 + n]) * 9 + b"\n",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    lines = world.get("/log").splitlines()
    assert sorted(lines) == sorted(bytes([65 + n]) * 9 for n in range(4) for _ in range(50))


def test_opening_closing_and_renaming_at_once_ends_in_order(world: World) -> None:
    world.put("/a", b"0")
    failures: list[BaseException] = []

    def edit() -> None:
        for _ in range(60):
            for path in ("/a", "/b"):
                try:
                    number = world.fs.open(path, os.O_WRONLY | os.O_APPEND).number
                except FileNotFoundError as error:
                    failures.append(error)
                except Exception as error:
                    if type(error).__name__ != "NotFound":
                        failures.append(error)
                else:
                    world.fs.write(number, 0, b"x")
                    world.close_file(number)

    def rename() -> None:
        for _ in range(60):
            world.fs.rename("/a", "/b")
            world.fs.rename("/b", "/a")

    threads = [threading.Thread(target=edit) for _ in range(2)] + [threading.Thread(target=rename)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert len(world.files) == 0
    world.settle()
    ((path, body),) = world.account.files().items()
    assert path == "/a"
    assert body.startswith(b"0x")


LOOK_S = 0.2
"""Time enough for a thread to open a file, if nothing keeps it."""


@pytest.mark.parametrize("looked_at", ["/a", "/b"])
@pytest.mark.parametrize("moment", ["tree", "files"])
def test_a_file_that_is_opened_in_the_midst_of_its_rename_is_the_renamed_one(
    world: World, monkeypatch: pytest.MonkeyPatch, looked_at: str, moment: str
) -> None:
    """*moment*: when only the tree knows the new name, or the open files do too."""
    world.put("/a", b"old")
    opened: list[int] = []

    def open_it() -> None:
        with suppress(NotFound):
            opened.append(world.fs.open(looked_at, os.O_WRONLY | os.O_APPEND).number)

    opener = threading.Thread(target=open_it)
    owner, name = (world.namespace, "rename") if moment == "tree" else (world.files, "moved")
    step = getattr(owner, name)

    def slowly(source: RemotePath, target: RemotePath) -> None:
        step(source, target)
        opener.start()
        opener.join(LOOK_S)

    monkeypatch.setattr(owner, name, slowly)
    world.fs.rename("/a", "/b")
    opener.join(10)
    monkeypatch.setattr(owner, name, step)
    world.put("/a", b"another")
    world.fs.rename("/a", "/c")
    for number in opened:
        world.fs.write(number, 0, b" and new")
        world.close_file(number)
    world.settle()
    assert len(opened) == (looked_at == "/b")
    wanted = b"old and new" if opened else b"old"
    assert world.account.files() == {"/b": wanted, "/c": b"another"}


@pytest.mark.parametrize("is_new", [True, False])
def test_an_open_that_meets_a_change_just_begun_shares_its_file(
    world: World, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    if not is_new:
        world.theirs("/f", b"old")
    begin_put = world.namespace.begin_put
    has_begun, others = threading.Event(), []

    def slowly(path: RemotePath, spool: str, *, exclusive: bool = False) -> Change:
        change = begin_put(path, spool, exclusive=exclusive)
        others[0].start()
        assert has_begun.wait(10)
        return change

    got: list[int] = []

    def open_it() -> None:
        node = world.view.stat(RemotePath("/f"))
        has_begun.set()
        assert node.change is not None
        got.append(world.fs.open("/f", os.O_RDONLY).number)

    others.append(threading.Thread(target=open_it))
    monkeypatch.setattr(world.namespace, "begin_put", slowly)
    if is_new:
        number = world.fs.create("/f", os.O_RDWR | os.O_CREAT).number
    else:
        number = world.fs.open("/f", os.O_RDWR).number
    world.fs.write(number, 0, b"new")
    others[0].join(10)
    assert len(world.files) == 1
    assert world.fs.read(got[0], 0, 10) == b"new"
    world.close_file(number)
    world.close_file(got[0])


def test_what_is_written_to_a_file_that_was_put_beside_overwrites_nobody(world: World) -> None:
    world.put("/f", b"ours")
    number = world.fs.open("/f", os.O_RDWR).number
    world.theirs("/f", b"theirs")
    ours = world.journal.live()[0]
    with world.journal.transaction():
        for event in (ChangeEvent.UPLOAD_DONE, ChangeEvent.COMMIT_SENT, ChangeEvent.CONFLICT):
            ours = world.journal.advance(ours, event)
        world.journal.advance(ours, ChangeEvent.RENAMED, path=RemotePath("/f (conflicted copy)"))
    world.fs.write(number, 0, b"OURS")
    world.close_file(number)
    written = world.journal.live()[-1]
    assert (written.path, written.base_revision, written.base_change) == (RemotePath("/f"), None, None)
