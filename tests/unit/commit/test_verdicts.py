from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.commit.verdicts import (
    TRIES,
    Acknowledge,
    Base,
    Beside,
    Drop,
    Look,
    Refuse,
    Retry,
    Reupload,
    Unknown,
    judge,
    judge_standing,
)
from mountfs.errors import (
    AlreadyExists,
    Busy,
    Conflict,
    Forbidden,
    MountfsError,
    NotFound,
    NotSignedIn,
    Offline,
    ServerFault,
    SessionLost,
    Throttled,
)
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.entry import File, Folder
from mountfs.model.path import RemotePath

A = RemotePath("/a")
PUT = Change(
    1,
    1,
    ChangeKind.PUT,
    ChangeState.COMMITTING,
    A,
    size_bytes=3,
    content_hash="h",
    base_hash="b",
    base_revision="r",
)
MKDIR = Change(2, 2, ChangeKind.MKDIR, ChangeState.COMMITTING, A)
DELETE = Change(3, 3, ChangeKind.DELETE, ChangeState.COMMITTING, A, base_revision="r")
MOVE = Change(4, 4, ChangeKind.MOVE, ChangeState.COMMITTING, A, source=RemotePath("/s"), item_id="id")
FILE = File(A, "id", "r2", 3, 0, "h")
OTHER = replace(FILE, id="id2", content_hash="x")
FOLDER = Folder(A, "id3")
CONFLICT = Conflict("changed")


@pytest.mark.parametrize(("change", "entry"), [(PUT, FILE), (MKDIR, FOLDER), (DELETE, None), (MOVE, FILE)])
def test_the_expected_outcome_is_acknowledged(change: Change, entry: File | Folder | None) -> None:
    assert judge(change, entry, is_uncertain=False) == Acknowledge(entry)


def test_another_hash_is_never_acknowledged() -> None:
    verdict = judge(PUT, OTHER, is_uncertain=False)
    assert isinstance(verdict, Reupload) and verdict.base == Base("r2", "x")


def test_a_hash_the_service_does_not_tell_is_never_acknowledged() -> None:
    assert isinstance(judge(PUT, replace(FILE, content_hash=None), is_uncertain=False), Reupload)


@pytest.mark.parametrize("error", [Busy("b"), Throttled("t"), NotSignedIn("n")])
@pytest.mark.parametrize("change", [PUT, MKDIR, DELETE, MOVE])
def test_what_was_not_done_is_done_again(change: Change, error: MountfsError) -> None:
    assert judge(change, error, is_uncertain=False) == Retry(error)
    assert judge(change, error, is_uncertain=True) == Unknown(error)


@pytest.mark.parametrize("error", [Offline("o"), ServerFault("s")])
@pytest.mark.parametrize("change", [PUT, MKDIR, DELETE, MOVE])
def test_what_may_have_been_done_is_looked_at(change: Change, error: MountfsError) -> None:
    assert judge(change, error, is_uncertain=False) == Look(error)


@pytest.mark.parametrize("change", [PUT, MKDIR, DELETE, MOVE])
def test_a_refusal_is_final(change: Change) -> None:
    error = Forbidden("no")
    assert judge(change, error, is_uncertain=False) == Refuse(error)


def test_a_delete_of_nothing_is_done() -> None:
    assert judge(DELETE, NotFound("n"), is_uncertain=False) == Acknowledge(None)


def test_a_delete_of_what_changed_is_void() -> None:
    assert judge(DELETE, CONFLICT, is_uncertain=False) == Drop()


def test_a_delete_of_the_same_bytes_under_another_revision_goes_on() -> None:
    delete = replace(DELETE, base_hash="h")
    assert judge(delete, CONFLICT, is_uncertain=False) == Look(CONFLICT)
    moved = judge_standing(delete, CONFLICT, FILE, is_uncertain=False)
    assert moved == Retry(CONFLICT, Base("r2", "h"))
    for standing in (OTHER, FOLDER):
        assert judge_standing(delete, CONFLICT, standing, is_uncertain=False) == Drop()
    assert judge_standing(last_try(delete), CONFLICT, FILE, is_uncertain=False) == Drop()
    assert judge_standing(delete, CONFLICT, None, is_uncertain=False) == Acknowledge(None)


def last_try(change: Change) -> Change:
    return replace(change, refusals=TRIES - 1)


STANDING = [
    (PUT, CONFLICT, FILE, Acknowledge(FILE)),
    (PUT, SessionLost("s"), FILE, Acknowledge(FILE)),
    (PUT, CONFLICT, OTHER, Beside()),
    (PUT, CONFLICT, FOLDER, Beside()),
    (PUT, CONFLICT, replace(OTHER, content_hash="b"), Retry(CONFLICT, Base("r2", "b"))),
    (PUT, CONFLICT, None, Retry(CONFLICT, Base())),
    (last_try(replace(PUT, base_revision=None)), CONFLICT, None, Refuse(CONFLICT)),
    (MKDIR, CONFLICT, FOLDER, Acknowledge(FOLDER)),
    (MKDIR, CONFLICT, FILE, Refuse(CONFLICT)),
    (MKDIR, CONFLICT, None, Retry(CONFLICT)),
    (last_try(MKDIR), CONFLICT, None, Refuse(CONFLICT)),
    (MOVE, CONFLICT, FILE, Acknowledge(FILE)),
    (MOVE, CONFLICT, OTHER, Refuse(CONFLICT)),
    (MOVE, CONFLICT, None, Refuse(CONFLICT)),
]


@pytest.mark.parametrize(("change", "error", "standing", "verdict"), STANDING)
def test_what_stands_there_decides(
    change: Change, error: MountfsError, standing: File | Folder | None, verdict: object
) -> None:
    assert judge_standing(change, error, standing, is_uncertain=False) == verdict


@pytest.mark.parametrize("change", [PUT, MKDIR, MOVE])
def test_a_fault_after_which_nothing_stands_there_is_tried_again(change: Change) -> None:
    error = ServerFault("500")
    assert judge_standing(change, error, None, is_uncertain=True) == Retry(error)


def test_a_lost_session_and_other_bytes_there_need_another_upload() -> None:
    error = SessionLost("expired")
    assert judge_standing(PUT, error, OTHER, is_uncertain=True) == Reupload(error)


def test_a_move_of_unknown_identity_that_arrived_is_done_only_if_it_may_have_been_sent() -> None:
    anonymous, gone = replace(MOVE, item_id=""), NotFound("source")
    assert judge_standing(anonymous, gone, OTHER, is_uncertain=True) == Acknowledge(OTHER)
    assert judge_standing(anonymous, gone, OTHER, is_uncertain=False) == Refuse(gone)
    assert judge_standing(anonymous, AlreadyExists("x"), OTHER, is_uncertain=True) != Acknowledge(OTHER)


def test_a_name_that_only_changes_its_case_is_renamed_once_it_is_spelled_so() -> None:
    renaming = replace(PUT, kind=ChangeKind.MOVE, path=RemotePath("/A"), source=A, item_id="id:1")
    before = File(A, "id:1", "r", 1, 0, None)
    lost = ServerFault("lost")
    assert judge_standing(renaming, lost, before, is_uncertain=True) == Retry(lost)
    after = replace(before, path=RemotePath("/A"))
    assert judge_standing(renaming, lost, after, is_uncertain=True) == Acknowledge(after)
