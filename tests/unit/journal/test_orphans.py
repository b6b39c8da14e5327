"""Upload sessions nobody will commit: they come as their row lets go of them, and stay until they end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from mountfs.ports import Part
from tests.fakes.clock import FakeClock

E, S = ChangeEvent, ChangeState


class Boom(Exception):
    """Raised inside a transaction."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(file: Path) -> Iterator[Journal]:
    journal = Journal(file, FakeClock())
    yield journal
    journal.close()


def _sending(journal: Journal, state: ChangeState) -> Change:
    change = journal.add(ChangeKind.PUT, RemotePath("/a"), state, spool="0f", session="s")
    journal.add_part(change.id, Part(0, 4, "r"))
    return change


@pytest.mark.parametrize(
    ("state", "event", "fields"),
    [
        (S.OPEN, E.SUPERSEDED, {}),
        (S.OPEN, E.SEAL, {"session": None}),
        (S.SEALED, E.SUPERSEDED, {}),
        (S.SEALED, E.REFUSED, {}),
        (S.SEALED, E.UPLOAD_DONE, {"session": None}),
        (S.SEALED, E.UPLOAD_DONE, {"session": "another"}),
        (S.UPLOADED, E.SUPERSEDED, {}),
        (S.COMMITTING, E.RESEND, {"session": None}),
        (S.COMMITTING, E.REFUSED, {}),
    ],
)
def test_a_session_that_its_row_lets_go_of_is_to_be_ended(
    journal: Journal, state: ChangeState, event: ChangeEvent, fields: dict[str, Any]
) -> None:
    change = _sending(journal, state)
    after = journal.advance(change, event, **fields)
    assert journal.orphans.all() == ["s"]
    assert after.session == fields.get("session")
    assert journal.parts(change.id) == ()


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (S.OPEN, E.SEAL),
        (S.SEALED, E.UPLOAD_DONE),
        (S.UPLOADED, E.COMMIT_SENT),
        (S.COMMITTING, E.RETRY),
        (S.COMMITTING, E.CONFLICT),
        (S.COMMITTING, E.ACKNOWLEDGED),
    ],
)
def test_one_that_is_still_of_use_or_was_committed_is_not(
    journal: Journal, state: ChangeState, event: ChangeEvent
) -> None:
    change = _sending(journal, state)
    after = journal.advance(change, event)
    assert after.session == "s"
    assert journal.parts(change.id) != ()
    assert journal.orphans.first() is None


def test_it_comes_with_what_lets_go_of_it_or_not_at_all(journal: Journal) -> None:
    change = _sending(journal, S.SEALED)
    with pytest.raises(Boom), journal.transaction():
        journal.advance(change, E.SUPERSEDED)
        raise Boom
    assert journal.get(change.id) == change
    assert journal.orphans.all() == []


def test_it_stays_until_it_is_over_whatever_becomes_of_the_process(journal: Journal, file: Path) -> None:
    for session in ("b", "a", "b"):
        journal.orphans.add(session)
    journal.close()
    again = Journal(file, FakeClock())
    assert again.orphans.all() == ["b", "a"]
    assert (again.orphans.first(), again.orphans.count()) == ("b", 2)
    again.orphans.remove("b")
    assert again.orphans.all() == ["a"]
    again.close()


def test_where_sessions_end_by_themselves_none_is_kept(file: Path) -> None:
    journal = Journal(file, FakeClock(), ends_sessions=False)
    change = _sending(journal, S.SEALED)
    assert journal.advance(change, E.SUPERSEDED).session is None
    journal.orphans.add("t")
    assert journal.orphans.count() == 0
    journal.close()


def test_a_journal_of_an_earlier_mountfs_tells_what_its_dead_rows_held(file: Path) -> None:
    journal = Journal(file, FakeClock())
    kept, failed, dropped = (_sending(journal, S.SEALED) for _ in range(3))
    journal.advance(failed, E.REFUSED)
    journal.advance(dropped, E.SUPERSEDED)
    journal.close()
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("DROP TABLE orphans")
        db.execute("UPDATE changes SET session = 's' || id")
        db.execute("INSERT OR IGNORE INTO parts VALUES (?, 0, 4, 'r')", (failed.id,))
    journal = Journal(file, FakeClock())
    assert journal.orphans.all() == [f"s{failed.id}", f"s{dropped.id}"]
    assert [row.session for row in journal.rows()] == [f"s{kept.id}", None, None]
    assert journal.parts(failed.id) == ()
    assert journal.parts(kept.id) != ()
    journal.close()
    again = Journal(file, FakeClock())
    assert again.orphans.count() == 2
    again.close()
