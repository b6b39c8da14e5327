"""The calls of an account, counted at the fleet's server for all its machines."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from daemon.fleet.ports import FleetServer
from mountfs.errors import MountfsError, Throttled
from mountfs.model.allowance import Allowance
from mountfs.ports import CallBudget, Clock

ASKED_AGAIN_S = 2.0
"""A server that does not answer is left alone for so long: each question may take as long as its time-out."""


class FleetBudget:
    """``ports.CallBudget`` of a fleet, as soon as ``join`` says where it is. *local* is this machine's own.

    While the server does not answer, *local* counts the calls. Those that could take what is left from other
    machines, and that nobody waits for, do not leave then (Throttled), unless *may_go_alone*.
    """

    def __init__(self, local: CallBudget, clock: Clock, *, may_go_alone: bool) -> None:
        self._local = local
        self._clock = clock
        self._may_go_alone = may_go_alone
        self._lock = Lock()
        self._server: FleetServer | None = None
        self._away: tuple[MountfsError, float] | None = None
        """Why it did not answer the last time, and until when it is left alone."""

    def join(self, connect: Callable[[], FleetServer]) -> None:
        """*connect* gives the server of the account; it is called once."""
        with self._lock:
            if self._server is None:
                self._server = connect()

    def take(self, wanted: tuple[Allowance, ...]) -> float:
        with self._lock:
            server, away = self._server, self._away
        if server is None:
            return self._local.take(wanted)
        if away is None or self._clock.now_s() >= away[1]:
            try:
                wait_s = server.take(wanted)
            except MountfsError as error:
                away = (error, self._clock.now_s() + ASKED_AGAIN_S)
                self._note(away)
            else:
                self._note(None)
                return wait_s
        if not self._may_go_alone and any(each.may_wait for each in wanted if each.is_counted):
            raise Throttled(f"the fleet counts the uploads: {away[0]}", ASKED_AGAIN_S)
        return self._local.take(wanted)

    def refused(self, refused: tuple[Allowance, ...], retry_after_s: float | None) -> None:
        self._local.refused(refused, retry_after_s)
        with self._lock:
            server = None if self._away is not None else self._server
        if server is None:
            return
        try:
            server.refused(refused, retry_after_s or 0.0)
        except MountfsError as error:
            self._note((error, self._clock.now_s() + ASKED_AGAIN_S))

    def _note(self, away: tuple[MountfsError, float] | None) -> None:
        with self._lock:
            self._away = away
