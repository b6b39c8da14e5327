"""How many reads of programs needed no network."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """Reads of programs that were answered from the cache, and those that waited for the service."""

    hits: int = 0
    misses: int = 0
    hit_bytes: int = 0
    missed_bytes: int = 0


class ServedCounter:
    """Counts reads; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hits = self._misses = self._hit_bytes = self._missed_bytes = 0

    def count(self, read_bytes: int, missed_bytes: int) -> None:
        """One read of *read_bytes*, of which *missed_bytes* were not in the cache."""
        with self._lock:
            if missed_bytes:
                self._misses += 1
                self._missed_bytes += missed_bytes
            else:
                self._hits += 1
            self._hit_bytes += read_bytes - missed_bytes

    def read(self) -> Served:
        with self._lock:
            return Served(self._hits, self._misses, self._hit_bytes, self._missed_bytes)
