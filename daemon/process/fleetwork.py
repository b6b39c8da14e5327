"""A mount as one machine of a fleet: joins it, and says how it is."""

from __future__ import annotations

import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

from daemon.commit.accountlock import AccountLock
from daemon.config.fleet import Fallback, Fleet
from daemon.control.status import FleetStatus
from daemon.fleet.joining import server_of
from daemon.fleet.ports import Member
from daemon.fleet.turn import FleetTurn
from daemon.process.worker import Worker
from mountfs.model.entry import Account
from mountfs.ports import Backend, Clock


@dataclass(frozen=True, slots=True)
class FleetWork:
    """The turn of a mount in its fleet, and the thread that asks for it."""

    turn: FleetTurn
    worker: Worker

    def status(self) -> FleetStatus:
        """As far as it is known here; ``turn.look`` asks."""
        trouble, view = self.turn.trouble, self.turn.view
        return FleetStatus(
            holder=view.holder,
            held_s=view.held_s,
            waiting=tuple((each.name, each.waited_s) for each in view.waiting),
            calls=dict(view.calls),
            trouble="" if trouble is None else str(trouble),
            is_alone=self.turn.is_alone,
        )

    @property
    def held_up(self) -> str:
        """Why nothing is committed, if that is so because the fleet's server is away."""
        trouble = self.turn.trouble
        return "" if trouble is None or self.turn.is_alone else f"the fleet: {trouble}"


def join(fleet: Fleet, account: Account, backend: Backend, clock: Clock, lock_path: Path) -> FleetWork:
    """Joins the machines that share *account*; asks nobody yet."""
    name = fleet.name or socket.gethostname()
    turn = FleetTurn(
        server_of(fleet, account.key),
        AccountLock(lock_path),
        clock,
        Member(f"{name}:{uuid.uuid4().hex}", name),
        poll=lambda job: backend.poll(job, ()),
        calls=lambda: sum(backend.calls().values()),
        may_go_alone=fleet.fallback is Fallback.ALONE,
    )
    worker = Worker("fleet", turn.step, clock)
    turn.wake = worker.wake
    return FleetWork(turn, worker)
