"""Rows: what goes into the database comes out of it the same; all of a transaction or nothing."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.errors import NoSpace
from mountfs.model.entry import NS_PER_S, Entry, File, Folder, Place
from mountfs.model.order import OrderKind, Part
from mountfs.model.path import RemotePath
from mountfs.tree.content import Content, Over
from mountfs.tree.database import StoreUnusable
from mountfs.tree.kept import Kept
from mountfs.tree.listing import Listing
from mountfs.tree.node import ROOT_ID, Flight, Node, Pending, State
from mountfs.tree.noticerows import NOTICES_KEPT, Notice
from mountfs.tree.refusal import Refusal
from mountfs.tree.rows import FlightRow, NodeRow, Role, node_update
from mountfs.tree.store import IDS_AT_ONCE, Store
from tests.doubles.rows import count_nodes

CONTENT = Content(7, "0f", 5, 11, is_flushed=True)


class Boom(Exception):
    """Raised inside a transaction."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    store = Store(file)
    store.begin()
    yield store
    store.close()


def reopened(store: Store) -> Store:
    """As the next process has it."""
    store.end()
    store.close()
    again = Store(store.path)
    again.begin()
    return again


def folder(node_id: int) -> Node:
    return Node(node_id, is_folder=True)


def save(store: Store, node_id: int, state: State, *, is_folder: bool = False, is_dirty: bool = True) -> Node:
    node = Node(node_id, is_folder=is_folder)
    store.save_nodes([(node, state)], is_dirty=[is_dirty])
    return node


# Values and rows

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
IDS = st.integers(2, 2**62)
SECONDS = st.integers(-(2**62), 2**62)
TIMES = st.builds(lambda s, ns: s * NS_PER_S + ns, SECONDS, st.integers(0, NS_PER_S - 1))
OVERS = st.none() | st.builds(Over, TEXT, st.none() | TEXT)
FOLDERS = st.none() | st.builds(folder, IDS)
FILES = st.builds(
    File,
    id=TEXT,
    name=TEXT,
    revision=TEXT,
    size_bytes=st.integers(0, 2**62),
    mtime_ns=SECONDS.map(lambda s: s * NS_PER_S),
    content_hash=st.none() | TEXT,
    is_downloadable=st.booleans(),
)
BASES = st.none() | FILES | st.builds(Folder, TEXT, TEXT)
REFUSALS = st.none() | st.builds(Refusal, st.sampled_from(OrderKind), TEXT, st.integers(0, 2**62))
CONTENTS = st.builds(
    Content,
    id=IDS,
    spool=TEXT,
    size_bytes=st.integers(0, 2**62),
    mtime_ns=TIMES,
    over=OVERS,
    is_flushed=st.booleans(),
    is_synced=st.booleans(),
    content_hash=st.none() | TEXT,
    session=st.none() | TEXT,
)


def test_what_is_known_of_a_node_survives_the_trip_through_sqlite(store: Store) -> None:
    @settings(max_examples=200, deadline=None)
    @given(
        node_id=IDS,
        parent=FOLDERS,
        name=TEXT,
        base_parent=FOLDERS,
        base=BASES,
        mtime_ns=st.none() | TIMES,
        refusal=REFUSALS,
        touched_ns=st.integers(0, 2**62),
        is_dirty=st.booleans(),
    )
    def trip(
        node_id: int,
        parent: Node | None,
        name: str,
        base_parent: Node | None,
        base: Entry | None,
        mtime_ns: int | None,
        refusal: Refusal | None,
        touched_ns: int,
        is_dirty: bool,
    ) -> None:
        node = Node(node_id, is_folder=isinstance(base, Folder))
        node.pending = Pending(touched_ns)
        state = State(parent, name, base_parent, base, mtime_ns=mtime_ns, refusal=refusal)
        for _ in range(2):  # a new row, and the same one again
            store.save_nodes([(node, state)], is_dirty=[is_dirty])
            assert store.node(node_id) == NodeRow(
                node_id,
                node.is_folder,
                None if parent is None else parent.id,
                name,
                None if base_parent is None else base_parent.id,
                base,
                mtime_ns,
                refusal,
                touched_ns,
                is_dirty,
            )

    trip()


