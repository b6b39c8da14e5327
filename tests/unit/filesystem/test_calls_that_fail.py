"""Whatever a call of the kernel meets on the local disk, once: it fails, and nothing else does."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mountfs.attributes import Caller
from mountfs.errors import DiskFull
from mountfs.spool.disk import RealDisk
from tests.doubles.brittle import Place, Trip, calls_of
from tests.doubles.world import World

ERRORS: dict[str, list[Callable[[], BaseException]]] = {
    "store": [
        lambda: sqlite3.OperationalError("disk I/O error"),
        lambda: DiskFull("the disk that keeps the journal is full"),
    ],
    "disk": [
        lambda: OSError(errno.EIO, "Input/output error"),
        lambda: OSError(errno.EMFILE, "Too many open files"),
        MemoryError,
    ],
}

WITH_ALL = bool(os.environ.get("MOUNTFS_ALL_FAULTS"))
"""Whether each call that one place makes again in a program fails with each error, too; else with one of
them, in turns."""

Call = Callable[[Callable[[], object]], object]
"""Makes one call of the kernel; None where it failed."""


def _opened(world: World, call: Call, path: str, flags: int, *steps: Callable[[int], object]) -> None:
    """As the kernel does it: whatever fails, an open file is flushed and released once."""
    opening = world.fs.create if flags & os.O_CREAT else world.fs.open
    number = call(lambda: opening(path, flags).number)
    if isinstance(number, int):
        for step in (*steps, world.fs.flush, world.fs.release):
            call(lambda: step(number))  # noqa: B023 - called at once


def write_new(world: World, call: Call) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
    _opened(world, call, "/f", flags, lambda number: world.fs.write(number, 0, b"hello"))


def write_again(world: World, call: Call) -> None:
    write_new(world, call)
    flags = os.O_WRONLY | os.O_APPEND
    _opened(world, call, "/f", flags, lambda number: world.fs.write(number, 5, b" there"))


def write_over(world: World, call: Call) -> None:
    _opened(
        world,
        call,
        "/old",
        os.O_RDWR,
        lambda number: world.fs.write(number, 1, b"ELL"),
        world.fs.fsync,
        world.fs.flush,
        lambda number: world.fs.write(number, 0, b"J"),
    )


def cut(world: World, call: Call) -> None:
    flags = os.O_WRONLY | os.O_TRUNC
    _opened(world, call, "/old", flags, lambda number: world.fs.write(number, 0, b"newer"))
    call(lambda: world.fs.truncate("/old", 2))
    call(lambda: world.fs.truncate("/old", 9))


def save_by_rename(world: World, call: Call) -> None:
    write_new(world, call)
    call(lambda: world.rename("/f", "/old"))


def change_names(world: World, call: Call) -> None:
    call(lambda: world.mkdir("/d"))
    call(lambda: world.rename("/old", "/d/x"))
    call(lambda: world.touch("/d/x", 10**18))
    call(lambda: world.fs.unlink("/d/x"))
    call(lambda: world.fs.rmdir("/d"))


def extend(world: World, call: Call) -> None:
    flags = os.O_WRONLY | os.O_APPEND
    _opened(world, call, "/old", flags, lambda number: world.fs.write(number, 5, b" there"))
    _opened(world, call, "/old", os.O_RDWR, lambda number: world.fs.write(number, 2, b"LL"))


def empty_what_has_set_id_bits(world: World, call: Call) -> None:
    world.fs.metadata.chmod("/old", 0o6755)
    number = call(lambda: world.fs.open("/old", os.O_WRONLY | os.O_TRUNC, Caller(1001, 1001)).number)
    if isinstance(number, int):
        for step in (world.fs.flush, world.fs.release):
            call(lambda: step(number))  # noqa: B023 - called at once


Program = tuple[Callable[[World, Call], None], int]
"""With the size of a file that its first write fetches."""

PROGRAMS: list[Program] = [
    *((each, 100) for each in (write_new, write_again, write_over, cut, save_by_rename, change_names)),
    *((each, 0) for each in (write_over, cut, extend, empty_what_has_set_id_bits)),
]


def run(directory: Path, program: Program, trip: Trip) -> list[str]:
    """What is not as it should be after the program, with *trip* on all calls of store and disk that are made
    by its own."""
    disk = RealDisk()
    trip.wrap("disk", disk, calls_of(RealDisk, but=()))
    directory.mkdir()
    steps, small_bytes = program
    world = World(directory, disk=disk, settings={"small_bytes": small_bytes, "cache_bytes": 0})
    world.account.write("/old", b"hello")
    world.names()
    store = world.core.tree.store
    trip.wrap("store", store, calls_of(type(store), but=("close", "next_id", "error_of")))
    trip.wrap("store", store.gaps, ["add", "apply"])

    def call(make: Callable[[], object]) -> object:
        with suppress(Exception), trip.armed():
            return make()
        return None

    steps(world, call)
    found: list[str] = []
    with suppress(AssertionError):
        world.settle(60.0)
    shown = world.tree()
    if world.pending():
        found.append(f"pending: {world.pending()}")
    if len(world.core.files):
        found.append("a file is still open")
    if world.core.spool.names():
        found.append("a file is still in the spool")
    if shown != world.remote():
        found.append(f"{shown} is shown, the service has {world.remote()}")
    world.restart()
    if world.tree() != shown:
        found.append(f"{shown} was shown, the next process shows {world.tree()}")
    world.close()
    return found


def places(directory: Path, program: Program) -> list[Place]:
    trip = Trip()
    assert run(directory, program, trip) == []
    return trip.places


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: f"{program[0].__name__}-{program[1]}")
def test_a_call_that_fails_once_costs_nothing_but_itself(tmp_path: Path, program: Program) -> None:
    """Everything is sent by itself, no file stays open or in the spool, and a restart changes nothing."""
    found: list[str] = []
    known: set[Place] = set()
    for at, place in enumerate(places(tmp_path / "all goes well", program)):
        name, where = place
        errors = ERRORS[name.partition(".")[0]]
        if place in known and not WITH_ALL:
            errors = [errors[at % len(errors)]]
        known.add(place)
        for number, error in enumerate(errors):
            wrong = run(tmp_path / f"{at}-{number}", program, Trip(at, error))
            found += [f"{name} in {where[:1]} raises {error()!r}: {each}" for each in wrong]
    assert found == []
