"""The merged tree: what was last known of the remote one, under our own live changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from mountfs.errors import MountfsError, NotADirectory, NotFound, Transient
from mountfs.journal.comeback import times_after
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.entry import Entry, File, Folder
from mountfs.model.path import ROOT, RemotePath
from mountfs.namespace.node import ROOT_NODE, Node, whole_seconds
from mountfs.namespace.overlay import Absent, Local, Overlay, Remote
from mountfs.namespace.snapshot import NotLoaded, Snapshot
from mountfs.ports import Backend

T = TypeVar("T")

STATE_WORDS = {
    ChangeState.OPEN: "pending",
    ChangeState.SEALED: "uploading",
    ChangeState.UPLOADED: "pending",
    ChangeState.COMMITTING: "committing",
    ChangeState.CONFLICTED: "conflicted",
    ChangeState.FAILED: "failed",
}


class View:
    """Answers what stands at a path. Lists folders over the network as needed, never under the lock.

    *top* is the folder that is mounted. It always stands there, without a look: whether a mount answers
    must not depend on the network.
    """

    def __init__(
        self, journal: Journal, snapshot: Snapshot, backend: Backend, top: RemotePath = ROOT
    ) -> None:
        self._journal = journal
        self._top = Node(top, Folder(top, ""), None, 0)
        self._clock = snapshot.clock
        self._backend = backend
        self._loads: dict[str, threading.Event] = {}
        self._load_errors: dict[str, MountfsError] = {}
        self._hidden: dict[str, Node] = {}
        self.snapshot = snapshot
        with journal.lock:
            self.overlay = Overlay(journal.live())
            journal.watch(self.overlay.update)

    def stat(self, path: RemotePath) -> Node:
        """The node at *path*. NotFound, NotADirectory; Transient when its folder cannot be listed."""
        return self.loaded(lambda: self.node(path))

    def children(self, path: RemotePath) -> list[Node]:
        """The children of the folder *path*, in no particular order. As ``stat``, and NotADirectory."""
        return self.loaded(lambda: self._children(path))

    def state_of(self, path: RemotePath) -> tuple[str, str]:
        """The word that tells how far the file at *path* is on its way, and the last error ("" if none)."""
        node = self.stat(path)
        with self._journal.lock:
            change = node.change
            if change is not None and change.state in STATE_WORDS:
                return STATE_WORDS[change.state], change.error or ""
            if node.is_folder:
                pending = self.pending(path)
                failed = next((c for c in pending if c.state is ChangeState.FAILED), None)
                if failed is not None:
                    return "failed", failed.error or ""
                return ("pending" if pending else "clean"), ""
            here = node.entry.path.key == path.key if node.entry is not None else True
            return ("clean" if here and not self.overlay.set_times_at(path) else "pending"), ""

    def pending(self, path: RemotePath) -> list[Change]:
        """Live changes that touch *path* or something below it, in the order of effect."""
        return [
            change
            for change in self._journal.live()
            if path.is_root or any(at.key == path.key or at.is_below(path) for at in change.paths)
        ]

    # For Namespace: under the lock

    def loaded(self, decide: Callable[[], T]) -> T:
        """Calls *decide* under the account's lock, listing folders it finds missing, until it gets through.

        *decide* must look before it writes: it is called anew after each NotLoaded.
        """
        asked_s = self._clock.now_s()
        while True:
            try:
                with self._journal.lock:
                    self.snapshot.asked_at(asked_s)
                    return decide()
            except NotLoaded as error:
                missing = error
            self._load(missing.folder, must_be_new=missing.must_be_new)

    def node(self, path: RemotePath) -> Node:
        """As ``stat``, under the lock; NotLoaded."""
        if path.is_root:
            return ROOT_NODE
        if path.key == self._top.path.key:
            return self._top
        hidden = self._hidden.get(path.key)
        if hidden is not None:
            return hidden
        resolution = self.overlay.resolve(path)
        if isinstance(resolution, Absent):
            raise (NotADirectory if resolution.under_file else NotFound)(f"{path} does not exist")
        if isinstance(resolution, Local):
            return self._local(path, resolution)
        if resolution.path.is_root:
            return ROOT_NODE
        entry = self.snapshot.lookup(resolution.path, resolution.moved)
        if entry is None:
            raise NotFound(f"{path} does not exist")
        return self._remote(path, entry, resolution)

    def find(self, path: RemotePath) -> Node | None:
        """As ``node``, or None when nothing stands there."""
        try:
            return self.node(path)
        except NotFound:
            return None

    def has_children(self, path: RemotePath) -> bool:
        """Whether anything is shown in the folder *path*; as ``node``."""
        return bool(self._children(path))

    def hide(self, node: Node, path: RemotePath) -> None:
        """Shows *node* at *path*, a name no service will see, until ``unhide``; for open files only."""
        self._hidden[path.key] = Node(path, node.entry, node.change, node.mtime_ns)

    def unhide(self, path: RemotePath) -> Node | None:
        return self._hidden.pop(path.key, None)

    # Inside

    def _local(self, path: RemotePath, found: Local) -> Node:
        change = found.change
        stored = _stored(path, found.name or change.path.name)
        if change.kind is ChangeKind.MKDIR:
            kept = self._journal.time_of(path, "")
            return Node(stored, None, change, whole_seconds(change.touched_ns if kept is None else kept))
        later = [row.mtime_ns for row in times_after(self._journal, change)]
        return Node(stored, None, change, whole_seconds(later[-1] if later else change.mtime_ns))

    def _remote(self, path: RemotePath, entry: Entry, found: Remote | None = None) -> Node:
        name = found.name if found is not None else None
        stored = _stored(path, name or entry.path.name)
        if isinstance(entry, File):
            kept = self._journal.time_of(entry.path, entry.revision)
            if kept is None and found is not None and found.moved_revision is not None:
                # It is kept where the file was, until the reply says that it is gone from there.
                kept = self._journal.time_of(found.path, found.moved_revision)
            return Node(stored, entry, None, whole_seconds(entry.mtime_ns if kept is None else kept))
        return Node(stored, entry, None, whole_seconds(self._journal.time_of(path, "") or 0))

    def _children(self, path: RemotePath) -> list[Node]:
        if not self.node(path).is_folder:
            raise NotADirectory(f"{path} is a file")
        touched = self.overlay.names_in(path)
        nodes: list[Node] = []
        resolution = self.overlay.resolve(path)
        if not isinstance(resolution, Local | Absent):
            listing = self.snapshot.listing(resolution.path, resolution.moved)
            if listing is None and path.key == self._top.path.key and not touched:
                raise NotFound(f"{path} does not exist any more")
            for name_key, entry in (listing or {}).items():
                if name_key not in touched:
                    nodes.append(self._remote(path.child(entry.path.name), entry))
        for name_key in touched:
            node = self.find(path.child(self.overlay.spelling(path, name_key)))
            if node is not None:
                nodes.append(node)
        return nodes

    def _load(self, folder: RemotePath, *, must_be_new: bool) -> None:
        """Lists *folder*, once for all who wait for it."""
        with self._journal.lock:
            under_way = self._loads.get(folder.key)
            if under_way is None:
                mine = self._loads[folder.key] = threading.Event()
                self._load_errors.pop(folder.key, None)
                self.snapshot.begin(folder)
        if under_way is not None:
            under_way.wait()
            error = self._load_errors.get(folder.key)
            if error is not None:
                raise error
            return
        try:
            trouble = self._list_into_snapshot(folder)
        except MountfsError as error:
            self._load_errors[folder.key] = error
            raise
        finally:
            with self._journal.lock:
                del self._loads[folder.key]
            mine.set()
        if trouble is not None and must_be_new:
            raise trouble

    def _list_into_snapshot(self, folder: RemotePath) -> Transient | None:
        """Why what was known of *folder* is to do: better than nothing while the far side is away."""
        try:
            entries = self._backend.list_folder(folder)
        except (NotFound, NotADirectory):
            self.snapshot.store(folder, None)
        except Transient as error:
            if not self.snapshot.give_up(folder):
                raise
            return error
        except BaseException:
            self.snapshot.give_up(folder)
            raise
        else:
            self.snapshot.store(folder, entries)
        return None


def _stored(path: RemotePath, name: str) -> RemotePath:
    """*path* with its last component spelled as it is stored."""
    return path if path.name == name else path.parent.child(name)
