"""Pending changes to the next batch: order, dependencies, settling, company. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest

from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.names import is_local_only
from mountfs.model.settling import age_s, settle_s
from mountfs.ports import BackendLimits

COMPANY_S = 5.0
"""The longest a ready change waits for a fuller batch while others are still on their way up."""
HURRIED_COMPANY_S = 0.5
"""The same while somebody waits: one job holds up all others, so a moment is still well spent."""
STARVED_S = 15.0
"""From here on a kind has its turn however full the others' batches are."""
FOLDER_ALONE_S = 30.0
"""A new folder that waits longer for the first file in it is worth a call of its own."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a decision depends on besides the changes."""

    now_s: float
    wall_ns: int
    settle_s: float
    is_hurried: bool = False

    def age_s(self, change: Change) -> float:
        """Seconds since its name or bytes changed."""
        return age_s(change, self.wall_ns)

    def unsettled_s(self, change: Change) -> float:
        """Seconds until its name has settled; below zero since then."""
        return settle_s(change, self.settle_s, is_hurried=self.is_hurried) - self.age_s(change)


@dataclass(frozen=True, slots=True)
class Batch:
    """What to send at once: changes of one kind, and the folders that appear with them without a call."""

    kind: ChangeKind
    changes: tuple[Change, ...]
    carried: tuple[Change, ...] = ()


@dataclass(slots=True)
class Survey:
    """What could be sent now, by kind in the order of effect, and what may come."""

    ready: dict[ChangeKind, list[Change]] = field(default_factory=dict)
    carriers: dict[str, Change] = field(default_factory=dict)
    """New folders by key that a PUT below would make by the way."""
    settles_in_s: float = math.inf
    """Until the next change is ready by the mere passing of time."""
    quiet_in_s: float = 0.0
    """Until nothing has changed for the settling time."""
    is_uploading: bool = False
    """Whether small files are on their way up: they will be ready soon."""


def entries_limit(limits: BackendLimits, kind: ChangeKind) -> int:
    """Most changes of *kind* in one batch."""
    return {
        ChangeKind.PUT: limits.commit_entries,
        ChangeKind.MKDIR: limits.mkdir_entries,
        ChangeKind.DELETE: limits.delete_entries,
        ChangeKind.MOVE: limits.move_entries,
        ChangeKind.SET_TIME: limits.set_time_entries,
    }[kind]


def survey(
    changes: Iterable[Change], limits: BackendLimits, moment: Moment, held_until_s: Mapping[int, float]
) -> Survey:
    """Which of *changes*, all live ones in the order of effect, are ready.

    One is ready when its bytes are up, its name has settled, it is not held back after a failure, and no
    earlier change is pending that touches its paths, something above them or below them. What was sent
    and has no outcome yet counts as earlier, whenever it was made. What failed blocks nothing, nor does
    what never leaves this machine.
    """
    found = Survey()
    marks = _Marks(limits.parents_implicit)
    folders: list[Change] = []
    rows = list(changes)
    for change in rows:
        if change.state is ChangeState.COMMITTING:
            marks.add(change)
    for change in rows:
        if change.state is ChangeState.FAILED or is_local_only(change.path):
            continue
        found.quiet_in_s = max(found.quiet_in_s, moment.settle_s - moment.age_s(change))
        if change.state is ChangeState.SEALED and change.size_bytes < limits.session_min_bytes:
            found.is_uploading = True
        if change.state is ChangeState.UPLOADED and not marks.blocks(change):
            wait_s = max(moment.unsettled_s(change), held_until_s.get(change.id, 0.0) - moment.now_s)
            if change.kind is ChangeKind.MKDIR:
                folders.append(change)
            elif wait_s > 0:
                found.settles_in_s = min(found.settles_in_s, wait_s)
            else:
                found.ready.setdefault(change.kind, []).append(change)
        marks.add(change)
    for folder in folders:
        _place_folder(folder, found, marks, moment, held_until_s)
    if limits.parents_implicit:
        _add_folders_above(folders, found)
    return found


