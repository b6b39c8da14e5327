"""Nodes that are found by their ids, in folders that are not in memory, are let go of as others are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import NotFound
from mountfs.model.entry import File, Folder
from mountfs.model.path import fold
from mountfs.tree import foldernames, residents
from mountfs.tree.node import forgotten
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

FOLDERS, FILES = 12, 8


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Every folder was listed once, and hardly any is in memory."""
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 5)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    monkeypatch.setattr(residents, "LOOSE_KEPT", 5)
    made = World(tmp_path)
    for folder in range(FOLDERS):
        for file in range(FILES):
            made.account.write(f"/d{folder:02}/sub/f{file}", b"x")
    made.follow()
    for folder in range(FOLDERS):
        assert len(made.names(f"/d{folder:02}/sub")) == FILES
    yield made
    made.close()


def change_all(world: World, body: bytes) -> None:
    for folder in range(FOLDERS):
        for file in range(FILES):
            world.account.write(f"/d{folder:02}/sub/f{file}", body)


def test_what_others_change_in_folders_that_are_not_in_memory_is_let_go_of_again(world: World) -> None:
    tree = world.core.tree
    before = len(tree.nodes)
    for number in range(3):
        change_all(world, b"%d" % number)
        world.follow()
        assert faults_of(tree) == []
    assert len(tree.nodes) <= before + residents.LOOSE_KEPT
    for folder in range(FOLDERS):
        assert world.names(f"/d{folder:02}/sub") == {f"f{file}" for file in range(FILES)}
        assert world.get(f"/d{folder:02}/sub/f0") == b"2"
    assert faults_of(tree) == []


def test_what_others_removed_and_made_anew_meanwhile_is_shown(world: World) -> None:
    change_all(world, b"new")
    for folder in range(0, FOLDERS, 2):
        world.account.remove(f"/d{folder:02}/sub/f1")
        world.account.write(f"/d{folder:02}/sub/more", b"more")
    world.account.remove("/d01")
    world.follow()
    assert faults_of(world.core.tree) == []
    shown = {path: body for path, body in world.tree().items() if body is not None}
    assert shown == {path: body for path, body in world.remote().items() if body is not None}
    while world.core.tree.sweep_detached(100):
        pass
    assert faults_of(world.core.tree) == []


def test_what_is_open_stays_with_the_folders_above_it(world: World) -> None:
    tree = world.core.tree
    number = world.open("/d03/sub/f3", os.O_RDONLY)
    change_all(world, b"theirs")
    world.follow()
    world.follow()
    assert faults_of(tree) == []
    assert world.fs.read(number, 0, 10) == b"x"
    assert world.node("/d03/sub/f3") in tree.nodes.values()
    world.fs.release(number)


def test_what_is_edited_meanwhile_stays_and_is_sent(world: World) -> None:
    change_all(world, b"theirs")
    world.follow()
    world.put("/d05/sub/f5", b"ours")
    change_all(world, b"theirs again")
    world.follow()
    assert world.get("/d05/sub/f5") == b"ours"
    assert faults_of(world.core.tree) == []
    world.settle()
    assert b"ours" in world.remote().values()


def test_the_rows_of_a_folder_are_read_once_for_all_changes_that_are_told_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,000 changes in as many of 10,000 folders held the lock for 20 s else."""
    world.restart()
    walked = world.core.tree.store.walked
    read: list[int] = []
    folders_in = walked.folders_in

    def counted(folder_id: int, *, after_id: int, most: int) -> tuple[list[tuple[int, str]], int | None]:
        read.append(folder_id)
        return folders_in(folder_id, after_id=after_id, most=most)

    monkeypatch.setattr(walked, "folders_in", counted)
    assert world.core.tree.root.part.children is None
    for folder in range(FOLDERS):
        world.account.write(f"/d{folder:02}/more", b"more")
    world.follow()
    assert len(read) == 1
    assert all("more" in world.names(f"/d{folder:02}") for folder in range(FOLDERS))


def test_folders_that_change_while_their_names_are_read_are_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foldernames, "CHUNK", 2)
    world.restart()
    tree = world.core.tree
    names = foldernames.FolderNames(tree)
    moved, removed = tree.store.children(tree.root.id, most=2)
    with tree.lock:
        names.read_part(tree.root)
    assert not names.has_all(tree.root)
    with tree.transaction():
        nodes = [tree.enter_row(row, None) for row in (moved, removed)]
        assert nodes[0] is not None and nodes[1] is not None
        renamed = nodes[0].state.based(tree.root, Folder("id:moved", "New"))
        tree.change((nodes[0], renamed), (nodes[1], forgotten(nodes[1].state)))
        walked = tree.store.next_id()
        tree.store.walked.add([(walked, tree.root.id, Folder("id:walked", "Walked"))])
    with tree.lock:
        found = names.find(tree.root, "new")
        assert found is not None and found.id == moved.id
        assert names.find(tree.root, fold(moved.name)) is None
        assert names.find(tree.root, fold(removed.name)) is None
        last = names.find(tree.root, "walked")
    assert names.has_all(tree.root)
    assert last is not None and last.id == walked


def test_of_two_rows_of_one_name_the_one_that_is_not_shown_is_let_go_of(world: World) -> None:
    """As a listing may leave them whose pages tell of a path twice."""
    tree = world.core.tree
    with tree.transaction():
        ids = [tree.store.next_id() for _ in range(3)]
        found = [(each, tree.root.id, File(f"id:{each}", "twice", "1", 1, 0, "0")) for each in ids]
        tree.store.walked.add(found)
    world.restart()
    tree = world.core.tree
    for each in ids:
        with tree.lock:
            assert tree.by_remote_id(f"id:{each}") is not None
    assert tree.root.part.loose == len(ids)
    assert "twice" in world.names()
    change_all(world, b"theirs")
    for _ in range(3):
        world.follow()
    assert tree.root.part.loose == 0
    assert len([each for each in ids if each in tree.nodes]) <= 1


def test_a_folder_that_was_let_go_of_and_has_vanished_since_is_not_loaded_into_a_node_that_nobody_finds(
    world: World,
) -> None:
    """Who fetches files ahead may still know it."""
    world.account.mkdir("/above/in")
    world.follow()
    world.names("/above/in")
    folder = world.node("/above/in")
    tree = world.core.tree
    with tree.lock:
        for each in (folder, tree.root, world.node("/above")):
            if each.part.children is not None:
                tree.residents._evict(each)
    world.account.remove("/above")
    world.follow()
    world.names()
    world.settle()
    while tree.sweep_detached(100):
        pass
    with pytest.raises(NotFound):
        world.core.listings.load_for_walk(folder)
    assert faults_of(tree) == []
