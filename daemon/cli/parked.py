"""Commands for changes that do not get on by themselves: ``retry``, ``export`` and ``discard``."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from daemon.cli.completing import REMOTE
from daemon.cli.context import ANY_PATH, Context, kept_in, say, tell
from daemon.cli.eachmount import in_each
from daemon.cli.export import Export, export_mounted, export_stopped
from daemon.config.settings import parse_spec
from daemon.control.client import Client, Place, all_mounts, find_place, last_of
from daemon.control.protocol import (
    Discarded,
    DiscardRequest,
    FailedChange,
    Listed,
    PendingFiles,
    PendingRequest,
    Retried,
    RetryRequest,
)
from daemon.control.status import in_bytes, plural
from daemon.failure import BadSettings, Failure
from daemon.places.answering import check_answers
from daemon.places.mounttable import mount_above, read_mounts, resolved
from daemon.places.statedir import StateDir
from mountfs.model.path import RemotePath
from mountfs.spool.disk import RealDisk
from mountfs.spool.spool import is_name

EXIT_LEFT = 1
"""Something was left as it is, and listed."""


@click.command()
@click.argument("path", type=ANY_PATH, required=False)
def retry(path: Path | None) -> int:
    """Send again what was refused of PATH, or in all mounts. PATH is a file, or a folder with all below it.

    A mount that waits for room in a full account looks at once whether there is some. Exits with 1 when
    something cannot be sent again; it is listed.
    """
    if path is not None:
        return _retry(find_place(path, is_itself=True), path)
    return in_each(all_mounts(), lambda mountpoint: _retry(Place(mountpoint, "/"), mountpoint))


def _retry(place: Place, about: Path) -> int:
    replies = Client.at(place.mountpoint, about).ask(RetryRequest(place.inner))
    reply = last_of(replies, Retried, place.mountpoint)
    tell(f"{place.mountpoint}: {plural(reply.count, 'change')} will be sent again")
    return _tell_left(place, reply.left)


@click.command()
@click.argument("path", type=ANY_PATH)
@click.argument("directory", type=ANY_PATH)
@click.option(
    "--of",
    "remote",
    metavar="REMOTE:",
    type=REMOTE,
    help="Of a mount that is stopped: PATH is one in REMOTE.",
)
@click.option("--state-dir", type=ANY_PATH, help="Where that mount kept its state, if not where it does now.")
@click.pass_obj
def export(context: Context, path: Path, directory: Path, remote: str | None, state_dir: Path | None) -> int:
    """Copy the pending bytes of PATH to DIRECTORY. PATH is a file, or a folder with all below it.

    Names and times are kept, and nothing that exists is replaced. Exits with 1 when something was not copied:
    each is listed. What is pending stays pending. Of a mount that does not run:

        mountfs export --of work: /docs DIRECTORY
    """
    if state_dir is not None and remote is None:
        raise BadSettings("--state-dir: say whose state with --of REMOTE:")
    _check_outside(directory)
    if remote is None:
        done = _of_mounted(path, directory)
    else:
        done = _of_stopped(context, path, directory, remote, state_dir)
    for problem in done.problems:
        say(problem)
    tell(f"{plural(done.count, 'file')}, {in_bytes(done.size_bytes)}, copied to {directory}")
    return EXIT_LEFT if done.problems else 0


@click.command()
@click.argument("path", type=ANY_PATH)
@click.option("--yes", "is_sure", is_flag=True, help="Do it. Without this, what would be lost is told.")
def discard(path: Path, is_sure: bool) -> int:
    """Give up what is pending of PATH. PATH is a file, or a folder with all below it.

    The service's version shows again; what the service never had is gone. Exits with 1 without --yes, and
    when something was left as it is.
    """
    place = find_place(path, is_itself=True)
    replies = Client.at(place.mountpoint, path).ask(DiscardRequest(place.inner, is_trial=not is_sure))
    return _told(path, place, last_of(replies, Discarded, path), is_sure=is_sure)


def _told(path: Path, place: Place, reply: Discarded, *, is_sure: bool) -> int:
    what = f"{plural(reply.count, 'change')} with {in_bytes(reply.size_bytes)}"
    left = _tell_left(place, reply.left)
    if is_sure:
        tell(f"gave up {what}")
        return left
    for lost in reply.paths:
        tell(f"{place.mountpoint}{lost}")
    if reply.count > len(reply.paths):
        tell(f"and {reply.count - len(reply.paths)} more")
    if not reply.count:
        say(f"{path}: nothing is pending there that could be given up")
    else:
        told = f"{what} would be lost; --yes does it, mountfs export copies it out"
        say(f"{path}: {told}")
    return EXIT_LEFT


def _tell_left(place: Place, left: tuple[FailedChange, ...]) -> int:
    for each in left:
        say(f"{place.mountpoint}{each.path}: {each.reason}")
    return EXIT_LEFT if left else 0


def _of_mounted(path: Path, directory: Path) -> Export:
    place = find_place(path)
    paths: list[str] = []
    outside = 0
    for reply in Client.at(place.mountpoint, path).ask(PendingRequest(place.inner)):
        if isinstance(reply, PendingFiles):
            paths += reply.paths
        elif isinstance(reply, Listed):
            outside = reply.outside
    done = export_mounted(place.mountpoint, place.inner, paths, directory)
    if outside:
        done.problems.append(
            f"{path}: {plural(outside, 'more pending file')} of the account: not in what is mounted here"
        )
    if not done.count and not done.problems:
        raise Failure(f"{path}: nothing is pending there")
    return done


def _of_stopped(context: Context, path: Path, directory: Path, remote: str, state_dir: Path | None) -> Export:
    if not path.is_absolute():
        raise BadSettings(f"{path}: with --of, PATH is one in the remote, and begins with a slash")
    spec = parse_spec(remote)
    if state_dir is not None:
        check_answers(state_dir)
    kept = state_dir or kept_in(context.settings())
    top = RemotePath(spec.subdir.text + RemotePath.parse(os.fspath(path)).text)
    host = socket.gethostname()
    return export_stopped(StateDir(kept), spec.name, top, directory, host, RealDisk().label_of, is_name)


def _check_outside(directory: Path) -> None:
    mounts = read_mounts()
    entry = mount_above(resolved(directory, mounts), mounts)
    if entry is not None and entry.is_ours:
        raise BadSettings(f"{directory}: lies on a mountfs mount; choose a directory on a local disk")
