"""Files and renames whose orders were not answered: one may take effect after it was undone here.

A new file is removed, or gets another name, and arrives after that. It is known by its place, its bytes and
its time, and goes as it would have gone had the reply come. Nothing else would tell it from what others made:
of a file that the service never had no node is left.

A new version of a file is known by the item's id and its bytes: what is written, renamed or removed after it
replaces it, as it would have, also after a kill.

A rename is known by the item's id and its new place. `mv f g`, given up; `mv g f`; then the first takes
effect: the file keeps the name f here, and is moved back. After `rm g` it is removed there.

A removal is known by the item's id. `rm f`, given up; then f is written anew with the same bytes: to put them
over what stands there still may make no new version, and the removal would take them when it arrives. So
would that of a folder which is made anew, were it the same folder, shown again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from mountfs.model.entry import NS_PER_S, Entry, File
from mountfs.model.order import MAKES_A_FILE, OrderKind
from mountfs.model.path import RemotePath
from mountfs.ports import Clock
from mountfs.tree.node import Flight, Node
from mountfs.tree.place import remote_path
from mountfs.tree.steadytime import SteadyTime
from mountfs.tree.store import Store

FACT, MOVES_FACT, VERSIONS_FACT = "late_files", "late_moves", "late_versions"
REMOVALS_FACT = "late_removals"
"""The store's facts with these files, renames, versions and removals, as lists in JSON."""
KEPT = 1_000
"""As many as one batch has."""
KEPT_OF_ONE = 10
UNHEARD_KEPT = 10
"""Versions of one file whose commits were not answered: so many are known for ours when they arrive late."""
KEPT_S = 600
"""After so long none is waited for: what comes then was made by somebody else."""

K = TypeVar("K")
V = TypeVar("V")
Version = tuple[str, int, int]
"""The hash of its bytes, their number, and its time in seconds."""


@dataclass(slots=True)
class _Moves:
    """Renames of one item. ``paths``: when each was given up, by the folded path that the item was to have.
    ``goal``: where the last of them was to lead, as the node of a folder and a name in it. ``removed``: the
    hash of a file that was removed since."""

    paths: dict[str, int] = field(default_factory=dict)
    goal: tuple[int, str] | None = None
    removed: str | None = None


