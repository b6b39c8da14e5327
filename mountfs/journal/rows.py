"""Changes to rows of SQLite and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mountfs.journal.schema import COLUMNS
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.path import RemotePath

Value = str | int | None

INSERT = f"INSERT INTO changes ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
SELECT = f"SELECT {', '.join(COLUMNS)} FROM changes"


def value_of(field: Any) -> Value:
    """A field of a Change as SQLite keeps it."""
    if isinstance(field, RemotePath):
        return field.text
    return int(field) if isinstance(field, bool) else field


def to_row(change: Change) -> tuple[Value, ...]:
    return tuple(value_of(getattr(change, column)) for column in COLUMNS)


def from_row(row: Sequence[Any]) -> Change:
    fields: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
    fields["kind"] = ChangeKind(fields["kind"])
    fields["state"] = ChangeState(fields["state"])
    fields["path"] = RemotePath(fields["path"])
    fields["source"] = None if fields["source"] is None else RemotePath(fields["source"])
    for flag in ("is_folder", "is_flushed", "is_synced"):
        fields[flag] = bool(fields[flag])
    return Change(**fields)


def update_of(fields: Mapping[str, Any]) -> tuple[str, tuple[Value, ...]]:
    """The SET list and its values for some fields."""
    unknown = set(fields) - set(COLUMNS)
    if unknown:
        raise TypeError(f"a change has no {sorted(unknown)[0]}")
    return ", ".join(f"{name} = ?" for name in fields), tuple(value_of(field) for field in fields.values())


def time_key(path: RemotePath, revision: str) -> str:
    """Where the time of a file, or of a folder (*revision* is ""), is kept: while a file is renamed, a new
    folder may have the name under which the service has that file still."""
    return path.key if revision else path.key + "/"
