"""Commands that slow mounts down while they run: ``pause``, ``resume`` and ``bwlimit``."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.context import ANY_PATH, tell
from daemon.cli.eachmount import in_each
from daemon.config.keys import rates
from daemon.control.client import Client, all_mounts, find_mount
from daemon.control.protocol import Request
from daemon.control.status import in_bytes
from daemon.control.steering import HoldRequest, RatesRequest
from daemon.failure import BadSettings


@click.command()
@click.argument("mountpoint", type=ANY_PATH, required=False)
def pause(mountpoint: Path | None) -> int:
    """Send and commit nothing more, in one mount or in all. That lasts until `mountfs resume`, or until the
    mount ends.

    What is being sent just now is finished. Reading and writing go on; what is written stays journaled.
    """
    return _steer(mountpoint, HoldRequest(is_held=True), "paused")


@click.command()
@click.argument("mountpoint", type=ANY_PATH, required=False)
def resume(mountpoint: Path | None) -> int:
    """Go on with what `mountfs pause` stopped. Without MOUNTPOINT, in all mounts."""
    return _steer(mountpoint, HoldRequest(is_held=False), "goes on")


@click.command()
@click.argument("limit", metavar="UP[:DOWN]")
@click.argument("mountpoint", type=ANY_PATH, required=False)
def bwlimit(limit: str, mountpoint: Path | None) -> int:
    """Limit a mount, or every one, to so many bytes a second. UP or UP:DOWN: 512K, 2M:10M, off, off:1M.

    The least is 16K. The limit holds until the mount ends; the mount option bwlimit sets one at each start.
    """
    try:
        wanted = rates(limit)
    except ValueError as error:
        raise BadSettings(f"{limit}: {error}") from None
    up, down = (_in_words(each) for each in (wanted.up_bytes_s, wanted.down_bytes_s))
    request = RatesRequest(wanted.up_bytes_s, wanted.down_bytes_s)
    return _steer(mountpoint, request, f"up {up}, down {down}")


def _in_words(bytes_s: int | None) -> str:
    return "unlimited" if bytes_s is None else f"{in_bytes(bytes_s)}/s"


def _steer(mountpoint: Path | None, request: Request, words: str) -> int:
    def ask(place: Path) -> int:
        for _ in Client.at(place).ask(request):
            pass
        tell(f"{place}: {words}")
        return 0

    return in_each(all_mounts() if mountpoint is None else [find_mount(mountpoint)], ask)
