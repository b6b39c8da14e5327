"""A mount's connection without a process of its own: what happens to the mount happens to its requests."""

from __future__ import annotations

from daemon.config.settings import AccountRemote
from daemon.process.connection import Connection
from daemon.process.run import MountPlan
from daemon.signin import remotes
from mountfs.ports import Clock


def connect_in_process(plan: MountPlan, remote: AccountRemote, clock: Clock, process: object) -> Connection:
    state_dir = plan.options.state_dir
    tokens = remotes.tokens_of(remote, clock, state_dir)
    return Connection(remotes.connect(remote, clock, state_dir, tokens), end=tokens.close)
