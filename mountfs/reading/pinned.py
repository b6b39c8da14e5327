"""Which contents the cache keeps whatever else is read."""

from __future__ import annotations

from mountfs.reading.contentkey import Key


class Pinned:
    """Keys of contents, and how many bytes of them are cached; guarded by the cache's lock.

    Each look at all that is to be kept is a round. It adds what it finds again, and what it did not find is
    left over: a former version of a file, one that was removed or moved away.
    """

    __slots__ = ("_round", "_rounds", "cached_bytes", "has_lost")

    def __init__(self) -> None:
        self._rounds: dict[Key, int] = {}
        """By key, the round that found it last."""
        self._round = 0
        self.cached_bytes = 0
        self.has_lost = False
        """Whether something went out of the cache in this round."""

    def __contains__(self, key: Key) -> bool:
        return key in self._rounds

    def __len__(self) -> int:
        return len(self._rounds)

    def are_all(self, used_bytes: int) -> bool:
        """Whether all of the *used_bytes* of the cache are pinned: to look for something else that may go
        would take each write through all of it."""
        return self.cached_bytes >= used_bytes

    def begin_round(self) -> None:
        self._round += 1
        self.has_lost = False

    def left_over(self) -> list[Key]:
        """What this round did not find."""
        return [key for key, found in self._rounds.items() if found < self._round]

    def add(self, key: Key, cached_bytes: int) -> bool:
        """Whether this round found it for the first time. *cached_bytes*: of that content."""
        before = self._rounds.get(key)
        self.cached_bytes += cached_bytes if before is None else 0
        self._rounds[key] = self._round
        return before != self._round

    def remove(self, key: Key, cached_bytes: int) -> None:
        """Harmless for what is not pinned."""
        if self._rounds.pop(key, None) is not None:
            self.cached_bytes -= cached_bytes

    def count(self, key: Key, growth_bytes: int) -> None:
        """So many bytes more, or fewer, are cached of a content."""
        if key in self._rounds:
            self.cached_bytes += growth_bytes
            self.has_lost = self.has_lost or growth_bytes < 0