STATES = st.builds(
    State,
    parent=FOLDERS,
    name=TEXT,
    base_parent=FOLDERS,
    base=BASES,
    mtime_ns=st.none() | TIMES,
    refusal=REFUSALS,
    kept=st.none() | st.builds(Kept, st.integers(0, 0o777), st.none() | st.integers(0, 1000)),
)


def test_a_row_is_brought_up_to_date_by_what_has_changed_of_it(store: Store) -> None:
    @settings(max_examples=200, deadline=None)
    @given(
        states=st.tuples(STATES, STATES),
        fields=st.sets(st.sampled_from([each.name for each in dataclasses.fields(State)])),
        is_dirty=st.tuples(st.booleans(), st.booleans()),
        is_there=st.booleans(),
    )
    def trip(
        states: tuple[State, State], fields: set[str], is_dirty: tuple[bool, bool], is_there: bool
    ) -> None:
        before, other = states
        after = replace(before, **{name: getattr(other, name) for name in fields})
        node = Node(7, is_folder=False)
        if isinstance(after.base, Folder):
            after = replace(after, base=None)
        if isinstance(before.base, Folder):
            before = replace(before, base=None)
        node.pending = Pending(11)
        store.delete_nodes([7, 8])
        if is_there:
            store.save_nodes([(node, before)], is_dirty=[is_dirty[0]])
        node.pending = Pending(12)
        store.update_node(node, before, after, is_dirty=is_dirty[1])
        whole = Node(8, is_folder=False)
        whole.pending = node.pending
        store.save_nodes([(whole, after)], is_dirty=[is_dirty[1]])
        written, expected = store.node(7), store.node(8)
        assert written is not None
        assert expected is not None
        assert written._replace(id=8) == expected

    trip()


def test_an_update_leaves_alone_the_indexes_of_what_has_not_changed(store: Store) -> None:
    node = Node(7, is_folder=False)
    before = State(folder(2), "f", mtime_ns=1)
    statements = {}
    for field, after in {
        "kept": replace(before, kept=Kept(0o600)),
        "parent": replace(before, parent=folder(3)),
        "base": before.based(folder(2), File("id", "f", "1", 0, 0, None)),
        "refusal": replace(before, refusal=Refusal(OrderKind.PUT, "no", 1)),
    }.items():
        statements[field], _ = node_update(node, before, after, is_dirty=True)
    named = {
        column: {field for field, statement in statements.items() if f" {column} = " in statement}
        for column in ("parent", "remote_id", "base_size", "refused", "name", "kind")
    }
    assert named == {
        "parent": {"parent"},
        "remote_id": {"base"},
        "base_size": {"base"},
        "refused": {"refusal"},
        "name": set(statements),
        "kind": set(),
    }


def test_what_is_known_of_bytes_survives_the_trip_through_sqlite(store: Store) -> None:
    @settings(max_examples=200, deadline=None)
    @given(content=CONTENTS, node_id=IDS, role=st.sampled_from(Role))
    def trip(content: Content, node_id: int, role: Role) -> None:
        store.save_contents([(replace(content, spool="before"), 1, Role.DRAFT)])
        store.save_contents([(content, node_id, role)])
        assert list(store.contents()) == [(content, node_id, role)]
        store.delete_contents([content.id])

    trip()


