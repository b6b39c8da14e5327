"""What becomes of the changes that were to replace one that is refused."""

from __future__ import annotations

from pathlib import Path

from mountfs.journal.journal import Journal
from mountfs.journal.standin import stand_in
from mountfs.model.change import Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from tests.fakes.clock import FakeClock

PATH = RemotePath("/a")


def refused(journal: Journal, base_revision: str | None) -> Change:
    sealed = journal.add(
        ChangeKind.PUT, PATH, ChangeState.SEALED, spool="one", base_revision=base_revision, base_hash="hash"
    )
    return journal.advance(sealed, ChangeEvent.REFUSED)


def test_the_newer_version_replaces_what_the_refused_one_was_to_replace(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", FakeClock())
    failed = refused(journal, "rev")
    newer = journal.add(ChangeKind.PUT, PATH, ChangeState.SEALED, spool="two", base_change=failed.id)
    with journal.transaction():
        stand_in(journal, failed)
    (left,) = journal.live()
    assert left.id == newer.id
    assert (left.base_revision, left.base_hash, left.base_change) == ("rev", "hash", None)
    journal.close()


def test_a_version_that_is_still_being_written_replaces_nothing_yet(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", FakeClock())
    failed = refused(journal, "rev")
    writing = journal.add(ChangeKind.PUT, PATH, ChangeState.OPEN, spool="two", base_change=failed.id)
    with journal.transaction():
        stand_in(journal, failed)
    assert journal.live() == [failed, writing]
    journal.close()


def test_a_version_that_was_given_up_replaces_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", FakeClock())
    failed = refused(journal, "rev")
    newer = journal.add(ChangeKind.PUT, PATH, ChangeState.SEALED, spool="two", base_change=failed.id)
    journal.advance(newer, ChangeEvent.SUPERSEDED)
    with journal.transaction():
        stand_in(journal, failed)
    assert journal.live() == [failed]
    journal.close()


def test_the_removal_of_a_refused_new_file_has_nothing_to_remove(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", FakeClock())
    failed = refused(journal, None)
    journal.add(ChangeKind.DELETE, PATH, ChangeState.UPLOADED, base_change=failed.id)
    with journal.transaction():
        stand_in(journal, failed)
    assert journal.live() == []
    journal.close()
