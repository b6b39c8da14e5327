"""The next small files of a folder are fetched ahead for who reads one after another."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Sequence

import pytest

from mountfs.errors import Busy, MountfsError, NotFound, Offline, ServerFault, Throttled
from mountfs.files import siblings
from mountfs.files.siblings import (
    FIRST_FILES,
    KEPT_S,
    MOST_FAILURES,
    MOST_FILES,
    PAUSE_S,
    SMALL_BYTES,
    Siblings,
)
from mountfs.model.entry import File
from mountfs.tree import residents
from mountfs.tree.node import Node
from tests.doubles.world import World


class Asked:
    """Stands where the reader does."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.ids: list[str] = []
        self.failed: Callable[[BaseException], None] = lambda _error: None

    def prefetch(self, file: File, failed: Callable[[BaseException], None]) -> None:
        self.names.append(file.name)
        self.ids.append(file.id)
        self.failed = failed

    def aside(self, call: Callable[[], None]) -> None:
        call()


@pytest.fixture
def asked(world: World) -> Asked:
    asked = Asked()
    world.serve_with(
        on_read=Siblings(world.core.tree.lock, world.clock, asked, world.core.listings.load).reads
    )
    return asked


def files_in(world: World, folder: str, count: int) -> list[str]:
    """Names of so many files, in the order in which the mount lists them."""
    for number in range(count):
        world.account.write(f"{folder}/f{number:03}", str(number).encode())
    world.follow()
    return listed(world, folder)


def listed(world: World, folder: str) -> list[str]:
    number = world.fs.opendir(folder)
    names = [name for name, _, _ in world.fs.readdir(number)]
    world.fs.releasedir(number)
    return names


def read(world: World, *paths: str) -> None:
    for path in paths:
        assert world.get(path) is not None


def test_one_read_says_nothing(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 10)
    read(world, f"/d/{names[0]}")
    read(world, f"/d/{names[0]}")
    assert asked.names == []


def test_the_second_brings_some_ahead_and_each_further_one_more(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 400)
    read(world, *(f"/d/{name}" for name in names[:2]))
    assert asked.names == names[2 : 2 + FIRST_FILES]
    ahead = []
    for place, name in enumerate(names[2:], 2):
        read(world, f"/d/{name}")
        ahead.append(len(asked.names) - (place - 1))
    assert max(ahead) == MOST_FILES
    assert asked.names == names[2:]  # each once


def test_files_are_fetched_in_the_order_of_their_names_for_a_shell_that_sorts_them(
    world: World, asked: Asked
) -> None:
    for number in random.Random(3).sample(range(50), 50):
        world.account.write(f"/d/f{number:03}", b"x")
    world.follow()
    names = listed(world, "/d")
    in_order = sorted(names)
    assert names != in_order
    start = next(at for at in range(49) if abs(names.index(in_order[at]) - names.index(in_order[at + 1])) > 8)
    read(world, *(f"/d/{name}" for name in in_order[start : start + 2]))
    assert asked.names == in_order[start + 2 : start + 2 + FIRST_FILES]


def test_who_goes_backward_has_those_before_ahead(world: World, asked: Asked) -> None:
    """An image viewer, or ``ls -r``."""
    files_in(world, "/d", 100)
    backward = sorted(listed(world, "/d"), reverse=True)
    read(world, *(f"/d/{name}" for name in backward[:50]))
    assert asked.names[:FIRST_FILES] == backward[2 : 2 + FIRST_FILES]
    assert asked.names == backward[2 : 2 + len(asked.names)]
    assert len(asked.names) >= 90


def test_reads_here_and_there_bring_nothing(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 400)
    read(world, *(f"/d/{names[at]}" for at in (10, 300, 100, 200, 20, 390, 50)))
    assert asked.names == []


