"""Folders, deletes, moves, copies and restores."""

from collections.abc import Iterable

from cloudsandbox.dropbox.commits import Committer
from cloudsandbox.dropbox.errors import LookupFailed, RouteError, conflict, nested, tag, under
from cloudsandbox.dropbox.names import ancestors, check_writable, fold, is_inside, name_of
from cloudsandbox.dropbox.records import Entry
from cloudsandbox.dropbox.switches import CaseOnlyMove
from cloudsandbox.dropbox.tree import Tree

MAX_RELOCATED = 10_000


class Edits:
    """Changes of the tree that carry no bytes. On the state thread only; a failure changes nothing."""

    def __init__(self, tree: Tree, committer: Committer) -> None:
        self._tree = tree
        self._committer = committer

    def plain(self, path: str) -> str:
        """The path that `id:` or `ns:` stands for at this time; what nothing has, stays as it is."""
        try:
            return self._tree.resolve(path)
        except LookupFailed:
            return path

    def create_folder(self, path: str, autorename: bool) -> Entry:
        """Create a folder and its missing parents. Raises RouteError."""
        with under("path", "path"):
            plain = self._tree.resolve(path)
            check_writable(plain)
            self._tree.check_ancestors(plain)
            existing = self._tree.get(fold(plain))
            if existing is not None:
                if not autorename:
                    raise conflict("folder" if existing.is_folder else "file")
                plain = self._committer.free_name(plain, "add")
            return self._tree.put_folder(plain)

    def delete(self, path: str, parent_rev: str | None) -> Entry:
        """Delete a file, or a folder with all in it; gives what was there. Raises RouteError."""
        with under("path_lookup", "path_write"):
            entry = self._tree.find(path)
            if parent_rev is not None and (entry.revision is None or entry.revision.rev != parent_rev):
                raise conflict("folder" if entry.is_folder else "file")
            self._tree.remove(entry.path_lower)
            return entry

    def restore(self, path: str, rev: str) -> Entry:
        """Write the bytes of an old revision at *path* as the newest one. Raises RouteError."""
        with under("path_lookup", "path_write"):
            plain = self._tree.resolve(path)
            revision = self._tree.revision(rev)
            if revision is None:
                raise RouteError(tag("invalid_revision"))
            check_writable(plain)
            self._tree.check_ancestors(plain)
            existing = self._tree.get(fold(plain))
            if existing is not None and existing.is_folder:
                raise conflict("folder")
            return self._tree.put_file(plain, revision.content, revision.client_modified)

    def move(self, from_path: str, to_path: str, autorename: bool) -> Entry:
        """Move a file or a folder with all in it; ids stay. Raises RouteError."""
        source, target = self._check_relocation(from_path, to_path)
        if fold(target) == source.path_lower:
            return self._move_onto_itself(source, target)
        target = self._free_target(target, autorename)
        gone = self._tree.remove(source.path_lower)
        return self._put_all(gone, source, target, keep_ids=True)

    def copy(self, from_path: str, to_path: str, autorename: bool) -> Entry:
        """Copy a file or a folder with all in it; ids are new. Raises RouteError."""
        source, target = self._check_relocation(from_path, to_path)
        target = self._free_target(target, autorename)
        entries = self._tree.under(source.path_lower)
        size = sum(each.revision.content.size_bytes for each in entries if each.revision is not None)
        if self._tree.used_bytes + size > self._committer.switches.quota_bytes:
            raise RouteError(tag("insufficient_quota"))
        return self._put_all(entries, source, target, keep_ids=False)

    def _check_relocation(self, from_path: str, to_path: str) -> tuple[Entry, str]:
        with under("from_lookup", "from_write"):
            source = self._tree.find(from_path)
        with under("to", "to"):
            target = self._tree.resolve(to_path)
            check_writable(target)
            if is_inside(fold(target), source.path_lower):
                raise RouteError(tag("cant_move_folder_into_itself"))
            self._tree.check_ancestors(target)
        if self._tree.count_under(source.path_lower) > MAX_RELOCATED:
            raise RouteError(tag("too_many_files"))
        return source, target

    def _free_target(self, target: str, autorename: bool) -> str:
        existing = self._tree.get(fold(target))
        if existing is None:
            return target
        if autorename:
            return self._committer.free_name(target, "add")
        kind = "folder" if existing.is_folder else "file"
        raise RouteError(nested("to", conflict(kind).error))

    def _move_onto_itself(self, source: Entry, target: str) -> Entry:
        behaviour = self._committer.switches.case_only_move
        if name_of(target) == name_of(source.path_display):
            raise RouteError(tag("duplicated_or_nested_paths"))
        if behaviour == CaseOnlyMove.CONFLICT:
            raise RouteError(nested("to", conflict("folder" if source.is_folder else "file").error))
        if behaviour == CaseOnlyMove.NOTHING:
            return source
        gone = self._tree.remove(source.path_lower)
        return self._put_all(gone, source, target, keep_ids=True)

    def _put_all(self, entries: list[Entry], source: Entry, target: str, keep_ids: bool) -> Entry:
        """Put *entries*, parents first, under *target* instead of under *source*; gives the topmost one."""
        keeps_rev = keep_ids and not self._committer.switches.move_changes_rev
        for each in entries:
            path = target + each.path_display[len(source.path_display) :]
            identity = each.id if keep_ids else None
            if each.revision is None:
                self._tree.put_folder(path, identity)
            elif keeps_rev:
                self._tree.place(each, path)
            else:
                self._tree.put_file(path, each.revision.content, each.revision.client_modified, identity)
        moved = self._tree.get(fold(target))
        if moved is None:
            raise LookupFailed("not_found")
        return moved


def entangled(pairs: Iterable[tuple[str, str]]) -> list[bool]:
    """For each (from, to) of a batch, plain paths, whether one equals or contains a path of another pair."""
    folded = [(fold(source), fold(target)) for source, target in pairs]
    owners: dict[str, set[int]] = {}
    for number, pair in enumerate(folded):
        for path in pair:
            owners.setdefault(path, set()).add(number)
    tangled: set[int] = set()
    for number, pair in enumerate(folded):
        for path in pair:
            for other in (path, *ancestors(path)):
                others = owners.get(other, set()) - {number}
                if others:
                    tangled |= others | {number}
    return [number in tangled for number in range(len(folded))]
