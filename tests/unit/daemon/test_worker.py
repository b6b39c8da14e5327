"""The loop behind background work."""

from __future__ import annotations

import logging
import math
from queue import SimpleQueue
from threading import Event

import pytest

from daemon.process.worker import RETRIES, Worker
from mountfs.clock import SystemClock
from mountfs.errors import DiskFull, MountfsError
from mountfs.model.pacing import grown_s
from tests.fakes.clock import FakeClock
from tests.unit.daemon.fakes import PATIENCE_S
from tests.waiting import until


def test_a_step_runs_at_once_and_when_it_is_due() -> None:
    runs: SimpleQueue[float] = SimpleQueue()

    def step(now_s: float) -> float:
        runs.put(now_s)
        return now_s + 0.01

    worker = Worker("test", step, SystemClock())
    worker.start()
    times = [runs.get(timeout=PATIENCE_S) for _ in range(3)]
    worker.stop()
    assert worker.join(PATIENCE_S)
    assert times[1] - times[0] >= 0.009


def test_a_sleeping_step_runs_when_woken() -> None:
    runs: SimpleQueue[None] = SimpleQueue()

    def step(now_s: float) -> float:
        runs.put(None)
        return math.inf

    worker = Worker("test", step, SystemClock())
    worker.start()
    runs.get(timeout=PATIENCE_S)
    worker.wake()
    runs.get(timeout=PATIENCE_S)
    worker.stop()
    assert worker.join(PATIENCE_S)


def test_a_wake_during_the_step_is_not_lost() -> None:
    runs: SimpleQueue[int] = SimpleQueue()
    count = 0

    def step(now_s: float) -> float:
        nonlocal count
        count += 1
        if count == 1:
            worker.wake()
        runs.put(count)
        return math.inf

    worker = Worker("test", step, SystemClock())
    worker.start()
    assert [runs.get(timeout=PATIENCE_S) for _ in range(2)] == [1, 2]
    worker.stop()
    assert worker.join(PATIENCE_S)


def test_a_stop_lets_the_running_step_finish_and_starts_no_other() -> None:
    began, go = Event(), Event()
    ended = []

    def step(now_s: float) -> float:
        began.set()
        assert go.wait(PATIENCE_S)
        ended.append(now_s)
        return now_s

    worker = Worker("test", step, SystemClock())
    worker.start()
    assert began.wait(PATIENCE_S)
    worker.stop()
    assert not worker.join(0.01)
    go.set()
    assert worker.join(PATIENCE_S)
    assert len(ended) == 1


def test_a_worker_that_never_started_needs_no_join() -> None:
    worker = Worker("test", lambda now_s: now_s, SystemClock())
    worker.stop()
    assert worker.join(0.0)


def test_a_step_that_raises_is_logged_once_and_repeated(caplog: pytest.LogCaptureFixture) -> None:
    done = Event()
    failures = iter([ValueError("a"), ValueError("a")])

    def step(now_s: float) -> float:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        done.set()
        return math.inf

    worker = Worker("test", step, SystemClock())

    def is_done() -> bool:
        worker.wake()  # spares the test the back-off
        return done.is_set()

    with caplog.at_level(logging.INFO):
        worker.start()
        until(is_done, "the step gets through")
        worker.stop()
        assert worker.join(PATIENCE_S)
    assert done.is_set()
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


@pytest.mark.parametrize("error", [DiskFull("the disk is full"), KeyError("a bug")], ids=repr)
def test_a_traceback_is_logged_of_what_nobody_foresaw_only(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def step(now_s: float) -> float:
        raise error

    Worker("test", step, SystemClock()).run_step()
    (record,) = caplog.records
    is_foreseen = isinstance(error, MountfsError)
    assert (record.exc_info is None) == is_foreseen
    assert (str(error) in record.getMessage()) == is_foreseen


@pytest.mark.parametrize(
    "error", [OSError("disk"), MemoryError(), RecursionError(), SystemExit(), AssertionError()], ids=repr
)
def test_nothing_that_a_step_raises_ends_the_thread(error: BaseException) -> None:
    done = Event()
    failures = [error]

    def step(now_s: float) -> float:
        if failures:
            raise failures.pop()
        done.set()
        return math.inf

    worker = Worker("test", step, SystemClock())
    worker.start()
    assert done.wait(PATIENCE_S)
    worker.stop()
    assert worker.join(PATIENCE_S)


def test_nor_does_a_clock_or_a_log_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FakeClock):
        def now_s(self) -> float:
            raise MemoryError

    monkeypatch.setattr(logging.Logger, "error", _without_memory)
    worker = Worker("test", lambda now_s: now_s, Broken())
    assert [worker.run_step() for _ in range(3)] == [0.5, 1.0, 2.0]


def _without_memory(*_: object, **__: object) -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("failures", "expected_s"), [(1, 0.5), (2, 1.0), (5, 8.0), (9, 30.0), (10_000, 30.0)]
)
def test_retries_come_ever_slower_up_to_a_bound(failures: int, expected_s: float) -> None:
    assert grown_s(failures, RETRIES) == expected_s <= RETRIES.longest_s


def test_the_first_step_may_have_to_wait() -> None:
    runs: SimpleQueue[None] = SimpleQueue()
    may_begin = Event()

    def step(now_s: float) -> float:
        assert may_begin.is_set()
        runs.put(None)
        return math.inf

    worker = Worker("test", step, SystemClock())
    worker.start(may_begin)
    worker.wake()
    may_begin.set()
    runs.get(timeout=PATIENCE_S)
    worker.stop()
    assert worker.join(PATIENCE_S)
    assert worker.last_failure is None