def test_what_was_sent_survives_the_trip_through_sqlite(store: Store) -> None:
    @settings(max_examples=200, deadline=None)
    @given(
        flight_id=IDS,
        kind=st.sampled_from(OrderKind),
        node=st.builds(folder, IDS),
        parent=FOLDERS,
        name=TEXT,
        place=st.builds(Place, TEXT.map(lambda text: RemotePath("/" + text)), TEXT),
        source=st.none() | st.builds(Place, TEXT.map(lambda text: RemotePath("/" + text)), TEXT),
        item_id=TEXT,
        over=OVERS,
        content=st.none() | CONTENTS,
        mtime_ns=st.none() | TIMES,
        is_carried=st.booleans(),
        job=st.none() | TEXT,
    )
    def trip(
        flight_id: int,
        kind: OrderKind,
        node: Node,
        parent: Node | None,
        name: str,
        place: Place,
        source: Place | None,
        item_id: str,
        over: Over | None,
        content: Content | None,
        mtime_ns: int | None,
        is_carried: bool,
        job: str | None,
    ) -> None:
        flight = Flight(
            flight_id, kind, node, parent, name, place, source, item_id, over, content, mtime_ns, is_carried
        )
        store.save_flights([flight], 3)
        store.set_job(3, job)
        assert store.flights() == [
            FlightRow(
                flight_id,
                3,
                0,
                job,
                kind,
                is_carried,
                node.id,
                None if content is None else content.id,
                None if parent is None else parent.id,
                name,
                place.path.text,
                place.folder_id,
                None if source is None else source.path.text,
                None if source is None else source.folder_id,
                item_id,
                None if over is None else over.revision,
                None if over is None else over.content_hash,
                mtime_ns,
            )
        ]
        store.delete_flight(flight)

    trip()


@pytest.mark.parametrize(
    "mtime_ns",
    [
        pytest.param(0, id="1970"),
        pytest.param(-1, id="a nanosecond earlier"),
        pytest.param(-14_182_940 * NS_PER_S + 1, id="1969"),
        pytest.param(-9_214_646_400 * NS_PER_S + 123_456_789, id="1678"),
        pytest.param(-62_135_596_800 * NS_PER_S, id="the year 1"),
        pytest.param(9_224_318_016 * NS_PER_S + 999_999_999, id="2262"),
        pytest.param(253_402_300_799 * NS_PER_S + 7, id="9999"),
    ],
)
def test_no_year_is_out_of_range(store: Store, mtime_ns: int) -> None:
    """64 bits hold the nanoseconds of 1678 to 2262."""
    whole_ns = mtime_ns - mtime_ns % NS_PER_S
    base = File("i", "a", "r", 1, whole_ns, None)
    node = save(store, 2, State(folder(ROOT_ID), "a", folder(ROOT_ID), base, mtime_ns=mtime_ns))
    store.save_contents([(replace(CONTENT, mtime_ns=mtime_ns), 2, Role.CONTENT)])
    flight = Flight(9, OrderKind.SET_TIME, node, None, "a", Place(RemotePath("/a")), mtime_ns=mtime_ns)
    store.save_flights([flight], 1)
    store = reopened(store)
    row = store.node(2)
    assert row is not None
    assert isinstance(row.base, File)
    assert (row.mtime_ns, row.base.mtime_ns) == (mtime_ns, whole_ns)
    assert [content.mtime_ns for content, _, _ in store.contents()] == [mtime_ns]
    assert [flight.mtime_ns for flight in store.flights()] == [mtime_ns]
    store.close()


@pytest.mark.parametrize(
    ("table", "column"),
    [("nodes", "kind"), ("nodes", "refused_kind"), ("contents", "role"), ("flights", "kind")],
)
def test_the_database_refuses_words_that_the_model_does_not_know(
    store: Store, table: str, column: str
) -> None:
    node = save(store, 2, State(folder(ROOT_ID), "a"))
    store.save_contents([(CONTENT, 2, Role.CONTENT)])
    store.save_flights([Flight(9, OrderKind.PUT, node, None, "a", Place(RemotePath("/a")))], 1)
    store.end()
    with closing(sqlite3.connect(store.path)) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(f"UPDATE {table} SET {column} = 'unknown'")


# Ids


