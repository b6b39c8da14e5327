"""A time set on a file that is on the service already, where the service takes it without the bytes."""

from __future__ import annotations

from itertools import pairwise
from unittest.mock import patch

import pytest

from daemon.commit.verdicts import TRIES, Acknowledge, Base, Drop, Look, Retry, Unknown, judge, judge_standing
from mountfs.errors import Busy, Conflict, Forbidden, MountfsError, NotFound, Offline, ServerFault
from mountfs.model.change import Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.entry import NS_PER_S, File, Folder
from mountfs.model.path import RemotePath
from tests.fakes.pending import Pipeline

OLD_NS = 1_000_000_000 * NS_PER_S
OLDER_NS = 900_000_000 * NS_PER_S


def sent(pipeline: Pipeline) -> list[tuple[ChangeKind, str]]:
    return [(order.kind, order.path.text) for batch in pipeline.account.submits for order in batch]


def shown_ns(pipeline: Pipeline, path: str) -> int:
    return pipeline.view.stat(RemotePath(path)).mtime_ns


def in_flight(pipeline: Pipeline) -> None:
    """Sends what is pending, and hears nothing of it yet."""
    pipeline.account.job_polls = 2
    pipeline.upload_all()
    pipeline.clock.advance(1.0)
    pipeline.committer.step(pipeline.clock.now_s())
    assert pipeline.committer.current


def test_it_is_shown_at_once_and_sent_once(side_by_side: Pipeline) -> None:
    theirs = side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLDER_NS)
    side_by_side.touch("/a", OLD_NS + 7)
    assert shown_ns(side_by_side, "/a") == OLD_NS
    assert side_by_side.view.state_of(RemotePath("/a")) == ("pending", "")
    side_by_side.settle()
    assert sent(side_by_side) == [(ChangeKind.SET_TIME, "/a")]
    file = side_by_side.file("/a")
    assert (file.mtime_ns, file.id, file.content_hash) == (OLD_NS, theirs.id, theirs.content_hash)
    assert shown_ns(side_by_side, "/a") == OLD_NS
    assert side_by_side.view.state_of(RemotePath("/a")) == ("clean", "")
    assert side_by_side.journal.time_of(file.path, file.revision) is None
    assert side_by_side.journal.rows() == []


def test_the_time_it_has_is_not_sent(side_by_side: Pipeline) -> None:
    theirs = side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", theirs.mtime_ns + 5)
    side_by_side.settle()
    assert sent(side_by_side) == []


def test_where_the_service_cannot_keep_it_nothing_is_pending(batches: Pipeline) -> None:
    batches.account.write("/a", b"x")
    batches.touch("/a", OLD_NS)
    assert batches.journal.rows() == []
    assert shown_ns(batches, "/a") == OLD_NS


def test_a_file_that_is_pending_carries_it_itself(side_by_side: Pipeline) -> None:
    side_by_side.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.settle()
    assert sent(side_by_side) == [(ChangeKind.PUT, "/a")]
    assert side_by_side.file("/a").mtime_ns == OLD_NS


def test_a_file_that_was_sent_with_another_time_gets_it_afterwards(side_by_side: Pipeline) -> None:
    side_by_side.write("/a", b"x")
    in_flight(side_by_side)
    side_by_side.touch("/a", OLDER_NS)
    side_by_side.touch("/a", OLD_NS)
    side_by_side.settle()
    assert sent(side_by_side) == [(ChangeKind.PUT, "/a"), (ChangeKind.SET_TIME, "/a")]
    assert side_by_side.file("/a").mtime_ns == OLD_NS
    assert side_by_side.notices() == []


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_commit_that_is_repeated_is_the_same_commit(side_by_side: Pipeline, is_renamed: bool) -> None:
    change = side_by_side.write("/a", b"x")
    in_flight(side_by_side)
    side_by_side.touch("/a", OLD_NS)
    path = "/a"
    if is_renamed:
        path = "/b"
        side_by_side.rename("/a", path)
    assert shown_ns(side_by_side, path) == OLD_NS
    side_by_side.account.lose_jobs()
    side_by_side.restart()
    while side_by_side.journal.live():
        assert shown_ns(side_by_side, path) == OLD_NS
        side_by_side.commit_steps(1)
    assert shown_ns(side_by_side, path) == side_by_side.file(path).mtime_ns == OLD_NS
    orders = [order for batch in side_by_side.account.submits for order in batch]
    commits = [order for order in orders if order.kind is ChangeKind.PUT]
    assert [order.mtime_ns for order in commits] == [change.mtime_ns] * 2


