"""A mount's connection to its service: the port, served by a network process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

from daemon.config.settings import AccountRemote
from daemon.process.networkrecipe import Recipe
from daemon.process.run import MountPlan
from mountfs.model.entry import Account
from mountfs.ports import Backend, Clock
from mountfs.transport.codec import dumps
from mountfs.transport.link import Child
from mountfs.transport.remote import RemoteBackend
from mountfs.transport.window import Window

COMMAND = (sys.executable, "-P", "-m", "daemon.process.network")


def _nothing(_account: Account) -> None:
    """Nobody needs to be told."""


@dataclass(frozen=True, slots=True)
class Connection:
    """*mounted* is told whose account is mounted. *end*: after ``backend.close``, when nothing is asked any
    more; nobody waits for a token from then on."""

    backend: Backend
    mounted: Callable[[Account], None] = _nothing
    end: Callable[[], None] = lambda: None


@contextmanager
def begun_process() -> Iterator[Child | None]:
    """A process that loads its modules while the mount loads its own. One that was not connected to anything
    ends with the block. None: it cannot be started, and whoever connects will say why."""
    try:
        process = Child(COMMAND, Window())
    except OSError:
        yield None
        return
    try:
        yield process
    finally:
        if not process.is_told:
            process.drop()


def connect(plan: MountPlan, remote: AccountRemote, clock: Clock, process: Child | None = None) -> Connection:
    """To the account of *remote*, by a process that starts meanwhile; nothing is sent yet. *process*: one
    that was started before the plan was complete. MountfsError."""
    whose: list[Account] = []

    def recipe() -> bytes:
        return dumps(replace(first, account=whose[-1] if whose else None))

    def mounted(account: Account) -> None:
        whose.append(account)
        backend.mounted(account)

    first = Recipe(
        remote=remote,
        name=plan.spec.name,
        state_dir=str(plan.options.state_dir.absolute()),
        login_file=str(plan.login.path) if plan.login is not None else "",
        log_level=logging.getLogger().getEffectiveLevel(),
        http_log_level=logging.getLogger("urllib3").getEffectiveLevel(),
    )
    backend = RemoteBackend(COMMAND, recipe, clock, process)
    backend.start()
    return Connection(cast(Backend, backend), mounted, backend.end)
