"""The hash of a whole file, from what is read for its parts."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.backends.wholehash import WholeHash
from mountfs.errors import Forbidden, MountfsError, Offline, SessionLost
from mountfs.model.hashing import HashKind
from mountfs.model.pendingbytes import Unreadable
from mountfs.model.settling import SETTLE_S
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.upload.bodies import body_of, content_of, uploader_steps

PART_BYTES = 16
LIMITS = replace(SIDE_BY_SIDE_LIMITS, chunk_bytes=PART_BYTES, session_min_bytes=32)
BODY = body_of(100)
PARTS = [(offset, BODY[offset : offset + PART_BYTES]) for offset in range(0, len(BODY), PART_BYTES)]


def sha1(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


class Source:
    """The file's bytes, and what was read of them."""

    def __init__(self, body: bytes = BODY) -> None:
        self.body = body
        self.reads: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return self.body[offset : offset + length]


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def whole(source: Source) -> WholeHash:
    return WholeHash(HashKind.SHA1, source.read)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_parts_are_hashed_in_their_order_whatever_order_they_are_read_in(
    whole: WholeHash, source: Source, order: tuple[int, ...]
) -> None:
    quarters = [(at, BODY[at : at + 25]) for at in range(0, 100, 25)]
    for at in order:
        whole.feed(*quarters[at])
    assert whole.hexdigest(100) == sha1(BODY)
    assert source.reads == []


def test_a_part_that_is_sent_again_is_hashed_once(whole: WholeHash, source: Source) -> None:
    for offset, body in PARTS:
        whole.feed(offset, body)
        whole.let_go(offset)
        whole.feed(offset, body)
    assert whole.hexdigest(100) == sha1(BODY)
    assert source.reads == []


def test_what_a_former_process_sent_is_read_and_nothing_else(source: Source) -> None:
    whole = WholeHash(HashKind.SHA1, source.read, [(0, 32), (48, 64)])
    whole.catch_up()
    assert source.reads == [(0, 32)]
    for offset, body in PARTS:
        if offset not in (0, 16, 48):
            whole.feed(offset, body)
    assert whole.hexdigest(100) == sha1(BODY)
    assert source.reads == [(0, 32), (48, 16)]


def test_bytes_whose_part_is_through_do_not_stay_in_memory(whole: WholeHash, source: Source) -> None:
    whole.feed(*PARTS[1])
    whole.let_go(PART_BYTES)
    for at in (0, 2, 3, 4, 5, 6):
        whole.feed(*PARTS[at])
    assert whole.hexdigest(100) == sha1(BODY)
    assert source.reads == [(16, 16)]


def test_bytes_let_go_of_too_early_are_taken_from_the_part_when_it_is_sent_again(
    whole: WholeHash, source: Source
) -> None:
    whole.feed(*PARTS[1])
    whole.let_go(PART_BYTES)
    for part in [PARTS[1], PARTS[0], *PARTS[2:]]:
        whole.feed(*part)
    assert whole.hexdigest(100) == sha1(BODY)
    assert source.reads == []


def test_what_nobody_brought_is_read_at_the_end(whole: WholeHash, source: Source) -> None:
    whole.feed(*PARTS[0])
    assert whole.hexdigest(100) == sha1(BODY)
    assert source.reads == [(16, 84)]


def test_an_empty_file_has_a_hash(whole: WholeHash) -> None:
    whole.feed(0, b"")
    assert whole.hexdigest(0) == sha1(b"")


def test_a_read_that_fails_is_made_again_by_who_comes_next(source: Source) -> None:
    failures = [Unreadable("gone")]

    def read(offset: int, length: int) -> bytes:
        if failures:
            raise failures.pop()
        return source.read(offset, length)

    whole = WholeHash(HashKind.SHA1, read, [(0, 16)])
    with pytest.raises(Unreadable):
        whole.feed(*PARTS[1])
    for part in PARTS[2:]:
        whole.feed(*part)
    assert whole.hexdigest(100) == sha1(BODY)
    assert source.reads == [(0, 16)]


def test_nobody_waits_for_who_is_hashing(source: Source) -> None:
    is_reading, may_read = threading.Event(), threading.Event()

    def read(offset: int, length: int) -> bytes:
        is_reading.set()
        assert may_read.wait(10)
        return source.read(offset, length)

    whole = WholeHash(HashKind.SHA1, read, [(0, 16)])
    first = threading.Thread(target=whole.catch_up)
    first.start()
    assert is_reading.wait(10)
    for part in PARTS[1:]:
        whole.feed(*part)
    may_read.set()
    first.join(10)
    assert whole.hexdigest(100) == sha1(BODY)
    assert source.reads == [(0, 16)]


