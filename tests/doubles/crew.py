"""The daemon's workers without their threads: each has its turn when it is due, or was woken."""

from __future__ import annotations

import math
from collections.abc import Callable

from daemon.process.worker import Worker, waker_of
from mountfs.ports import Clock
from tests.doubles.brittle import Trip
from tests.doubles.world import World

MOST_TURNS = 5_000
REST_S = 1.0
"""The follower's question waits for an answer; here it is asked that often."""


class Hand:
    """One worker: a step is made only when it is due, or was asked for."""

    def __init__(self, name: str, step: Callable[[float], float], clock: Clock, rest_s: float = 0.0) -> None:
        self.worker = Worker(name, step, clock)
        self.due_s = -math.inf
        self.is_idle = True
        self.turns = 0
        self._rest_s = rest_s

    def wake(self) -> None:
        self.due_s = -math.inf

    def turn(self, now_s: float) -> None:
        self.due_s = math.inf
        self.is_idle = False
        due_s = now_s + max(self._rest_s, self.worker.run_step())
        self.is_idle = True
        self.turns += 1
        self.due_s = min(self.due_s, due_s)  # who was woken meanwhile has another turn at once


class Crew:
    """All workers of a world."""

    def __init__(self, world: World) -> None:
        core, clock = world.core, world.clock
        self.world = world
        uploads = [Hand(f"upload-{n}", core.uploader.step, clock) for n in range(2)]
        fills = [Hand(f"fill-{n}", core.filler.step, clock) for n in range(2)]
        batches = min(2, core.backend.limits.batches_at_once)
        commits = [Hand(f"commit-{n}", core.committer.step, clock) for n in range(batches)]
        sweep = Hand("sweep", core.sweeper.step, clock)
        probe = Hand("probe-room", core.prober.step, clock)
        core.uploader.wake = waker_of(*uploads)
        core.filler.wake = waker_of(*fills)
        core.committer.wake = waker_of(*commits)
        core.sweeper.wake = waker_of(sweep)
        core.prober.wake = waker_of(probe)
        follow = Hand("follow", core.follower.step, clock, REST_S)
        sync = Hand("sync", core.durability.step, clock)
        self.hands = [*uploads, *fills, *commits, sweep, probe, sync, follow]

    @property
    def failures(self) -> dict[str, str]:
        """What the workers' last steps raised, by worker."""
        return {
            hand.worker.name: hand.worker.last_failure
            for hand in self.hands
            if hand.worker.last_failure is not None
        }

    def work(
        self,
        until: Callable[[], bool],
        trip: Trip | None = None,
        most_s: float = 300.0,
        most_turns: int = MOST_TURNS,
    ) -> None:
        """Until *until* holds. *trip* counts what the workers do, and they alone. AssertionError: it takes
        too long."""
        clock, trip = self.world.clock, trip or Trip()
        begun_s, turns = clock.now_s(), 0
        while not until():
            now_s = clock.now_s()
            ready = [hand for hand in self.hands if hand.due_s <= now_s]
            for hand in ready:
                with trip.armed():
                    hand.turn(now_s)
            turns += len(ready)
            if not ready:
                self.world.advance(min(hand.due_s for hand in self.hands) - now_s + 1e-6)
            if now_s - begun_s > most_s or turns > most_turns:
                raise AssertionError(
                    f"not done after {now_s - begun_s:.0f} s and {turns} turns: {self.world.pending()}, "
                    f"{self.failures}, {dict(self.world.core.tree.freed)}"
                )
