"""Nodes in memory and their rows: changed together or not at all, told to others, let go of in time."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mountfs.errors import NoSpace
from mountfs.model.entry import NS_PER_S, File, Folder, Listed
from mountfs.model.order import OrderKind, Part
from mountfs.tree import childrows, residents, tally
from mountfs.tree.childrows import load_children
from mountfs.tree.node import FORGOTTEN, Node, State
from mountfs.tree.refusal import Refusal
from mountfs.tree.residents import NotLoaded, Residents
from mountfs.tree.sync import SYNC_EVERY_S
from mountfs.tree.word import Word
from tests.doubles.rows import count_nodes
from tests.doubles.soundness import faults_of
from tests.doubles.world import World
from tests.fakes.accountdisk import AccountDisk
from tests.fakes.clock import EPOCH_NS

PATHS_IN_ORDER = ["/c", "/a", "/b"]


class Boom(Exception):
    """Raised inside a transaction."""


@pytest.fixture
def account(tmp_path: Path) -> Iterator[AccountDisk]:
    account = AccountDisk(tmp_path / "account")
    yield account
    account.close()


def renamed(node: Node, name: str) -> State:
    return node.state.at(node.state.parent, name)


def counts(folder: Node) -> list[tuple[int, int]]:
    """How many nodes below *folder* are at each word, and their bytes."""
    return [(tally.count_of(folder, [word]), tally.bytes_of(folder, [word])) for word in Word]


def states(account: AccountDisk) -> dict[int, State]:
    return {node.id: node.state for node in account.tree.nodes.values()}


def stored(account: AccountDisk) -> list[tuple[object, ...]]:
    """Every row about nodes and bytes."""
    with sqlite3.connect(account.tree.store.path) as db:
        rows: list[tuple[object, ...]] = []
        for table in ("nodes", "contents", "parts", "orphans", "notices", "detached"):
            rows += [(table, *row) for row in db.execute(f"SELECT * FROM {table}")]
    db.close()
    return rows


# What a new process sees


@pytest.mark.parametrize("refused", [OrderKind.PUT, None])
def test_a_new_process_sees_the_same(account: AccountDisk, refused: OrderKind | None) -> None:
    base = File("id:1", "a", "r1", 3, 5 * NS_PER_S, "h")
    folder = account.make_folder("Neu Ordner")
    node = account.put(
        "ü", b"hello", folder=folder, base=base, session="s", content_hash="hash", mtime_ns=-1, is_synced=True
    )
    with account.tree.transaction():
        account.tree.store.parts.add(account.content(node).id, Part(0, 5, "r0"))
    refusal = Refusal(refused, "why", 3)
    account.tree.change((node, replace(node.state, refusal=refusal)))
    account.tree.notice("/a", "hm")
    before = node.state
    account.restart()
    after = account.node(node.id).state
    assert after.parent is account.node(folder.id)
    assert after.base_parent is account.node(folder.id)
    assert replace(after, parent=None, base_parent=None) == replace(before, parent=None, base_parent=None)
    assert account.tree.store.parts.of(account.content(node).id) == (Part(0, 5, "r0"),)
    assert account.notices() == ["hm"]
    assert account.tree.refused.keys() == {node.id}


def test_a_new_node_is_dirty_and_stamped_with_the_time_it_was_touched(account: AccountDisk) -> None:
    node = account.put("a", b"hello")
    assert node.pending is not None
    assert node.pending.touched_ns == EPOCH_NS
    account.clock.advance(100.0)
    account.restart()
    again = account.node(node.id)
    assert again.pending is not None
    assert again.pending.touched_ns == EPOCH_NS


def test_what_is_pending_is_told_in_the_order_in_which_it_became_so(world: World) -> None:
    for path in PATHS_IN_ORDER:
        world.put(path, b"x")
    assert [path for path, _ in world.pending()] == PATHS_IN_ORDER


def test_a_time_that_is_kept_here_is_that_of_the_bytes_it_was_given_to(world: World) -> None:
    world.account.write("/Dir/A", b"theirs")
    world.node("/dir/a")
    world.follow()
    world.touch("/dir/A", 11 * NS_PER_S)
    world.restart()
    assert world.fs.getattr("/DIR/a").mtime_ns == 11 * NS_PER_S
    world.account.write("/Dir/A", b"newer", mtime_ns=22 * NS_PER_S)
    world.follow()
    assert world.fs.getattr("/dir/a").mtime_ns == 22 * NS_PER_S


def test_a_time_that_is_given_to_a_folder_is_kept_by_the_next_process(world: World) -> None:
    world.account.mkdir("/d")
    world.touch("/d", 11 * NS_PER_S)
    world.restart()
    assert world.fs.getattr("/d").mtime_ns == 11 * NS_PER_S


# All or nothing


def test_a_failed_transaction_leaves_memory_and_database_as_they_were(account: AccountDisk) -> None:
    kept = account.put("kept", b"hello", session="s")
    removed = account.put("removed", b"hello")
    folder = account.make_folder("d")
    before, rows = states(account), stored(account)
    with pytest.raises(Boom), account.tree.transaction():
        account.tree.change((kept, renamed(kept, "another")))
        account.tree.change((kept, replace(kept.state, content=None)))
        account.tree.change((removed, FORGOTTEN))
        account.put("new", b"x", folder=folder)
        account.tree.store.parts.add(account.content(folder.part.children["new"]).id, Part(0, 1, "r"))  # type: ignore[index]
        account.tree.notice("/a", "hm")
        account.tree.add_orphan("t")
        raise Boom
    assert states(account) == before
    assert stored(account) == rows
    assert account.tree.freed == {}
    assert account.tree.root.part.children == {"kept": kept, "removed": removed, "d": folder}
    account.restart()
    assert sorted(account.nodes()) == ["d", "kept", "removed"]


def test_an_inner_failure_undoes_the_outer_transaction_too(account: AccountDisk) -> None:
    with pytest.raises(Boom), account.tree.transaction():
        account.put("a", b"x")
        with account.tree.transaction():
            account.put("b", b"x")
            raise Boom
    assert account.nodes() == {}
    account.put("c", b"x")
    account.restart()
    assert list(account.nodes()) == ["c"]


def test_an_inner_failure_that_is_caught_inside_keeps_what_was_done_before(account: AccountDisk) -> None:
    with account.tree.transaction():
        with pytest.raises(Boom), account.tree.transaction():
            account.put("a", b"x")
            raise Boom
        account.put("b", b"x")
    assert sorted(account.nodes()) == ["a", "b"]
    account.restart()
    assert sorted(account.nodes()) == ["a", "b"]


def test_a_refusal_of_the_database_that_is_caught_leaves_memory_equal_to_it(account: AccountDisk) -> None:
    node = account.put("a", b"x")
    with account.tree.transaction():
        with pytest.raises(sqlite3.IntegrityError):
            account.tree.change((node, replace(node.state, name=None)))  # type: ignore[arg-type]
        kept = account.put("b", b"x")
    assert account.nodes() == {"a": node, "b": kept}
    account.restart()
    assert sorted(account.nodes()) == ["a", "b"]


def test_a_full_disk_is_no_space_and_changes_nothing(account: AccountDisk) -> None:
    kept = account.put("kept", b"x")
    before = states(account)
    db = account.tree.store._db
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NoSpace), account.tree.transaction():
        account.tree.change((kept, renamed(kept, "another")))
        for number in range(10_000):
            account.tree.change(
                (account.tree.new_node(is_folder=False), State(account.tree.root, str(number)))
            )
    assert states(account) == before
    db.execute("PRAGMA max_page_count = 1000000")
    account.put("added", b"x")
    account.restart()
    assert sorted(account.nodes()) == ["added", "kept"]


def test_a_name_that_could_not_be_changed_leaves_a_clean_node_clean(world: World) -> None:
    world.account.write("/a", b"theirs")
    world.names()
    node = world.node("/a")
    db = world.core.tree.store._db
    db.execute("PRAGMA query_only = 1")
    calls: list[Callable[[], None]] = [
        lambda: world.rename("/a", "/b"),
        lambda: world.fs.unlink("/a"),
        lambda: world.touch("/a", 3 * NS_PER_S),
    ]
    for call in calls:
        with pytest.raises(sqlite3.Error):
            call()
        assert world.word("/a") == "clean"
        assert node.pending is None
    db.execute("PRAGMA query_only = 0")
    world.rename("/a", "/b")
    world.settle()
    assert world.remote() == {"/b": b"theirs"}


def test_a_folder_that_could_not_be_made_leaves_no_trace(world: World) -> None:
    world.names()
    before = set(world.core.tree.nodes)
    db = world.core.tree.store._db
    db.execute("PRAGMA query_only = 1")
    with pytest.raises(sqlite3.Error):
        world.mkdir("/d")
    db.execute("PRAGMA query_only = 0")
    assert set(world.core.tree.nodes) == before
    world.mkdir("/d")
    assert world.names() == {"d"}


def test_transactions_are_counted_not_calls(account: AccountDisk) -> None:
    before = account.tree.store.commits
    with account.tree.transaction():
        account.put("a", b"x")
        account.put("b", b"x")
    assert account.tree.store.commits == before + 1
    with pytest.raises(Boom), account.tree.transaction():
        raise Boom
    assert account.tree.store.commits == before + 1


def test_small_files_that_are_created_written_and_closed_are_written_down_together(world: World) -> None:
    world.names()
    before = world.core.tree.store.commits
    for name in ("/a", "/b", "/c"):
        world.put(name, b"hello")
    assert world.core.tree.store.commits == before
    world.advance(SYNC_EVERY_S)
    world.core.durability.save()
    assert world.core.tree.store.commits == before + 1


# Listeners


def test_listeners_hear_of_each_node_once_after_the_outermost_transaction(account: AccountDisk) -> None:
    heard: list[tuple[Node, State, State]] = []
    first = account.put("a", b"x")
    was = first.state
    account.tree.watch(lambda *news: heard.append(news))
    with account.tree.transaction():
        account.tree.change((first, renamed(first, "b")))
        account.tree.change((first, renamed(first, "c")))
        added = account.put("d", b"x")
        assert heard == []
    assert heard == [(first, was, first.state), (added, FORGOTTEN, added.state)]
    heard.clear()
    was = added.state
    account.tree.change((added, FORGOTTEN))
    assert heard == [(added, was, FORGOTTEN)]


def test_listeners_hear_of_what_the_store_need_not_know(account: AccountDisk) -> None:
    heard: list[tuple[Node, State, State]] = []
    node = account.put("a", b"x")
    was = node.state
    account.tree.watch(lambda *news: heard.append(news))
    account.tree.change_unsaved(node, renamed(node, "b"))
    assert heard == [(node, was, node.state)]


def test_a_listener_of_outcomes_hears_of_a_file_once_its_order_has_ended(world: World) -> None:
    heard: list[tuple[str, bool]] = []

    def listen(node: Node, before: State, after: State) -> None:
        heard.append((after.name, before.flight is not None and after.flight is None))

    world.core.tree.watch(listen, of_outcomes=True)
    world.put("/f", b"x")
    world.upload_all()
    assert heard == []
    world.settle()
    assert heard == [("f", True)]
    world.fs.unlink("/f")
    world.settle()
    assert heard == [("f", True), ("", True)]


def test_listeners_hear_nothing_of_what_was_undone(account: AccountDisk) -> None:
    heard: list[object] = []
    account.tree.watch(lambda *news: heard.append(news))
    with pytest.raises(Boom), account.tree.transaction():
        account.put("a", b"x")
        raise Boom
    account.tree.notice("/a", "hm")
    assert heard == []


def test_a_node_made_and_forgotten_at_once_is_no_news(account: AccountDisk) -> None:
    heard: list[object] = []
    account.tree.watch(lambda *news: heard.append(news))
    with account.tree.transaction():
        account.remove(account.put("a", b"x"))
    assert heard == []


def test_listeners_run_under_the_lock_and_see_what_is_so(account: AccountDisk) -> None:
    seen: list[bool] = []

    def listen(node: Node, before: State, after: State) -> None:
        row = account.tree.store.node(node.id)
        seen.append(node.state is after and row is not None and row.name == "a")
        other = Thread(target=lambda: seen.append(account.tree.lock.acquire(blocking=False)))
        other.start()
        other.join()

    account.tree.watch(listen)
    account.put("a", b"x")
    assert seen == [True, False]


def test_a_listener_that_fails_keeps_nothing_from_happening(
    account: AccountDisk, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def fail(node: Node, before: State, after: State) -> None:
        raise Boom(after.name)

    account.tree.watch(fail)
    account.tree.watch(lambda node, before, after: heard.append(after.name))
    with caplog.at_level(logging.ERROR), account.tree.transaction():
        one, other = account.put("one", b"x"), account.put("other", b"x")
    assert heard == ["one", "other"]
    assert account.nodes() == {"one": one, "other": other}
    assert len(caplog.records) == 2
    before = {node.id: node.state.name for node in account.nodes().values()}
    account.restart()
    assert {node.id: node.state.name for node in account.nodes().values()} == before


# Kept numbers


def test_counts_and_bytes_are_kept_for_every_folder_above(account: AccountDisk) -> None:
    root = account.tree.root
    folder = account.make_folder("d")
    account.put("a", b"four", folder=folder)
    account.put("b", b"seven..", folder=folder, content_hash="h")
    account.put("c", b"", is_open=True)
    assert tally.count_of(folder, [Word.SEALED]) == 1
    assert tally.bytes_of(folder, [Word.SEALED, Word.UPLOADED]) == 11
    assert tally.pending_of(folder) == 2
    assert tally.pending_of(root) == 4
    assert tally.count_of(root, [Word.OPEN]) == 1
    assert tally.has_put(folder)


def test_what_moves_to_another_folder_counts_there(account: AccountDisk) -> None:
    one, other = account.make_folder("one"), account.make_folder("other")
    node = account.put("a", b"four", folder=one)
    account.tree.change((node, node.state.at(other, "a")))
    assert not tally.has_any(one)
    assert tally.bytes_of(other, [Word.SEALED]) == 4
    account.tree.change((other, other.state.at(one, "other")))
    assert tally.pending_of(one) == 2


def test_what_became_clean_counts_nowhere(world: World) -> None:
    world.mkdir("/d")
    world.put("/d/a", b"hello")
    world.settle()
    assert not tally.has_any(world.core.tree.root)
    assert world.pending() == []


def test_what_was_removed_here_counts_where_it_was(world: World) -> None:
    world.account.write("/d/a", b"x")
    world.node("/d/a")
    world.fs.unlink("/d/a")
    assert tally.count_of(world.node("/d"), [Word.UPLOADED]) == 1
    world.settle()
    assert not tally.has_any(world.core.tree.root)


def test_what_is_in_a_folder_that_stays_here_is_local_to_those_above(world: World) -> None:
    world.mkdir("/.~lock.d#")
    world.put("/.~lock.d#/a", b"four")
    root = world.core.tree.root
    if world.word("/.~lock.d#") != "local":
        pytest.fail("the name is not one that stays here")
    assert tally.count_of(world.node("/.~lock.d#"), [Word.SEALED]) == 1
    assert tally.count_of(root, [Word.LOCAL]) == 2
    assert tally.bytes_of(root, [Word.LOCAL]) == 4
    assert tally.pending_of(root) == 0


def test_counts_are_the_same_after_a_restart(world: World) -> None:
    world.account.write("/d/theirs", b"x")
    world.put("/d/a", b"four")
    world.mkdir("/d/e")
    world.put("/d/e/a", b"five.")
    world.mkdir("/.~lock.d#")
    world.put("/.~lock.d#/a", b"stays here")
    world.upload_all()
    world.put("/b", b"seven..")
    world.fs.unlink("/d/theirs")
    folders = ["/", "/d", "/d/e", "/.~lock.d#"]
    before = [counts(world.node(folder)) for folder in folders]
    assert [of_folder[Word.UPLOADED][0] for of_folder in before] == [4, 4, 1, 0]
    world.restart()
    assert [counts(world.node(folder)) for folder in folders] == before
    world.settle()
    assert [tally.pending_of(world.node(folder)) for folder in folders] == [0, 0, 0, 1]


# What is kept in memory


def loaded(world: World, folder: str) -> bool:
    with world.core.tree.lock:
        try:
            world.core.tree.child(world.node(folder), "")
        except NotLoaded:
            return False
    return True


def test_folders_nobody_looked_at_for_longest_are_let_go_of_and_read_again_without_the_service(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        for name in range(5):
            world.account.write(f"/d{number}/f{name}", b"x")
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 5 + 3 * 5 - 1)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    for number in (0, 1, 2, 0, 3, 4):
        assert len(world.names(f"/d{number}")) == 5
    assert [loaded(world, f"/d{number}") for number in range(5)] == [True, False, False, True, True]
    calls = world.memory.calls()["list_folder"]
    before = world.node("/d1/f1").id
    assert len(world.names("/d1")) == 5
    assert world.node("/d1/f1").id == before
    assert world.memory.calls()["list_folder"] == calls


def test_a_few_large_folders_that_are_in_use_stay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        for name in range(5):
            world.account.write(f"/d{number}/f{name}", b"x")
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 6)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 3)
    for number in (0, 1):
        world.names(f"/d{number}")
    assert [loaded(world, f"/d{number}") for number in (0, 1)] == [True, True]
    world.names("/d2")
    assert [loaded(world, f"/d{number}") for number in range(3)] == [False, True, True]


def test_folders_that_cannot_be_let_go_of_are_looked_at_once_for_each_that_is_loaded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last file of each is open: all the others are looked at before that is found."""
    for number in range(4):
        for name in range(5):
            world.account.write(f"/d{number}/f{name}", b"x")
    handles = [world.fs.open(f"/d{number}/f4", 0).number for number in range(3)]
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 5)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    looked: list[Node] = []
    can_evict = Residents._can_evict

    def counted(self: Residents, folder: Node) -> bool:
        looked.append(folder)
        return can_evict(self, folder)

    monkeypatch.setattr(Residents, "_can_evict", counted)
    world.names("/d3")
    assert len(looked) == len(set(looked)) == 5
    for handle in handles:
        world.fs.release(handle)