@pytest.mark.parametrize("seed", range(5))
def test_many_workers_at_once_give_the_one_hash(seed: int) -> None:
    body = random.Random(seed).randbytes(64_000)
    source = Source(body)
    whole = WholeHash(HashKind.SHA1, source.read, [(0, 1000), (40_000, 41_000)])
    todo = [at for at in range(0, len(body), 1000) if at not in (0, 40_000)]
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not todo:
                    return
                at = todo.pop(0)
            whole.feed(at, body[at : at + 1000])
            whole.let_go(at)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    assert whole.hexdigest(len(body)) == sha1(body)


# Through the uploader


class Counted(World):
    """A service whose whole-file hash cannot be put together from the parts'; counts reads of the spool."""

    def start(self) -> None:
        super().start()
        self.reads: list[tuple[int, int]] = []
        read = self.core.spool.read

        def counted(name: str, offset: int, length: int) -> bytes:
            self.reads.append((offset, length))
            return read(name, offset, length)

        self.core.spool.read = counted  # type: ignore[method-assign]

    def read_once(self, size_bytes: int) -> bool:
        """Whether every byte was read exactly once."""
        seen = sorted(each for each in self.reads if each[1])
        ends = [0, *(offset + length for offset, length in seen)]
        return [offset for offset, _ in seen] == ends[:-1] and ends[-1] == size_bytes


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    made = Counted(tmp_path, limits=LIMITS)
    yield made
    made.close()


def assert_hashed(world: World, path: str, body: bytes) -> None:
    """Only the order is missing, and it will tell the hash of *body*."""
    assert world.pending() == [(path, "uploaded")]
    assert content_of(world, path).content_hash == sha1(body)


def test_a_large_file_is_read_once(counted: Counted) -> None:
    counted.put("/a", BODY)
    counted.upload_all()
    assert_hashed(counted, "/a", BODY)
    assert counted.read_once(len(BODY))
    counted.settle()
    assert counted.account.files() == {"/a": BODY}
    assert counted.read_once(len(BODY))


@pytest.mark.parametrize("skip", range(7))
@pytest.mark.parametrize("error", [Offline("x"), SessionLost("x")])
def test_a_part_that_failed_is_not_hashed_twice(counted: Counted, error: MountfsError, skip: int) -> None:
    counted.backend.fail("append", error, skip=skip)
    counted.put("/a", BODY)
    counted.upload_all()
    assert_hashed(counted, "/a", BODY)


@pytest.mark.parametrize("steps", range(1, 9))
def test_after_a_restart_what_was_sent_is_read_once_more_and_the_rest_once(
    counted: Counted, steps: int
) -> None:
    counted.put("/a", BODY)
    counted.advance(SETTLE_S)
    uploader_steps(counted, steps)
    counted.restart()
    counted.upload_all()
    assert_hashed(counted, "/a", BODY)
    assert counted.read_once(len(BODY)) or steps == 8
    assert counted.memory.calls()["append"] == 7


def test_a_file_written_over_while_it_goes_up_is_hashed_as_it_is_in_the_end(tmp_path: Path) -> None:
    limits = replace(LIMITS, size_known_at_start=False, sessions_have_places=False)
    world = Counted(tmp_path, limits=limits)
    number = world.begin("/a")
    body = bytearray(BODY)
    # From the back to the front, and once more over what was sent.
    for offset in reversed(range(0, 100, 10)):
        world.fs.write(number, offset, BODY[offset : offset + 10])
        world.upload_all()
    body[20:25] = b"wrote"
    world.fs.write(number, 20, b"wrote")
    world.upload_all()
    assert world.memory.calls()["append"] > 0
    world.close_file(number)
    world.upload_all()
    assert_hashed(world, "/a", bytes(body))
    world.settle()
    assert world.account.files() == {"/a": bytes(body)}
    world.close()


def test_a_refused_file_that_is_tried_again_has_its_hash(counted: Counted) -> None:
    counted.backend.fail("append", Forbidden("no"), skip=2)
    counted.put("/a", BODY)
    counted.upload_all()
    assert counted.pending() == [("/a", "failed")]
    counted.rename("/a", "/b")
    counted.upload_all()
    assert_hashed(counted, "/b", BODY)


def test_the_hash_of_a_file_is_not_computed_under_the_tree_s_lock(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = WholeHash.feed
    is_free: list[bool] = []

    def look(whole: WholeHash, offset: int, body: bytes) -> None:
        def take() -> None:
            lock = counted.core.tree.lock
            taken = lock.acquire(timeout=10)
            is_free.append(taken)
            if taken:
                lock.release()

        other = threading.Thread(target=take)
        other.start()
        other.join()
        feed(whole, offset, body)

    monkeypatch.setattr(WholeHash, "feed", look)
    counted.put("/a", BODY)
    counted.upload_all()
    assert is_free == [True] * 7
