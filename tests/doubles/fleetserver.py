"""``daemon.fleet.ports.FleetServer`` in memory, by the rules that are written down for Redis."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from daemon.config.fleet import LEASE_S
from daemon.fleet.ports import WAITS_S, FleetView, Granted, Member, Queued, Waiter
from mountfs.errors import MountfsError
from mountfs.model.allowance import Allowance, Windows
from mountfs.ports import Clock


@dataclass(slots=True)
class Lease:
    member: str
    token: int
    since_s: float
    until_s: float
    job: str = ""


class MemoryFleet:
    """What all machines ask. ``forget`` is a restart without its files; ``failure`` is raised by every call
    while it is set."""

    def __init__(self, clock: Clock, lease_s: float = LEASE_S) -> None:
        self.lease_s = lease_s
        self.failure: MountfsError | None = None
        self.asked: Counter[str] = Counter()
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        self._born_s: float | None = None
        self._lease: Lease | None = None
        self._last_token = 0
        self._queue: dict[str, float] = {}
        self._beats: dict[str, float] = {}
        self._names: dict[str, str] = {}
        self._calls: dict[str, tuple[int, float]] = {}
        self._windows = Windows()

    def enter(self, me: Member) -> Granted | Queued:
        now_s = self._heard("enter", me)
        for gone in [each for each, beat_s in self._beats.items() if now_s - beat_s >= WAITS_S]:
            if gone != me.id:
                self._dequeue(gone)
        lease = self._lease
        is_live = lease is not None and lease.until_s > now_s
        if lease is not None and is_live and lease.member == me.id:
            self._dequeue(me.id)
            lease.until_s = now_s + self.lease_s
            return Granted(lease.token)
        self._queue.setdefault(me.id, now_s)
        self._beats[me.id] = now_s
        before = list(self._queue).index(me.id)
        if lease is not None and is_live:
            return Queued(before, self._names[lease.member])
        if before or now_s < (self._born_s or 0.0) + self.lease_s:
            return Queued(before)
        job = lease.job if lease is not None and lease.member != me.id else ""
        self._dequeue(me.id)
        self._last_token = max(self._last_token + 1, int(now_s * 1000))
        self._lease = Lease(me.id, self._last_token, now_s, now_s + self.lease_s, job)
        return Granted(self._last_token, job)

    def renew(self, me: Member, token: int, job: str, *, is_live: bool = True) -> bool:
        now_s = self._heard("renew", me)
        if self._lease is None or self._lease.token != token:
            if not is_live or self._last_token >= token:
                return False
            self._lease = Lease(me.id, token, now_s, now_s)
            self._last_token = token
        self._lease.until_s, self._lease.job = now_s + self.lease_s, job
        return True

    def leave(self, me: Member, token: int) -> None:
        self._heard("leave", me)
        self._dequeue(me.id)
        if self._lease is not None and self._lease.token == token:
            self._lease = None

    def report(self, me: Member) -> None:
        self._heard("report", me)

    def look(self) -> FleetView:
        now_s = self._heard("look", None)
        waiting = tuple(Waiter(self._names[each], now_s - since_s) for each, since_s in self._queue.items())
        calls = sorted(
            (self._names[each], n) for each, (n, at_s) in self._calls.items() if now_s - at_s < 60.0
        )
        if self._lease is None or self._lease.until_s <= now_s:
            return FleetView(waiting=waiting, calls=tuple(calls))
        holder = self._names[self._lease.member]
        return FleetView(holder, now_s - self._lease.since_s, waiting, tuple(calls))

    def take(self, wanted: tuple[Allowance, ...]) -> float:
        now_s = self._heard("take", None)
        return self._windows.take_s(wanted, now_s) - now_s

    def refused(self, refused: tuple[Allowance, ...], retry_after_s: float) -> None:
        self._windows.refused(refused, retry_after_s, self._heard("refused", None))

    def close(self) -> None:
        pass

    def _heard(self, what: str, me: Member | None) -> float:
        self.asked[what] += 1
        if self.failure is not None:
            raise self.failure
        now_s = self._clock.now_s()
        if self._born_s is None and what in ("enter", "renew"):
            self._born_s = now_s
        if me is not None:
            self._names[me.id] = me.name
            self._calls[me.id] = me.calls, now_s
        return now_s

    def _dequeue(self, member: str) -> None:
        self._queue.pop(member, None)
        self._beats.pop(member, None)
