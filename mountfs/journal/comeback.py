"""What was done to a file while it was on its way, folded into it once it is ours to change again."""

from __future__ import annotations

from collections.abc import Iterable

from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.path import RemotePath


def come_back(journal: Journal, put_ids: Iterable[int]) -> None:
    """Each of these PUTs, COMMITTING until just now, takes the time and the name it was given meanwhile.

    The MOVE that was to give it goes: left behind, it would be about a name that a file which is renamed
    again, or removed, never gets. Where that is not exact, both stay. A new file that was refused under
    its old name is to be sent under the new one. Inside the caller's transaction.
    """
    found = (journal.get(put_id) for put_id in put_ids)
    puts = [put for put in found if put is not None and put.kind is ChangeKind.PUT and put.is_malleable]
    if not puts:
        return
    course = _Course(journal)
    for first in puts:
        put: Change | None = _with_its_time(journal, first)
        while put is not None:
            move = course.next_rename(put)
            if move is None:
                break
            fold = _swapped if put.has_base else _replaced
            put = fold(journal, put, move, course)
            if put is not None:
                course.note(put)


def times_after(journal: Journal, put: Change) -> list[Change]:
    """The pending SET_TIMEs that wait for what *put* will have made."""
    found = journal.followers(put.id)
    return [row for row in found if row.kind is ChangeKind.SET_TIME and row.is_pending]


def absorb_delete(journal: Journal, put: Change, earlier: Iterable[Change]) -> Change:
    """A file deleted and written anew is one new revision: it keeps its id, its history and a version
    in the cloud at any moment. *put* is whole and replaces nothing; *earlier*: what touches its path
    before it, the last one first."""
    for change in earlier:
        is_delete = change.kind is ChangeKind.DELETE and not change.is_folder
        if is_delete and change.is_malleable and change.path.key == put.path.key:
            journal.advance(change, ChangeEvent.SUPERSEDED)
            return journal.amend(
                put,
                base_revision=change.base_revision,
                base_hash=change.base_hash,
                base_change=change.base_change,
            )
        if change.kind is not ChangeKind.MKDIR:
            return put
    return put


def revive(journal: Journal, change: Change) -> Change:
    """What was refused is to be sent again: the decision it waited for was taken."""
    if change.state is not ChangeState.FAILED:
        return change
    if change.kind is not ChangeKind.PUT:
        return journal.advance(change, ChangeEvent.RETRY, error=None, attempts=0, refusals=0)
    return journal.advance(change, ChangeEvent.RESEND, error=None, attempts=0, refusals=0)


class _Course:
    """Where the live changes take what a PUT made."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._at: dict[str, set[int]] = {}
        self._below: dict[str, set[int]] = {}
        """Of every live row, by the keys of its paths and of those above them; made when first asked for."""
        self._by_key: dict[str, list[Change]] = {}
        rows = [row for row in journal.live() if _has_effect(row)]
        self._folder_moves = [row for row in rows if row.kind is ChangeKind.MOVE and row.is_folder]
        if all(row.kind is not ChangeKind.MOVE or row.is_folder for row in rows):
            return
        for row in rows:
            for key in {path.key for path in row.paths}:
                self._by_key.setdefault(key, []).append(row)

    def next_rename(self, put: Change) -> Change | None:
        """The MOVE that gives the file of *put* its next name; None if it keeps this one, or goes."""
        path, seq = put.path, put.seq
        while True:
            here = _first(self._by_key.get(path.key, ()), seq)
            along = _first((row for row in self._folder_moves if _takes_along(row, path)), seq)
            if along is None or (here is not None and here.seq < along.seq):
                break
            assert along.source is not None
            path, seq = path.moved(along.source, along.path), along.seq
        if here is None or here.source is None or here.is_folder or here.source.key != path.key:
            return None
        return here

    def note(self, row: Change) -> None:
        """*row* has another path now."""
        if self._at:
            self._enter(row)

    def between(self, put: Change, move: Change) -> bool:
        """Whether anything takes effect after *put* and before *move* that touches what that does."""
        return any(put.seq < row.seq < move.seq for row in self._touching(move))

    def earlier(self, put: Change) -> list[Change]:
        """What touches the path of *put* before it, the last one first, if a DELETE of it is there."""
        here = self._by_key.get(put.path.key, ())
        if not any(row.kind is ChangeKind.DELETE for row in here):
            return []
        found = [row for row in self._touching(put) if row.seq < put.seq]
        return sorted(found, key=lambda row: row.seq, reverse=True)

    def _touching(self, change: Change) -> list[Change]:
        """What touches a path of *change*, something above it or below it, as it is now; in no order."""
        if not self._at:
            for row in self._journal.live():
                self._enter(row)
        ids: set[int] = set()
        for path in change.paths:
            ids.update(self._below.get(path.key, ()))
            for at in (path, *path.ancestors()):
                ids.update(self._at.get(at.key, ()))
        found = [self._journal.get(change_id) for change_id in ids if change_id != change.id]
        return [
            row
            for row in found
            if row is not None and row.state not in FINAL_STATES and _has_effect(row) and row.overlaps(change)
        ]

    def _enter(self, row: Change) -> None:
        for path in row.paths:
            self._at.setdefault(path.key, set()).add(row.id)
            for above in path.ancestors():
                self._below.setdefault(above.key, set()).add(row.id)


def _with_its_time(journal: Journal, put: Change) -> Change:
    for row in times_after(journal, put):
        put = journal.amend(put, mtime_ns=row.mtime_ns)
        journal.advance(row, ChangeEvent.SUPERSEDED)
    return put


def _replaced(journal: Journal, put: Change, move: Change, course: _Course) -> Change:
    """*put*, which replaces nothing, takes the place of *move* and its name."""
    now = journal.move_to_end(revive(journal, put), path=move.path, touched_ns=move.touched_ns)
    journal.advance(move, ChangeEvent.SUPERSEDED, seq=put.seq)
    now = journal.amend(now, seq=move.seq)
    return absorb_delete(journal, now, course.earlier(now))


def _swapped(journal: Journal, put: Change, move: Change, course: _Course) -> Change | None:
    """What *put* replaces takes the new name first, and keeps its id and history; None where something
    else has to come before that."""
    if move.source is None or move.source.key != put.path.key or course.between(put, move):
        return None
    now = journal.move_to_end(put, path=move.path, touched_ns=move.touched_ns)
    journal.amend(move, seq=put.seq, base_revision=put.base_revision, base_change=put.base_change)
    return journal.amend(now, seq=move.seq)


def _first(rows: Iterable[Change], after_seq: int) -> Change | None:
    return next((row for row in rows if row.seq > after_seq), None)


def _takes_along(move: Change, path: RemotePath) -> bool:
    return move.source is not None and path.is_below(move.source)


def _has_effect(row: Change) -> bool:
    """Whether it shows: a rename or delete that was refused does not, and a time changes no name."""
    if row.state is ChangeState.FAILED:
        return row.kind in (ChangeKind.PUT, ChangeKind.MKDIR)
    return row.kind is not ChangeKind.SET_TIME
