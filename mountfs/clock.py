"""The real clock and the real dice; the only module of the library that asks the machine."""

import random
import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Tells one run of the machine from another: random(4)."""
    return _BOOT_ID.read_text().strip()


class SystemClock:
    """``ports.Clock`` on the machine's clocks."""

    def now_s(self) -> float:
        """Monotonic seconds: for durations and deadlines."""
        return time.monotonic()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970: for time stamps."""
        return time.time_ns()

    def jitter(self) -> float:
        """A number from [0, 1)."""
        return random.random()
