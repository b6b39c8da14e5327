"""The service fails for whatever has one file in it, or for everything, for a while."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from mountfs.errors import Internal, MountfsError, ServerFault
from mountfs.ports import Piece, Stored
from mountfs.tree.view import reason_of
from tests.doubles.crew import Crew
from tests.doubles.world import World
from tests.unit.upload.bodies import SMALL_LIMITS, body_of, content_of, uploader_steps

GUILTY = b"guilty"
COUNT = 60


class Poisoned:
    """While ``is_on``, every request that carries the bytes of the guilty file raises *error*."""

    def __init__(self, world: World, error: Exception) -> None:
        self.is_on = True
        self.failed = 0
        self.failed_s: list[float] = []
        self._clock = world.clock
        self._error = error
        self._append_pack = world.backend.append_pack
        self._upload_whole = world.backend.upload_whole
        world.backend.append_pack = self.append_pack  # type: ignore[method-assign]
        world.backend.upload_whole = self.upload_whole  # type: ignore[method-assign]

    def append_pack(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        self._look(pieces)
        return self._append_pack(pieces)

    def upload_whole(self, piece: Piece) -> Stored:
        self._look([piece])
        return self._upload_whole(piece)

    def _look(self, pieces: Sequence[Piece]) -> None:
        if self.is_on and GUILTY in [piece.source.read(0, piece.length) for piece in pieces]:
            self.failed += 1
            self.failed_s.append(self._clock.now_s())
            raise copy.copy(self._error)


@pytest.mark.parametrize("error", [ServerFault("500"), Internal("a bug"), KeyError("a bug")], ids=repr)
@pytest.mark.parametrize("at", [0, 31, COUNT - 1])
def test_a_file_that_fails_all_in_its_pack_fails_alone_in_the_end(
    world: World, at: int, error: Exception
) -> None:
    poisoned, crew = Poisoned(world, error), Crew(world)
    for number in range(COUNT):
        world.put(f"/f{number}", GUILTY if number == at else body_of(4, number))
    crew.work(lambda: len(world.account.files()) == COUNT - 1)
    assert [path for path, _ in world.pending()] == [f"/f{at}"]
    assert poisoned.failed <= 16  # six halves, and some tries of it alone
    assert str(error) in reason_of(world.node(f"/f{at}")).replace("KeyError: ", "")
    assert not world.core.uploader.has_small

    world.put("/later", b"later")
    before_s = world.clock.now_s()
    crew.work(lambda: "/later" in world.account.files())
    assert world.clock.now_s() - before_s < 5.0

    failed = poisoned.failed
    crew.work(lambda: world.clock.now_s() - before_s > 600.0, most_s=700.0)
    assert 3 <= poisoned.failed - failed <= 10
    poisoned.is_on = False
    crew.work(lambda: world.pending() == [])
    assert world.account.files()[f"/f{at}"] == GUILTY
    assert reason_of(world.node(f"/f{at}")) == ""
    assert world.core.uploader.last_error is None
    assert world.notices() == []


def test_a_file_that_fails_alone_waits_twice_as_long_each_time_up_to_five_minutes(world: World) -> None:
    poisoned, crew = Poisoned(world, ServerFault("500")), Crew(world)
    world.put("/f", GUILTY)
    begun_s = world.clock.now_s()
    crew.work(lambda: world.clock.now_s() - begun_s > 2000.0, most_s=3000.0)
    waits_s = [after_s - before_s for before_s, after_s in pairwise(poisoned.failed_s)]
    expected_s = [min(300.0, 2.5 * 2.0**number) * 0.75 for number in range(len(waits_s))]
    assert waits_s == pytest.approx(expected_s, abs=0.01)
    assert len(waits_s) >= 10


def test_a_file_that_just_failed_is_not_kept_waiting_by_one_that_has_failed_for_long(world: World) -> None:
    poisoned, crew = Poisoned(world, ServerFault("500")), Crew(world)
    world.put("/f", GUILTY)
    begun_s = world.clock.now_s()
    crew.work(lambda: world.clock.now_s() - begun_s > 1000.0, most_s=2000.0)
    waits_from = len(poisoned.failed_s)
    crew.work(lambda: len(poisoned.failed_s) > waits_from)
    world.put("/once", b"once")
    world.backend.fail("upload_whole", ServerFault("500"))
    crew.work(lambda: "/once" in world.account.files(), most_s=60.0)


def trouble_of(world: World) -> str | None:
    """What status says of uploads."""
    return world.core.uploader.last_error


@pytest.mark.parametrize("size", [5, 50], ids=["small", "large"])
def test_five_minutes_of_trouble_are_told_while_they_last(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, limits=SMALL_LIMITS)
    crew = Crew(world)
    for number in range(3):
        world.put(f"/f{number}", body_of(size, number))
    for route in ("upload_whole", "append_pack", "append"):
        world.backend.fail(route, ServerFault("500 internal error"), times=10_000)
    begun_s = world.clock.now_s()
    with caplog.at_level(logging.INFO):
        crew.work(lambda: world.clock.now_s() - begun_s > 10.0)
        assert trouble_of(world) == "500 internal error"
        crew.work(lambda: world.clock.now_s() - begun_s > 300.0, most_s=400.0)
        assert trouble_of(world) == "500 internal error"
        assert {reason_of(world.node(f"/f{number}")) for number in range(3)} == {"500 internal error"}
        assert len(world.core.tree.troubled) == 3
        calls = sum(world.memory.calls().get(route, 0) for route in ("upload_whole", "append_pack", "append"))
        assert not calls  # none took effect
        begun = sum(record.name == "mountfs.trouble" for record in caplog.records)
        world.backend.forgive()
        crew.work(lambda: world.pending() == [])
    told = [record.levelname for record in caplog.records if record.name == "mountfs.trouble"]
    assert 1 <= begun <= 4  # each file, and all of them
    assert told == ["WARNING"] * begun + ["INFO"] * begun
    assert trouble_of(world) is None
    assert not world.core.tree.troubled
    world.close()


def test_bytes_that_cannot_be_read_for_a_while_are_sent_later(world: World) -> None:
    """A descriptor, or memory, was missing; the disk may recover from an error too."""
    crew = Crew(world)
    world.put("/a", b"aa")
    world.put("/b", b"bb")
    spool, read = world.core.spool, world.core.spool.read
    unreadable = content_of(world, "/a").spool

    def failing(name: str, offset: int, length: int) -> bytes:
        if name == unreadable:
            raise OSError(24, "Too many open files")
        return read(name, offset, length)

    spool.read = failing  # type: ignore[method-assign]
    crew.work(lambda: "/b" in world.account.files())
    begun_s = world.clock.now_s()
    crew.work(lambda: world.clock.now_s() - begun_s > 120.0)
    assert reason_of(world.node("/a")) == "the pending bytes cannot be read: Too many open files"
    assert world.word("/a") == "sealed"
    spool.read = read  # type: ignore[method-assign]
    crew.work(lambda: world.pending() == [])
    assert world.account.files() == {"/a": b"aa", "/b": b"bb"}
    assert world.notices() == []


def test_of_files_that_fail_alone_one_is_tried_at_a_time_however_many_workers_are_free(world: World) -> None:
    crew = Crew(world)
    for number in range(8):
        world.put(f"/f{number}", body_of(5, number))
    for route in ("upload_whole", "append_pack"):
        world.backend.fail(route, ServerFault("500"), times=10_000)
    begun_s = world.clock.now_s()
    crew.work(lambda: world.clock.now_s() - begun_s > 600.0, most_s=700.0)
    tried: list[int] = []
    under_way: list[Piece] = []

    def hanging(piece: Piece) -> Stored:
        under_way.append(piece)
        tried.append(len(under_way))
        uploader_steps(world, 1)  # another worker looks meanwhile
        under_way.pop()
        raise ServerFault("500")

    world.backend.upload_whole = hanging  # type: ignore[method-assign]
    crew.work(lambda: len(tried) >= 4, most_s=3000.0)
    assert set(tried) == {1}
