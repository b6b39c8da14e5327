"""What an outcome means for a flight. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mountfs.errors import (
    AlreadyExists,
    Conflict,
    Corrupt,
    DirectoryNotEmpty,
    MountfsError,
    NotADirectory,
    NotFound,
    Offline,
    Resend,
    ServerFault,
    Transient,
    Unreachable,
)
from mountfs.model.entry import NS_PER_S, Entry, File, Folder
from mountfs.model.order import MAKES_A_FILE, OrderKind
from mountfs.model.pausing import is_passing
from mountfs.ports import Outcome
from mountfs.tree.node import Flight
from mountfs.tree.remote import is_late

TRIES = 4
"""How often the same refusal is met with the same remedy before it counts as final."""


OTHERS_BYTES = "somebody else changed it meanwhile"


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The order took effect: *entry* is at its place; None: nothing is, it was a removal."""

    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The order made the revision *ours*, and somebody else has replaced that with *standing* since."""

    ours: File
    standing: File


@dataclass(frozen=True, slots=True)
class Retry:
    """The order took no effect: the node is planned anew later, with what it wants by then. *may_arrive*: it
    may take effect all the same, though *error* does not say so."""

    error: MountfsError
    may_arrive: bool = False


@dataclass(frozen=True, slots=True)
class Rebase:
    """As ``Retry``, to replace *standing* then: the bytes that the order was to replace, under another
    revision; None: nothing is there any more."""

    error: MountfsError
    standing: File | None


@dataclass(frozen=True, slots=True)
class Reupload:
    """The bytes have to go up (again). *standing*: a file that the service has made of wrong ones."""

    error: MountfsError
    standing: File | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """Somebody else was first: *standing* keeps the name, and ours lands beside."""

    standing: Entry


@dataclass(frozen=True, slots=True)
class Refuse:
    """The service refuses the order for good: its node is kept with the reason."""

    error: MountfsError


@dataclass(frozen=True, slots=True)
class GiveUp:
    """What was to be removed stays: *standing* is there; None: nobody looked at it. *why*: for the user."""

    standing: Entry | None
    why: str = OTHERS_BYTES


@dataclass(frozen=True, slots=True)
class DropTime:
    """The new time is given up: the file has other bytes by now, or is gone, or the service refuses it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows yet what came of the order: it stays on its way."""

    error: MountfsError


@dataclass(frozen=True, slots=True)
class Look:
    """The service must be asked what stands at the flight's place. *stated*: the file that took effect by its
    reply, which leaves out the hash."""

    error: MountfsError
    stated: File | None = None


Verdict = Acknowledge | Overtaken | Retry | Rebase | Reupload | Beside | Refuse | GiveUp | DropTime | Unknown

COPY_TRIES = 3
"""So often the service may fail at a copy before the bytes go up: it may fail at this route alone."""


def judge(flight: Flight, refusals: int, outcome: Outcome) -> Verdict | Look:
    """The verdict on one outcome; *refusals*: how often the order was answered with a no before."""
    if not isinstance(outcome, MountfsError):
        return _judge_entry(flight, refusals, outcome)
    if leaves_open(outcome):
        return Look(outcome)
    if is_passing(outcome) or _may_get_folder(flight, refusals, outcome):
        return Retry(outcome)
    match flight.kind:
        case OrderKind.PUT:
            asks = isinstance(outcome, Conflict | AlreadyExists | NotFound | Resend)
        case OrderKind.COPY:
            if not isinstance(outcome, Conflict | AlreadyExists):
                return Reupload(outcome)  # it makes none of this file, for whatever reason: we have the bytes
            asks = True
        case OrderKind.MAKE_FOLDER | OrderKind.MOVE:
            asks = isinstance(outcome, Conflict | AlreadyExists | NotFound)
        case OrderKind.DELETE:
            if isinstance(outcome, NotFound):
                return Acknowledge(None)
            if isinstance(outcome, DirectoryNotEmpty):
                return GiveUp(None)
            asks = isinstance(outcome, Conflict)
        case OrderKind.SET_TIME:
            return Look(outcome) if isinstance(outcome, Conflict) else DropTime(str(outcome))
    return Look(outcome) if asks else Refuse(outcome)


def _may_get_folder(flight: Flight, refusals: int, error: MountfsError) -> bool:
    """Whether a file has the name of the folder that the order is to put something into: where that turns
    out to be one of ours, it gets another name, and what is in it is sent there."""
    puts_in = flight.kind in (OrderKind.PUT, OrderKind.MAKE_FOLDER, OrderKind.MOVE)
    return puts_in and isinstance(error, NotADirectory) and refusals + 1 < TRIES


def leaves_open(error: MountfsError) -> bool:
    """Whether an order that ended with *error* may take effect all the same, at once or later."""
    return isinstance(error, Offline | ServerFault) and not isinstance(error, Unreachable)


def judge_standing(
    flight: Flight, refusals: int, error: MountfsError, standing: Entry | None, stated: File | None = None
) -> Verdict:
    """The verdict when *error* was the outcome and *standing* is what the service has at the place.
    *stated*: as in ``Look``; it is what the next try replaces."""
    if has_taken_effect(flight, standing):
        return Acknowledge(standing)
    is_stubborn = refusals + 1 >= TRIES
    match flight.kind:
        case OrderKind.PUT if stated is not None:
            return Refuse(error) if is_stubborn else Reupload(error, stated)
        case OrderKind.PUT:
            return _judge_file(flight, refusals, error, standing)
        case OrderKind.COPY:
            return _judge_place(flight, error, standing, stated)
        case OrderKind.MAKE_FOLDER:
            if isinstance(standing, File):
                return Beside(standing)
            is_over = is_stubborn
        case OrderKind.MOVE:
            # NotFound: it is gone, or the folder it was to go to is: listing the folders above tells, and
            # what it wants then. A conflict with nothing that stands in the way is over, or was none.
            is_free = standing is None or (bool(flight.item_id) and standing.id == flight.item_id)
            is_over = is_stubborn or not (is_free or isinstance(error, Transient | NotFound))
        case OrderKind.DELETE:
            if standing is None:
                return Acknowledge(None)
            if isinstance(error, Conflict):
                return _judge_delete(flight, refusals, error, standing)
            is_over = False
        case OrderKind.SET_TIME:
            return _judge_time(flight, refusals, error, standing)
    return Refuse(error) if is_over else Retry(error)


def has_taken_effect(flight: Flight, standing: Entry | None) -> bool:
    """Whether *standing*, which the service has at the flight's place, is what the flight was to make."""
    match flight.kind:
        case OrderKind.PUT | OrderKind.COPY:
            return is_same(flight, standing)
        case OrderKind.MAKE_FOLDER:
            return isinstance(standing, Folder)
        case OrderKind.MOVE:
            is_it = standing is not None and bool(flight.item_id) and standing.id == flight.item_id
            return is_it and _is_renamed(flight, standing)
        case OrderKind.DELETE:
            return standing is None or (bool(flight.item_id) and standing.id not in ("", flight.item_id))
        case OrderKind.SET_TIME:
            is_same_file = isinstance(standing, File) and _has_base_bytes(flight, standing)
            is_set = isinstance(standing, File) and _seconds(standing.mtime_ns) == _seconds(flight.mtime_ns)
            return is_same_file and is_set


