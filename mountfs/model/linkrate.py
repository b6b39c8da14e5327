"""How fast bytes come and go, of all requests together."""

from __future__ import annotations

import math

MEMORY_S = 2.0
"""What came longer ago counts for half."""
TELLING_BYTES = 1024 * 1024
"""Of less, the delay before the first bytes counts as time of the link: what is left of the time is too short
to tell a fast link from a slow one, which must not be asked for more than it delivers soon."""
MOST_BURST = 8
"""Without the delay, a rate is at most so many times what it is with it."""
MOST_SHORT = 4
"""What is over within so many times the delay came at least as fast as it seems to: it lowers no rate. The
last request of an upload of 512 MiB, alone on the link, told a fifth of what all of them had."""


class LinkRate:
    """Counts while requests are under way; under its owner's lock."""

    def __init__(self, told_bytes_s: float = 0.0, most_burst: float = MOST_BURST) -> None:
        """*told_bytes_s*: as an earlier mount was told; 0: by none. *most_burst*: 1 for a rate that is rather
        too low than too high."""
        self._most_burst = most_burst
        self._under_way = 0
        self._since_s = 0.0
        self._came_bytes = 0.0
        self._least_s = math.inf
        """What the quickest request took: hardly more than the delay of the link."""
        self._is_first = True
        """Whether the delay before the first bytes is within the time that counts."""
        self.bytes_s = 0.0
        """As it was last seen."""
        self.told_bytes_s = told_bytes_s
        """As so many bytes told it last that the delay does not count; 0: none did yet."""

    def began(self, now_s: float) -> None:
        if not self._under_way:
            self._since_s, self._came_bytes, self._is_first = now_s, 0.0, True
        self._under_way += 1

    def ended(self, began_s: float, now_s: float, came_bytes: int) -> None:
        """A request that began at *began_s* is over; 0 bytes: it failed."""
        self._under_way -= 1
        if not came_bytes:
            return
        self._least_s = min(self._least_s, now_s - began_s)
        self._came_bytes += came_bytes
        passed_s = now_s - self._since_s
        is_delayed = self._is_first and self._came_bytes >= TELLING_BYTES
        flowed_s = max(passed_s - self._least_s, passed_s / self._most_burst) if is_delayed else passed_s
        self.bytes_s = self._came_bytes / flowed_s if flowed_s > 0 else math.inf
        if self._came_bytes >= TELLING_BYTES:
            is_short = passed_s < MOST_SHORT * self._least_s
            self.told_bytes_s = max(self.bytes_s, self.told_bytes_s if is_short else 0.0)
        if passed_s > MEMORY_S:
            self._since_s, self._is_first = now_s - passed_s / 2, False
            self._came_bytes /= 2


class Link:
    """Both ways of the line to the service, each under the lock of who counts there."""

    def __init__(self, told_bytes_s: float = 0.0) -> None:
        """*told_bytes_s*: how fast contents come, as an earlier mount was told; 0: by none."""
        self.down = LinkRate(told_bytes_s)
        self.up = LinkRate(most_burst=1)

    @property
    def supposed_bytes_s(self) -> float:
        """How fast contents come; before anything large came, how fast they went: lines that are slower on
        the way here are rare. 0: neither is known."""
        return self.down.told_bytes_s or self.up.told_bytes_s
