"""A mix of two revisions is noticed, wherever it begins."""

from __future__ import annotations

import pytest

from tests.converge.bodies import LINE_BYTES, Edited, Mixed, base_of, body_of, is_cut, revision_of


def test_a_body_tells_its_revision() -> None:
    assert revision_of(body_of(7, 1)) == 7
    assert revision_of(body_of(123_456_789, 500)) == 123_456_789


@pytest.mark.parametrize("at", [30, LINE_BYTES, 10 * LINE_BYTES + 5, 99 * LINE_BYTES])
def test_a_mix_of_two_is_none(at: int) -> None:
    old, new = body_of(1, 100), body_of(2, 120)
    for mixed in (
        old[:at] + new[at:],
        new[:at] + old[at:],
        new[:at],
        old[: 50 * LINE_BYTES],
        b"",
        b"\0" * 99,
    ):
        with pytest.raises(Mixed):
            revision_of(mixed)


def test_an_edit_tells_itself_and_what_it_lies_over() -> None:
    edited = Edited(9, 7, 100, 3)
    body = edited.body()
    assert len(body) == 103 * LINE_BYTES
    assert revision_of(body) == 9
    assert base_of(body[:LINE_BYTES]) == base_of(body_of(7, 100)[:LINE_BYTES]) == (7, 100)


def test_half_an_edit_is_none() -> None:
    old, new = body_of(7, 100), Edited(9, 7, 100, 3).body()
    for at in (LINE_BYTES, 40 * LINE_BYTES, 99 * LINE_BYTES, 102 * LINE_BYTES):
        for mixed in (old[:at] + new[at:], new[:at] + old[at:], new[:at]):
            if mixed not in (old, new):
                with pytest.raises(Mixed):
                    revision_of(mixed)
                assert is_cut(mixed) == new.startswith(mixed)
