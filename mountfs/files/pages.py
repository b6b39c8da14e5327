"""What the kernel has cached of files: pages, by path as it was spelled."""

from __future__ import annotations

from cachetools import LRUCache

from mountfs.files.openfile import OpenFile

SHOWN_KEPT = 65_536
"""Paths of which it is remembered what the kernel's page cache has; beyond, pages are read again."""


class Pages:
    """Tells each open whether the kernel may keep its pages, and whether the handle may share them.

    The pages belong to a path: to libfuse `Report` and `report` are two files, of one inode number. So the
    handles of the first path by which a file is open share its pages. Those of other spellings pass the pages
    by, and so do those of a newer version while an older one is open as the same path. What the kernel has of
    a path is not remembered while anybody may write past the pages: the kernel does not learn of that.

    Guarded by the account's lock.
    """

    def __init__(self) -> None:
        self._shown: LRUCache[str, str] = LRUCache(SHOWN_KEPT)
        """By path the key of the bytes that the kernel's pages have."""
        self._became: LRUCache[str, str] = LRUCache(SHOWN_KEPT)
        """Keys of bytes of ours that are a revision by now."""
        self._paths: dict[int, dict[str, None]] = {}
        """As what each open file was opened, the first first, by the file's id()."""
        self._opened_as: dict[str, list[OpenFile]] = {}
        """By path the open files that were opened as it, which may be of several nodes: `mv new A` leaves
        what is open as `a` there."""

    def opened(
        self, file: OpenFile, path: str, *, can_write: bool, is_ours: bool = False
    ) -> tuple[bool, bool]:
        """A handle on *file* is opened as *path*: whether the kernel keeps its pages, and whether the handle
        passes them by. *is_ours*: the kernel knows nothing of the handle."""
        paths = self._paths.setdefault(id(file), {})
        others = self._opened_as.get(path)
        has_older = others is not None and any(other is not file for other in others)
        is_direct = is_ours or has_older or next(iter(paths), path) != path
        keep_cache = is_direct or self._key(path) == file.key
        if not is_ours and path not in paths:
            paths[path] = None
            self._opened_as.setdefault(path, []).append(file)
        if is_direct and can_write:
            file.bypasses += 1
            for each in (path, *paths):
                self._shown.pop(each, None)
        elif not is_direct and file.bypasses:
            self._shown.pop(path, None)
        elif not is_direct:
            self._shown[path] = file.key
        return keep_cache, is_direct

    def closed(self, file: OpenFile) -> None:
        """*file* has no handle any more."""
        for path in self._paths.pop(id(file), ()):
            self._opened_as[path].remove(file)
            if not self._opened_as[path]:
                del self._opened_as[path]

    def file_of(self, path: str) -> OpenFile | None:
        """The open file of whose bytes the kernel has pages under *path*."""
        files = self._opened_as.get(path)
        if not files:
            return None
        key = self._key(path)
        return next((file for file in files if file.key == key), None)

    # Names

    def renamed(self, source: str, target: str) -> None:
        """What the kernel has of the file *source* it has as *target* from here on."""
        if source == target:
            return
        key = self._shown.pop(source, None)
        self._opened_elsewhere(source, target)
        if key is not None:
            self._shown[target] = key

    def renamed_below(self, source: str, target: str) -> None:
        """The same of everything in the folder *source*."""
        if source == target:
            return
        self._shown.clear()
        below = source + "/"
        for path in [path for path in self._opened_as if path.startswith(below)]:
            self._opened_elsewhere(path, target + path[len(source) :])

    def removed(self, path: str) -> None:
        """The kernel has nothing of *path* from here on: the next file of that name has pages of its own."""
        self._shown.pop(path, None)
        for file in self._opened_as.pop(path, ()):
            del self._paths[id(file)][path]
            file.bypasses += 1  # for good: no path leads to the pages that its handles have

    # Bytes

    def rekeyed(self, file: OpenFile, before_key: str) -> None:
        """*file* shows other bytes than before: its first write, which the kernel has in the pages of the
        path it came by."""
        paths = self._paths.get(id(file), {})
        for path in paths:
            if not file.bypasses and len(paths) == 1 and self._key(path) == before_key:
                self._shown[path] = file.key
            else:
                self._shown.pop(path, None)

    def became(self, key: str, revision_key: str) -> None:
        """Bytes of ours are a revision from here on: the same bytes."""
        self._became[key] = revision_key

    # Inside

    def _key(self, path: str) -> str:
        key = self._shown.get(path, "")
        return self._became.get(key, key)

    def _opened_elsewhere(self, before: str, after: str) -> None:
        """What was opened as *before* was opened as *after*, and nothing else was."""
        self.removed(after)
        files = self._opened_as.pop(before, None)
        if files is None:
            return
        self._opened_as[after] = files
        for file in files:
            # In its place, for the first one counts.
            paths = [after if path == before else path for path in self._paths[id(file)]]
            self._paths[id(file)] = dict.fromkeys(paths)
