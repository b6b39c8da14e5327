"""A connection that is lost between two requests of one call."""

from __future__ import annotations

import pytest

from mountfs.backends.effects import after_an_effect
from mountfs.errors import Conflict, Offline, Unreachable


def test_what_had_an_effect_is_not_told_to_have_had_none() -> None:
    with pytest.raises(Offline, match="nobody there") as caught, after_an_effect():
        raise Unreachable("nobody there")
    assert not isinstance(caught.value, Unreachable)


@pytest.mark.parametrize("error", [Offline("cut"), Conflict("theirs")])
def test_other_errors_are_as_they_were(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, after_an_effect():
        raise error
    assert caught.value is error
