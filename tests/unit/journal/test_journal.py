"""Rows: compare-and-set, all or nothing, the same again after reopening."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.errors import NoSpace
from mountfs.journal import rows
from mountfs.journal.database import JournalUnusable
from mountfs.journal.journal import NOTICES_KEPT, Journal, StaleChange
from mountfs.journal.schema import COLUMNS
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState, IllegalStep
from mountfs.model.path import RemotePath
from mountfs.ports import Part
from tests.fakes.clock import EPOCH_NS, FakeClock

PATH = RemotePath("/a.txt")


class Boom(Exception):
    """Raised inside a transaction."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(file: Path) -> Iterator[Journal]:
    journal = Journal(file, FakeClock())
    yield journal
    journal.close()


def _put(journal: Journal, path: RemotePath = PATH, state: ChangeState = ChangeState.OPEN) -> Change:
    return journal.add(ChangeKind.PUT, path, state, spool="0f")


def _reopened(journal: Journal) -> Journal:
    journal.close()
    return Journal(journal.path, FakeClock())


# Rows


def test_a_new_row_takes_effect_last_and_is_stamped(journal: Journal) -> None:
    first, second = _put(journal), _put(journal)
    assert first.seq < second.seq
    assert first.id != second.id
    assert first.touched_ns == EPOCH_NS
    assert journal.live() == journal.rows() == [first, second]
    assert journal.get(first.id) == first
    assert journal.get(99) is None


def test_the_columns_are_the_fields_of_a_change() -> None:
    assert [field.name for field in fields(Change)] == sorted(
        COLUMNS, key=[field.name for field in fields(Change)].index
    )
    assert set(COLUMNS) == {field.name for field in fields(Change)}


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=200)
@given(
    st.builds(
        Change,
        id=st.integers(1, 2**62),
        seq=st.integers(0, 2**62),
        kind=st.sampled_from(ChangeKind),
        state=st.sampled_from(ChangeState),
        path=TEXT.map(lambda text: RemotePath("/" + text)),
        source=st.none() | TEXT.map(lambda text: RemotePath("/" + text)),
        is_folder=st.booleans(),
        item_id=TEXT,
        base_revision=st.none() | TEXT,
        base_hash=st.none() | TEXT,
        base_change=st.none() | st.integers(0, 2**62),
        spool=st.none() | TEXT,
        size_bytes=st.integers(0, 2**62),
        mtime_ns=st.integers(-(2**62), 2**62),
        is_flushed=st.booleans(),
        is_synced=st.booleans(),
        content_hash=st.none() | TEXT,
        session=st.none() | TEXT,
        job=st.none() | TEXT,
        attempts=st.integers(0, 2**31),
        error=st.none() | TEXT,
        touched_ns=st.integers(0, 2**62),
    )
)
def test_a_change_survives_the_trip_through_sqlite(change: Change) -> None:
    assert rows.from_row(rows.to_row(change)) == change


def test_reopening_sees_the_same(journal: Journal) -> None:
    put = _put(journal)
    moved = journal.add(
        ChangeKind.MOVE, RemotePath("/Neu Ordner/ü"), ChangeState.UPLOADED, source=RemotePath("/x"),
        is_folder=True, item_id="id:1",
    )  # fmt: skip
    put = journal.advance(put, ChangeEvent.SEAL, size_bytes=7, mtime_ns=-1, is_synced=True, error="why")
    journal.add_part(put.id, Part(0, 4, "r0"))
    journal.set_time(RemotePath("/F"), "", 5)
    journal.notice(PATH, "hm")
    journal.set_fact("k", "v")
    before = journal.rows()
    assert before == [put, moved]
    journal = _reopened(journal)
    assert journal.rows() == before
    assert journal.parts(put.id) == (Part(0, 4, "r0"),)
    assert journal.time_of(RemotePath("/f"), "") == 5
    assert [notice.text for notice in journal.notices()] == ["hm"]
    assert journal.fact("k") == "v"
    assert _put(journal).seq > moved.seq
    journal.close()


def test_an_id_is_never_used_again(journal: Journal) -> None:
    change = journal.advance(_put(journal), ChangeEvent.SUPERSEDED)
    journal.forget(change.id)
    journal = _reopened(journal)
    assert _put(journal).id > change.id
    journal.close()


