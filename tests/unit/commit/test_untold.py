"""What stands at a place cannot be told, for the service fails at that question alone: the others get on."""

from __future__ import annotations

from collections import Counter

import pytest

from mountfs.errors import MountfsError, Offline, ServerFault, Throttled
from mountfs.model.entry import Entry, Place
from tests.doubles.crew import Crew
from tests.doubles.world import World
from tests.unit.commit.scenarios import check_nothing_is_left

MANY = 20


def put_onto_odd_ones(world: World, count: int) -> Crew:
    """So many files were made here that somebody else has made as well; of theirs the service says nothing
    of any sense."""
    world.names()
    for number in range(count):
        world.account.write(f"/odd{number}", b"theirs")
        world.memory.odd.add(f"odd{number}")
        world.put(f"/odd{number}", b"ours")
    crew = Crew(world)
    crew.work(lambda: sum(map(len, world.account.submits)) >= count)
    return crew


@pytest.mark.parametrize("count", [1, MANY])
def test_files_of_which_nothing_can_be_told_keep_nobody_waiting(world: World, count: int) -> None:
    crew = put_onto_odd_ones(world, count)
    world.mkdir("/d")
    world.put("/other", b"o")
    world.put("/d/other", b"o")
    crew.work(lambda: {"/other", "/d/other"} <= set(world.account.files()), most_s=60.0)
    assert len(world.pending()) == count
    assert {node.pending.error for node in world.core.tree.troubled.values() if node.pending} == {"no size"}

    world.memory.odd.clear()
    crew.work(lambda: world.pending() == [], most_s=700.0)
    files = world.account.files()
    assert {files[f"/odd{number}"] for number in range(count)} == {b"theirs"}
    assert list(files.values()).count(b"ours") == count
    world.settle()
    check_nothing_is_left(world)


def test_a_file_of_which_nothing_can_be_told_is_asked_after_ever_more_rarely(world: World) -> None:
    crew = put_onto_odd_ones(world, 1)
    before, begun_s = world.memory.calls()["stat"], world.clock.now_s()
    crew.work(lambda: world.clock.now_s() - begun_s > 600.0, most_s=700.0)
    assert 5 <= world.memory.calls()["stat"] - before <= 15


def test_a_file_of_which_nothing_can_be_told_is_looked_at_by_the_next_process(world: World) -> None:
    crew = put_onto_odd_ones(world, 1)
    begun_s = world.clock.now_s()
    crew.work(lambda: world.clock.now_s() - begun_s > 60.0)
    world.restart()
    world.put("/other", b"o")
    crew = Crew(world)
    crew.work(lambda: "/other" in world.account.files(), most_s=60.0)
    world.memory.odd.clear()
    crew.work(lambda: world.pending() == [], most_s=700.0)
    assert sorted(world.account.files().values()) == [b"o", b"ours", b"theirs"]


def test_new_files_beside_one_of_which_nothing_can_be_told_get_their_folder(batches: World) -> None:
    """The folder is made by the way, with whichever of them is first."""
    for name in ("a", "b", "c", "d", "e"):
        batches.mkdir(f"/{name}")
        batches.put(f"/{name}/f", b"x")
    batches.upload_all()
    batches.advance(1.0)
    batches.backend.fail("submit", Offline("no answer"))
    fail_at_stat(batches, "/b/f", ServerFault("500"))
    Crew(batches).work(lambda: len(batches.account.files()) == 4, most_s=60.0)
    assert [path for path, _ in batches.pending()] == ["/b", "/b/f"]


def fail_at_stat(world: World, path: str, error: MountfsError) -> Counter[float]:
    """The service cannot tell what stands at *path*, "" stands for any; when it was asked."""
    stat = world.backend.stat
    asked: Counter[float] = Counter()

    def failing(place: Place) -> Entry:
        if path in ("", place.path.text):
            asked[world.clock.now_s()] += 1
            raise error
        return stat(place)

    world.backend.stat = failing  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize(
    ("error", "most"), [(ServerFault("500"), 3), (Offline("no answer"), 1), (Throttled("slow"), 1)]
)
def test_a_service_that_fails_whatever_it_is_asked_is_not_asked_after_each_file(
    batches: World, error: MountfsError, most: int
) -> None:
    for number in range(MANY):
        batches.mkdir(f"/d{number}")
    batches.settle()
    for number in range(MANY):
        batches.put(f"/d{number}/f", b"x")
    batches.upload_all()
    batches.advance(1.0)
    batches.backend.fail("submit", Offline("no answer"), after=True)
    asked = fail_at_stat(batches, "", error)
    crew, begun_s = Crew(batches), batches.clock.now_s()
    crew.work(lambda: batches.clock.now_s() - begun_s > 60.0)
    assert asked
    assert max(asked.values()) <= most
