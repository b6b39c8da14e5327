"""The turn to commit among machines: who has it, who waits, and what becomes of it in trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.commit.accountlock import AccountLock
from daemon.config.fleet import LEASE_S
from daemon.fleet.ports import FleetView, Member
from daemon.fleet.turn import HELD_MOST_S, JOB_ASKED_S, WANTED_S, FleetTurn
from mountfs.errors import MountfsError, Offline, SessionLost, Unreachable
from mountfs.ports import Done, Running
from tests.doubles.fleetserver import MemoryFleet
from tests.fakes.clock import FakeClock

TICK_S = 0.05


class Machine:
    """A machine as its committer sees it: it wants the turn, uses it, gives it back."""

    def __init__(
        self, fleet: MemoryFleet, clock: FakeClock, folder: Path, name: str, *, may_go_alone: bool = False
    ) -> None:
        self.clock = clock
        self.jobs: dict[str, MountfsError | bool] = {}
        """Jobs of others: whether each runs."""
        self.asked: list[str] = []
        self.woken = 0
        self.calls = 0
        local = AccountLock(folder / f"{name}.lock")
        self.turn = FleetTurn(
            fleet,
            local,
            clock,
            Member(name, name),
            poll=self._poll,
            calls=lambda: self.calls,
            may_go_alone=may_go_alone,
        )
        self.due_s = 0.0
        self.turn.wake = self._wake
        self.turn.granted = self._granted

    def _poll(self, job: str) -> object:
        self.asked.append(job)
        found = self.jobs[job]
        if isinstance(found, MountfsError):
            raise found
        return Running(job) if found else Done(())

    def _wake(self) -> None:
        self.due_s = 0.0

    def _granted(self) -> None:
        self.woken += 1

    def step(self) -> None:
        if self.clock.now_s() >= self.due_s:
            self.due_s = self.turn.step(self.clock.now_s())


def run(clock: FakeClock, seconds: float, *machines: Machine, want: tuple[Machine, ...] = ()) -> None:
    """Lets time pass; *want* ask for the turn all the while, as a committer with something ready does."""
    for _ in range(round(seconds / TICK_S)):
        for each in machines:
            if each in want:
                each.turn.try_take()
            each.step()
        clock.advance(TICK_S)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fleet(clock: FakeClock) -> MemoryFleet:
    """One that is known: right after its start it gives no turn for a lease's time."""
    made = MemoryFleet(clock)
    made.enter(Member("first", "first"))
    clock.advance(LEASE_S)
    made.leave(Member("first", "first"), 0)
    made.asked.clear()
    return made


@pytest.fixture
def machines(fleet: MemoryFleet, clock: FakeClock, tmp_path: Path) -> list[Machine]:
    return [Machine(fleet, clock, tmp_path, name) for name in ("a", "b", "c")]


def test_one_machine_at_a_time_has_the_turn_in_the_order_in_which_they_asked(
    machines: list[Machine], clock: FakeClock
) -> None:
    a, b, c = machines
    for each in machines:
        run(clock, 0.3, *machines, want=(*[m for m in machines if m.turn.is_held], each))
    run(clock, 0.3, *machines, want=(a, b, c))
    assert [each.turn.is_held for each in machines] == [True, False, False]
    assert a.woken == 1
    assert "a has it" in b.turn.awaited
    assert "1 before us" in c.turn.awaited
    a.turn.release()
    run(clock, 0.3, *machines, want=(b, c))
    assert [each.turn.is_held for each in machines] == [False, True, False]
    b.turn.release()
    run(clock, 0.5, *machines, want=(a, c))
    assert [each.turn.is_held for each in machines] == [False, False, True]


def test_a_turn_that_is_in_use_is_kept_for_as_long_as_the_job_takes(
    machines: list[Machine], clock: FakeClock
) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    a.turn.note_job("put:1")
    run(clock, 10 * LEASE_S, a, b, want=(b,))
    assert a.turn.is_held
    assert not b.turn.is_held


def test_nobody_keeps_a_turn_that_nobody_uses(machines: list[Machine], clock: FakeClock) -> None:
    a, b, _ = machines
    a.turn.try_take()
    run(clock, 0.1, a)
    assert a.turn.is_held
    run(clock, 2 * WANTED_S + 0.5, a, b, want=(b,))
    assert b.turn.is_held


