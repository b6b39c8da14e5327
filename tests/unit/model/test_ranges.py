"""Sets of byte ranges, against sets of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.model.ranges import RangeSet

RANGE = st.tuples(st.integers(0, 30), st.integers(0, 30))
EDITS = st.lists(st.tuples(st.sampled_from(["add", "remove", "truncate"]), RANGE), max_size=25)


def _build(edits: list[tuple[str, tuple[int, int]]]) -> tuple[RangeSet, set[int]]:
    ranges, model = RangeSet(), set[int]()
    for verb, (start, stop) in edits:
        if verb == "add":
            ranges.add(start, stop)
            model |= set(range(start, stop))
        elif verb == "remove":
            ranges.remove(start, stop)
            model -= set(range(start, stop))
        else:
            ranges.truncate(start)
            model = {at for at in model if at < start}
    return ranges, model


@given(EDITS)
def test_it_holds_exactly_the_bytes_put_in(edits: list[tuple[str, tuple[int, int]]]) -> None:
    ranges, model = _build(edits)
    assert {at for start, stop in ranges for at in range(start, stop)} == model
    assert ranges.total_bytes == len(model)
    assert bool(ranges) == bool(model)


@given(EDITS)
def test_ranges_are_ascending_and_never_touch(edits: list[tuple[str, tuple[int, int]]]) -> None:
    flat = [edge for pair in _build(edits)[0] for edge in pair]
    assert flat == sorted(set(flat))


@given(EDITS, RANGE)
def test_questions_about_a_range_agree_with_its_bytes(
    edits: list[tuple[str, tuple[int, int]]], asked: tuple[int, int]
) -> None:
    ranges, model = _build(edits)
    wanted = set(range(*asked))
    assert ranges.overlaps(*asked) == bool(wanted & model)
    gaps = ranges.gaps(*asked)
    assert {at for start, stop in gaps for at in range(start, stop)} == wanted - model
    assert gaps == sorted(gaps)
    assert all(start < stop for start, stop in gaps)


@given(st.lists(RANGE, max_size=10))
def test_the_order_of_adding_does_not_matter(ranges: list[tuple[int, int]]) -> None:
    assert RangeSet(ranges) == RangeSet(reversed(ranges))


def test_touching_ranges_become_one() -> None:
    assert list(RangeSet([(0, 4), (8, 12), (4, 8)])) == [(0, 12)]


def test_it_is_mutable_and_therefore_no_key() -> None:
    with pytest.raises(TypeError):
        hash(RangeSet())
    assert RangeSet() != [(0, 1)]
    assert repr(RangeSet([(0, 1)])) == "RangeSet([(0, 1)])"


@given(EDITS, RANGE)
def test_what_is_within_a_range_or_touches_it(
    edits: list[tuple[str, tuple[int, int]]], asked: tuple[int, int]
) -> None:
    ranges, model = _build(edits)
    start, stop = asked
    if start <= stop:
        within = ranges.within(start, stop)
        assert {at for low, high in within for at in range(low, high)} == set(range(start, stop)) & model
        assert all(low < high for low, high in within)
        assert ranges.touching(start, stop) == [
            (low, high) for low, high in ranges if high >= start and low <= stop
        ]
    assert ranges.first_from(start) == min((at for at in model if at >= start), default=None)