def test_the_database_refuses_words_the_model_does_not_know(journal: Journal) -> None:
    db = sqlite3.connect(journal.path)
    change = _put(journal)
    for column, word in (("kind", "copy"), ("state", "unknown")):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(f"UPDATE changes SET {column} = ? WHERE id = ?", (word, change.id))
    db.close()


def test_only_a_move_has_a_source_and_only_a_put_has_a_file(journal: Journal) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        journal.add(ChangeKind.PUT, PATH, ChangeState.OPEN)
    with pytest.raises(sqlite3.IntegrityError):
        journal.add(ChangeKind.MKDIR, PATH, ChangeState.UPLOADED, spool="0f")
    with pytest.raises(sqlite3.IntegrityError):
        journal.add(ChangeKind.MOVE, PATH, ChangeState.UPLOADED)
    with pytest.raises(sqlite3.IntegrityError):
        journal.add(ChangeKind.DELETE, PATH, ChangeState.UPLOADED, source=PATH)
    assert journal.rows() == []


# Compare and set


def test_a_step_moves_the_row_and_sets_its_fields(journal: Journal) -> None:
    sealed = journal.advance(_put(journal), ChangeEvent.SEAL, size_bytes=3)
    assert (sealed.state, sealed.size_bytes) == (ChangeState.SEALED, 3)
    assert journal.get(sealed.id) == sealed


def test_who_looked_before_the_row_moved_on_changes_nothing(journal: Journal) -> None:
    seen = _put(journal)
    sealed = journal.advance(seen, ChangeEvent.SEAL)
    for call in (
        lambda: journal.advance(seen, ChangeEvent.SEAL),
        lambda: journal.amend(seen, size_bytes=9),
        lambda: journal.move_to_end(seen),
    ):
        with pytest.raises(StaleChange):
            call()
    assert journal.rows() == [sealed]


def test_only_the_state_is_compared_and_other_fields_are_kept(journal: Journal) -> None:
    seen = _put(journal)
    journal.amend(seen, size_bytes=9)
    assert journal.advance(seen, ChangeEvent.SEAL).size_bytes == 9


def test_a_row_that_is_gone_is_stale(journal: Journal) -> None:
    seen = journal.advance(_put(journal), ChangeEvent.SUPERSEDED)
    journal.forget(seen.id)
    with pytest.raises(StaleChange):
        journal.amend(seen, size_bytes=9)
    journal.forget(seen.id)


def test_an_illegal_step_changes_nothing(journal: Journal) -> None:
    seen = _put(journal)
    with pytest.raises(IllegalStep):
        journal.advance(seen, ChangeEvent.ACKNOWLEDGED)
    with pytest.raises(TypeError):
        journal.amend(seen, colour="red")
    assert journal.rows() == [seen]
    assert _reopened(journal).rows() == [seen]


def test_a_live_row_is_not_forgotten(journal: Journal) -> None:
    seen = _put(journal)
    with pytest.raises(StaleChange):
        journal.forget(seen.id)
    assert journal.rows() == [seen]


def test_final_rows_are_kept_but_not_live(journal: Journal) -> None:
    dropped = journal.advance(_put(journal), ChangeEvent.SUPERSEDED)
    assert journal.live() == []
    assert journal.rows() == [dropped]
    assert _reopened(journal).rows() == [dropped]


