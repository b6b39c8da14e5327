"""Which bytes one request brings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.upkeep import filling
from daemon.upkeep.filling import FILL_BYTES, SKIPPED_BYTES, Filling, Span, span_of
from mountfs.model.ranges import RangeSet

KIB = 1024
MIB = 1024 * KIB


@pytest.mark.parametrize(
    ("missing", "start", "span"),
    [
        ([], 0, None),
        ([(0, 10)], 10, None),
        ([(5, 10)], 0, (5, 10)),
        ([(5, 10)], 7, (7, 10)),
        ([(0, 3 * FILL_BYTES)], 0, (0, FILL_BYTES)),
        ([(MIB, 3 * FILL_BYTES)], 0, (MIB, FILL_BYTES)),
        ([(0, 3 * FILL_BYTES)], FILL_BYTES, (FILL_BYTES, 2 * FILL_BYTES)),
        ([(0, 10), (10 + SKIPPED_BYTES, MIB)], 0, (0, MIB)),
        ([(0, 10), (11 + SKIPPED_BYTES, MIB)], 0, (0, 10)),
        ([(FILL_BYTES - 5, FILL_BYTES + 5)], 0, (FILL_BYTES - 5, FILL_BYTES)),
    ],
)
def test_a_request_brings_what_is_missing_up_to_a_bound(
    missing: list[Span], start: int, span: Span | None
) -> None:
    assert span_of(RangeSet(missing), start) == span


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=10), st.data())
def test_each_gap_is_asked_for_once_and_again_where_that_failed(
    ranges: list[Span], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(filling, "FILL_BYTES", 8)
        patches.setattr(filling, "SKIPPED_BYTES", 2)
        missing, file = RangeSet(ranges), Filling(1)
        taken: list[Span] = []
        failures = 0
        while (seen := file.look(missing)) is not None:
            assert file.take(missing) == seen
            if failures < 5 and data.draw(st.booleans()):
                failures += 1
                file.again.append(seen)
            else:
                taken.append(seen)
        covered = RangeSet(taken)
        assert not any(covered.gaps(*each) for each in missing)
        assert sum(stop - start for start, stop in taken) == covered.total_bytes
        assert all(stop - start <= 8 for start, stop in taken)


def test_what_was_filled_by_others_is_not_asked_for_again() -> None:
    file = Filling(1, again=[(0, 5), (5, 9)])
    assert file.look(RangeSet([(0, 3)])) == (0, 5)
    assert file.again == [(0, 5)]
