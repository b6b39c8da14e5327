"""The tree of an account that lives in memory: paths, revisions, and what changed in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mountfs.errors import Conflict, InvalidArgument, NoSpace, NotADirectory, NotFound, TooLarge
from mountfs.model.entry import NS_PER_S, Entry, File, Folder, Gone
from mountfs.model.hashing import content_hash
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import BackendLimits


class MemoryTree:
    """Files and folders with the rules of the services; not thread-safe, its owner locks.

    Revisions are never forgotten unless ``forget`` is called, so an open file reads what it opened.
    """

    def __init__(self, limits: BackendLimits) -> None:
        self._limits = limits
        self._entries: dict[str, Entry] = {ROOT.key: Folder(ROOT, "id:root")}
        self._children: dict[str, dict[str, None]] = {ROOT.key: {}}
        self._bodies: dict[str, bytes] = {}
        self._ids = 0
        self._revisions = 0x5F0000000
        self.used_bytes = 0
        self.quota_bytes: int | None = None
        self.moves_renew_revisions = True
        self.log: list[Entry | Gone] = []
        """What changed, oldest first; a cursor is a position in it."""

    def get(self, path: RemotePath) -> Entry | None:
        """What stands at *path*, spelled as it was made."""
        return self._entries.get(path.key)

    def children(self, path: RemotePath) -> list[Entry]:
        """NotFound, NotADirectory."""
        folder = self.get(path)
        if folder is None:
            raise NotFound(f"no such folder: {path}")
        if isinstance(folder, File):
            raise NotADirectory(f"not a folder: {path}")
        return [self._entries[key] for key in self._children[path.key]]

    def walk(self) -> Iterator[Entry]:
        """Everything but the root, parents before children."""
        return self._below(ROOT.key)

    def body(self, revision: str) -> bytes | None:
        """The bytes of a revision, or None when there is none such."""
        return self._bodies.get(revision)

    def forget(self, revision: str) -> None:
        """From here on the revision cannot be read."""
        self._bodies.pop(revision, None)

    def put(self, path: RemotePath, body: bytes, mtime_ns: int, base_revision: str | None) -> File:
        """Replaces exactly *base_revision*, or nothing when it is None.

        Identical bytes are a success that writes nothing, not even the time (Dropbox's rule). A base
        that was removed meanwhile is no conflict: nothing is lost by writing.
        """
        if path.is_root:
            raise Conflict("the root is a folder")
        standing = self.get(path)
        if isinstance(standing, Folder):
            raise Conflict(f"a folder stands at {path}")
        if isinstance(standing, File):
            if standing.content_hash == content_hash(self._limits.hash_kind, body):
                return standing
            if standing.revision != base_revision:
                raise Conflict(f"somebody else changed {path}")
        return self.overwrite(path, body, mtime_ns)

    def overwrite(self, path: RemotePath, body: bytes, mtime_ns: int) -> File:
        """Gives *path* these bytes whatever file stands there."""
        if len(body) > self._limits.max_file_bytes:
            raise TooLarge(f"{len(body)} bytes are more than the service takes: {path}")
        standing = self.get(path)
        if isinstance(standing, Folder):
            raise Conflict(f"a folder stands at {path}")
        freed_bytes = standing.size_bytes if standing else 0
        if self.quota_bytes is not None and self.used_bytes - freed_bytes + len(body) > self.quota_bytes:
            raise NoSpace("the account is full")
        shown = standing.path if standing else self._place(path)
        file = File(
            path=shown,
            id=standing.id if standing else self._new_id(),
            revision=self._new_revision(body),
            size_bytes=len(body),
            mtime_ns=mtime_ns // NS_PER_S * NS_PER_S,
            content_hash=content_hash(self._limits.hash_kind, body),
        )
        self.used_bytes -= freed_bytes
        self._insert(file)
        self.log.append(file)
        return file

    def mkdir(self, path: RemotePath) -> Folder:
        """A folder that stands there already is a success."""
        standing = self.get(path)
        if isinstance(standing, File):
            raise Conflict(f"a file stands at {path}")
        if standing is not None:
            return standing
        folder = Folder(self._place(path), self._new_id())
        self._insert(folder)
        self.log.append(folder)
        return replace(folder, is_new=True)

    def set_time(self, path: RemotePath, mtime_ns: int, base_revision: str | None) -> File:
        """Gives the file another time, and with it another revision of the same bytes. NotFound; Conflict
        when it no longer has *base_revision*."""
        standing = self.get(path)
        if not isinstance(standing, File):
            raise NotFound(f"no such file: {path}")
        if standing.revision != base_revision:
            raise Conflict(f"somebody else changed {path}")
        revision = self._new_revision(self._bodies[standing.revision])
        file = replace(standing, mtime_ns=mtime_ns // NS_PER_S * NS_PER_S, revision=revision)
        self._entries[path.key] = file
        self.log.append(file)
        return file

    def delete(self, path: RemotePath, base_revision: str | None) -> None:
        """Removes a tree; nothing there is a success, another revision than asked for a Conflict."""
        if path.is_root:
            raise InvalidArgument("the root cannot be removed")
        standing = self.get(path)
        if standing is None:
            return
        if base_revision is not None and (isinstance(standing, Folder) or standing.revision != base_revision):
            raise Conflict(f"somebody else changed {path}")
        for entry in reversed([standing, *self._below(path.key)]):
            self._remove(entry)
        self.log.append(Gone(standing.path))

    def move(self, source: RemotePath, target: RemotePath) -> Entry:
        """Never onto something, unless the limits say that a file is replaced; another case is fine."""
        moving = self.get(source)
        if moving is None or source.is_root:
            raise NotFound(f"no such file or folder: {source}")
        if target.is_below(source):
            raise InvalidArgument(f"{source} cannot be moved into itself")
        standing = None if source.key == target.key else self.get(target)
        if standing is not None:
            if isinstance(standing, Folder) or not self._limits.moves_overwrite:
                raise Conflict(f"something stands at {target}")
            self._remove(standing)
        shown = self._place(target)
        carried = [moving, *self._below(source.key)]
        for entry in reversed(carried):
            self._remove(entry)
        self.log.append(Gone(moving.path))
        for entry in carried:
            landed = replace(entry, path=entry.path.moved(moving.path, shown))
            if isinstance(landed, File) and self.moves_renew_revisions:
                landed = replace(landed, revision=self._new_revision(self._bodies[landed.revision]))
            self._insert(landed)
            self.log.append(landed)
        return self._entries[target.key]

    def _place(self, path: RemotePath) -> RemotePath:
        """The spelling a new entry at *path* gets, after its missing folders were made."""
        self._limits.names.check(path.name)
        parent = self.get(path.parent)
        if parent is None:
            if not self._limits.parents_implicit:
                raise NotFound(f"no such folder: {path.parent}")
            parent = self.mkdir(path.parent)
        if isinstance(parent, File):
            raise NotADirectory(f"a file stands at {path.parent}")
        return parent.path.child(path.name)

    def _insert(self, entry: Entry) -> None:
        key = entry.path.key
        self._entries[key] = entry
        self._children[entry.path.parent.key][key] = None
        if isinstance(entry, File):
            self.used_bytes += entry.size_bytes
        else:
            self._children.setdefault(key, {})

    def _remove(self, entry: Entry) -> None:
        key = entry.path.key
        del self._entries[key]
        self._children[entry.path.parent.key].pop(key)
        if isinstance(entry, File):
            self.used_bytes -= entry.size_bytes
        else:
            del self._children[key]

    def _below(self, key: str) -> Iterator[Entry]:
        for child in list(self._children.get(key, ())):
            yield self._entries[child]
            yield from self._below(child)

    def _new_id(self) -> str:
        self._ids += 1
        return f"id:{self._ids:08d}"

    def _new_revision(self, body: bytes) -> str:
        self._revisions += 1
        revision = f"{self._revisions:x}"
        self._bodies[revision] = body
        return revision
