"""Many machines of a fleet in virtual time: the real turn and choice of batches; jobs only take time.

world = Crowd(folder, [Copier(files=50)] * 200)
world.run()
world.jobs, world.waits_s()
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.commit.accountlock import AccountLock
from daemon.commit.choosing import Moment, Queue, choose
from daemon.commit.committer import LOCK_RETRY_S
from daemon.config.fleet import LEASE_S
from daemon.fleet.ports import Member
from daemon.fleet.turn import FleetTurn
from mountfs.model.order import OrderKind
from tests.doubles.fleetserver import MemoryFleet
from tests.fakes.clock import FakeClock

BATCH_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class Copier:
    """What a machine is to commit: so many files, which become ready from *begins_s* on, *per_s* a second."""

    files: int
    begins_s: float = 0.0
    per_s: float = math.inf

    @property
    def ends_s(self) -> float:
        return self.begins_s + (self.files / self.per_s if self.per_s < math.inf else 0.0)

    def ready(self, now_s: float) -> int:
        """How many became ready until *now_s*."""
        if now_s < self.begins_s:
            return 0
        if now_s >= self.ends_s:
            return self.files
        return min(self.files, 1 + int((now_s - self.begins_s) * self.per_s))


@dataclass(frozen=True, slots=True)
class Job:
    machine: int
    entries: int
    began_s: float
    ended_s: float


@dataclass(slots=True)
class Machine:
    number: int
    work: Copier
    turn: FleetTurn
    sent: int = 0
    job_ends_s: float = math.inf
    oldest_s: float = math.inf
    """Since when the oldest file that is not sent is ready."""
    wanted_s: float = math.inf
    """Since when it asks for the turn."""
    waits_s: list[float] = field(default_factory=list)
    turn_due_s: float = 0.0
    commit_due_s: float = 0.0


class Crowd:
    """Machines, their server, and a service that runs what it is given."""

    def __init__(
        self, folder: Path, works: Sequence[Copier], *, job_s: float = 0.5, entry_s: float = 0.002
    ) -> None:
        self.clock = FakeClock()
        self.server = MemoryFleet(self.clock)
        self.jobs: list[Job] = []
        self.most_at_once = 0
        self._job_s = job_s
        self._entry_s = entry_s
        self._running = 0
        self.server.enter(Member("first", "first"))
        self.clock.advance(LEASE_S)  # a server that was there before
        self.server.leave(Member("first", "first"), 0)
        self.server.asked.clear()
        self._began_s = self.clock.now_s()
        self.machines = [self._machine(folder, number, work) for number, work in enumerate(works)]

    def _machine(self, folder: Path, number: int, work: Copier) -> Machine:
        turn = FleetTurn(
            self.server,
            AccountLock(folder / f"{number}.lock"),
            self.clock,
            Member(f"m{number}", f"m{number}"),
            poll=lambda job: None,
            calls=lambda: 0,
        )
        machine = Machine(number, work, turn, turn_due_s=self.clock.now_s())

        def wake() -> None:
            machine.turn_due_s = self.clock.now_s()

        def granted() -> None:
            machine.commit_due_s = self.clock.now_s()

        turn.wake, turn.granted = wake, granted
        return machine

    @property
    def now_s(self) -> float:
        """Seconds since the beginning."""
        return self.clock.now_s() - self._began_s

    def run(self, until_s: float = math.inf) -> None:
        """Until all is committed, or for so long."""
        due = [(0.0, each.number) for each in self.machines]
        heapq.heapify(due)
        while due and (until_s < math.inf or any(each.sent < each.work.files for each in self.machines)):
            at_s, number = heapq.heappop(due)
            if at_s > until_s:
                break
            if at_s > self.now_s:
                self.clock.advance(at_s - self.now_s)
            machine = self.machines[number]
            self._commit(machine)
            if self.clock.now_s() >= machine.turn_due_s:
                machine.turn_due_s = math.inf
                machine.turn_due_s = min(machine.turn_due_s, machine.turn.step(self.clock.now_s()))
            next_s = min(machine.turn_due_s, machine.commit_due_s) - self._began_s
            heapq.heappush(due, (max(next_s, self.now_s + 1e-3), number))

    def close(self) -> None:
        for each in self.machines:
            each.turn.release()

    def jobs_of(self, machine: int) -> list[Job]:
        return [job for job in self.jobs if job.machine == machine]

    def waits_s(self) -> list[float]:
        """Of each machine, how long it waited for a turn on average."""
        return [sum(each.waits_s) / len(each.waits_s) for each in self.machines if each.waits_s]

    def _commit(self, machine: Machine) -> None:
        """What the committer of *machine* does now."""
        now_s = self.clock.now_s()
        if machine.job_ends_s <= now_s:
            machine.job_ends_s = math.inf
            self._running -= 1
            machine.turn.release()
        if machine.job_ends_s < math.inf:
            machine.commit_due_s = machine.job_ends_s
            return
        count = machine.work.ready(self.now_s) - machine.sent
        is_filling = self.now_s < machine.work.ends_s
        if not count:
            machine.commit_due_s = (
                max(now_s + LOCK_RETRY_S, self._began_s + machine.work.begins_s) if is_filling else math.inf
            )
            return
        machine.oldest_s = min(machine.oldest_s, now_s)
        queue = {OrderKind.PUT: Queue(count, machine.oldest_s, BATCH_ENTRIES)}
        chosen = choose(queue, Moment(now_s, 0.0, self._job_s, is_filling=is_filling), is_side_by_side=False)
        if not isinstance(chosen, OrderKind):
            machine.commit_due_s = min(chosen, now_s + LOCK_RETRY_S)
            return
        machine.wanted_s = min(machine.wanted_s, now_s)
        if not machine.turn.try_take():
            machine.commit_due_s = now_s + LOCK_RETRY_S
            return
        assert machine.turn.is_held
        entries = min(count, BATCH_ENTRIES)
        machine.waits_s.append(now_s - machine.wanted_s)
        machine.wanted_s = machine.oldest_s = math.inf
        machine.sent += entries
        machine.job_ends_s = machine.commit_due_s = now_s + self._job_s + self._entry_s * entries
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        began_s = now_s - self._began_s
        self.jobs.append(Job(machine.number, entries, began_s, machine.job_ends_s - self._began_s))
        machine.turn.note_job(f"put:{len(self.jobs)}")
