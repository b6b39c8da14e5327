"""Asks the service what stands at the targets of orders whose outcome is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from daemon.commit.verdicts import Overtaken, Unknown, is_same, may_be_overtaken
from mountfs.errors import (
    Conflict,
    MountfsError,
    NotADirectory,
    NotFound,
    NotSignedIn,
    ServerFault,
    Transient,
)
from mountfs.model.entry import Entry, File, Odd, Place
from mountfs.model.order import OrderKind
from mountfs.model.pacing import is_account_wide
from mountfs.model.path import fold
from mountfs.ports import Backend
from mountfs.tree.node import Flight
from mountfs.tree.vanishing import LISTED_FROM

MOST_FAULTS = 3
"""After so many failed questions in a row the rest are not asked: the service fails at all."""
FOLDERS_AT_ONCE = 8
"""A batch may remove a thousand: one after another at 50 ms, the first would be looked into 50 s before."""
MOST_EMPTY_PAGES = 3
"""A page may be empty and announce another one; after so many the folder is listed as a whole."""

Standing = Entry | MountfsError | None
"""What stands at a place, None: nothing, or why that cannot be told now."""


def look_up(backend: Backend, flights: Sequence[Flight], chance: float = 0.0) -> dict[int, Standing]:
    """What stands at the place of each flight, by the flight's id.

    After MOST_FAULTS the rest get the last failure for an answer. *chance*, from [0, 1), says which is asked
    first: targets at which the service always fails must not keep the same others from being asked each time.
    """
    first = int(chance * len(flights))
    by_folder: dict[tuple[str, str], list[Flight]] = {}
    for flight in (*flights[first:], *flights[:first]):
        place = flight.place
        by_folder.setdefault((place.folder_id, place.path.parent.key), []).append(flight)
    found: dict[int, Standing] = {}
    failures: list[MountfsError] = []
    for question in _questions(by_folder.values()):
        if _is_of_no_use(failures):
            found.update((flight.id, failures[-1]) for flight in question)
            continue
        answers = _asked(backend, question)
        found.update(answers)
        failed = [each for each in answers.values() if isinstance(each, MountfsError)]
        failures = [*failures, failed[0]] if len(failed) == len(answers) else []
    return found


def _is_of_no_use(failures: Sequence[MountfsError]) -> bool:
    """Whether to ask any further after these *failures* in a row."""
    return bool(failures) and (is_account_wide(failures[-1]) or len(failures) >= MOST_FAULTS)


def _questions(groups: Iterable[list[Flight]]) -> Iterator[list[Flight]]:
    """Flights that one request answers: each by itself, or all in one folder, which is listed."""
    for group in groups:
        if len(group) >= LISTED_FROM:
            yield group
        else:
            yield from ([flight] for flight in group)


def _asked(backend: Backend, question: list[Flight]) -> dict[int, Standing]:
    if len(question) > 1:
        return _from_listing(backend, question)
    return {flight.id: _stat(backend, flight.place) for flight in question}


def filled_folders(backend: Backend, flights: Sequence[Flight]) -> list[Flight]:
    """Those of *flights*, each of which removes a folder, at whose place is no empty folder (any more).

    The service removes a folder with all that is in it, also what others put there since (``delete_v2`` is
    always recursive, and no revision of a folder can be named). What is put into one between its answer and
    the removal of all goes with it, so several are asked about at a time. The first one is asked about alone:
    a service in trouble is not asked more than that.
    """
    answers = [_is_filled(backend, flight) for flight in flights[:1]]
    rest = flights[1:]
    if rest:
        with ThreadPoolExecutor(min(FOLDERS_AT_ONCE, len(rest)), "look-into") as pool:
            try:
                answers += pool.map(partial(_is_filled, backend), rest)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [flight for flight, is_filled in zip(flights, answers, strict=True) if is_filled]


def _is_filled(backend: Backend, flight: Flight) -> bool:
    """One entry tells: a folder may have a hundred thousand."""
    path, cursor = flight.place.path, None
    try:
        with suppress(Conflict):  # the cursor is void
            for _ in range(MOST_EMPTY_PAGES):
                page = backend.list_page(path, flight.item_id, cursor, most=1)
                if any(page.entries) or page.cursor is None:
                    return any(page.entries)
                cursor = page.cursor
        return bool(backend.list_folder(path, flight.item_id))
    except NotFound:
        return False
    except NotADirectory:
        return True


def has_left(backend: Backend, flight: Flight, standing: Entry | None) -> bool:
    """Whether a move has taken effect whose item has no known id: *standing* is at the new place, and nothing
    is at the old one."""
    if flight.kind is not OrderKind.MOVE or flight.item_id or standing is None or flight.source is None:
        return False
    try:
        backend.stat(flight.source)
    except NotFound:
        return True
    except MountfsError:
        return False
    return False


def look_back(
    backend: Backend, flights: Iterable[Flight], standing: Mapping[int, Standing]
) -> dict[int, Overtaken | Unknown]:
    """Which of the *flights* made a revision before what is *standing* at its place by now, and of which
    that cannot be told just now; by the flight's id. A flight that is not in the answer made none, or none
    that the service can tell of.

    Example: ours is committed and its reply is lost; before anybody asks, somebody else writes the file.
    Equal bytes that somebody else wrote since count as ours: the history has them, so nobody needs a copy.
    """
    found: dict[int, Overtaken | Unknown] = {}
    failures: list[MountfsError] = []
    for flight in flights:
        head = standing[flight.id]
        if not isinstance(head, File) or not may_be_overtaken(flight, head):
            continue
        if _is_of_no_use(failures):
            found[flight.id] = Unknown(failures[-1])
            continue
        made = _made(backend, flight, head)
        if isinstance(made, File):
            found[flight.id] = Overtaken(made, head)
        elif made is not None:
            found[flight.id] = Unknown(made)
        failures = [*failures, made] if isinstance(made, MountfsError) else []
    return found


def _made(backend: Backend, flight: Flight, head: File) -> File | MountfsError | None:
    over = flight.over.revision if flight.over is not None else None
    try:
        revisions = backend.revisions_before(head, over)
    except MountfsError as error:
        return error if isinstance(error, Transient | NotSignedIn) else None
    return next((each for each in revisions if is_same(flight, each)), None)


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
