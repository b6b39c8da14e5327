"""Our version arrived, its reply was lost, and somebody else replaced it before anybody looked: it is in the
file's history, and needs neither another commit nor a copy beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import Forbidden, MountfsError, NotSupported, Offline, ServerFault, Throttled
from mountfs.model.entry import File
from mountfs.ports import BackendLimits
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.commit.scenarios import calls, check_nothing_is_left, ready
from tests.unit.commit.test_lost_replies import SERIAL_LIMITS

LIMITS = {"serial": SERIAL_LIMITS, "several": SIDE_BY_SIDE_LIMITS}
LOOKED_BACK = "revisions_before"


@pytest.fixture(params=LIMITS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    limits: BackendLimits = LIMITS[request.param]
    world = World(tmp_path, limits=limits)
    world.account.clock = world.clock
    yield world
    world.close()


@pytest.fixture(params=[False, True], ids=["new file", "new version"])
def has_base(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def lose_reply(world: World, *, has_base: bool, took_effect: bool = True) -> None:
    """/f of ours is committed, and nobody here is told; or it is not, likewise."""
    if has_base:
        world.account.write("/f", b"base")
    world.follow()
    world.put("/f", b"ours")
    ready(world)
    world.backend.fail("submit", Offline("cut"), after=took_effect)
    while not world.backend.is_spent():
        world.commit_steps(1)


def others_write(world: World, *bodies: bytes) -> None:
    for body in bodies:
        world.account.write("/f", body)


def history(world: World) -> list[bytes | None]:
    """Bytes of the revisions of what stands at /f, the oldest first."""
    head = world.account.get("/f")
    assert isinstance(head, File)
    revisions = [*world.account.tree.revisions_before(head, None)[::-1], head]
    return [world.account.tree.body(each.revision) for each in revisions]


def check(world: World, *, head: bytes, has_base: bool) -> None:
    """Ours is in the history, *head* is what both sides have, and there is nothing to tell."""
    world.settle()
    world.follow()
    assert world.account.files() == {"/f": head}
    assert world.tree() == {"/f": head}
    assert history(world) == [*([b"base"] if has_base else []), b"ours", *history(world)[1 + has_base :]]
    assert history(world).count(b"ours") == 1
    assert world.notices() == []
    check_nothing_is_left(world)


@pytest.mark.parametrize("is_killed", [False, True], ids=["lost reply", "killed"])
@pytest.mark.parametrize("theirs", [(b"one",), (b"one", b"two"), (b"one", b"two", b"three")], ids=len)
def test_what_others_replaced_before_we_looked_is_not_laid_beside(
    world: World, has_base: bool, theirs: tuple[bytes, ...], is_killed: bool
) -> None:
    lose_reply(world, has_base=has_base)
    others_write(world, *theirs)
    if is_killed:
        world.restart()
    check(world, head=theirs[-1], has_base=has_base)


def test_what_others_put_back_over_ours_is_not_replaced_by_ours_again(world: World) -> None:
    lose_reply(world, has_base=True)
    others_write(world, b"base")
    check(world, head=b"base", has_base=True)


def test_what_others_replaced_while_it_was_looked_for_is_not_laid_beside(
    world: World, has_base: bool
) -> None:
    """The service carries it out only after the first looks."""
    world.account.job_s = 2.0
    lose_reply(world, has_base=has_base)
    world.commit_steps(3)
    world.advance(3.0)
    assert world.account.files() == {"/f": b"ours"}
    others_write(world, b"one", b"two")
    check(world, head=b"two", has_base=has_base)


def test_the_same_bytes_that_others_wrote_and_replaced_are_no_conflict(world: World, has_base: bool) -> None:
    if has_base:
        world.account.write("/f", b"base")
    world.follow()
    world.put("/f", b"ours")
    others_write(world, b"ours", b"theirs")
    check(world, head=b"theirs", has_base=has_base)


# What is ours is judged by what came after the base


def beside(world: World) -> set[bytes]:
    """The bytes of all copies."""
    files = world.account.files()
    return {body for path, body in files.items() if "conflicted copy" in path}


def test_what_the_file_was_before_our_base_is_not_taken_for_ours(world: World) -> None:
    for body in (b"ours", b"another"):
        world.account.write("/f", body)
    world.follow()
    world.put("/f", b"ours")
    others_write(world, b"theirs")
    world.settle()
    assert world.account.files()["/f"] == b"theirs"
    assert beside(world) == {b"ours"}


def test_what_took_no_effect_lies_beside(world: World, has_base: bool) -> None:
    lose_reply(world, has_base=has_base, took_effect=False)
    others_write(world, b"one", b"two")
    world.settle()
    assert world.account.files()["/f"] == b"two"
    assert beside(world) == {b"ours"}


def test_another_file_of_that_name_leaves_ours_beside(world: World, has_base: bool) -> None:
    """Who removed ours did not replace it: its bytes are in no history that is shown."""
    lose_reply(world, has_base=has_base)
    world.account.remove("/f")
    others_write(world, b"one")
    world.settle()
    assert world.account.files()["/f"] == b"one"
    assert beside(world) == {b"ours"}


# What is done here meanwhile


def test_our_next_version_was_made_without_theirs_and_lies_beside(world: World, has_base: bool) -> None:
    lose_reply(world, has_base=has_base)
    others_write(world, b"one", b"two")
    world.put("/f", b"next")
    world.settle()
    assert world.account.files()["/f"] == b"two"
    assert beside(world) == {b"next"}
    assert history(world).count(b"ours") == 1
    check_nothing_is_left(world)


def test_a_removal_meanwhile_spares_theirs(world: World, has_base: bool) -> None:
    lose_reply(world, has_base=has_base)
    others_write(world, b"one", b"two")
    world.fs.unlink("/f")
    world.settle()
    world.follow()
    assert world.account.files() == world.tree() == {"/f": b"two"}
    check_nothing_is_left(world)


def test_a_rename_meanwhile_takes_the_file_along(world: World, has_base: bool) -> None:
    lose_reply(world, has_base=has_base)
    others_write(world, b"one", b"two")
    world.rename("/f", "/g")
    world.settle()
    world.follow()
    assert world.account.files() == world.tree() == {"/g": b"two"}
    check_nothing_is_left(world)


# The history cannot be had


def test_without_a_history_ours_lies_beside(world: World, has_base: bool) -> None:
    world.account.tree.keeps_history = False
    lose_reply(world, has_base=has_base)
    others_write(world, b"one", b"two")
    world.settle()
    assert world.account.files()["/f"] == b"two"
    assert beside(world) == {b"ours"}
    check_nothing_is_left(world)


@pytest.mark.parametrize("error", [Forbidden("no scope"), NotSupported("not of this account")])
def test_where_the_history_is_refused_ours_lies_beside(
    world: World, has_base: bool, error: MountfsError
) -> None:
    lose_reply(world, has_base=has_base)
    others_write(world, b"one", b"two")
    world.backend.fail(LOOKED_BACK, error, times=2)
    world.settle()
    assert world.account.files()["/f"] == b"two"
    assert beside(world) == {b"ours"}


@pytest.mark.parametrize("error", [Offline("cut"), ServerFault("500"), Throttled("slow", 20.0)])
def test_a_history_that_fails_for_now_is_asked_for_again_and_nothing_is_sent(
    world: World, has_base: bool, error: MountfsError
) -> None:
    lose_reply(world, has_base=has_base)
    others_write(world, b"one", b"two")
    world.backend.fail(LOOKED_BACK, error, times=7)
    submits = len(world.account.submits)
    world.settle(3600.0)
    assert world.backend.is_spent()
    assert len(world.account.submits) == submits
    assert calls(world)[LOOKED_BACK] == 1
    check(world, head=b"two", has_base=has_base)


def test_a_conflict_whose_history_fails_for_now_is_decided_later(world: World) -> None:
    world.put("/f", b"ours")
    others_write(world, b"theirs")
    world.backend.fail(LOOKED_BACK, ServerFault("500"), times=3)
    world.settle(3600.0)
    assert world.account.files()["/f"] == b"theirs"
    assert beside(world) == {b"ours"}


def test_while_a_history_fails_no_other_file_waits(world: World) -> None:
    lose_reply(world, has_base=True)
    others_write(world, b"one", b"two")
    world.backend.fail(LOOKED_BACK, ServerFault("500"), times=1_000_000)
    world.put("/g", b"g")
    world.advance(120.0)

    def is_sent() -> bool:
        world.commit_steps(20)
        world.upload_all()
        world.advance(10.0)
        return "/g" in world.account.files()

    assert any(is_sent() for _ in range(100))
    assert dict(world.pending()) == {"/f": "committing"}
    world.backend.forgive()
    world.settle(3600.0)
    assert world.account.files() == {"/f": b"two", "/g": b"g"}


# What it costs


def test_only_a_head_that_nobody_can_explain_is_looked_behind(world: World) -> None:
    world.account.write("/base", b"base")
    world.follow()
    for path in ("/base", "/new"):
        world.put(path, b"ours")
    world.settle()
    for took_effect in (True, False):
        world.put("/base", b"next %d" % took_effect)
        world.put(f"/new {took_effect}", b"new")
        ready(world)
        world.backend.fail("submit", Offline("cut"), after=took_effect, times=2)
        world.settle()
    assert LOOKED_BACK not in calls(world)


def test_of_many_histories_that_fail_only_some_are_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SERIAL_LIMITS)
    for number in range(50):
        world.put(f"/{number}", b"ours")
    ready(world)
    world.backend.fail("submit", Offline("cut"), after=True)
    while not world.backend.is_spent():
        world.commit_steps(1)
    for number in range(50):
        world.account.write(f"/{number}", b"theirs %d" % number)
    world.backend.fail(LOOKED_BACK, ServerFault("500"), times=3)
    while not world.backend.is_spent():
        world.commit_steps(1)
    assert LOOKED_BACK not in calls(world)
    world.settle(3600.0)
    assert calls(world)[LOOKED_BACK] == 50
    assert len(world.account.files()) == 50
    assert world.notices() == []
    world.close()
