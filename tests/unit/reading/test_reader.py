"""Reads of one revision, through the cache."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mountfs.errors import Busy, Corrupt, MountfsError, NotFound, Offline, ServerFault, Throttled, Transient
from mountfs.model.blocksums import BLOCK_BYTES
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind
from mountfs.model.waits import PATIENCE_S, SHORTEST_WAIT_S
from mountfs.reading.blocks import Blocks
from mountfs.reading.readahead import MIB
from mountfs.reading.reader import Reader
from mountfs.reading.served import Served
from tests.doubles.memory import MemoryBackend
from tests.fakes.clock import FakeClock
from tests.fakes.ending import ClockedEnding


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def reader(backend: MemoryBackend, tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(backend, Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX), FakeClock())
    yield reader
    reader.close()


def body_of(size_bytes: int) -> bytes:
    return b"".join(at.to_bytes(8, "big") for at in range(0, size_bytes, 8))[:size_bytes]


def test_a_read_gives_the_bytes_asked_for_and_fewer_only_at_the_end(
    backend: MemoryBackend, reader: Reader
) -> None:
    body = body_of(3 * MIB + 7)
    file = backend.remote.write("/f", body)
    assert reader.read(file, 2 * MIB + 3, 1000) == body[2 * MIB + 3 : 2 * MIB + 1003]
    assert reader.read(file, 3 * MIB, 1000) == body[3 * MIB :]
    assert reader.read(file, 3 * MIB + 7, 1000) == b""


def test_a_small_file_costs_one_request(backend: MemoryBackend, reader: Reader) -> None:
    file = backend.remote.write("/f", b"x" * 1000)
    assert b"".join(reader.read(file, at, 100) for at in range(0, 1000, 100)) == b"x" * 1000
    assert backend.calls()["read"] == 1


def test_reads_are_counted_by_whether_they_waited_for_the_service(
    backend: MemoryBackend, reader: Reader
) -> None:
    file = backend.remote.write("/f", b"x" * 1000)
    for at in range(0, 1000, 250):
        reader.read(file, at, 250)
    reader.read(file, 1000, 1)
    assert reader.served == Served(hits=3, misses=1, hit_bytes=750, missed_bytes=250)


def test_reading_in_sequence_needs_few_requests(backend: MemoryBackend, reader: Reader) -> None:
    body = body_of(32 * MIB)
    file = backend.remote.write("/f", body)
    got = [reader.read(file, at, BLOCK_BYTES) for at in range(0, len(body), BLOCK_BYTES)]
    assert b"".join(got) == body
    assert backend.calls()["read"] < 40


def test_an_open_file_reads_one_revision(backend: MemoryBackend, reader: Reader) -> None:
    old = backend.remote.write("/f", b"old" * 1000)
    assert reader.read(old, 0, 3) == b"old"
    new = backend.remote.write("/f", b"new" * 1000)
    assert reader.read(old, 2997, 3) == b"old"
    assert reader.read(new, 2997, 3) == b"new"


def test_readers_of_the_same_bytes_cause_one_request(backend: MemoryBackend, reader: Reader) -> None:
    file = backend.remote.write("/f", b"x" * 1000)
    backend.hold("read")
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(reader.read(file, 0, 1000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert backend.wait_until_held("read")
    backend.release("read")
    for thread in threads:
        thread.join(10)
    assert got == [b"x" * 1000] * 4
    assert backend.calls()["read"] == 1


def test_what_is_cached_reads_while_the_network_is_down(backend: MemoryBackend, reader: Reader) -> None:
    file = backend.remote.write("/f", b"x" * 1000)
    other = backend.remote.write("/g", b"y" * 1000)
    reader.read(file, 0, 1)
    backend.is_online = False
    assert reader.read(file, 500, 500) == b"x" * 500
    with pytest.raises(Offline):
        reader.read(other, 0, 1)
    backend.is_online = True
    assert reader.read(other, 0, 1) == b"y"


def test_a_cache_that_fails_keeps_no_reader_waiting(
    backend: MemoryBackend, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises: the bytes are there, for whoever asked for them, and for the next."""
    file = backend.remote.write("/f", b"x" * 1000)
    with monkeypatch.context() as patched:

        def fail(*_: object) -> None:
            raise MemoryError

        patched.setattr(Blocks, "put", fail)
        backend.hold("read")
        got: list[bytes] = []

        def read() -> None:
            with contextlib.suppress(MemoryError):
                got.append(reader.read(file, 0, 1000))

        threads = [threading.Thread(target=read, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert backend.wait_until_held("read")
        backend.release("read")
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
        assert set(got) <= {b"x" * 1000}
    assert reader.read(file, 0, 1000) == b"x" * 1000


def test_without_a_thread_to_read_ahead_what_is_asked_for_is_read(
    backend: MemoryBackend, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = body_of(16 * MIB)
    file = backend.remote.write("/f", body)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    got = [reader.read(file, at, BLOCK_BYTES) for at in range(0, len(body), BLOCK_BYTES)]
    assert b"".join(got) == body


def test_a_revision_that_is_gone_says_so(backend: MemoryBackend, reader: Reader) -> None:
    file = backend.remote.write("/f", b"x")
    backend.remote.tree.forget(file.revision)
    with pytest.raises(NotFound):
        reader.read(file, 0, 1)


def test_a_reply_of_another_length_is_never_served(tmp_path: Path) -> None:
    class Cut:
        def read(self, file: File, offset: int, length: int) -> bytes:
            return b"x" * (length - 1)

    reader = Reader(Cut(), Blocks(tmp_path / "cache", MIB, HashKind.DROPBOX), FakeClock())
    with pytest.raises(Corrupt):
        reader.read(File("id", "f", "rev", 10, 0, None), 0, 10)
    reader.close()


def test_a_whole_revision_is_copied(backend: MemoryBackend, reader: Reader) -> None:
    class Target:
        def __init__(self) -> None:
            self.body = bytearray()

        def pwrite(self, offset: int, data: bytes) -> None:
            assert offset == len(self.body)
            self.body += data

    body = body_of(5 * MIB + 5)
    file = backend.remote.write("/f", body)
    whole, part = Target(), Target()
    reader.copy_into(file, whole)
    reader.copy_into(file, part, 2 * MIB + 1)
    assert bytes(whole.body) == body
    assert bytes(part.body) == body[: 2 * MIB + 1]


def test_what_is_fetched_is_exactly_what_was_asked_for_and_is_not_kept(
    backend: MemoryBackend, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    read = backend.read

    def noted(file: File, offset: int, length: int) -> bytes:
        asked.append((offset, length))
        return read(file, offset, length)

    monkeypatch.setattr(backend, "read", noted)
    body = body_of(5 * MIB)
    file = backend.remote.write("/f", body)
    for _ in range(2):
        assert reader.fetch(file, 7, 100) == body[7:107]
    assert asked == [(7, 100), (7, 100)]
    reader.read(file, 2 * MIB, 10)
    cached = asked.pop()
    del asked[:]
    assert reader.fetch(file, MIB, 2 * MIB) == body[MIB : 3 * MIB]
    assert asked == [(MIB, MIB), (sum(cached), 3 * MIB - sum(cached))]


def test_a_fetch_does_not_wait_and_takes_no_other_number_of_bytes(
    backend: MemoryBackend, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = backend.remote.write("/f", body_of(MIB))

    def busy(*_: object) -> bytes:
        raise Throttled("slow", 3.0)

    monkeypatch.setattr(backend, "read", busy)
    with pytest.raises(Throttled):
        reader.fetch(file, 0, 10)
    monkeypatch.setattr(backend, "read", lambda *_: b"short")
    with pytest.raises(Corrupt):
        reader.fetch(file, 0, 10)


def test_reading_goes_on_when_the_threads_have_ended(backend: MemoryBackend, reader: Reader) -> None:
    body = body_of(4 * MIB)
    file = backend.remote.write("/f", body)
    reader.read(file, 0, BLOCK_BYTES)
    reader.close()
    assert b"".join(reader.read(file, at, MIB) for at in range(0, 4 * MIB, MIB)) == body


FILE = File("id", "f", "rev", 10, 0, None)


class Reluctant:
    """A service that meets the first reads with these errors."""

    def __init__(self, clock: FakeClock, errors: Sequence[MountfsError], seconds_each: float = 0.0) -> None:
        self.asked_s: list[float] = []
        self._clock = clock
        self._errors = list(errors)
        self._seconds_each = seconds_each

    def read(self, file: File, offset: int, length: int) -> bytes:
        self.asked_s.append(self._clock.now_s())
        self._clock.advance(self._seconds_each)
        if self._errors:
            raise self._errors.pop(0)
        return b"x" * length


def reader_of(
    tmp_path: Path, *errors: MountfsError, seconds_each: float = 0.0
) -> tuple[Reader, Reluctant, FakeClock]:
    clock = FakeClock(now_s=0.0)
    source = Reluctant(clock, errors, seconds_each)
    return (
        Reader(source, Blocks(tmp_path / "cache", MIB, HashKind.DROPBOX), clock, ClockedEnding(clock)),
        source,
        clock,
    )


def test_a_read_waits_as_long_as_the_service_says(tmp_path: Path) -> None:
    reader, source, _ = reader_of(
        tmp_path, Busy("not yet", 1.0), Throttled("slow", 3.0), ServerFault("", 20.0)
    )
    assert reader.read(FILE, 0, 10) == b"x" * 10
    assert source.asked_s == [0.0, 1.0, 4.0, 24.0]
    reader.close()


def test_a_read_gives_up_where_the_wait_would_end_after_its_time(tmp_path: Path) -> None:
    reader, source, clock = reader_of(tmp_path, *[Busy("not yet", 26.0)] * 9, seconds_each=5.0)
    with pytest.raises(Busy):
        reader.read(FILE, 0, 10)
    assert source.asked_s == [0.0, 31.0]
    assert clock.now_s() <= PATIENCE_S
    reader.close()


def test_a_service_that_says_at_once_is_not_asked_as_fast_as_can_be(tmp_path: Path) -> None:
    reader, source, _ = reader_of(tmp_path, *[Throttled("slow", 0.0)] * 1000)
    with pytest.raises(Throttled):
        reader.read(FILE, 0, 10)
    assert len(source.asked_s) <= PATIENCE_S / SHORTEST_WAIT_S + 1
    reader.close()


@pytest.mark.parametrize(
    "error", [Offline("away"), Offline("away", 1.0), Throttled("slow"), ServerFault("broken")]
)
def test_a_service_that_is_away_or_names_no_time_is_not_waited_for(tmp_path: Path, error: Transient) -> None:
    reader, source, clock = reader_of(tmp_path, error)
    with pytest.raises(type(error)):
        reader.read(FILE, 0, 10)
    assert (len(source.asked_s), clock.now_s()) == (1, 0.0)
    reader.close()


def test_the_end_of_the_mount_ends_a_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    source = Reluctant(clock, [Busy("not yet", 50.0)] * 9)
    reader = Reader(source, Blocks(tmp_path / "cache", MIB, HashKind.DROPBOX), clock)
    ended: list[MountfsError] = []

    def read() -> None:
        try:
            reader.read(FILE, 0, 10)
        except MountfsError as error:
            ended.append(error)

    waiting = [threading.Thread(target=read) for _ in range(2)]
    for thread in waiting:
        thread.start()
    reader.end_waits()
    for thread in waiting:
        thread.join(10)
    assert [type(error) for error in ended] == [Busy, Busy]
    reader.close()


def test_other_files_are_read_while_somebody_waits(tmp_path: Path) -> None:
    """Nothing is locked meanwhile."""
    other = File("id2", "g", "rev2", 10, 0, None)
    clock = FakeClock()
    seen: list[bytes] = []

    class Looking(ClockedEnding):
        def wait(self, timeout: float) -> bool:
            looking = threading.Thread(target=lambda: seen.append(busy.read(other, 0, 10)))
            looking.start()
            looking.join(10)
            return super().wait(timeout)

    source = Reluctant(clock, [Busy("not yet", 1.0)])
    busy = Reader(source, Blocks(tmp_path / "cache", MIB, HashKind.DROPBOX), clock, Looking(clock))
    assert busy.read(FILE, 0, 10) == b"x" * 10
    assert seen == [b"x" * 10]
    busy.close()


class SilentFar:
    """A service that takes each call and answers none until the client gives up."""

    def __init__(self, clock: FakeClock, wait_s: float) -> None:
        self.clock = clock
        self.wait_s = wait_s
        self.calls = 0

    def read(self, file: File, offset: int, length: int) -> bytes:
        if threading.current_thread() is threading.main_thread():  # nobody waits for what is fetched ahead
            self.calls += 1
            self.clock.advance(self.wait_s)
        raise Offline("does not answer in time")


@pytest.mark.parametrize(("wait_s", "calls"), [(60.0, 1), (0.1, 3)])
def test_a_silent_service_is_waited_for_once_though_the_kernel_asks_again(
    tmp_path: Path, wait_s: float, calls: int
) -> None:
    clock = FakeClock()
    far = SilentFar(clock, wait_s)
    reader = Reader(far, Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX), clock)
    file = File("id:1", "f", "rev1", 5 * MIB, 0, "00" * 32)
    began_s = clock.now_s()
    for offset, length in ((0, BLOCK_BYTES), (0, 4096), (4096, 4096)):
        with pytest.raises(Offline, match="does not answer in time"):
            reader.read(file, offset, length)
    assert far.calls == calls
    assert clock.now_s() - began_s <= 60.0
    clock.advance(2.0)
    with pytest.raises(Offline):
        reader.read(file, 0, 1)
    assert far.calls == calls + 1
    reader.close()
