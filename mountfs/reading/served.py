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
        self._served = Served()

    def count(self, read_bytes: int, missed_bytes: int) -> None:
        """One read of *read_bytes*, of which *missed_bytes* were not in the cache."""
        with self._lock:
            was = self._served
            self._served = Served(
                was.hits + (not missed_bytes),
                was.misses + bool(missed_bytes),
                was.hit_bytes + read_bytes - missed_bytes,
                was.missed_bytes + missed_bytes,
            )

    def read(self) -> Served:
        return self._served