def test_reads_here_and_there_go_through_the_folder_once(
    world: World, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more for the order of the names, and that backward; not for each read, of which a large folder
    may have many."""
    made: list[int] = []

    class Counted(siblings._Order):
        def __init__(self, files: Sequence[Node]) -> None:
            made.append(len(files))
            super().__init__(files)

    monkeypatch.setattr(siblings, "_Order", Counted)
    names = files_in(world, "/d", 400)
    read(world, *(f"/d/{name}" for name in random.Random(5).sample(names, 200)))
    assert made == [400, 400, 400]


def test_a_folder_with_too_many_files_is_not_gone_through(
    world: World, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = files_in(world, "/d", 20)
    monkeypatch.setattr(siblings, "FILES_KEPT", 19)
    read(world, *(f"/d/{name}" for name in names))
    assert asked.names == []


def test_files_that_came_since_are_fetched_ahead_as_well(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 4)
    read(world, *(f"/d/{name}" for name in names))
    world.advance(siblings.ORDER_KEPT_S)
    more = [name for name in files_in(world, "/d", 20) if name not in names]
    del asked.names[:]
    read(world, *(f"/d/{name}" for name in more[:3]))
    assert asked.names


def test_a_broken_pattern_begins_small_again(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 400)
    read(world, *(f"/d/{name}" for name in names[:20]))
    before = len(asked.names)
    read(world, f"/d/{names[300]}")
    assert len(asked.names) == before
    read(world, f"/d/{names[301]}")
    assert asked.names[before:] == names[302 : 302 + FIRST_FILES]


def test_who_walks_on_into_the_next_folder_has_its_files_ahead_at_once(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 100)
    others = files_in(world, "/e", 100)
    read(world, *(f"/d/{name}" for name in names[:50]))
    del asked.names[:]
    read(world, f"/e/{others[0]}")
    assert asked.names == others[1 : 1 + MOST_FILES // 2 + siblings.MORE_FILES]


def test_where_a_folder_ends_those_of_the_next_ones_come_next(world: World, asked: Asked) -> None:
    names = {folder: files_in(world, f"/w/{folder}", 30) for folder in ("d", "e", "f", "g")}
    folders = listed(world, "/w")
    in_order = [name for folder in folders for name in names[folder]]
    ahead: list[int] = []
    for folder in folders:
        for name in names[folder]:
            read(world, f"/w/{folder}/{name}")
            ahead.append(len(asked.names) - len(ahead))
    assert max(ahead) <= MOST_FILES + 1
    assert min(ahead[34:56]) >= MOST_FILES // 2  # also over the end of the second folder
    assert asked.names == in_order[2:30] + in_order[31:]  # each once


def test_who_walks_a_tree_backward_has_what_comes_before_ahead(world: World, asked: Asked) -> None:
    """A program that puts what it finds on a stack, as ripgrep does, reads the last file of the last folder
    first."""
    names = {folder: files_in(world, f"/w/{folder}", 8) for folder in ("d", "e", "f", "g")}
    backward = [(folder, name) for folder in sorted(names)[::-1] for name in sorted(names[folder])[::-1]]
    waited = []
    for folder, name in backward:
        if world.file(f"/w/{folder}/{name}").id not in asked.ids:
            waited.append(f"{folder}/{name}")
        read(world, f"/w/{folder}/{name}")
    assert waited == ["g/f007", "g/f006", "f/f007"]
    assert len(asked.ids) == len(set(asked.ids))


def test_where_nobody_goes_on_into_the_next_folder_nothing_of_it_is_fetched(
    world: World, asked: Asked
) -> None:
    """``cp -r w/d there`` brought 64 files of others."""
    names = {folder: files_in(world, f"/w/{folder}", 30) for folder in ("d", "e", "f")}
    listed(world, "/w")
    read(world, *(f"/w/e/{name}" for name in names["e"]))
    assert asked.names == names["e"][2:]


def test_who_reads_some_files_has_at_most_twice_as_many_fetched(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 100)
    read(world, *(f"/d/{name}" for name in names[:6]))
    assert len(asked.names) <= 2 * 6 + FIRST_FILES


def test_folders_with_a_file_each_are_a_walk(world: World, asked: Asked) -> None:
    for number in range(40):
        world.account.write(f"/w/d{number:02}/only", f"{number}".encode())
    world.follow()
    folders = listed(world, "/w")
    for at, folder in enumerate(folders[:20]):
        read(world, *(f"/w/{folder}/{name}" for name in listed(world, f"/w/{folder}")))
        assert at < 2 or len(asked.names) >= at
    assert len(asked.names) >= 30


def test_a_tree_is_walked_down_and_up_and_nothing_beside_it_is_fetched(world: World, asked: Asked) -> None:
    """By a program that reads the files of a folder first, and then those of the folders in it."""
    bodies = {f"/w/s{one}/f{name}" for one in range(4) for name in range(3)}
    bodies |= {f"/w/s{one}/t{two}/f{name}" for one in range(4) for two in range(4) for name in range(3)}
    for path in sorted({*bodies, "/a", "/v/f", "/x/f"}):
        world.account.write(path, path.encode())
    world.follow()
    listed(world, "/")
    waited: list[str] = []

    def walk(folder: str) -> None:
        inside = [f"{folder}/{name}" for name in listed(world, folder)]
        for path in inside:
            if not world.node(path).is_folder:
                if world.file(path).id not in asked.ids:
                    waited.append(path)
                read(world, path)
        for path in inside:
            if world.node(path).is_folder:
                walk(path)

    walk("/w")
    assert len(waited) <= 12
    assert set(asked.ids) <= {world.file(path).id for path in bodies}


def test_many_folders_with_few_files_are_one_run(world: World, asked: Asked) -> None:
    for number in range(60):
        for name in range(2):
            world.account.write(f"/w/d{number:02}/f{name}", f"{number}.{name}".encode())
    world.follow()
    folders = listed(world, "/w")
    for folder in folders[:12]:
        read(world, *(f"/w/{folder}/{name}" for name in listed(world, f"/w/{folder}")))
    assert len(asked.names) >= 2 * (12 + siblings.FOLDERS_AHEAD) - 4


def test_what_is_large_empty_or_ours_is_left_out(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 8)
    world.account.write(f"/d/{names[2]}", bytes(SMALL_BYTES + 1))
    world.account.write(f"/d/{names[3]}", b"")
    world.follow()
    world.put(f"/d/{names[4]}", b"ours")
    read(world, *(f"/d/{name}" for name in listed(world, "/d")[:2]))
    assert set(asked.names) <= {*names} - {*names[2:5]}


ONE_FILE = [NotFound("gone"), ServerFault("500"), Busy("409")]
"""Of one file alone, as far as one failure tells."""


@pytest.mark.parametrize("errors", [[Offline("x")], [Throttled("x")], ONE_FILE[:1] * MOST_FAILURES])
def test_where_the_service_fails_nothing_is_fetched_ahead_for_a_while(
    world: World, asked: Asked, errors: Sequence[MountfsError]
) -> None:
    names = files_in(world, "/d", 100)
    read(world, *(f"/d/{name}" for name in names[:4]))
    for error in errors:
        asked.failed(error)
    del asked.names[:]
    read(world, *(f"/d/{name}" for name in names[4:40]))
    assert asked.names == []
    world.advance(PAUSE_S)
    read(world, *(f"/d/{name}" for name in names[40:43]))
    assert asked.names


def test_files_that_fail_alone_keep_no_others_from_being_fetched_ahead(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 100)
    read(world, *(f"/d/{name}" for name in names[:4]))
    for _ in range(3):
        for error in ONE_FILE:
            asked.failed(error)
        world.advance(PAUSE_S)
    del asked.names[:]
    read(world, *(f"/d/{name}" for name in names[4:40]))
    assert asked.names


def test_each_file_is_requested_once_however_it_comes(world: World) -> None:
    """With the reader's own threads."""
    names = files_in(world, "/d", 200)
    before = world.memory.calls().get("read", 0)
    read(world, *(f"/d/{name}" for name in names))
    world.core.reader.close()
    assert world.memory.calls()["read"] - before == 200


def test_a_writer_brings_nothing(world: World, asked: Asked) -> None:
    names = files_in(world, "/d", 10)
    for name in names[:5]:
        number = world.open(f"/d/{name}", os.O_WRONLY | os.O_TRUNC)
        world.close_file(number)
    assert asked.names == []


def test_files_are_let_go_of_from_memory_though_they_were_read_once(
    world: World, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        world.account.write(f"/d/once{number:02}", b"x")
    files_in(world, "/other", 3)
    read(world, *(f"/d/{name}" for name in listed(world, "/d")[:3]))
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 10)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    read(world, "/other/f000")
    world.core.tree.shrink()
    assert not any(each.state.name.startswith("once") for each in world.core.tree.nodes.values())

    def kept() -> int:
        """Nodes that somebody still refers to."""
        gc.collect()
        nodes = [each for each in gc.get_objects() if isinstance(each, Node)]
        return sum(each.state.name.startswith("once") for each in nodes)

    assert kept() == 60
    world.advance(KEPT_S)
    read(world, "/other/f001", "/other/f002")
    assert kept() == 0
