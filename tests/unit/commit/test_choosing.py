from __future__ import annotations

import math
from dataclasses import replace

import pytest

from daemon.commit.choosing import (
    HURRIED_FILLING_S,
    JOBS_WORTH,
    STARVED_S,
    Moment,
    Queue,
    choose,
)
from mountfs.model.order import OrderKind

NOW_S = 100.0
JOB_S = 1.0
FILLING_S = JOBS_WORTH * JOB_S
QUIET = Moment(NOW_S, quiet_in_s=0.0, job_s=JOB_S)
BUSY = replace(QUIET, quiet_in_s=0.2)
FILLING = replace(QUIET, is_filling=True)
PUT, DELETE = OrderKind.PUT, OrderKind.DELETE


def queue(count: int, *, waited_s: float = 0.0, most: int = 1000) -> Queue:
    return Queue(count, NOW_S - waited_s, most)


def one_at_a_time(moment: Moment, **queues: Queue) -> OrderKind | float:
    return choose(_by_kind(queues), moment, is_side_by_side=False)


def several(moment: Moment, **queues: Queue) -> OrderKind | float:
    return choose(_by_kind(queues), moment, is_side_by_side=True)


def _by_kind(queues: dict[str, Queue]) -> dict[OrderKind, Queue]:
    return {OrderKind(kind): queue for kind, queue in queues.items()}


def test_nothing_to_do_asks_for_nothing() -> None:
    assert one_at_a_time(QUIET) == math.inf
    assert one_at_a_time(FILLING, put=queue(0)) == math.inf


def test_a_batch_goes_when_nothing_is_on_its_way_that_could_join_it() -> None:
    assert one_at_a_time(QUIET, put=queue(1)) is PUT


def test_a_batch_waits_until_programs_pause() -> None:
    assert one_at_a_time(BUSY, put=queue(1)) == NOW_S + 0.2


def test_a_batch_waits_while_others_arrive_but_not_for_ever() -> None:
    assert one_at_a_time(FILLING, put=queue(1)) == NOW_S + FILLING_S
    assert one_at_a_time(FILLING, put=queue(1, waited_s=FILLING_S)) is PUT
    assert one_at_a_time(BUSY, put=queue(1, waited_s=FILLING_S)) is PUT


def test_somebody_waiting_shortens_that() -> None:
    hurried = replace(BUSY, is_hurried=True)
    assert one_at_a_time(hurried, put=queue(1)) is PUT
    filling = replace(hurried, is_filling=True)
    assert one_at_a_time(filling, put=queue(1)) == NOW_S + HURRIED_FILLING_S
    assert one_at_a_time(filling, put=queue(1, waited_s=HURRIED_FILLING_S)) is PUT


@pytest.mark.parametrize("choose_of", [one_at_a_time, several])
def test_a_full_batch_goes_at_once(choose_of: object) -> None:
    assert callable(choose_of)
    assert choose_of(FILLING, put=queue(3, most=3)) is PUT
    assert choose_of(FILLING, put=queue(5, most=3)) is PUT
    assert choose_of(FILLING, put=queue(2, most=3)) == NOW_S + FILLING_S


def test_a_batch_of_another_kind_goes_while_one_waits_for_company() -> None:
    assert one_at_a_time(FILLING, put=queue(2), delete=queue(1, waited_s=FILLING_S)) is DELETE


def test_the_largest_kind_goes_first_unless_another_starves() -> None:
    assert one_at_a_time(QUIET, delete=queue(1, waited_s=1.0), put=queue(2)) is PUT
    assert one_at_a_time(QUIET, delete=queue(1, waited_s=STARVED_S), put=queue(2)) is DELETE


def test_what_does_not_fit_into_the_batch_makes_it_no_larger() -> None:
    assert one_at_a_time(QUIET, delete=queue(9, most=3), put=queue(4)) is PUT


# Several at once


def test_where_a_batch_is_one_order_none_waits_for_company() -> None:
    busy = replace(BUSY, is_filling=True)
    assert several(busy, put=queue(2, most=1)) is PUT


def test_what_has_been_ready_for_longest_goes_first_whatever_its_kind() -> None:
    queues = {"put": queue(7, waited_s=1.0, most=1), "delete": queue(1, waited_s=2.0, most=1)}
    assert several(QUIET, **queues) is DELETE
    assert several(QUIET, **(queues | {"mkdir": queue(1, waited_s=3.0, most=1)})) is OrderKind.MAKE_FOLDER
