"""The tree of an account that lives in memory: items by id, revisions, and what changed in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mountfs.errors import Conflict, InvalidArgument, NoSpace, NotADirectory, NotFound, TooLarge
from mountfs.model.entry import NS_PER_S, Entry, File, Folder, Gone, News, Place, Seen
from mountfs.model.hashing import content_hash
from mountfs.model.path import RemotePath, fold
from mountfs.ports import BackendLimits

ROOT_ID = "root"


@dataclass(frozen=True, slots=True)
class Record:
    """One change: *entry* came to stand at *path*, or with None the item *item_id* went from there."""

    path: RemotePath
    folder_id: str
    item_id: str
    entry: Entry | None

    def by_path(self) -> News:
        """As a service tells it that knows paths."""
        return Gone(self.path) if self.entry is None else Seen(self.entry, self.path)

    def by_id(self) -> News:
        """As a service tells it that knows ids."""
        if self.entry is None:
            return Gone(item_id=self.item_id)
        return Seen(self.entry, folder_id=self.folder_id)


class MemoryTree:
    """Files and folders with the rules of the services; not thread-safe, its owner locks.

    With *is_by_id* places are found by the id of their folder where that is told, and a change is recorded
    for the item alone that it was made to; else places are paths, and it is recorded for all below the item
    as well. Revisions are never forgotten unless ``forget`` is called, so an open file reads what it opened.
    """

    def __init__(self, limits: BackendLimits, *, is_by_id: bool = False) -> None:
        self.is_by_id = is_by_id
        self._limits = limits
        self._entries: dict[str, Entry] = {ROOT_ID: Folder(ROOT_ID, "")}
        self._parents: dict[str, str] = {}
        self._children: dict[str, dict[str, str]] = {ROOT_ID: {}}
        """By the id of a folder the ids in it, by folded name."""
        self._bodies: dict[str, bytes] = {}
        self._ids = 0
        self._revisions = 0x5F0000000
        self.used_bytes = 0
        self.quota_bytes: int | None = None
        self.moves_renew_revisions = True
        self.keeps_history = True
        self.trash: dict[tuple[str, str], list[tuple[RemotePath, Entry]]] = {}
        """By folder and key of the name what was removed there last, with all below it, parents first."""
        self.log: list[Record] = []
        """What changed, oldest first; a cursor is a position in it."""

    # Reading

    def get(self, path: RemotePath) -> Entry | None:
        """What stands at *path*."""
        item_id = self._find(path)
        return None if item_id is None else self._entries[item_id]

    def at(self, place: Place) -> Entry | None:
        """What stands at *place*; None also where its folder is gone."""
        folder_id = self._folder_of(place)
        item_id = None if folder_id is None else self._children[folder_id].get(place.path.name_key)
        return None if item_id is None else self._entries[item_id]

    def item(self, item_id: str, place: Place) -> Entry | None:
        """What has this id, or stands at *place* where that is ""."""
        return self._entries.get(item_id) if item_id else self.at(place)

    def children(self, path: RemotePath, folder_id: str = "") -> list[Entry]:
        """Of the folder with this id, or of the one at *path* where that is "". NotFound, NotADirectory."""
        folder = self._entries.get(folder_id) if folder_id else self.get(path)
        if folder is None:
            raise NotFound(f"no such folder: {path}")
        if isinstance(folder, File):
            raise NotADirectory(f"not a folder: {path}")
        return [self._entries[child] for child in self._children[folder.id].values()]

    def walk(self) -> Iterator[tuple[RemotePath, Entry]]:
        """Everything but the root with its path, parents before children."""
        return ((self.path_of(item_id), self._entries[item_id]) for item_id in self._below(ROOT_ID))

    def path_of(self, item_id: str) -> RemotePath:
        """Where an item stands, spelled as it was made."""
        names: list[str] = []
        while item_id != ROOT_ID:
            names.append(self._entries[item_id].name)
            item_id = self._parents[item_id]
        return RemotePath("".join(f"/{name}" for name in reversed(names)))

    def revisions_before(self, file: File, since: str | None) -> list[File]:
        """Those of an item between *since* and *file*, the newest first. NotFound: that cannot be told."""
        if not self.keeps_history:
            raise NotFound("the account keeps no history")
        known = [each.entry for each in self.log if each.item_id == file.id and isinstance(each.entry, File)]
        revisions = [each.revision for each in known]
        if file.revision not in revisions or (since is not None and since not in revisions):
            raise NotFound(f"no such revision of {file.name}")
        first = 0 if since is None else revisions.index(since) + 1
        return known[first : revisions.index(file.revision)][::-1]

    def body(self, revision: str) -> bytes | None:
        """The bytes of a revision, or None when there is none such."""
        return self._bodies.get(revision)

    def forget(self, revision: str) -> None:
        """From here on the revision cannot be read."""
        self._bodies.pop(revision, None)

    # Changing

    def put(self, place: Place, body: bytes, mtime_ns: int, base_revision: str | None) -> File:
        """Replaces exactly *base_revision*, or nothing when it is None.

        Identical bytes are a success that writes nothing, not even the time (Dropbox's rule). A base
        that was removed meanwhile is no conflict: nothing is lost by writing.
        """
        if place.path.is_root:
            raise Conflict("the root is a folder")
        standing = self.at(place)
        if isinstance(standing, Folder):
            raise Conflict(f"a folder stands at {place}")
        if isinstance(standing, File):
            if standing.content_hash == content_hash(self._limits.hash_kind, body):
                return standing
            if standing.revision != base_revision:
                raise Conflict(f"somebody else changed {place}")
        return self.overwrite(place, body, mtime_ns, makes_parents=self._limits.parents_implicit)

    def overwrite(self, place: Place, body: bytes, mtime_ns: int, *, makes_parents: bool = True) -> File:
        """Gives *place* these bytes whatever file stands there."""
        if len(body) > self._limits.max_file_bytes:
            raise TooLarge(f"{len(body)} bytes are more than the service takes: {place}")
        standing = self.at(place)
        if isinstance(standing, Folder):
            raise Conflict(f"a folder stands at {place}")
        freed_bytes = standing.size_bytes if standing else 0
        if self.quota_bytes is not None and self.used_bytes - freed_bytes + len(body) > self.quota_bytes:
            raise NoSpace("the account is full")
        if standing is None:
            folder_id = self._target_folder(place, makes_parents=makes_parents)
        else:
            folder_id = self._parents[standing.id]
        file = File(
            id=standing.id if standing else self._new_id(),
            name=standing.name if standing else place.name,
            revision=self._new_revision(body),
            size_bytes=len(body),
            mtime_ns=mtime_ns // NS_PER_S * NS_PER_S,
            content_hash=content_hash(self._limits.hash_kind, body),
        )
        self.used_bytes -= freed_bytes
        self._insert(file, folder_id)
        self._record(file)
        return file

    def mkdir(self, place: Place, *, makes_parents: bool = True) -> Folder:
        """A folder that stands there already is a success."""
        standing = self._entries[ROOT_ID] if place.path.is_root else self.at(place)
        if isinstance(standing, File):
            raise Conflict(f"a file stands at {place}")
        if standing is not None:
            return standing
        folder_id = self._target_folder(place, makes_parents=makes_parents)
        folder = Folder(self._new_id(), place.name)
        self._insert(folder, folder_id)
        self._record(folder)
        return replace(folder, is_new=True)

    def set_time(self, file: Entry | None, place: Place, mtime_ns: int, base_revision: str) -> File:
        """Gives the file another time, and with it another revision of the same bytes. NotFound; Conflict
        when it no longer has *base_revision*."""
        if not isinstance(file, File):
            raise NotFound(f"no such file: {place}")
        if file.revision != base_revision:
            raise Conflict(f"somebody else changed {place}")
        revision = self._new_revision(self._bodies[file.revision])
        dated = replace(file, mtime_ns=mtime_ns // NS_PER_S * NS_PER_S, revision=revision)
        self._entries[file.id] = dated
        self._record(dated)
        return dated

    def copy(self, item_id: str, revision: str, place: Place) -> File:
        """Another file with the bytes and the time of a file. By path (Dropbox) those that the file has by
        now, by id (Box) those of exactly that revision. NotFound; Conflict when something stands there."""
        source = self._entries.get(item_id)
        if not isinstance(source, File):
            raise NotFound("what is to be copied is gone")
        body = self._bodies.get(revision if self.is_by_id else source.revision)
        if body is None:
            raise NotFound(f"revision {revision} of {source.name} is gone")
        if self.at(place) is not None:
            raise Conflict(f"something stands at {place}")
        return self.overwrite(place, body, source.mtime_ns, makes_parents=self._limits.parents_implicit)

    def remove(self, item: Entry) -> None:
        """Removes an item with all that is below it."""
        if item.id == ROOT_ID:
            raise InvalidArgument("the root cannot be removed")
        self._record(None, item.id)
        gone = [item.id, *self._below(item.id)]
        before = self.removed_below(self.path_of(item.id)) if isinstance(item, Folder) else []
        self.trash[self._spot(item.id)] = [
            (self.path_of(each), self._entries[each]) for each in gone
        ] + before
        for item_id in reversed(gone):
            self._detach(item_id)

    def removed_at(self, place: Place) -> list[tuple[RemotePath, Entry]]:
        """What was removed last at *place*, with what was below it, parents first; nothing if nothing was."""
        folder_id = self._folder_of(place)
        folder = (folder_id or "") if self.is_by_id else place.path.parent.key
        return self.trash.get((folder, place.path.name_key), [])

    def removed_below(self, path: RemotePath) -> list[tuple[RemotePath, Entry]]:
        """What was removed below the folder *path*, parents first, the last of each path. Nobody dates it:
        all of it."""
        gone = [each for one in self.trash.values() for each in one if each[0].is_below(path)]
        found = {each.key: (each, entry) for each, entry in gone if self._find(each) is None}
        return sorted(found.values(), key=lambda each: len(each[0].components))

    def move(self, item: Entry | None, source: Place, target: Place, *, makes_parents: bool = True) -> Entry:
        """Never onto something; another case is fine, and so is a place that it has already."""
        if item is None or item.id == ROOT_ID:
            raise NotFound(f"no such file or folder: {source}")
        if self._is_within(target, item.id):
            raise InvalidArgument(f"{source} cannot be moved into itself")
        standing = self.at(target)
        if standing is not None and standing.id != item.id:
            raise Conflict(f"something stands at {target}")
        if standing is not None and standing.name == target.name:
            return standing
        folder_id = self._target_folder(target, makes_parents=makes_parents)
        if self.is_by_id:
            return self._moved(item, folder_id, target.name)
        self._record(None, item.id)
        self._moved(item, folder_id, target.name)
        for item_id in self._below(item.id):
            self._record(self._renewed(item_id))
        return self._entries[item.id]

    # Inside

    def _find(self, path: RemotePath) -> str | None:
        item_id = ROOT_ID
        for name in path.components:
            child = self._children.get(item_id, {}).get(fold(name))
            if child is None:
                return None
            item_id = child
        return item_id

    def _folder_of(self, place: Place) -> str | None:
        """The id of the folder that *place* is in; None where it is gone, or a file."""
        folder_id = place.folder_id if self.is_by_id and place.folder_id else self._find(place.path.parent)
        return folder_id if folder_id in self._children else None

    def _target_folder(self, place: Place, *, makes_parents: bool) -> str:
        """The folder for a new item at *place*, with those above it made where that is allowed."""
        self._limits.names.check(place.name)
        folder_id = self._folder_of(place)
        if folder_id is not None:
            return folder_id
        parent = place.path.parent
        if self.is_by_id and place.folder_id:
            raise NotFound(f"{place}: the folder that it is to stand in is gone")
        if self.get(parent) is not None:
            raise NotADirectory(f"a file stands at {parent}")
        if not makes_parents:
            raise NotFound(f"no such folder: {parent}")
        return self.mkdir(Place(parent)).id

    def _spot(self, item_id: str) -> tuple[str, str]:
        path = self.path_of(item_id)
        return (self._parents[item_id] if self.is_by_id else path.parent.key, path.name_key)

    def _is_within(self, place: Place, item_id: str) -> bool:
        at = self._folder_of(place)
        if at is None:
            return place.path.is_below(self.path_of(item_id))
        while at not in (item_id, ROOT_ID):
            at = self._parents[at]
        return at == item_id

    def _moved(self, item: Entry, folder_id: str, name: str) -> Entry:
        del self._children[self._parents[item.id]][fold(item.name)]
        self._entries[item.id] = replace(item, name=name)
        self._parents[item.id] = folder_id
        self._children[folder_id][fold(name)] = item.id
        moved = self._renewed(item.id)
        self._record(moved)
        return moved

    def _renewed(self, item_id: str) -> Entry:
        """An item that was moved, or is below one that was."""
        item = self._entries[item_id]
        if isinstance(item, File) and self.moves_renew_revisions:
            item = self._entries[item_id] = replace(
                item, revision=self._new_revision(self._bodies[item.revision])
            )
        return item

    def _insert(self, entry: Entry, folder_id: str) -> None:
        self._entries[entry.id] = entry
        self._parents[entry.id] = folder_id
        self._children[folder_id][fold(entry.name)] = entry.id
        if isinstance(entry, File):
            self.used_bytes += entry.size_bytes
        else:
            self._children.setdefault(entry.id, {})

    def _detach(self, item_id: str) -> None:
        entry = self._entries.pop(item_id)
        del self._children[self._parents.pop(item_id)][fold(entry.name)]
        if isinstance(entry, File):
            self.used_bytes -= entry.size_bytes
        else:
            del self._children[item_id]

    def _below(self, folder_id: str) -> Iterator[str]:
        for child in list(self._children.get(folder_id, {}).values()):
            yield child
            yield from self._below(child)

    def _record(self, entry: Entry | None, item_id: str = "") -> None:
        item_id = item_id or (entry.id if entry else "")
        self.log.append(Record(self.path_of(item_id), self._parents[item_id], item_id, entry))

    def _new_id(self) -> str:
        self._ids += 1
        return f"id:{self._ids:08d}"

    def _new_revision(self, body: bytes) -> str:
        self._revisions += 1
        revision = f"{self._revisions:x}"
        self._bodies[revision] = body
        return revision
