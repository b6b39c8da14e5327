from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from daemon.commit.verdicts import (
    OTHERS_BYTES,
    TRIES,
    Acknowledge,
    Beside,
    DropTime,
    GiveUp,
    Look,
    Rebase,
    Refuse,
    Retry,
    Reupload,
    judge,
    judge_standing,
)
from mountfs.errors import (
    AlreadyExists,
    Busy,
    Conflict,
    Corrupt,
    DirectoryNotEmpty,
    Forbidden,
    MountfsError,
    NotFound,
    NotSignedIn,
    Offline,
    ServerFault,
    SessionLost,
    Throttled,
    Unreachable,
)
from mountfs.model.entry import NS_PER_S, Entry, File, Folder, Place
from mountfs.model.order import OrderKind
from mountfs.model.path import RemotePath
from mountfs.tree.content import Content, Over
from mountfs.tree.node import Flight, Node

OLD_NS = 1_000_000_000 * NS_PER_S
OLDER_NS = 900_000_000 * NS_PER_S


def place(path: str) -> Place:
    return Place(RemotePath(path))


def flight(kind: OrderKind, path: str = "/a", **fields: Any) -> Flight:
    node = Node(2, is_folder=kind is OrderKind.MAKE_FOLDER)
    return Flight(1, kind, node, None, path[1:], place(path), **fields)


PUT = flight(
    OrderKind.PUT,
    over=Over("r", "b"),
    content=Content(3, "spool", 3, 0, over=Over("r", "b"), content_hash="h"),
)
MKDIR = flight(OrderKind.MAKE_FOLDER)
DELETE = flight(OrderKind.DELETE, over=Over("r", None))
MOVE = flight(OrderKind.MOVE, source=place("/s"), item_id="id")
FILE = File("id", "a", "r2", 3, 0, "h")
OTHER = replace(FILE, id="id2", content_hash="x")
FOLDER = Folder("id3", "a")
CONFLICT = Conflict("changed")


@pytest.mark.parametrize(("sent", "entry"), [(PUT, FILE), (MKDIR, FOLDER), (DELETE, None), (MOVE, FILE)])
def test_the_expected_outcome_is_acknowledged(sent: Flight, entry: Entry | None) -> None:
    assert judge(sent, 0, entry) == Acknowledge(entry)


def test_another_hash_is_never_acknowledged() -> None:
    verdict = judge(PUT, 0, OTHER)
    assert isinstance(verdict, Reupload) and isinstance(verdict.error, Corrupt)
    assert verdict.standing == OTHER
    assert isinstance(judge(PUT, TRIES - 1, OTHER), Refuse)


def test_a_hash_the_service_does_not_tell_is_never_acknowledged() -> None:
    stated = replace(FILE, content_hash=None)
    verdict = judge(PUT, 0, stated)
    assert isinstance(verdict, Look)
    assert isinstance(verdict.error, Corrupt)
    assert verdict.stated == stated
    assert judge_standing(PUT, 0, verdict.error, FILE, stated) == Acknowledge(FILE)
    for standing in (stated, OTHER, None):
        assert judge_standing(PUT, 0, verdict.error, standing, stated) == Reupload(verdict.error, stated)
        assert judge_standing(PUT, TRIES - 1, verdict.error, standing, stated) == Refuse(verdict.error)


@pytest.mark.parametrize("error", [Busy("b"), Throttled("t"), NotSignedIn("n"), Unreachable("u")])
@pytest.mark.parametrize("sent", [PUT, MKDIR, DELETE, MOVE])
def test_what_was_not_done_is_done_again(sent: Flight, error: MountfsError) -> None:
    assert judge(sent, 0, error) == Retry(error)


@pytest.mark.parametrize("error", [Offline("o"), ServerFault("s")])
@pytest.mark.parametrize("sent", [PUT, MKDIR, DELETE, MOVE])
def test_what_may_have_been_done_is_looked_at(sent: Flight, error: MountfsError) -> None:
    assert judge(sent, 0, error) == Look(error)


@pytest.mark.parametrize("sent", [PUT, MKDIR, DELETE, MOVE])
def test_a_refusal_is_final(sent: Flight) -> None:
    error = Forbidden("no")
    assert judge(sent, 0, error) == Refuse(error)


def test_a_delete_of_nothing_is_done() -> None:
    assert judge(DELETE, 0, NotFound("n")) == Acknowledge(None)


def test_a_delete_of_a_folder_that_somebody_filled_is_given_up() -> None:
    assert judge(DELETE, 0, DirectoryNotEmpty("full")) == GiveUp(None)


def test_a_delete_of_what_changed_is_given_up_for_what_stands_there() -> None:
    assert judge(DELETE, 0, CONFLICT) == Look(CONFLICT)
    for standing in (FILE, OTHER, FOLDER):
        assert judge_standing(DELETE, 0, CONFLICT, standing) == GiveUp(standing)


def test_a_delete_of_the_same_bytes_under_another_revision_goes_on() -> None:
    delete = flight(OrderKind.DELETE, over=Over("r", "h"))
    assert judge_standing(delete, 0, CONFLICT, FILE) == Rebase(CONFLICT, FILE)
    for standing in (OTHER, FOLDER):
        assert judge_standing(delete, 0, CONFLICT, standing) == GiveUp(standing)
    assert judge_standing(delete, TRIES - 1, CONFLICT, FILE) == GiveUp(FILE, str(CONFLICT))
    assert judge_standing(delete, 0, CONFLICT, None) == Acknowledge(None)


