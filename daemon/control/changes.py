"""Messages of the control socket about what is pending, change by change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChangesRequest:
    """Asks for everything that is pending at or below *path*; answered by any number of PendingChanges and
    Listed."""

    path: str


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change that the service does not have: *change* says what is new, *state* how far it is. *waits_for*:
    the path that has to take effect first; *reason*: why it failed, or what the last attempt met. Both may be
    empty."""

    path: str
    change: str
    state: str
    size_bytes: int
    age_s: float
    waits_for: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PendingChanges:
    """Some of them."""

    pending: tuple[PendingChange, ...]


@dataclass(frozen=True, slots=True)
class StoryRequest:
    """Asks what happened to the file or folder at *path*; answered by Story."""

    path: str


@dataclass(frozen=True, slots=True)
class StoryEvent:
    """Something that happened, at *wall_s* seconds since 1970."""

    wall_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Story:
    """The events, the oldest first; none: nothing happened to it since the mount began, or it was too long
    ago."""

    events: tuple[StoryEvent, ...] = ()