def test_one_of_many_wins_a_step(journal: Journal) -> None:
    seen = _put(journal)
    won: list[int] = []

    def take(number: int) -> None:
        try:
            journal.advance(seen, ChangeEvent.SEAL, attempts=number)
        except StaleChange:
            return
        won.append(number)

    threads = [Thread(target=take, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert journal.live()[0].attempts == won[0]


def test_moved_to_the_end_it_takes_effect_after_all_others(journal: Journal) -> None:
    first, second = _put(journal), _put(journal)
    first = journal.move_to_end(first, path=RemotePath("/b"))
    assert journal.live() == [second, first]
    assert first.path == RemotePath("/b")
    assert _reopened(journal).live() == [second, first]


def test_followers_are_those_whose_base_it_is(journal: Journal) -> None:
    first = _put(journal)
    second = journal.add(ChangeKind.PUT, PATH, ChangeState.OPEN, spool="1f", base_change=first.id)
    third = journal.add(ChangeKind.PUT, PATH, ChangeState.OPEN, spool="2f", base_change=first.id)
    assert journal.followers(first.id) == [second, third]
    third = journal.amend(third, base_change=second.id)
    with pytest.raises(Boom), journal.transaction():
        journal.forget(journal.advance(third, ChangeEvent.SUPERSEDED).id)
        journal.amend(second, base_change=None)
        journal.add(ChangeKind.PUT, PATH, ChangeState.OPEN, spool="3f", base_change=first.id)
        raise Boom
    for again in (journal, _reopened(journal)):
        assert again.followers(first.id) == [second]
        assert again.followers(second.id) == [third]
        assert again.followers(third.id) == []
        assert again.live() == [first, second, third]


# All or nothing


def test_a_failed_transaction_leaves_memory_and_database_as_they_were(journal: Journal) -> None:
    kept = _put(journal)
    dropped = journal.advance(_put(journal), ChangeEvent.SUPERSEDED)
    journal.set_time(PATH, "r1", 1)
    before = journal.rows()
    with pytest.raises(Boom), journal.transaction():
        journal.advance(kept, ChangeEvent.SEAL)
        journal.add(ChangeKind.MKDIR, RemotePath("/d"), ChangeState.UPLOADED)
        journal.forget(dropped.id)
        journal.add_part(kept.id, Part(0, 1, "r"))
        journal.set_time(PATH, "r2", 2)
        journal.set_time(RemotePath("/other"), "r", 3)
        journal.notice(PATH, "hm")
        journal.set_fact("k", "v")
        raise Boom
    assert journal.rows() == before
    assert journal.parts(kept.id) == ()
    assert journal.time_of(PATH, "r1") == 1
    assert journal.time_of(RemotePath("/other"), "r") is None
    assert journal.notices() == []
    assert journal.fact("k") is None
    assert _reopened(journal).rows() == before


def test_a_time_forgotten_in_a_failed_transaction_is_back(journal: Journal) -> None:
    journal.set_time(PATH, "r1", 1)
    with pytest.raises(Boom), journal.transaction():
        journal.forget_time(PATH)
        raise Boom
    assert journal.time_of(PATH, "r1") == 1


def test_an_inner_failure_undoes_the_outer_transaction_too(journal: Journal) -> None:
    with pytest.raises(Boom), journal.transaction():
        _put(journal)
        with journal.transaction():
            _put(journal)
            raise Boom
    assert journal.rows() == []
    _put(journal)
    assert len(_reopened(journal).rows()) == 1


def test_an_inner_failure_caught_inside_undoes_nothing_half(journal: Journal) -> None:
    """Who catches inside a transaction gets what was done before, never a row half written."""
    seen = _put(journal)
    with journal.transaction():
        with pytest.raises(IllegalStep):
            journal.advance(seen, ChangeEvent.RETRY, size_bytes=5)
        sealed = journal.advance(seen, ChangeEvent.SEAL)
    assert journal.rows() == [sealed]
    assert _reopened(journal).rows() == [sealed]


def test_a_caught_refusal_of_the_database_leaves_memory_equal_to_it(journal: Journal) -> None:
    with journal.transaction():
        with pytest.raises(sqlite3.IntegrityError):
            journal.add(ChangeKind.PUT, PATH, ChangeState.OPEN)
        kept = _put(journal)
    memory = journal.rows()
    assert memory == [kept]
    assert _reopened(journal).rows() == memory


def test_memory_and_database_agree_after_a_long_walk(journal: Journal) -> None:
    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=30))
    @settings(max_examples=40, deadline=None)
    def walk(steps: list[tuple[int, int]]) -> None:
        try:
            with journal.transaction():
                for verb, which in steps:
                    _do(journal, verb, which)
        except (Boom, StaleChange, IllegalStep):
            pass
        found = [rows.from_row(row) for row in sqlite_rows(journal)]
        assert sorted(found, key=lambda change: change.seq) == journal.rows()
        live = [change for change in journal.rows() if change.state not in FINAL_STATES]
        assert journal.live() == live
        for change in found:
            followers = [row.id for row in found if row.base_change == change.id]
            assert sorted(row.id for row in journal.followers(change.id)) == sorted(followers)

    walk()


def sqlite_rows(journal: Journal) -> list[tuple[object, ...]]:
    db = sqlite3.connect(journal.path)
    found = db.execute(rows.SELECT).fetchall()
    db.close()
    return found


