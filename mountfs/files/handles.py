"""Who has what open: numbers of the kernel, handles, and the contents they share."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import LRUCache

from mountfs.errors import BadHandle
from mountfs.files.keys import change_key, key_of, revision_key
from mountfs.files.openfile import OpenFile
from mountfs.files.services import Services
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeState
from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from mountfs.namespace.node import Node
from mountfs.spool.spoolfile import SpoolFile

T = TypeVar("T")

SHOWN_KEPT = 65_536
"""Paths of which it is remembered what the kernel's page cache has; beyond, pages are read again."""


@dataclass(frozen=True, slots=True)
class Handle:
    """One open(2) of a file.

    ``keep_cache``: what the kernel has cached of this inode are these very bytes. ``is_direct``: the
    inode is open with other bytes too, so that this handle must not share the kernel's pages.
    """

    file: OpenFile
    can_read: bool
    can_write: bool
    is_append: bool
    keep_cache: bool = False
    is_direct: bool = False


class Numbered(Generic[T]):
    """Numbers for things, never reused, as the kernel keeps them in ``fi->fh``; thread-safe."""

    def __init__(self) -> None:
        self._next = itertools.count(1)
        self._things: dict[int, T] = {}

    def add(self, thing: T) -> int:
        number = next(self._next)
        self._things[number] = thing
        return number

    def __getitem__(self, number: int) -> T:
        try:
            return self._things[number]
        except KeyError:
            raise BadHandle(f"no such handle: {number}") from None

    def pop(self, number: int) -> T:
        try:
            return self._things.pop(number)
        except KeyError:
            raise BadHandle(f"no such handle: {number}") from None

    def values(self) -> list[T]:
        return list(self._things.values())


