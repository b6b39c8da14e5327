"""Load switch values into a dataclass from a dict, a JSON file or a TOML file."""

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Switches = TypeVar("Switches")


class SwitchError(ValueError):
    """A switch name or value is not one the sandbox knows."""


def updated(current: Switches, values: dict[str, Any]) -> Switches:
    """A copy of the dataclass *current* with *values* put in; the current one stays as it is.

    Raises SwitchError for an unknown name (naming the nearest one) or a value of the wrong type.
    """
    hints = get_type_hints(type(current))
    names = [field.name for field in dataclasses.fields(current)]  # type: ignore[arg-type]
    wanted: dict[str, Any] = {}
    for name, value in values.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SwitchError(f"unknown switch {name}{hint}")
        wanted[name] = _checked(name, value, hints[name])
    try:
        changed: Switches = dataclasses.replace(current, **wanted)  # type: ignore[type-var]
    except ValueError as error:
        raise SwitchError(str(error)) from error
    return changed


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a .toml file, or in a JSON file of any other name. Raises SwitchError."""
    loaded = _parsed(path, tomllib.loads, "TOML") if path.suffix == ".toml" else read_json(path)
    if not isinstance(loaded, dict):
        raise SwitchError(f"{path}: expected a mapping")
    return loaded


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises SwitchError."""
    return _parsed(path, json.loads, "JSON")


def _parsed(path: Path, parse: Callable[[str], Any], language: str) -> Any:
    try:
        return parse(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SwitchError(f"{path}: not {language}: {error}") from error


def _checked(name: str, value: object, hint: Any) -> object:
    """*value* as the annotated type has it: the word of an enumeration as its member. An int is welcome where
    a float is asked for. Raises SwitchError for any other type."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        if value not in list(hint):
            raise SwitchError(f"switch {name}: expected one of {', '.join(hint)}, got {value!r}")
        return hint(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        raise SwitchError(f"switch {name}: {value} is no number")
    if not _fits(value, hint):
        words = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
        raise SwitchError(f"switch {name}: expected {words.replace('typing.', '')}, got {value!r}")
    return value


def _fits(value: object, hint: Any) -> bool:
    if hint is Any:
        return True
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    kind, inner = get_origin(hint), get_args(hint)
    if kind is UnionType:
        return any(_fits(value, each) for each in inner)
    if kind is list:
        return isinstance(value, list) and all(_fits(each, inner[0]) for each in value)
    if kind is dict:
        return isinstance(value, dict) and all(
            _fits(key, inner[0]) and _fits(each, inner[1]) for key, each in value.items()
        )
    return isinstance(value, hint)
