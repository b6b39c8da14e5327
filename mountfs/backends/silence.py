"""Hosts that do not answer: who calls one hears so at once, and need not wait for its own time-out.

A host is silent once a call had no reply in time and no other call had one since that call left. Then a call
of each route is let out now and then, as a probe; the others fail at once. Any reply ends the silence.
Example: `ls` of ten folders that are not known yet waits 60 s for the first one, and for no other.

Probes are counted for each route, since a service may fail to answer one route alone: its probes must not
keep calls of the others from finding out that the host is there.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

from mountfs.errors import Offline, Unreachable
from mountfs.model.pacing import Pace, grown_s
from mountfs.ports import Clock

SLOW_S = 5.0
"""A failure to connect that took so long is silence too: of a name server, for example."""
PROBE_S = 5.0
"""How long a probe that only reads waits, or twice as long as the last answer to its route took, if that is
more. After that another one may leave, if the first still runs: the bytes of a large part may take minutes to
leave."""
LONGEST_PROBE_S = 20.0
"""Who calls a host that is silent waits no longer, but for the patient ones."""
PATIENT_PROBES = 16
"""One in so many probes waits as long as any call: a service may be slow, and not silent."""
PROBES = Pace(first_s=1.0, longest_s=8.0)
"""Between the end of a probe and the next one of the same route."""
GRACE_S = 2.0
"""A call waits so long for the outcome of a probe that has just left: where the service is back, several
calls that begin together all get through."""


def is_slow(started_s: float, now_s: float) -> bool:
    """Whether a call that had no answer took so long that who makes another one waits as long again."""
    return now_s - started_s >= SLOW_S


@dataclass(slots=True, eq=False)
class _Probes:
    """Of one route of a silent host."""

    failures: int = 0
    ready_s: float = -math.inf
    """When the next one may leave."""
    began_s: float = -math.inf
    """When the last one left, if it still runs."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set once the probe that runs, if one does, has ended."""


@dataclass(slots=True)
class _Silent:
    reason: str
    routes: dict[str, _Probes]


@dataclass(frozen=True, slots=True)
class Leave:
    """A call's leave to be sent."""

    host: str
    route: str
    patience_s: float = math.inf
    """How long a call that only reads may wait for its reply, if that is less than usual."""
    probes: _Probes | None = None
    began_s: float = -math.inf


class Silences:
    """The hosts of one account that are silent. Any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._silent: dict[str, _Silent] = {}
        self._answered_s: dict[str, float] = {}
        """When each host answered last."""
        self._took_s: dict[tuple[str, str], float] = {}
        """How long the last answer took of each host and route that is slow."""

    def leave(self, host: str, route: str) -> Leave:
        """Unreachable while *host* is silent and no probe of *route* is due."""
        if not self._silent:
            return Leave(host, route)
        found = self._leave(host, route)
        if isinstance(found, Leave):
            return found
        found.wait(GRACE_S)
        found = self._leave(host, route, may_wait=False)
        assert isinstance(found, Leave)
        return found

    def begun(self, leave: Leave, took_s: float) -> None:
        """The reply to a call has begun *took_s* after it left."""
        if 2 * took_s > PROBE_S:
            self._took_s[leave.host, leave.route] = took_s
        elif self._took_s:
            self._took_s.pop((leave.host, leave.route), None)
        self.answered(leave.host)

    def answered(self, host: str) -> None:
        """A reply of *host* has begun, or gone on."""
        self._answered_s[host] = self._clock.now_s()
        if self._silent:
            with self._lock:
                self._forget(host)

    def unanswered(
        self,
        leave: Leave,
        error: Offline,
        started_s: float,
        *,
        is_timed_out: bool,
        is_broken: bool = False,
    ) -> bool:
        """A call that left at *started_s* had no reply. Whether its host is silent from here on, and was not
        before. *is_broken*: its connection was there, and broke: what is behind it may be well."""
        now_s = self._clock.now_s()
        is_silence = is_timed_out or is_slow(started_s, now_s)
        with self._lock:
            silent = self._silent.get(leave.host)
            if not is_silence:
                self._forget(leave.host)  # who calls it hears soon
                return False
            if silent is None:
                if is_broken or self._answered_s.get(leave.host, -math.inf) > started_s:
                    return False
                probes = _Probes(1, now_s + grown_s(1, PROBES))
                self._silent[leave.host] = _Silent(str(error), {leave.route: probes})
                return True
            # Also of a call that left before the host was known to be silent.
            probes = leave.probes or silent.routes.setdefault(leave.route, _Probes())
            if leave.probes is not None or not probes.failures:
                probes.failures += 1
                probes.ready_s = now_s + grown_s(probes.failures, PROBES)
        return False

    def over(self, leave: Leave) -> None:
        """The call has ended, however it did."""
        probes = leave.probes
        if probes is None:
            return
        with self._lock:
            if probes.began_s == leave.began_s:
                probes.began_s = -math.inf
                probes.ended.set()

    def _leave(self, host: str, route: str, *, may_wait: bool = True) -> Leave | threading.Event:
        """Or the end of the probe to wait for."""
        now_s = self._clock.now_s()
        with self._lock:
            silent = self._silent.get(host)
            if silent is None:
                return Leave(host, route)
            probes = silent.routes.setdefault(route, _Probes())
            if now_s < max(probes.ready_s, probes.began_s + PROBE_S):
                if may_wait and now_s < probes.began_s + GRACE_S:
                    return probes.ended
                raise Unreachable(silent.reason)
            probes.began_s, probes.ended = now_s, threading.Event()
            is_patient = probes.failures % PATIENT_PROBES == PATIENT_PROBES - 1
            usual_s = min(max(PROBE_S, 2 * self._took_s.get((host, route), 0.0)), LONGEST_PROBE_S)
            return Leave(host, route, math.inf if is_patient else usual_s, probes, now_s)

    def _forget(self, host: str) -> None:
        """Under the lock."""
        silent = self._silent.pop(host, None)
        if silent is not None:
            for probes in silent.routes.values():
                probes.ended.set()
