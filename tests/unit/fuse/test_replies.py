"""Answers to reads: bytes, or a file that stays open for as long as somebody may read of it."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import Offline
from mountfs.fuse.operations import Operations
from mountfs.fuse.replies import LEAST_LENT_BYTES, Replies
from mountfs.model.blocksums import BLOCK_BYTES
from tests.doubles.world import World
from tests.unit.fuse.answers import is_lent, taken
from tests.unit.fuse.test_operations import Info

MIB = 1024 * 1024
BODY = random.Random(9).randbytes(4 * MIB)
LAST = len(BODY) - BLOCK_BYTES
"""A read there is within a run, when all before it was read in sequence."""


class Reading:
    """A program that reads the file of one MiB after the other, and of which the last answer is lent."""

    def __init__(self, tmp_path: Path) -> None:
        self.world = World(tmp_path)
        self.world.account.write("/f", BODY)
        self.world.follow()
        self.ops = Operations(self.world.fs)
        self.info = Info(os.O_RDONLY)
        self.ops("open", "/f", self.info)

    def read(self, at: int, size: int = BLOCK_BYTES) -> int:
        answer: int = self.ops("read", None, size, at, self.info)
        return answer

    def evict(self) -> None:
        """As where the disk has no room left."""
        self.world.core.blocks.clear()

    def open_here(self) -> int:
        found = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        return sum("/cache/" in each and each.startswith(str(self.world.directory)) for each in found)


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[Reading]:
    made = Reading(tmp_path)
    for at in range(0, LAST, BLOCK_BYTES):
        assert taken(made.read(at)) == BODY[at : at + BLOCK_BYTES]
    yield made
    made.world.close()


def test_a_file_is_lent_where_it_is_read_in_sequence(reading: Reading) -> None:
    answer = reading.read(LAST)
    assert is_lent(answer)
    assert taken(answer) == BODY[LAST:]
    shorter = reading.read(LAST, LEAST_LENT_BYTES - 1)
    assert not is_lent(shorter)
    assert taken(shorter) == BODY[LAST : LAST + LEAST_LENT_BYTES - 1]


def test_a_lent_file_stays_open_until_the_thread_takes_its_next_call(reading: Reading) -> None:
    answer = reading.read(LAST)
    reading.evict()
    elsewhere = threading.Thread(target=reading.ops, args=("getattr", "/f", None))
    elsewhere.start()
    elsewhere.join()
    assert reading.open_here() == 1
    assert taken(answer) == BODY[LAST:]
    reading.ops("getattr", "/f", None)
    assert reading.open_here() == 0


def test_a_lent_file_closes_when_the_handle_is_released(reading: Reading) -> None:
    """The thread that was answered may have nothing to do for a long time."""
    answers: list[int] = []
    elsewhere = threading.Thread(target=lambda: answers.append(reading.read(LAST)))
    elsewhere.start()
    elsewhere.join()
    [answer] = answers
    assert is_lent(answer)
    taken(answer)
    reading.evict()
    assert reading.open_here() == 1
    reading.ops("release", None, reading.info)
    assert reading.open_here() == 0


def test_bytes_of_ours_are_never_lent(reading: Reading) -> None:
    writing = Info(os.O_RDWR)
    reading.ops("open", "/f", writing)
    reading.ops("write", None, b"ours", LAST, writing)
    for info in (writing, reading.info):
        answer = reading.ops("read", None, BLOCK_BYTES, LAST, info)
        assert not is_lent(answer)
        assert taken(answer) == b"ours" + BODY[LAST + 4 :]
    reading.ops("release", None, writing)


def test_a_read_that_fails_leaves_no_answer(reading: Reading) -> None:
    def fail(_room: memoryview) -> int:
        raise Offline("away")

    with pytest.raises(Offline):
        Replies().of_memory(4096, fail)
    assert taken(Replies().of_memory(0, len)) == b""


def test_a_cache_file_that_somebody_cut_is_not_lent(reading: Reading) -> None:
    """Else the kernel would take its end for the end of the file."""
    for path in (reading.world.directory / "cache").iterdir():
        os.truncate(path, LAST + 1000)
    answer = reading.read(LAST)
    assert not is_lent(answer)
    assert taken(answer) == BODY[LAST:]
