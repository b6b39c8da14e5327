"""What feeds the watchdog: work that gets on, be it slowly."""

from __future__ import annotations

from threading import Event

from daemon.process.headway import STUCK_S, Headway
from daemon.process.worker import Worker
from tests.fakes.clock import FakeClock
from tests.unit.daemon.fakes import PATIENCE_S, FakeAccount
from tests.unit.daemon.test_lifecycle import Run


class Busy:
    """A worker whose step runs until it is let go."""

    def __init__(self, clock: FakeClock) -> None:
        self.begun, self.let_go = Event(), Event()
        self.worker = Worker("upload-0", self._step, clock)

    def _step(self, now_s: float) -> float:
        self.begun.set()
        assert self.let_go.wait(PATIENCE_S)
        return now_s + 1e9

    def __enter__(self) -> Busy:
        self.worker.start()
        assert self.begun.wait(PATIENCE_S)
        return self

    def __exit__(self, *raised: object) -> None:
        self.let_go.set()
        self.worker.stop()
        assert self.worker.join(PATIENCE_S)


def test_a_step_that_runs_for_long_without_a_byte_that_moves_is_stuck() -> None:
    clock, traffic = FakeClock(), [0]
    with Busy(clock) as busy:
        headway = Headway([busy.worker], lambda: (traffic[0], 0), clock)
        clock.advance(STUCK_S - 1)
        assert headway.stuck() == ""
        traffic[0] += 1  # a slow line is no reason
        clock.advance(STUCK_S - 1)
        assert headway.stuck() == ""
        clock.advance(STUCK_S + 1)
        assert headway.stuck() == "upload-0"


def test_who_waits_for_work_is_not_stuck() -> None:
    clock = FakeClock()
    worker = Worker("sweep", lambda now_s: now_s + 1e9, clock)
    headway = Headway([worker], lambda: (0, 0), clock)
    worker.run_step()
    clock.advance(10 * STUCK_S)
    assert headway.stuck() == ""
    assert worker.busy_since_s is None


def test_the_watchdog_is_fed_while_work_gets_on_and_no_longer() -> None:
    account = FakeAccount()
    fed: list[str] = []

    class Watched:
        watchdog_s = 0.05
        address = None

        def alive(self) -> None:
            fed.append("alive")

        def __getattr__(self, name: str) -> object:
            return lambda *words: None

    run = Run(account, notifier=Watched()).until_ready()  # type: ignore[arg-type]
    assert fed
    account.hangs = "upload-0"
    run.lifecycle._feed()
    count = len(fed)
    run.lifecycle._feed()
    assert len(fed) == count
    account.hangs = ""
    run.lifecycle.ask_stop()
    assert run.result() == 0
    assert len(fed) > count
