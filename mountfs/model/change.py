"""A change: one mutating call on its way to the cloud, and the table of its states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mountfs.model.path import RemotePath


class ChangeKind(StrEnum):
    """What a change does to its path."""

    PUT = "put"
    MKDIR = "mkdir"
    DELETE = "delete"
    MOVE = "move"
    SET_TIME = "set-time"


class ChangeState(StrEnum):
    """Where a change stands. Changes without bytes begin as UPLOADED."""

    OPEN = "open"
    """Being written; published by nobody."""
    SEALED = "sealed"
    """Whole and journaled; its bytes are not all on the far side."""
    UPLOADED = "uploaded"
    """Its bytes are on the far side, or it has none; no name is given yet."""
    COMMITTING = "committing"
    """The commit was sent; its outcome is not known."""
    COMMITTED = "committed"
    """The service stated our hash; local bytes may go."""
    CONFLICTED = "conflicted"
    """Somebody else was first; about to land beside as a conflicted copy."""
    FAILED = "failed"
    """Refused for good; kept until the user decides."""
    DROPPED = "dropped"
    """Superseded before it was committed."""


class ChangeEvent(StrEnum):
    """What can happen to a change."""

    SEAL = "seal"
    UPLOAD_DONE = "upload-done"
    COMMIT_SENT = "commit-sent"
    ACKNOWLEDGED = "acknowledged"
    RETRY = "retry"
    RESEND = "resend"
    CONFLICT = "conflict"
    RENAMED = "renamed"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


S, E = ChangeState, ChangeEvent

TRANSITIONS: dict[ChangeState, dict[ChangeEvent, ChangeState]] = {
    S.OPEN: {E.SEAL: S.SEALED, E.SUPERSEDED: S.DROPPED},
    S.SEALED: {E.UPLOAD_DONE: S.UPLOADED, E.REFUSED: S.FAILED, E.SUPERSEDED: S.DROPPED},
    S.UPLOADED: {
        E.COMMIT_SENT: S.COMMITTING,
        E.RESEND: S.SEALED,  # its session expired while it waited
        E.REFUSED: S.FAILED,
        E.SUPERSEDED: S.DROPPED,
    },
    S.COMMITTING: {
        E.ACKNOWLEDGED: S.COMMITTED,
        E.RETRY: S.UPLOADED,
        E.RESEND: S.SEALED,
        E.CONFLICT: S.CONFLICTED,
        E.REFUSED: S.FAILED,
    },
    S.CONFLICTED: {E.RENAMED: S.UPLOADED, E.REFUSED: S.FAILED, E.SUPERSEDED: S.DROPPED},
    S.FAILED: {E.RETRY: S.UPLOADED, E.RESEND: S.SEALED, E.SUPERSEDED: S.DROPPED},
    S.COMMITTED: {},
    S.DROPPED: {},
}

PENDING_STATES = frozenset({S.OPEN, S.SEALED, S.UPLOADED, S.COMMITTING, S.CONFLICTED})
"""What `wait` waits for."""
FINAL_STATES = frozenset({S.COMMITTED, S.DROPPED})
MALLEABLE_STATES = frozenset({S.OPEN, S.SEALED, S.UPLOADED, S.FAILED})
"""What later calls may still rename, replace or drop: nothing of it has been sent under a name."""


class IllegalStep(Exception):
    """A (state, event) pair that is not in the table: a bug of ours, never the user's."""


def advance(state: ChangeState, event: ChangeEvent) -> ChangeState:
    """The next state; IllegalStep when the pair is not in TRANSITIONS."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalStep(f"{event} is not possible while {state}") from None


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the journal; see ``journal/schema.py`` for each column's meaning and repair."""

    id: int
    seq: int
    kind: ChangeKind
    state: ChangeState
    path: RemotePath
    source: RemotePath | None = None
    is_folder: bool = False
    item_id: str = ""
    base_revision: str | None = None
    base_hash: str | None = None
    base_change: int | None = None
    spool: str | None = None
    size_bytes: int = 0
    mtime_ns: int = 0
    is_flushed: bool = False
    is_synced: bool = False
    content_hash: str | None = None
    session: str | None = None
    job: str | None = None
    attempts: int = 0
    refusals: int = 0
    error: str | None = None
    touched_ns: int = 0
    """Wall clock of the last call that changed its name or bytes: the start of its settling."""

    @property
    def is_pending(self) -> bool:
        return self.state in PENDING_STATES

    @property
    def is_malleable(self) -> bool:
        return self.state in MALLEABLE_STATES

    @property
    def is_whole(self) -> bool:
        """Whether its bytes are complete: sealed, or closed and not written to since."""
        return self.state is not ChangeState.OPEN or self.is_flushed

    @property
    def has_base(self) -> bool:
        """Whether it replaces something: a revision, or what another change will make."""
        return self.base_revision is not None or self.base_change is not None

    @property
    def paths(self) -> tuple[RemotePath, ...]:
        """Every path it touches."""
        return (self.path,) if self.source is None else (self.source, self.path)

    def overlaps(self, other: Change) -> bool:
        """Whether their order matters: one touches a path that is, holds or lies in one of the other's."""
        return any(mine.overlaps(theirs) for mine in self.paths for theirs in other.paths)
