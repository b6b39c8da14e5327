"""Runs of all workers in which one call fails, once; see ``tests.doubles.brittle``."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from daemon.upkeep import filling
from mountfs.ports import BackendLimits
from tests.doubles.brittle import ERRORS, BrittleClock, Place, Trip, brittle_disk, make_brittle
from tests.doubles.crew import Crew
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS, MemoryAccount
from tests.doubles.world import World
from tests.unit.upload.bodies import body_of

PACKS = replace(MEMORY_LIMITS, pack_bytes=64, pack_entries=4, chunk_bytes=16, session_min_bytes=32)
SINGLES = replace(SIDE_BY_SIDE_LIMITS, chunk_bytes=16, session_min_bytes=32)
SERVICES = {"batches": PACKS, "side-by-side": SINGLES}

LAZY = {"small_bytes": 0, "cache_bytes": 0}
"""The first write into a file fetches nothing, however small the file is."""

DELAY_S = 60.0
"""Two of the longest pauses: how much later all may be there for one failure."""

Work = Callable[[], None]


@dataclass(frozen=True)
class Scenario:
    """*programs* do something and may let the workers work in between; the account then has *files*, each of
    *revisions* versions (1 where it is not named)."""

    name: str
    prepare: Callable[[World], None]
    programs: Callable[[World, Work], None]
    files: dict[str, bytes]
    revisions: dict[str, int]
    folders: frozenset[str] = frozenset()


def _nothing(world: World) -> None:
    """The account is empty."""


def _small_files(world: World, work: Work) -> None:
    world.put("/a", b"aaa")
    world.put("/b", b"")
    world.mkdir("/d")
    world.put("/d/c", b"cc")
    work()


def _large_files(world: World, work: Work) -> None:
    number = world.begin("/open", body_of(40, 1))
    work()
    world.fs.write(number, 40, body_of(30, 2))
    world.put("/whole", body_of(50, 3))
    world.close_file(number)
    work()


def _account(world: World) -> None:
    for name in ("moved", "gone", "changed", "timed"):
        world.account.write(f"/{name}", name.encode())
    world.account.mkdir("/empty")
    world.account.write("/sub/kept", b"k")
    world.names("/sub")


def _names(world: World, work: Work) -> None:
    world.rename("/moved", "/there")
    world.fs.unlink("/gone")
    world.put("/changed", b"new")
    world.touch("/timed", 1_650_000_000 * 10**9)
    world.fs.rmdir("/empty")
    world.rename("/sub", "/renamed")
    world.mkdir("/made")
    work()


def _written_over(world: World, work: Work) -> None:
    number = world.begin("/a", body_of(70))
    work()
    world.fs.write(number, 0, b"!!")
    world.close_file(number)
    world.put("/b", b"1")
    work()
    world.put("/b", b"22")
    world.put("/gone", b"x")
    world.fs.unlink("/gone")
    work()


def _full(world: World) -> None:
    world.account.write("/old", b"12345")
    world.names()


def _no_room(world: World, work: Work) -> None:
    world.put("/new", b"123")
    world.account.tree.quota_bytes = world.account.tree.used_bytes
    world.fs.unlink("/old")
    work()


def _film(world: World) -> None:
    world.account.write("/film", body_of(90, 1))
    world.account.write("/log", body_of(20, 2))
    world.names()


def _edited(world: World, work: Work) -> None:
    number = world.open("/film", os.O_WRONLY)
    world.fs.write(number, 40, b"!!")
    world.fs.write(number, 90, b"tail")
    world.close_file(number)
    number = world.open("/log", os.O_WRONLY | os.O_APPEND)
    world.fs.write(number, 0, b"line")
    work()
    world.close_file(number)
    work()


def _copied(world: World, work: Work) -> None:
    world.put("/copy of film", body_of(90, 1))
    world.put("/copy of log", body_of(20, 2))
    work()


SCENARIOS = [
    Scenario(
        "small files",
        _nothing,
        _small_files,
        {"/a": b"aaa", "/b": b"", "/d/c": b"cc"},
        {},
        frozenset({"/d"}),
    ),
    Scenario(
        "large files",
        _nothing,
        _large_files,
        {"/open": body_of(40, 1) + body_of(30, 2), "/whole": body_of(50, 3)},
        {},
    ),
    Scenario(
        "names",
        _account,
        _names,
        {"/there": b"moved", "/changed": b"new", "/timed": b"timed", "/renamed/kept": b"k"},
        {"/changed": 2},
        frozenset({"/renamed", "/made"}),
    ),
    Scenario(
        "written over",
        _nothing,
        _written_over,
        {"/a": b"!!" + body_of(70)[2:], "/b": b"22"},
        {"/b": 2},
    ),
    Scenario(
        "edited",
        _film,
        _edited,
        {
            "/film": body_of(90, 1)[:40] + b"!!" + body_of(90, 1)[42:] + b"tail",
            "/log": body_of(20, 2) + b"line",
        },
        {"/film": 2, "/log": 2},
    ),
    Scenario(
        "copied",
        _film,
        _copied,
        {
            "/film": body_of(90, 1),
            "/log": body_of(20, 2),
            "/copy of film": body_of(90, 1),
            "/copy of log": body_of(20, 2),
        },
        {"/copy of film": 2, "/copy of log": 2},  # Box is told their times
    ),
    Scenario("no room", _full, _no_room, {"/new": b"123"}, {}),
]


@dataclass(frozen=True)
class Run:
    """What one run came to: the places it passed, and for how long (faked) the workers worked."""

    places: list[Place]
    worked_s: float


@mock.patch.multiple(filling, FILL_BYTES=32, SKIPPED_BYTES=4)
def run(directory: Path, limits: BackendLimits, scenario: Scenario, trip: Trip, most_s: float = 300.0) -> Run:
    """Carries *scenario* out and checks what came of it. AssertionError."""
    clock = BrittleClock(trip)
    account = MemoryAccount(limits)
    account.job_polls = 1 if limits.batches_at_once == 1 else 0
    world = World(directory, account, limits=limits, clock=clock, disk=brittle_disk(trip), settings=LAZY)
    try:
        scenario.prepare(world)
        make_brittle(world, trip)
        crew = Crew(world)
        worked_s = 0.0

        def work() -> None:
            nonlocal worked_s
            begun_s = clock.now_s()
            crew.work(lambda: is_over(world, crew), trip, most_s)
            worked_s += clock.now_s() - begun_s

        scenario.programs(world, work)
        unanswered = int(trip.raised_at == "service.open_session (after)")
        check(world, scenario, unanswered)
        world.restart()
        check(world, scenario, unanswered)
        assert world.pending() == []
    finally:
        world.close()
    return Run(trip.places, worked_s)


def is_over(world: World, crew: Crew) -> bool:
    """Whether nobody has anything left to do, and nobody says that something is wrong."""
    core, tree = world.core, world.core.tree
    is_left = any(node.state.draft is None for node in tree.dirty.values())
    if is_left or tree.freed or tree.troubled or core.committer.current or tree.store.orphans.count():
        return False
    errors = (core.uploader.last_error, core.committer.last_error, core.follower.last_error)
    return not (crew.failures or any(errors))


def check(world: World, scenario: Scenario, unanswered: int) -> None:
    """*unanswered*: so many sessions were opened whose token nobody ever heard."""
    account = world.account
    assert account.files() == scenario.files
    assert account.folders() == scenario.folders
    for path in scenario.files:
        is_timed = path == "/timed" and account.limits.carries_times
        assert world.revisions_of(path) <= scenario.revisions.get(path, 1) + is_timed, path
    assert world.notices() == []
    assert world.core.spool.names() == []
    assert world.core.tree.store.flights() == []
    assert sum(session.is_large for session in account.sessions.values()) <= unanswered
    shown = {path: body for path, body in world.tree().items() if body is not None}
    assert shown == scenario.files


@dataclass(frozen=True)
class Spot:
    """A call to fail: the one numbered *number* of a scenario at a service, and what it may raise."""

    service: str
    scenario: Scenario
    number: int
    place: Place
    undisturbed_s: float
    errors: list[Callable[[], BaseException]]


def places(directory: Path, service: str, *, every: bool = False) -> list[Spot]:
    """The calls of all scenarios: the first from each place in the program, with one of the errors it may
    meet; or *every* one, with all of them."""
    found: dict[object, Spot] = {}
    for scenario in SCENARIOS:
        undisturbed = run(directory / scenario.name, SERVICES[service], scenario, Trip())
        for number, place in enumerate(undisturbed.places):
            errors = ERRORS[place[0].partition(".")[0]]
            spot = Spot(
                service,
                scenario,
                number,
                place,
                undisturbed.worked_s,
                errors if every else [errors[number % len(errors)]],
            )
            found.setdefault((scenario.name, number) if every else place, spot)
    return list(found.values())


def failures(directory: Path, spot: Spot, times: int = 1) -> list[str]:
    """What went wrong when the call failed, once with each error; nothing should. *times*: and those of its
    kind that followed."""
    found: list[str] = []
    for kind in spot.errors:
        trip = Trip(at=spot.number, error=kind, times=times)
        try:
            disturbed = run(directory / "run", SERVICES[spot.service], spot.scenario, trip, 600.0)
            assert trip.has_raised, "the call was not made"
            assert disturbed.worked_s <= spot.undisturbed_s + DELAY_S * times, f"{disturbed.worked_s} s"
        except AssertionError as error:
            found.append(f"{spot.service}, {spot.scenario.name}: {kind()!r} at {spot.place}: {error}")
        finally:
            shutil.rmtree(directory / "run")
    return found


def main() -> None:
    """Every call fails, with everything it may raise: takes minutes."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        for service in SERVICES:
            spots = places(Path(name), service, every=True)
            for times in (1, 6):
                found = [told for spot in spots for told in failures(Path(name), spot, times)]
                runs = sum(len(spot.errors) for spot in spots)
                told = f"{service}: {len(spots)} calls, {times} in a row, {runs} runs, {len(found)} failures"
                print(told, *found, sep="\n  ")
            shutil.rmtree(name)


if __name__ == "__main__":
    main()
