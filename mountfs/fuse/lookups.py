"""The names of files that the kernel has looked up, so that old ones can be taken back from it."""

from __future__ import annotations

from threading import Lock

FOLDERS_IN_USE = 8
"""Where programs are at work, nothing is taken back: it would wait for their look-ups, and they for it."""


class Lookups:
    """Names by folder, the folder whose files were looked up last at the end. Any thread.

    Names that the kernel gave back by itself, as it does when memory is short, are still among them.
    """

    def __init__(self) -> None:
        self.count = 0
        self._lock = Lock()
        self._folders: dict[str, set[str]] = {}
        self._latest = ""

    def note(self, path: str) -> None:
        """The kernel is told of the file at *path*."""
        folder, _, name = path.rpartition("/")
        with self._lock:
            if folder == self._latest and folder in self._folders:
                names = self._folders[folder]
            else:
                names = self._folders[folder] = self._folders.pop(folder, set())
                self._latest = folder
            if name not in names:
                names.add(name)
                self.count += 1

    def left(self, path: str) -> bool:
        """Nothing has the name *path* any more; whether it was one of a file that the kernel was told of."""
        folder, _, name = path.rpartition("/")
        with self._lock:
            names = self._folders.get(folder)
            if names is None or name not in names:
                return False
            names.remove(name)
            self.count -= 1
            if not names:
                del self._folders[folder]
            return True

    def take(self, most: int) -> tuple[str, list[str]] | None:
        """Takes out at most *most* names of the folder that was looked into longest ago, unless it is one of
        the last; its path comes with them, "" for the top."""
        with self._lock:
            if len(self._folders) <= FOLDERS_IN_USE:
                return None
            folder = next(iter(self._folders))
            names = self._folders[folder]
            taken = [names.pop() for _ in range(min(most, len(names)))]
            self.count -= len(taken)
            if not names:
                del self._folders[folder]
            return folder, taken

    def forget(self, most: int) -> None:
        """Forgets those of folders that were looked into longest ago until there are *most*: the kernel keeps
        them, as it would have without us."""
        with self._lock:
            while self.count > most:
                self.count -= len(self._folders.pop(next(iter(self._folders))))