def is_in_vain(flight: Flight, error: MountfsError) -> bool:
    """Whether a copy that failed by *error* is not tried again: the service answers, and fails at it each
    time. One that is away is waited for."""
    attempts = 0 if flight.node.pending is None else flight.node.pending.attempts
    return flight.kind is OrderKind.COPY and isinstance(error, ServerFault) and attempts + 1 >= COPY_TRIES


def may_be_overtaken(flight: Flight, standing: Entry | None) -> bool:
    """Whether *flight* may have put a revision before *standing*, which is neither its own nor what it was to
    replace: only the file's history tells."""
    if flight.kind not in MAKES_A_FILE or not isinstance(standing, File) or is_same(flight, standing):
        return False
    return flight.over is None or flight.over.revision != standing.revision


def is_same(flight: Flight, entry: Entry | None) -> bool:
    """Whether *entry* has exactly the bytes of *flight*, by the service's own hash."""
    content = flight.content
    return (
        content is not None
        and isinstance(entry, File)
        and entry.size_bytes == content.size_bytes
        and entry.content_hash is not None
        and entry.content_hash == content.content_hash
    )


def _is_renamed(flight: Flight, entry: Entry | None) -> bool:
    """Whether *entry*, found by the new name, has it: where only the case changes it is found before, too."""
    is_case_only = flight.source is not None and flight.source.path.key == flight.place.path.key
    return not is_case_only or (entry is not None and entry.name == flight.name)


