"""Whatever a worker's step meets, once: nothing is lost by it, and nothing waits for a restart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.daemon.brittle_runs import SERVICES, failures, places

RUNS = (
    [(service, times) for service in SERVICES for times in (1, 6)]
    if os.environ.get("MOUNTFS_ALL_FAULTS")
    else list(zip(SERVICES, (1, 6), strict=True))
)


@pytest.mark.parametrize(("service", "times"), RUNS)
def test_a_call_that_fails_delays_the_work_and_loses_nothing(
    tmp_path: Path, service: str, times: int
) -> None:
    """Each call of store, spool, disk, service and clock that a worker makes fails in a run of its own, at
    each place in the program that makes it, alone or with the next five of its kind.
    ``python -m tests.unit.daemon.brittle_runs`` has it fail each time it is made, with all it may raise."""
    found = places(tmp_path, service)
    assert len(found) > 80
    assert [told for place in found for told in failures(tmp_path, place, times)] == []