def test_an_id_is_never_given_again_by_the_next_process(store: Store) -> None:
    store.notices.add(Notice(0, "/", "a write"))
    given_ids = [store.next_id() for _ in range(3)]
    save(store, given_ids[-1], State(folder(ROOT_ID), "a"))
    store = reopened(store)
    assert store.next_id() > max(given_ids)
    store.close()


def test_an_id_of_a_cancelled_transaction_is_not_given_again(store: Store) -> None:
    first = store.next_id()
    save(store, first, State(folder(ROOT_ID), "a"))
    store.cancel()
    store.begin()
    second = store.next_id()
    save(store, second, State(folder(ROOT_ID), "b"))
    store = reopened(store)
    assert first < second < store.next_id()
    store.close()


@pytest.mark.parametrize("said", [None, "2", "1", "-3", "", "x", "9" * 30, "4e9", "²", str(2**62)])
def test_no_id_is_given_twice_where_the_next_one_is_not_known(store: Store, said: str | None) -> None:
    """What has it would be written over: the row of a node, or what a label tells of a new file."""
    first = store.next_id()
    save(store, first, State(folder(ROOT_ID), "a"))
    given = [store.next_id() for _ in range(3 * IDS_AT_ONCE)]
    store.end()
    store.close()
    with closing(sqlite3.connect(store.path)) as db, db:
        if said is None:
            db.execute("DELETE FROM meta WHERE key = 'next_id'")
        else:
            db.execute("UPDATE meta SET value = ? WHERE key = 'next_id'", (said,))
    store = Store(store.path)
    store.begin()
    for _ in range(2):
        fresh = store.next_id()
        assert fresh > max(first, *given)
        save(store, fresh, State(folder(ROOT_ID), str(fresh)))
        given.append(fresh)
        store = reopened(store)
    store.close()


def test_a_database_that_uses_the_last_number_is_given_up(store: Store) -> None:
    save(store, 2**63 - 1, State(folder(ROOT_ID), "a"))
    store.end()
    store.close()
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("DELETE FROM meta WHERE key = 'next_id'")
    with pytest.raises(StoreUnusable, match="its next number"):
        Store(store.path)


def test_ids_are_reserved_in_blocks_so_that_most_writes_do_not_pay_for_them(store: Store) -> None:
    save(store, store.next_id(), State(folder(ROOT_ID), "a"))
    reserved = store.fact("next_id")
    for number in range(100):
        save(store, store.next_id(), State(folder(ROOT_ID), str(number)))
    assert store.fact("next_id") == reserved
    for _ in range(IDS_AT_ONCE):
        store.next_id()
    save(store, store.next_id(), State(folder(ROOT_ID), "b"))
    assert store.fact("next_id") != reserved


# Transactions


def test_a_transaction_that_is_cancelled_leaves_nothing(store: Store) -> None:
    store.end()
    commits = store.commits
    store.begin()
    save(store, 2, State(folder(ROOT_ID), "a"))
    store.save_contents([(CONTENT, 2, Role.CONTENT)])
    store.parts.add(CONTENT.id, Part(0, 1, "r"))
    store.orphans.add("s")
    store.notices.add(Notice(0, "/a", "hm"))
    store.set_fact("k", "v")
    store.save_listing(ROOT_ID, Listing(3))
    store.cancel()
    assert count_nodes(store) == 0
    assert list(store.contents()) == []
    assert store.parts.of(CONTENT.id) == ()
    assert (store.orphans.all(), store.notices.all(), store.fact("k")) == ([], [], None)
    assert store.listing(ROOT_ID) is None
    assert store.commits == commits


def test_transactions_are_counted_not_calls(store: Store) -> None:
    save(store, 2, State(folder(ROOT_ID), "a"))
    save(store, 3, State(folder(ROOT_ID), "b"))
    store.end()
    assert store.commits == 1


def test_a_full_disk_is_no_space_and_whatever_else_goes_wrong_is_itself(store: Store) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    assert isinstance(store.error_of(full), NoSpace)
    other = sqlite3.OperationalError("disk I/O error")
    assert store.error_of(other) is other


