"""How much passes in a time: buckets of calls, and a line of so many bytes a second."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Holds what one window allows and fills again evenly; full at first."""

    capacity: float
    per_s: float
    level: float
    filled_s: float

    def take(self, now_s: float) -> float:
        """Take one call out; seconds until there is one when the bucket is empty, else 0."""
        self.level = min(self.capacity, self.level + (now_s - self.filled_s) * self.per_s)
        self.filled_s = now_s
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.per_s


def bucket(per_minute: int, window_s: float, now_s: float) -> Bucket | None:
    """A full bucket; None when there is no limit."""
    if per_minute <= 0:
        return None
    per_s = per_minute / 60
    capacity = max(1.0, per_s * window_s)
    return Bucket(capacity, per_s, capacity, now_s)


@dataclass(slots=True)
class Link:
    """One direction of the line between the service and all its clients; 0 bytes a second: no limit."""

    bytes_per_s: float = 0.0
    free_s: float = 0.0

    def take(self, count_bytes: int, now_s: float) -> float:
        """Seconds until these bytes are through, behind all that were sent before."""
        if self.bytes_per_s <= 0:
            return 0.0
        self.free_s = max(now_s, self.free_s) + count_bytes / self.bytes_per_s
        return self.free_s - now_s


class Line:
    """Both directions, with a clock and a way to wait. On the loop only."""

    def __init__(self, now_s: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._now_s = now_s
        self._sleep = sleep
        self.up = Link()
        self.down = Link()

    def apply(self, up_bytes_per_s: float, down_bytes_per_s: float) -> None:
        """Begin anew with these rates."""
        self.up, self.down = Link(up_bytes_per_s), Link(down_bytes_per_s)

    def uploaded(self, stream: AsyncIterable[bytes]) -> AsyncIterable[bytes]:
        """The pieces of a body as they come through; meanwhile no more is read, so the client waits too."""
        return self._slowly(stream) if self.up.bytes_per_s > 0 else stream

    async def _slowly(self, stream: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        async for piece in stream:
            await self._wait(self.up.take(len(piece), self._now_s()))
            yield piece

    async def download(self, count_bytes: int) -> None:
        """Wait until so many bytes are through."""
        await self._wait(self.down.take(count_bytes, self._now_s()))

    async def _wait(self, seconds: float) -> None:
        if seconds > 0:
            await self._sleep(seconds)