def test_nobody_waits_for_a_machine_that_waits_no_more(machines: list[Machine], clock: FakeClock) -> None:
    a, b, c = machines
    run(clock, 0.2, a, want=(a,))
    run(clock, 0.5, a, b, want=(b,))
    run(clock, 0.5, a, b, c, want=(b, c))
    a.turn.release()
    run(clock, 7.0, a, c, want=(c,))  # b is dead
    assert c.turn.is_held


def test_the_turn_of_a_machine_that_died_is_free_after_its_time_and_its_job_is_waited_for(
    machines: list[Machine], clock: FakeClock
) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    a.turn.note_job("put:1")
    run(clock, 0.2, a)
    b.jobs["put:1"] = True
    run(clock, LEASE_S - 1.0, b, want=(b,))
    assert b.asked == []
    run(clock, 5.0, b, want=(b,))
    assert set(b.asked) == {"put:1"}
    assert not b.turn.is_held
    assert "put:1" in b.turn.awaited
    b.jobs["put:1"] = False
    run(clock, 1.0, b, want=(b,))
    assert b.turn.is_held
    assert b.woken == 1


@pytest.mark.parametrize("told", [SessionLost("no such job"), False])
def test_a_job_that_is_over_is_not_waited_for(
    machines: list[Machine], clock: FakeClock, told: MountfsError | bool
) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    a.turn.note_job("put:1")
    run(clock, 0.2, a)
    b.jobs["put:1"] = told
    run(clock, LEASE_S + 1.0, b, want=(b,))
    assert b.turn.is_held
    assert b.asked == ["put:1"]


def test_a_job_that_nobody_can_tell_of_is_waited_for_in_vain_only_for_so_long(
    machines: list[Machine], clock: FakeClock
) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    a.turn.note_job("put:1")
    run(clock, 0.2, a)
    b.jobs["put:1"] = Offline("away")
    run(clock, LEASE_S + JOB_ASKED_S - 2.0, b, want=(b,))
    assert not b.turn.is_held
    run(clock, 4.0, b, want=(b,))
    assert b.turn.is_held


def test_a_machine_that_was_stopped_for_longer_than_its_lease_sends_nothing(
    machines: list[Machine], clock: FakeClock
) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    run(clock, LEASE_S + 1.0, b, want=(b,))
    assert b.turn.is_held
    assert not a.turn.is_held
    assert not a.turn.try_take()
    run(clock, 1.0, a, b, want=(a,))
    assert not a.turn.is_held
    assert b.turn.is_held
    b.turn.release()
    run(clock, 0.5, a, b, want=(a,))
    assert a.turn.is_held


def test_no_machine_holds_the_turn_for_ever(machines: list[Machine], clock: FakeClock) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    run(clock, HELD_MOST_S + LEASE_S / 2, a, b, want=(b,))
    assert b.turn.is_held