@pytest.mark.parametrize("answer", [Busy("locked"), Forbidden("no")])
def test_a_file_that_came_back_carries_it_itself(side_by_side: Pipeline, answer: MountfsError) -> None:
    side_by_side.write("/a", b"x")
    side_by_side.upload_all()
    side_by_side.clock.advance(1.0)
    side_by_side.backend.refuse("/a", answer)
    step = side_by_side.backend.refusals
    with patch.object(
        side_by_side.backend,
        "refusals",
        lambda orders: (side_by_side.touch("/a", OLD_NS), side_by_side.rename("/a", "/b"), step(orders))[2],
    ):
        side_by_side.committer.step(side_by_side.clock.now_s())
    assert [kind for kind, _, _ in side_by_side.states()] == [ChangeKind.PUT]
    assert shown_ns(side_by_side, "/b") == OLD_NS
    side_by_side.settle()
    assert side_by_side.file("/b").mtime_ns == OLD_NS
    assert ChangeKind.SET_TIME not in {kind for kind, _ in sent(side_by_side)}


def test_a_copy_that_lands_beside_carries_it(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"0")
    side_by_side.write("/a", b"x")
    side_by_side.account.write("/a", b"theirs")
    in_flight(side_by_side)
    side_by_side.touch("/a", OLD_NS)
    side_by_side.settle()
    (copy,) = set(side_by_side.account.files()) - {"/a"}
    assert side_by_side.file(copy).mtime_ns == OLD_NS
    assert ChangeKind.SET_TIME not in {kind for kind, _ in sent(side_by_side)}


@pytest.mark.parametrize("names", [("/a",), ("/a", "/b"), ("/a", "/b", "/c")])
def test_where_the_service_cannot_keep_it_it_is_kept_here_once_the_file_is_there(
    batches: Pipeline, names: tuple[str, ...]
) -> None:
    batches.write("/a", b"x")
    in_flight(batches)
    batches.touch("/a", OLD_NS)
    for source, target in pairwise(names):
        batches.rename(source, target)
    path = names[-1]
    batches.restart()
    assert shown_ns(batches, path) == OLD_NS
    batches.settle()
    assert shown_ns(batches, path) == OLD_NS != batches.file(path).mtime_ns
    batches.restart()
    assert shown_ns(batches, path) == OLD_NS


def test_a_file_that_was_refused_keeps_it_for_the_next_try(side_by_side: Pipeline) -> None:
    side_by_side.write("/a", b"x")
    side_by_side.upload_all()
    (change,) = side_by_side.journal.live()
    side_by_side.journal.advance(change, ChangeEvent.COMMIT_SENT)
    side_by_side.touch("/a", OLD_NS)
    assert [kind for kind, _, _ in side_by_side.states()] == [ChangeKind.PUT, ChangeKind.SET_TIME]
    side_by_side.backend.refuse("/a", Forbidden("no"))
    side_by_side.restart()
    side_by_side.settle()
    (row,) = side_by_side.journal.live()
    assert (row.kind, row.state, row.mtime_ns) == (ChangeKind.PUT, ChangeState.FAILED, OLD_NS)


