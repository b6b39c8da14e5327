"""An account without room: nothing fails, few questions are asked, and all goes on when there is room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mountfs.errors import NoSpace, TransferLimit
from mountfs.model.order import Order
from mountfs.model.pausing import FIRST_PROBE_S
from mountfs.ports import Launch
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World

FILES = 200
HOUR_S = 3600.0


class Unaware:
    """A gauge that knows of no quota: somebody else fills the account just before the commit."""

    def take(self, growth_bytes: int) -> None:
        """There is room."""


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["in batches", "side by side"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(tmp_path, limits=request.param)
    made.serve_with(room=Unaware())
    yield made
    made.close()


def work(world: World, seconds: float) -> None:
    """What the daemon's workers do in so many seconds."""
    core = world.core
    end_s = world.clock.now_s() + seconds
    steps = [core.uploader.step, core.committer.step, core.prober.step]
    while (now_s := world.clock.now_s()) < end_s:
        due_s = min(step(now_s) for step in steps)
        if due_s > now_s:
            due_s = min(step(now_s) for step in steps)  # one may have woken another
        if due_s > now_s:
            world.advance(min(due_s, end_s) - now_s + 1e-6)


def count_calls(world: World, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    calls: Counter[str] = Counter()

    def counted(name: str) -> None:
        inner = getattr(world.backend, name)

        def call(*args: object, **kwargs: object) -> object:
            calls[name] += 1
            return inner(*args, **kwargs)

        monkeypatch.setattr(world.backend, name, call)

    for name in ("submit", "append_pack", "space"):
        counted(name)
    return calls


def fill(world: World) -> None:
    world.account.tree.quota_bytes = world.account.tree.used_bytes


def test_in_an_hour_without_room_the_service_is_asked_a_few_times_and_nothing_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.account.write("/there", b"x" * 1000)
    world.follow()
    for number in range(FILES):
        world.put(f"/f{number}", b"12345")
    fill(world)
    calls = count_calls(world, monkeypatch)
    work(world, HOUR_S)
    batches_at_once = world.backend.limits.batches_at_once
    assert calls["submit"] <= 3 * batches_at_once + 5
    assert calls["space"] <= 25
    assert {word for _, word in world.pending()} <= {"sealed", "uploaded"}
    assert not world.core.tree.refused
    assert isinstance(world.core.prober.pause.error, NoSpace)


def test_it_goes_on_by_itself_when_there_is_room(world: World) -> None:
    for number in range(FILES):
        world.put(f"/f{number}", b"12345")
    fill(world)
    work(world, 60.0)
    assert world.remote() == {}
    world.account.tree.quota_bytes = 1_000_000
    work(world, HOUR_S / 4)
    assert len(world.remote()) == FILES
    assert not world.core.prober.pause.is_on


def test_what_fits_goes_although_a_large_file_does_not(world: World) -> None:
    world.account.tree.quota_bytes = 1_000
    world.put("/large", b"x" * 5_000)
    work(world, 30.0)
    world.put("/small", b"12345")
    work(world, HOUR_S)
    assert world.remote() == {"/small": b"12345"}
    assert world.word("/large") in ("uploaded", "sealed")


def test_removals_and_renames_go_on_and_a_removal_that_makes_room_ends_the_pause(world: World) -> None:
    world.account.write("/old", b"x" * 1000)
    world.account.write("/name", b"")
    world.follow()
    world.names()
    fill(world)
    world.put("/new", b"12345")
    work(world, 120.0)
    assert world.core.prober.pause.is_on
    world.rename("/name", "/other")
    world.fs.unlink("/old")
    work(world, 3 * FIRST_PROBE_S)
    assert world.remote() == {"/other": b"", "/new": b"12345"}


def test_removals_that_make_no_room_have_the_service_asked_once_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        world.account.write(f"/old{number}", b"")
    world.account.write("/there", b"x")
    world.follow()
    world.names()
    fill(world)
    world.put("/new", b"12345")
    work(world, 120.0)
    assert world.core.prober.pause.is_on
    calls = count_calls(world, monkeypatch)
    for number in range(50):
        world.fs.unlink(f"/old{number}")
        work(world, 0.1)
    work(world, 1.0)
    assert set(world.remote()) == {"/there"}
    assert 1 <= calls["space"] <= 8


def test_a_used_up_transfer_limit_is_tried_now_and_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        world.put(f"/f{number}", b"12345")
        world.backend.refuse(f"/f{number}", TransferLimit("used up"), times=2)
    calls = count_calls(world, monkeypatch)
    work(world, 4.0)
    assert world.remote() == {}
    work(world, 12 * HOUR_S)
    assert calls["space"] == 0
    assert len(world.remote()) == 20
    assert not world.core.tree.refused


def test_a_quota_that_cannot_be_asked_for_is_asked_for_again(world: World) -> None:
    fill(world)
    world.put("/f", b"12345")
    work(world, 2.0)
    world.backend.fail("space", NoSpace("nobody knows"), times=2)
    world.account.tree.quota_bytes = 1_000
    work(world, 120.0)
    assert world.remote() == {"/f": b"12345"}


def test_a_full_folder_of_somebody_else_holds_up_nothing_that_is_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        world.put(f"/theirs{number}", b"12345")
        world.backend.refuse(f"/theirs{number}", NoSpace("its owner has no room"), times=1000)
    work(world, 60.0)
    assert world.remote() == {}
    calls = count_calls(world, monkeypatch)
    for minute in range(60):
        world.put(f"/ours{minute}", b"12345")
        work(world, FIRST_PROBE_S + 1.0)
        assert f"/ours{minute}" in world.remote()
        work(world, 60.0)
    assert len(world.remote()) == 60
    assert not world.core.tree.refused
    assert calls["space"] <= 60
    assert calls["submit"] <= 60 + 20 * 30


def test_of_many_files_that_somebody_else_has_no_room_for_few_are_tried_until_one_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(FILES):
        world.put(f"/theirs{number}", b"12345")
        world.backend.refuse(f"/theirs{number}", NoSpace("its owner has no room"), times=1000)
    work(world, 10 * FIRST_PROBE_S)
    sent: list[int] = []
    submit = world.backend.submit

    def counted(orders: Sequence[Order]) -> Launch:
        sent.append(len(orders))
        return submit(orders)

    monkeypatch.setattr(world.backend, "submit", counted)
    work(world, HOUR_S / 4)
    assert sum(sent) <= 1.3 * HOUR_S / 4
    world.put("/ours", b"12345")
    work(world, FIRST_PROBE_S + 1.0)
    assert set(world.remote()) == {"/ours"}
    world.backend.forgive()
    work(world, 310.0)
    assert len(world.remote()) == FILES + 1
