"""Verdicts into the journal, a whole reply in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from daemon.commit.batching import above
from daemon.commit.conflicts import copy_beside
from daemon.commit.verdicts import (
    TRIES,
    Acknowledge,
    Base,
    Beside,
    Drop,
    Refuse,
    Retry,
    Reupload,
    Unknown,
    Verdict,
)
from mountfs.errors import Corrupt, MountfsError, Transient
from mountfs.journal.comeback import come_back
from mountfs.journal.journal import Journal
from mountfs.journal.standin import stand_in
from mountfs.model.change import Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.entry import NS_PER_S, Entry, Folder
from mountfs.model.names import NameRules
from mountfs.model.path import RemotePath
from mountfs.ports import Clock


class Settlement(Protocol):
    """The part of ``mountfs.namespace.settlement`` that is needed here."""

    def acknowledge(self, change: Change, outcome: Entry | None) -> None:
        """COMMITTING -> COMMITTED: *outcome* stands at the change's path, None: nothing does."""

    def invalidate(self, path: RemotePath) -> None:
        """What is known of *path* and around it was wrong."""


class Bookkeeper:
    """Ends flights: each change by its verdict, carried folders by those of the files below them."""

    def __init__(
        self, journal: Journal, settlement: Settlement, clock: Clock, names: NameRules, host: str
    ) -> None:
        self._journal = journal
        self._settlement = settlement
        self._clock = clock
        self._names = names
        self._host = host

    def book(
        self,
        verdicts: Sequence[tuple[Change, Verdict]],
        carried: Sequence[Change],
        unused: Sequence[str] = (),
    ) -> None:
        """All of a reply, in one transaction; *unused*: upload sessions that nothing came of."""
        with self._journal.lock, self._journal.transaction():
            for session in unused:
                self._journal.orphans.add(session)
            # Folders first: what is put into them is then known to be all there is.
            self._book_carried(verdicts, carried)
            for change, verdict in verdicts:
                self._book(self._journal.get(change.id) or change, verdict)
            self._have_back([change.id for change, _ in verdicts])

    def take_back(self, rows: Sequence[Change], error: MountfsError) -> None:
        """None of the COMMITTING *rows* was carried out: they are ours again, to be sent anew."""
        with self._journal.lock, self._journal.transaction():
            for row in rows:
                now = self._journal.get(row.id)
                if now is not None:
                    self._journal.advance(now, ChangeEvent.RETRY, job=None, error=str(error))
            self._have_back([row.id for row in rows])

    def rename_conflicted(self, change: Change) -> None:
        """CONFLICTED -> UPLOADED under a name beside; later calls that meant it follow it there."""
        date = datetime.fromtimestamp(self._clock.wall_ns() / NS_PER_S).date().isoformat()
        with self._journal.lock, self._journal.transaction():
            taken = {path.key for live in self._journal.live() for path in live.paths}
            copy = copy_beside(
                change.path, self._host, date, self._names.max_chars, lambda path: path.key in taken
            )
            self._redirect(change, copy)
            self._journal.advance(
                change,
                ChangeEvent.RENAMED,
                path=copy,
                base_revision=None,
                base_hash=None,
                base_change=None,
                attempts=0,
                refusals=0,
                error=None,
            )
            come_back(self._journal, [change.id])
            name = self._now(change).path.name
            self._journal.notice(
                change.path, f"somebody else changed it first: this version is kept as {name}"
            )
        self._settlement.invalidate(change.path)

    # One change

    def _book(self, change: Change, verdict: Verdict) -> None:
        match verdict:
            case Acknowledge(entry):
                self._settlement.acknowledge(change, entry)
            case Retry(error, base):
                self._again(change, ChangeEvent.RETRY, error, base)
            case Reupload(error, base):
                if change.refusals + 1 >= TRIES:
                    self._refuse(change, error)
                    return
                if isinstance(error, Corrupt):
                    self._journal.notice(change.path, f"sent again: {error}")
                self._again(change, ChangeEvent.RESEND, error, base, session=None)
            case Beside():
                self._journal.advance(change, ChangeEvent.CONFLICT, job=None)
                self.rename_conflicted(self._now(change))
            case Refuse(error):
                self._refuse(change, error)
            case Drop(error):
                self._drop(change, error)
            case Unknown(error):
                self._journal.amend(change, job=None, error=str(error))

    def _again(
        self, change: Change, event: ChangeEvent, error: MountfsError, base: Base | None, **fields: Any
    ) -> None:
        if base is not None:
            fields |= {"base_revision": base.revision, "base_hash": base.content_hash, "base_change": None}
            self._settlement.invalidate(change.path)
        # What is only slow or away is tried for ever: just answers count towards giving up.
        refusals = change.refusals + (not isinstance(error, Transient))
        self._journal.advance(
            change,
            event,
            job=None,
            attempts=change.attempts + 1,
            refusals=refusals,
            error=str(error),
            **fields,
        )

    def _refuse(self, change: Change, error: MountfsError) -> None:
        failed = self._journal.advance(change, ChangeEvent.REFUSED, job=None, error=str(error))
        for path in change.paths:
            self._settlement.invalidate(path)
        if change.kind is ChangeKind.PUT:
            return  # it may have got another name meanwhile: see _have_back
        self._journal.notice(change.path, f"not committed: {error}")
        if change.kind is ChangeKind.MOVE and change.is_folder:
            self._undo(failed)

    def _have_back(self, change_ids: Sequence[int]) -> None:
        """What was done meanwhile to those that are ours again becomes part of them."""
        come_back(self._journal, change_ids)
        for change_id in change_ids:
            now = self._journal.get(change_id)
            if now is not None and now.kind is ChangeKind.PUT and now.state is ChangeState.FAILED:
                self._journal.notice(now.path, f"not committed: {now.error}")
                stand_in(self._journal, now)

    def give_up_delete(self, change: Change) -> None:
        """What stands there is not what was to be removed: it stays. From UPLOADED or FAILED."""
        with self._journal.lock, self._journal.transaction():
            self._journal.advance(change, ChangeEvent.SUPERSEDED)
            self._journal.notice(change.path, "not removed: somebody else changed it meanwhile")
        self._settlement.invalidate(change.path)

    def _drop(self, change: Change, error: MountfsError | None) -> None:
        """The table knows no way from COMMITTING to DROPPED: it is refused and given up at once."""
        refused = self._journal.advance(change, ChangeEvent.REFUSED, job=None)
        if change.kind is not ChangeKind.SET_TIME:
            self.give_up_delete(refused)
            return
        self._journal.advance(refused, ChangeEvent.SUPERSEDED)
        reason = "somebody else changed it meanwhile" if error is None else str(error)
        self._journal.notice(change.path, f"its new time is not sent: {reason}")
        self._settlement.invalidate(change.path)

    def _undo(self, move: Change) -> None:
        """What was done in a folder under the name that it did not get, is done under the one it keeps."""
        source, target = move.source, move.path
        assert source is not None
        for later in self._journal.live():
            if later.seq <= move.seq or not later.is_malleable:
                continue
            is_leaving = later.source is not None and later.source.key == target.key
            is_leaving |= later.kind is ChangeKind.DELETE and later.path.key == target.key
            fields: dict[str, RemotePath] = {}
            if is_leaving or later.path.is_below(target):
                for name, at in (("path", later.path), ("source", later.source)):
                    if at is not None and (at.key == target.key or at.is_below(target)):
                        fields[name] = at.moved(target, source)
            if fields:
                self._journal.amend(later, **fields)
            if is_leaving:
                return

    def _redirect(self, change: Change, copy: RemotePath) -> None:
        """Later calls on the name of *change* meant its bytes, up to the first one that replaced them."""
        for later in self._journal.live():
            if later.seq <= change.seq or later.state not in (
                ChangeState.UPLOADED,
                ChangeState.SEALED,
                ChangeState.OPEN,
            ):
                continue
            if (
                later.kind is ChangeKind.MOVE
                and later.source is not None
                and later.source.key == change.path.key
            ):
                self._journal.amend(later, source=copy)
                return
            if later.path.key != change.path.key:
                continue
            if later.kind is ChangeKind.SET_TIME:
                continue  # the copy takes it over
            if later.kind is ChangeKind.DELETE:
                self._journal.amend(later, path=copy)
            elif later.kind is ChangeKind.PUT and later.base_change == change.id:
                self._rebase(later, change)
            return

    def _rebase(self, follower: Change, replaced: Change) -> None:
        self._journal.amend(
            self._now(follower),
            base_revision=replaced.base_revision,
            base_hash=replaced.base_hash,
            base_change=replaced.base_change,
        )

    def _now(self, change: Change) -> Change:
        return self._journal.get(change.id) or change

    # Folders

    def _book_carried(self, verdicts: Sequence[tuple[Change, Verdict]], carried: Sequence[Change]) -> None:
        if not carried:
            return
        made: set[str] = set()
        unknown: set[str] = set()
        for change, verdict in verdicts:
            if isinstance(verdict, Acknowledge):
                made.update(above(change.path.key))
            elif isinstance(verdict, Unknown):
                unknown.update(above(change.path.key))
        for folder in carried:
            now = self._now(folder)
            if folder.path.key in made:
                self._settlement.acknowledge(now, Folder(folder.path, ""))
            elif folder.path.key in unknown:
                self._journal.amend(now, job=None)
            else:
                self._journal.advance(now, ChangeEvent.RETRY, job=None)
