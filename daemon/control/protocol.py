"""The language of the control socket: one JSON object a line, each with its version.

The client sends one request; the process answers with any number of lines of the kinds UNDER_WAY and
then one line of another kind. Nothing is ever unpickled or evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from daemon.control.changes import (
    ChangesRequest,
    PendingChanges,
    Story,
    StoryRequest,
)
from daemon.control.status import MountStatus, Transfer
from daemon.control.steering import WRONG_RATE, HoldRequest, RatesRequest, Steered
from daemon.control.typed import read

VERSION = 1
LONGEST_LINE_BYTES = 8 * 1024 * 1024
"""A bound against a peer that never ends its line."""

CHANGES_A_LINE = 100
"""Of failed changes: a path has up to 4 KiB, each byte of which JSON may spell with six, and a reason."""

LONGEST_REQUEST_BYTES = 64 * 1024
"""A request names one path, of at most 4096 bytes, each of which JSON may spell with six."""

SOCKET_XATTR = "user.mountfs.socket"
"""The attribute of a mount's root that holds the path of its control socket."""


class ProtocolError(Exception):
    """The peer sent something that is not in this language, or in another version of it."""


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """Asks for a StatusReply."""


@dataclass(frozen=True, slots=True)
class WaitRequest:
    """Asks to hear when everything at or below *path*, relative to the mount's root, is settled."""

    path: str
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Asks to drain, for at most *timeout_s* where given, and to unmount; answered by Stopped."""

    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """Asks to make what was accepted so far survive a power loss; answered by Synced."""


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """Asks to send again what was refused at or below *path*; answered by Retried."""

    path: str


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """Asks which files at or below *path* have bytes that the service does not; answered by any number of
    PendingFiles and Listed."""

    path: str


@dataclass(frozen=True, slots=True)
class DiscardRequest:
    """Asks to give up what is pending at or below *path*, or, as a trial, what that would be; answered by
    Discarded."""

    path: str
    is_trial: bool = True


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """Asks for one of the commands that look at a path or change what the service has there, and are told in
    lines; answered by Told."""

    command: str
    path: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is still pending while the client waits."""

    pending: int
    size_bytes: int
    transfer: Transfer = field(default_factory=Transfer)
    """Of the whole mount."""
    held_up: str = ""
    """Why nothing gets on, as far as that is known."""


@dataclass(frozen=True, slots=True)
class PartDone:
    """How many files and folders a command is done with, and of how many."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class FailedChange:
    """A change that will not be committed by itself."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class FailedChanges:
    """Some of those that the reply at the end is about, which has the rest."""

    changes: tuple[FailedChange, ...]


@dataclass(frozen=True, slots=True)
class StatusReply:
    """The state of the mount."""

    status: MountStatus


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of a wait: what is left pending when the time ran out, and what failed."""

    pending: int
    failed: tuple[FailedChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """The end of a drain: *pending* changes stay journaled. The unmount follows, then the socket closes."""

    pending: int
    reason: str = ""
    """Why the drain ended before its time, in half a line."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What was accepted before the request survives a power loss."""