def choose(
    found: Survey,
    since_s: Mapping[int, float],
    limits: BackendLimits,
    caps: Mapping[ChangeKind, int],
    moment: Moment,
) -> Batch | float:
    """The next batch, or when to look again; *since_s*: when each was first seen ready.

    A batch goes when it is full, when nothing is on its way that could join it, or when its oldest has
    waited for company long enough. The largest that may go is taken, unless another kind starves.
    """
    due_s = moment.now_s + found.settles_in_s
    best: tuple[bool, int, Batch] | None = None
    for kind, ready in found.ready.items():
        limit = _entries_now(limits, kind, caps)
        oldest_s = min(since_s.get(change.id, moment.now_s) for change in ready)
        waited_s = moment.now_s - oldest_s
        if len(ready) < limit and (goes_s := _alone_s(found, oldest_s, moment)) > moment.now_s:
            due_s = min(due_s, goes_s)
            continue
        rank = (waited_s >= STARVED_S, min(len(ready), limit))
        if best is None or rank > best[:2]:
            best = (*rank, Batch(kind, tuple(ready[:limit])))
    if best is None:
        return due_s
    batch = best[2]
    return Batch(batch.kind, batch.changes, _carried(batch, found))


def choose_several(
    found: Survey,
    since_s: Mapping[int, float],
    limits: BackendLimits,
    caps: Mapping[ChangeKind, int],
    moment: Moment,
    most_batches: int,
) -> list[Batch] | float:
    """As ``choose``, for services that take batches side by side: at most *most_batches* of them, first
    those that have been ready for longest. None overlaps with another.

    Only what is left over after whole batches waits for company, so nothing waits where a batch is one
    change; and no kind starves, since nothing that comes later overtakes.
    """
    due_s = moment.now_s + found.settles_in_s
    ranked: list[tuple[float, int, Batch]] = []
    for kind, ready in found.ready.items():
        limit = _entries_now(limits, kind, caps)
        for at in range(0, len(ready), limit):
            changes = tuple(ready[at : at + limit])
            oldest_s = min(since_s.get(change.id, moment.now_s) for change in changes)
            if len(changes) < limit and (goes_s := _alone_s(found, oldest_s, moment)) > moment.now_s:
                due_s = min(due_s, goes_s)
            else:
                ranked.append((oldest_s, changes[0].seq, Batch(kind, changes)))
    if not ranked:
        return due_s
    chosen = nsmallest(most_batches, ranked, key=lambda item: item[:2])
    return [Batch(batch.kind, batch.changes, _carried(batch, found)) for _, _, batch in chosen]


def _alone_s(found: Survey, oldest_s: float, moment: Moment) -> float:
    """When a batch goes although it is not full; *oldest_s*: since when its oldest is ready."""
    if found.is_uploading:
        quiet_s = math.inf
    elif moment.is_hurried:
        quiet_s = moment.now_s
    else:
        quiet_s = moment.now_s + found.quiet_in_s
    return min(quiet_s, oldest_s + (HURRIED_COMPANY_S if moment.is_hurried else COMPANY_S))


def _entries_now(limits: BackendLimits, kind: ChangeKind, caps: Mapping[ChangeKind, int]) -> int:
    """Most changes of *kind* in a batch, as long as *caps* keep them smaller."""
    most = entries_limit(limits, kind)
    return max(1, min(most, caps.get(kind, most)))


def _carried(batch: Batch, found: Survey) -> tuple[Change, ...]:
    """The new folders that the files of *batch* make, in the order of effect."""
    if batch.kind is not ChangeKind.PUT or not found.carriers:
        return ()
    keys: set[str] = set()
    for change in batch.changes:
        for key in above(change.path.key):
            if key in keys:
                break
            keys.add(key)
    carried = [folder for key, folder in found.carriers.items() if key in keys]
    return tuple(sorted(carried, key=lambda folder: folder.seq))


