"""Where the bytes of a request go: here, or into the cache file, which the source writes by itself."""

from __future__ import annotations

import math
from pathlib import Path

from mountfs.errors import Corrupt, DiskTrouble, MountfsError
from mountfs.model.entry import File
from mountfs.ports import Clock
from mountfs.reading.blocks import Blocks
from mountfs.reading.fetch import Fetch, Lander, Source
from mountfs.reading.readahead import MIB

LEAST_LANDED_BYTES = MIB
"""What the source writes into the cache by itself. Of less the bytes are worth having at once."""
LANDS_AGAIN_S = 30.0
"""After the source could not write into the cache, the disk being full, bytes come here first."""


class Delivery:
    """Makes requests; thread-safe."""

    def __init__(self, source: Source, blocks: Blocks, clock: Clock) -> None:
        self._source = source
        self._blocks = blocks
        self._clock = clock
        self._lander = source if isinstance(source, Lander) else None
        self._lands_from_s = -math.inf

    @property
    def is_direct(self) -> bool:
        """Whether the source can write into the cache."""
        return self._lander is not None

    def of(self, file: File, fetch: Fetch) -> bytes | None:
        """The bytes, to be kept; None: they are in the cache file already."""
        offset, length = fetch.start, fetch.stop - fetch.start
        if length >= LEAST_LANDED_BYTES and self._clock.now_s() >= self._lands_from_s:
            try:
                if self._has_landed(file, fetch):
                    return None
            except DiskTrouble:
                self._lands_from_s = self._clock.now_s() + LANDS_AGAIN_S
        return self.whole(file, offset, length)

    def whole(self, file: File, offset: int, length: int) -> bytes:
        """Exactly the bytes asked for."""
        body = self._source.read(file, offset, length)
        if len(body) != length:
            raise Corrupt(f"{file.name}: {len(body)} bytes came at {offset}, not as many as asked")
        return body

    def _has_landed(self, file: File, fetch: Fetch) -> bool:
        """Whether the source wrote them; False: there was nowhere to write to."""
        offset, length = fetch.start, fetch.stop - fetch.start
        cached = None if self._lander is None else self._blocks.land(file, length)
        if cached is None or self._lander is None:
            return False
        try:
            digests = self._lander.read_into(file, offset, length, cached.path, fetch.call_off)
        except MountfsError as error:
            self._blocks.broke_off(file, cached, offset, length)
            if isinstance(error, DiskTrouble) and not Path(cached.path).exists():
                return False  # it was evicted first, and the disk is as good as before
            raise
        self._blocks.landed(file, cached, offset, length, digests)
        return True
