"""The turn to commit, where machines share an account: a lease from a server that all of them ask.

``Turn`` is called under the tree's lock, so it neither waits nor asks: it says what is known. One thread
calls ``step``, which asks the server, and wakes the committer once the turn is ours.

    asked for      step: enter, ever more often the nearer our place in the queue
    granted        another machine's job that may still run is waited for; then the committer is woken
    held           step: renew, three times a lease, with the name of the job that runs
    not renewed    it counts as lost a third before the server gives it to others: nothing more is sent
    given back     step: leave
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition

from daemon.commit.turn import Turn
from daemon.fleet.calls import CallMeter
from daemon.fleet.ports import FleetServer, FleetView, Member, Queued
from mountfs.errors import MountfsError, SessionLost
from mountfs.model.pacing import Pace, Pacer
from mountfs.model.troublelog import TroubleLog
from mountfs.ports import Clock, Running

NEXT_ASKS_S = 0.05
"""How often the first in the queue asks. Whoever is one place behind asks half as often."""
LAST_ASKS_S = 2.0
MARGIN = 1.0 / 3.0
"""A turn is not used in this last part of its time: a request that was sent still has to arrive, by way of
another process, of a token that may have to be fetched first, and of a machine that may be busy."""
WANTED_S = 1.0
"""Who has not asked for the turn for so long does not want it any more. A committer that waits asks more
often."""
HELD_MOST_S = 900.0
"""No turn is held for longer: a machine that cannot reach the service would keep it from those that can."""
JOB_ASKED_EVERY_S = 0.5
JOB_ASKED_S = 60.0
"""So long the job of a machine that died is waited for. The service refuses what overlaps with it."""
LOOK_S = 1.0
REPORTED_EVERY_S = 15.0
RETRIES = Pace(first_s=0.25, longest_s=5.0)
"""Of a server that does not answer."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A turn of ours. *used_s*: it may be used before this time, on our monotonic clock."""

    token: int
    taken_s: float
    used_s: float
    renew_s: float
    former_job: str = ""
    """Another machine's, which may still run."""