def test_a_new_version_makes_it_void(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.write("/a", b"y")
    side_by_side.settle()
    assert sent(side_by_side) == [(ChangeKind.PUT, "/a")]
    assert shown_ns(side_by_side, "/a") == side_by_side.file("/a").mtime_ns != OLD_NS


def test_a_delete_makes_it_void(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.unlink("/a")
    side_by_side.settle()
    assert sent(side_by_side) == [(ChangeKind.DELETE, "/a")]
    assert side_by_side.notices() == []


@pytest.mark.parametrize("moves_first", [False, True])
def test_it_goes_with_its_file(side_by_side: Pipeline, moves_first: bool) -> None:
    side_by_side.account.write("/a", b"x")
    if moves_first:
        side_by_side.rename("/a", "/b")
        side_by_side.touch("/b", OLD_NS)
        side_by_side.rename("/b", "/c")
    else:
        side_by_side.touch("/a", OLD_NS)
        side_by_side.rename("/a", "/c")
    side_by_side.settle()
    assert sent(side_by_side) == [(ChangeKind.MOVE, "/c"), (ChangeKind.SET_TIME, "/c")]
    assert side_by_side.file("/c").mtime_ns == shown_ns(side_by_side, "/c") == OLD_NS
    assert side_by_side.notices() == []


def test_it_goes_back_with_its_file(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.rename("/a", "/b")
    side_by_side.touch("/b", OLD_NS)
    side_by_side.rename("/b", "/a")
    side_by_side.settle()
    assert sent(side_by_side) == [(ChangeKind.SET_TIME, "/a")]


def test_it_goes_with_the_folder_above(side_by_side: Pipeline) -> None:
    side_by_side.account.mkdir("/d")
    side_by_side.account.write("/d/a", b"x")
    side_by_side.touch("/d/a", OLD_NS)
    side_by_side.rename("/d", "/e")
    side_by_side.settle()
    assert side_by_side.file("/e/a").mtime_ns == shown_ns(side_by_side, "/e/a") == OLD_NS
    assert side_by_side.notices() == []


def test_what_is_moved_over_the_file_makes_it_void(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"x")
    other = side_by_side.account.write("/b", b"y")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.rename("/b", "/a")
    side_by_side.settle()
    assert ChangeKind.SET_TIME not in {kind for kind, _ in sent(side_by_side)}
    assert side_by_side.file("/a").mtime_ns == other.mtime_ns


def test_what_is_pending_on_the_file_replaces_its_new_revision(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.account.write("/b", b"x")
    side_by_side.touch("/a", OLD_NS)
    in_flight(side_by_side)
    side_by_side.touch("/a", OLDER_NS)
    side_by_side.write("/a", b"y")
    side_by_side.settle()
    assert side_by_side.account.files()["/a"] == b"y"
    assert [kind for kind, path in sent(side_by_side) if path == "/a"] == [
        ChangeKind.SET_TIME,
        ChangeKind.PUT,
    ]
    assert side_by_side.notices() == []


def test_a_later_time_is_sent_and_shown_after_an_earlier_one(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLDER_NS)
    in_flight(side_by_side)
    side_by_side.touch("/a", OLD_NS)
    while len(side_by_side.journal.live()) > 1:
        side_by_side.commit_steps(1)
        assert shown_ns(side_by_side, "/a") == OLD_NS
    side_by_side.settle()
    assert sent(side_by_side) == [(ChangeKind.SET_TIME, "/a")] * 2
    assert side_by_side.file("/a").mtime_ns == shown_ns(side_by_side, "/a") == OLD_NS


def test_it_survives_the_process(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.restart()
    assert shown_ns(side_by_side, "/a") == OLD_NS
    in_flight(side_by_side)
    side_by_side.restart()
    side_by_side.settle()
    assert side_by_side.file("/a").mtime_ns == OLD_NS
    assert side_by_side.journal.rows() == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [Offline("lost"), ServerFault("500"), Busy("locked")])
def test_a_failing_service_gets_it_in_the_end(
    side_by_side: Pipeline, error: MountfsError, after: bool
) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.backend.fail("submit", error, times=2, after=after and not isinstance(error, Busy))
    side_by_side.settle()
    assert side_by_side.file("/a").mtime_ns == OLD_NS
    assert side_by_side.notices() == []
    assert side_by_side.journal.rows() == []


def test_somebody_else_s_version_keeps_its_own_time(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    theirs = side_by_side.account.write("/a", b"theirs")
    side_by_side.settle()
    assert side_by_side.file("/a") == theirs
    assert shown_ns(side_by_side, "/a") == theirs.mtime_ns
    assert side_by_side.notices() == ["its new time is not sent: somebody else changed it meanwhile"]
    assert side_by_side.journal.rows() == []


def test_a_file_that_is_gone_needs_none(side_by_side: Pipeline) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.account.remove("/a")
    side_by_side.settle()
    assert "its new time is not sent" in side_by_side.notices()[0]
    assert side_by_side.journal.rows() == []


# Verdicts

A = RemotePath("/a")
SET = Change(
    1,
    1,
    ChangeKind.SET_TIME,
    ChangeState.COMMITTING,
    A,
    base_revision="r",
    base_hash="h",
    mtime_ns=OLD_NS + 3,
)
DONE = File(A, "id", "r2", 3, OLD_NS, "h")
SAME = File(A, "id", "r", 3, OLDER_NS, "h")
MOVED = File(A, "id", "r2", 3, OLDER_NS, "h")
OTHER = File(A, "id", "r2", 3, OLD_NS, "x")
CONFLICT, LOST = Conflict("412"), ServerFault("500")


def test_a_refusal_of_a_time_is_no_lasting_trouble() -> None:
    assert judge(SET, DONE, is_uncertain=False) == Acknowledge(DONE)
    assert judge(SET, None, is_uncertain=False) == Drop()
    for error in (NotFound("gone"), Forbidden("no")):
        assert judge(SET, error, is_uncertain=False) == Drop(error)
    assert judge(SET, CONFLICT, is_uncertain=False) == Look(CONFLICT)
    assert judge(SET, LOST, is_uncertain=False) == Look(LOST)
    busy = Busy("locked")
    assert judge(SET, busy, is_uncertain=False) == Retry(busy)
    assert judge(SET, busy, is_uncertain=True) == Unknown(busy)


@pytest.mark.parametrize(
    ("error", "standing", "verdict"),
    [
        (LOST, DONE, Acknowledge(DONE)),
        (CONFLICT, DONE, Acknowledge(DONE)),
        (LOST, SAME, Retry(LOST, Base("r", "h"))),
        (CONFLICT, MOVED, Retry(CONFLICT, Base("r2", "h"))),
        (CONFLICT, OTHER, Drop()),
        (CONFLICT, Folder(A, "id"), Drop()),
        (LOST, None, Drop()),
    ],
)
def test_what_stands_there_decides(
    error: MountfsError, standing: File | Folder | None, verdict: object
) -> None:
    assert judge_standing(SET, error, standing, is_uncertain=True) == verdict


def test_a_conflict_without_a_reason_is_not_repeated_for_ever() -> None:
    last = Change(
        1,
        1,
        ChangeKind.SET_TIME,
        ChangeState.COMMITTING,
        A,
        base_revision="r",
        base_hash="h",
        refusals=TRIES - 1,
    )
    assert judge_standing(last, CONFLICT, MOVED, is_uncertain=False) == Drop(CONFLICT)
