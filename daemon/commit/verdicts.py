"""What an outcome means for a change. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mountfs.errors import (
    AlreadyExists,
    Conflict,
    Corrupt,
    DirectoryNotEmpty,
    MountfsError,
    NotFound,
    NotSignedIn,
    Offline,
    Resend,
    ServerFault,
    Transient,
)
from mountfs.model.change import Change, ChangeKind
from mountfs.model.entry import NS_PER_S, Entry, File, Folder
from mountfs.ports import Outcome

TRIES = 4
"""How often the same refusal is met with the same remedy before it counts as final."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """It took effect; *entry* stands there, None: nothing does."""

    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Retry:
    """Send it again later; *base*: what it replaces then, None: unchanged."""

    error: MountfsError
    base: Base | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """What a PUT replaces."""

    revision: str | None = None
    content_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Reupload:
    """The bytes must go up again."""

    error: MountfsError
    base: Base | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """Somebody else was first: it lands beside, under another name."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It fails for good, and is kept."""

    error: MountfsError


@dataclass(frozen=True, slots=True)
class Drop:
    """It is void: what it was about is not what stands there, or (a time) it is refused with *error*."""

    error: MountfsError | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows yet; it stays under way and is sent again."""

    error: MountfsError


@dataclass(frozen=True, slots=True)
class Look:
    """The service must be asked what stands at the change's path."""

    error: MountfsError


Verdict = Acknowledge | Retry | Reupload | Beside | Refuse | Drop | Unknown


def judge(change: Change, outcome: Outcome, *, is_uncertain: bool) -> Verdict | Look:
    """The verdict on one outcome; *is_uncertain*: it may have taken effect by an earlier call."""
    if not isinstance(outcome, MountfsError):
        return _judge_entry(change, outcome)
    if isinstance(outcome, Offline | ServerFault):
        return Look(outcome)
    if isinstance(outcome, Transient | NotSignedIn):
        return Unknown(outcome) if is_uncertain else Retry(outcome)
    match change.kind:
        case ChangeKind.PUT:
            asks = isinstance(outcome, Conflict | AlreadyExists | Resend)
        case ChangeKind.MKDIR:
            asks = isinstance(outcome, Conflict | AlreadyExists)
        case ChangeKind.MOVE:
            asks = isinstance(outcome, Conflict | AlreadyExists | NotFound)
        case ChangeKind.DELETE:
            if isinstance(outcome, NotFound):
                return Acknowledge(None)
            if isinstance(outcome, DirectoryNotEmpty):
                return Drop()
            if isinstance(outcome, Conflict) and change.base_hash is None:
                return Drop()
            asks = isinstance(outcome, Conflict)
        case ChangeKind.SET_TIME:
            return Look(outcome) if isinstance(outcome, Conflict) else Drop(outcome)
    return Look(outcome) if asks else Refuse(outcome)


def judge_standing(
    change: Change, error: MountfsError, standing: Entry | None, *, is_uncertain: bool
) -> Verdict:
    """The verdict when *error* was the outcome and *standing* is what the service has at the path."""
    match change.kind:
        case ChangeKind.PUT:
            return _judge_file(change, error, standing)
        case ChangeKind.MKDIR:
            if isinstance(standing, Folder):
                return Acknowledge(standing)
            is_over = isinstance(standing, File) or change.refusals + 1 >= TRIES
        case ChangeKind.MOVE:
            is_ours = standing is not None and standing.id == change.item_id and _is_renamed(change, standing)
            # Its id was not known, but the source is gone and something arrived: what else should it be?
            is_arrived = is_uncertain and not change.item_id and isinstance(error, NotFound)
            if standing is not None and (is_ours or is_arrived):
                return Acknowledge(standing)
            is_over = not isinstance(error, Transient)
        case ChangeKind.DELETE:
            if standing is None:
                return Acknowledge(None)
            if isinstance(error, Conflict):
                return _judge_delete(change, error, standing)
            is_over = False
        case ChangeKind.SET_TIME:
            return _judge_time(change, error, standing)
    return Refuse(error) if is_over else Retry(error)


def is_same(change: Change, entry: Entry | None) -> bool:
    """Whether *entry* has exactly the bytes of *change*, by the service's own hash."""
    return (
        isinstance(entry, File)
        and entry.size_bytes == change.size_bytes
        and entry.content_hash is not None
        and entry.content_hash == change.content_hash
    )


def _is_renamed(change: Change, entry: Entry) -> bool:
    """Whether *entry*, found by the new name, has it: where only the case changes it is found before, too."""
    is_case_only = change.source is not None and change.source.key == change.path.key
    return not is_case_only or entry.path.name == change.path.name


def _judge_entry(change: Change, entry: Entry | None) -> Verdict | Look:
    match change.kind:
        case ChangeKind.PUT:
            if is_same(change, entry):
                return Acknowledge(entry)
            if isinstance(entry, File):
                # Its wrong bytes are what stands there, and what the right ones replace.
                error = Corrupt(f"the service states another hash for {change.path}")
                return Reupload(error, Base(entry.revision, entry.content_hash))
            return Look(Conflict(f"no file stands at {change.path}"))
        case ChangeKind.MKDIR:
            is_made = isinstance(entry, Folder)
            return Acknowledge(entry) if is_made else Look(AlreadyExists(f"a file stands at {change.path}"))
        case ChangeKind.MOVE:
            return Acknowledge(entry)
        case ChangeKind.DELETE:
            return Acknowledge(None)
        case ChangeKind.SET_TIME:
            return Acknowledge(entry) if isinstance(entry, File) else Drop()


def _judge_delete(change: Change, error: MountfsError, standing: Entry) -> Verdict:
    """A move of a folder may give the files in it other revisions: they are still those to be removed."""
    has_our_bytes = isinstance(standing, File) and standing.content_hash == change.base_hash
    if not isinstance(standing, File) or not has_our_bytes or change.refusals + 1 >= TRIES:
        return Drop()
    return Retry(error, Base(standing.revision, standing.content_hash))


def _judge_time(change: Change, error: MountfsError, standing: Entry | None) -> Verdict:
    """The file may have got another revision without other bytes: it is still the one that was meant."""
    if not isinstance(standing, File):
        return Drop()
    has_our_bytes = standing.content_hash is not None and standing.content_hash == change.base_hash
    if standing.revision != change.base_revision and not has_our_bytes:
        return Drop()
    if standing.mtime_ns // NS_PER_S == change.mtime_ns // NS_PER_S:
        return Acknowledge(standing)
    if isinstance(error, Conflict) and change.refusals + 1 >= TRIES:
        return Drop(error)
    return Retry(error, Base(standing.revision, standing.content_hash))


def _judge_file(change: Change, error: MountfsError, standing: Entry | None) -> Verdict:
    if is_same(change, standing):
        return Acknowledge(standing)
    if isinstance(error, Resend):
        return Reupload(error)
    if isinstance(error, Transient):
        return Retry(error)
    is_stubborn = change.refusals + 1 >= TRIES
    if standing is None:
        # Removed by somebody else: ours is all there is. If even that is a conflict, the folder is none.
        return Refuse(error) if is_stubborn and change.base_revision is None else Retry(error, Base())
    if (
        isinstance(standing, File)
        and change.base_hash is not None
        and standing.content_hash == change.base_hash
    ):
        return Refuse(error) if is_stubborn else Retry(error, Base(standing.revision, standing.content_hash))
    return Beside()