def test_a_folder_that_is_being_listed_stays_though_the_one_above_could_be_let_go_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be there twice, and the second one without what was listed."""
    world.account.write("/d0/sub/f", b"x")
    for name in range(5):
        world.account.write(f"/d1/f{name}", b"x")
    world.names("/d0")
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 2)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    list_folder = world.memory.list_folder

    def listed_meanwhile(*args: Any) -> list[Listed]:
        monkeypatch.setattr(world.memory, "list_folder", list_folder)
        thread = Thread(target=lambda: world.names("/d1"))
        thread.start()
        thread.join()
        return list_folder(*args)

    monkeypatch.setattr(world.memory, "list_folder", listed_meanwhile)
    assert world.fs.getattr("/d0/sub/f").size_bytes == 1
    assert world.node("/d0/sub/f").state.parent is world.node("/d0/sub")


def test_a_folder_that_is_listed_ahead_after_it_was_let_go_of_shows_what_is_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lists ahead remembers folders, which may be in memory as other nodes by then."""
    world.account.write("/d0/sub/f", b"x")
    for name in range(5):
        world.account.write(f"/d1/f{name}", b"x")
    world.follow()
    remembered = world.node("/d0/sub")
    with monkeypatch.context() as patched:
        patched.setattr(residents, "ENTRIES_KEPT", 2)
        patched.setattr(residents, "FEW_FOLDERS", 0)
        world.names("/d1")
    assert remembered.id not in world.core.tree.nodes
    world.core.listings.load(remembered)
    assert world.names("/d0/sub") == {"f"}
    assert faults_of(world.core.tree) == []