def test_while_the_server_is_away_nothing_is_committed_and_status_says_so(
    fleet: MemoryFleet, machines: list[Machine], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    fleet.failure = Unreachable("redis://fleet cannot be reached")
    run(clock, LEASE_S, a, b, want=(a, b))
    assert not a.turn.is_held
    assert not b.turn.is_held
    assert "cannot be reached" in b.turn.awaited
    assert str(b.turn.trouble) == "redis://fleet cannot be reached"
    assert len(caplog.messages) == 2  # a line of each machine
    asked = fleet.asked["enter"]
    run(clock, 60.0, b, want=(b,))
    assert fleet.asked["enter"] - asked < 40
    fleet.failure = None
    run(clock, 6.0, a, b, want=(a, b))
    assert a.turn.is_held + b.turn.is_held == 1
    assert b.turn.trouble is None


def test_a_machine_that_may_goes_on_alone_and_comes_back(
    fleet: MemoryFleet, clock: FakeClock, tmp_path: Path
) -> None:
    a = Machine(fleet, clock, tmp_path, "a", may_go_alone=True)
    fleet.failure = Unreachable("away")
    run(clock, LEASE_S - 1.0, a, want=(a,))
    assert not a.turn.is_held
    run(clock, 7.0, a, want=(a,))
    assert a.turn.is_held
    assert a.turn.is_alone
    fleet.failure = None
    run(clock, 6.0, a, want=(a,))
    assert a.turn.is_held
    assert not a.turn.is_alone
    assert fleet.look().holder == "a"


def test_a_machine_that_is_alone_stays_so_until_the_server_is_back(
    fleet: MemoryFleet, clock: FakeClock, tmp_path: Path
) -> None:
    a = Machine(fleet, clock, tmp_path, "a", may_go_alone=True)
    fleet.failure = Unreachable("away")
    run(clock, LEASE_S + 6.0, a, want=(a,))
    assert a.turn.try_take()
    for _ in range(1200):  # of a long job nobody asks for the turn
        run(clock, TICK_S, a)
        assert a.turn.is_held
    a.turn.release()
    run(clock, 1.0, a)
    assert a.turn.try_take()


def test_a_job_that_runs_while_the_server_is_away_keeps_its_turn_if_nobody_else_had_it(
    fleet: MemoryFleet, machines: list[Machine], clock: FakeClock
) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    a.turn.note_job("put:1")
    run(clock, 0.2, a)
    fleet.failure = Unreachable("away")
    run(clock, LEASE_S - 1.0, a, b, want=(b,))
    assert not a.turn.is_held
    fleet.failure = None
    run(clock, 6.0, a, want=(a,))
    run(clock, 6.0, a, b, want=(b,))
    assert a.turn.is_held
    assert not b.turn.is_held


def test_a_server_that_forgot_everything_gives_no_turn_beside_one_that_is_held(
    fleet: MemoryFleet, machines: list[Machine], clock: FakeClock
) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    a.turn.note_job("put:1")
    fleet.forget()
    for _ in range(600):
        run(clock, TICK_S, b, a, want=(b,))
        assert a.turn.is_held
        assert not b.turn.is_held
    a.turn.release()
    run(clock, 1.0, a, b, want=(b,))
    assert b.turn.is_held


def test_a_lost_reply_costs_no_turn(fleet: MemoryFleet, machines: list[Machine], clock: FakeClock) -> None:
    a, b, _ = machines
    fleet.enter(Member("a", "a"))  # the reply never came
    run(clock, 0.2, a, b, want=(a, b))
    assert a.turn.is_held


def test_an_idle_machine_asks_nothing(fleet: MemoryFleet, machines: list[Machine], clock: FakeClock) -> None:
    run(clock, 600.0, *machines)
    assert fleet.asked == {}


def test_status_sees_the_fleet(fleet: MemoryFleet, machines: list[Machine], clock: FakeClock) -> None:
    a, b, c = machines
    c.step()
    c.calls = 7
    run(clock, 0.2, a, want=(a,))
    run(clock, 16.0, a, b, c, want=(b,))
    assert a.turn.view == FleetView()
    a.turn.look(timeout_s=0.0)
    a.step()
    view = a.turn.view
    assert view.holder == "a"
    assert view.held_s == pytest.approx(16.0, abs=0.5)
    assert [each.name for each in view.waiting] == ["b"]
    assert view.waiting[0].waited_s == pytest.approx(16.0, abs=0.5)
    assert dict(view.calls)["c"] == 7


def test_status_that_finds_the_server_away_says_so_until_it_is_back(
    fleet: MemoryFleet, machines: list[Machine], clock: FakeClock
) -> None:
    a, *_ = machines
    fleet.failure = Unreachable("away")
    a.turn.look(timeout_s=0.0)
    run(clock, 30.0, a)
    assert str(a.turn.trouble) == str(fleet.failure)
    fleet.failure = None
    run(clock, 6.0, a)
    assert a.turn.trouble is None


def test_a_mount_that_ends_keeps_nobody_waiting(machines: list[Machine], clock: FakeClock) -> None:
    a, b, _ = machines
    run(clock, 0.2, a, want=(a,))
    a.turn.release()
    a.turn.close()
    run(clock, 0.3, b, want=(b,))
    assert b.turn.is_held


def test_mounts_of_one_machine_come_one_after_the_other(
    fleet: MemoryFleet, clock: FakeClock, tmp_path: Path
) -> None:
    one, other = (Machine(fleet, clock, tmp_path, "same") for _ in range(2))
    run(clock, 0.2, one, want=(one,))
    assert one.turn.is_held
    assert not other.turn.try_take()
    assert other.turn.refused is not None
    one.turn.release()
    assert not other.turn.try_take()
    assert other.turn.refused is None
