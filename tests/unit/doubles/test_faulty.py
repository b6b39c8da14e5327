"""A backend that fails as scheduled, and otherwise changes nothing."""

from __future__ import annotations

import inspect

import pytest

from mountfs.errors import Conflict, NoSpace, Offline
from mountfs.model.entry import Folder
from mountfs.model.path import ROOT
from mountfs.ports import Backend, Done, Running
from tests.contract.far import finish, mkdir_order
from tests.doubles.faulty import FaultyBackend
from tests.doubles.memory import MemoryBackend


@pytest.fixture
def inner() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def faulty(inner: MemoryBackend) -> FaultyBackend:
    return FaultyBackend(inner)


def test_it_has_every_method_of_the_port() -> None:
    for name, member in inspect.getmembers(Backend):
        if not name.startswith("_"):
            assert callable(getattr(FaultyBackend, name)) is callable(member), name


def test_a_call_fails_before_it_took_effect(inner: MemoryBackend, faulty: FaultyBackend) -> None:
    faulty.fail("submit", Offline("down"))
    with pytest.raises(Offline):
        faulty.submit([mkdir_order("/A")])
    assert inner.remote.folders() == set()


def test_a_reply_is_lost_after_the_call_took_effect(inner: MemoryBackend, faulty: FaultyBackend) -> None:
    faulty.fail("submit", Offline("down"), after=True)
    with pytest.raises(Offline):
        faulty.submit([mkdir_order("/A")])
    assert inner.remote.folders() == {"/A"}


def test_the_schedule_is_by_route_and_number(faulty: FaultyBackend) -> None:
    faulty.fail("list_folder", Offline("second"), skip=1)
    faulty.fail("list_folder", Offline("fourth and fifth"), skip=1, times=2)
    answers: list[object] = []
    for _ in range(6):
        try:
            answers.append(faulty.list_folder(ROOT))
        except Offline as error:
            answers.append(str(error))
    assert answers == [[], "second", [], "fourth and fifth", "fourth and fifth", []]
    assert faulty.is_spent()


@pytest.mark.parametrize("polls", [0, 2])
def test_an_order_is_refused_alone(inner: MemoryBackend, faulty: FaultyBackend, polls: int) -> None:
    inner.remote.job_polls = polls
    faulty.refuse("/b", NoSpace("full"))
    orders = [mkdir_order(path) for path in ("/a", "/b", "/c")]
    outcomes = finish(faulty, orders)
    assert [type(outcome) for outcome in outcomes] == [Folder, NoSpace, Folder]
    assert inner.remote.folders() == {"/a", "/c"}
    assert isinstance(finish(faulty, orders)[1], Folder)


def test_who_takes_a_job_over_hears_of_its_refused_orders(
    inner: MemoryBackend, faulty: FaultyBackend
) -> None:
    inner.remote.job_polls = 1
    faulty.refuse("/b", NoSpace("full"))
    orders = [mkdir_order(path) for path in ("/a", "/b", "/c")]
    launch = faulty.submit(orders)
    assert isinstance(launch, Running)
    other = FaultyBackend(MemoryBackend(inner.remote))
    while isinstance(launch, Running):
        launch = other.poll(launch.job, orders)
    assert [type(outcome) for outcome in launch.outcomes] == [Folder, NoSpace, Folder]


def test_a_batch_refused_as_a_whole_sends_nothing(inner: MemoryBackend, faulty: FaultyBackend) -> None:
    faulty.refuse("/a", Conflict("theirs"))
    assert isinstance(faulty.submit([mkdir_order("/a")]), Done)
    assert inner.remote.submits == []
    assert not isinstance(faulty.submit([mkdir_order("/a")]), Running)
