"""stat(2) of files whose folder was listed from its rows: told from the rows, and never from old ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mountfs.attributes import Attributes
from mountfs.errors import MountfsError, NotFound
from mountfs.stats import ROWS_KEPT, UNUSED_S
from mountfs.tree import residents
from tests.doubles.world import World

FILES = 30
MOMENT_NS = 1_700_000_000_123_456_789


def ls_l(world: World, path: str = "/d") -> dict[str, Attributes]:
    """What `ls -l` asks: all names, then each file's attributes."""
    number = world.fs.opendir(path)
    try:
        names = [name for name, _, _ in world.fs.readdir(number)]
        return {name: world.fs.getattr(f"{path}/{name}") for name in names}
    finally:
        world.fs.releasedir(number)


def _nodes(world: World) -> int:
    return len(world.core.tree.nodes)


@pytest.fixture
def known(tmp_path: Path) -> World:
    """A mount that knows a folder from the one before it, and has nothing of it in memory."""
    world = World(tmp_path)
    for number in range(FILES):
        world.account.write(f"/d/f{number}", b"x" * (number % 7))
    world.follow()
    ls_l(world)
    world.fs.metadata.chmod("/d/f3", 0o700)
    world.fs.metadata.utimens("/d/f4", MOMENT_NS, MOMENT_NS + 5)
    world.touch("/d/f5", MOMENT_NS)
    world.fs.metadata.chown("/d/f6", 5, 6)
    world.settle()
    again(world)
    return world


def again(world: World) -> None:
    """The next process, with nothing in memory."""
    world.restart()
    world.follow()


def test_ls_l_makes_no_nodes_and_tells_what_nodes_tell(known: World) -> None:
    known.fs.getattr("/d")
    before, calls = _nodes(known), known.memory.calls()
    told = ls_l(known)
    assert ls_l(known) == told
    assert (_nodes(known), known.memory.calls(), len(told)) == (before, calls, FILES)
    assert told["f5"].mtime_ns == MOMENT_NS
    known.node("/d/f0")
    assert _nodes(known) == before + FILES
    assert {name: known.fs.getattr(f"/d/{name}") for name in told} == told
    assert ls_l(known) == told


def test_all_parts_of_a_long_listing_are_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(1100):
        world.account.write(f"/d/f{number}", b"x" * (number % 7))
    world.follow()
    before = _nodes(world)
    told = ls_l(world)
    assert [told[f"f{number}"].size_bytes for number in range(1100)] == [number % 7 for number in range(1100)]
    assert _nodes(world) == before + 1
    world.close()


def test_another_spelling_is_the_same_file(known: World) -> None:
    told = ls_l(known)
    number = known.fs.opendir("/D")
    assert known.fs.getattr("/D/F7") == told["f7"]
    known.fs.releasedir(number)


def test_what_does_not_exist_is_not_there(known: World) -> None:
    ls_l(known)
    with pytest.raises(NotFound):
        known.fs.getattr("/d/none")
    known.fs.getattr("/d/f1")
    with pytest.raises(NotFound):
        known.fs.getattr("/d/none")


def test_what_others_change_is_told_as_soon_as_it_is_heard(known: World) -> None:
    ls_l(known)
    known.theirs("/d/f1", b"a longer one")
    assert known.fs.getattr("/d/f1").size_bytes == 12
    again(known)
    ls_l(known)
    known.account.remove("/d/f2")
    known.follow()
    with pytest.raises(NotFound):
        known.fs.getattr("/d/f2")


def test_what_is_done_here_is_told_at_once(known: World) -> None:
    def changed(path: str, change: object) -> Attributes:
        ls_l(known)
        assert callable(change)
        change()
        found = known.fs.getattr(path)
        assert ls_l(known)[path.rpartition("/")[2]] == found
        again(known)
        assert ls_l(known)[path.rpartition("/")[2]] == found
        return found

    assert changed("/d/f8", lambda: known.put("/d/f8", b"four")).size_bytes == 4
    assert changed("/d/f9", lambda: known.fs.metadata.chmod("/d/f9", 0o640)).mode & 0o777 == 0o640
    assert changed("/d/f10", lambda: known.touch("/d/f10", MOMENT_NS)).mtime_ns == MOMENT_NS
    inode = known.fs.getattr("/d/f11").inode
    assert changed("/d/other", lambda: known.rename("/d/f11", "/d/other")).inode == inode
    ls_l(known)
    known.fs.unlink("/d/f12")
    with pytest.raises(NotFound):
        known.fs.getattr("/d/f12")


