"""Connects a mount to its service: starts the network process, and gives the port on it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import cast

from daemon.config.settings import AccountRemote
from daemon.process.networkrecipe import Recipe
from daemon.process.run import MountPlan
from mountfs.errors import MountfsError
from mountfs.model.entry import Account
from mountfs.model.rates import Rates
from mountfs.ports import Backend, Clock
from mountfs.transport.codec import dumps
from mountfs.transport.link import Child
from mountfs.transport.remote import RemoteBackend
from mountfs.transport.window import Window

COMMAND = (sys.executable, "-P", "-m", "daemon.process.network")


def _nothing(_account: Account) -> None:
    """Stands for ``mounted`` where a backend needs not be told."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A backend with two calls for its mount. ``mounted``: to be called with the account that is mounted.
    ``end``: to be called last, after ``backend.close``; no call of the backend may follow.
    ``limit_rates``: holds for the network processes to come as well. ``traffic``: bytes sent
    and received so far, also of calls that still run. ``hear``: has a call made, on any thread, each time
    that the service has answered."""

    backend: Backend
    mounted: Callable[[Account], None] = _nothing
    end: Callable[[], None] = lambda: None
    limit_rates: Callable[[Rates], None] = lambda _rates: None
    traffic: Callable[[], tuple[int, int]] = lambda: (0, 0)
    hear: Callable[[Callable[[], None]], None] = lambda _call: None


@contextmanager
def begun_process() -> Iterator[Child | None]:
    """A network process, started before the mount loads most of its modules, so that both load at once. If
    the block ends before ``connect`` has used the process, it is killed. None: it cannot be started;
    ``connect`` tries again, and raises the reason."""
    try:
        process = Child(COMMAND, Window())
    except OSError:
        yield None
        return
    try:
        yield process
    finally:
        if not process.has_recipe:
            process.drop()


def connect(plan: MountPlan, remote: AccountRemote, clock: Clock, process: Child | None = None) -> Connection:
    """Connects to the account of *remote*, and waits neither for the network process nor for the service.
    *process*: of ``begun_process``. MountfsError."""
    accounts: list[Account] = []
    rates = [plan.options.bwlimit]

    def recipe() -> bytes:
        return dumps(replace(first, account=accounts[-1] if accounts else None, rates=rates[-1]))

    def mounted(account: Account) -> None:
        accounts.append(account)
        backend.mounted(account)

    def limit_rates(wanted: Rates) -> None:
        rates[:] = [wanted]
        with suppress(MountfsError):  # the next process is told at its start
            backend.limit_rates(wanted)

    first = Recipe(
        remote=remote,
        name=plan.spec.name,
        state_dir=str(plan.options.state_dir.absolute()),
        login_file=str(plan.login.path) if plan.login is not None else "",
        log_level=logging.getLogger().getEffectiveLevel(),
        http_log_level=logging.getLogger("urllib3").getEffectiveLevel(),
        fleet=plan.fleet,
    )

    def hear(call: Callable[[], None]) -> None:
        backend.on_answer = call

    backend = RemoteBackend(COMMAND, recipe, clock, process)
    backend.start()
    return Connection(cast(Backend, backend), mounted, backend.end, limit_rates, backend.traffic, hear)
