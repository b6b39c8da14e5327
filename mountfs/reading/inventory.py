"""What the cache has, how much that takes of the disk, and what gives way first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from mountfs.reading.cachefile import CacheFile, KeptOpen
from mountfs.reading.contentkey import Key
from mountfs.reading.limits import LOOK_EVERY_BYTES, MOST_SPARED, PART_OF_LARGER
from mountfs.reading.pinned import Pinned
from mountfs.reading.sums import remove


class Inventory:
    """Cache files by content, the least recently used first; guarded by the cache's lock. ``used_bytes`` is
    always the sum of what they take, and ``pinned.cached_bytes`` that of the pinned ones."""

    def __init__(
        self,
        limit_bytes: int,
        most_files: int,
        least_bytes: int,
        lacking_bytes: Callable[[], int],
        kept_open: KeptOpen,
    ) -> None:
        """*limit_bytes* and *most_files*: of what is not pinned. *lacking_bytes* as of the cache."""
        self.files: OrderedDict[Key, CacheFile] = OrderedDict()
        self.used_bytes = 0
        self.pinned = Pinned()
        self.spares_former = False
        """Whether what a former process kept stays until it is known what of it is pinned."""
        self._larger: set[Key] = set()
        """Contents of which not all can be kept."""
        self._limit_bytes = limit_bytes
        self._most_files = most_files
        self._least_bytes = least_bytes
        self._lacking_bytes = lacking_bytes
        self._kept_open = kept_open
        self._unlooked_bytes = 0
        """Taken over since the disk was last asked for its room."""

    # What comes and goes

    def add(self, key: Key, cached: CacheFile) -> None:
        """Of a content of which there is none."""
        self.files[key] = cached
        if cached.sums is not None and cached.sums.size_bytes > self._limit_bytes:
            self._larger.add(key)
        self.used_bytes += cached.cached_bytes
        self.pinned.count(key, cached.cached_bytes)

    def keep(self, key: Key, cached: CacheFile, offset: int, length: int) -> None:
        """These bytes are in the cache file; unless it was evicted meanwhile they count as cached."""
        if self.files.get(key) is not cached:
            self.forget(key, cached)
            return
        cached.have(offset, offset + length)
        self.files.move_to_end(key)
        cached.is_former = False
        self.count(key, cached, cached.disk_bytes)
        self.shrink()

    def count(self, key: Key, cached: CacheFile, cached_bytes: int) -> None:
        """*cached*, which is one of them, takes so many bytes by now."""
        growth_bytes, cached.cached_bytes = cached_bytes - cached.cached_bytes, cached_bytes
        self.used_bytes += growth_bytes
        self.pinned.count(key, growth_bytes)

    def forget(self, key: Key, cached: CacheFile) -> None:
        """Removes a cache file, also one that was evicted before."""
        if self.files.get(key) is cached:
            self.count(key, cached, 0)
            del self.files[key]
            self._larger.discard(key)
        self._kept_open.evict(cached)
        remove(Path(cached.path))
        if cached.sums is not None:
            cached.sums.remove()

    def drop(self, key: Key) -> None:
        """Forgets a content, unless it is pinned."""
        cached = self.files.get(key)
        if cached is not None and key not in self.pinned:
            self.forget(key, cached)

    def may_keep(self, key: Key, length: int) -> bool:
        """Whether so many bytes of a content may come at all. Also without the lock."""
        return length <= self._limit_bytes or key in self.pinned

    # What is pinned

    def pin(self, key: Key) -> bool:
        """Whether this round of pins found *key* for the first time."""
        return self.pinned.add(key, self._cached_bytes(key))

    def end_pins(self) -> None:
        """What this round of pins did not find is as any other."""
        for key in self.pinned.left_over():
            self.pinned.remove(key, self._cached_bytes(key))
        self.shrink()

    def has_room_for(self, length: int, free_bytes: int) -> bool:
        """Whether so many pinned bytes more fit on a disk with *free_bytes*, once all others have gone."""
        most_bytes = max(self._least_bytes, free_bytes + self.used_bytes)
        return self.pinned.cached_bytes + length <= most_bytes

    def _cached_bytes(self, key: Key) -> int:
        cached = self.files.get(key)
        return 0 if cached is None else cached.cached_bytes

    # What gives way

    def took_over(self, size_bytes: int) -> None:
        """A file came by a rename, for which the disk needs no room: it is asked only now and then."""
        self._unlooked_bytes += size_bytes
        if self._unlooked_bytes >= LOOK_EVERY_BYTES:
            self.shrink()
        else:
            self.keep_limit()

    def keep_limit(self) -> None:
        """Shrinks where there is more than the limit, whatever the disk lacks."""
        if self._exceeds(self._limit_bytes + self.pinned.cached_bytes):
            self.shrink()

    def shrink(self) -> None:
        """Forgets files until the limit is kept, and the disk has what it lacks."""
        self._unlooked_bytes = 0
        lacking_bytes = max(0, self._lacking_bytes())
        least_bytes = max(self._least_bytes, self.used_bytes - lacking_bytes)
        most_bytes = min(self._limit_bytes + self.pinned.cached_bytes, least_bytes)
        rounds, spared = 2 if lacking_bytes and self.pinned.are_all(self.used_bytes) else 0, 0
        while self._exceeds(most_bytes) and (larger := self._first_of_larger(most_bytes)) is not None:
            self.forget(larger, self.files[larger])
        while self._exceeds(most_bytes) and self.files:
            oldest, cached = next(iter(self.files.items()))
            is_pinned, is_former = oldest in self.pinned, self.spares_former and cached.is_former
            if not ((is_pinned and rounds < 2) or (is_former and not rounds)):
                self.forget(oldest, cached)
                continue
            self.files.move_to_end(oldest)
            spared += 1
            if lacking_bytes and spared >= len(self.files):
                rounds, spared = rounds + 1, 0  # first former ones give way, then pinned ones
            elif not lacking_bytes and spared >= MOST_SPARED:
                return

    def _first_of_larger(self, most_bytes: int) -> Key | None:
        """Of contents that are larger than the cache, if they take more than their part of *most_bytes*, the
        one that takes most: else whoever reads one would have all others go, and not even find it again."""
        taken = {
            key: self.files[key].cached_bytes
            for key in self._larger
            if key not in self.pinned and not (self.spares_former and self.files[key].is_former)
        }
        if sum(taken.values()) <= PART_OF_LARGER * max(0, most_bytes - self.pinned.cached_bytes):
            return None
        return max(taken, key=taken.__getitem__, default=None)

    def _exceeds(self, most_bytes: int) -> bool:
        return self.used_bytes > most_bytes or len(self.files) - len(self.pinned) > self._most_files
