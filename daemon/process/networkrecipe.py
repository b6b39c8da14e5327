"""What a network process is told first, through its socket: no argument and no environment holds
credentials."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.config.fleet import Fleet
from daemon.config.settings import AccountRemote
from mountfs.model.entry import Account
from mountfs.model.rates import UNLIMITED, Rates

RECIPE_MODULES = (
    __name__,
    "daemon.config.settings",
    "daemon.config.boxremote",
    "daemon.config.commitoptions",
    "daemon.config.fleet",
)
"""Modules whose classes the codec has to accept in a recipe."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """``remote``: the account to connect to, with its credentials. ``name``: what the user calls it.
    ``state_dir``: absolute. ``login_file``: absolute, the configuration file in which `mountfs login` may
    write new credentials; "": there is none. ``account``: the one that is mounted; None: not known yet.
    ``rates``: how fast bytes may travel. ``fleet``: the machines that share the account, with the
    password."""

    remote: AccountRemote
    name: str
    state_dir: str
    login_file: str
    log_level: int
    http_log_level: int
    account: Account | None = None
    rates: Rates = UNLIMITED
    fleet: Fleet | None = None
