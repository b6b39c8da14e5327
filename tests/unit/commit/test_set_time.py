"""A time set on a file that is on the service already, where the service takes it without the bytes."""

from __future__ import annotations

from itertools import pairwise
from unittest.mock import patch

import pytest

from mountfs.errors import Busy, Forbidden, MountfsError, Offline, ServerFault
from mountfs.model.entry import NS_PER_S
from mountfs.model.order import OrderKind, Put
from tests.doubles.world import World
from tests.unit.commit.scenarios import check_nothing_is_left, ready, sent

OLD_NS = 1_000_000_000 * NS_PER_S
OLDER_NS = 900_000_000 * NS_PER_S


def shown_ns(world: World, path: str) -> int:
    return world.fs.getattr(path).mtime_ns


def sent_kinds(world: World) -> set[OrderKind]:
    return {kind for kind, _ in sent(world)}


def in_flight(world: World) -> None:
    """Sends what is pending, and hears nothing of it yet."""
    world.account.job_polls = 2
    ready(world)
    world.core.committer.step(world.clock.now_s())
    assert world.core.committer.current


def step_with_time_set_while_it_is_sent(world: World, *, renamed_to: str | None = None) -> None:
    """Sends the file /a; while the service is asked, its time is set, and it may be renamed."""
    ready(world)
    refusals = world.backend.refusals

    def meanwhile(orders: object) -> object:
        world.touch("/a", OLD_NS)
        if renamed_to is not None:
            world.rename("/a", renamed_to)
        return refusals(orders)  # type: ignore[arg-type]

    with patch.object(world.backend, "refusals", meanwhile):
        world.core.committer.step(world.clock.now_s())


def test_it_is_shown_at_once_and_sent_once(side_by_side: World) -> None:
    theirs = side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLDER_NS)
    side_by_side.touch("/a", OLD_NS + 7)
    assert shown_ns(side_by_side, "/a") == OLD_NS + 7
    assert side_by_side.core.view.state_of(["a"]) == ("pending", "")
    side_by_side.settle()
    assert sent(side_by_side) == [(OrderKind.SET_TIME, "/a")]
    file = side_by_side.file("/a")
    assert (file.mtime_ns, file.id, file.content_hash) == (OLD_NS, theirs.id, theirs.content_hash)
    assert shown_ns(side_by_side, "/a") == OLD_NS + 7
    assert side_by_side.core.view.state_of(["a"]) == ("clean", "")
    check_nothing_is_left(side_by_side)


def test_the_time_it_has_is_not_sent(side_by_side: World) -> None:
    theirs = side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", theirs.mtime_ns + 5)
    side_by_side.settle()
    assert sent(side_by_side) == []


def test_where_the_service_cannot_keep_it_nothing_is_pending(batches: World) -> None:
    batches.account.write("/a", b"x")
    batches.touch("/a", OLD_NS)
    check_nothing_is_left(batches)
    assert shown_ns(batches, "/a") == OLD_NS


