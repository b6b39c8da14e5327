"""The network process of a mount: ``python -m daemon.process.network SOCKET WINDOW`` (numbers of
descriptors).

It speaks with the service, and ends with its mount, however that dies: the socket closes then.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.config.fleet import Fallback
from daemon.config.settings import AccountRemote, find_remote, load
from daemon.fleet.budget import FleetBudget
from daemon.fleet.joining import server_of
from daemon.places.callbudget import CALLS, AccountBudget
from daemon.process.arenas import share_arenas
from daemon.process.networkrecipe import RECIPE_MODULES, Recipe
from daemon.signin.credentials import Tokens
from daemon.signin.identity import identity_mark
from daemon.signin.login import Login
from daemon.signin.remotes import connect, counted, tokens_of
from mountfs.clock import SystemClock
from mountfs.model.entry import Account
from mountfs.model.logevent import LogEvent
from mountfs.transport.codec import loads
from mountfs.transport.frames import Broken, Channel
from mountfs.transport.serving import LogToMount, Serving
from mountfs.transport.window import Counting

LOG = logging.getLogger("daemon.process.network")
"""By its name: the module is run as a program."""

PROCESS_NAME = "mountfs-network"


@dataclass(slots=True)
class MountedAccount:
    """Knows whose account is mounted, and so whose tokens may be used. ``account``: None: not known yet."""

    recipe: Recipe
    account: Account | None
    local: AccountBudget
    """Of the account's calls: shared with its other mounts on this machine once it is known whose it is."""
    fleets: FleetBudget | None
    """The same with other machines."""

    def __post_init__(self) -> None:
        if self.account is not None:
            self.note(self.account)

    def note(self, account: Account) -> None:
        self.account = account
        self.local.share(Path(self.recipe.state_dir) / CALLS / account.counted_as)
        fleet = self.recipe.fleet
        if self.fleets is not None and fleet is not None:
            self.fleets.join(lambda: server_of(fleet, account.counted_as))

    def is_ours(self, remote: AccountRemote, tokens: Tokens) -> bool:
        """Whether *tokens* are of the account that is mounted; asks the service. If they are, the state
        directory is told that *remote* leads to this account, so that the next mount need not ask.
        MountfsError."""
        state_dir = Path(self.recipe.state_dir)
        backend = connect(remote, SystemClock(), state_dir, tokens)
        try:
            found = backend.account()
        finally:
            backend.close()
        if self.account is None or found.key != self.account.key:
            return False
        from daemon.places.statedir import StateDir  # noqa: PLC0415 - loads the tree; few mounts come here

        StateDir(state_dir).identify(self.recipe.name, identity_mark(remote), lambda: found)
        LOG.info(LogEvent("signed-in", remote=self.recipe.name, account=found.display_name))
        return True


def main(socket_fd: int, window_fd: int) -> None:
    """Serves the mount at the other end of *socket_fd* until it ends the stream or dies."""
    # A terminal or a service manager signals both. The mount drains then, and needs this process for it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as name:
        name.write(PROCESS_NAME)
    share_arenas()
    channel = Channel(socket.socket(fileno=socket_fd))
    try:
        recipe: Recipe = loads(channel.receive().payload, RECIPE_MODULES)
        _log_to(channel, recipe)
        local = AccountBudget(SystemClock())
        fleets = _fleets(recipe, local)
        mounted = MountedAccount(recipe, recipe.account, local, fleets)
        tokens = _tokens(recipe, mounted.is_ours)
        http = counted(Counting(window_fd).add)
        place = Path(recipe.state_dir)
        backend = connect(recipe.remote, SystemClock(), place, tokens, http, budget=fleets or local)
        backend.limit_rates(recipe.rates)
        serving = Serving(channel, window_fd, backend, mounted.note)
        serving.run()
    except Broken:
        return
    # Waits for an exchange of one-use tokens: the new ones have to be stored, also if the mount was killed.
    tokens.close()
    serving.await_last_calls()


def _fleets(recipe: Recipe, local: AccountBudget) -> FleetBudget | None:
    fleet = recipe.fleet
    if fleet is None:
        return None
    return FleetBudget(local, SystemClock(), may_go_alone=fleet.fallback is Fallback.ALONE)


def _tokens(recipe: Recipe, is_ours: Callable[[AccountRemote, Tokens], bool]) -> Tokens:
    """The tokens of the recipe's remote; those of its configuration file instead, once that has others."""
    clock, state_dir = SystemClock(), Path(recipe.state_dir)
    if not recipe.login_file:
        return tokens_of(recipe.remote, clock, state_dir)
    file = Path(recipe.login_file)
    return Login(
        file,
        recipe.remote,
        clock,
        read=lambda: find_remote(load([], explicit=file), recipe.name),
        make=lambda changed: tokens_of(changed, clock, state_dir),
        is_ours=is_ours,
    )


def _log_to(channel: Channel, recipe: Recipe) -> None:
    root = logging.getLogger()
    root.addHandler(LogToMount(channel))
    root.setLevel(recipe.log_level)
    logging.getLogger("urllib3").setLevel(recipe.http_log_level)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
    # Without waiting for threads in a connect(2), as the interpreter would.
    os._exit(0)
