"""Long lists of values as columns.

pickle remembers each object that it writes, and calls a function for each value of a class. A listing has
100,000 of them, which are seven columns of text and numbers: as these it takes a tenth of the time to write,
half of it to read, and none of the memory for what pickle remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

FEWEST = 100
"""A shorter list is not worth it."""

PLAIN = frozenset({str, int, bool, float, bytes, type(None)})

Column = list[Any] | tuple[bytes | None, list[tuple[Any, list[Any]]]]
"""The values themselves where they are plain. Else which part has each of them, None where there is one part;
and the parts: a class with a column for each argument of its constructor, AS_TUPLES with a column for each
element, or AS_THEY_ARE with plain values."""

AS_THEY_ARE, AS_TUPLES = 0, 1


class NotPlain(Exception):
    """Some value is of a class that does not come apart into plain ones."""


def column_of(values: Sequence[Any], fields: Callable[[type], Sequence[str]]) -> Column:
    """*values* as a column. *fields*: the names of what the constructor of a class takes, in its order; none
    for a class that does not come apart. NotPlain."""
    kinds = set(map(type, values))
    if kinds <= PLAIN:
        return values if isinstance(values, list) else list(values)
    plain, others = kinds & PLAIN, [*(kinds - PLAIN)]
    if not plain and len(others) == 1:
        return None, [_part(others[0], values, fields)]
    number = {kind: at for at, kind in enumerate(others)} | dict.fromkeys(plain, len(others))
    if len(others) > 255:
        raise NotPlain
    which = bytes(number[type(each)] for each in values)
    parts = [_part(kind, [each for each in values if type(each) is kind], fields) for kind in others]
    if plain:
        parts.append((AS_THEY_ARE, [each for each in values if type(each) in plain]))
    return which, parts


def _part(
    kind: type, values: Sequence[Any], fields: Callable[[type], Sequence[str]]
) -> tuple[Any, list[Any]]:
    if kind is tuple:
        width = len(values[0])
        if not width or any(len(each) != width for each in values):
            raise NotPlain
        return AS_TUPLES, [column_of(each, fields) for each in zip(*values, strict=True)]
    names = fields(kind)
    if not names:
        raise NotPlain
    return kind, [column_of(list(map(attrgetter(name), values)), fields) for name in names]


def values_of(column: Column) -> list[Any]:
    """What ``column_of`` was given."""
    if isinstance(column, list):
        return column
    which, parts = column
    made = [_made(*part) for part in parts]
    if which is None:
        return list(made[0])
    following = [iter(each).__next__ for each in made]
    return [following[at]() for at in which]


def _made(kind: Any, columns: list[Any]) -> Iterable[Any]:
    if kind == AS_THEY_ARE:
        return columns
    values = map(values_of, columns)
    return zip(*values, strict=True) if kind == AS_TUPLES else map(kind, *values)
