"""Of which kind the kernel takes what stands at a path to be, so that it is not told of another one unawares.

While the kernel knows a name (``entry_timeout``) it asks for the attributes of the inode that it has. If that
is a folder, and it is told of the file that others have put in its place, the kernel gives the inode up, and
whoever asked gets EIO. Told ESTALE instead, it looks the name up anew, and takes the file for something new.

libfuse asks in the same way where the kernel looks a name up. To that ESTALE does no harm where the kernel
has the name: it looks once more. Where it does not have it, mkdir(2), mknod(2), symlink(2) and link(2) would
pass ESTALE on in place of EEXIST. So what was told counts no more once the kernel may have dropped the name:
after KEPT_S, after any change of names through the mount, and once another folder is above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

KEPT_S = 1.5
"""``entry_timeout`` (``fuse.mount.FuseOptions``), and the time that an answer takes to the kernel."""
KEPT = 1_000
"""Paths that were told of last."""


@dataclass(slots=True)
class _Change:
    """Another *kind* stands at a path than the kernel was told of; *threads* were told to look again."""

    kind: int
    until_s: float
    threads: set[int]


class Kinds:
    """For any thread."""

    def __init__(
        self, now_s: Callable[[], float], asker: Callable[[], int] = lambda: 0, kept: int = KEPT
    ) -> None:
        """*asker*: the id of the thread whose question is being answered."""
        self._now_s = now_s
        self._asker = asker
        self._kept = kept
        self._lock = Lock()
        self._told: dict[str, tuple[int, int, int, float]] = {}
        """Inode, kind (S_IFMT), the inode of the folder above and the time, by path, the latest last."""
        self._changes: dict[str, _Change] = {}
        """By path, the latest last."""

    def is_another(self, path: str, inode: int, kind: int) -> bool:
        """Whether the kernel was told of another *kind* at *path*, and may still take it for that: it is to
        look again. Else it is being told of *inode* now."""
        now_s = self._now_s()
        with self._lock:
            above = self._above(path)
            before = self._told.pop(path, None)
            if before is not None:
                _, kind_before, above_before, told_s = before
                if kind_before != kind and above_before == above and now_s - told_s < KEPT_S:
                    self._changes.pop(path, None)
                    self._changes[path] = _Change(kind, now_s + KEPT_S, {self._asker()})
                    _bound(self._changes, self._kept)
                    return True
            if self._changes and self._is_new_to_asker(path, kind, now_s):
                return True
            self._told[path] = inode, kind, above, now_s
            _bound(self._told, self._kept)
            return False

    def told(self, path: str, inode: int, kind: int) -> None:
        """The kernel is being told of what a call of its own made at *path*."""
        now_s = self._now_s()
        with self._lock:
            self._told.pop(path, None)
            self._told[path] = inode, kind, self._above(path), now_s
            _bound(self._told, self._kept)

    def _above(self, path: str) -> int:
        """The inode of the folder above *path*, as far as it was told of."""
        folder = self._told.get(path.rpartition("/")[0] or "/")
        return 0 if folder is None else folder[0]

    def _is_new_to_asker(self, path: str, kind: int, now_s: float) -> bool:
        """Whether the asking thread may have the inode of another kind that was at *path* until lately."""
        change = self._changes.get(path)
        if change is None:
            return False
        if change.kind != kind or now_s >= change.until_s:
            del self._changes[path]
            return False
        thread = self._asker()
        if thread in change.threads:
            return False
        change.threads.add(thread)
        return True

    def names_change(self) -> None:
        """A call makes, removes or renames something: the kernel drops names, by other spellings too."""
        with self._lock:
            self._told.clear()
            self._changes.clear()

    def left(self, path: str) -> None:
        """The kernel is being told that nothing is there, or to look again."""
        with self._lock:
            self._told.pop(path, None)
            self._changes.pop(path, None)


def _bound(by_path: dict[str, Any], most: int) -> None:
    if len(by_path) > most:
        del by_path[next(iter(by_path))]
