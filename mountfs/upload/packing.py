"""Many small files in one request: how many, and when to stop waiting for more."""

from __future__ import annotations

import math
from collections.abc import Iterable

QUIET_S = 0.25
"""A program that copies closes the next small file within milliseconds. Nothing for this long: it has
ended."""
OLDEST_S = 2.0
"""The longest a file waits for a fuller pack: at most 30 requests a minute where files trickle in."""
HURRIED_QUIET_S = 0.02
"""The same as QUIET_S while somebody waits: it still gathers a few files of a program that writes fast."""
HURRIED_OLDEST_S = 0.25
PATIENCE = 50
"""Full packs accepted before a size is tried again that was refused once."""


def send_at_s(*, oldest_s: float, newest_s: float, is_full: bool, is_hurried: bool) -> float:
    """When to send files that have waited since *oldest_s*, the last of them since *newest_s*."""
    if is_full:
        return -math.inf
    if is_hurried:
        return min(newest_s + HURRIED_QUIET_S, oldest_s + HURRIED_OLDEST_S)
    return min(newest_s + QUIET_S, oldest_s + OLDEST_S)


def fitting(sizes_bytes: Iterable[int], most_entries: int, most_bytes: int) -> tuple[int, bool]:
    """How many of the files, from the first on, fit into one pack, and whether it is full then."""
    count = total_bytes = 0
    for size_bytes in sizes_bytes:
        if count >= most_entries or total_bytes + size_bytes > most_bytes:
            return count, True
        count += 1
        total_bytes += size_bytes
    return count, count >= most_entries or total_bytes >= most_bytes


class PackSize:
    """How many entries a pack may have: the service bounds the size of a request's header, but documents no
    number.

    Begins with all that is allowed. Halves when a request was too big. Grows again on success, beyond a size
    that was refused only after PATIENCE successes.
    """

    __slots__ = ("_limit", "_refused", "_streak", "entries")

    def __init__(self, limit_entries: int) -> None:
        self._limit = limit_entries
        self._refused = limit_entries + 1
        self._streak = 0
        self.entries = limit_entries

    def too_big(self, entries: int) -> None:
        """A pack of that many was refused."""
        self._refused = min(self._refused, max(2, entries))
        self._streak = 0
        self.entries = max(1, min(self.entries, entries // 2))

    def accepted(self, entries: int) -> None:
        """A pack of that many went through."""
        if entries < self.entries or self.entries >= self._limit:
            return
        self._streak += 1
        grown = min(self._limit, self.entries + max(1, self.entries // 4))
        if grown < self._refused:
            self.entries = grown
        elif self._streak >= PATIENCE:
            self.entries = grown
            self._refused = self._limit + 1
            self._streak = 0
        else:
            self.entries = max(self.entries, self._refused - 1)
