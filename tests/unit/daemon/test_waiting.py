"""Waiting until something got on, and for the service's word on one version of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from daemon.waiting import CommitWaiter
from mountfs.errors import Forbidden, Offline, Refused
from mountfs.tree.content import Content
from tests.doubles.world import World
from tests.unit.daemon.fakes import PATIENCE_S

LONG_S = 600.0
"""On the world's own clock, which stands still."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def waiter(world: World) -> CommitWaiter:
    core = world.core
    return CommitWaiter(core.tree, core.waiting, core.urgency, world.clock)


def written(world: World, path: str, body: bytes = b"x") -> Content:
    world.put(path, body)
    content = world.state(path).content
    assert content is not None
    return content


class Waiting:
    """A thread that waits for the service's word; how that ended."""

    def __init__(self, waiter: CommitWaiter, content: Content) -> None:
        self.error: Exception | None = None
        self._call = (waiter, content)
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        waiter, content = self._call
        try:
            waiter.wait_committed(content, LONG_S)
        except Exception as error:
            self.error = error

    def end(self) -> Exception | None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.error


def test_whoever_waits_goes_on_when_anything_got_on(world: World) -> None:
    thread = Thread(target=world.core.waiting.wait, args=(PATIENCE_S * 6,))
    thread.start()
    for index in range(1000):
        world.put(f"/f{index}", b"x")
        thread.join(0.01)
        if not thread.is_alive():
            break
    assert not thread.is_alive()


def test_whoever_waits_goes_on_when_the_time_is_up(world: World) -> None:
    world.core.waiting.wait(0.0)


def test_it_returns_once_the_version_is_committed(world: World, waiter: CommitWaiter) -> None:
    waiting = Waiting(waiter, written(world, "/f"))
    world.settle()
    assert waiting.end() is None
    assert world.remote() == {"/f": b"x"}


def test_a_version_that_is_committed_is_not_waited_for(world: World, waiter: CommitWaiter) -> None:
    content = written(world, "/f")
    world.settle()
    waiter.wait_committed(content, 0.0)


def test_a_version_that_was_replaced_is_not_waited_for(world: World, waiter: CommitWaiter) -> None:
    content = written(world, "/f", b"first")
    written(world, "/f", b"second")
    waiter.wait_committed(content, 0.0)


def test_a_file_that_was_removed_is_not_waited_for(world: World, waiter: CommitWaiter) -> None:
    content = written(world, "/f")
    world.fs.unlink("/f")
    waiter.wait_committed(content, 0.0)


def test_a_version_that_is_committed_under_another_name_is_committed(
    world: World, waiter: CommitWaiter
) -> None:
    waiting = Waiting(waiter, written(world, "/f"))
    world.rename("/f", "/g")
    world.settle()
    assert waiting.end() is None


def test_a_refusal_is_told_with_its_reason(world: World, waiter: CommitWaiter) -> None:
    world.backend.refuse("/f", Forbidden("not here"), times=20)
    waiting = Waiting(waiter, written(world, "/f"))
    world.settle()
    error = waiting.end()
    assert isinstance(error, Refused)
    assert str(error) == "not here"


def test_when_the_time_is_up_it_says_what_is_not_committed(world: World, waiter: CommitWaiter) -> None:
    with pytest.raises(Offline, match="/f is not committed after 0 s"):
        waiter.wait_committed(written(world, "/f"), 0.0)


def test_while_somebody_waits_nothing_settles_and_afterwards_names_settle_again(
    world: World, waiter: CommitWaiter
) -> None:
    urgency = world.core.urgency
    pressed: list[bool] = []
    urgency.watch(lambda: pressed.append(urgency.is_pressing))
    waiting = Waiting(waiter, written(world, "/f"))
    world.settle()
    waiting.end()
    assert pressed == [True]
    assert not urgency.is_pressing


def test_a_wait_that_fails_lets_names_settle_again(world: World, waiter: CommitWaiter) -> None:
    with pytest.raises(Offline):
        waiter.wait_committed(written(world, "/f"), 0.0)
    assert not world.core.urgency.is_pressing
