"""What is known of the folders at the service, for how long that is believed, and what is ours among it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mountfs.errors import NotFound, Offline, ServerFault, Throttled, Transient
from mountfs.model.entry import Folder, Listed
from mountfs.model.path import RemotePath
from mountfs.model.waits import PATIENCE_S, SHORTEST_WAIT_S
from mountfs.ports import BackendLimits, FolderPage
from mountfs.tree.listings import RETRY_S
from mountfs.tree.load import Asker
from mountfs.tree.node import State
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.fakes.clock import FakeClock
from tests.shallow import DEEP, shallow_stack
from tests.waiting import until

FRESH_S = 5.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Changes are followed, and the top is listed, with the file /a."""
    made = World(tmp_path, settings={"fresh_s": FRESH_S})
    made.account.write("/a", b"a")
    made.follow()
    assert made.names() == {"a"}
    yield made
    made.close()


@pytest.fixture
def side_by_side(tmp_path: Path) -> Iterator[World]:
    """Where each folder is made by a call of its own, and news name items by id."""
    made = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    made.follow()
    assert made.names() == set()
    yield made
    made.close()


def listed(world: World) -> int:
    return world.memory.calls().get("list_folder", 0)


# While the service asks for a pause


class Passing:
    """A wait passes at once; *over*: the mount ends."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.waits: list[float] = []
        self.over = False
        self.meanwhile: Callable[[], object] = lambda: None

    def set(self) -> None:
        self.over = True

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.meanwhile()
        self.clock.advance(seconds)
        return self.over


@pytest.fixture
def pauses(tmp_path: Path) -> Iterator[tuple[World, Passing]]:
    """An account with /d/f, of which nothing but the top is listed, and the waits."""
    clock = FakeClock()
    passing = Passing(clock)
    world = World(tmp_path, clock=clock, settings={"ending": passing})
    world.account.write("/d/f", b"f")
    assert world.names() == {"d"}
    yield world, passing
    world.close()


def test_a_program_waits_for_a_listing_until_the_service_may_be_asked_again(
    pauses: tuple[World, Passing],
) -> None:
    world, passing = pauses
    world.backend.fail("list_folder", Throttled("slow", 7.0))
    world.backend.fail("list_folder", ServerFault("503", 0.0))
    before = listed(world)
    assert world.names("/d") == {"f"}
    assert passing.waits == [7.0, SHORTEST_WAIT_S]
    assert listed(world) == before + 1


def test_a_program_that_looks_up_a_name_waits_as_well(pauses: tuple[World, Passing]) -> None:
    world, passing = pauses
    world.backend.fail("list_folder", Throttled("slow", 7.0))
    assert world.get("/d/f") == b"f"
    assert passing.waits == [7.0]


@pytest.mark.parametrize("error", [Offline("away", 1.0), Throttled("slow", PATIENCE_S + 1)])
def test_a_listing_that_no_wait_can_help_fails_at_once(
    pauses: tuple[World, Passing], error: Transient
) -> None:
    world, passing = pauses
    world.backend.fail("list_folder", error)
    with pytest.raises(type(error)):
        world.names("/d")
    assert not passing.waits


@pytest.mark.parametrize("error", [Throttled("slow"), ServerFault("500")])
def test_a_listing_that_fails_without_a_time_is_asked_for_once_more(
    pauses: tuple[World, Passing], error: Transient
) -> None:
    world, passing = pauses
    world.backend.fail("list_folder", error, times=3)
    with pytest.raises(type(error)):
        world.names("/d")
    assert world.names("/d") == {"f"}
    assert passing.waits == [SHORTEST_WAIT_S] * 2


def test_a_listing_waits_for_a_minute_at_most_and_not_for_a_mount_that_ends(
    pauses: tuple[World, Passing],
) -> None:
    world, passing = pauses
    world.backend.fail("list_folder", Throttled("slow", 25.0), times=5)
    with pytest.raises(Throttled):
        world.names("/d")
    assert passing.waits == [25.0, 25.0]
    passing.set()
    with pytest.raises(Throttled):
        world.names("/d")
    assert passing.waits == [25.0] * 3


def test_a_folder_that_was_listed_is_shown_at_once(pauses: tuple[World, Passing]) -> None:
    world, passing = pauses
    assert world.names("/d") == {"f"}
    world.follow()
    world.theirs("/d/g", b"g")
    world.backend.fail("list_folder", Throttled("slow", 7.0), times=9)
    assert world.names("/d") == {"f"}
    assert not passing.waits


def test_no_worker_waits_for_a_listing(pauses: tuple[World, Passing]) -> None:
    world, passing = pauses
    world.backend.fail("list_folder", Throttled("slow", 7.0))
    with pytest.raises(Throttled):
        world.core.listings.load(world.node("/d"))
    assert not passing.waits


def test_no_worker_waits_along_with_a_program(pauses: tuple[World, Passing]) -> None:
    world, passing = pauses
    folder, told = world.node("/d"), list[type[Exception]]()

    def join() -> None:
        with ThreadPoolExecutor(1) as worker, pytest.raises(Throttled) as caught:
            worker.submit(world.core.listings.load, folder).result(10)
        told.append(caught.type)

    passing.meanwhile = join
    world.backend.fail("list_folder", Throttled("slow", 7.0), times=2)
    assert world.names("/d") == {"f"}
    assert told == [Throttled] * 2


@pytest.mark.parametrize("asker", [Asker.AHEAD, Asker.WORKER])
def test_no_worker_waits_for_a_program_that_joins_it_and_the_program_waits_by_itself(
    pauses: tuple[World, Passing], asker: Asker
) -> None:
    world, passing = pauses
    folder, inner, asked = world.node("/d"), world.memory.list_page, list[str]()
    program = Thread(target=lambda: asked.extend(world.names("/d")))

    def list_page(*args: Any, **named: Any) -> FolderPage:
        world.memory.list_page = inner  # type: ignore[method-assign]
        program.start()
        until(lambda: world.core.listings._loads[folder.id].asker is Asker.PROGRAM, "the program waits")
        raise Throttled("slow", 7.0)

    world.memory.list_page = list_page  # type: ignore[method-assign]
    with pytest.raises(Throttled):
        world.core.listings.load(folder, asker=asker)
    program.join(10)
    assert asked == ["f"]
    assert not passing.waits  # the service was asked again at once, and answered


# For how long


def test_a_folder_that_others_changed_is_listed_again(world: World) -> None:
    world.theirs("/b", b"b")
    before = listed(world)
    assert [world.names() for _ in range(3)] == [{"a", "b"}] * 3
    assert listed(world) == before + 1


def test_our_own_echo_changes_nothing(world: World) -> None:
    world.put("/b", b"b")
    world.mkdir("/d")
    world.rename("/a", "/d/a")
    world.settle()
    world.follow()
    before = listed(world)
    assert world.names() == {"b", "d"}
    assert listed(world) == before


def test_while_it_cannot_be_listed_again_what_was_known_serves_on(world: World) -> None:
    world.theirs("/b", b"b")
    world.core.feed.note_follower(is_healthy=False, is_away=False)
    world.memory.is_online = False
    assert world.names() == {"a"}
    before = listed(world)
    world.advance(FRESH_S - 1.0)
    assert world.names() == {"a"}
    assert listed(world) == before
    world.advance(1.0)
    world.memory.is_online = True
    assert world.names() == {"a", "b"}


def test_while_changes_are_reported_a_listing_that_failed_is_tried_again_soon(world: World) -> None:
    world.theirs("/b", b"b")
    world.memory.is_online = False
    assert world.names() == {"a"}
    world.memory.is_online = True
    assert world.names() == {"a"}
    world.advance(RETRY_S)
    assert world.names() == {"a", "b"}


def test_what_is_known_to_be_out_of_date_is_not_trusted_once_changes_are_followed_again(world: World) -> None:
    world.account.remove("/a")
    world.follow()
    world.memory.is_online = False
    world.core.feed.note_follower(is_healthy=False, is_away=True)
    assert world.names() == {"a"}
    world.memory.is_online = True
    world.advance(RETRY_S)
    world.follow()
    assert world.names() == set()


def test_a_folder_that_never_rests_is_listed_once_for_each_question(world: World) -> None:
    list_folder = world.memory.list_folder
    bodies = iter([b"1", b"2", b"3"])

    def busy(path: RemotePath, folder_id: str = "") -> list[Listed]:
        entries = list_folder(path, folder_id)
        world.theirs("/busy", next(bodies))
        return entries

    world.theirs("/b", b"b")
    world.memory.list_folder = busy  # type: ignore[method-assign]
    for _ in range(2):
        before = listed(world)
        assert "a" in world.names()
        assert listed(world) == before + 1


def test_what_lands_while_a_folder_is_listed_is_noted_of_that_folder_alone(world: World) -> None:
    """A walk through a large account lists folders for an hour, and all that was sent meanwhile was kept."""
    list_folder = world.memory.list_folder
    noted: list[set[str]] = []
    world.theirs("/slow/theirs", b"b")
    world.mkdir("/other")
    world.settle()

    def slow(path: RemotePath, folder_id: str = "") -> list[Listed]:
        entries = list_folder(path, folder_id)
        if path == RemotePath("/slow") and not noted:
            for number in range(20):
                world.put(f"/other/{number}", b"x")
            world.settle()
            noted.extend(set(load.landed) for load in world.core.listings._loads.values())
        return entries

    assert world.names("/slow") == {"theirs"}
    world.put("/slow/ours", b"x")
    world.account.write("/slow/more", b"x")
    world.follow()
    world.memory.list_folder = slow  # type: ignore[method-assign]
    assert world.names("/slow") == {"ours", "theirs", "more"}
    assert noted == [{"ours"}]


class Leaving:
    """A node whose removal takes effect between two looks at it."""

    def __init__(self, state: State) -> None:
        self.id, self.folder = 0, None
        self._states = [state, state, replace(state, base=None, base_parent=None)]

    @property
    def state(self) -> State:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


def test_a_removal_that_takes_effect_while_a_listing_is_gone_through_is_no_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.theirs("/b", b"b")
    children = world.core.tree.root.part.children
    assert children is not None
    leaving = Leaving(world.state("/a"))
    world.account.remove("/a")
    monkeypatch.setitem(children, "x", leaving)
    world.core.listings.relist(world.core.tree.root)
    del children["x"]
    assert world.names() == {"b"}


def test_a_folder_whose_listing_was_lost_is_listed_when_somebody_looks_again(world: World) -> None:
    world.account.write("/d/x", b"x")
    world.follow()
    assert world.node("/d").is_folder
    world.backend.fail("list_folder", Offline("lost"), after=True)
    with pytest.raises(Transient):
        world.names("/d")
    assert world.names("/d") == {"x"}


def test_a_file_that_others_moved_is_found_again_though_the_listing_of_its_new_folder_was_lost(
    world: World,
) -> None:
    world.account.mkdir("/d")
    world.account.mkdir("/e")
    world.account.write("/d/x", b"x")
    world.follow()
    assert world.tree() == world.remote()
    world.account.move("/d/x", "/e/x")
    world.follow()
    assert world.names("/d") == set()
    world.backend.fail("list_folder", Offline("lost"))
    assert world.names("/e") == set()
    world.advance(RETRY_S)
    assert world.names("/e") == {"x"}
    assert world.get("/e/x") == b"x"


def test_listings_are_used_by_the_next_process_without_asking_the_service(world: World) -> None:
    world.account.write("/d/x", b"x")
    world.follow()
    assert world.tree() == world.remote()
    before = listed(world)
    world.restart()
    world.memory.is_online = False
    assert (world.names(), world.names("/d")) == ({"a", "d"}, {"x"})
    world.memory.is_online = True
    world.follow()
    assert world.tree() == world.remote()
    assert listed(world) == before


def test_what_others_did_between_two_processes_is_seen_by_the_second(world: World) -> None:
    world.account.write("/d/x", b"x")
    world.follow()
    assert world.tree() == world.remote()
    world.account.write("/d/y", b"y")
    world.restart()
    world.follow()
    before = listed(world)
    assert world.tree() == world.remote()
    assert listed(world) == before + 1


# Folders that others make, remove and rename


def test_what_was_in_a_folder_that_others_removed_is_not_in_the_next_one_of_its_name(world: World) -> None:
    world.account.write("/d/x", b"x")
    world.follow()
    assert world.names("/d") == {"x"}
    world.account.remove("/d")
    world.account.mkdir("/d")
    world.follow()
    assert world.names("/d") == set()


def test_what_was_in_a_folder_that_others_removed_is_not_in_one_of_ours_in_its_place(
    world: World,
) -> None:
    world.account.write("/d/x", b"x")
    world.follow()
    assert world.names("/d") == {"x"}
    world.account.remove("/d")
    world.follow()
    assert world.names() == {"a"}
    world.mkdir("/d")
    world.settle()
    world.follow()
    assert world.names("/d") == set()


@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_is_below_a_folder_that_others_renamed_is_listed_again(world: World, is_restarted: bool) -> None:
    """What happened in it meanwhile was told by its new path, at which nobody here knew anything."""
    world.account.mkdir("/d/sub/deep")
    world.follow()
    assert world.tree() == world.remote()
    world.account.move("/d", "/e")
    world.account.write("/e/sub/deep/y", b"y")
    world.follow()
    assert world.names() == {"a", "e"}
    if is_restarted:
        world.restart()
        world.follow()
    assert world.names("/e/sub/deep") == {"y"}
    assert world.tree() == world.remote()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])
@pytest.mark.parametrize("path", ["/a", "/d", "/d/x"])
def test_a_rename_by_others_that_changes_only_the_case_is_seen(
    tmp_path: Path, limits: BackendLimits, path: str
) -> None:
    world = World(tmp_path, limits=limits)
    world.account.write("/a", b"a")
    world.account.write("/d/x", b"x")
    world.follow()
    assert world.tree() == world.remote()
    before = world.node(path).id
    world.account.move(path, path[:-1] + path[-1].upper())
    world.follow()
    assert world.tree() == world.remote()
    assert world.node(path).id == before
    world.close()


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_others_replace_by_something_of_the_other_kind_is_that(world: World, is_folder: bool) -> None:
    """One listing tells both: what had the name is gone, and something with another id has it."""
    if is_folder:
        world.account.write("/n/x", b"x")
    else:
        world.account.write("/n", b"n")
    world.follow()
    assert world.tree() == world.remote()
    world.account.remove("/n")
    if is_folder:
        world.account.write("/n", b"n")
    else:
        world.account.write("/n/x", b"x")
    world.follow()
    before = listed(world)
    assert world.node("/n").is_folder is not is_folder
    assert listed(world) == before + 1
    assert world.tree() == world.remote()


# Folders that we make


def test_a_folder_we_made_shows_what_we_put_there_while_it_cannot_be_listed(world: World) -> None:
    world.mkdir("/d")
    world.put("/d/x", b"1")
    world.settle()
    assert world.pending() == []
    world.memory.is_online = False
    assert world.names("/d") == {"x"}
    world.memory.is_online = True
    world.account.write("/d/y", b"2")
    world.follow()
    world.advance(FRESH_S)
    assert world.names("/d") == {"x", "y"}


@pytest.mark.parametrize("is_below", [False, True], ids=["itself", "one above it"])
def test_a_folder_that_is_addressed_by_its_path_is_not_gone_while_a_rename_of_it_is_on_its_way(
    world: World, is_below: bool
) -> None:
    """Made by the way, its id is not known: at its old path the service has nothing any more, and that the
    rename took effect is not known yet."""
    inner = "/in" if is_below else ""
    if is_below:
        world.mkdir("/d")
    world.mkdir(f"/d{inner}")
    world.put(f"/d{inner}/x", b"1")
    world.settle()
    world.account.job_polls, world.account.poll_after_s = 1, 60.0
    world.rename("/d", "/e")
    while not world.core.committer.current:
        world.commit_steps(1)
    with world.core.tree.transaction():
        world.core.listings.doubt_all()
    assert world.names(f"/e{inner}") == {"x"}
    world.account.poll_after_s = None
    world.advance(60.0)
    world.settle()
    world.advance(FRESH_S)
    assert world.names(f"/e{inner}") == {"x"}
    assert world.tree() == world.remote()


def test_folders_the_service_has_just_made_are_not_listed(side_by_side: World) -> None:
    before = listed(side_by_side)
    for number in range(5):
        side_by_side.mkdir(f"/d{number}")
    side_by_side.settle()
    for number in range(5):
        side_by_side.put(f"/d{number}/x", b"1")
    side_by_side.settle()
    side_by_side.follow()
    for number in range(5):
        assert side_by_side.names(f"/d{number}") == {"x"}
    assert listed(side_by_side) == before


def test_folders_that_our_files_made_by_the_way_are_not_listed(world: World) -> None:
    world.mkdir("/d")
    world.mkdir("/d/e")
    for path in ("/d/x", "/d/e/y", "/d/e/z"):
        world.put(path, b"1")
    before = listed(world)
    world.account.job_polls = 1
    while not world.core.committer.current:
        world.commit_steps(1)
    world.follow()  # the changes tell of our files before the job's reply does
    world.settle()
    world.follow()
    assert (world.names("/d"), world.names("/d/e")) == ({"x", "e"}, {"y", "z"})
    assert listed(world) == before
    world.theirs("/d/e/theirs", b"2")
    assert world.names("/d/e") == {"y", "z", "theirs"}


OTHERS_MEANWHILE = {
    "before it was on its way, unheard": ("pending", False),
    "before it was on its way, heard": ("pending", True),
    "while it is on its way, unheard": ("sent", False),
    "while it is on its way, heard": ("sent", True),
    "once it is there": ("committed", False),
}


@pytest.mark.parametrize(
    ("when", "is_heard"), OTHERS_MEANWHILE.values(), ids=[name.replace(" ", "-") for name in OTHERS_MEANWHILE]
)
def test_what_others_put_into_a_folder_that_our_files_make_by_the_way_is_shown(
    world: World, when: str, is_heard: bool
) -> None:
    def write() -> None:
        world.account.write("/d/e/theirs", b"2")
        if is_heard:
            world.follow()

    world.account.job_polls = 1
    world.mkdir("/d")
    world.put("/d/x", b"1")
    world.mkdir("/d/e")
    world.put("/d/e/y", b"1")
    if when == "pending":
        write()
    while not world.core.committer.current:
        world.commit_steps(1)
    if when == "sent":
        write()
    world.settle()
    if when == "committed":
        write()
    world.follow()
    world.tree()
    world.settle()
    assert (world.names("/d"), world.names("/d/e")) == ({"x", "e"}, {"y", "theirs"})
    assert world.tree() == world.remote()


def test_a_folder_made_by_the_way_in_one_that_is_not_known_any_more_is_listed(world: World) -> None:
    world.mkdir("/d")
    world.put("/d/x", b"1")
    with world.core.tree.transaction():
        world.core.listings.doubt_all()
    world.settle()
    before = listed(world)
    assert world.names("/d") == {"x"}
    assert listed(world) > before


def test_a_folder_that_stood_there_already_is_listed(side_by_side: World) -> None:
    side_by_side.mkdir("/d")
    side_by_side.account.mkdir("/d")
    side_by_side.account.write("/d/theirs", b"1")
    side_by_side.settle()
    assert side_by_side.names("/d") == {"theirs"}


def test_a_folder_whose_making_was_not_heard_of_is_listed(side_by_side: World) -> None:
    side_by_side.mkdir("/d")
    side_by_side.backend.fail("submit", Offline("lost"), after=True)
    while not side_by_side.core.committer.current:
        side_by_side.commit_steps(1)
    side_by_side.account.write("/d/theirs", b"1")
    side_by_side.settle()
    assert side_by_side.backend.is_spent()
    assert side_by_side.names("/d") == {"theirs"}


def test_a_folder_in_which_others_were_seen_before_we_heard_that_it_is_made_is_listed(
    side_by_side: World,
) -> None:
    side_by_side.account.job_polls = 1
    side_by_side.mkdir("/d")
    while not side_by_side.core.committer.current:
        side_by_side.commit_steps(1)
    side_by_side.account.write("/d/theirs", b"1")
    side_by_side.follow()
    side_by_side.settle()
    assert side_by_side.names("/d") == {"theirs"}


def test_what_others_put_into_a_folder_just_made_makes_it_be_listed(side_by_side: World) -> None:
    side_by_side.mkdir("/d")
    side_by_side.settle()
    assert side_by_side.names("/d") == set()
    side_by_side.theirs("/d/theirs", b"1")
    assert side_by_side.names("/d") == {"theirs"}


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_folder_that_is_removed_and_made_again_is_not_taken_for_empty(world: World, is_heard: bool) -> None:
    """`rmdir d; mkdir d`: the service still has the first one, and what others put there meanwhile."""
    world.account.mkdir("/d")
    world.follow()
    assert world.names("/d") == set()
    world.fs.rmdir("/d")
    world.account.write("/d/theirs", b"x")
    if is_heard:
        world.follow()
    world.mkdir("/d")
    world.follow()
    world.settle()
    assert world.names("/d") == {"theirs"}
    assert world.remote() == {"/a": b"a", "/d": None, "/d/theirs": b"x"}


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side-by-side"])
def test_a_folder_that_others_removed_and_that_is_made_again_for_what_is_ours_is_listed(
    tmp_path: Path, limits: BackendLimits
) -> None:
    world = World(tmp_path, limits=limits)
    world.account.write("/d/old", b"old")
    world.follow()
    assert world.names("/d") == {"old"}
    world.put("/d/ours", b"ours")
    world.account.remove("/d")
    world.follow()
    assert world.names() == {"d"}
    world.account.write("/d/theirs", b"theirs")
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {"/d": None, "/d/ours": b"ours", "/d/theirs": b"theirs"}
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS])
def test_what_is_ours_is_there_at_the_first_look_into_a_folder_that_others_removed(
    tmp_path: Path, limits: BackendLimits
) -> None:
    """`test -e d/f || make-default > d/f` would replace what was written there before."""
    world = World(tmp_path, limits=limits)
    world.account.write("/d/sub/theirs", b"theirs")
    world.follow()
    world.put("/d/sub/ours", b"ours")
    world.theirs("/d/sub/more", b"theirs")
    world.account.remove("/d")  # which was not heard of yet
    assert world.fs.getattr("/d/sub/ours").size_bytes == 4
    assert world.names("/d") == {"sub"}
    assert world.names("/d/sub") == {"ours"}
    with pytest.raises(NotFound):
        world.node("/d/sub/theirs")
    world.settle()
    assert world.remote() == {"/d": None, "/d/sub": None, "/d/sub/ours": b"ours"}
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS])
def test_what_is_ours_is_there_while_a_folder_that_others_removed_is_being_renamed(
    tmp_path: Path, limits: BackendLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, limits=limits)
    world.account.write("/d/theirs", b"theirs")
    world.follow()
    world.names("/d")
    world.rename("/d", "/e")
    world.put("/e/ours", b"ours")
    world.theirs("/d/more", b"more")
    submit, shown = world.memory.submit, []

    def meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(world.memory, "submit", submit)
        world.account.remove("/d")
        shown.append(world.get("/e/ours"))
        return submit(*args)

    monkeypatch.setattr(world.memory, "submit", meanwhile)
    world.settle()
    assert shown == [b"ours"]
    world.follow()
    world.settle()
    assert world.tree() == world.remote() == {"/e": None, "/e/ours": b"ours"}
    world.close()


def test_a_file_that_went_with_its_folder_before_its_reply_is_not_shown_in_the_folder_made_again(
    side_by_side: World,
) -> None:
    """`> d/a` is on its way, and others remove d: it is made again for `> d/b`, and a is not in it."""
    side_by_side.account.mkdir("/d")
    side_by_side.follow()
    assert side_by_side.names("/d") == set()
    side_by_side.account.job_polls, side_by_side.account.poll_after_s = 1, 60.0
    side_by_side.put("/d/a", b"a")
    while not side_by_side.core.committer.current:
        side_by_side.commit_steps(1)
    side_by_side.put("/d/b", b"b")
    side_by_side.account.remove("/d")
    side_by_side.follow()
    assert side_by_side.names() == {"d"}
    side_by_side.account.poll_after_s = None
    side_by_side.settle()
    side_by_side.follow()
    side_by_side.tree()
    side_by_side.settle()
    assert side_by_side.tree() == side_by_side.remote()
    assert side_by_side.get("/d/b") == b"b"
    assert side_by_side.pending() == []


# What others change of what was changed here


def test_a_file_that_was_removed_here_and_changed_by_others_meanwhile_is_spared(world: World) -> None:
    world.account.write("/a", b"theirs")
    world.fs.unlink("/a")
    world.follow()
    assert world.names() == {"a"}
    world.settle()
    assert world.get("/a") == b"theirs"
    assert world.account.files() == {"/a": b"theirs"}
    assert world.notices() == ["not removed: somebody else changed it meanwhile"]
    assert world.pending() == []


def test_a_file_that_was_removed_here_and_changed_by_others_unheard_is_spared(world: World) -> None:
    world.account.write("/a", b"theirs")
    world.fs.unlink("/a")
    world.settle()
    assert world.get("/a") == b"theirs"
    assert world.account.files() == {"/a": b"theirs"}
    assert world.notices() == ["not removed: somebody else changed it meanwhile"]


def test_a_removed_file_that_others_only_gave_another_revision_is_removed(world: World) -> None:
    """Its bytes are those that were seen here."""
    world.account.mkdir("/d")
    world.follow()
    world.names("/d")
    world.fs.unlink("/a")
    world.account.move("/a", "/d/a")
    world.account.move("/d/a", "/a")
    world.follow()
    assert world.names() == {"d"}
    world.settle()
    assert world.account.files() == {}
    assert world.notices() == []


def test_removing_our_version_that_lies_over_one_of_others_that_nobody_saw_keeps_theirs(world: World) -> None:
    world.put("/a", b"ours")
    world.theirs("/a", b"theirs")
    assert world.names() == {"a"}
    world.fs.unlink("/a")
    assert world.notices() == ["not removed: somebody else changed it meanwhile"]
    assert world.get("/a") == b"theirs"
    world.settle()
    assert world.tree() == world.remote() == {"/a": b"theirs"}


def test_of_two_versions_written_through_handles_on_different_ones_the_second_is_kept_beside(
    world: World,
) -> None:
    """Each has the bytes that its program saw, changed as it wanted: neither replaces the other unseen."""
    world.account.write("/a", b"one.....")
    world.follow()
    first = world.fs.open("/a", 2).number
    assert world.fs.read(first, 0, 8) == b"one....."
    world.theirs("/a", b"two.....")
    second = world.fs.open("/a", 2).number
    assert world.fs.read(second, 0, 8) == b"two....."
    world.fs.write(second, 3, b" ours")
    world.fs.write(first, 3, b" ours")
    world.close_file(second)
    world.close_file(first)
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    (beside,) = world.names() - {"a"}
    assert beside.startswith("a (conflicted copy testhost ")
    assert (world.get("/a"), world.get(f"/{beside}")) == (b"two ours", b"one ours")
    assert world.notices() == [f"two versions of it are being written: one is kept as {beside}"]


# Names that both have


def shadow(world: World) -> None:
    """/n is ours, and would be moved there; the service has another /n, of which we heard."""
    world.rename("/a", "/n")
    world.theirs("/n", b"theirs")
    assert world.names() == {"n"}
    assert world.get("/n") == b"a"


@pytest.mark.parametrize("is_restarted", [True, False])
def test_what_the_service_has_under_a_name_of_ours_is_shown_once_ours_leaves_it(
    world: World, is_restarted: bool
) -> None:
    shadow(world)
    if is_restarted:
        world.restart()
        world.follow()
        assert world.get("/n") == b"a"
    world.rename("/n", "/m")
    assert world.names() == {"n", "m"}
    assert world.get("/n") == b"theirs"
    world.settle()
    assert world.tree() == world.remote() == {"/n": b"theirs", "/m": b"a"}


@pytest.mark.parametrize("is_restarted", [True, False])
def test_what_the_service_has_under_a_name_of_ours_is_shown_once_ours_is_refused(
    world: World, is_restarted: bool
) -> None:
    shadow(world)
    if is_restarted:
        world.restart()
        world.follow()
    world.settle()
    assert world.tree() == world.remote() == {"/a": b"a", "/n": b"theirs"}
    assert world.pending() == []


def test_a_name_that_the_service_had_otherwise_is_listed_again_once_ours_is_acknowledged_there(
    world: World,
) -> None:
    """Theirs was seen under the name, and left it unheard before ours came."""
    shadow(world)
    world.account.move("/n", "/theirs")
    world.settle()
    assert world.pending() == []
    before = listed(world)
    assert world.names() == {"n", "theirs"}
    assert listed(world) == before + 1
    assert world.tree() == world.remote()


def test_a_folder_of_ours_over_a_file_of_others_gives_way_to_none_of_them(world: World) -> None:
    world.mkdir("/n")
    world.put("/n/x", b"x")
    world.theirs("/n", b"theirs")
    assert world.node("/n").is_folder
    world.settle()
    copy = "/n (conflicted copy testhost 2023-11-14)"
    assert world.tree() == world.remote() == {"/a": b"a", "/n": b"theirs", copy: None, f"{copy}/x": b"x"}
    world.rename(copy, "/m")
    world.settle()
    assert world.tree() == world.remote() == {"/a": b"a", "/n": b"theirs", "/m": None, "/m/x": b"x"}


# After a restart


def test_two_folders_each_nested_in_the_other_here_or_at_the_service_are_loaded_by_the_next_process(
    world: World,
) -> None:
    """`mv d/e e; mv d e/d`: /d is in /e here, and /e is in /d at the service."""
    world.account.write("/d/e/x", b"x")
    world.follow()
    assert world.tree() == world.remote()
    world.rename("/d/e", "/e")
    world.rename("/d", "/e/d")
    shown = world.tree()
    world.restart()
    assert world.tree() == shown == {"/a": b"a", "/e": None, "/e/d": None, "/e/x": b"x"}
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == shown


def test_deep_folders_are_loaded_by_the_next_process(world: World) -> None:
    """Each is new, and known by its row alone."""
    path = ""
    with shallow_stack():
        for _ in range(DEEP):
            path += "/d"
            world.mkdir(path)
        world.restart()
        assert world.node(path).is_folder
        with pytest.raises(NotFound):
            world.node(f"{path}/d")


# What makes no sense


def notices(world: World) -> list[tuple[str, str]]:
    return [(notice.path, notice.text) for notice in world.core.tree.store.notices.all()]


def test_an_entry_that_makes_no_sense_costs_nobody_the_others(world: World) -> None:
    world.memory.odd = {"odd", "odder"}
    for name in ("b", "odd", "odder"):
        world.theirs(f"/{name}", b"x")
    assert world.names() == {"a", "b"}
    assert world.get("/b") == b"x"
    text = "2 entries are left out, for what the service says makes no sense: odd: no size"
    assert notices(world) == [("/", text)]


def test_what_makes_no_sense_is_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.memory.odd = {"odd"}
    world.theirs("/odd", b"x")
    for name in ("c", "d"):
        world.names()
        world.theirs(f"/{name}", b"x")
    world.restart()
    world.follow()
    assert world.names() == {"a", "c", "d"}
    assert len(notices(world)) == 1
    assert len([record for record in caplog.records if "left out" in record.getMessage()]) == 1


def test_what_was_known_stays_as_it_was_while_the_service_says_nonsense_of_it(world: World) -> None:
    world.theirs("/b", b"b")
    assert world.names() == {"a", "b"}
    world.memory.odd = {"a"}
    world.theirs("/c", b"c")
    assert world.names() == {"a", "b", "c"}
    assert world.get("/a") == b"a"


def test_a_folder_with_nothing_but_nonsense_in_it_is_not_removed(world: World) -> None:
    world.mkdir("/d")
    world.settle()
    world.memory.odd = {"odd"}
    world.theirs("/d/odd", b"theirs")
    assert world.names("/d") == set()
    world.fs.rmdir("/d")
    world.settle()
    assert world.account.files()["/d/odd"] == b"theirs"
    assert "d" in world.names()


def test_a_file_is_not_taken_for_committed_while_the_service_says_nonsense_of_it(world: World) -> None:
    world.memory.odd = {"new"}
    world.backend.fail("submit", ServerFault("an odd reply"), after=True)
    world.put("/new", b"bytes")
    with pytest.raises(AssertionError, match="not settled"):
        world.settle(most_s=300.0)
    assert world.pending() == [("/new", "committing")]
    assert world.core.spool.names()
    world.memory.odd = set()
    world.settle()
    assert world.pending() == []
    assert (world.get("/new"), world.revisions_of("/new")) == (b"bytes", 1)


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])
def test_a_folder_is_never_put_into_itself(tmp_path: Path, limits: BackendLimits) -> None:
    world = World(tmp_path, limits=limits)
    world.account.mkdir("/a")
    world.account.mkdir("/a/b")
    world.account.write("/a/b/file", b"x")
    world.follow()
    a, b = world.account.get("/a"), world.account.get("/a/b")
    assert isinstance(a, Folder)
    assert isinstance(b, Folder)
    world.memory.also = {b.id: [Folder(a.id, "loop"), Folder(b.id, "self")]}
    assert (world.names(), world.names("/a"), world.names("/a/b")) == ({"a"}, {"b"}, {"file"})
    world.theirs("/a/b/new", b"1")
    for _ in range(2):
        assert (world.names(), world.names("/a"), world.names("/a/b")) == ({"a"}, {"b"}, {"file", "new"})
        world.restart()
        world.follow()
    world.put("/a/b/ours", b"ours")
    world.settle()
    assert world.account.files()["/a/b/ours"] == b"ours"
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])
def test_two_folders_that_others_turned_inside_out_are_seen_so(tmp_path: Path, limits: BackendLimits) -> None:
    world = World(tmp_path, limits=limits)
    world.account.mkdir("/a")
    world.account.mkdir("/a/b")
    world.account.write("/a/b/file", b"x")
    world.follow()
    assert (world.names(), world.names("/a"), world.names("/a/b")) == ({"a"}, {"b"}, {"file"})
    world.account.move("/a/b", "/b")
    world.account.move("/a", "/b/a")
    with world.core.tree.transaction():
        world.core.listings.doubt(world.node("/a/b"))
    world.names("/a/b")  # listed by its id, before anything else is heard
    world.follow()
    assert (world.names(), world.names("/b"), world.names("/b/a")) == ({"b"}, {"a", "file"}, set())
    world.close()
