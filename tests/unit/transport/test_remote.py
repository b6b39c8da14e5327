"""The port on a process: what its death means for calls, and how it is started again."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from mountfs.errors import (
    CalledOff,
    Corrupt,
    DiskTrouble,
    Internal,
    MountfsError,
    Offline,
    ServerFault,
    Unreachable,
)
from mountfs.model.blocksums import BLOCK_BYTES, digest
from mountfs.model.calloff import CallOff
from mountfs.model.entry import Account, File, Folder, Place
from mountfs.model.logevent import LogEvent
from mountfs.model.path import ROOT, RemotePath
from mountfs.transport import link, remote
from mountfs.transport.frames import Channel, Kind
from mountfs.transport.remote import STEADY_S, TRIES, RemoteBackend
from mountfs.transport.window import FLAGS, SLOT_BYTES, SLOTS_AT, Counting, Window, fill
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.oddprocess import LEARNED
from tests.fakes.clock import FakeClock
from tests.waiting import until

MIB = 1 << 20
Start = Callable[..., RemoteBackend]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def start(tmp_path: Path, clock: FakeClock) -> Iterator[Start]:
    made: list[RemoteBackend] = []

    def start(*words: str) -> RemoteBackend:
        command = (sys.executable, "-m", "tests.doubles.oddprocess", str(tmp_path), *words)
        made.append(RemoteBackend(command, lambda: b"", clock))
        return made[-1]

    yield start
    for each in made:
        each.close()
        each.end()


@pytest.fixture
def backend(start: Start) -> RemoteBackend:
    return start()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    made = ThreadPoolExecutor(8)
    yield made
    made.shutdown(wait=False)  # the backend's end is theirs


def at(name: str) -> Place:
    return Place(RemotePath(f"/{name}"))


def held(
    backend: RemoteBackend, pool: ThreadPoolExecutor, asked: Path, count: int = 1
) -> list[Future[object]]:
    """Calls that the process has, and does not answer."""
    calls: list[Future[object]] = [pool.submit(backend.submit, ()) for _ in range(count)]
    until(lambda: len(list(asked.glob("asked-*"))) == count, "the process has the calls")
    return calls


def pid_of(backend: RemoteBackend) -> int:
    assert backend.pid is not None
    return backend.pid


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def die(backend: RemoteBackend) -> None:
    with pytest.raises(Offline):
        backend.abandon("die")


def test_what_is_under_way_when_it_is_killed_is_offline_and_the_next_call_has_a_new_one(
    backend: RemoteBackend, pool: ThreadPoolExecutor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls = held(backend, pool, tmp_path, 5)
    first = pid_of(backend)
    os.kill(first, signal.SIGKILL)
    errors = [call.exception(30) for call in calls]
    assert {type(error) for error in errors} == {Offline}
    assert str(errors[0]) == "the network process was ended by SIGKILL"
    assert str(backend.trouble()) == "the network process was ended by SIGKILL"
    assert backend.stat(at("a")) == Folder("1", "a")
    assert pid_of(backend) != first
    assert "the network process was ended by SIGKILL; it is started again" in caplog.text
    assert str(backend.trouble()) == "trouble"


def test_what_only_asks_is_asked_of_the_next_one(
    backend: RemoteBackend, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    call = pool.submit(backend.list_folder, ROOT)
    until(lambda: any(tmp_path.glob("asked-*")), "the process has the call")
    os.kill(pid_of(backend), signal.SIGKILL)
    assert call.result(30) == []


def test_what_only_asks_is_asked_again_also_where_the_next_one_dies_too(
    backend: RemoteBackend, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    deaths = TRIES - 1
    call = pool.submit(backend.list_folder, RemotePath(f"/{deaths}"))
    for died in range(deaths):
        until(lambda: len(list(tmp_path.glob("asked-*"))) == died + 1, "the process has the call")  # noqa: B023
        os.kill(pid_of(backend), signal.SIGKILL)
    assert call.result(30) == []


def test_what_kills_each_one_that_is_asked_is_not_asked_for_ever(
    backend: RemoteBackend, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where each one lives for long before."""
    lived: list[int] = []

    def lives_long(self: RemoteBackend, of: link.Link) -> None:
        lived.append(of.pid)
        clock.advance(STEADY_S)
        note_death(self, of)

    note_death = RemoteBackend._note_death
    monkeypatch.setattr(RemoteBackend, "_note_death", lives_long)
    with pytest.raises(Offline, match="ended with status 3"):
        backend.stat(at("death"))
    assert len(lived) == TRIES - 1  # the last death is noted by the next call
    assert backend.stat(at("a")) == Folder("1", "a")


