"""Commands that talk to running mounts: ``status``, ``wait``, ``sync`` and ``umount``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from daemon.cli.context import ANY_PATH, Context, say
from daemon.cli.screen import StatusLine, render_status
from daemon.control.client import Client, DeadMount, all_mounts, find_mount, find_place
from daemon.control.protocol import (
    Progress,
    Settled,
    StatusReply,
    StatusRequest,
    Stopped,
    StopRequest,
    SyncRequest,
    WaitRequest,
)
from daemon.control.status import MountStatus, in_bytes, plural, to_json
from daemon.failure import Failure
from daemon.process.lifecycle import EXIT_LEFT_PENDING
from daemon.process.mountpoint import detach

EXIT_FAILED = 1
EXIT_TIMEOUT = 2

TIMEOUT = click.FloatRange(min=0)


@click.command()
@click.argument("mountpoint", type=ANY_PATH, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.pass_obj
def status(context: Context, mountpoint: Path | None, as_json: bool) -> int:
    """Show what is pending, failed and running: of one mount, or of all."""
    if mountpoint is not None:
        found = _ask_status(find_mount(mountpoint))
        if as_json:
            click.echo(json.dumps(to_json(found), indent=2))
        else:
            context.out.print(render_status(found))
        return 0
    return _status_of_all(context, as_json)


def _status_of_all(context: Context, as_json: bool) -> int:
    described: list[dict[str, Any]] = []
    failures: list[str] = []
    for place in all_mounts():
        try:
            found = _ask_status(place)
        except Failure as failure:
            failures.append(str(failure))
            described.append({"mountpoint": str(place), "error": str(failure)})
            continue
        described.append(to_json(found))
        if not as_json:
            context.out.print(render_status(found))
    if as_json:
        click.echo(json.dumps({"mounts": described}, indent=2))
    elif not described:
        click.echo("nothing is mounted")
    for line in failures:
        say(line)
    return EXIT_FAILED if failures else 0


def _ask_status(mountpoint: Path) -> MountStatus:
    for reply in Client.at(mountpoint).ask(StatusRequest()):
        if isinstance(reply, StatusReply):
            return reply.status
    raise Failure(f"{mountpoint}: the mount gave no status")


@click.command()
@click.argument("path", type=ANY_PATH)
@click.option("--timeout", "timeout_s", type=TIMEOUT, help="Give up after so many seconds.")
@click.pass_obj
def wait(context: Context, path: Path, timeout_s: float | None) -> int:
    """Wait until everything at or below PATH is committed.

    Exits with 0 when it is, 1 when something failed (each is listed), 2 when the time ran out.
    """
    place = find_place(path)
    settled: Settled | None = None
    with StatusLine(context.err) as line:
        for reply in Client.at(place.mountpoint).ask(WaitRequest(place.inner, timeout_s)):
            if isinstance(reply, Progress):
                line.show(f"{plural(reply.pending, 'change')} pending, {in_bytes(reply.size_bytes)}")
            elif isinstance(reply, Settled):
                settled = reply
    if settled is None:
        raise Failure(f"{path}: the mount gave no answer")
    for failed in settled.failed:
        say(f"{place.mountpoint}{failed.path}: {failed.reason}")
    if settled.pending:
        say(f"{path}: {plural(settled.pending, 'change')} still pending")
    if settled.failed:
        return EXIT_FAILED
    return EXIT_TIMEOUT if settled.pending else 0


@click.command()
@click.argument("path", type=ANY_PATH)
def sync(path: Path) -> int:
    """Make everything written to the mount of PATH so far survive a power loss."""
    for _ in Client.at(find_place(path).mountpoint).ask(SyncRequest()):
        pass
    return 0


@click.command()
@click.argument("mountpoint", type=ANY_PATH)
@click.option("--timeout", "timeout_s", type=TIMEOUT, help="Drain for so many seconds at most.")
@click.pass_obj
def umount(context: Context, mountpoint: Path, timeout_s: float | None) -> int:
    """Commit what is pending, then unmount.

    Exits with 0, or 3 when the time ran out, or the service was away for drain_idle_timeout: the rest stays
    journaled for the next mount.
    """
    place = find_mount(mountpoint)
    try:
        client = Client.at(place)
    except DeadMount:
        detach(place)
        say(f"{place}: its process had ended; took the dead mount away")
        return 0
    left, why = 0, ""
    with StatusLine(context.err) as line:
        for reply in client.ask(StopRequest(timeout_s), until_closed=True):
            if isinstance(reply, Progress):
                line.show(f"draining: {plural(reply.pending, 'change')}, {in_bytes(reply.size_bytes)}")
            elif isinstance(reply, Stopped):
                left, why = reply.pending, f": {reply.reason}" if reply.reason else ""
    if left:
        say(f"{place}: {plural(left, 'change')} stay journaled for the next mount{why}")
        return EXIT_LEFT_PENDING
    return 0