def test_a_folder_that_vanished_is_not_kept_for_whoever_waited_for_what_is_in_it(world: World) -> None:
    world.account.mkdir("/d")
    world.follow()
    folder = world.node("/d")
    world.account.remove("/d")
    world.follow()
    assert world.names() == set()
    assert world.core.view.children(folder) == []
    assert faults_of(world.core.tree) == []


class Between:
    """A tree's lock that does something once it is let go of."""

    def __init__(self, lock: Any, act: Callable[[], None]) -> None:
        self._lock, self._act = lock, act

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._act()


def test_what_comes_into_a_folder_that_is_read_at_once_while_it_is_read_in_parts_is_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.account.write("/d/f", b"x")
    assert world.names("/d") == {"f"}
    world.restart()
    monkeypatch.setattr(childrows, "CHUNK", 1)
    tree, folder = world.core.tree, world.node("/d")
    lock, made = tree.lock, tree.new_node(is_folder=False)

    def read_at_once() -> None:
        if folder.part.arrivals is not None:
            monkeypatch.setattr(tree, "lock", lock)
            with lock:
                load_children(tree, folder)
                tree.touch(made)
                tree.change_unsaved(made, State(folder, "new", mtime_ns=1))

    monkeypatch.setattr(tree, "lock", Between(lock, read_at_once))
    world.core.listings.load(folder)
    assert tree.child(folder, "new") is made
    assert faults_of(tree) == []


