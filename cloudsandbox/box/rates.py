"""How many calls are allowed: one bucket for uploads, one for all calls."""

import math

from cloudsandbox.box.errors import Refusal
from cloudsandbox.box.switches import BoxSwitches
from cloudsandbox.rates import Bucket, bucket


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
