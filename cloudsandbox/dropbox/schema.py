"""Checks of JSON arguments, as the service words them: a value that does not fit is a 400 in plain text."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloudsandbox.dropbox.errors import BadRequest

Check = Callable[[Any, str], Any]  # (value, where it stands) -> the value as routes want it

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct. A required one has no default; an optional one takes null too."""

    check: Check
    is_required: bool = False
    default: Any = None


def required(check: Check) -> Field:
    """A field that must be given."""
    return Field(check, is_required=True)


def optional(check: Check, default: Any = None) -> Field:
    """A field with a default."""
    return Field(check, default=default)


def _at(where: str, message: str) -> BadRequest:
    return BadRequest(f"{where}: {message}" if where else message)


def _inside(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)


def struct(**fields: Field) -> Check:
    """An object with just these fields; a dict with every field comes out."""

    def check(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _at(where, f"expected object, got {_kind(value)}")
        for name in value:
            if name not in fields:
                raise _at(where, f"unknown field '{name}'")
        result = {}
        for name, field in fields.items():
            given = value.get(name)
            if given is None:
                if field.is_required:
                    raise _at(where, f"missing required field '{name}'")
                result[name] = field.default
            else:
                result[name] = field.check(given, _inside(where, name))
        return result

    return check


def union(**members: Check | None) -> Check:
    """A union; `(tag, value)` comes out. A void member may also be given as a bare string."""

    def check(value: Any, where: str) -> tuple[str, Any]:
        name = value if isinstance(value, str) else value.get(".tag") if isinstance(value, dict) else None
        if not isinstance(name, str):
            raise _at(where, f"expected union, got {_kind(value)}")
        if name not in members:
            raise _at(where, f"invalid union tag '{name}'")
        member = members[name]
        if member is None:
            return name, None
        if not isinstance(value, dict) or name not in value:
            raise _at(where, f"missing '{name}' key")
        return name, member(value[name], _inside(where, name))

    return check


def text(pattern: str | None = None, min_length: int = 0, max_length: int | None = None) -> Check:
    """A string; *pattern* must match the whole of it."""
    compiled = re.compile(pattern, re.DOTALL) if pattern is not None else None

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise _at(where, f"expected string, got {_kind(value)}")
        if len(value) < min_length:
            raise _at(where, f"'{value}' must be at least {min_length} characters, got {len(value)}")
        if max_length is not None and len(value) > max_length:
            raise _at(where, f"'{value}' must be at most {max_length} characters, got {len(value)}")
        if compiled is not None and compiled.fullmatch(value) is None:
            raise _at(where, f"'{value}' did not match pattern '{pattern}'")
        return value

    return check


def uint(minimum: int = 0, maximum: int = 2**64 - 1) -> Check:
    """A whole number within bounds."""

    def check(value: Any, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _at(where, f"expected integer, got {_kind(value)}")
        if not minimum <= value <= maximum:
            raise _at(where, f"{value} is not within range [{minimum}, {maximum}]")
        return value

    return check


def boolean(value: Any, where: str) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise _at(where, f"expected boolean, got {_kind(value)}")
    return value


def timestamp(value: Any, where: str) -> str:
    """A moment of UTC in whole seconds, in the one format the service takes."""
    if not isinstance(value, str):
        raise _at(where, f"expected timestamp, got {_kind(value)}")
    try:
        if TIMESTAMP.fullmatch(value) is None:
            raise ValueError
        datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        raise _at(where, f"time data '{value}' does not match format '%Y-%m-%dT%H:%M:%SZ'") from None
    return value


def sequence(item: Check, min_items: int = 0, max_items: int | None = None) -> Check:
    """A list of items, within a number of them."""

    def check(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise _at(where, f"expected list, got {_kind(value)}")
        if len(value) < min_items:
            raise _at(where, f"list must have at least {min_items} items, got {len(value)}")
        if max_items is not None and len(value) > max_items:
            raise _at(where, f"list must have at most {max_items} items, got {len(value)}")
        return [item(each, _inside(where, number)) for number, each in enumerate(value)]

    return check


def void(value: Any, where: str) -> None:
    """No argument: null."""
    if value is not None:
        raise _at(where, f"expected null, got {_kind(value)}")


def anything(value: Any, _where: str) -> Any:
    """A field that is taken and not looked at."""
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "float", str: "string", list: "list", dict: "object"}
    return names.get(type(value), "value")