def _judge_entry(flight: Flight, refusals: int, entry: Entry | None) -> Verdict | Look:
    match flight.kind:
        case OrderKind.PUT:
            if is_same(flight, entry):
                return Acknowledge(entry)
            if isinstance(entry, File) and entry.content_hash is None:
                return Look(Corrupt(f"the service states no hash for {flight.place}"), entry)
            if isinstance(entry, File):
                # Its wrong bytes are what stands there, and what the right ones replace.
                error = Corrupt(f"the service states another hash for {flight.place}")
                return Refuse(error) if refusals + 1 >= TRIES else Reupload(error, entry)
            return Look(Conflict(f"no file stands at {flight.place}"))
        case OrderKind.COPY:
            return _judge_copy(flight, entry)
        case OrderKind.MAKE_FOLDER:
            is_made = isinstance(entry, Folder)
            return Acknowledge(entry) if is_made else Look(AlreadyExists(f"a file stands at {flight.place}"))
        case OrderKind.MOVE:
            return (
                Acknowledge(entry) if entry is not None else Look(NotFound(f"nothing is at {flight.place}"))
            )
        case OrderKind.DELETE:
            return Acknowledge(None)
        case OrderKind.SET_TIME:
            return Acknowledge(entry) if isinstance(entry, File) else DropTime(OTHERS_BYTES)


def _judge_copy(flight: Flight, entry: Entry | None) -> Verdict | Look:
    """Where the other file has got other bytes, unheard here, those were copied: ours replace them."""
    if is_same(flight, entry):
        return Acknowledge(entry)
    if not isinstance(entry, File):
        return Look(Conflict(f"no file stands at {flight.place}"))
    if entry.content_hash is None:
        return Look(Corrupt(f"the service states no hash for {flight.place}"), entry)
    return Reupload(Conflict(f"the file whose bytes {flight.place} was to get has others by now"), entry)


def _judge_place(flight: Flight, error: MountfsError, standing: Entry | None, stated: File | None) -> Verdict:
    """No copy takes the place of a file: an older version of ours that arrived late is replaced."""
    if stated is None and isinstance(error, Transient):
        return Retry(error)
    if stated is None and isinstance(standing, File) and is_late(flight.node, standing):
        stated = standing
    return Reupload(error, stated) if stated or standing is None else Beside(standing)


def _judge_delete(flight: Flight, refusals: int, error: MountfsError, standing: Entry) -> Verdict:
    """A move of a folder may give the files in it other revisions: they are still those to be removed."""
    is_it = isinstance(standing, File) and (
        _has_base_bytes(flight, standing) or is_late(flight.node, standing)
    )
    if not isinstance(standing, File) or not is_it:
        return GiveUp(standing)
    if refusals + 1 >= TRIES:
        return GiveUp(standing, str(error))
    return Rebase(error, standing)


def _judge_time(flight: Flight, refusals: int, error: MountfsError, standing: Entry | None) -> Verdict:
    """The file may have got another revision without other bytes: it is still the one that was meant."""
    if not isinstance(standing, File):
        return DropTime(OTHERS_BYTES)
    is_it = flight.over is not None and standing.revision == flight.over.revision
    if not is_it and not _has_base_bytes(flight, standing):
        return DropTime(OTHERS_BYTES)
    if isinstance(error, Conflict) and refusals + 1 >= TRIES:
        return DropTime(str(error))
    return Rebase(error, standing)


def _judge_file(flight: Flight, refusals: int, error: MountfsError, standing: Entry | None) -> Verdict:
    is_stubborn = refusals + 1 >= TRIES
    if isinstance(error, Resend):
        return Refuse(error) if is_stubborn else Reupload(error)
    if isinstance(error, Transient):
        return Retry(error)
    if standing is None:
        # Removed by somebody else: ours is all there is. If even that is a conflict, the folder is none.
        return Refuse(error) if is_stubborn and flight.over is None else Rebase(error, None)
    if isinstance(standing, File) and (_has_base_bytes(flight, standing) or is_late(flight.node, standing)):
        return Refuse(error) if is_stubborn else Rebase(error, standing)
    return Beside(standing)


def _has_base_bytes(flight: Flight, standing: File) -> bool:
    """Whether *standing* has the bytes of the revision that the flight is about, whatever its token."""
    over = flight.over
    return over is not None and over.content_hash is not None and standing.content_hash == over.content_hash


def _seconds(mtime_ns: int | None) -> int | None:
    return None if mtime_ns is None else mtime_ns // NS_PER_S
