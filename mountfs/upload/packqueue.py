"""Small files that wait to go up: which of them share a pack, which are tried alone, and when."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice

from mountfs.errors import MountfsError
from mountfs.model.pacing import Pacer
from mountfs.upload.packing import fitting

UNLIMITED = 1 << 30


UNTRIED = Pacer()
"""That of all files that have not failed: 100,000 may wait, and one of its own takes as much as the rest."""


@dataclass(slots=True)
class Waiting:
    """A small file that is whole, and waits since ``since_s``.

    ``most_in_pack``: it goes in no pack of more files, because its last pack failed as a whole.
    ``is_parked``: it failed in a pack of its own, and is tried from time to time.
    """

    content_id: int
    size_bytes: int
    since_s: float
    pacer: Pacer = UNTRIED
    most_in_pack: int = UNLIMITED
    is_parked: bool = False


class PackQueue:
    """First in, first out; not thread-safe, its owner locks.

    A request that fails as a whole does not say which file makes it fail, so its files go on in packs of half
    the size. Packs without the guilty file succeed. In the end that file is alone in a pack: then it is
    parked, and no other file waits for it. Of 100 files it is found after seven halvings.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        """Bytes of the files that are not parked."""
        self._waiting: dict[int, Waiting] = {}
        self._parked: dict[int, Waiting] = {}
        self._by_time: list[tuple[float, int]] = []
        """A heap: when each parked file may be tried, and its content's id. A file that has left the queue
        stays here until its entry comes first."""
        self._parked_pacer = Pacer()
        """Holds back all parked files together: where the service fails for every file, all get parked."""
        self._put_off = 0
        """How many of the waiting files failed before, and may go only at times of their own."""

    def __contains__(self, content_id: int) -> bool:
        return content_id in self._waiting or content_id in self._parked

    def __len__(self) -> int:
        """How many files wait; parked ones do not count."""
        return len(self._waiting)

    @property
    def has_fresh(self) -> bool:
        """Whether any waiting file has not failed before, and so may go with the next pack."""
        return self._put_off < len(self._waiting)

    @property
    def trouble(self) -> Waiting | None:
        """A file that is parked; None: none is."""
        return next(iter(self._parked.values()), None)

    def add(self, waiting: Waiting) -> None:
        if waiting.is_parked:
            self._parked[waiting.content_id] = waiting
            heappush(self._by_time, (waiting.pacer.ready_s, waiting.content_id))
            return
        self._waiting[waiting.content_id] = waiting
        self.size_bytes += waiting.size_bytes
        self._put_off += bool(waiting.pacer.failures)

    def remove(self, content_id: int) -> None:
        """Takes the content out, if it is here."""
        self._parked.pop(content_id, None)
        waiting = self._waiting.pop(content_id, None)
        if waiting is not None:
            self.size_bytes -= waiting.size_bytes
            self._put_off -= bool(waiting.pacer.failures)

    def next_pack(self, now_s: float, most_entries: int, most_bytes: int) -> list[Waiting]:
        """The files of the next pack, which stay in the queue; at least one, if any may go at *now_s*."""
        ready = self._ready(now_s, most_entries + 1)
        if not ready:
            return []
        count, _ = fitting((each.size_bytes for each in ready), most_entries, most_bytes)
        pack: list[Waiting] = []
        most = max(1, count)
        for waiting in ready:
            most = min(most, waiting.most_in_pack)
            if len(pack) >= most:
                break
            pack.append(waiting)
        return pack

    def oldest(self, now_s: float, most_entries: int, most_bytes: int) -> tuple[Waiting | None, bool]:
        """The first file that may go at *now_s* (None: none may), and whether those that may fill a pack."""
        if not self._put_off:
            # This is asked after each file that is closed, so it does not go through those that wait.
            first = next(iter(self._waiting.values()), None)
            return first, len(self._waiting) >= most_entries or self.size_bytes >= most_bytes
        ready = self._ready(now_s, most_entries + 1)
        if not ready:
            return None, False
        return ready[0], fitting((each.size_bytes for each in ready), most_entries, most_bytes)[1]

    def ready_s(self) -> float:
        """When the first waiting file may go; ``math.inf``: none waits."""
        return min((waiting.pacer.ready_s for waiting in self._waiting.values()), default=math.inf)

    def _ready(self, now_s: float, most: int) -> list[Waiting]:
        return list(islice(self._may_go(now_s), most))

    def _may_go(self, now_s: float) -> Iterator[Waiting]:
        return (waiting for waiting in self._waiting.values() if waiting.pacer.ready_s <= now_s)

    # Parked files

    def parked_s(self) -> float:
        """When the next parked file may be tried; ``math.inf``: none is parked."""
        first = self.next_parked()
        return math.inf if first is None else max(first.pacer.ready_s, self._parked_pacer.ready_s)

    def next_parked(self) -> Waiting | None:
        """The parked file whose time comes first."""
        while self._by_time:
            ready_s, content_id = self._by_time[0]
            waiting = self._parked.get(content_id)
            if waiting is not None and waiting.pacer.ready_s == ready_s:
                return waiting
            heappop(self._by_time)
        return None

    def parked_failed(
        self, waiting: Waiting, error: MountfsError, *, started_s: float, now_s: float, jitter: float
    ) -> None:
        """*waiting* failed in a pack of its own. If one parked file after the other fails and no file
        succeeds, the service fails for every file: the pauses between tries grow for all of them."""
        waiting.is_parked = True
        self._parked_pacer.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)

    def succeeded(self) -> None:
        """The service took a file: the common pause of the parked files ends, and each has only its own."""
        self._parked_pacer.succeeded()