def test_a_call_that_finds_its_process_dead_is_made_with_the_next_one(
    backend: RemoteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died after it was chosen: nothing has left, so that what changes something is safe, too."""
    backend.stat(at("a"))
    first, chosen = pid_of(backend), RemoteBackend._ready

    def chosen_and_dead(self: RemoteBackend) -> link.Link:
        found = chosen(self)
        if found.pid == first:
            os.kill(first, signal.SIGKILL)
            until(lambda: found.is_over, "its death is known")
        return found

    monkeypatch.setattr(RemoteBackend, "_ready", chosen_and_dead)
    assert backend.new_sessions(1) == ["session"]
    assert pid_of(backend) != first


def test_one_that_dies_again_and_again_is_started_ever_more_rarely(
    backend: RemoteBackend, clock: FakeClock
) -> None:
    for _ in range(5):
        die(backend)
    with pytest.raises(Unreachable, match="ended with status 3; it is started again in 3 s") as caught:
        backend.stat(at("a"))
    assert caught.value.retry_after_s == 3.0
    clock.advance(3.0)
    assert backend.stat(at("a")) == Folder("1", "a")
    clock.advance(STEADY_S)
    die(backend)
    assert backend.stat(at("a")) == Folder("1", "a")  # after a moment, in which the call waits


def test_the_process_writes_a_range_into_a_file_itself(backend: RemoteBackend, tmp_path: Path) -> None:
    big = File("1", "big", "1", 9 * MIB, 0, "")
    target = tmp_path / "cached"
    with pytest.raises(DiskTrouble, match="cannot be opened: No such file"):
        backend.read_into(big, MIB, 4 * MIB, str(target), CallOff())
    target.touch()
    digests = backend.read_into(big, MIB, 4 * MIB, str(target), CallOff())
    written = b"".join(bytes([number]) * MIB for number in range(5))
    assert target.read_bytes() == written
    blocks = range(MIB, 5 * MIB, BLOCK_BYTES)
    assert digests == b"".join(digest(written[at : at + BLOCK_BYTES]) for at in blocks)
    with pytest.raises(Corrupt, match="1048576 bytes came, not 2097152"):
        backend.read_into(big, 8 * MIB, 2 * MIB, str(target), CallOff())


def test_what_is_called_off_is_cut_and_keeps_nothing_from_being_asked_again(
    backend: RemoteBackend, tmp_path: Path
) -> None:
    big = File("1", "big", "1", 9 * MIB, 0, "")
    target = tmp_path / "cached"
    target.touch()
    call_off = CallOff()
    call_off.set()
    for _ in range(2 * FLAGS):
        with pytest.raises(CalledOff):
            backend.read_into(big, 0, 4 * MIB, str(target), call_off)
    assert target.stat().st_size == 0
    assert len(backend.read_into(big, 0, 4 * MIB, str(target), CallOff())) == 4 * MIB // BLOCK_BYTES * 16


def test_one_that_cannot_start_is_unreachable(start: Start) -> None:
    backend = start("stillborn")
    with pytest.raises(Offline, match="the network process ended with status 4"):
        backend.account()
    with pytest.raises(Unreachable, match="the network process ended with status 4"):
        _ = backend.limits


def test_a_program_that_is_not_there_is_unreachable(clock: FakeClock) -> None:
    backend = RemoteBackend(("/nowhere/at/all",), lambda: b"", clock)
    with pytest.raises(Unreachable, match="cannot be started: No such file"):
        backend.start()
    backend.end()


def test_a_bug_of_the_backend_s_is_internal_and_told_once(
    backend: RemoteBackend, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with pytest.raises(Internal, match="failed on this machine: KeyError: 'bug'"):
            backend.stat(at("bug"))
    assert [record.getMessage() for record in caplog.records] == ["stat failed"]
    assert "KeyError: 'bug'" in (caplog.records[0].stack_info or "")


def test_an_error_of_the_service_is_raised_here(backend: RemoteBackend) -> None:
    with pytest.raises(ServerFault, match="500") as caught:
        backend.stat(at("fault"))
    assert caught.value.retry_after_s == 9.5


def test_what_it_logs_is_in_our_log(backend: RemoteBackend, caplog: pytest.LogCaptureFixture) -> None:
    backend.latest_cursor()
    record, event = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == ("odd", logging.WARNING, "what happened")
    assert "ValueError: the reason" in (record.stack_info or "")
    assert isinstance(event.msg, LogEvent), "the log's line would be words"
    assert (event.msg.name, event.msg.facts) == ("happened", {"path": "/a b", "count": "2"})


def test_limits_that_a_call_learned_of_are_known_when_it_returns_and_outlive_the_process(
    backend: RemoteBackend,
) -> None:
    assert backend.limits == MEMORY_LIMITS
    assert backend.root_id == "root"
    backend.account()
    assert backend.limits == LEARNED
    die(backend)
    assert backend.limits == LEARNED
    backend.stat(at("a"))
    assert backend.limits == LEARNED


def test_what_the_service_answers_is_told_and_nothing_else(backend: RemoteBackend) -> None:
    told: list[bool] = []
    backend.on_answer = lambda: told.append(True)
    backend.calls()
    with pytest.raises(ServerFault):
        backend.stat(at("fault"))
    die(backend)
    assert not told
    backend.stat(at("a"))
    assert told == [True]


def test_calls_are_counted_over_its_deaths_as_far_as_they_were_told(backend: RemoteBackend) -> None:
    backend.stat(at("a"))
    assert backend.calls() == {"stat": 1}
    die(backend)
    assert backend.calls() == {"stat": 1}
    backend.stat(at("a"))
    assert backend.calls() == {"stat": 2}


@pytest.mark.parametrize("length", [0, 1, MIB, SLOT_BYTES, SLOT_BYTES + 1, 3 * SLOT_BYTES])
def test_downloaded_bytes_come_through_shared_memory(backend: RemoteBackend, length: int) -> None:
    file = File("1", "f", "r", 10 * MIB + 5, 0, None)
    found = backend.read(file, MIB, length)
    stop = min(MIB + length, file.size_bytes)
    assert found == b"".join(bytes([at >> 20]) * min(MIB, stop - at) for at in range(MIB, stop, MIB))


def test_many_reads_at_once_get_their_own_bytes(backend: RemoteBackend, pool: ThreadPoolExecutor) -> None:
    file = File("1", "f", "r", 256 * MIB, 0, None)
    reads = {mib: pool.submit(backend.read, file, mib * MIB, 1000) for mib in range(100)}
    assert all(read.result(30) == bytes([mib]) * 1000 for mib, read in reads.items())
    window = os.stat(f"/proc/{pid_of(backend)}/fd/{backend._window.fd}")
    assert window.st_size == SLOTS_AT


def test_closing_ends_calls_and_no_other_begins(
    backend: RemoteBackend, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    (call,) = held(backend, pool, tmp_path)
    pid = pid_of(backend)
    backend.close()
    error = call.exception(30)
    assert isinstance(error, Offline) and str(error) == "closed"
    with pytest.raises(Offline, match="the connection is closed"):
        backend.stat(at("a"))
    backend.end()
    assert not is_there(pid)


def test_one_that_does_not_end_is_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "END_S", 0.2)
    backend = start("deaf")
    backend.stat(at("a"))
    pid = pid_of(backend)
    backend.close()
    backend.end()
    assert not is_there(pid)


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each question whether the process still answers."""
    asked: list[int] = []
    offer = Channel.offer

    def counted(channel: Channel, kind: Kind, number: int, payload: bytes, patience_s: float) -> bool:
        if kind == Kind.CALL and number == 0:
            asked.append(number)
        return offer(channel, kind, number, payload, patience_s)

    monkeypatch.setattr(Channel, "offer", counted)
    return asked


def frozen(backend: RemoteBackend, pool: ThreadPoolExecutor) -> Future[object]:
    """The call that it has while it is stopped."""
    backend.stat(at("a"))
    call: Future[object] = pool.submit(backend.abandon, "freeze")
    until(lambda: _state_of(pid_of(backend)) == "T", "the process is stopped")
    return call


def test_one_that_hangs_is_killed_and_its_calls_are_offline(
    backend: RemoteBackend, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PROBE_S", 0.3)
    assert isinstance(frozen(backend, pool).exception(30), Offline)
    monkeypatch.undo()  # the next one may be slow without being taken for one that hangs
    assert backend.stat(at("a")) == Folder("1", "a")


def test_one_that_hangs_is_killed_also_while_all_wait_to_send(
    backend: RemoteBackend, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PROBE_S", 0.2)
    calls = [frozen(backend, pool), *(pool.submit(backend.abandon, "s" * MIB) for _ in range(3))]
    assert {type(call.exception(30)) for call in calls} <= {Offline, Unreachable}
    monkeypatch.undo()
    assert backend.stat(at("a")) == Folder("1", "a")


def test_neither_status_nor_a_stop_waits_for_one_that_does_not_read(
    backend: RemoteBackend, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "STATUS_S", 0.05)
    monkeypatch.setattr(link, "END_S", 0.2)
    calls = [frozen(backend, pool), pool.submit(backend.abandon, "s" * MIB)]
    sending = backend._link._channel._sending  # type: ignore[union-attr]
    until(sending.locked, "somebody waits to send")
    assert str(backend.trouble()) == "the network process does not answer"
    backend.close()
    backend.end()
    assert all(isinstance(call.exception(30), Offline) for call in calls)


def test_one_that_had_nothing_to_do_is_not_taken_for_one_that_hangs(
    backend: RemoteBackend,
    pool: ThreadPoolExecutor,
    tmp_path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    probes: list[int],
) -> None:
    monkeypatch.setattr(link, "PROBE_S", 0.05)
    monkeypatch.setattr(link, "PROBES", 100)  # a busy machine may answer none of four in 0.2 s
    backend.stat(at("a"))
    pid = pid_of(backend)
    clock.advance(3600.0)
    (call,) = held(backend, pool, tmp_path)
    until(lambda: len(probes) > 2 or call.done(), "it was asked whether it answers")
    assert not call.done()
    assert pid_of(backend) == pid


def test_status_does_not_wait_for_one_that_hangs(
    backend: RemoteBackend, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "STATUS_S", 0.05)
    backend.stat(at("a"))
    assert backend.calls() == {"stat": 1}
    call = pool.submit(backend.abandon, "freeze")
    until(lambda: _state_of(pid_of(backend)) == "T", "the process is stopped")
    assert str(backend.trouble()) == "the network process does not answer"
    assert backend.calls() == {"stat": 1}
    os.kill(pid_of(backend), signal.SIGKILL)
    assert isinstance(call.exception(30), Offline)


def test_a_call_that_takes_long_while_the_process_answers_is_waited_for(
    backend: RemoteBackend,
    pool: ThreadPoolExecutor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    probes: list[int],
) -> None:
    monkeypatch.setattr(link, "PROBE_S", 0.02)
    monkeypatch.setattr(link, "PROBES", 100)
    (call,) = held(backend, pool, tmp_path)
    until(lambda: len(probes) > 2 * link.PROBES, "it was asked often")
    assert not call.done()
    backend.close()
    assert isinstance(call.exception(30), MountfsError)


def test_whose_account_is_mounted_is_told(backend: RemoteBackend, tmp_path: Path) -> None:
    backend.mounted(Account("mine", "Me"))
    backend.stat(at("a"))
    assert (tmp_path / "mounted").read_text() == "mine"


def test_it_ends_with_who_started_it_however_that_dies(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    parent = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", PARENT, str(tmp_path), str(writing)],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writing, 100)],
    )
    os.close(writing)
    pid = int(os.read(reading, 100))
    os.close(reading)
    assert is_there(pid)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    until(lambda: not is_there(pid), "the process has ended")


PARENT = """
import os, sys, threading
from mountfs.clock import SystemClock
from mountfs.transport.remote import RemoteBackend
command = (sys.executable, "-m", "tests.doubles.oddprocess", sys.argv[1])
backend = RemoteBackend(command, lambda: b"", SystemClock())
backend.start()
assert backend.limits
os.write(100, str(backend.pid).encode())
threading.Event().wait()
"""


def _state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_bytes_are_counted_while_they_travel_and_over_the_death_of_a_process() -> None:
    window = Window()
    first = Counting(window.fd)
    first.add(1000, 0)
    assert window.traffic() == (1000, 0)
    fill(window.fd, window.lend(), b"x" * 100)
    at = window.lend()
    window.give_back(at)
    second = Counting(window.fd)
    second.add(24, 7)
    assert window.traffic() == (1024, 7)
