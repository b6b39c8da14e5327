"""A batch that was sent, or is about to be: what it was made of, how far it got."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from mountfs.errors import Refused
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeKind
from mountfs.ports import BackendLimits, Order
from mountfs.spool.spool import Spool


@dataclass(frozen=True, slots=True)
class Current:
    """The running job, for status."""

    kind: ChangeKind
    entries: int
    since_s: float


@dataclass(slots=True)
class Flight:
    """Changes of one kind that are COMMITTING, with their orders by position, and the folders they carry."""

    kind: ChangeKind
    changes: tuple[Change, ...]
    carried: tuple[Change, ...]
    orders: tuple[Order, ...]
    since_s: float
    job: str | None = None
    is_uncertain: bool = False
    """Whether it may have taken effect although nobody told us."""
    due_s: float = 0.0
    polls: int = 0
    faults: int = 0
    """Failed questions after the job in a row."""

    @property
    def current(self) -> Current:
        return Current(self.kind, len(self.changes), self.since_s)


def order_of(change: Change, journal: Journal, spool: Spool, limits: BackendLimits) -> Order:
    """A COMMITTING change as the backend takes it."""
    is_put = change.kind is ChangeKind.PUT
    is_large = is_put and change.session is not None and change.size_bytes >= limits.session_min_bytes
    return Order(
        kind=change.kind,
        path=change.path,
        source=change.source,
        is_folder=change.is_folder,
        item_id=change.item_id,
        base_revision=change.base_revision,
        size_bytes=change.size_bytes,
        mtime_ns=change.mtime_ns,
        content_hash=change.content_hash or "",
        session=change.session,
        parts=journal.parts(change.id) if is_large else (),
        read=partial(_read, spool, change) if is_put else None,
    )


def stranded(rows: Iterable[Change]) -> tuple[list[Change], list[Change]] | None:
    """Of COMMITTING rows, the changes and the carried folders of one batch that a former process sent.

    A batch is known by its job; those without one were cut between sending and reply.
    """
    groups: dict[str | None, list[Change]] = {}
    for row in rows:
        groups.setdefault(row.job, []).append(row)
    if not groups:
        return None
    # By id, as it was sent: positions are what the reply goes by.
    group = sorted(next(iter(groups.values())), key=lambda row: row.id)
    files = [row for row in group if row.kind is ChangeKind.PUT]
    if files:
        return files, [row for row in group if row.kind is ChangeKind.MKDIR]
    return [row for row in group if row.kind is group[0].kind], []


def _read(spool: Spool, change: Change, offset: int, length: int) -> bytes:
    assert change.spool is not None
    try:
        return spool.read(change.spool, offset, length)
    except OSError as error:
        raise _Unreadable(f"the pending bytes of {change.path} cannot be read: {error.strerror}") from error


class _Unreadable(Refused):
    """Pending bytes cannot be read back from the disk."""