def _do(journal: Journal, verb: int, which: int) -> None:
    live = journal.rows()
    if verb == 0 or not live:
        _put(journal)
        return
    change = live[which % len(live)]
    match verb:
        case 1:
            journal.amend(change, base_change=live[0].id)
        case 2:
            journal.move_to_end(change)
        case 3:
            journal.advance(change, ChangeEvent.SEAL)
        case 4:
            journal.advance(change, ChangeEvent.SUPERSEDED)
        case 5:
            journal.forget(change.id)
        case 6 if which == 5:
            raise Boom


def test_a_full_disk_is_no_space_and_changes_nothing(journal: Journal) -> None:
    kept = _put(journal)
    journal.set_time(PATH, "r1", 1)
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NoSpace), journal.transaction():
        journal.set_time(PATH, "r2", 2)
        for number in range(10_000):
            _put(journal, RemotePath(f"/{number}"))
    assert journal.rows() == [kept]
    assert journal.time_of(PATH, "r1") == 1
    journal._db.execute("PRAGMA max_page_count = 1000000")
    added = _put(journal)
    assert _reopened(journal).rows() == [kept, added]


# Listeners


def test_listeners_hear_of_each_row_once_after_the_outermost_transaction(journal: Journal) -> None:
    heard: list[tuple[Change | None, Change | None]] = []
    first = _put(journal)
    journal.watch(lambda before, after: heard.append((before, after)))
    with journal.transaction():
        sealed = journal.advance(first, ChangeEvent.SEAL)
        sealed = journal.amend(sealed, size_bytes=4)
        added = _put(journal)
        assert heard == []
    assert heard == [(first, sealed), (None, added)]
    heard.clear()
    dropped = journal.advance(added, ChangeEvent.SUPERSEDED)
    journal.forget(dropped.id)
    assert heard == [(added, dropped), (dropped, None)]


def test_listeners_hear_nothing_of_what_was_undone(journal: Journal) -> None:
    heard: list[object] = []
    journal.watch(lambda before, after: heard.append(after))
    with pytest.raises(Boom), journal.transaction():
        _put(journal)
        raise Boom
    assert heard == []
    journal.notice(PATH, "hm")
    assert heard == []


def test_a_row_added_and_forgotten_at_once_is_no_news(journal: Journal) -> None:
    heard: list[tuple[Change | None, Change | None]] = []
    journal.watch(lambda before, after: heard.append((before, after)))
    with journal.transaction():
        journal.forget(journal.advance(_put(journal), ChangeEvent.SUPERSEDED).id)
    assert heard == []


def test_listeners_run_under_the_lock_and_see_the_new_rows(journal: Journal) -> None:
    seen: list[bool] = []

    def listen(before: Change | None, after: Change | None) -> None:
        assert after is not None
        seen.append(journal.get(after.id) == after)
        waiter = Thread(target=lambda: seen.append(journal.lock.acquire(blocking=False)))
        waiter.start()
        waiter.join()

    journal.watch(listen)
    _put(journal)
    assert seen == [True, False]


def test_commits_count_transactions_not_calls(journal: Journal) -> None:
    before = journal.commits
    with journal.transaction():
        _put(journal)
        _put(journal)
    assert journal.commits == before + 1
    with pytest.raises(Boom), journal.transaction():
        raise Boom
    assert journal.commits == before + 1


# Parts, times, notices, facts


def test_parts_ascend_replace_each_other_and_go_with_their_row(journal: Journal) -> None:
    change = _put(journal)
    for offset in (8, 0, 4):
        journal.add_part(change.id, Part(offset, 4, f"r{offset}"))
    journal.add_part(change.id, Part(4, 4, "again"))
    assert journal.parts(change.id) == (Part(0, 4, "r0"), Part(4, 4, "again"), Part(8, 4, "r8"))
    dropped = journal.advance(change, ChangeEvent.SUPERSEDED)
    journal.forget(dropped.id)
    assert journal.parts(change.id) == ()
    other = _put(journal)
    journal.add_part(other.id, Part(0, 1, "r"))
    journal.clear_parts(other.id)
    assert journal.parts(other.id) == ()


def test_a_part_belongs_to_a_row(journal: Journal) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        journal.add_part(99, Part(0, 1, "r"))


