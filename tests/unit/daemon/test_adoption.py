"""Taking over what another mount left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.adoption import adopt
from mountfs.journal.journal import Journal
from mountfs.model.change import ChangeEvent, ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from tests.fakes.clock import FakeClock


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Journal]:
    (tmp_path / "spool").mkdir()
    journal = Journal(tmp_path / "journal.db", FakeClock())
    yield journal
    journal.close()


@pytest.fixture
def their_directory(tmp_path: Path) -> Path:
    (tmp_path / "theirs" / "spool").mkdir(parents=True)
    return tmp_path / "theirs"


@pytest.fixture
def theirs(their_directory: Path) -> Journal:
    return Journal(their_directory / "journal.db", FakeClock())


def test_outcomes_of_a_running_job_still_meet_their_changes(
    ours: Journal, theirs: Journal, their_directory: Path
) -> None:
    """They are told by position, and the positions are those of the ids."""
    for name in "ab":
        theirs.add(
            ChangeKind.MOVE, RemotePath(f"/{name}2"), ChangeState.UPLOADED, source=RemotePath(f"/{name}")
        )
    theirs.move_to_end(theirs.live()[0])
    for change in theirs.live():
        theirs.advance(change, ChangeEvent.COMMIT_SENT, job="job")
    adopt(ours, ours.path.parent / "spool", theirs, their_directory)
    adopted = ours.live()
    assert [change.path.text for change in adopted] == ["/b2", "/a2"]
    assert [change.path.text for change in sorted(adopted, key=lambda row: row.id)] == ["/a2", "/b2"]


def test_a_change_still_replaces_one_that_is_younger(
    ours: Journal, theirs: Journal, their_directory: Path
) -> None:
    first = theirs.add(ChangeKind.PUT, RemotePath("/t"), ChangeState.SEALED, spool="1")
    second = theirs.add(ChangeKind.PUT, RemotePath("/f"), ChangeState.SEALED, spool="2")
    theirs.move_to_end(first, path=RemotePath("/f"), base_change=second.id)
    adopt(ours, ours.path.parent / "spool", theirs, their_directory)
    below, above = ours.live()
    assert (below.spool, above.spool) == ("2", "1")
    assert above.base_change == below.id


def test_times_the_service_cannot_keep_are_taken_over(ours: Journal, their_directory: Path) -> None:
    theirs = Journal(their_directory / "journal.db", FakeClock())
    theirs.set_time(RemotePath("/D"), "", 5)
    adopt(ours, ours.path.with_name("spool"), theirs, their_directory)
    assert ours.time_of(RemotePath("/d"), "") == 5


def test_upload_sessions_that_are_to_be_ended_are_taken_over(
    ours: Journal, theirs: Journal, their_directory: Path
) -> None:
    ours.orphans.add("ours")
    refused = theirs.add(ChangeKind.PUT, RemotePath("/f"), ChangeState.SEALED, spool="1", session="theirs")
    theirs.advance(refused, ChangeEvent.REFUSED)
    kept = theirs.add(ChangeKind.PUT, RemotePath("/g"), ChangeState.SEALED, spool="2", session="in use")
    adopt(ours, ours.path.parent / "spool", theirs, their_directory)
    assert ours.orphans.all() == ["ours", "theirs"]
    assert [row.session for row in ours.live()] == [None, kept.session]
