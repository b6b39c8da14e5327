"""A mount's connection to its service: the port, served by a network process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from daemon.config.settings import AccountRemote
from daemon.process.networkrecipe import Recipe
from daemon.process.run import MountPlan
from mountfs.model.entry import Account
from mountfs.ports import Backend, Clock
from mountfs.transport.codec import dumps
from mountfs.transport.remote import RemoteBackend

COMMAND = (sys.executable, "-m", "daemon.process.network")


def _nothing(_account: Account) -> None:
    """Nobody needs to be told."""


@dataclass(frozen=True, slots=True)
class Connection:
    """*mounted* is told whose account is mounted. *end*: after ``backend.close``, when nothing is asked any
    more; nobody waits for a token from then on."""

    backend: Backend
    mounted: Callable[[Account], None] = _nothing
    end: Callable[[], None] = lambda: None


def connect(plan: MountPlan, remote: AccountRemote, clock: Clock) -> Connection:
    """To the account of *remote*, by a process that starts meanwhile; nothing is sent yet. MountfsError."""
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
    backend = RemoteBackend(COMMAND, recipe, clock)
    backend.start()
    return Connection(cast(Backend, backend), mounted, backend.end)