class FleetTurn:
    """``daemon.commit.turn.Turn`` among the mounts of a fleet, and what ``mountfs status`` says of the fleet.

    *local* keeps the mounts of this machine apart: it is taken first, so that one mount of each machine is in
    the queue. *may_go_alone*: while the server does not answer for longer than a lease, *local* suffices.
    """

    def __init__(
        self,
        server: FleetServer,
        local: Turn,
        clock: Clock,
        me: Member,
        *,
        poll: Callable[[str], object],
        calls: Callable[[], int],
        may_go_alone: bool = False,
    ) -> None:
        """*poll* tells whether a job runs: ``Backend.poll`` without orders. *calls*: how many were made."""
        self.wake: Callable[[], None] = lambda: None
        """Has ``step`` run soon; set by the assembly."""
        self.granted: Callable[[], None] = lambda: None
        """Has the committer look again; set by the assembly."""
        self._server = server
        self._local = local
        self._clock = clock
        self._me = me
        self._poll = poll
        self._meter = CallMeter(calls)
        self._may_go_alone = may_go_alone
        self._changed = Condition()
        self._wanted_s = -math.inf
        """When it was asked for last."""
        self._is_used = False
        """Whether the committer has taken it and not given it back."""
        self._held: _Held | None = None
        self._given_back = 0
        """The token of a turn that the server has to be told is over; -1: only our place in the queue is."""
        self._is_queued = False
        self._before: Queued | None = None
        self._job = ""
        self._pacer = Pacer(RETRIES)
        self._trouble_log = TroubleLog("the fleet's server")
        self._away_s: float | None = None
        """Since when the server does not answer; None: it did the last time."""
        self._view = FleetView()
        self._viewed_s = -math.inf
        self._is_look_wanted = False
        self._reported: tuple[int, float] = (0, -math.inf)

    # For the committer

    @property
    def refused(self) -> Path | None:
        return self._local.refused

    @property
    def awaited(self) -> str:
        with self._changed:
            if self._is_used or self._clock.now_s() - self._wanted_s > WANTED_S:
                return ""
            if self._pacer.error is not None:
                return f"the fleet's turn: {self._pacer.error}"
            if self._held is not None:
                return f"the job {self._held.former_job} of a machine that is gone"
            if self._before is None:
                return "the fleet's turn"
            place = f", {self._before.before} before us" if self._before.before else ""
            return f"the fleet's turn{place}" + (
                f"; {self._before.holder} has it" if self._before.holder else ""
            )

    @property
    def is_held(self) -> bool:
        with self._changed:
            return self._is_usable(self._clock.now_s())

    def try_take(self) -> bool:
        with self._changed:
            if not self._local.try_take():
                return False
            now_s = self._clock.now_s()
            is_new, self._wanted_s = now_s - self._wanted_s > WANTED_S, now_s
            if self._is_usable(now_s):
                self._is_used = True
                return True
        if is_new:
            self.wake()
        return False

    def note_job(self, job: str) -> None:
        with self._changed:
            if job == self._job:
                return
            self._job = job
            if self._held is None or not job:
                return
            self._held = replace(self._held, renew_s=-math.inf)
        self.wake()

    def release(self) -> None:
        with self._changed:
            self._wanted_s, self._job = -math.inf, ""
            self._give_back()
            self._local.release()
        self.wake()

    # For status

    def look(self, timeout_s: float = LOOK_S) -> None:
        """Brings ``view`` up to date, unless the server is away or does not tell within *timeout_s*."""
        with self._changed:
            if self._pacer.error is not None:
                return
            self._is_look_wanted, asked_s = True, self._clock.now_s()
        self.wake()
        with self._changed:
            self._changed.wait_for(lambda: self._viewed_s >= asked_s, timeout_s)

    @property
    def view(self) -> FleetView:
        """The fleet as it was seen last."""
        with self._changed:
            return self._view

    @property
    def trouble(self) -> MountfsError | None:
        """Why the server is of no use, while it is not."""
        with self._changed:
            return self._pacer.error

    @property
    def is_alone(self) -> bool:
        """Whether this machine commits without the others' consent just now."""
        with self._changed:
            return self._is_alone(self._clock.now_s())

    # Working

    def step(self, now_s: float) -> float:
        """Asks the server what is due; when to step again."""
        with self._changed:
            if not self._is_used and self._held is None and now_s - self._wanted_s > WANTED_S:
                self._local.release()
            if self._pacer.ready_s > now_s:
                return self._pacer.ready_s
        try:
            due_s = self._ask(now_s)
        except MountfsError as error:
            with self._changed:
                jitter = self._clock.jitter()
                self._pacer.failed(error, started_s=now_s, now_s=self._clock.now_s(), jitter=jitter)
                self._away_s = now_s if self._away_s is None else self._away_s
                self._trouble_log.failed(error)
                return self._pacer.ready_s
        with self._changed:
            self._pacer.succeeded()
            self._trouble_log.succeeded()
            self._away_s = None
        return due_s

    def close(self) -> None:
        """Gives everything back; no step may be running."""
        self._give_back()
        with contextlib.suppress(MountfsError):  # else the lease ends by itself
            if self._given_back:
                self._server.leave(self._me, max(0, self._given_back))
        self._server.close()

    # Inside

    def _ask(self, now_s: float) -> float:
        me = replace(self._me, calls=self._meter.last_minute(now_s))
        with self._changed:
            held = self._held
            if held is not None and (
                now_s - held.taken_s > HELD_MOST_S or not (self._is_used or self._wants(now_s))
            ):
                self._give_back()
            given_back, held = self._given_back, self._held
        if given_back:
            self._server.leave(me, max(0, given_back))
            with self._changed:
                self._given_back, self._is_queued = 0, False
        if held is not None:
            due_s = self._keep(held, me, now_s)
        elif self._wants(now_s):
            due_s = self._enter(me, now_s)
        else:
            due_s = self._rest(me, now_s)
        self._see()
        return due_s

    def _enter(self, me: Member, now_s: float) -> float:
        found = self._server.enter(me)
        with self._changed:
            if isinstance(found, Queued):
                self._is_queued, self._before = True, found
                return now_s + min(LAST_ASKS_S, NEXT_ASKS_S * 2.0 ** min(found.before, 16))
            self._is_queued, self._before = False, None
            self._held = self._lent(found.token, now_s, now_s, found.job)
            self._wanted_s = self._clock.now_s()
            is_free = not found.job
        if is_free:
            self.granted()
        return now_s + WANTED_S if is_free else now_s

    def _keep(self, held: _Held, me: Member, now_s: float) -> float:
        """Renews the turn when that is due, and asks after a job of another machine that may still run."""
        if now_s >= held.renew_s:
            # Also a turn whose time is over: a job of ours may still run, and nobody may have had it since.
            job, is_live = self._job or held.former_job, now_s < held.used_s
            is_ours = self._server.renew(me, held.token, job, is_live=is_live)
            with self._changed:
                if self._held is not held:
                    return now_s  # a job began, or it was given back, meanwhile
                if not is_ours:
                    self._held, self._is_used = None, False
                    return now_s
                held = self._held = self._lent(held.token, held.taken_s, now_s, held.former_job)
        if not held.former_job:
            return held.renew_s if self._is_used else min(held.renew_s, now_s + WANTED_S)
        if self._runs(held.former_job) and now_s - held.taken_s < JOB_ASKED_S:
            return now_s + JOB_ASKED_EVERY_S
        with self._changed:
            if self._held is not None:
                self._held = replace(self._held, former_job="")
        self.granted()
        return now_s + WANTED_S

    def _rest(self, me: Member, now_s: float) -> float:
        """Nobody wants the turn: only what others see of us is told, and seldom."""
        if self._is_queued:
            self._server.leave(me, 0)
            with self._changed:
                self._is_queued, self._before = False, None
        count, told_s = self._reported
        is_due = me.calls != count and now_s - told_s >= REPORTED_EVERY_S
        if is_due or self._pacer.error is not None:  # or nobody would see that the server is back
            self._server.report(me)
            self._reported = me.calls, now_s
        return now_s + REPORTED_EVERY_S

    def _see(self) -> None:
        """Looks at the fleet, if somebody wants to see it."""
        with self._changed:
            if not self._is_look_wanted:
                return
        view = self._server.look()
        with self._changed:
            self._is_look_wanted = False
            self._view, self._viewed_s = view, self._clock.now_s()
            self._changed.notify_all()

    def _runs(self, job: str) -> bool:
        """Whether *job* is still at work. What cannot be told counts as running."""
        try:
            return isinstance(self._poll(job), Running)
        except SessionLost:
            return False
        except MountfsError:
            return True

    def _wants(self, now_s: float) -> bool:
        with self._changed:
            return now_s - self._wanted_s <= WANTED_S

    def _lent(self, token: int, taken_s: float, asked_s: float, job: str) -> _Held:
        lease_s = self._server.lease_s
        return _Held(token, taken_s, asked_s + lease_s * (1.0 - MARGIN), asked_s + lease_s / 3.0, job)

    def _is_usable(self, now_s: float) -> bool:
        held = self._held
        if held is not None and not held.former_job and now_s < held.used_s:
            return True
        return self._is_alone(now_s)

    def _is_alone(self, now_s: float) -> bool:
        is_away = self._away_s is not None and now_s - self._away_s > self._server.lease_s
        return self._may_go_alone and is_away

    def _give_back(self) -> None:
        self._is_used = False
        if self._held is not None:
            self._given_back, self._held = self._held.token, None
        elif self._is_queued and not self._given_back:
            self._given_back = -1
