"""The live changes of the journal as marks on paths, and what they make of a path."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from mountfs.model.change import FINAL_STATES, Change, ChangeKind, ChangeState
from mountfs.model.path import RemotePath


class Role(Enum):
    """What a change did to the path its mark stands on."""

    PUT = auto()
    MKDIR = auto()
    GONE = auto()
    """Deleted, or moved away."""
    ARRIVED = auto()
    """Moved here; what it is stands at the change's source, before the change."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """One effect of a change, ordered by when it took effect."""

    seq: int
    change_id: int
    role: Role


@dataclass(frozen=True, slots=True)
class Local:
    """The path is made by a PUT or MKDIR of ours; *name*: as a rename on its way spells it."""

    change: Change
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """The path shows what the service has at *path*; *name*: as a rename on its way spells it.

    *moved*: where the service has it if that rename took effect already and its reply is still to come;
    *moved_revision*: which revision of a file that rename was of.
    """

    path: RemotePath
    name: str | None = None
    moved: RemotePath | None = None
    moved_revision: str | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing is there; *under_file* when one of its ancestors is a file of ours."""

    under_file: bool


Resolution = Local | Remote | Absent


@dataclass(slots=True)
class Name:
    """A name that has marks, or something below it has; spelled as the first of them."""

    spelling: str
    marks: int = 0


class Overlay:
    """Derived from the journal alone; updated by its listener, under the account's lock."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._changes: dict[int, Change] = {}
        self._marks: dict[str, list[Mark]] = {}
        self._names: dict[str, dict[str, Name]] = {}
        self._refused: dict[str, set[int]] = {}
        self._set_times: dict[str, set[int]] = {}
        for change in changes:
            self.update(None, change)

    def update(self, before: Change | None, after: Change | None) -> None:
        """A row changed; the journal's listener."""
        self._update_set_times(before, after)
        if before is not None and after is not None and _same_marks(before, after):
            if before.id in self._changes:
                self._changes[after.id] = after
            return
        if before is not None and before.id in self._changes:
            for path, mark in _marks_of(before):
                self._unmark(path, mark)
            del self._changes[before.id]
        elif before is not None and _is_refused(before):
            self._refused[_object_of(before).key].discard(before.id)
        if after is not None and _has_effect(after):
            for path, mark in _marks_of(after):
                self._mark(path, mark)
            self._changes[after.id] = after
        elif after is not None and _is_refused(after):
            self._refused.setdefault(_object_of(after).key, set()).add(after.id)

    def refused_at(self, path: RemotePath) -> set[int]:
        """Ids of refused renames and deletes of what stands at *path*; they have no effect."""
        return self._refused.get(path.key, set())

    def set_times_at(self, path: RemotePath) -> set[int]:
        """Ids of live SET_TIMEs of the file *path*; they show nothing by themselves."""
        return set(self._set_times.get(path.key, ()))

    def set_times_below(self, path: RemotePath) -> set[int]:
        """As ``set_times_at``, of all files below the folder *path*."""
        below = path.key + "/"
        found = (ids for key, ids in self._set_times.items() if key.startswith(below))
        return set().union(*found)

    def resolve(self, path: RemotePath) -> Resolution:
        """What the live changes make of *path*."""
        for resolution, _ in self._trail(path):
            if resolution is not None:
                return resolution
        raise AssertionError("a trail always ends")

    def names_in(self, folder: RemotePath) -> set[str]:
        """Folded names of children of *folder* that some change may have touched, or something below them."""
        names: set[str] = set()
        for _, at in self._trail(folder):
            names.update(self._names.get(at.key, ()))
        return names

    def spelling(self, folder: RemotePath, name_key: str) -> str:
        """A name of ``names_in`` as it was spelled in a change."""
        for _, at in self._trail(folder):
            found = self._names.get(at.key, {}).get(name_key)
            if found is not None:
                return found.spelling
        return name_key

    def touching(self, path: RemotePath) -> set[int]:
        """Ids of the changes with a mark on *path*, above it or below it."""
        found: set[int] = set()
        for at in (path, *path.ancestors()):
            found.update(mark.change_id for mark in self._marks.get(at.key, ()))
        keys = [path.key]
        while keys:
            key = keys.pop()
            for name_key in self._names.get(key, ()):
                keys.append(f"{key}/{name_key}")
                found.update(mark.change_id for mark in self._marks.get(keys[-1], ()))
        return found

    def _trail(self, path: RemotePath) -> Iterator[tuple[Resolution | None, RemotePath]]:
        """The names *path* goes by, newest first, as renames are undone; the last with its resolution."""
        before: float = math.inf
        name: str | None = None
        moved: RemotePath | None = None
        moved_revision: str | None = None
        while True:
            found = self._newest(path, before)
            if found is None:
                yield Remote(path, name, moved, moved_revision), path
                return
            mark, at = found
            change = self._changes[mark.change_id]
            if mark.role is Role.ARRIVED:
                assert change.source is not None
                yield None, path
                if at.key == path.key and name is None:
                    name = change.path.name
                # One that lies below a later one in flight is over: only the oldest can be unsettled.
                is_sent = change.state is ChangeState.COMMITTING
                moved, moved_revision = (path, change.base_revision) if is_sent else (None, None)
                path, before = path.moved(at, change.source), mark.seq
                continue
            if at.key != path.key:
                yield Absent(under_file=mark.role is Role.PUT), path
            elif mark.role is Role.GONE:
                yield Absent(under_file=False), path
            else:
                yield Local(change, name), path
            return

    def _newest(self, path: RemotePath, before: float) -> tuple[Mark, RemotePath] | None:
        best: tuple[Mark, RemotePath] | None = None
        if not self._marks:
            return None
        for at in (path, *path.ancestors()):
            for mark in reversed(self._marks.get(at.key, ())):
                if mark.seq < before:
                    if best is None or mark.seq > best[0].seq:
                        best = mark, at
                    break
        return best

    def _update_set_times(self, before: Change | None, after: Change | None) -> None:
        if before is not None and before.kind is ChangeKind.SET_TIME:
            ids = self._set_times.get(before.path.key, set())
            ids.discard(before.id)
            if not ids:
                self._set_times.pop(before.path.key, None)
        if after is not None and after.kind is ChangeKind.SET_TIME and after.state not in FINAL_STATES:
            self._set_times.setdefault(after.path.key, set()).add(after.id)

    def _mark(self, path: RemotePath, mark: Mark) -> None:
        insort(self._marks.setdefault(path.key, []), mark, key=lambda kept: kept.seq)
        for at in (path, *path.ancestors()):
            if at.is_root:
                return
            name = self._names.setdefault(at.parent.key, {}).setdefault(at.name_key, Name(at.name))
            name.marks += 1

    def _unmark(self, path: RemotePath, mark: Mark) -> None:
        marks = self._marks[path.key]
        marks.remove(mark)
        if not marks:
            del self._marks[path.key]
        for at in (path, *path.ancestors()):
            if at.is_root:
                return
            siblings = self._names[at.parent.key]
            siblings[at.name_key].marks -= 1
            if not siblings[at.name_key].marks:
                del siblings[at.name_key]
                if not siblings:
                    del self._names[at.parent.key]