def test_a_time_holds_for_one_revision_and_any_case(journal: Journal) -> None:
    journal.set_time(RemotePath("/Dir/A"), "r1", 11)
    assert journal.time_of(RemotePath("/dir/a"), "r1") == 11
    assert journal.time_of(RemotePath("/dir/a"), "r2") is None
    journal.set_time(RemotePath("/DIR/a"), "r2", 22)
    assert journal.time_of(RemotePath("/Dir/A"), "r1") is None
    assert journal.time_of(RemotePath("/Dir/A"), "r2") == 22
    journal.forget_time(RemotePath("/dir/A"))
    journal.forget_time(RemotePath("/dir/A"))
    assert journal.time_of(RemotePath("/Dir/A"), "r2") is None


def test_the_newest_notices_are_kept_oldest_first(journal: Journal) -> None:
    for number in range(NOTICES_KEPT + 5):
        journal.notice(PATH, str(number))
    texts = [notice.text for notice in journal.notices()]
    assert texts == [str(number) for number in range(5, NOTICES_KEPT + 5)]
    assert journal.notices()[0].wall_ns == EPOCH_NS
    assert journal.notices()[0].path == "/a.txt"


def test_facts_are_replaced(journal: Journal) -> None:
    assert journal.fact("k") is None
    journal.set_fact("k", "1")
    journal.set_fact("k", "2")
    assert journal.fact("k") == "2"


# What cannot be opened


def test_the_journal_is_private(journal: Journal) -> None:
    assert journal.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b"this is no database at all " * 40), id="another file"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:5000]), id="cut short"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40000), id="overwritten"
        ),
        pytest.param(lambda path: _execute(path, "DELETE FROM meta"), id="no version"),
        pytest.param(lambda path: _execute(path, "DROP TABLE meta"), id="no facts"),
        pytest.param(lambda path: _execute(path, "DROP TABLE changes"), id="no rows"),
        pytest.param(lambda path: _execute(path, "UPDATE meta SET value = 'x'"), id="odd version"),
        pytest.param(
            lambda path: _execute(path, "UPDATE meta SET value = '99' WHERE key = 'schema'"), id="newer"
        ),
        pytest.param(
            lambda path: _execute(
                path, "PRAGMA ignore_check_constraints = 1", "UPDATE changes SET state = 'lost'"
            ),
            id="odd word",
        ),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a directory"),
    ],
)
def test_a_damaged_journal_says_so_and_is_left_alone(file: Path, damage: object) -> None:
    journal = Journal(file, FakeClock())
    for number in range(100):
        _put(journal, RemotePath(f"/{number}"))
    journal.close()
    damage(file)  # type: ignore[operator]
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(JournalUnusable) as refusal:
        Journal(file, FakeClock())
    assert str(file) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert (file.read_bytes() if file.is_file() else None) == before


def _execute(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_a_replaced_change_is_still_a_value() -> None:
    change = Change(1, 1, ChangeKind.PUT, ChangeState.OPEN, PATH)
    assert replace(change, seq=2).id == 1


def test_what_replaces_a_revision_is_found_as_bases_change(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "bases.db", FakeClock())
    first = journal.add(ChangeKind.PUT, RemotePath("/a"), ChangeState.SEALED, spool="1", base_revision="r")
    second = journal.add(ChangeKind.PUT, RemotePath("/b"), ChangeState.SEALED, spool="2", base_revision="r")
    assert journal.replacing("r") == [first, second]
    assert journal.replacing("other") == []
    moved = journal.amend(first, base_revision="other")
    journal.advance(second, ChangeEvent.SUPERSEDED)
    assert journal.replacing("r") == []
    assert journal.replacing("other") == [moved]
    with pytest.raises(ZeroDivisionError), journal.transaction():
        journal.amend(moved, base_revision="r")
        raise ZeroDivisionError
    assert journal.replacing("other") == [moved]
    assert journal.replacing("r") == []
    journal.close()


def test_times_of_folders_in_an_older_journal_are_found(tmp_path: Path) -> None:
    database = tmp_path / "older.db"
    journal = Journal(database, FakeClock())
    journal.set_time(RemotePath("/d"), "", 5)
    journal.set_time(RemotePath("/f"), "rev", 6)
    journal.close()
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE times SET path_key = rtrim(path_key, '/')")
    journal = Journal(database, FakeClock())
    assert journal.time_of(RemotePath("/d"), "") == 5
    assert journal.time_of(RemotePath("/f"), "rev") == 6
    journal.forget_folder_times(RemotePath("/d"))
    assert journal.time_of(RemotePath("/d"), "") is None
    journal.close()
