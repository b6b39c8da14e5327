"""One order after the other fails, though the service answers: how often it is asked while that lasts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from daemon.commit.troubles import IN_A_ROW
from mountfs.errors import MountfsError, ServerFault
from mountfs.model.order import Order, Put
from mountfs.ports import Launch
from tests.doubles.crew import Crew
from tests.doubles.world import World

FILES = 100
QUARTER_S = 900.0
MOST_A_MINUTE = 10
"""Two workers, each half a minute or more apart from its last try: a file alone makes less than one."""


def fail(world: World, route: str) -> Callable[[], None]:
    """Whatever comes by there fails until the returned call is made."""
    queue = world.backend._faults[route]
    error: MountfsError = ServerFault("HTTP 500")
    world.backend.fail(route, error, times=100_000)
    return queue.clear


def put_all(world: World, count: int) -> Crew:
    for number in range(count):
        world.put(f"/f{number}", number.to_bytes(4))
    return Crew(world)


def work_for(crew: Crew, seconds: float) -> None:
    end_s = crew.world.clock.now_s() + seconds
    crew.work(lambda: crew.world.clock.now_s() >= end_s, most_s=seconds + 60.0)


@pytest.mark.parametrize("routes", [("submit",), ("submit", "stat")])
def test_a_service_that_fails_at_everything_is_asked_as_rarely_as_by_few(
    side_by_side: World, routes: tuple[str, ...]
) -> None:
    ends = [fail(side_by_side, route) for route in routes]
    crew = put_all(side_by_side, FILES)
    work_for(crew, 60.0)
    before = {route: len(side_by_side.backend._faults[route]) for route in routes}
    work_for(crew, QUARTER_S)
    tries = {route: before[route] - len(side_by_side.backend._faults[route]) for route in routes}
    assert all(count <= MOST_A_MINUTE * QUARTER_S / 60.0 for count in tries.values()), tries
    for end in ends:
        end()
    crew.work(lambda: not side_by_side.pending(), most_s=700.0)
    assert len(side_by_side.account.files()) == FILES


def test_few_files_that_fail_again_and_again_keep_no_other_waiting(
    side_by_side: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = side_by_side.backend.submit

    def stumbling(orders: Sequence[Order]) -> Launch:
        if orders[0].place.path.name.startswith("f"):
            raise ServerFault("HTTP 500")
        return submit(orders)

    monkeypatch.setattr(side_by_side.backend, "submit", stumbling)
    crew = put_all(side_by_side, IN_A_ROW - 1)
    for number in range(10):
        work_for(crew, 30.0)
        side_by_side.put(f"/other{number}", b"o")
        work_for(crew, 3.0)
        assert side_by_side.account.get(f"/other{number}") is not None


def fail_uploads(world: World, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Whatever gives a file its bytes fails from here on, and nothing else does. Returns the times of these
    tries."""
    submit, tries = world.memory.submit, list[float]()

    def failing(orders: Sequence[Order]) -> Launch:
        if not isinstance(orders[0], Put):
            return submit(orders)
        tries.append(world.clock.now_s())
        raise ServerFault("HTTP 500")

    monkeypatch.setattr(world.memory, "submit", failing)
    return tries


def test_what_is_no_upload_takes_effect_while_all_uploads_fail(
    side_by_side: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mv`, `rm` and `mkdir`, though many files have been waiting for longer."""
    for name in ("old", "gone"):
        side_by_side.theirs(f"/{name}", b"x")
    side_by_side.tree()
    fail_uploads(side_by_side, monkeypatch)
    crew = put_all(side_by_side, 3 * FILES)
    work_for(crew, 60.0)
    side_by_side.rename("/old", "/new")
    side_by_side.fs.unlink("/gone")
    side_by_side.mkdir("/folder")
    work_for(crew, 10.0)
    assert side_by_side.remote() == {"/new": b"x", "/folder": None}


def test_what_takes_effect_meanwhile_has_no_upload_tried_more_often(
    side_by_side: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    side_by_side.theirs("/a", b"x")
    side_by_side.tree()
    tries = fail_uploads(side_by_side, monkeypatch)
    crew = put_all(side_by_side, 3 * FILES)
    work_for(crew, 60.0)
    before = len(tries)
    for number in range(60):
        side_by_side.rename(*(("/a", "/b"), ("/b", "/a"))[number % 2])
        work_for(crew, QUARTER_S / 60)
    assert side_by_side.account.get("/a") is not None
    assert len(tries) - before <= MOST_A_MINUTE * QUARTER_S / 60.0
