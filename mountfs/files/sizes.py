"""The sizes that the kernel was told, by path as it was spelled."""

from __future__ import annotations

from mountfs.ports import Clock

KEPT_S = 2.0
"""Longer than the kernel answers by itself from what it was told (``fuse.mount.FuseOptions``)."""


class Sizes:
    """Tells whether the kernel may still take a file for as long as it was before somebody else changed it.

    The kernel reads no further than the size it knows. Of a file that became longer it would show the first
    part as if it were all. Any thread; a caller that looks at a path and acts on the answer does both under
    the account's lock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock.now_s()
        self._told: dict[str, int] = {}
        self._told_before: dict[str, int] = {}
        """The sizes told in the period before the current one; periods are KEPT_S long, and older ones are
        forgotten."""

    def told(self, path: str, size_bytes: int) -> None:
        """The kernel is being told the size of the file at *path*."""
        self._forget_old()
        self._told[path] = size_bytes

    def are_other(self, path: str, size_bytes: int) -> bool:
        """Whether the kernel may answer with another size than *size_bytes*. True once: after that nothing is
        known of what the kernel has until it asks again."""
        self._forget_old()
        known = self._told.get(path, self._told_before.get(path, size_bytes))
        if known == size_bytes:
            return False
        self._told.pop(path, None)
        self._told_before.pop(path, None)
        return True

    def renamed(self, source: str, target: str) -> None:
        """What the kernel has of the file *source* it has as *target* from here on."""
        for told in (self._told, self._told_before):
            size_bytes = told.pop(source, None)
            told.pop(target, None)
            if size_bytes is not None:
                told[target] = size_bytes

    def renamed_below(self, source: str, target: str) -> None:
        """The folder *source* is *target* from here on, and with it all paths below. Looks at what was told
        within 2 * KEPT_S."""
        below = source + "/"
        for told in (self._told, self._told_before):
            for path in [path for path in told if path.startswith(below)]:
                told[target + path[len(source) :]] = told.pop(path)

    def _forget_old(self) -> None:
        passed_s = self._clock.now_s() - self._began_s
        if passed_s < KEPT_S:
            return
        self._told_before = self._told if passed_s < 2 * KEPT_S else {}
        self._told = {}
        self._began_s += passed_s