def _same_marks(before: Change, after: Change) -> bool:
    """Whether the change stands where it stood, as most steps leave it."""
    return (
        before.seq == after.seq
        and before.kind is after.kind
        and before.path is after.path
        and before.source is after.source
        and _has_effect(before) is _has_effect(after)
    )


def _has_effect(change: Change) -> bool:
    if change.state in FINAL_STATES or change.kind is ChangeKind.SET_TIME:
        return False
    # What was refused is still shown if it is ours alone; a refused delete or rename shows nothing.
    makes = change.kind in (ChangeKind.PUT, ChangeKind.MKDIR)
    return makes or change.state is not ChangeState.FAILED


def _is_refused(change: Change) -> bool:
    return change.state is ChangeState.FAILED and not _has_effect(change)


def _object_of(change: Change) -> RemotePath:
    """Where what a rename or delete was about stands while it has no effect."""
    return change.path if change.source is None else change.source


def _marks_of(change: Change) -> list[tuple[RemotePath, Mark]]:
    def mark(role: Role) -> Mark:
        return Mark(change.seq, change.id, role)

    match change.kind:
        case ChangeKind.PUT:
            return [(change.path, mark(Role.PUT))]
        case ChangeKind.MKDIR:
            return [(change.path, mark(Role.MKDIR))]
        case ChangeKind.DELETE:
            return [(change.path, mark(Role.GONE))]
        case ChangeKind.SET_TIME:
            return []
        case ChangeKind.MOVE:
            assert change.source is not None
            if change.source.key == change.path.key:
                return [(change.path, mark(Role.ARRIVED))]
            return [(change.source, mark(Role.GONE)), (change.path, mark(Role.ARRIVED))]
