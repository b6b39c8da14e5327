from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mountfs.model.order import Part
from mountfs.upload.session import Append, SessionPlan


def drain(plan: SessionPlan) -> list[Append]:
    """Claims and acknowledges one by one until nothing is offered."""
    sent: list[Append] = []
    while (append := plan.claim()) is not None:
        plan.acknowledge(append, "r")
        sent.append(append)
    return sent


def test_whole_parts_travel_while_the_file_is_open_but_the_last_one_stays() -> None:
    plan = SessionPlan(8, written=[(0, 20)])
    assert drain(plan) == [Append(0, 8), Append(8, 8)]
    assert plan.wrote(20, 24)
    assert drain(plan) == []
    assert plan.wrote(24, 25)
    assert drain(plan) == [Append(16, 8)]


def test_the_closing_part_waits_for_all_others() -> None:
    plan = SessionPlan(8, written=[(0, 20)])
    assert plan.seal(20)
    first, second = plan.claim(), plan.claim()
    assert (first, second) == (Append(0, 8), Append(8, 8))
    assert plan.claim() is None
    assert first is not None and second is not None
    plan.acknowledge(second, "b")
    assert plan.claim() is None
    plan.acknowledge(first, "a")
    assert plan.claim() == Append(16, 4, is_closing=True)
    assert plan.parts == (Part(0, 8, "a"), Part(8, 8, "b"))


def test_a_closed_session_takes_nothing_more() -> None:
    plan = SessionPlan(8, written=[(0, 8)])
    plan.seal(8)
    assert drain(plan) == [Append(0, 8, is_closing=True)]
    assert not plan.has_next()


def test_a_file_of_whole_parts_closes_with_its_last_one() -> None:
    plan = SessionPlan(8, written=[(0, 16)])
    plan.seal(16)
    assert drain(plan) == [Append(0, 8), Append(8, 8, is_closing=True)]


def test_holes_travel_as_zeros_once_the_file_is_whole() -> None:
    plan = SessionPlan(8, written=[(30, 32)])
    assert drain(plan) == []
    plan.seal(32)
    assert [append.offset for append in drain(plan)] == [0, 8, 16, 24]


def test_a_write_into_what_was_sent_spoils_the_session() -> None:
    plan = SessionPlan(8, written=[(0, 20)])
    claimed = plan.claim()
    assert not plan.wrote(7, 9)
    assert claimed is not None
    plan.acknowledge(claimed, "r")
    assert not plan.wrote(0, 1)
    assert plan.wrote(8, 9)


def test_cutting_off_what_was_sent_spoils_the_session() -> None:
    plan = SessionPlan(8, written=[(0, 20)])
    plan.claim()
    assert plan.truncate(8)
    assert not plan.truncate(7)


def test_a_file_sealed_shorter_than_what_was_sent_is_spoiled() -> None:
    plan = SessionPlan(8, written=[(0, 20)])
    drain(plan)
    assert not plan.seal(10)


def test_a_failed_part_is_offered_again() -> None:
    plan = SessionPlan(8, written=[(0, 9)])
    append = plan.claim()
    assert append is not None
    plan.release(append)
    assert plan.claim() == append


def test_a_restart_begins_with_the_first_missing_part() -> None:
    plan = SessionPlan(8, acknowledged=[Part(0, 8, "a"), Part(16, 8, "c")])
    plan.seal(30)
    assert [append.offset for append in drain(plan)] == [8, 24]


def test_parts_cut_in_another_way_cannot_be_resumed() -> None:
    assert SessionPlan.can_resume([Part(0, 8, "a"), Part(24, 8, "b")], 8)
    assert not SessionPlan.can_resume([Part(0, 8, "a")], 16)
    assert not SessionPlan.can_resume([Part(4, 8, "a")], 8)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=12), st.integers(1, 90))
def test_every_byte_is_sent_exactly_once(writes: list[tuple[int, int]], size_bytes: int) -> None:
    plan = SessionPlan(8)
    sent: list[Append] = []
    for start, length in writes:
        stop = min(start + length, size_bytes)
        if start < stop and not plan.wrote(start, stop):
            return
        append = plan.claim()
        if append is not None:
            plan.acknowledge(append, "r")
            sent.append(append)
    assert plan.seal(size_bytes)
    sent += drain(plan)
    assert sorted(offset for a in sent for offset in range(a.offset, a.stop)) == list(range(size_bytes))
    assert [append.is_closing for append in sent] == [False] * (len(sent) - 1) + [True]
    assert all(append.length == 8 for append in sent[:-1])
