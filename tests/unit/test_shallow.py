"""What the tests of deep folders rely on."""

from __future__ import annotations

import pytest

from tests.shallow import DEEP, shallow_stack


def _goes_down(levels: int) -> int:
    return 0 if levels == 0 else 1 + _goes_down(levels - 1)


def test_nothing_goes_so_deep_by_calling_itself() -> None:
    with shallow_stack(), pytest.raises(RecursionError):
        _goes_down(DEEP)
    assert _goes_down(DEEP) == DEEP