class OpenFiles:
    """All open contents of an account, each once, however many handles it has.

    Its own lock is taken inside a file's lock and inside the account's; nothing else is taken under it.
    """

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._begun = threading.Condition(self._lock)
        self._beginning: set[str] = set()
        self._files: dict[int, OpenFile] = {}
        self._by_key: dict[str, OpenFile] = {}
        self._shown: LRUCache[str, str] = LRUCache(SHOWN_KEPT)
        self._renames = 0
        self._being_renamed: list[RemotePath] = []
        journal.watch(self._note)

    @property
    def renames(self) -> int:
        """Counts names that changed: equal before and after a look means that the look is still true."""
        return self._renames

    def __len__(self) -> int:
        return len(self._files)

    def all(self) -> list[OpenFile]:
        """Every open content."""
        with self._lock:
            return list(self._files.values())

    def writing(self, change_id: int) -> OpenFile | None:
        """The open file behind an OPEN change: it knows the size and the time, the journal lags."""
        file = self._by_key.get(change_key(change_id))
        return file if file is not None and file.is_writing else None

    def showing(self, node: Node) -> OpenFile | None:
        """The open file with the bytes of *node*, a file."""
        return self._by_key.get(key_of(node)) or self.nameless_at(node.path)

    def read_at(self, node: Node) -> OpenFile | None:
        """The open file of an older revision at *node*, if the kernel has its pages: the size is the
        inode's, and the new one would cut off whoever reads the old one, or show zeros behind its end."""
        if node.change is not None or not self._files:
            return None
        with self._lock:
            file = self._by_key.get(self._shown.get(node.path.key, ""))
        if file is None or file.path.key != node.path.key or file.key == key_of(node):
            return None
        return file

    def is_open(self, path: RemotePath) -> bool:
        """Whether anybody has a file at *path* open."""
        with self._lock:
            return any(file.path.key == path.key for file in self._files.values())

    def nameless_at(self, path: RemotePath) -> OpenFile | None:
        """The unlinked file that is shown at *path*, a name of libfuse's, until it is closed."""
        with self._lock:
            at = (one for one in self._files.values() if one.is_nameless and one.path.key == path.key)
            return next(at, None)

    def open(self, node: Node, flags: int, seen_renames: int) -> Handle | None:
        """A handle on the file *node*; None when names changed since *seen_renames*, or it
        was just being begun: look again.

        Raises FileNotFoundError when the change behind it has just left the spool: look again too.
        """
        with self._lock:
            if node.change is not None and node.change.spool in self._beginning:
                self._begun.wait()
                return None
            if any(node.path.key == at.key or node.path.is_below(at) for at in self._being_renamed):
                # Whose the name is, the tree and the open files do not yet say alike.
                self._begun.wait()
                return None
            if seen_renames != self._renames:
                return None
            file = self._by_key.get(key_of(node))
            if file is None:
                file = self._same_bytes_locked(node)
            if file is None:
                file = self._opened_locked(node)
            return self._handle_locked(file, flags)

    def created(self, change: Change, spool_file: SpoolFile, flags: int) -> Handle:
        """A handle on the new, empty file of *change*, which was just begun."""
        file = OpenFile.created(self._services, change, spool_file, self)
        with self._lock:
            self._add_locked(file)
            return self._handle_locked(file, flags)

    def release(self, handle: Handle) -> None:
        """One handle less; after the last writer the bytes may travel, after the last handle it is closed."""
        file = handle.file
        if handle.can_write:
            with self._lock:
                file.writers -= 1
            file.seal_if_idle()
        with self._lock:
            file.handles -= 1
            is_last = not file.handles
            if is_last:
                del self._files[id(file)]
                if self._by_key.get(file.key) is file:
                    del self._by_key[file.key]
        if is_last:
            file.close()

    # Changes that begin; see ``openfile.Registry``

    @contextmanager
    def beginning(self, spool: str) -> Iterator[None]:
        """From before the change of *spool* is journaled until its open file is known: else another open
        could see the change, miss the file, and make a second one with a state of its own."""
        with self._lock:
            self._beginning.add(spool)
        try:
            yield
        finally:
            with self._lock:
                self._beginning.discard(spool)
                self._begun.notify_all()

    def rekey(self, file: OpenFile, before_key: str) -> None:
        """*file* shows other bytes than before: its first write."""
        with self._lock:
            self._rekey_locked(file, before_key)

    # Names

    @contextmanager
    def renaming(self, *paths: RemotePath) -> Iterator[None]:
        """Holds open files at or below *paths* still: none begins a change under a name that goes away, and
        none is opened there meanwhile."""
        with self._lock:
            self._being_renamed += paths
            held = [
                file
                for file in self._files.values()
                if any(file.path.key == path.key or file.path.is_below(path) for path in paths)
            ]
        with ExitStack() as stack:
            for file in sorted(held, key=id):
                stack.enter_context(file.lock)
            try:
                yield
            finally:
                with self._lock:
                    for path in paths:
                        self._being_renamed.remove(path)
                    self._renames += 1
                    self._begun.notify_all()

    def moved(self, source: RemotePath, target: RemotePath) -> None:
        """What was open at or below *source* is at *target*, in the place of what was open there."""
        self.unlinked(target, unless_at=source)
        with self._lock:
            for file in self._files.values():
                if file.path.key == source.key or file.path.is_below(source):
                    file.path = file.path.moved(source, target)

    def unlinked(self, path: RemotePath, *, unless_at: RemotePath | None = None) -> None:
        """What is open at *path* has no name any more."""
        if unless_at is not None and unless_at.key == path.key:
            return
        with self._lock:
            gone = [file for file in self._files.values() if file.path.key == path.key]
            for file in gone:
                if self._by_key.get(file.key) is file:
                    del self._by_key[file.key]
        for file in gone:
            file.lose_name()

    # Inside

    def _opened_locked(self, node: Node) -> OpenFile:
        if node.change is not None and node.change.spool is not None:
            spool_file = self._services.spool.open(node.change.spool)
            file = OpenFile(
                self._services, node.path, change=node.change, spool_file=spool_file, registry=self
            )
        else:
            assert isinstance(node.entry, File)
            file = OpenFile(self._services, node.path, file=node.entry, registry=self)
        self._add_locked(file)
        return file

    def _same_bytes_locked(self, node: Node) -> OpenFile | None:
        """An open file whose revision got another token without other bytes, as a move may do."""
        if node.change is not None or not isinstance(node.entry, File) or not node.entry.content_hash:
            return None
        for file in self._files.values():
            if file.path.key == node.path.key and file.shows(node.entry):
                return file
        return None

    def _add_locked(self, file: OpenFile) -> None:
        self._files[id(file)] = file
        self._by_key[file.key] = file

    def _handle_locked(self, file: OpenFile, flags: int) -> Handle:
        access = flags & os.O_ACCMODE
        can_write = access != os.O_RDONLY
        path_key = file.path.key
        is_direct = any(
            other is not file and other.path.key == path_key and not other.is_nameless
            for other in self._files.values()
        )
        keep_cache = is_direct or self._shown.get(path_key) == file.key
        if not is_direct:
            self._shown[path_key] = file.key
        file.handles += 1
        file.writers += can_write
        return Handle(
            file, access != os.O_WRONLY, can_write, bool(flags & os.O_APPEND), keep_cache, is_direct
        )

    def _rekey_locked(self, file: OpenFile, before_key: str) -> None:
        if self._by_key.get(before_key) is file:
            del self._by_key[before_key]
        if not file.is_nameless and id(file) in self._files:
            self._by_key[file.key] = file
            self._shown[file.path.key] = file.key

    def _note(self, _before: Change | None, after: Change | None) -> None:
        """A row changed; the journal's listener."""
        if after is None or after.state is not ChangeState.COMMITTED or after.base_revision is None:
            return
        with self._lock:
            key = change_key(after.id)
            file = self._by_key.get(key)
            if file is not None and file.committed(after.id, after.base_revision, after.content_hash):
                self._rekey_locked(file, key)
            elif file is None and self._shown.get(after.path.key) == key:
                self._shown[after.path.key] = revision_key(after.base_revision)