# Nodes


def test_a_start_is_told_of_what_is_not_clean_and_of_what_was_refused(store: Store) -> None:
    root = folder(ROOT_ID)
    save(store, 2, State(root, "clean"), is_dirty=False)
    save(store, 3, State(root, "dirty"))
    refusal = Refusal(OrderKind.MOVE, "no", 1)
    save(store, 4, State(root, "refused", refusal=refusal), is_dirty=False)
    save(store, 5, State(root, "both", refusal=refusal))
    assert sorted(row.name for row in store.live_nodes()) == ["both", "dirty", "refused"]


def test_what_is_in_a_folder_is_read_a_part_at_a_time(store: Store) -> None:
    root = folder(ROOT_ID)
    for node_id in (5, 3, 4, 2):
        save(store, node_id, State(root, str(node_id)), is_folder=node_id == 4)
    save(store, 6, State(folder(4), "below"))
    assert [row.id for row in store.children(ROOT_ID)] == [2, 3, 4, 5]
    assert [row.id for row in store.children(ROOT_ID, after_id=2, most=2)] == [3, 4]
    assert list(store.folders_in(ROOT_ID)) == []  # the service does not have it


def test_the_folders_in_a_folder_are_told_by_the_names_that_the_service_has_for_them(store: Store) -> None:
    root = folder(ROOT_ID)
    save(store, 2, State(root, "here", root, Folder("id:1", "there")), is_folder=True)
    save(store, 3, State(root, "ours"), is_folder=True)
    save(store, 4, State(root, "f"))
    assert list(store.folders_in(ROOT_ID)) == [(2, "there")]


def test_nodes_are_found_by_the_id_that_the_service_told(store: Store) -> None:
    root = folder(ROOT_ID)
    save(store, 2, State(root, "a", root, Folder("id:1", "a")), is_folder=True)
    save(store, 3, State(root, "b", root, Folder("", "b")), is_folder=True)
    assert [row.id for row in store.by_remote_id("id:1")] == [2]
    assert store.by_remote_id("") == []


# Bytes and their parts


def test_parts_ascend_and_replace_each_other(store: Store) -> None:
    for offset in (8, 0, 4):
        store.parts.add(CONTENT.id, Part(offset, 4, f"r{offset}"))
    store.parts.add(CONTENT.id, Part(4, 4, "again"))
    assert store.parts.of(CONTENT.id) == (Part(0, 4, "r0"), Part(4, 4, "again"), Part(8, 4, "r8"))
    store.parts.clear(CONTENT.id)
    assert store.parts.of(CONTENT.id) == ()


def test_bytes_that_are_nobodys_keep_their_file_and_lose_their_parts(store: Store) -> None:
    store.save_contents([(CONTENT, 2, Role.SENT)])
    store.parts.add(CONTENT.id, Part(0, 4, "r"))
    store.spend_content(CONTENT)
    store = reopened(store)
    assert list(store.contents()) == [(CONTENT, None, Role.SENT)]
    assert store.parts.of(CONTENT.id) == ()
    store.close()


def test_bytes_that_are_somebodys_again_in_the_same_transaction_stay_so(store: Store) -> None:
    store.save_contents([(CONTENT, 2, Role.CONTENT)])
    store.parts.add(CONTENT.id, Part(0, 4, "r"))
    store.spend_content(CONTENT)
    store.save_contents([(CONTENT, 3, Role.SENT)])
    store = reopened(store)
    assert list(store.contents()) == [(CONTENT, 3, Role.SENT)]
    assert store.parts.of(CONTENT.id) == ()
    store.spend_content(CONTENT)
    store.cancel()
    store.begin()
    assert list(store.contents()) == [(CONTENT, 3, Role.SENT)]
    store.close()


