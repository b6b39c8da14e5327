"""How many calls are allowed: one bucket for uploads, one for all calls."""

import math
from dataclasses import dataclass

from cloudsandbox.box.errors import Refusal
from cloudsandbox.box.switches import BoxSwitches


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


class Rates:
    """The buckets of an account. On the loop only."""

    def __init__(self) -> None:
        self._uploads: Bucket | None = None
        self._calls: Bucket | None = None

    def apply(self, switches: BoxSwitches, now_s: float) -> None:
        """Begin anew with full buckets of these sizes."""
        self._uploads = bucket(switches.uploads_per_minute, switches.rate_window_s, now_s)
        self._calls = bucket(switches.calls_per_minute, switches.rate_window_s, now_s)

    def take(self, is_upload: bool, now_s: float) -> None:
        """Count one call. Raises Refusal (429) with the whole seconds to wait."""
        buckets = [self._calls, self._uploads if is_upload else None]
        wait_s = max((each.take(now_s) for each in buckets if each is not None), default=0.0)
        if wait_s > 0:
            raise Refusal(
                429,
                "rate_limit_exceeded",
                "Request rate limit exceeded, please try again later",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )
