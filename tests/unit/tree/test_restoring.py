"""What a start reads: all that is not clean, as it was, in few steps however much that is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.spool.disk import RealDisk
from mountfs.tree import store
from mountfs.tree.database import connect
from mountfs.tree.node import Node
from mountfs.tree.sync import Durability
from mountfs.tree.word import word_of
from tests.doubles.world import World
from tests.fakes.accountdisk import AccountDisk, account_in
from tests.shallow import DEEP, shallow_stack


class CountingDisk(RealDisk):
    """Counts the files that are opened."""

    opened = 0

    def open(self, path: str) -> int:
        self.opened += 1
        return super().open(path)


class Statements(list[str]):
    """What SQLite is asked from here on, by databases that are opened from here on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store, "connect", self._connect)

    def _connect(self, path: Path) -> sqlite3.Connection:
        db = connect(path)
        db.set_trace_callback(self.append)
        return db


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    return Statements(monkeypatch)


@pytest.fixture
def disk() -> CountingDisk:
    return CountingDisk()


@pytest.fixture
def account(tmp_path: Path, disk: CountingDisk) -> Iterator[AccountDisk]:
    with account_in(tmp_path / "account", disk) as account:
        yield account


# Few steps


def of_a_start(account: AccountDisk, statements: Statements, boot_id: str | None = None) -> int:
    """How many statements it takes."""
    statements.clear()
    account.restart(boot_id)
    return len(statements)


def test_a_start_asks_the_store_no_more_when_more_new_files_are_pending(
    account: AccountDisk, statements: Statements
) -> None:
    for number in range(3):
        account.put(f"few{number}", b"x")
    few = of_a_start(account, statements)
    for number in range(200):
        account.put(f"many{number}", b"x", folder=account.tree.root)
    assert of_a_start(account, statements) == few
    assert len(account.nodes()) == 203


def test_a_start_asks_the_store_no_more_when_more_folders_are_new_or_renamed(
    tmp_path: Path, statements: Statements
) -> None:
    world = World(tmp_path / "world")
    for number in range(63):
        world.account.mkdir(f"/theirs{number}")
    world.follow()
    world.names("/")

    def of_a_start() -> int:
        statements.clear()
        world.restart()
        return sum(statement.startswith("SELECT") for statement in statements)

    def change(numbers: range) -> None:
        for number in numbers:
            world.mkdir(f"/ours{number}")
            world.rename(f"/theirs{number}", f"/theirs{number}-renamed")

    change(range(3))
    few = of_a_start()
    change(range(3, 63))
    assert of_a_start() == few
    assert len(world.pending()) == 126
    world.close()


def test_a_start_of_a_process_opens_no_file_that_was_closed(account: AccountDisk, disk: CountingDisk) -> None:
    for number in range(20):
        account.put(f"f{number}", b"x")
    disk.opened = 0
    account.restart()
    assert disk.opened == 0


def test_a_start_of_the_machine_opens_no_file_that_was_synced(
    account: AccountDisk, disk: CountingDisk
) -> None:
    for number in range(20):
        account.put(f"f{number}", b"x", is_synced=True)
    disk.opened = 0
    account.restart("boot-2")
    assert disk.opened == 0
    assert account.recovery.repairs == 0


def test_where_every_file_has_its_row_a_start_does_not_ask_for_them_again(
    account: AccountDisk, statements: Statements
) -> None:
    account.put("a", b"x")
    of_a_start(account, statements)
    assert "SELECT spool FROM contents" not in statements
    account.spool.create().close()
    of_a_start(account, statements)
    assert "SELECT spool FROM contents" in statements


# As it was


def shown(node: Node) -> tuple[object, ...]:
    """What a start has to find of *node*."""
    state = node.state
    assert node.pending is not None
    return (
        node.id,
        node.key,
        node.is_saved,
        node.pending.touched_ns,
        node.counted and node.counted[:3],
        None if state.parent is None else state.parent.id,
        state.name,
        state.content,
        state.draft,
        state.mtime_ns,
        word_of(node),
    )


def test_new_files_of_every_kind_are_found_as_they_were(account: AccountDisk) -> None:
    folder = account.make_folder("d")
    account.put("Sealed", b"hello", folder=folder)
    account.put("uploaded", b"hello", content_hash="h", session="s")
    account.put("synced", b"hello", is_synced=True)
    account.put(".~lock.here#", b"local", folder=folder)
    account.write_over(account.put("both", b"hello"), b"newer", is_flushed=False)
    moved_into = account.put("moved", b"hello")
    later = account.make_folder("later")
    account.tree.change((moved_into, moved_into.state.at(later, "Moved")))
    before = {node.id: shown(node) for node in account.tree.dirty.values()}
    awaited = set(account.tree.awaited)
    account.tree.store.close()
    account.start()
    after = {node.id: shown(node) for node in account.tree.dirty.values()}
    both = next(each for each in before if account.node(each).state.name == "both")
    assert account.node(both).state.draft is None  # what was torn is beside it
    del before[both], after[both]
    assert before.items() <= after.items()
    assert awaited <= set(account.tree.awaited)
    for node in account.tree.dirty.values():
        content = node.state.content
        assert content is None or account.tree.content(content.id) == (node, content)


def test_the_next_process_tells_what_is_pending_in_the_same_order(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.account.write("/theirs", b"theirs")
    world.account.mkdir("/other")
    world.follow()
    world.names("/")
    world.put("/a", b"x")
    world.mkdir("/d")
    world.put("/b", b"x")
    world.put("/d/c", b"x")
    world.core.durability.save()
    world.restart()
    assert [path for path, _ in world.pending()] == ["/a", "/d", "/b", "/d/c"]
    world.close()


def test_a_new_file_whose_folder_has_no_row_any_more_is_a_recovered_copy_at_the_top(
    account: AccountDisk,
) -> None:
    folder = account.make_folder("d")
    account.put("a", b"hello", folder=folder)
    account.tree.store.begin()
    account.tree.store.delete_nodes([folder.id])
    account.tree.store.end()
    account.restart()
    (copy,) = account.nodes()
    assert copy.startswith("a (recovered copy ")
    account.restart()
    assert set(account.nodes()) == {copy}
    assert account.recovery.repairs == 0


def test_what_was_closed_after_a_start_is_synced_after_the_next(tmp_path: Path) -> None:
    with account_in(tmp_path / "account") as account:
        node = account.put("a", b"hello")
        account.restart()
        Durability(account.tree, account.spool, account.disk).step(account.clock.now_s())
        assert account.content(account.node(node.id)).is_synced


@pytest.mark.parametrize("is_closed", [True, False], ids=["with a row", "with a label"])
def test_a_file_that_lies_deep_is_found(tmp_path: Path, is_closed: bool) -> None:
    """Deeper than Python calls itself, in folders that the service has."""
    world, path = World(tmp_path), ""
    for _ in range(DEEP):
        path += "/d"
        world.account.mkdir(path)
    with shallow_stack():
        folder = world.node("/")
        for _ in range(DEEP):
            (folder,) = world.core.view.children(folder)
        world.put(f"{path}/f", b"deep")
        if is_closed:
            world.core.durability.save()
        world.restart()
        assert world.pending() == [(f"{path}/f", "sealed")]
        assert world.get(f"{path}/f") == b"deep"
    world.close()
