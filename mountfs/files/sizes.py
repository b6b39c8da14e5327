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
        self._told: dict[str, tuple[int, int]] = {}
        self._told_before: dict[str, tuple[int, int]] = {}
        """The inodes and sizes told in the period before the current one; periods are KEPT_S long, and older
        ones are forgotten."""

    def told(self, path: str, inode: int, size_bytes: int) -> None:
        """The kernel is being told the size of the file *inode* at *path*."""
        self._forget_old()
        self._told[path] = inode, size_bytes

    def are_other(self, path: str, inode: int, size_bytes: int, *, is_ours: bool = False) -> bool:
        """Whether the kernel may answer with another size than *size_bytes*, which the file *inode* has at
        *path*. *is_ours*: it was written through the mount, so that the kernel knows its size, unless it was
        told of another file there. True once: after that nothing is known of what the kernel has until it
        asks again."""
        self._forget_old()
        known = self._told.get(path) or self._told_before.get(path)
        if known is None or known[1] == size_bytes or (is_ours and known[0] == inode):
            return False
        self.replaced(path)
        return True

    def replaced(self, path: str) -> None:
        """The kernel asks for what stands at *path* before anybody reads that: a file was just made there."""
        self._told.pop(path, None)
        self._told_before.pop(path, None)

    def renamed(self, source: str, target: str) -> None:
        """What the kernel has of the file *source* it has as *target* from here on."""
        for told in (self._told, self._told_before):
            file = told.pop(source, None)
            told.pop(target, None)
            if file is not None:
                told[target] = file

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
