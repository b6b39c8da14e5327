"""What a network process is told at its start. It travels by the socket: it holds the credentials."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.config.settings import AccountRemote
from mountfs.model.entry import Account

NAMED = (__name__, "daemon.config.settings", "daemon.config.boxremote")
"""Modules whose classes a recipe names."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """*name*: the remote's, as the user named it. *login_file*: absolute, the configuration in which new
    credentials may be written down; "": there is none. *account*: that is mounted, where it is known."""

    remote: AccountRemote
    name: str
    state_dir: str
    login_file: str
    log_level: int
    http_log_level: int
    account: Account | None = None
