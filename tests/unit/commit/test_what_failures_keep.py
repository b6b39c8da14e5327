"""What failed waits for hours with its error, and that keeps nothing else in memory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from types import TracebackType

import pytest

from mountfs.errors import MountfsError, NoSpace, ServerFault
from tests.doubles.world import World
from tests.unit.commit.scenarios import ready

FILES = 30
FEW = 10
"""Of the last call, and of what pytest keeps of the log."""


def tracebacks() -> int:
    """How many there are, each with a frame and all that is in its variables."""
    gc.collect()
    return sum(isinstance(each, TracebackType) for each in gc.get_objects())


def fail(world: World, route: str, error: Callable[[], MountfsError]) -> None:
    """Whatever comes by there fails, each time with an error of its own."""
    for _ in range(20 * FILES):
        world.backend.fail(route, error())


def step_for(world: World, seconds: float) -> None:
    end_s = world.clock.now_s() + seconds
    while world.clock.now_s() < end_s:
        now_s = world.clock.now_s()
        due_s = min(step(now_s) for step in (world.core.uploader.step, world.core.committer.step))
        world.advance(max(1e-6, min(due_s, end_s) - now_s))


@pytest.mark.parametrize("lost", ["told", "untold"])
def test_orders_that_fail_keep_no_frame(side_by_side: World, lost: str) -> None:
    """On Box each of them is a batch of its own."""
    before = tracebacks()
    for number in range(FILES):
        side_by_side.put(f"/f{number}", bytes([number]))
    ready(side_by_side)
    fail(side_by_side, "submit", lambda: ServerFault("500"))
    if lost == "untold":
        fail(side_by_side, "stat", lambda: ServerFault("500"))
    step_for(side_by_side, 20.0)
    assert len(side_by_side.pending()) == FILES
    side_by_side.backend.forgive()
    assert tracebacks() <= before + FEW


def test_uploads_that_fail_alone_keep_no_frame(batches: World) -> None:
    before = tracebacks()
    for number in range(FILES):
        batches.put(f"/f{number}", bytes([number]))
    for route in ("append_pack", "upload_whole"):
        fail(batches, route, lambda: ServerFault("500"))
    step_for(batches, 60.0)
    assert len(batches.pending()) == FILES
    batches.backend.forgive()
    assert tracebacks() <= before + FEW


def test_a_full_account_keeps_no_frame(batches: World) -> None:
    before = tracebacks()
    batches.put("/f", b"x")
    batches.backend.fail("upload_whole", NoSpace("the account is full"))
    step_for(batches, 20.0)
    assert batches.core.standstill() is not None
    assert tracebacks() == before