@dataclass(frozen=True, slots=True)
class Retried:
    """How many changes are tried again, and what cannot be, with what to do about it."""

    count: int
    left: tuple[FailedChange, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingFiles:
    """Some of the files, by their paths in the mount."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """The end of a list. *outside*: how many more lie in folders of the account that are not mounted here."""

    outside: int = 0


@dataclass(frozen=True, slots=True)
class Discarded:
    """What was given up, or would be: how many files and folders, the bytes in them, some of their paths; and
    what was left as it is."""

    count: int
    size_bytes: int
    paths: tuple[str, ...] = ()
    left: tuple[FailedChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What a command has to say, in lines for people."""

    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """The request could not be carried out; *message* is one line."""

    message: str


Request = (
    StatusRequest
    | WaitRequest
    | StopRequest
    | SyncRequest
    | RetryRequest
    | PendingRequest
    | ChangesRequest
    | StoryRequest
    | HoldRequest
    | RatesRequest
    | DiscardRequest
    | CommandRequest
)
Reply = (
    Progress
    | PartDone
    | FailedChanges
    | StatusReply
    | Settled
    | Stopped
    | Synced
    | Retried
    | PendingFiles
    | PendingChanges
    | Story
    | Listed
    | Discarded
    | Steered
    | Told
    | Rejected
)
UNDER_WAY = (Progress, PartDone, PendingFiles, PendingChanges, FailedChanges)
"""Replies that others follow."""

_REQUESTS: dict[str, type[Any]] = {
    "status": StatusRequest,
    "wait": WaitRequest,
    "stop": StopRequest,
    "sync": SyncRequest,
    "retry": RetryRequest,
    "list-pending": PendingRequest,
    "list-changes": ChangesRequest,
    "story-of": StoryRequest,
    "discard": DiscardRequest,
    "hold": HoldRequest,
    "limit-rates": RatesRequest,
    "command": CommandRequest,
}
_REPLIES: dict[str, type[Any]] = {
    "progress": Progress,
    "part-done": PartDone,
    "failed-changes": FailedChanges,
    "status": StatusReply,
    "settled": Settled,
    "stopped": Stopped,
    "synced": Synced,
    "retried": Retried,
    "pending-files": PendingFiles,
    "pending-changes": PendingChanges,
    "story": Story,
    "listed": Listed,
    "discarded": Discarded,
    "steered": Steered,
    "told": Told,
    "rejected": Rejected,
}
_WORDS = {kind: word for table in (_REQUESTS, _REPLIES) for word, kind in table.items()}


def in_lines(reply: Reply) -> Iterator[Reply]:
    """*reply*, and before it what would make its line too long."""
    changes = _changes_of(reply)
    first = changes[: len(changes) - len(changes) % CHANGES_A_LINE]
    for at in range(0, len(first), CHANGES_A_LINE):
        yield FailedChanges(first[at : at + CHANGES_A_LINE])
    yield _with_changes(reply, changes[len(first) :])


def joined(reply: Reply, before: Sequence[FailedChange]) -> Reply:
    """The inverse of ``in_lines``: *reply* with the changes that came before it."""
    return _with_changes(reply, (*before, *_changes_of(reply)))


def _changes_of(reply: Reply) -> tuple[FailedChange, ...]:
    match reply:
        case Settled(failed=changes) | Retried(left=changes) | Discarded(left=changes):
            return changes
    return ()


def _with_changes(reply: Reply, changes: tuple[FailedChange, ...]) -> Reply:
    match reply:
        case Settled():
            return replace(reply, failed=changes)
        case Retried() | Discarded():
            return replace(reply, left=changes)
    return reply


def encode(message: Request | Reply) -> bytes:
    """One line, its newline included; ASCII, so any file name survives."""
    return json.dumps({"v": VERSION, "kind": _WORDS[type(message)], **asdict(message)}).encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """The request in *line*. ProtocolError."""
    message = _decode(line, _REQUESTS)
    assert isinstance(message, Request)
    if isinstance(message, WaitRequest | StopRequest) and not 0 <= (message.timeout_s or 0.0) < 1e9:
        raise ProtocolError("timeout_s must be zero or more, and less than a thousand million")
    if isinstance(message, RatesRequest) and not message.is_possible:
        raise ProtocolError(WRONG_RATE)
    return message


def decode_reply(line: bytes) -> Reply:
    """The reply in *line*. ProtocolError."""
    message = _decode(line, _REPLIES)
    assert isinstance(message, Reply)
    return message


def _decode(line: bytes, kinds: dict[str, type[Any]]) -> object:
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        raise ProtocolError("not a line of JSON") from None
    if not isinstance(body, dict):
        raise ProtocolError("not a JSON object")
    version, word = body.pop("v", None), body.pop("kind", None)
    if version != VERSION:
        raise ProtocolError(
            f"protocol version {version}, expected {VERSION}: mount and command differ in age"
        )
    if not isinstance(word, str) or word not in kinds:
        raise ProtocolError(f"unknown kind {word!r}")
    try:
        return read(kinds[word], body)
    except ValueError as error:
        raise ProtocolError(str(error)) from None
    except (TypeError, KeyError):
        raise ProtocolError(f"malformed {word}") from None
