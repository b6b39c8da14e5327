"""Nothing is left lying: whoever sleeps is woken, and what a step dropped is taken up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from daemon.commit.planlooks import REST_S
from mountfs.errors import Forbidden
from mountfs.model.order import OrderKind
from mountfs.tree.plan import LOOKED_AT_ONCE
from tests.doubles.world import World
from tests.unit.commit.scenarios import check_nothing_is_left, ready, sent


def lull(world: World) -> list[None]:
    """Steps the committer until it would sleep for ever; its later wake-ups."""
    woken: list[None] = []
    world.core.committer.wake = lambda: woken.append(None)
    while not math.isinf(due_s := world.core.committer.step(world.clock.now_s())):
        world.advance(max(0.0, due_s - world.clock.now_s()))
    woken.clear()
    return woken


def removal_waiting_for_a_new_version(world: World) -> int:
    """A file is removed and written anew under its name, as some editors save; the handle, still open."""
    world.account.write("/a", b"old")
    world.fs.unlink("/a")
    return world.begin("/a", b"new")


@pytest.mark.parametrize("name", ["/b", "/~$a"])
def test_a_removal_goes_once_the_new_version_it_waited_for_got_another_name(world: World, name: str) -> None:
    number = removal_waiting_for_a_new_version(world)
    woken = lull(world)
    assert sent(world) == []
    world.rename("/a", name)
    assert woken
    lull(world)
    assert sent(world) == [(OrderKind.DELETE, "/a")]
    world.close_file(number)
    assert world.get(name) == b"new"


def test_a_removal_goes_once_the_new_version_it_waited_for_is_removed(world: World) -> None:
    number = removal_waiting_for_a_new_version(world)
    woken = lull(world)
    world.fs.unlink("/a")
    assert woken
    lull(world)
    assert sent(world) == [(OrderKind.DELETE, "/a")]
    world.close_file(number)
    world.settle()
    check_nothing_is_left(world)


def test_what_stayed_here_goes_once_the_folder_above_has_a_name_that_travels(world: World) -> None:
    world.mkdir("/~$d")
    world.put("/~$d/a", b"a")
    world.upload_all()
    woken = lull(world)
    world.rename("/~$d", "/d")
    assert woken
    world.settle()
    assert world.account.files() == {"/d/a": b"a"}


def test_much_that_has_changed_is_looked_at_no_faster_when_the_committer_is_woken_often(world: World) -> None:
    for number in range(3 * LOOKED_AT_ONCE):
        world.put(f"/{number}", b"")
    world.restart()
    for steps in range(1, 3):
        for _ in range(5):
            world.core.committer.step(world.clock.now_s())
        assert world.core.plan.looks == steps * LOOKED_AT_ONCE
        world.advance(REST_S)
    world.settle()
    check_nothing_is_left(world)


def test_what_waited_for_a_refused_folder_goes_once_that_has_another_name(side_by_side: World) -> None:
    side_by_side.mkdir("/d")
    side_by_side.put("/d/a", b"a")
    side_by_side.backend.refuse("/d", Forbidden("no"))
    side_by_side.upload_all()
    woken = lull(side_by_side)
    assert side_by_side.pending() == [("/d", "failed"), ("/d/a", "failed")]
    side_by_side.rename("/d", "/e")
    assert woken
    side_by_side.settle()
    assert side_by_side.account.files() == {"/e/a": b"a"}


def test_a_new_file_is_noticed_although_the_one_noticed_before_it_was_removed_unseen(world: World) -> None:
    woken = lull(world)
    world.put("/a", b"a")
    assert woken
    world.fs.unlink("/a")
    woken.clear()
    world.put("/b", b"b")
    assert woken


def test_what_was_ready_only_while_somebody_waited_goes_when_it_has_settled(world: World) -> None:
    """It is found ready; when it is about to be sent, nobody waits any more, and its name is young."""
    world.put("/a", b"a")
    world.upload_all()
    core = world.core
    take = core.plan.take

    def relax(*arguments: Any) -> Any:
        core.plan.take = take  # type: ignore[method-assign]
        core.urgency.relax()
        return take(*arguments)

    core.plan.take = relax  # type: ignore[assignment,method-assign]
    core.urgency.hurry()
    lull(world)
    assert world.account.files() == {"/a": b"a"}


def test_a_closed_file_wakes_the_committer_once_its_bytes_are_up(world: World) -> None:
    woken = lull(world)
    world.put("/a", b"a")
    world.upload_all()
    assert woken
    lull(world)
    assert world.account.files() == {"/a": b"a"}


class Interrupted:
    """A lock before which somebody else gets a turn, once."""

    def __init__(self, lock: Any, turn: Callable[[], object]) -> None:
        self._lock = lock
        self._turns = [turn]

    def __enter__(self) -> None:
        while self._turns:
            self._turns.pop()()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_step_that_breaks_off_while_another_one_looks_leaves_nothing_behind(side_by_side: World) -> None:
    side_by_side.put("/a", b"a")
    ready(side_by_side)
    core = side_by_side.core
    submit, lock = side_by_side.backend.submit, core.tree.lock

    def break_off(orders: object) -> None:
        side_by_side.backend.submit = submit  # type: ignore[method-assign]
        core.tree.lock = Interrupted(  # type: ignore[assignment]
            lock, lambda: core.committer.step(side_by_side.clock.now_s())
        )
        raise TypeError

    side_by_side.backend.submit = break_off  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        core.committer.step(side_by_side.clock.now_s())
    core.tree.lock = lock
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"a"}
    check_nothing_is_left(side_by_side)


def test_who_had_to_wait_before_a_look_takes_no_longer_rest_for_that(world: World) -> None:
    """A disk that stalls somebody else's transaction stalls whoever wants the lock."""
    world.put("/a", b"a")
    world.upload_all()
    tree = world.core.tree
    lock = tree.lock
    tree.lock = Interrupted(lock, lambda: world.advance(3.0))  # type: ignore[assignment]
    world.core.committer.step(world.clock.now_s())
    tree.lock = lock
    world.put("/b", b"b")
    world.settle(most_s=2.0)
    assert world.account.files() == {"/a": b"a", "/b": b"b"}


def test_a_look_in_which_the_machine_stood_still_is_followed_by_a_short_rest(world: World) -> None:
    world.put("/a", b"a")
    world.upload_all()
    plan = world.core.plan
    look = plan.look

    def stall(now_s: float) -> float:
        plan.look = look  # type: ignore[method-assign]
        world.advance(600.0)
        return look(now_s)

    plan.look = stall  # type: ignore[method-assign]
    world.core.committer.step(world.clock.now_s())
    world.put("/b", b"b")
    world.settle(most_s=10.0)
    assert world.account.files() == {"/a": b"a", "/b": b"b"}