def _place_folder(
    folder: Change, found: Survey, marks: _Marks, moment: Moment, held_until_s: Mapping[int, float]
) -> None:
    """A new folder waits for a file that makes it by the way, unless that takes too long."""
    wait_s = max(moment.unsettled_s(folder), held_until_s.get(folder.id, 0.0) - moment.now_s)
    if marks.has_file_below(folder.path.key):
        found.carriers[folder.path.key] = folder
        if not marks.is_target_below(folder.path.key):
            wait_s = max(wait_s, FOLDER_ALONE_S - moment.age_s(folder))
    if wait_s > 0:
        found.settles_in_s = min(found.settles_in_s, wait_s)
    else:
        found.ready.setdefault(ChangeKind.MKDIR, []).append(folder)


def _add_folders_above(folders: Sequence[Change], found: Survey) -> None:
    """A new folder that goes makes those above it by the way: they go with it, or what stands there
    already would be hidden by one that seems still to come."""
    going = {folder.path.key for folder in found.ready.get(ChangeKind.MKDIR, ())}
    needed = {key for folder_key in going for key in above(folder_key)} - going
    if any(folder.path.key in needed for folder in folders):
        going |= needed
        found.ready[ChangeKind.MKDIR] = [folder for folder in folders if folder.path.key in going]


def above(key: str) -> Iterator[str]:
    """The keys of all folders above a path's key, the nearest first and the root's last."""
    while key:
        key = key[: key.rfind("/")]
        yield key


class _Marks:
    """What the changes seen so far touch; each question and each mark costs one look per path component."""

    __slots__ = ("_below", "_firm", "_folders", "_implicit", "_puts_below", "_targets_below")

    def __init__(self, parents_implicit: bool) -> None:
        self._implicit = parents_implicit
        self._firm: set[str] = set()
        self._folders: set[str] = set()
        self._below: set[str] = set()
        self._puts_below: set[str] = set()
        self._targets_below: set[str] = set()

    def add(self, change: Change) -> None:
        """Later changes see *change*."""
        exact = self._folders if change.kind is ChangeKind.MKDIR else self._firm
        for path in change.paths:
            exact.add(path.key)
            _add_above(self._below, path.key)
        if self._implicit and change.kind is ChangeKind.PUT:
            _add_above(self._puts_below, change.path.key)
        if change.kind is ChangeKind.MOVE:
            _add_above(self._targets_below, change.path.key)

    def blocks(self, change: Change) -> bool:
        """Whether an earlier change must take effect before *change*."""
        target = change.path.key
        match change.kind:
            case ChangeKind.PUT:
                return self._touches(target, needs_folder=not self._implicit) or target in self._below
            case ChangeKind.MKDIR:
                # What changed below it does not matter: it makes a name, and nothing else.
                return self._touches(target, needs_folder=not self._implicit)
            case ChangeKind.DELETE | ChangeKind.SET_TIME:
                return self._touches(target, needs_folder=False) or target in self._below
            case ChangeKind.MOVE:
                assert change.source is not None
                source = change.source.key
                return (
                    self._touches(target, needs_folder=True)
                    or self._touches(source, needs_folder=False)
                    or target in self._below
                    or source in self._below
                )

    def has_file_below(self, key: str) -> bool:
        return key in self._puts_below

    def is_target_below(self, key: str) -> bool:
        """Whether something is to be moved there, which needs the folder."""
        return key in self._targets_below

    def _touches(self, key: str, *, needs_folder: bool) -> bool:
        """Whether the path or anything above it is touched; *needs_folder*: also by making a folder above.
        What stands in a folder that is to be made again is there already: that folder need not come first."""
        if key in self._firm or key in self._folders:
            return True
        return any(at in self._firm or (needs_folder and at in self._folders) for at in above(key))


def _add_above(keys: set[str], key: str) -> None:
    for at in above(key):
        if at in keys:
            return
        keys.add(at)


def first_seen(
    ready: Mapping[ChangeKind, Sequence[Change]], before: Mapping[int, float], now_s: float
) -> dict[int, float]:
    """When each ready change was first seen ready."""
    return {change.id: before.get(change.id, now_s) for changes in ready.values() for change in changes}
