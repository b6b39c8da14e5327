"""What the kernel has in its page cache: pages of files, by their paths as programs spelled them."""

from __future__ import annotations

from mountfs.files.keys import Key
from mountfs.files.openfile import OpenFile
from mountfs.files.recent import Recent

SHOWN_KEPT = 32_768
"""Paths, at most, of which it is remembered what the kernel's pages have. Of others the kernel reads pages
again."""


class Pages:
    """Decides for each open whether the kernel may keep the pages it has, and whether the handle uses pages
    at all (else direct I/O).

    Pages belong to a path: to libfuse `Report` and `report` are two files, though of one inode number. Four
    rules follow.

    The handles of the path by which a file was opened first use its pages. While `Report` is open, handles on
    `report` bypass them.

    While an older version is open as a path, handles on a newer version at that path bypass the pages.

    While a handle that bypasses them may write, what the pages have is not remembered: the kernel does not
    learn of such writes, so the next open has it drop its pages.

    Whoever alone writes a file from its beginning, and can neither read nor append (`cp`), bypasses them.
    Until that handle is closed all others do: a page that one of them read would miss what is written later.

    Through the pages each byte is copied once more, and the kernel asks for the file's capabilities before
    each write: a `cp` of 256 MiB takes twice the time.

    Guarded by the account's lock.
    """

    def __init__(self) -> None:
        self._shown: Recent[str, Key] = Recent(SHOWN_KEPT)
        """By path the key of the version whose bytes the kernel's pages have."""
        self._became: Recent[Key, Key] = Recent(SHOWN_KEPT)
        """From the key of a content that was committed to the key of the revision with the same bytes."""
        self._paths: dict[int, dict[str, None]] = {}
        """The paths by which each open file was opened, in that order; the key is ``id(file)``."""
        self._opened_as: dict[str, list[OpenFile]] = {}
        """The open files that were opened by a path. They may be of several nodes: after `mv new A` also the
        file that is still open as `a` is there."""

    def opened(
        self, file: OpenFile, path: str, *, can_write: bool, is_filled: bool = False, is_ours: bool = False
    ) -> tuple[bool, bool]:
        """Notes a handle on *file*, opened as *path*. Returns whether the kernel keeps the pages it has of
        *path*, and whether the handle bypasses them. *is_filled*: it is the one that
        fills the file, or that one is not closed. *is_ours*: the kernel does not know of the handle."""
        paths = self._paths.setdefault(id(file), {})
        others = self._opened_as.get(path)
        has_older = others is not None and any(other is not file for other in others)
        is_direct = is_ours or has_older or is_filled or next(iter(paths), path) != path
        keep_cache = not is_filled and (is_direct or self._key(path) == file.key)
        if not is_ours and path not in paths:
            paths[path] = None
            self._opened_as.setdefault(path, []).append(file)
        if is_direct and can_write:
            file.bypasses += 1
            for each in (path, *paths):
                self._shown.pop(each)
        elif not is_direct and file.bypasses:
            self._shown.pop(path)
        elif not is_direct:
            self._shown[path] = file.key
        return keep_cache, is_direct

    def closed(self, file: OpenFile) -> None:
        """The last handle on *file* is closed."""
        for path in self._paths.pop(id(file), ()):
            self._opened_as[path].remove(file)
            if not self._opened_as[path]:
                del self._opened_as[path]

    def paths_of(self, file: OpenFile) -> list[str]:
        """By which *file* was opened, as they are after all renames."""
        return list(self._paths.get(id(file), ()))

    def is_open(self, path: str) -> bool:
        """Whether a file is open by that path. Any thread."""
        return path in self._opened_as

    def file_of(self, path: str) -> OpenFile | None:
        """The open file whose bytes the kernel's pages of *path* have; None: there is none."""
        files = self._opened_as.get(path)
        if not files:
            return None
        key = self._key(path)
        return next((file for file in files if file.key == key), None)

    def first_of(self, path: str) -> OpenFile | None:
        """What was opened by that path first, of what is open."""
        return next(iter(self._opened_as.get(path, ())), None)

    def forget(self, path: str) -> None:
        """What the pages of *path* have is not remembered any more."""
        self._shown.pop(path)

    # Names

    def renamed(self, source: str, target: str) -> None:
        """The file *source* was renamed: the kernel's pages of it belong to *target*."""
        if source == target:
            return
        key = self._shown.pop(source)
        self._opened_elsewhere(source, target)
        if key is not None:
            self._shown[target] = key

    def renamed_below(self, source: str, target: str) -> None:
        """The folder *source* was renamed, and with it all paths below. What the pages have of files that are
        not open is forgotten."""
        if source == target:
            return
        shown = [(path, self._shown.get(path)) for path in self._opened_as]
        self._shown.clear()
        for path, key in shown:
            if key is not None:
                self._shown[path] = key
        below = source + "/"
        for path in [path for path in self._opened_as if path.startswith(below)]:
            self.renamed(path, target + path[len(source) :])

    def removed(self, path: str) -> None:
        """*path* was removed: the next file of that name has pages of its own."""
        self._shown.pop(path)
        for file in self._opened_as.pop(path, ()):
            del self._paths[id(file)][path]
            file.bypasses += 1  # never taken back: no path leads to the pages of its handles any more

    # Bytes

    def rekeyed(self, file: OpenFile, before_key: Key) -> None:
        """*file* began a draft, and has another key than *before_key*. The kernel has the bytes of that first
        write in its pages, if the file is open by one path and no handle bypasses them."""
        paths = self._paths.get(id(file), {})
        for path in paths:
            if not file.bypasses and len(paths) == 1 and self._key(path) == before_key:
                self._shown[path] = file.key
            else:
                self._shown.pop(path)

    def became(self, key: Key, revision_key: Key) -> None:
        """The content with *key* was committed: the revision has the same bytes."""
        self._became[key] = revision_key

    # Inside

    def _key(self, path: str) -> Key | None:
        key = self._shown.get(path)
        return None if key is None else self._became.get(key) or key

    def _opened_elsewhere(self, before: str, after: str) -> None:
        """Moves the open files of the path *before* to *after*, in place of those that are there."""
        self.removed(after)
        files = self._opened_as.pop(before, None)
        if files is None:
            return
        self._opened_as[after] = files
        for file in files:
            # Keeps the order of the paths: handles of the first one use the pages.
            paths = [after if path == before else path for path in self._paths[id(file)]]
            self._paths[id(file)] = dict.fromkeys(paths)