def test_rows_of_many_outcomes_are_ended_by_a_statement_for_all_of_them(store: Store) -> None:
    place = Place(RemotePath("/n"))
    flights = [Flight(number, OrderKind.PUT, folder(number), None, "n", place) for number in (10, 20, 30)]
    contents = [replace(CONTENT, id=number) for number in (10, 20, 30)]
    store.save_flights(flights, 1)
    store.save_contents([(each, each.id, Role.SENT) for each in contents])
    seen: list[str] = []
    store._db.set_trace_callback(seen.append)
    for flight, content in zip(flights, contents, strict=True):
        store.delete_flight(flight)
        store.spend_content(content)
    assert not seen
    store = reopened(store)
    assert store.flights() == []
    assert all(node is None for _, node, _ in store.contents())
    store.close()


# Orders on their way


def test_orders_come_back_by_batch_and_position(store: Store) -> None:
    flights = [
        Flight(number, OrderKind.PUT, folder(number), None, "n", Place(RemotePath("/n")))
        for number in (30, 20, 10)
    ]
    store.save_flights(flights[:2], 2)
    store.save_flights(flights[2:], 1)
    store.set_job(2, "job")
    assert [(row.id, row.job) for row in store.flights()] == [(10, None), (30, "job"), (20, "job")]


def test_orders_that_go_on_apart_have_no_job(store: Store) -> None:
    one, other = (
        Flight(number, OrderKind.PUT, folder(number), None, "n", Place(RemotePath("/n")))
        for number in (10, 20)
    )
    store.save_flights([one, other], 1)
    store.set_job(1, "job")
    store.move_flights([other], 2)
    assert [(row.id, row.batch, row.job) for row in store.flights()] == [(10, 1, "job"), (20, 2, None)]
    store.delete_flight(one)
    assert [row.id for row in store.flights()] == [20]


# Listings


def test_what_is_known_of_a_listing_survives(store: Store) -> None:
    save(store, 2, State(folder(ROOT_ID), "d"), is_folder=True)
    store.save_listing(2, Listing(3, 4, 5))
    found = store.listing(2)
    assert found is not None
    assert (found.listed_at, found.doubted_at, found.doubted_below_at) == (3, 4, 5)
    assert list(store.listings_of(store.children(ROOT_ID))) == [2]
    assert store.listing(3) is None


def test_a_folder_with_a_name_that_hides_another_is_to_be_listed_again_after_a_start(store: Store) -> None:
    listing = Listing(8, 1, 0)
    listing.shadows = {"a"}
    store.save_listing(2, listing)
    found = store.listing(2)
    assert found is not None
    assert found.doubted_at > found.listed_at


def test_what_is_below_a_vanished_folder_goes_in_parts_and_what_is_ours_stays(store: Store) -> None:
    gone, below = folder(2), folder(3)
    save(store, 3, State(gone, "below"), is_folder=True, is_dirty=False)
    for number in range(10, 20):
        save(store, number, State(below, str(number)), is_dirty=False)
    save(store, 20, State(below, "ours"))
    store.save_listing(3, Listing(1))
    store.detached.add(2)
    removed: list[int] = []
    while count := store.detached.sweep(4):
        removed.append(count)
    assert max(removed) <= 4
    assert [row.name for row in store.live_nodes()] == ["ours"]
    assert store.listing(3) is None
    store.end()
    assert count_nodes(store) == 1


# Notices and facts


def test_the_newest_notices_are_kept_oldest_first(store: Store) -> None:
    for number in range(NOTICES_KEPT + 5):
        store.notices.add(Notice(number, "/a.txt", str(number)))
    expected = [Notice(number, "/a.txt", str(number)) for number in range(5, NOTICES_KEPT + 5)]
    assert store.notices.all() == expected


def test_facts_are_replaced_and_removed(store: Store) -> None:
    assert store.fact("k") is None
    store.set_fact("k", "1")
    store.set_fact("k", "2")
    assert store.fact("k") == "2"
    store.set_fact("k", None)
    assert store.fact("k") is None
