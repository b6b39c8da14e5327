"""Pending PUTs that replace one another, and what taking one away leaves to be done on the far side.

A chain is a PUT with the earlier PUTs at the same name that it replaces while they are still malleable.
Below its oldest member stands its ground: what the service has there, or is about to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mountfs.journal.comeback import absorb_delete
from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.entry import File
from mountfs.model.names import is_local_only
from mountfs.model.path import RemotePath
from mountfs.namespace.node import Node
from mountfs.namespace.overlay import Overlay


@dataclass(frozen=True, slots=True)
class Base:
    """What a PUT replaces: a revision, or another change that will become one; nothing when both are None."""

    revision: str | None = None
    content_hash: str | None = None
    change: int | None = None

    def __bool__(self) -> bool:
        return self.revision is not None or self.change is not None


class Chains:
    """Edits of chains, inside the caller's transaction."""

    def __init__(self, journal: Journal, overlay: Overlay) -> None:
        self._journal = journal
        self._overlay = overlay

    def chain(self, change: Change) -> list[Change]:
        """*change* and the malleable PUTs it replaces at its name, the newest first."""
        members = [change]
        while members[-1].base_change is not None:
            below = self._journal.get(members[-1].base_change)
            if below is None or not self.is_ours(below):
                break
            if below.path.key != change.path.key and not _is_never_sent(below):
                break  # it goes up under its own name first, and the rename that brought it here moves it
            members.append(below)
        return members

    def is_ours(self, change: Change) -> bool:
        """Whether later calls may rename, replace or drop *change* itself: not once it was sent, nor when
        it was put off after that and a rename waits to move what it makes."""
        if not change.is_malleable or _is_never_sent(change):
            return change.is_malleable
        return not any(
            later.source is not None and later.source.key == change.path.key
            for later in self.overlapping(change.path, after=change.seq)
        )

    def ground(self, members: list[Change]) -> Base:
        """What stands below a chain."""
        oldest = members[-1]
        return Base(oldest.base_revision, oldest.base_hash, oldest.base_change)

    def base_of(self, node: Node) -> Base:
        """What a PUT that takes the place of *node*, a file, replaces."""
        if node.change is not None:
            if self.is_ours(node.change):
                return self.ground(self.chain(node.change))
            return Base(change=node.change.id)
        assert isinstance(node.entry, File)
        return Base(node.entry.revision, node.entry.content_hash)

    def absorb(self, sealed: Change) -> Change:
        """Lets a PUT that became whole replace what is under it: older PUTs, or a pending delete."""
        members = self.chain(sealed)
        if len(members) > 1:
            base = self.ground(members)
            for older in members[1:]:
                self.drop(older)
            sealed = self.rebase(sealed, base)
        return self.absorb_delete(sealed)

    def absorb_delete(self, put: Change) -> Change:
        """Lets a PUT that replaces nothing replace what was deleted there before it."""
        if put.has_base or not put.is_whole:
            return put
        return absorb_delete(self._journal, put, reversed(self.overlapping(put.path, before=put.seq)))

    def remove(self, node: Node, path: RemotePath) -> None:
        """*node*, which is shown at *path*, goes away; a folder is empty."""
        change = node.change
        if change is not None and self.is_ours(change):
            if change.kind is ChangeKind.PUT:
                members = self.chain(change)
                base = self.ground(members)
                for member in members:
                    self.drop(member)
                self._delete(path, base)
                return
            if change.path.key == path.key and not self.overlapping(path, after=change.seq):
                self.drop(change)
                return
        if node.is_folder:
            self._journal.add(ChangeKind.DELETE, path, ChangeState.UPLOADED, is_folder=True)
        elif change is not None:
            self._delete(path, Base(change=change.id))
        elif isinstance(node.entry, File) and not self._delete_at_origin(node.entry, path):
            self._delete(path, Base(node.entry.revision, node.entry.content_hash), item_id=node.entry.id)

    def arrival(self, path: RemotePath, entry_path: RemotePath) -> Change | None:
        """The malleable MOVE that alone brought *entry_path* to *path*, if nothing later touched either."""
        for change in self.overlapping(path):
            if (
                change.kind is ChangeKind.MOVE
                and change.is_malleable
                and change.path.key == path.key
                and change.source is not None
                and change.source.key == entry_path.key
            ):
                later = [
                    *self.overlapping(change.path, after=change.seq),
                    *self.overlapping(change.source, after=change.seq),
                ]
                return None if any(not self._is_at_source(c, change) for c in later) else change
        return None

    def overlapping(self, path: RemotePath, *, after: int = 0, before: float = math.inf) -> list[Change]:
        """Live changes with ``after < seq < before`` that touch *path*, something above it or below it, in
        order; none that this transaction added."""
        found = (self._journal.get(change_id) for change_id in self._overlay.touching(path))
        return sorted(
            (
                change
                for change in found
                if change is not None
                and change.state not in FINAL_STATES
                and after < change.seq < before
                and any(at.overlaps(path) for at in change.paths)
            ),
            key=lambda change: change.seq,
        )

    def is_blocked(self, change: Change) -> bool:
        """Whether something must take effect before *change*: what is earlier and touches its path, something
        above it or below it; and what was sent and has no outcome yet, whenever it was made. What failed
        blocks nothing, nor does what never leaves this machine."""
        return any(
            other.id != change.id
            and (other.seq < change.seq or other.state is ChangeState.COMMITTING)
            and other.state is not ChangeState.FAILED
            and not is_local_only(other.path)
            for other in self.overlapping(change.path)
        )

    def forget_refused(self, path: RemotePath) -> None:
        """What stands at *path* is renamed or removed anew: earlier such calls that were refused are over."""
        for change_id in list(self._overlay.refused_at(path)):
            refused = self._journal.get(change_id)
            if refused is not None:
                self.drop(refused)

    def drop(self, change: Change) -> None:
        self._journal.advance(change, ChangeEvent.SUPERSEDED)

    def rebase(self, put: Change, base: Base) -> Change:
        return self._journal.amend(
            put, base_revision=base.revision, base_hash=base.content_hash, base_change=base.change
        )

    def _is_at_source(self, later: Change, move: Change) -> bool:
        """A file newly written where the moved one was does not care when that went, if it was first."""
        return later.kind is ChangeKind.PUT and move.source is not None and later.path.key == move.source.key

    def _delete_at_origin(self, entry: File, path: RemotePath) -> bool:
        """Renamed and then deleted, neither sent: it is deleted where it was."""
        move = self.arrival(path, entry.path)
        if move is None or move.source is None:
            return False
        deleted = self._journal.amend(
            move,
            kind=ChangeKind.DELETE,
            path=move.source,
            source=None,
            base_revision=entry.revision,
            base_hash=entry.content_hash,
        )
        for change in self.overlapping(deleted.path, after=deleted.seq):
            if change.kind is ChangeKind.PUT and change.is_malleable and change.path.key == deleted.path.key:
                self.absorb_delete(change)
                break
        return True

    def _delete(self, path: RemotePath, base: Base, item_id: str = "") -> None:
        if not base or is_local_only(path):
            return
        self._journal.add(
            ChangeKind.DELETE,
            path,
            ChangeState.UPLOADED,
            item_id=item_id,
            base_revision=base.revision,
            base_hash=base.content_hash,
            base_change=base.change,
        )


def _is_never_sent(change: Change) -> bool:
    """Whether it stays where it is for good: no rename on the far side waits for it, or takes it along."""
    return change.state is ChangeState.FAILED or is_local_only(change.path)
