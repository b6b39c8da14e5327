"""Times set on what the service has already, where it takes them without the bytes."""

from __future__ import annotations

from collections.abc import Iterable

from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.entry import File
from mountfs.model.names import is_local_only
from mountfs.model.path import RemotePath
from mountfs.namespace.node import Node, whole_seconds
from mountfs.namespace.overlay import Overlay
from mountfs.ports import Clock


class Times:
    """Edits of SET_TIMEs, inside the caller's transaction.

    They show nothing (the journal's ``times`` do) and nothing is built on them, so they simply follow
    their file: a rename takes them along, a whole new version or a delete makes them void.
    """

    def __init__(self, journal: Journal, overlay: Overlay, clock: Clock, *, are_carried: bool) -> None:
        """*are_carried*: whether the service takes them; else nothing is ever pending here."""
        self._journal = journal
        self._overlay = overlay
        self._clock = clock
        self._are_carried = are_carried

    def are_sent_after(self, put: Change) -> bool:
        """Whether *put* itself keeps the time it was sent with: a commit that has to be repeated must be
        the same one, and a new time follows it."""
        return self._are_carried and put.state is ChangeState.COMMITTING

    def set(self, node: Node, mtime_ns: int) -> None:
        """The file *node* is to have *mtime_ns* on the far side too. A PUT that was not sent carries it."""
        change = node.change
        if not self._are_carried or is_local_only(node.path):
            return
        if change is not None and (change.is_malleable or change.state in FINAL_STATES):
            self.drop(node.path)
            return
        pending = [row for row in self._rows(self._overlay.set_times_at(node.path)) if row.is_malleable]
        if pending:
            self._journal.amend(pending[-1], mtime_ns=mtime_ns, touched_ns=self._clock.wall_ns())
        elif change is not None:
            # It was sent with another time, and may become a revision any moment.
            if whole_seconds(change.mtime_ns) != whole_seconds(mtime_ns):
                self._add(node.path, mtime_ns, base_change=change.id, base_hash=change.content_hash)
        elif isinstance(node.entry, File):
            is_on_its_way = bool(self._overlay.set_times_at(node.path))
            if is_on_its_way or whole_seconds(node.entry.mtime_ns) != whole_seconds(mtime_ns):
                entry = node.entry
                self._add(
                    node.path,
                    mtime_ns,
                    item_id=entry.id,
                    base_revision=entry.revision,
                    base_hash=entry.content_hash,
                )

    def drop(self, path: RemotePath) -> None:
        """The file at *path* goes, or gets new bytes with a time of their own."""
        for row in self._rows(self._overlay.set_times_at(path)):
            if row.is_malleable:
                self._journal.advance(row, ChangeEvent.SUPERSEDED)

    def follow(self, source: RemotePath, target: RemotePath) -> None:
        """What stood at *source*, with all below, was just renamed to *target*."""
        if is_local_only(target):
            self.drop(source)
            return
        at, below = self._overlay.set_times_at(source), self._overlay.set_times_below(source)
        for row in self._rows([*at, *below]):
            if row.is_malleable:
                path = target if row.path.key == source.key else row.path.moved(source, target)
                self._journal.move_to_end(row, path=path, touched_ns=self._clock.wall_ns())

    def _add(
        self,
        path: RemotePath,
        mtime_ns: int,
        *,
        item_id: str = "",
        base_revision: str | None = None,
        base_hash: str | None = None,
        base_change: int | None = None,
    ) -> None:
        self._journal.add(
            ChangeKind.SET_TIME,
            path,
            ChangeState.UPLOADED,
            mtime_ns=mtime_ns,
            item_id=item_id,
            base_revision=base_revision,
            base_hash=base_hash,
            base_change=base_change,
        )

    def _rows(self, ids: Iterable[int]) -> list[Change]:
        """In the order of effect."""
        found = (self._journal.get(change_id) for change_id in ids)
        return sorted((row for row in found if row is not None), key=lambda row: row.seq)
