"""The log of requests: what was called, when, about which paths, and how many at once."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

KEPT_RECORDS = 200_000


@dataclass(slots=True)
class RequestRecord:
    """One request. Times are seconds of the monotonic clock; end_s is None while it is in flight."""

    number: int
    route: str
    method: str
    start_s: float
    end_s: float | None = None
    status: int | None = None  # None: the connection was closed without a reply
    paths: list[str] = field(default_factory=list)
    entries: int = 0  # items of a batch
    request_bytes: int = 0
    fault: str | None = None


class Gauge:
    """How many of one thing are going on now, and the most there ever were."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Count one of *name* while the block runs."""
        self.now[name] += 1
        self.peak[name] = max(self.peak[name], self.now[name])
        try:
            yield
        finally:
            self.now[name] -= 1

    def reset(self) -> None:
        """Forget the peaks; what is going on now stays counted."""
        self.peak = Counter({name: count for name, count in self.now.items() if count})


class RequestLog:
    """All requests since the start or the last reset. Written on the server's loop, read from any thread."""

    def __init__(self) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=KEPT_RECORDS)
        self._number = 0
        self.counts: Counter[str] = Counter()
        self.requests = Gauge()
        self.jobs = Gauge()

    def begin(self, route: str, method: str, request_bytes: int) -> RequestRecord:
        """Open a record; it counts at once, whatever becomes of the request."""
        self._number += 1
        record = RequestRecord(self._number, route, method, time.monotonic(), request_bytes=request_bytes)
        self._records.append(record)
        self.counts[route] += 1
        return record

    @staticmethod
    def end(record: RequestRecord, status: int | None) -> None:
        """Close a record with the status that was sent, None when none was."""
        record.end_s = time.monotonic()
        record.status = status

    def reset(self) -> None:
        """Forget all records, counts and peaks."""
        self._records.clear()
        self.counts = Counter()
        self.requests.reset()
        self.jobs.reset()

    def records(self, route: str | None = None) -> list[RequestRecord]:
        """The records in order of arrival, of one route or of all."""
        return [record for record in list(self._records) if route is None or record.route == route]

    def paths(self) -> set[str]:
        """Every path that any argument named."""
        return {path for record in self.records() for path in record.paths}

    def summary(self) -> dict[str, object]:
        """Counts per route, and the peaks of requests and of jobs going on at once."""
        return {
            "counts": dict(self.counts),
            "total": sum(self.counts.values()),
            "peak_requests": dict(self.requests.peak),
            "peak_jobs": dict(self.jobs.peak),
        }

    def as_json(self) -> list[dict[str, object]]:
        """The records as plain objects."""
        return [asdict(record) for record in self.records()]
