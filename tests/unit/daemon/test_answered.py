"""What waits because the service was away goes on once it has answered somebody else."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.doubles.world import MIB, World

LONG_S = 10.0
Step = Callable[[float], float]


def fails_for_long(world: World, step: Step) -> None:
    """Nobody answers, until *step* waits for long before the next try."""
    world.memory.is_online = False
    for _ in range(30):
        due_s = step(world.clock.now_s())
        wait_s = due_s - world.clock.now_s()
        if LONG_S < wait_s < 60.0:
            break
        world.advance(max(0.01, wait_s) if wait_s < 60.0 else 0.01)
    else:
        raise AssertionError("it does not fail")
    world.memory.is_online = True
    assert step(world.clock.now_s()) > world.clock.now_s() + LONG_S / 2  # it is not its time yet


def test_bytes_go_up_again(world: World) -> None:
    world.put("/a", b"x")
    uploader = world.core.uploader
    fails_for_long(world, uploader.step)
    woken: list[bool] = []
    uploader.wake = lambda: woken.append(True)
    uploader.answered()
    assert woken
    uploader.step(world.clock.now_s())
    assert not uploader.is_offline
    assert world.word("/a") == "uploaded"
    woken.clear()
    uploader.answered()
    assert not woken


def test_orders_are_sent_again(world: World) -> None:
    world.put("/a", b"x")
    world.upload_all()
    world.advance(1.0)
    committer = world.core.committer
    fails_for_long(world, committer.step)
    woken: list[bool] = []
    committer.wake = lambda: woken.append(True)
    committer.answered()
    assert woken
    committer.step(world.clock.now_s())
    assert not committer.is_offline
    world.settle()
    assert world.account.files() == {"/a": b"x"}


def test_what_an_edited_file_lacks_is_fetched_again(world: World) -> None:
    world.theirs("/f", bytes(2 * MIB))
    number = world.open("/f", os.O_WRONLY)
    world.fs.write(number, 5, b"x")
    world.close_file(number)
    filler, woken = world.core.filler, list[bool]()
    fails_for_long(world, filler.step)
    filler.wake = lambda: woken.append(True)
    filler.answered()
    assert woken
    filler.step(world.clock.now_s())
    world.settle()
    assert world.account.files()["/f"][:7] == b"\0\0\0\0\0x\0"


def test_an_outage_is_made_up_for_at_once_however_often_the_service_was_away_before(world: World) -> None:
    """A laptop on a train: each tunnel is a trouble of its own."""
    uploader, woken = world.core.uploader, list[bool]()
    uploader.wake = lambda: woken.append(True)
    for tunnel in range(6):
        world.put("/a", b"%d" % tunnel)
        fails_for_long(world, uploader.step)
        woken.clear()
        uploader.answered()
        assert woken, f"tunnel {tunnel}"
        uploader.step(world.clock.now_s())
        assert world.word("/a") == "uploaded"
        uploader.answered()