class LateFiles:
    """By the folded path at the service that each was sent to. Under the tree's lock; what changes them
    belongs into a transaction that ends with ``save``."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._time = SteadyTime(store, clock)
        self._sent: dict[str, dict[Version, list[int]]] = {}
        """When each was given up, in seconds since 1970; the latest last. So often it may arrive."""
        self._moved: dict[str, _Moves] = {}
        """By the item's id."""
        self._versions: dict[str, dict[str, int]] = {}
        """When each was given up, by the item's id and the hash of its bytes."""
        self._removals: dict[str, int] = {}
        """Likewise of removals, by the ids of items."""
        self._read(store, lambda node_id: node_id)
        has_some = self._sent or self._moved or self._versions or self._removals
        self._is_saved = self._time.is_of_store or not has_some

    def take_over(self, store: Store, ours_of: Callable[[int], int | None]) -> None:
        """What the mount of *store* waits for is waited for here; what both wait for, since the later time.
        *ours_of*: our node for one of its folders, both by their ids; None: there is none."""
        self._read(store, ours_of)
        self._is_saved = False
        self.save()

    def _read(self, store: Store, node_of: Callable[[int], int | None]) -> None:
        at = self._time.reader(store, KEPT_S)
        with suppress(ValueError, TypeError):
            for item_id, path, noted_s, digest, *goal in json.loads(store.fact(MOVES_FACT) or "[]"):
                moves = self._moved.setdefault(str(item_id), _Moves())
                is_last = at(noted_s) >= max(moves.paths.values(), default=0)
                moves.paths[str(path)] = max(at(noted_s), moves.paths.get(str(path), 0))
                folder_id = node_of(int(goal[0])) if len(goal) == 2 else None
                if folder_id is not None and is_last:
                    moves.goal = folder_id, str(goal[1])
                if digest:
                    moves.removed = str(digest)
            for item_id, digest, noted_s in json.loads(store.fact(VERSIONS_FACT) or "[]"):
                versions = self._versions.setdefault(str(item_id), {})
                versions[str(digest)] = max(at(noted_s), versions.get(str(digest), 0))
            for item_id, noted_s in json.loads(store.fact(REMOVALS_FACT) or "[]"):
                self._removals[str(item_id)] = max(at(noted_s), self._removals.get(str(item_id), 0))
            for path, digest, size_bytes, time_s, noted_s in json.loads(store.fact(FACT) or "[]"):
                self._keep(str(path), (str(digest), int(size_bytes), int(time_s)), at(noted_s))

    def note(self, flight: Flight, copied: Node | None) -> None:
        """Nothing was heard of *flight*, and nothing is to be seen of what it makes. *copied*: the file that
        it has copied; a service may give the copy the time of that."""
        content = flight.content
        if flight.kind is OrderKind.MOVE and flight.item_id:
            moves = self._moved.pop(flight.item_id, _Moves())
            moves.paths[flight.place.path.key] = self._now_s()
            _drop_oldest(moves.paths, KEPT_OF_ONE)
            if flight.parent is not None:
                moves.goal = flight.parent.id, flight.name
            self._moved[flight.item_id] = moves
            _drop_oldest(self._moved, KEPT)
            self._is_saved = False
        if flight.kind is OrderKind.DELETE and flight.item_id:
            self._removals.pop(flight.item_id, None)
            self._removals[flight.item_id] = self._now_s()
            _drop_oldest(self._removals, KEPT)
            self._is_saved = False
        if flight.kind not in MAKES_A_FILE or content is None:
            return
        if flight.over is not None:
            self._note_version(flight, content.content_hash)
            return
        times_ns = [flight.mtime_ns or 0]
        if copied is not None and isinstance(copied.state.base, File):
            times_ns.append(copied.state.base.mtime_ns)
        if content.content_hash is not None:
            for time_s in {time_ns // NS_PER_S for time_ns in times_ns}:
                version = (content.content_hash, content.size_bytes, time_s)
                self._keep(flight.place.path.key, version, self._now_s())
            self._is_saved = False

    def forget(self, flight: Flight, entry: Entry | None = None) -> None:
        """*flight* has made its file, *entry*: what was sent to that place before finds it taken. Or it has
        moved its item: that is where it was to be. Or nothing stands any more where it was to remove a file:
        it may be gone because it was moved. Where that is the place it was sent or moved to, it has arrived:
        who brings it back later is somebody else."""
        if flight.kind is OrderKind.DELETE:
            if self._removals.pop(flight.item_id, None) is not None:
                self._is_saved = False
            self._forget_sent(flight)
            self._forget_moved(flight)
            return
        if flight.kind is OrderKind.MOVE and flight.node.is_folder and flight.source is not None:
            self._folder_moved(flight.source.path, flight.place.path)
        if flight.kind in MAKES_A_FILE:
            self._forget_versions(flight, entry)
        is_moved = flight.kind is OrderKind.MOVE and self._moved.pop(flight.item_id, None) is not None
        if self._sent.pop(flight.place.path.key, None) is not None or is_moved:
            self._is_saved = False

    @property
    def is_saved(self) -> bool:
        """Whether there is nothing for ``save`` to do."""
        return self._is_saved

    def save(self) -> None:
        """Has the store know of what was noted and forgotten."""
        if not self._is_saved:
            self._time.save()
            rows = [
                (path, *version, noted_s)
                for path, versions in self._sent.items()
                for version, times_s in versions.items()
                for noted_s in times_s
            ]
            self._store.set_fact(FACT, json.dumps(rows) if rows else None)
            moves = [
                (item_id, path, noted_s, each.removed, *(each.goal or ()))
                for item_id, each in self._moved.items()
                for path, noted_s in each.paths.items()
            ]
            self._store.set_fact(MOVES_FACT, json.dumps(moves) if moves else None)
            versions_of = [
                (item_id, digest, noted_s)
                for item_id, versions in self._versions.items()
                for digest, noted_s in versions.items()
            ]
            self._store.set_fact(VERSIONS_FACT, json.dumps(versions_of) if versions_of else None)
            removals = list(self._removals.items())
            self._store.set_fact(REMOVALS_FACT, json.dumps(removals) if removals else None)
            self._is_saved = True

    def versions(self) -> dict[str, tuple[str, ...]]:
        """By the ids of files the hashes of versions of ours that may still arrive, as a start finds them.
        Later the nodes have them: ``Pending.unheard``."""
        found = {
            item_id: tuple(digest for digest, noted_s in versions.items() if self._may_arrive(noted_s))
            for item_id, versions in self._versions.items()
        }
        return {item_id: hashes for item_id, hashes in found.items() if hashes}

    def hashes_at(self, path: RemotePath) -> list[str]:
        """The hashes of those that may still arrive at *path*."""
        versions = self._sent.get(path.key, {})
        return [digest for (digest, _, _), times_s in versions.items() if self._may_arrive(times_s[-1])]

    def is_one(self, folder: Node, entry: Entry) -> bool:
        """Whether *entry*, which the service turns out to have in *folder* and no node is known of, is one of
        them."""
        return self.has_any and self.is_one_at(remote_path(folder).child(entry.name).key, entry)

    @property
    def has_any(self) -> bool:
        return bool(self._sent or self._moved)

    def is_one_at(self, path: str, entry: Entry) -> bool:
        """As ``is_one``, of an entry at a folded path."""
        if not isinstance(entry, File) or entry.content_hash is None:
            return False
        moves = self._moved.get(entry.id)
        if moves is not None and moves.removed and self._is_moved_to(path, entry):
            ours = (moves.removed, *self._versions.get(entry.id, ()))
            if entry.content_hash in ours:
                return True
        times_s = self._sent.get(path, {}).get(_version(entry))
        return times_s is not None and self._may_arrive(times_s[-1])

    def is_moved(self, folder: Node, entry: Entry) -> bool:
        """Whether *entry* is in *folder* by a rename of ours, which was given up."""
        is_known = entry.id in self._moved
        return is_known and self._is_moved_to(remote_path(folder).child(entry.name).key, entry)

    def _is_moved_to(self, path: str, entry: Entry) -> bool:
        moves = self._moved.get(entry.id)
        noted_s = None if moves is None else moves.paths.get(path)
        return noted_s is not None and self._may_arrive(noted_s)

    def left(self, folder: Node, entry: Entry) -> None:
        """*entry* is not in *folder* any more: if it had arrived there, who moves it there again is somebody
        else."""
        moves = self._moved.get(entry.id)
        if moves is not None and moves.paths.pop(remote_path(folder).child(entry.name).key, None) is not None:
            self._is_saved = False

    def _folder_moved(self, source: RemotePath, target: RemotePath) -> None:
        """We moved a folder: what was sent into it has arrived before, or arrives in it, or in another one
        that it makes at *source*."""
        above = source.key + "/"
        for path in [path for path in self._sent if path.startswith(above)]:
            moved = f"{target.key}/{path[len(above) :]}"
            self._sent.setdefault(moved, {each: [*times_s] for each, times_s in self._sent[path].items()})
            self._is_saved = False
        _drop_oldest(self._sent, KEPT)

    def led_to(self, flight: Flight) -> int | None:
        """The node of the folder in which what *flight* was to remove may be, by a rename of ours that was
        given up: news of it came meanwhile."""
        is_told = flight.kind is OrderKind.DELETE and flight.heard is not None
        moves = self._moved.get(flight.item_id) if is_told else None
        return None if moves is None or moves.goal is None else moves.goal[0]

    @property
    def has_moves(self) -> bool:
        return bool(self._moved)

    def goal(self, item_id: str) -> tuple[int, str] | None:
        """The node of the folder, and the name, to which a rename of ours that was given up may have taken an
        item."""
        moves = self._moved.get(item_id)
        return None if moves is None else self._goal_of(moves)

    def _goal_of(self, moves: _Moves) -> tuple[int, str] | None:
        return moves.goal if any(map(self._may_arrive, moves.paths.values())) else None

    def may_fill(self, folder: Node) -> bool:
        """Whether a file of ours that was given up may arrive in *folder*, or has arrived there."""
        above = remote_path(folder).key
        is_sent = any(
            path.rpartition("/")[0] == above and self._may_arrive(max(map(max, versions.values())))
            for path, versions in self._sent.items()
        )
        goals = map(self._goal_of, self._moved.values())
        return is_sent or any(goal is not None and goal[0] == folder.id for goal in goals)

    def may_remove(self, item_id: str) -> bool:
        """Whether a removal that was given up may still take effect."""
        noted_s = self._removals.get(item_id)
        return noted_s is not None and self._may_arrive(noted_s)

    def _note_version(self, flight: Flight, digest: str | None) -> None:
        item_id = _replaced_id(flight)
        if not item_id or digest is None:
            return
        versions = self._versions.pop(item_id, {})
        versions[digest] = self._now_s()
        _drop_oldest(versions, KEPT_OF_ONE)
        self._versions[item_id] = versions
        _drop_oldest(self._versions, KEPT)
        self._is_saved = False

    def _keep(self, path: str, version: Version, noted_s: int) -> None:
        versions = self._sent.pop(path, {})
        times_s = versions.pop(version, [])
        versions[version] = [*times_s, noted_s][-KEPT_OF_ONE:]
        _drop_oldest(versions, KEPT_OF_ONE)
        self._sent[path] = versions
        _drop_oldest(self._sent, KEPT)

    def _forget_sent(self, flight: Flight) -> None:
        """*flight* has removed a file: one that was sent to its place, if it is just that."""
        path, file = flight.place.path.key, flight.node.state.base
        if path not in self._sent or not isinstance(file, File):
            return
        versions, version = self._sent[path], _version(file)
        times_s = versions.pop(version, [])[1:]
        if times_s:
            versions[version] = times_s
        if not versions:
            del self._sent[path]
        self._is_saved = False

    def _forget_versions(self, flight: Flight, entry: Entry | None) -> None:
        """*flight* has made a version. If that is another file than was to be replaced, which is elsewhere by
        a rename of ours that had been given up, the older one goes: `mv f g; mv g f; echo x >f`."""
        item_id = _replaced_id(flight)
        if self._versions.pop(item_id, None) is not None:
            self._is_saved = False
        is_other = entry is not None and entry.id != item_id and item_id in self._moved
        if is_other and flight.over is not None and flight.over.content_hash:
            self._moved[item_id].removed = flight.over.content_hash
            self._is_saved = False

    def _forget_moved(self, flight: Flight) -> None:
        moves = self._moved.get(flight.item_id)
        if moves is None:
            return
        self._is_saved = False
        moves.paths.pop(flight.place.path.key, None)
        if not moves.paths:
            del self._moved[flight.item_id]
        elif flight.over is not None and flight.over.content_hash:
            moves.removed = flight.over.content_hash

    def _may_arrive(self, noted_s: int) -> bool:
        return self._now_s() - noted_s <= KEPT_S

    def _now_s(self) -> int:
        return self._time.now_s()


def note_unheard(flight: Flight, *, carries_times: bool) -> None:
    """Has its node keep the hash of the version that *flight* was to make: the service may still be at work
    on it. *carries_times*: whether a file at the service can be given another time.

    Where it can, the commit is repeated with the time that it had, whatever was set here since: Box wants the
    identical commit of a session that it has accepted (reference, 202 of POST upload_sessions/:id/commit).
    """
    pending, content = flight.node.pending, flight.content
    if pending is None or content is None or content.content_hash is None:
        return
    if content.content_hash not in pending.unheard:
        pending.unheard = (*pending.unheard, content.content_hash)[-UNHEARD_KEPT:]
    if carries_times and content.session and flight.mtime_ns is not None:
        pending.sent_time = content.session, flight.mtime_ns


def _replaced_id(flight: Flight) -> str:
    """The id of the file of which *flight* makes a version; "" of a new file."""
    base = flight.node.state.base
    return base.id if isinstance(base, File) else ""


def _version(file: File) -> Version:
    return file.content_hash or "", file.size_bytes, file.mtime_ns // NS_PER_S


def _drop_oldest(kept: dict[K, V], most: int) -> None:
    for key in list(kept)[: max(0, len(kept) - most)]:
        del kept[key]
