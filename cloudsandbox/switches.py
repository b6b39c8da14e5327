"""Load switch values into a dataclass from a dict, a JSON file or a TOML file."""

import dataclasses
import difflib
import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

Switches = TypeVar("Switches")


class SwitchError(ValueError):
    """A switch name or value is not one the sandbox knows."""


def updated(current: Switches, values: dict[str, Any]) -> Switches:
    """A copy of the dataclass *current* with *values* put in; the current one stays as it is.

    Raises SwitchError for an unknown name (naming the nearest one) or a value of the wrong type.
    """
    hints = get_type_hints(type(current))
    names = [field.name for field in dataclasses.fields(current)]  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SwitchError(f"unknown switch {name}{hint}")
        _check(name, value, hints[name])
    try:
        changed: Switches = dataclasses.replace(current, **values)  # type: ignore[type-var]
    except ValueError as error:
        raise SwitchError(str(error)) from error
    return changed


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a .toml file, or in a JSON file of any other name. Raises SwitchError."""
    text = path.read_text("utf-8")
    try:
        loaded = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise SwitchError(f"{path}: {error}") from error
    if not isinstance(loaded, dict):
        raise SwitchError(f"{path}: expected a mapping")
    return loaded


def _check(name: str, value: object, hint: Any) -> None:
    """Refuse a value whose type is not the annotated one; an int is welcome where a float is asked for."""
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise SwitchError(f"switch {name}: expected {hint.__name__}, got {value!r}")
