"""Waiting for what happens on other threads and in other processes."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 40.0
"""Reached only when a test fails: far beyond what anything takes on a busy machine."""

LOOK_EVERY_S = 0.005
"""Between two looks; most ask a process, which costs about as much."""


def until(
    is_so: Callable[[], object],
    what: str,
    deadline_s: float = DEADLINE_S,
    *,
    look_every_s: float = LOOK_EVERY_S,
) -> None:
    """Returns once *is_so* gives something true; fails with *what* after the deadline."""
    end_s = time.monotonic() + deadline_s
    while not is_so():
        assert time.monotonic() < end_s, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(look_every_s)
