"""``mountfs pending``: every change that the service does not have, and what it waits for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from daemon.cli.bars import in_time, table, text
from daemon.cli.context import ANY_PATH, Context, say
from daemon.cli.eachmount import in_each
from daemon.control.changes import ChangesRequest, PendingChange, PendingChanges
from daemon.control.client import Client, Place, all_mounts, find_place
from daemon.control.protocol import Listed
from daemon.control.status import in_bytes, plural
from daemon.printable import printable

COLUMNS = ("path", "change", "state", "size", "since", "why")


@click.command()
@click.argument("path", type=ANY_PATH, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line, one for each change.")
@click.pass_obj
def pending(context: Context, path: Path | None, as_json: bool) -> int:
    """List what is not committed of PATH, or in all mounts. Tells how far each change is, what it waits for,
    and why. Without a terminal, a line each with tabs between.

    The state of a change: "open", a program has the file open and writes; "sealed", it is closed, and bytes
    are still to be sent; "uploaded", nothing more is to be sent, and the service is asked for the change
    next; "committing", it was asked, and its answer is not known yet; "failed", it was refused, or waits for
    what was: see mountfs retry and mountfs discard.

    Exits with 0 when nothing is pending, 1 when something is.
    """
    place = None if path is None else find_place(path)
    shown = table(*COLUMNS)
    is_terminal = context.out.file.isatty()  # what FORCE_COLOR says is another thing

    def show(mountpoint: Path) -> int:
        asked, count = place or Place(mountpoint, "/"), 0
        for change in _changes(asked, path):
            count += 1
            if as_json:
                click.echo(json.dumps(_as_json(asked, change)))
            elif is_terminal:
                shown.add_row(*map(text, _cells(asked, change)))
            else:
                click.echo("\t".join(map(printable, _cells(asked, change))))
        return 1 if count else 0

    code = in_each(all_mounts() if place is None else [place.mountpoint], show)
    if shown.row_count:
        context.out.print(shown)
    return code


def _as_json(place: Place, change: PendingChange) -> dict[str, object]:
    below = place.mountpoint
    waits_for = f"{below}{change.waits_for}" if change.waits_for else ""
    return {**asdict(change), "path": f"{below}{change.path}", "waits_for": waits_for}


def _cells(place: Place, change: PendingChange) -> tuple[str, ...]:
    size = in_bytes(change.size_bytes) if change.size_bytes else ""
    where = f"{place.mountpoint}{change.path}"
    return (where, change.change, change.state, size, in_time(change.age_s), _why(place, change))


def _changes(place: Place, about: Path | None) -> Iterator[PendingChange]:
    for reply in Client.at(place.mountpoint, about).ask(ChangesRequest(place.inner)):
        if isinstance(reply, PendingChanges):
            yield from reply.pending
        elif isinstance(reply, Listed) and reply.outside:
            say(f"{place.mountpoint}: {plural(reply.outside, 'more change')} of the account not mounted here")


def _why(place: Place, change: PendingChange) -> str:
    if change.reason:
        return change.reason
    return f"waits for {place.mountpoint}{change.waits_for}" if change.waits_for else ""