def test_a_file_that_is_pending_carries_it_itself(side_by_side: World) -> None:
    side_by_side.put("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.settle()
    assert sent(side_by_side) == [(OrderKind.PUT, "/a")]
    assert side_by_side.file("/a").mtime_ns == OLD_NS


def test_a_file_that_was_sent_with_another_time_gets_it_afterwards(side_by_side: World) -> None:
    side_by_side.put("/a", b"x")
    in_flight(side_by_side)
    side_by_side.touch("/a", OLDER_NS)
    side_by_side.touch("/a", OLD_NS)
    side_by_side.settle()
    assert sent(side_by_side) == [(OrderKind.PUT, "/a"), (OrderKind.SET_TIME, "/a")]
    assert side_by_side.file("/a").mtime_ns == OLD_NS
    assert side_by_side.notices() == []


@pytest.mark.parametrize("path", ["/a", "/b"])
def test_a_time_set_while_the_outcome_is_unknown_is_sent_and_the_bytes_only_once(
    side_by_side: World, path: str
) -> None:
    side_by_side.put("/a", b"x")
    sent_ns = shown_ns(side_by_side, "/a")
    in_flight(side_by_side)
    side_by_side.touch("/a", OLD_NS)
    if path != "/a":
        side_by_side.rename("/a", path)
    assert shown_ns(side_by_side, path) == OLD_NS
    side_by_side.account.lose_jobs()
    side_by_side.restart()
    while side_by_side.pending():
        assert shown_ns(side_by_side, path) == OLD_NS
        side_by_side.commit_steps(1)
    assert shown_ns(side_by_side, path) == side_by_side.file(path).mtime_ns == OLD_NS
    orders = [order for batch in side_by_side.account.submits for order in batch]
    assert [order.mtime_ns for order in orders if isinstance(order, Put)] == [sent_ns]


@pytest.mark.parametrize("answer", [Busy("locked"), Forbidden("no")])
def test_a_file_that_is_sent_again_carries_it_itself(side_by_side: World, answer: MountfsError) -> None:
    side_by_side.put("/a", b"x")
    side_by_side.backend.refuse("/a", answer)
    step_with_time_set_while_it_is_sent(side_by_side, renamed_to="/b")
    assert [path for path, _ in side_by_side.pending()] == ["/b"]
    assert shown_ns(side_by_side, "/b") == OLD_NS
    side_by_side.settle()
    assert side_by_side.file("/b").mtime_ns == OLD_NS
    assert OrderKind.SET_TIME not in sent_kinds(side_by_side)


def test_a_copy_that_lands_beside_carries_it(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"0")
    side_by_side.put("/a", b"x")
    side_by_side.account.write("/a", b"theirs")
    in_flight(side_by_side)
    side_by_side.touch("/a", OLD_NS)
    side_by_side.settle()
    (copy,) = set(side_by_side.account.files()) - {"/a"}
    assert side_by_side.file(copy).mtime_ns == OLD_NS
    assert OrderKind.SET_TIME not in sent_kinds(side_by_side)


@pytest.mark.parametrize("names", [("/a",), ("/a", "/b"), ("/a", "/b", "/c")])
def test_where_the_service_cannot_keep_it_it_is_kept_here_once_the_file_is_there(
    batches: World, names: tuple[str, ...]
) -> None:
    batches.put("/a", b"x")
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


def test_a_file_that_was_refused_keeps_it_for_the_next_try(side_by_side: World) -> None:
    side_by_side.put("/a", b"x")
    side_by_side.backend.refuse("/a", Forbidden("no"))
    step_with_time_set_while_it_is_sent(side_by_side)
    assert side_by_side.pending() == [("/a", "failed")]
    side_by_side.restart()
    assert side_by_side.pending() == [("/a", "failed")]
    assert shown_ns(side_by_side, "/a") == OLD_NS
    side_by_side.rename("/a", "/b")
    side_by_side.settle()
    assert sent(side_by_side) == [(OrderKind.PUT, "/b")]
    assert side_by_side.file("/b").mtime_ns == OLD_NS


def test_a_new_version_makes_it_void(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.put("/a", b"y")
    side_by_side.settle()
    assert sent(side_by_side) == [(OrderKind.PUT, "/a")]
    assert shown_ns(side_by_side, "/a") == side_by_side.file("/a").mtime_ns != OLD_NS


def test_a_delete_makes_it_void(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.fs.unlink("/a")
    side_by_side.settle()
    assert sent(side_by_side) == [(OrderKind.DELETE, "/a")]
    assert side_by_side.notices() == []


@pytest.mark.parametrize("moves_first", [False, True])
def test_it_goes_with_its_file(side_by_side: World, moves_first: bool) -> None:
    side_by_side.account.write("/a", b"x")
    if moves_first:
        side_by_side.rename("/a", "/b")
        side_by_side.touch("/b", OLD_NS)
        side_by_side.rename("/b", "/c")
    else:
        side_by_side.touch("/a", OLD_NS)
        side_by_side.rename("/a", "/c")
    side_by_side.settle()
    assert sent(side_by_side) == [(OrderKind.MOVE, "/c"), (OrderKind.SET_TIME, "/c")]
    assert side_by_side.file("/c").mtime_ns == shown_ns(side_by_side, "/c") == OLD_NS
    assert side_by_side.notices() == []


def test_it_goes_back_with_its_file(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.rename("/a", "/b")
    side_by_side.touch("/b", OLD_NS)
    side_by_side.rename("/b", "/a")
    side_by_side.settle()
    assert sent(side_by_side) == [(OrderKind.SET_TIME, "/a")]


def test_it_goes_with_the_folder_above(side_by_side: World) -> None:
    side_by_side.account.mkdir("/d")
    side_by_side.account.write("/d/a", b"x")
    side_by_side.touch("/d/a", OLD_NS)
    side_by_side.rename("/d", "/e")
    side_by_side.settle()
    assert side_by_side.file("/e/a").mtime_ns == shown_ns(side_by_side, "/e/a") == OLD_NS
    assert side_by_side.notices() == []


def test_what_is_moved_over_the_file_makes_it_void(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"x")
    other = side_by_side.account.write("/b", b"y")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.rename("/b", "/a")
    side_by_side.settle()
    assert OrderKind.SET_TIME not in sent_kinds(side_by_side)
    assert side_by_side.file("/a").mtime_ns == other.mtime_ns


def test_what_is_pending_on_the_file_replaces_its_new_revision(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.account.write("/b", b"x")
    side_by_side.touch("/a", OLD_NS)
    in_flight(side_by_side)
    side_by_side.touch("/a", OLDER_NS)
    side_by_side.put("/a", b"y")
    side_by_side.settle()
    assert side_by_side.account.files()["/a"] == b"y"
    assert [kind for kind, path in sent(side_by_side) if path == "/a"] == [
        OrderKind.SET_TIME,
        OrderKind.PUT,
    ]
    assert side_by_side.notices() == []


def test_a_later_time_is_sent_and_shown_after_an_earlier_one(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLDER_NS)
    in_flight(side_by_side)
    side_by_side.touch("/a", OLD_NS)
    while side_by_side.pending():
        assert shown_ns(side_by_side, "/a") == OLD_NS
        side_by_side.commit_steps(1)
    assert sent(side_by_side) == [(OrderKind.SET_TIME, "/a")] * 2
    assert side_by_side.file("/a").mtime_ns == shown_ns(side_by_side, "/a") == OLD_NS


def test_it_survives_the_process(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.restart()
    assert shown_ns(side_by_side, "/a") == OLD_NS
    in_flight(side_by_side)
    side_by_side.restart()
    side_by_side.settle()
    assert side_by_side.file("/a").mtime_ns == OLD_NS
    check_nothing_is_left(side_by_side)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [Offline("lost"), ServerFault("500"), Busy("locked")])
def test_a_failing_service_gets_it_in_the_end(side_by_side: World, error: MountfsError, after: bool) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.backend.fail("submit", error, times=2, after=after and not isinstance(error, Busy))
    side_by_side.settle()
    assert side_by_side.file("/a").mtime_ns == OLD_NS
    assert side_by_side.notices() == []
    check_nothing_is_left(side_by_side)


def test_somebody_else_s_version_keeps_its_own_time(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    theirs = side_by_side.account.write("/a", b"theirs")
    side_by_side.settle()
    assert side_by_side.file("/a") == theirs
    assert shown_ns(side_by_side, "/a") == theirs.mtime_ns
    assert side_by_side.notices() == ["its new time is not sent: somebody else changed it meanwhile"]
    check_nothing_is_left(side_by_side)


def test_a_file_that_is_gone_needs_none(side_by_side: World) -> None:
    side_by_side.account.write("/a", b"x")
    side_by_side.touch("/a", OLD_NS)
    side_by_side.account.remove("/a")
    side_by_side.settle()
    assert "its new time is not sent" in side_by_side.notices()[0]
    check_nothing_is_left(side_by_side)
