"""Asking the service what stands where an outcome left it open."""

from __future__ import annotations

from collections.abc import Iterable

from mountfs.errors import MountfsError, NotADirectory, NotFound
from mountfs.model.change import Change, ChangeKind
from mountfs.model.entry import Entry
from mountfs.model.path import RemotePath
from mountfs.ports import Backend

LISTED_FROM = 4
"""So many questions in one folder are cheaper as one listing."""

Standing = Entry | MountfsError | None
"""What stands at a path, None: nothing, or why that cannot be told now."""


def look_up(backend: Backend, changes: Iterable[Change]) -> dict[int, Standing]:
    """What stands at the path of each change, by its id."""
    by_folder: dict[str, list[Change]] = {}
    for change in changes:
        by_folder.setdefault(change.path.parent.key, []).append(change)
    found: dict[int, Standing] = {}
    for group in by_folder.values():
        if len(group) >= LISTED_FROM:
            found.update(_from_listing(backend, group))
        else:
            found.update((change.id, _stat(backend, change.path)) for change in group)
    return found


def _stat(backend: Backend, path: RemotePath) -> Standing:
    try:
        return backend.stat(path)
    except (NotFound, NotADirectory):
        return None
    except MountfsError as error:
        return error


def _from_listing(backend: Backend, group: list[Change]) -> dict[int, Standing]:
    try:
        entries = {entry.path.name_key: entry for entry in backend.list_folder(group[0].path.parent)}
    except (NotFound, NotADirectory):
        entries = {}
    except MountfsError as error:
        return {change.id: error for change in group}
    return {change.id: entries.get(change.path.name_key) for change in group}


def filled_folders(backend: Backend, changes: Iterable[Change]) -> set[int]:
    """Which of the folders to be deleted are not empty folders (any more): the service would remove all
    that is in them, also what others put there since (``delete_v2`` is always recursive)."""
    filled: set[int] = set()
    for change in changes:
        if change.kind is ChangeKind.DELETE and change.is_folder:
            try:
                if backend.list_folder(change.path):
                    filled.add(change.id)
            except NotFound:
                continue
            except NotADirectory:
                filled.add(change.id)
    return filled
