"""This machine fails while a worker sends bytes, or writes down what it sent: they go up again once it has
recovered."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.errors import Forbidden, MountfsError, NoSpace
from tests.doubles.failing_store import DISK_ERRORS, fail_store
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.upload.bodies import (
    SMALL_LIMITS,
    assert_uploaded,
    body_of,
    content_of,
    draft_of,
    uploader_steps,
    words,
)

BODY = body_of(100)
PLACED_LIMITS = replace(SIDE_BY_SIDE_LIMITS, chunk_bytes=16, session_min_bytes=32)


def upload_stubbornly(world: World) -> None:
    """As the daemon's workers do it: a step that raised is made again, later."""
    for _ in range(20):
        try:
            world.upload_all()
        except (sqlite3.Error, MemoryError, MountfsError):
            world.advance(0.5)
        else:
            return
    raise AssertionError("no step goes well")


@pytest.mark.parametrize("error", DISK_ERRORS)
@pytest.mark.parametrize("names", ["a", "abc"])
def test_small_files_go_up_again(world: World, names: str, error: Exception) -> None:
    for name in names:
        world.put(f"/{name}", name.encode())
    failed = fail_store(world, error, times=2)
    upload_stubbornly(world)
    assert len(failed) == 2
    for name in names:
        assert_uploaded(world, f"/{name}", name.encode())
    world.settle()
    assert world.account.files() == {f"/{name}": name.encode() for name in names}
    assert world.notices() == []


@pytest.mark.parametrize("error", DISK_ERRORS)
def test_small_files_that_travel_with_their_commit_are_hashed_again(tmp_path: Path, error: Exception) -> None:
    world = World(tmp_path, limits=PLACED_LIMITS)
    world.put("/a", b"a")
    failed = fail_store(world, error, times=2)
    upload_stubbornly(world)
    assert len(failed) == 2
    assert words(world) == {"uploaded"}
    world.settle()
    assert world.account.files() == {"/a": b"a"}
    assert world.notices() == []
    world.close()


def test_the_file_that_met_the_full_disk_keeps_no_other_from_going_up(world: World) -> None:
    world.put("/a", b"a")
    fail_store(world, DISK_ERRORS[0])
    world.advance(1.0)
    with pytest.raises(sqlite3.Error):
        uploader_steps(world, 1)
    world.put("/b", b"b")
    world.upload_all()
    assert_uploaded(world, "/a", b"a")
    assert_uploaded(world, "/b", b"b")


def test_a_refusal_that_could_not_be_written_down_is_asked_for_again(world: World) -> None:
    world.backend.fail("upload_whole", Forbidden("no"), times=2)
    world.put("/a", b"a")
    failed = fail_store(world, DISK_ERRORS[0])
    upload_stubbornly(world)
    assert len(failed) == 1
    assert world.pending() == [("/a", "failed")]
    assert world.backend.is_spent()


@pytest.fixture(params=[SMALL_LIMITS, PLACED_LIMITS], ids=["streamed", "placed"])
def parted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A service whose parts are 16 bytes."""
    made = World(tmp_path, limits=request.param)
    yield made
    made.close()


WRITTEN_DOWN = 8
"""A file of 100 bytes has its session written down, 6 parts, and the last part with the whole."""


@pytest.mark.parametrize("error", DISK_ERRORS)
@pytest.mark.parametrize("skip", range(WRITTEN_DOWN))
@pytest.mark.parametrize("times", [1, 3])
def test_a_large_file_goes_up_whatever_could_not_be_written_down(
    parted: World, error: Exception, skip: int, times: int
) -> None:
    parted.put("/a", BODY)
    parted.advance(1.0)
    failed = fail_store(parted, error, skip=skip, times=times)
    upload_stubbornly(parted)
    assert len(failed) == times
    assert_uploaded(parted, "/a", BODY)
    # A part that could not be written down is sent again, the whole file never is.
    assert parted.memory.calls()["append"] <= 7 + times
    parts = parted.core.tree.store.parts.of(content_of(parted, "/a").id)
    assert [part.offset for part in parts] == list(range(0, 100, 16))
    parted.settle()
    assert parted.account.files() == {"/a": BODY}
    assert parted.account.sessions == {}
    assert parted.notices() == []


@pytest.mark.parametrize("skip", range(WRITTEN_DOWN))
def test_a_large_file_goes_up_when_the_process_dies_of_the_full_disk(parted: World, skip: int) -> None:
    parted.put("/a", BODY)
    parted.advance(1.0)
    fail_store(parted, DISK_ERRORS[0], skip=skip, times=3)
    with pytest.raises(sqlite3.Error):
        parted.upload_all()
    parted.restart()
    parted.settle()
    assert parted.account.files() == {"/a": BODY}
    assert parted.notices() == []


def test_a_file_that_is_written_over_when_the_disk_is_full_goes_up_as_it_is_in_the_end(small: World) -> None:
    """What was sent of it before cannot be let go of at that moment."""
    number = small.begin("/a", BODY)
    small.upload_all()
    assert draft_of(small, "/a").session is not None
    fail_store(small, DISK_ERRORS[1])
    with pytest.raises(NoSpace):
        small.fs.write(number, 3, b"!!")
    small.fs.write(number, 3, b"!!")
    small.close_file(number)
    body = BODY[:3] + b"!!" + BODY[5:]
    small.upload_all()
    assert_uploaded(small, "/a", body)
    small.settle()
    assert small.account.files() == {"/a": body}
    assert small.account.sessions == {}


@pytest.mark.parametrize("body", [b"small", BODY], ids=["small", "large"])
def test_bytes_there_was_no_memory_for_are_read_again(parted: World, body: bytes) -> None:
    spool, failures = parted.core.spool, [MemoryError(), MemoryError()]
    read = spool.read

    def reading(name: str, offset: int, length: int) -> bytes:
        if failures:
            raise failures.pop()
        return read(name, offset, length)

    spool.read = reading  # type: ignore[method-assign]
    parted.put("/a", body)
    parted.advance(1.0)
    upload_stubbornly(parted)
    assert not failures
    parted.settle()
    assert parted.account.files() == {"/a": body}
    assert parted.notices() == []
