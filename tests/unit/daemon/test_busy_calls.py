"""How often something that is pending calls a service that names no pause, or a far too long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mountfs.errors import MountfsError, ServerFault, Throttled
from tests.doubles.world import World

MOST_CALLS = 60
TEN_MINUTES_S = 600.0


@pytest.mark.parametrize("error", [ServerFault("503", 0.0), Throttled("429", 0.0), Throttled("429", -3.0)])
@pytest.mark.parametrize("routes", [("append_pack", "upload_whole"), ("submit",)])
def test_what_waits_for_a_service_that_names_no_pause_calls_it_ever_more_rarely(
    tmp_path: Path, routes: tuple[str, ...], error: MountfsError
) -> None:
    world = World(tmp_path)
    for index in range(20):
        world.put(f"/f{index}", b"x")
    for route in routes:
        world.backend.fail(route, error, times=10_000)
    with pytest.raises(AssertionError, match="not settled"):
        world.settle(most_s=TEN_MINUTES_S)
    assert sum(faults_met(world, route) for route in routes) <= MOST_CALLS
    world.backend.forgive()
    world.settle()
    assert len(world.account.files()) == 20
    world.close()


def faults_met(world: World, route: str) -> int:
    """How often *route* was called in vain."""
    return 10_000 - len(world.backend._faults[route])


def test_a_pause_of_a_day_ends_after_minutes_without_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("/f", b"x")
    world.backend.fail("append_pack", Throttled("429", 86400.0))
    world.settle(most_s=TEN_MINUTES_S)
    assert set(world.account.files()) == {"/f"}
    world.close()
