"""Values from JSON, by the types that the fields of their classes state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

Reader = Callable[[Any], Any]
"""ValueError, which completes a sentence that begins with the field's name."""

_PLAIN: Mapping[type, tuple[tuple[type, ...], str]] = {
    str: ((str,), "text"),
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}


def read(kind: type[T], given: object) -> T:
    """The *kind* that ``dataclasses.asdict`` and JSON have made *given* of. ValueError says what is wrong
    with a value; TypeError, KeyError: a field is missing, or there is none of that name."""
    return cast(T, _reader(cast(Any, kind))(given))


@cache
def _reader(hint: Any) -> Reader:
    origin, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _of_record(hint)
    if origin in (Union, UnionType):
        (one,) = (_reader(each) for each in inner if each is not NoneType)
        return lambda given: None if given is None else one(given)
    if origin is tuple and inner[-1] is Ellipsis:
        each_one = _reader(inner[0])
        return lambda given: tuple(map(each_one, _checked(given, (list, tuple), "a list")))
    if origin is tuple:
        readers = [_reader(each) for each in inner]
        return lambda given: tuple(of(each) for of, each in zip(readers, given, strict=True))
    if origin is Mapping:
        of_value = _reader(inner[1])
        return lambda given: {
            name: of_value(each) for name, each in _checked(given, (dict,), "an object").items()
        }
    if issubclass(hint, Enum):
        return cast(Reader, hint)
    kinds, what = _PLAIN[hint]
    return lambda given: _checked(given, kinds, what)


def _of_record(kind: Any) -> Reader:
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}

    def of_record(given: Any) -> Any:
        values = {}
        for name, value in _checked(given, (dict,), "an object").items():
            of_field = readers[name]
            try:
                values[name] = of_field(value)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
        return kind(**values)

    return of_record


def _checked(given: Any, kinds: tuple[type, ...], what: str) -> Any:
    if not isinstance(given, kinds) or (isinstance(given, bool) and bool not in kinds):
        raise ValueError(f"must be {what}")
    return given
