"""Asking the service what stands where an outcome left it open."""

from __future__ import annotations

from collections.abc import Iterable

from mountfs.errors import MountfsError, NotADirectory, NotFound, ServerFault
from mountfs.model.entry import Entry, Odd, Place
from mountfs.model.order import OrderKind
from mountfs.model.path import fold
from mountfs.ports import Backend
from mountfs.tree.node import Flight

LISTED_FROM = 4
"""So many questions in one folder are cheaper as one listing."""

Standing = Entry | MountfsError | None
"""What stands at a place, None: nothing, or why that cannot be told now."""


def look_up(backend: Backend, flights: Iterable[Flight]) -> dict[int, Standing]:
    """What stands at the place of each flight, by the flight's id."""
    by_folder: dict[tuple[str, str], list[Flight]] = {}
    for flight in flights:
        place = flight.place
        by_folder.setdefault((place.folder_id, place.path.parent.key), []).append(flight)
    found: dict[int, Standing] = {}
    for group in by_folder.values():
        if len(group) >= LISTED_FROM:
            found.update(_from_listing(backend, group))
        else:
            found.update((flight.id, _stat(backend, flight.place)) for flight in group)
    return found


def filled_folders(backend: Backend, flights: Iterable[Flight]) -> dict[int, Entry | None]:
    """Which of the folders to be removed are not empty folders (any more), by the flight's id.

    The service would remove all that is in them, also what others put there since (``delete_v2`` is always
    recursive). What stands there is told where it is no folder.
    """
    filled: dict[int, Entry | None] = {}
    for flight in flights:
        if flight.kind is not OrderKind.DELETE or not flight.node.is_folder:
            continue
        try:
            if backend.list_folder(flight.place.path, flight.item_id):
                filled[flight.id] = None
        except NotFound:
            continue
        except NotADirectory:
            filled[flight.id] = None
    return filled


def has_left(backend: Backend, flight: Flight, standing: Entry | None) -> bool:
    """Whether a move whose item's id is not known has taken effect: *standing* is at the new place, and
    nothing at the old one."""
    if flight.kind is not OrderKind.MOVE or flight.item_id or standing is None or flight.source is None:
        return False
    try:
        backend.stat(flight.source)
    except NotFound:
        return True
    except MountfsError:
        return False
    return False


def _stat(backend: Backend, place: Place) -> Standing:
    try:
        return backend.stat(place)
    except (NotFound, NotADirectory):
        return None
    except MountfsError as error:
        return error


def _from_listing(backend: Backend, group: list[Flight]) -> dict[int, Standing]:
    place = group[0].place
    try:
        entries: dict[str, Standing] = {
            fold(entry.name): ServerFault(entry.reason) if isinstance(entry, Odd) else entry
            for entry in backend.list_folder(place.path.parent, place.folder_id)
        }
    except (NotFound, NotADirectory):
        entries = {}
    except MountfsError as error:
        return {flight.id: error for flight in group}
    return {flight.id: entries.get(flight.place.path.name_key) for flight in group}
