"""Handles, numbers, and bytes shared by several opens."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from mountfs.errors import BadHandle, MountfsError, NotFound
from mountfs.files.numbered import Numbered
from tests.doubles.world import World


def run_at_once(*calls: Callable[[], None]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_number_is_never_given_twice() -> None:
    numbered: Numbered[str] = Numbered()
    first = numbered.add("a")
    assert numbered.pop(first) == "a"
    assert numbered.add("b") != first
    with pytest.raises(BadHandle):
        numbered[first]
    with pytest.raises(BadHandle):
        numbered.pop(first)


def test_all_opens_of_one_version_share_it(world: World) -> None:
    world.theirs("/f", b"x")
    numbers = [world.fs.open("/f", flags).number for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY)]
    assert len(world.core.files) == 1
    for number in numbers:
        world.close_file(number)
    assert len(world.core.files) == 0


def test_writers_at_once_lose_nothing(world: World) -> None:
    count, size_bytes = 8, 1000
    numbers = [world.fs.create("/f", os.O_RDWR | os.O_CREAT).number for _ in range(count)]

    def write(position: int) -> None:
        for at in range(0, size_bytes, 100):
            body = bytes([position]) * 100
            assert world.fs.write(numbers[position], position * size_bytes + at, body) == 100
        world.close_file(numbers[position])

    run_at_once(*[lambda position=position: write(position) for position in range(count)])
    assert world.get("/f") == b"".join(bytes([position]) * size_bytes for position in range(count))
    assert len(world.core.files) == 0


def test_appenders_at_once_never_overwrite_each_other(world: World) -> None:
    world.put("/log", b"")
    flags = os.O_WRONLY | os.O_APPEND
    wanted = [bytes([65 + n]) * 9 for n in range(4)]

    def write(line: bytes) -> None:
        number = world.fs.open("/log", flags).number
        for _ in range(50):
            world.fs.write(number, 0, line + b"\n")
        world.close_file(number)

    run_at_once(*[lambda line=line: write(line) for line in wanted])
    assert sorted(world.get("/log").splitlines()) == sorted(wanted * 50)


def test_opening_closing_and_renaming_at_once_ends_in_order(world: World) -> None:
    world.put("/a", b"0")
    failures: list[BaseException] = []

    def edit() -> None:
        for _ in range(60):
            for path in ("/a", "/b"):
                try:
                    number = world.fs.open(path, os.O_WRONLY | os.O_APPEND).number
                except NotFound:
                    continue
                except Exception as error:
                    failures.append(error)
                else:
                    world.fs.write(number, 0, b"x")
                    world.close_file(number)

    def rename() -> None:
        for _ in range(60):
            world.rename("/a", "/b")
            world.rename("/b", "/a")

    run_at_once(edit, edit, rename)
    assert not failures
    assert len(world.core.files) == 0
    world.settle()
    ((path, body),) = world.account.files().items()
    assert path == "/a"
    assert body.startswith(b"0x")


# Calls that come in the midst of others

LOOK_S = 0.2
"""Time enough for a thread to make a call, if nothing keeps it."""


def call_after(
    owner: object, name: str, call: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> threading.Thread:
    """Another thread makes *call* as soon as the step *name* of *owner* is done, while what the step is a
    part of is not: it is given the time."""
    step = getattr(owner, name)
    thread = threading.Thread(target=call)

    def slowly(*args: Any, **named: Any) -> Any:
        result = step(*args, **named)
        monkeypatch.setattr(owner, name, step)
        thread.start()
        thread.join(LOOK_S)
        return result

    monkeypatch.setattr(owner, name, slowly)
    return thread


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

    owner, name = (world.core.verbs, "rename") if moment == "tree" else (world.core.files, "renamed")
    opener = call_after(owner, name, open_it, monkeypatch)
    world.rename("/a", "/b")
    opener.join(10)
    world.put("/a", b"another")
    world.rename("/a", "/c")
    for number in opened:
        world.fs.write(number, 0, b" and new")
        world.close_file(number)
    world.settle()
    assert len(opened) == (looked_at == "/b")
    wanted = b"old and new" if opened else b"old"
    assert world.account.files() == {"/b": wanted, "/c": b"another"}


@pytest.mark.parametrize("is_new", [True, False])
def test_an_open_that_meets_a_version_just_begun_shares_its_file(
    world: World, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    if not is_new:
        world.theirs("/f", b"old")
    got: list[int] = []
    opener = call_after(
        world.core.verbs,
        "create" if is_new else "begin",
        lambda: got.append(world.fs.open("/f", os.O_RDONLY).number),
        monkeypatch,
    )
    if is_new:
        number = world.fs.create("/f", os.O_RDWR | os.O_CREAT).number
    else:
        number = world.fs.open("/f", os.O_RDWR).number
    world.fs.write(number, 0, b"new")
    opener.join(10)
    assert len(world.core.files) == 1
    assert world.fs.read(got[0], 0, 10) == b"new"
    world.close_file(number)
    world.close_file(got[0])


@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_that_is_made_while_a_folder_above_it_is_renamed_goes_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """The rename comes when it was looked where the file is to be; *is_there*: or once it is there."""
    world.mkdir("/a")
    owner, name = (world.core.verbs, "create") if is_there else (world.core.tree, "new_node")
    mover = call_after(owner, name, lambda: world.rename("/a", "/b"), monkeypatch)
    number = world.fs.create("/a/f", os.O_WRONLY | os.O_CREAT).number
    mover.join(10)
    world.fs.write(number, 0, b"x")
    world.close_file(number)
    assert world.tree() == {"/b": None, "/b/f": b"x"}
    world.settle()
    assert world.remote() == {"/b": None, "/b/f": b"x"}


def test_a_file_is_not_made_in_a_folder_that_was_renamed_while_it_was_being_listed(world: World) -> None:
    world.account.mkdir("/a")
    assert world.names() == {"a"}
    failures: list[BaseException] = []

    def make() -> None:
        try:
            world.put("/a/f", b"x")
        except MountfsError as error:
            failures.append(error)

    world.memory.hold("list_folder")
    maker = threading.Thread(target=make)
    maker.start()
    assert world.memory.wait_until_held("list_folder")
    world.rename("/a", "/b")
    world.memory.release("list_folder")
    maker.join(10)
    (failure,) = failures
    assert isinstance(failure, NotFound)
    assert world.tree() == {"/b": None}
    assert world.core.spool.names() == []
    world.settle()
    assert world.remote() == {"/b": None}


def test_files_made_while_a_folder_above_them_is_renamed_all_the_time_are_all_there(world: World) -> None:
    world.mkdir("/a")
    made: dict[str, bytes] = {}

    def make(maker: int) -> None:
        for count in range(60):
            name, body = f"{maker}-{count}", f"{maker} {count}".encode()
            for folder in ("/a", "/b"):
                with suppress(NotFound):
                    world.put(f"{folder}/{name}", body)
                    made[name] = body
                    break

    def rename() -> None:
        for _ in range(60):
            world.rename("/a", "/b")
            world.rename("/b", "/a")

    run_at_once(lambda: make(1), lambda: make(2), rename)
    assert made
    wanted = {"/a": None} | {f"/a/{name}": body for name, body in made.items()}
    assert world.tree() == wanted
    world.settle()
    assert world.remote() == wanted
    assert len(world.core.files) == 0


@pytest.mark.parametrize("is_committed", [True, False])
def test_what_is_written_to_a_file_that_was_put_beside_overwrites_nobody(
    world: World, is_committed: bool
) -> None:
    """*is_committed*: whether the service has the copy beside already."""
    world.theirs("/f", b"before")
    world.put("/f", b"ours")
    number = world.fs.open("/f", os.O_RDWR).number
    world.account.write("/f", b"theirs")
    if is_committed:
        world.settle()
    else:
        while world.word("/f") != "clean":
            world.commit_steps(1)
        assert world.account.files() == {"/f": b"theirs"}
    world.fs.write(number, 0, b"OURS!")
    world.close_file(number)
    world.settle()
    files = world.account.files()
    assert files.pop("/f") == b"theirs"
    ((path, body),) = files.items()
    assert "conflicted copy" in path
    assert body == b"OURS!"
