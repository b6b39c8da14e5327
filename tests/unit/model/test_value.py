"""Copies of values, which are written for each class: a field that no parameter names stays as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mountfs.model.value import copying, value


@value
class Point:
    x: int
    y: int = 0
    is_shown: bool = False
    label: str | None = None

    @copying()
    def at(self, x: int, y: int) -> Point:
        """Elsewhere."""
        raise NotImplementedError

    @copying(is_shown=True, label=None)
    def shown(self, y: int) -> Point:
        raise NotImplementedError


POINT = Point(1, 2, label="a")


def test_the_fields_that_the_parameters_name_are_others() -> None:
    assert POINT.at(5, 6) == replace(POINT, x=5, y=6) == POINT.at(y=6, x=5)


def test_what_is_fixed_has_that_value() -> None:
    assert POINT.shown(7) == replace(POINT, y=7, is_shown=True, label=None)


def test_the_value_that_is_copied_stays_as_it_is() -> None:
    POINT.at(5, 6)
    assert Point(1, 2, label="a") == POINT


def test_the_method_is_called_and_described_as_it_was_written() -> None:
    assert (Point.at.__doc__, Point.at.__qualname__) == ("Elsewhere.", "Point.at")


def test_a_parameter_that_is_no_field_is_a_bug() -> None:
    with pytest.raises(TypeError, match="depth"):

        @value
        class Hole:
            x: int

            @copying()
            def down_to(self, depth: int) -> Hole:
                raise NotImplementedError