def test_a_file_that_was_found_by_its_id_is_shown_in_its_folder_though_the_one_above_could_be_let_go_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As news of the service find it. Else its folder would be there twice, and the second one without it."""
    world.account.write("/d0/sub/f", b"x")
    for name in range(5):
        world.account.write(f"/d1/f{name}", b"x")
    world.follow()
    world.names("/d0/sub")
    remote_id = world.file("/d0/sub/f").id
    with monkeypatch.context() as patched:
        patched.setattr(residents, "ENTRIES_KEPT", 2)
        patched.setattr(residents, "FEW_FOLDERS", 0)
        world.names("/d1")
        assert not loaded(world, "/d0/sub")
    world.names("/d0")
    tree = world.core.tree
    with tree.lock:
        assert tree.by_remote_id(remote_id) is not None
    with monkeypatch.context() as patched:
        patched.setattr(residents, "ENTRIES_KEPT", 2)
        patched.setattr(residents, "FEW_FOLDERS", 0)
        world.names("/d1")
        for _ in range(3):
            with tree.lock:
                tree.residents.shrink()
    assert world.names("/d0/sub") == {"f"}
    assert world.fs.getattr("/d0/sub/f").size_bytes == 1


def test_a_folder_with_anything_of_ours_in_it_is_not_let_go_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        for name in range(5):
            world.account.write(f"/d{number}/f{name}", b"x")
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 4 + 5)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    world.put("/d0/f0", b"ours")
    handle = world.fs.open("/d1/f0", 0).number
    for number in (2, 3, 2, 3):
        world.names(f"/d{number}")
    assert loaded(world, "/d0")
    assert loaded(world, "/d1")
    assert not loaded(world, "/d2")
    assert world.get("/d0/f0") == b"ours"
    world.fs.release(handle)


def test_what_became_clean_is_let_go_of_though_no_folder_is_loaded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 3)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    world.names()
    world.follow()
    for number in range(3):
        world.mkdir(f"/d{number}")
        for name in range(5):
            world.put(f"/d{number}/f{name}", b"%d" % name)
    assert len(world.core.tree.nodes) == 1 + 3 + 15
    world.settle()
    assert not world.pending()
    world.follow()
    assert len(world.core.tree.nodes) <= 1 + 3
    asked = world.backend.calls()
    for number in range(3):
        assert world.names(f"/d{number}") == {f"f{name}" for name in range(5)}
        assert world.fs.getattr(f"/d{number}/f4").size_bytes == 1
    assert world.backend.calls() == asked
    assert world.remote()["/d2/f4"] == b"4"


def test_folders_are_shown_also_when_nothing_else_can_be_let_go_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 0)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    for number in range(3):
        world.account.write(f"/d{number}/theirs", b"x")
    world.mkdir("/ours")
    for number in range(10):
        world.put(f"/ours/{number}", b"x")
    assert world.names("/d0") == {"theirs"}
    world.rename("/d0/theirs", "/d1/moved")
    world.rename("/d1/theirs", "/d2/moved")
    assert (world.names("/d1"), world.names("/d2")) == ({"moved"}, {"moved", "theirs"})
    world.settle()
    assert world.remote().keys() >= {"/d1/moved", "/d2/moved", "/d2/theirs", "/ours/9"}


def test_of_folders_that_cannot_be_let_go_of_only_so_many_are_looked_at(
    account: AccountDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residents, "ENTRIES_KEPT", 0)
    monkeypatch.setattr(residents, "FEW_FOLDERS", 0)
    monkeypatch.setattr(residents, "EVICTION_TRIES", 3)
    looked: list[int] = []
    can_evict = account.tree.residents._can_evict

    def count(folder: Node) -> bool:
        looked.append(folder.id)
        return can_evict(folder)

    monkeypatch.setattr(account.tree.residents, "_can_evict", count)
    for number in range(10):
        account.put("a", b"x", folder=account.make_folder(str(number)))
    looked.clear()
    account.tree.residents.shrink()
    assert len(looked) == 3


def test_what_was_in_a_folder_that_vanished_is_let_go_of_in_parts(world: World) -> None:
    for name in range(10):
        world.account.write(f"/d/e/f{name}", b"x")
    world.names("/d/e")
    before = len(world.core.tree.nodes)
    assert before >= 12
    world.follow()
    world.account.remove("/d")
    world.follow()
    assert world.names() == set()
    while world.core.tree.sweep_detached(4):
        pass
    assert set(world.core.tree.nodes) == {world.core.tree.root.id}
    assert count_nodes(world.core.tree.store) == 0


def test_a_node_is_found_by_the_services_id_also_when_it_is_not_in_memory(
    account: AccountDisk,
) -> None:
    root = account.tree.root
    folder, file = account.tree.new_node(is_folder=True), account.tree.new_node(is_folder=False)
    account.tree.change((folder, State(root, "d", root, Folder("id:d", "d"))))
    entry = File("id:f", "f", "r", 1, 0, "h")
    account.tree.change((file, State(folder, "f", folder, entry)))
    account.restart()
    assert file.id not in account.tree.nodes
    found = account.tree.by_remote_id("id:f")
    assert found is not None
    assert (found.id, found.state.base) == (file.id, entry)
    account.tree.change((account.node(folder.id), FORGOTTEN))
    assert account.tree.by_remote_id("id:f") is None
    assert account.tree.by_remote_id("") is None
