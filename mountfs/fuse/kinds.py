"""Of which kind the kernel takes what stands at a path to be, so that it is not told of another one unawares.

While the kernel knows a name (``entry_timeout``) it asks for the attributes of what it has as that. If it has
a folder, and is told of the file that others have put in its place, the folder is broken for it, and whoever
asked gets EIO. Told ESTALE instead, it looks the name up anew, takes the file for something new, and nobody
notices. To a lookup, which cannot be told from that, ESTALE does no harm: it is made again.
"""

from __future__ import annotations

from threading import Lock

KEPT = 1_000
"""Paths that were told of last: far more than change their kind within ``entry_timeout``."""


class Kinds:
    """For any thread."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = Lock()
        self._told: dict[str, int] = {}
        """S_IFMT by path, the latest last."""

    def is_another(self, path: str, kind: int) -> bool:
        """Whether the kernel was told of another *kind* at *path*: it is to look again, and is not told of
        this one. The next time it is."""
        with self._lock:
            told = self._told.pop(path, kind)
            if told != kind:
                return True
            self._told[path] = kind
            if len(self._told) > self._kept:
                del self._told[next(iter(self._told))]
            return False

    def left(self, *paths: str) -> None:
        """The kernel itself is changing what stands there, or found nothing there."""
        with self._lock:
            for path in paths:
                self._told.pop(path, None)
