"""Something on the way to the service does not pass on what is committed."""

from __future__ import annotations

from collections.abc import Sequence

from mountfs.errors import NotPassedOn
from mountfs.model.order import Order
from mountfs.ports import Launch
from tests.doubles.crew import Crew
from tests.doubles.world import World
from tests.unit.commit.scenarios import check_nothing_is_left


def test_a_batch_that_is_not_passed_on_is_split_at_once(batches: World) -> None:
    """A gateway takes bodies up to a size. Each was sent twice, and waited for its first launch to end."""
    submit, sizes, begun_s = batches.backend.submit, list[int](), batches.clock.now_s()

    def submitting(orders: Sequence[Order]) -> Launch:
        sizes.append(len(orders))
        if len(orders) > 30:
            raise NotPassedOn("HTTP 413")
        return submit(orders)

    batches.backend.submit = submitting  # type: ignore[method-assign]
    for index in range(100):
        batches.mkdir(f"/d{index}")
    Crew(batches).work(lambda: batches.pending() == [])
    assert len(batches.account.folders()) == 100
    assert sizes[:3] == [100, 50, 25]
    assert len(sizes) < 12
    assert batches.clock.now_s() - begun_s < 5.0
    assert batches.notices() == []
    check_nothing_is_left(batches)


def test_an_order_that_is_never_passed_on_stays_pending_and_is_tried_ever_more_rarely(
    batches: World,
) -> None:
    submit, begun_s, blocked = batches.backend.submit, batches.clock.now_s(), list[float]()

    def submitting(orders: Sequence[Order]) -> Launch:
        if batches.clock.now_s() > begun_s + 1500.0:
            return submit(orders)
        blocked.append(batches.clock.now_s())
        raise NotPassedOn("HTTP 413")

    batches.backend.submit = submitting  # type: ignore[method-assign]
    for index in range(10):
        batches.mkdir(f"/d{index}")
    crew = Crew(batches)
    crew.work(lambda: batches.clock.now_s() - begun_s > 1200.0, most_s=1500.0)
    assert 8 < len(blocked) < 50
    assert batches.notices() == []
    assert len(batches.pending()) == 10
    crew.work(lambda: batches.pending() == [], most_s=2000.0)
    assert len(batches.account.folders()) == 10
