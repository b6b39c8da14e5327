"""Waiting for what happens on other threads and in other processes."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 40.0
"""Reached only when a test fails: far beyond what anything takes on a busy machine."""

LOOK_EVERY_S = 0.005
"""Between the first looks; most ask a process, which costs about as much."""

LOOK_EVERY_S_AT_LAST = 0.05


def until(
    is_so: Callable[[], object],
    what: str,
    deadline_s: float = DEADLINE_S,
    *,
    look_every_s: float = LOOK_EVERY_S,
) -> None:
    """Returns once *is_so* gives something true; fails with *what* after the deadline. Who has waited long
    looks less often, so that a wait takes at most a tenth longer."""
    begun_s = time.monotonic()
    while not is_so():
        waited_s = time.monotonic() - begun_s
        assert waited_s < deadline_s, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(max(look_every_s, min(waited_s / 10, LOOK_EVERY_S_AT_LAST)))