LAST = TRIES - 1
NEW = flight(OrderKind.PUT, content=PUT.content)
RECASED = flight(OrderKind.MOVE, source=place("/A"), item_id="id")
BASE_BYTES = replace(OTHER, content_hash="b")
STANDING = [
    (PUT, 0, CONFLICT, FILE, Acknowledge(FILE)),
    (PUT, 0, SessionLost("s"), FILE, Acknowledge(FILE)),
    (PUT, 0, CONFLICT, OTHER, Beside(OTHER)),
    (PUT, 0, CONFLICT, FOLDER, Beside(FOLDER)),
    (PUT, 0, CONFLICT, BASE_BYTES, Rebase(CONFLICT, BASE_BYTES)),
    (PUT, LAST, CONFLICT, BASE_BYTES, Refuse(CONFLICT)),
    (PUT, 0, CONFLICT, None, Rebase(CONFLICT, None)),
    (NEW, LAST, CONFLICT, None, Refuse(CONFLICT)),
    (MKDIR, 0, CONFLICT, FOLDER, Acknowledge(FOLDER)),
    (MKDIR, 0, CONFLICT, FILE, Beside(FILE)),
    (MKDIR, 0, CONFLICT, None, Retry(CONFLICT)),
    (MKDIR, LAST, CONFLICT, None, Refuse(CONFLICT)),
    (MOVE, 0, CONFLICT, FILE, Acknowledge(FILE)),
    (MOVE, 0, CONFLICT, OTHER, Refuse(CONFLICT)),
    (MOVE, 0, CONFLICT, None, Retry(CONFLICT)),
    (MOVE, LAST, CONFLICT, None, Refuse(CONFLICT)),
    (RECASED, 0, CONFLICT, replace(FILE, name="A"), Retry(CONFLICT)),
]


@pytest.mark.parametrize(("sent", "refusals", "error", "standing", "verdict"), STANDING)
def test_what_stands_there_decides(
    sent: Flight, refusals: int, error: MountfsError, standing: Entry | None, verdict: object
) -> None:
    assert judge_standing(sent, refusals, error, standing) == verdict


@pytest.mark.parametrize("sent", [PUT, MKDIR, MOVE])
def test_a_fault_after_which_nothing_stands_there_is_tried_again(sent: Flight) -> None:
    error = ServerFault("500")
    assert judge_standing(sent, 0, error, None) == Retry(error)


def test_a_lost_session_and_other_bytes_there_need_another_upload() -> None:
    error = SessionLost("expired")
    assert judge_standing(PUT, 0, error, OTHER) == Reupload(error)
    assert judge_standing(PUT, LAST, error, OTHER) == Refuse(error)


def test_a_move_whose_folder_is_gone_is_tried_again_as_things_stand_then() -> None:
    gone = NotFound("source")
    assert judge_standing(MOVE, 0, gone, None) == Retry(gone)
    assert judge_standing(MOVE, LAST, gone, None) == Refuse(gone)


def test_a_move_of_unknown_identity_is_never_taken_for_done_by_what_stands_at_its_target() -> None:
    anonymous = flight(OrderKind.MOVE, source=place("/s"))
    for error in (CONFLICT, AlreadyExists("x"), NotFound("source"), ServerFault("500")):
        assert not isinstance(judge_standing(anonymous, 0, error, OTHER), Acknowledge)


def test_a_name_that_only_changes_its_case_is_renamed_once_it_is_spelled_so() -> None:
    renaming = flight(OrderKind.MOVE, "/A", source=place("/a"), item_id="id:1")
    before = File("id:1", "a", "r", 1, 0, None)
    lost = ServerFault("lost")
    assert judge_standing(renaming, 0, lost, before) == Retry(lost)
    after = replace(before, name="A")
    assert judge_standing(renaming, 0, lost, after) == Acknowledge(after)


# Times

TIME = flight(OrderKind.SET_TIME, over=Over("r", "h"), mtime_ns=OLD_NS + 3, item_id="id")
DONE = File("id", "a", "r2", 3, OLD_NS, "h")
SAME = File("id", "a", "r", 3, OLDER_NS, "h")
MOVED = File("id", "a", "r2", 3, OLDER_NS, "h")
REPLACED = File("id", "a", "r2", 3, OLD_NS, "x")
LOST = ServerFault("500")


def test_a_refusal_of_a_time_is_no_lasting_trouble() -> None:
    assert judge(TIME, 0, DONE) == Acknowledge(DONE)
    assert judge(TIME, 0, None) == DropTime(OTHERS_BYTES)
    for error in (NotFound("gone"), Forbidden("no")):
        assert judge(TIME, 0, error) == DropTime(str(error))
    assert judge(TIME, 0, CONFLICT) == Look(CONFLICT)
    assert judge(TIME, 0, LOST) == Look(LOST)
    busy = Busy("locked")
    assert judge(TIME, 0, busy) == Retry(busy)


@pytest.mark.parametrize(
    ("error", "standing", "verdict"),
    [
        (LOST, DONE, Acknowledge(DONE)),
        (CONFLICT, DONE, Acknowledge(DONE)),
        (LOST, SAME, Rebase(LOST, SAME)),
        (CONFLICT, MOVED, Rebase(CONFLICT, MOVED)),
        (CONFLICT, REPLACED, DropTime(OTHERS_BYTES)),
        (CONFLICT, FOLDER, DropTime(OTHERS_BYTES)),
        (LOST, None, DropTime(OTHERS_BYTES)),
    ],
)
def test_what_stands_there_decides_about_a_time(
    error: MountfsError, standing: Entry | None, verdict: object
) -> None:
    assert judge_standing(TIME, 0, error, standing) == verdict


def test_a_conflict_without_a_reason_is_not_repeated_for_ever() -> None:
    assert judge_standing(TIME, LAST, CONFLICT, MOVED) == DropTime(str(CONFLICT))
