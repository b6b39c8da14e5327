"""A mix of two revisions is noticed, wherever it begins."""

from __future__ import annotations

import pytest

from tests.converge.bodies import LINE_BYTES, Mixed, body_of, revision_of


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
