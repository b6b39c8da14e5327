"""The collector of cycles keeps nobody waiting for long."""

from __future__ import annotations

import gc
from collections.abc import Mapping

from mountfs.fuse.threads import GARBAGE_AFTER

MOST_AT_ONCE = 150_000
"""It stops all threads for 30 ms."""


def test_the_collector_looks_at_a_bounded_number_of_objects_that_stay() -> None:
    looked_at: list[int] = []

    def note(phase: str, told: Mapping[str, int]) -> None:
        if phase == "start":
            looked_at.append(sum(len(gc.get_objects(each)) for each in range(told["generation"] + 1)))

    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_AFTER)
    gc.callbacks.append(note)
    try:
        kept: list[list[None]] = [[] for _ in range(500_000)]
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*usual)
        gc.unfreeze()
    assert len(kept) // GARBAGE_AFTER[0] >= len(looked_at) > 0
    assert max(looked_at) <= MOST_AT_ONCE