def evict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets go of all clean nodes."""
    with monkeypatch.context() as patched:
        patched.setattr(residents, "ENTRIES_KEPT", 0)
        patched.setattr(residents, "ENTRIES_OF_FEW", 0)
        for _ in range(3):  # a folder goes after those in it
            world.core.tree.shrink()


def test_rows_that_changed_while_nodes_were_in_memory_are_not_told(
    known: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    works_there = known.fs.opendir("/d")
    ls_l(known)
    known.touch("/d/f1", MOMENT_NS)
    known.settle()
    evict(known, monkeypatch)
    assert _nodes(known) == 2
    assert known.fs.getattr("/d/f1").mtime_ns == MOMENT_NS
    known.fs.releasedir(works_there)


def test_another_node_of_the_folder_is_asked_after_the_first_was_let_go_of(
    known: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ls_l(known)
    evict(known, monkeypatch)
    known.fs.metadata.chmod("/d/f1", 0o601)
    assert known.fs.getattr("/d/f1").mode & 0o777 == 0o601


def test_whoever_reads_what_was_removed_is_told_its_size_whatever_has_its_name(
    known: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = known.open("/d/f6", os.O_RDONLY)
    known.account.remove("/d/f6")
    known.account.write("/d/f6", b"a longer one")
    known.follow()
    told = ls_l(known)
    assert told["f6"].size_bytes == 6
    evict(known, monkeypatch)
    assert ls_l(known) == told
    known.fs.release(number)
    assert ls_l(known)["f6"].size_bytes == 12


def test_a_file_that_is_open_tells_its_own_size(known: World) -> None:
    ls_l(known)
    number = known.begin("/d/f1", b"12345")
    assert known.fs.getattr("/d/f1").size_bytes == 5
    known.fs.write(number, 5, b"6")
    assert known.fs.getattr("/d/f1").size_bytes == 6
    known.close_file(number)


def test_whoever_reads_an_older_version_is_told_its_size(known: World) -> None:
    ls_l(known)
    number = known.open("/d/f6", os.O_RDONLY)
    size_bytes = known.fs.getattr("/d/f6").size_bytes
    known.account.write("/d/f6", b"a longer one")
    known.follow()
    ls_l(known)
    assert known.fs.getattr("/d/f6").size_bytes == size_bytes
    known.fs.release(number)


def test_a_folder_that_moves_takes_its_files_along(known: World) -> None:
    known.account.mkdir("/e")
    known.follow()
    told = ls_l(known)
    known.rename("/d", "/e/d")
    with pytest.raises(NotFound):
        known.fs.getattr("/d/f1")
    assert known.fs.getattr("/e/d/f1") == told["f1"]
    known.mkdir("/d")
    with pytest.raises(NotFound):
        known.fs.getattr("/d/f1")


def test_a_folder_that_is_gone_takes_its_files_along(known: World) -> None:
    ls_l(known)
    known.account.remove("/d")
    known.follow()
    with pytest.raises(NotFound):
        known.fs.getattr("/d/f1")


def test_a_folder_is_listed_again_when_nobody_has_told_of_changes_for_too_long(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"fresh_s": 60.0})
    for number in range(3):
        world.account.write(f"/a/d/f{number}", b"x")
    ls_l(world, "/a/d")
    world.restart()
    world.core.listings.is_followed = False
    ls_l(world, "/a/d")
    world.account.write("/a/d/f1", b"longer")
    assert world.fs.getattr("/a/d/f1").size_bytes == 1
    world.advance(61.0)
    assert world.fs.getattr("/a/d/f1").size_bytes == 6
    world.account.move("/a", "/b")
    assert world.fs.getattr("/a/d/f1").size_bytes == 6
    world.advance(61.0)
    with pytest.raises(MountfsError):
        world.fs.getattr("/a/d/f1")
    world.close()


@pytest.mark.parametrize("lists_it", [True, False])
def test_the_way_to_a_folder_is_walked_again_when_what_is_above_may_have_changed(
    tmp_path: Path, *, lists_it: bool
) -> None:
    world = World(tmp_path, settings={"fresh_s": 60.0})
    world.account.write("/a/d/f", b"x")
    world.core.listings.is_followed = False
    if lists_it:
        ls_l(world, "/a/d")
    assert world.fs.getattr("/a/d/f").size_bytes == 1
    folder = world.core.view.known(["a", "d"])
    assert folder is not None
    world.advance(40.0)
    world.core.listings.relist(folder)
    assert world.fs.getattr("/a/d/f").size_bytes == 1
    world.account.move("/a", "/b")
    world.advance(30.0)
    with pytest.raises(MountfsError):
        world.fs.getattr("/a/d/f")
    world.close()


def test_of_many_folders_only_the_last_are_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    folders, files = 70, 2
    for folder in range(folders):
        for number in range(files):
            world.account.write(f"/d{folder}/f{number}", b"x")
    world.follow()
    ls_l(world, "/")
    for folder in range(folders):
        ls_l(world, f"/d{folder}")
    again(world)
    ls_l(world, "/")
    for folder in range(folders):
        ls_l(world, f"/d{folder}")
    stats = world.fs._stats
    assert len(stats._near) <= 64
    assert stats._rows == sum(len(each.files or ()) for each in stats._near.values()) <= ROWS_KEPT
    world.close()


def test_rows_of_a_large_folder_are_let_go_of_some_time_after_their_last_use(
    known: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mountfs.stats.ROWS_KEPT", FILES - 1)
    for folder in ("e", "g"):
        known.account.write(f"/{folder}/f", b"x")
    known.follow()
    ls_l(known)
    known.advance(UNUSED_S)
    known.fs.getattr("/d/f1")
    known.fs.getattr("/e/f")
    assert known.fs._stats._rows == FILES
    known.advance(UNUSED_S)
    known.fs.getattr("/g/f")
    assert known.fs._stats._rows == 0
