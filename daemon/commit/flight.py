"""A batch that was sent, or is about to be: what it was made of, how far it got."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from daemon.commit.batching import Batch, above, entries_limit
from mountfs.errors import Refused
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.pacing import Pacer
from mountfs.ports import BackendLimits, Order
from mountfs.spool.spool import Spool


@dataclass(frozen=True, slots=True)
class Current:
    """A running job, for status."""

    kind: ChangeKind
    entries: int
    since_s: float


@dataclass(slots=True, eq=False)
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
    pacer: Pacer = field(default_factory=Pacer)
    """For failures that concern nothing else."""
    is_busy: bool = False
    """Whether a worker is at it."""
    is_over: bool = False

    @property
    def current(self) -> Current:
        return Current(self.kind, len(self.changes), self.since_s)

    @property
    def rows(self) -> tuple[Change, ...]:
        """All that is COMMITTING for it."""
        return (*self.changes, *self.carried)

    def keep(self, left: Collection[int], journal: Journal) -> None:
        """The fate of the changes *left* is unknown, all others are over: those are to be sent again."""
        kept = [at for at, change in enumerate(self.changes) if change.id in left]
        self.changes = tuple(self.changes[at] for at in kept)
        self.orders = tuple(self.orders[at] for at in kept)
        now = [journal.get(folder.id) for folder in self.carried]
        self.carried = tuple(row for row in now if row and row.state is ChangeState.COMMITTING)
        self.job, self.polls, self.faults, self.is_uncertain = None, 0, 0, True


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


def stranded(rows: Iterable[Change], limits: BackendLimits) -> list[tuple[str | None, Batch]]:
    """The batches that a former process sent, from the rows it left COMMITTING, each with its job.

    A batch is known by its job; those without one were cut between sending and reply, and are sent again.
    """
    groups: dict[str | None, list[Change]] = {}
    # By id, as it was sent: positions are what the reply goes by.
    for row in sorted(rows, key=lambda row: row.id):
        groups.setdefault(row.job, []).append(row)
    return [(job, batch) for job, group in groups.items() for batch in _batches(job, group, limits)]


def _batches(job: str | None, group: list[Change], limits: BackendLimits) -> Iterator[Batch]:
    carried = _carried(group, limits)
    carried_ids = {folder.id for folder in carried}
    kinds: dict[ChangeKind, list[Change]] = {}
    for row in group:
        if row.id not in carried_ids:
            kinds.setdefault(row.kind, []).append(row)
    for kind, changes in kinds.items():
        # Without a job they may have been several batches, of which each was as large as they get.
        most = len(changes) if job is not None else max(1, entries_limit(limits, kind))
        for at in range(0, len(changes), most):
            goes_along = carried if kind is ChangeKind.PUT and at == 0 else ()
            yield Batch(kind, tuple(changes[at : at + most]), goes_along)


def _carried(group: Iterable[Change], limits: BackendLimits) -> tuple[Change, ...]:
    """The new folders among rows of one batch that its files make by the way."""
    if not limits.parents_implicit:
        return ()
    made: set[str] = set()
    for row in group:
        if row.kind is ChangeKind.PUT:
            made.update(above(row.path.key))
    return tuple(row for row in group if row.kind is ChangeKind.MKDIR and row.path.key in made)


def _read(spool: Spool, change: Change, offset: int, length: int) -> bytes:
    assert change.spool is not None
    try:
        return spool.read(change.spool, offset, length)
    except OSError as error:
        raise _Unreadable(f"the pending bytes of {change.path} cannot be read: {error.strerror}") from error


class _Unreadable(Refused):
    """Pending bytes cannot be read back from the disk."""
