"""What is done with a folder keeps nobody waiting for the account's lock longer where much is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mountfs.errors import Forbidden
from mountfs.model.entry import Folder
from mountfs.model.order import Order
from mountfs.ports import Launch
from mountfs.tree import chunks, feed, residents
from mountfs.tree.childrows import read_children
from mountfs.tree.chunks import CHUNK
from mountfs.tree.discard import Discard
from mountfs.tree.node import remote_id
from tests.doubles.counting_lock import CountingLock, counted, longest_hold
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

SMALL, LARGE = 2 * CHUNK, 4 * CHUNK


def known(directory: Path, entries: int, *, are_folders: bool = False) -> tuple[World, CountingLock]:
    """A folder that was listed by a former process, and is not in memory."""
    world, lock = counted(directory)
    for number in range(entries):
        path = f"/d/{number}"
        if are_folders:
            world.account.mkdir(path)
        else:
            world.account.write(path, b"")
    world.follow()
    world.names()
    world.names("/d")
    return world, lock


def as_after_a_start(world: World) -> None:
    world.restart()
    world.follow()
    world.names()


def known_with_a_rename_and_a_removal(directory: Path, entries: int) -> tuple[World, CountingLock]:
    """Both are pending after a start, which leaves the folder out of memory."""
    world, lock = known(directory, entries)
    world.rename("/d/1", "/moved")
    world.fs.unlink("/d/2")
    as_after_a_start(world)
    return world, lock


def hold_of_conflict(directory: Path, entries: int) -> int:
    """Somebody else changes a file first."""
    world, lock = known(directory, entries)
    world.put("/d/1", b"ours")
    as_after_a_start(world)
    world.upload_all()
    world.account.write("/d/1", b"theirs")
    found = longest_hold(lock, world.settle)
    assert any("conflicted copy" in told for told in world.notices())
    return sound(world, found)


def hold_of_refusals(directory: Path, entries: int) -> int:
    """A rename and a removal are refused."""
    world, lock = known_with_a_rename_and_a_removal(directory, entries)
    for path in ("/d/1", "/d/2", "/moved"):
        world.backend.refuse(path, Forbidden("no"), 9)
    found = longest_hold(lock, world.settle)
    assert world.names("/d") >= {"1", "2"}
    return sound(world, found)


def hold_of_discard(directory: Path, entries: int) -> int:
    """A rename and a removal are given up."""
    world, lock = known_with_a_rename_and_a_removal(directory, entries)
    discard = Discard(world.core.tree, world.core.listings, world.core.copies)
    found = longest_hold(lock, lambda: discard.run(world.core.tree.root, is_trial=False))
    assert world.names("/d") >= {"1", "2"}
    return sound(world, found)


def hold_of_removal_by_others(directory: Path, entries: int) -> int:
    """Somebody else removes a folder with something of ours in it."""
    world, lock = known(directory, entries)
    world.put("/d/new", b"ours")
    as_after_a_start(world)
    world.account.remove("/d")
    world.follow()
    found = longest_hold(lock, world.names)
    assert world.names("/d") == {"new"}
    return sound(world, found)


def hold_of_replacement_by_others(directory: Path, entries: int) -> int:
    """Somebody else puts another folder in the place of one with something of ours in it."""
    world, lock = known(directory, entries)
    world.put("/d/new", b"ours")
    as_after_a_start(world)
    world.account.remove("/d")
    world.account.write("/d/theirs", b"")
    world.follow()
    found = longest_hold(lock, world.names)
    world.settle()
    world.follow()
    assert world.names("/d") == {"new", "theirs"}
    return sound(world, found)


def hold_of_replacement_by_others_of_what_is_clean(directory: Path, entries: int) -> int:
    """The same, where nothing of ours is in it."""
    world, lock = known(directory, entries)
    as_after_a_start(world)
    world.account.remove("/d")
    world.account.write("/d/theirs", b"")
    world.follow()
    found = longest_hold(lock, world.names)
    assert world.names("/d") == {"theirs"}
    return sound(world, found)


def hold_of_removal_on_a_move(directory: Path, entries: int) -> int:
    """Somebody else removes the folder above one that is just being moved out of it."""
    world, lock = counted(directory)
    for number in range(entries):
        world.account.write(f"/above/d/{number}", b"")
    world.follow()
    world.names("/above/d")
    world.put("/above/d/new", b"ours")
    world.rename("/above/d", "/d")
    submit = world.memory.submit

    def submitting(orders: Sequence[Order]) -> Launch:
        world.memory.submit = submit  # type: ignore[method-assign]
        world.account.remove("/above")
        world.follow()
        assert world.names() == {"d"}
        return submit(orders)

    world.memory.submit = submitting  # type: ignore[method-assign]
    found = longest_hold(lock, world.settle)
    assert world.names("/d") == {"new"}
    return sound(world, found)


def hold_of_removal_here_and_there(directory: Path, entries: int) -> int:
    """Somebody else removes a folder that was removed here, with a file in each folder in it."""
    world, lock = counted(directory)
    for number in range(entries):
        world.account.write(f"/d/{number}/f", b"")
    world.follow()
    for name in sorted(world.names("/d")):
        world.names(f"/d/{name}")
        world.fs.unlink(f"/d/{name}/f")
        world.fs.rmdir(f"/d/{name}")
    world.fs.rmdir("/d")
    world.account.remove("/d")
    world.follow()
    found = longest_hold(lock, world.names)
    assert world.pending() == []
    return sound(world, found)


def hold_of_reading_folders(directory: Path, entries: int) -> int:
    """Folders that were listed are read."""
    world, lock = known(directory, entries, are_folders=True)
    as_after_a_start(world)
    found = longest_hold(lock, lambda: read_children(world.core.tree, world.node("/d")))
    assert len(world.names("/d")) == entries
    return sound(world, found)


def hold_of_giving_way(directory: Path, entries: int) -> int:
    """A folder is read, and another one is let go of for that."""
    world, lock = known(directory, entries)
    world.account.write("/other/f", b"")
    world.follow()
    world.names()
    world.names("/other")
    tree = world.core.tree
    read_children(tree, world.node("/d"))
    found = longest_hold(lock, lambda: read_children(tree, world.node("/other")))
    assert world.node("/d").part.children is None
    assert len(tree.nodes) < 20
    assert len(world.names("/d")) == entries
    return sound(world, found)


def hold_of_fsync(directory: Path, entries: int) -> int:
    """A folder is synced while the disk has fallen behind."""
    world, lock = counted(directory)
    world.mkdir("/d")
    for number in range(entries):
        world.put(f"/d/{number}", b"x")
    world.core.durability.save()
    world.core.durability._sync_batch = lambda _batch: None  # type: ignore[method-assign,assignment]
    folder = world.node("/d")
    found = longest_hold(lock, lambda: world.core.durability.sync_below(folder))
    world.close()
    return found


def hold_of_news(directory: Path, entries: int) -> int:
    """Others change files in folders that are not in memory."""
    world, lock = counted(directory)
    for number in range(entries):
        world.account.write(f"/d{number % 10}/{number}", b"")
    world.follow()
    for number in range(10):
        world.names(f"/d{number}")
    as_after_a_start(world)
    world.memory.page_entries = entries
    for number in range(entries):
        world.account.write(f"/d{number % 10}/{number}", b"theirs")
    found = longest_hold(lock, world.follow)
    assert world.get("/d1/1") == b"theirs"
    return sound(world, found)


def hold_of_news_below(directory: Path, entries: int) -> int:
    """Others change a file in one of many folders in a folder that is not in memory."""
    world, lock = known(directory, entries, are_folders=True)
    world.names("/d/1")
    as_after_a_start(world)
    world.account.write("/d/1/f", b"theirs")
    found = longest_hold(lock, world.follow)
    assert world.node("/d").part.children is None
    assert world.get("/d/1/f") == b"theirs"
    return sound(world, found)


def hold_of_ids(directory: Path, folders: int) -> int:
    """The news tell the ids of folders that files of ours made by the way."""
    world, lock = counted(directory)
    world.follow()
    world.names()
    paths = [f"/d{number}" for number in range(folders)]
    for path in paths:
        world.mkdir(path)
        world.put(f"{path}/f", b"ours")
    world.settle()
    assert {world.state(path).base for path in paths} == {Folder("", path[1:]) for path in paths}
    world.memory.page_entries = 20
    found = longest_hold(lock, world.follow)
    assert all(remote_id(world.node(path)) for path in paths)
    return sound(world, found)


def sound(world: World, found: int) -> int:
    assert faults_of(world.core.tree) == []
    world.settle()
    world.close()
    return found


@pytest.mark.parametrize(
    "hold",
    [
        hold_of_conflict,
        hold_of_refusals,
        hold_of_discard,
        hold_of_removal_by_others,
        hold_of_replacement_by_others,
        hold_of_replacement_by_others_of_what_is_clean,
        hold_of_removal_on_a_move,
        hold_of_reading_folders,
        hold_of_news,
        hold_of_news_below,
    ],
)
def test_who_needs_a_large_folder_reads_it_in_parts(tmp_path: Path, hold: Callable[[Path, int], int]) -> None:
    small = hold(tmp_path / "small", SMALL)
    large = hold(tmp_path / "large", LARGE)
    assert large <= small * 1.2


def test_a_large_folder_is_let_go_of_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("ENTRIES_KEPT", "LOOSE_KEPT"):
        monkeypatch.setattr(residents, limit, 4)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    small = hold_of_giving_way(tmp_path / "small", 3 * CHUNK)
    assert hold_of_giving_way(tmp_path / "large", 6 * CHUNK) <= small * 1.2


def test_what_a_folder_that_is_synced_has_is_looked_for_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 20)
    small = hold_of_fsync(tmp_path / "small", 40)
    assert hold_of_fsync(tmp_path / "large", 400) <= small * 1.2


def test_ids_of_folders_that_were_made_by_the_way_are_noted_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "NOTED_AT_ONCE", 20)
    small = hold_of_ids(tmp_path / "small", 40)
    assert hold_of_ids(tmp_path / "large", 200) <= small * 1.2


def test_no_id_is_forgotten_that_could_not_be_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that pages before have told are in memory alone, and told once."""
    monkeypatch.setattr(feed, "NOTED_AT_ONCE", 5)
    world = World(tmp_path, limits=MEMORY_LIMITS)
    world.follow()
    world.names()
    paths = [f"/d{number}" for number in range(12)]
    for path in paths:
        world.mkdir(path)
        world.put(f"{path}/f", b"ours")
    world.settle()
    world.memory.page_entries = 5
    note_ids = world.core.feed._note_ids

    def fail(part: Sequence[tuple[int, tuple[Folder, int]]]) -> None:
        note_ids(part)
        raise RuntimeError

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(world.core.feed, "_note_ids", fail)
        world.follow()
    world.follow()
    assert [path for path in paths if not remote_id(world.node(path))] == []
    world.close()


def test_what_was_removed_here_and_there_goes_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 20)
    small = hold_of_removal_here_and_there(tmp_path / "small", 40)
    assert hold_of_removal_here_and_there(tmp_path / "large", 200) <= small * 1.2
