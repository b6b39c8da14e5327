"""What another process's store holds, without touching it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from mountfs.model.path import RemotePath
from mountfs.spool.spool import is_name
from mountfs.tree.peek import Holding, has_pins, holding, left_bytes
from tests.doubles.world import World
from tests.fakes.accountdisk import account_in
from tests.unit.upload.bodies import content_of, draft_of


def test_what_is_pending_is_counted_with_its_bytes(tmp_path: Path) -> None:
    with account_in(tmp_path) as account:
        folder = account.make_folder("d")
        account.put("a", b"four", folder=folder)
        account.remove(account.put("gone", b"whatever"))
        assert holding(tmp_path / "journal.db", tmp_path / "spool") == Holding(2, 4)
    assert holding(tmp_path / "journal.db", tmp_path / "spool") == Holding(2, 4)


def test_what_was_closed_and_has_no_row_yet_is_counted(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("/a", b"four")
    assert world.core.tree.unsaved
    assert holding(world.places.store, world.places.spool) == Holding(1, 4)
    world.core.durability.save()
    assert holding(world.places.store, world.places.spool) == Holding(1, 4)
    world.close()


def test_what_stays_here_by_its_name_is_not_pending(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("/ours", b"ours")
    world.put("/.f.swp", b"0123456789")
    world.mkdir("/.~lock.d#")
    world.put("/.~lock.d#/in it", b"1")
    world.core.durability.save()
    assert holding(world.places.store, world.places.spool) == Holding(1, 4, 3, 11)
    world.settle()
    assert holding(world.places.store, world.places.spool) == Holding(0, 0, 3, 11)
    world.close()


def test_what_the_service_has_is_not_pending(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.account.write("/theirs", b"theirs")
    world.put("/ours", b"ours")
    assert holding(world.places.store, world.places.spool) == Holding(1, 4)
    world.settle()
    assert holding(world.places.store, world.places.spool) == Holding(0, 0)
    world.close()


def test_what_nobody_sends_is_not_pending(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.fs.symlink("/link", "target")
    world.fs.mknod("/fifo", stat.S_IFIFO)
    assert holding(world.places.store, world.places.spool) == Holding(0, 0)
    world.close()


def test_a_store_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    with account_in(tmp_path) as account:
        account.put("a", b"four")
        files = {path: path.read_bytes() for path in tmp_path.glob("journal.db*") if path.suffix != ".db-shm"}
        with account.tree.transaction():
            account.put("b", b"four")
            assert holding(tmp_path / "journal.db", tmp_path / "spool") == Holding(2, 8)
        account.put("c", b"four")
        assert holding(tmp_path / "journal.db", tmp_path / "spool") == Holding(3, 12)
        assert (tmp_path / "journal.db").read_bytes() == files[tmp_path / "journal.db"]


@pytest.mark.parametrize("content", [None, b"", b"no database" * 1000])
def test_where_there_is_no_store_or_none_that_can_be_read_nothing_is_told(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "journal.db"
    if content is not None:
        file.write_bytes(content)
    assert holding(file, tmp_path) == Holding(0, 0)
    assert file.exists() == (content is not None)
    assert not list(tmp_path.glob("journal.db-*"))


def test_bytes_that_are_left_are_told_with_their_paths_also_those_without_a_row(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.mkdir("/d")
    world.put("/d/saved", b"saved")
    world.core.durability.save()
    world.put("/d/new", b"new")
    world.put("/top", b"t")
    [folder] = [node.id for node in world.core.tree.nodes.values() if node.state.name == "d"]
    new, top = (content_of(world, path) for path in ("/d/new", "/top"))
    labels = {
        new.spool: f"{folder}:3:{new.mtime_ns} new",
        top.spool: f"1:1:{top.mtime_ns} top",
        content_of(world, "/d/saved").spool: f"{folder}:5:7 stale",
        "open": f"{folder} open",
        "nobody's": "",
    }
    world.close()
    found = left_bytes(world.places.store, labels, is_name)
    assert [(left.path, left.size_bytes, left.is_whole) for left in found] == [
        ("/d/new", 3, True),
        ("/d/open", 0, False),
        ("/d/saved", 5, True),
        ("/top", 1, True),
    ]


def test_of_a_file_that_was_closed_twice_only_the_newer_version_is_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("/f", b"one")
    number = world.begin("/f", b"two-two")
    world.fs.flush(number)  # close(2) has returned, and the kernel has not released the file yet
    world.core.durability.save()
    roles = [role for _, node, role in world.core.tree.store.contents() if node is not None]
    assert sorted(roles) == ["content", "draft"]
    world.close()
    [left] = left_bytes(world.places.store, names_in(world.places.spool), is_name)
    assert (left.path, left.size_bytes, left.is_whole) == ("/f", 7, True)
    # As the next mount shows it.
    world.start()
    assert world.tree() == {"/f": b"two-two"}
    world.close()


def test_a_newer_version_that_is_missing_does_not_stand_for_the_older_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("/f", b"one")
    world.fs.flush(world.begin("/f", b"two-two"))
    world.core.durability.save()
    (world.places.spool / draft_of(world, "/f").spool).unlink()
    world.close()
    found = left_bytes(world.places.store, names_in(world.places.spool), is_name)
    assert ("/f", 3) in [(left.path, left.size_bytes) for left in found]
    world.start()
    assert world.tree() == {"/f": b"one"}
    world.close()


def names_in(spool: Path) -> dict[str, str]:
    """The files of *spool*, without labels."""
    return {file.name: "" for file in spool.iterdir()}


def test_pins_of_a_stopped_store_are_seen_and_are_not_excluded_where_it_cannot_be_read(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    assert not has_pins(world.places.store)
    with world.core.tree.transaction():
        world.core.tree.store.pins.add(2, RemotePath("/f"))
    world.close()
    assert has_pins(world.places.store)
    assert not has_pins(tmp_path / "none.db")
    world.places.store.write_bytes(b"no store")
    assert has_pins(world.places.store)
