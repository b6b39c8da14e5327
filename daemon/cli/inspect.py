"""Commands that wait for running mounts: ``wait``, ``sync`` and ``umount``."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.context import ANY_PATH, Context, say
from daemon.cli.statusline import StatusLine
from daemon.control.client import Client, DeadMount, bind_at, find_mount, find_place
from daemon.control.protocol import (
    Progress,
    Settled,
    Stopped,
    StopRequest,
    SyncRequest,
    WaitRequest,
)
from daemon.control.status import plural, stays
from daemon.failure import Failure
from daemon.printable import quoted
from daemon.process.lifecycle import EXIT_LEFT_PENDING
from daemon.process.mountpoint import detach, take_away

EXIT_FAILED = 1
EXIT_TIMEOUT = 2

LONGEST_S = 1e9


class _Seconds(click.FloatRange):
    """What a mount takes for a time: neither ``nan``, which no range excludes, nor ``inf``."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if not seconds < LONGEST_S:
            self.fail(f"{value} is no number of seconds", param, ctx)
        return seconds


TIMEOUT = _Seconds(min=0)


@click.command()
@click.argument("path", type=ANY_PATH)
@click.option("--timeout", "timeout_s", type=TIMEOUT, help="Give up after so many seconds.")
@click.pass_obj
def wait(context: Context, path: Path, timeout_s: float | None) -> int:
    """Wait until everything at or below PATH is committed.

    Exits with 0 when it is, 1 when something failed (each is listed) or nothing is there, 2 when the time ran
    out. A removal is waited for by the path that was removed.
    """
    place = find_place(path)
    settled: Settled | None = None
    told = ""
    with StatusLine(context.terminal()) as line:
        for reply in Client.at(place.mountpoint, path).ask(WaitRequest(place.inner, timeout_s)):
            if isinstance(reply, Progress):
                line.show_transfer(f"{plural(reply.pending, 'change')} pending", reply.transfer)
                if reply.held_up and reply.held_up != told:
                    told = reply.held_up
                    say(f"{path}: nothing gets on: {told}")
            elif isinstance(reply, Settled):
                settled = reply
    if settled is None:
        raise Failure(f"{path}: the mount gave no answer")
    for failed in settled.failed:
        say(f"{place.mountpoint}{failed.path}: {failed.reason}")
    if settled.pending:
        say(
            f"{path}: {plural(settled.pending, 'change')} still pending; "
            f"mountfs pending {quoted(path)} tells what each waits for"
        )
    if settled.failed:
        return EXIT_FAILED
    return EXIT_TIMEOUT if settled.pending else 0


@click.command()
@click.argument("path", type=ANY_PATH)
def sync(path: Path) -> int:
    """Make what was written so far survive a power loss. It is about the whole mount of PATH."""
    for _ in Client.at(find_place(path).mountpoint).ask(SyncRequest()):
        pass
    return 0


@click.command()
@click.argument("mountpoint", type=ANY_PATH)
@click.option("--timeout", "timeout_s", type=TIMEOUT, help="Drain for so many seconds at most.")
@click.pass_obj
def umount(context: Context, mountpoint: Path, timeout_s: float | None) -> int:
    """Commit what is pending, then unmount.

    Exits with 0, or 3 when the time ran out, or nothing got on for drain_idle_timeout because the service
    is away, takes no more or refuses the credentials, or the mount is paused: the rest stays journaled for
    the next mount.
    """
    return drained_umount(context, mountpoint, timeout_s)


def drained_umount(context: Context, mountpoint: Path, timeout_s: float | None) -> int:
    """As ``umount``; for umount(8), too. Failure."""
    if (bound := bind_at(mountpoint)) is not None:
        take_away(bound)
        return 0
    place = find_mount(mountpoint)
    try:
        client = Client.at(place)
    except DeadMount:
        detach(place)
        say(f"{place}: its process had ended; took the dead mount away")
        return 0
    left, why = 0, ""
    with StatusLine(context.terminal()) as line:
        for reply in client.ask(StopRequest(timeout_s), until_closed=True):
            if isinstance(reply, Progress):
                line.show_transfer(f"draining {plural(reply.pending, 'change')}", reply.transfer)
            elif isinstance(reply, Stopped):
                left, why = reply.pending, f": {reply.reason}" if reply.reason else ""
    if left:
        say(f"{place}: {plural(left, 'change')} {stays(left)} journaled for the next mount{why}")
        return EXIT_LEFT_PENDING
    return 0
