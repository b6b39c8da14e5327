"""``mountfs remotes``: which accounts there are, how they are signed in, and what is pending for them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.table import Table

from daemon.cli.bars import table, text
from daemon.cli.context import Context, kept_in, tell
from daemon.config.boxremote import BoxRemote, given_keys
from daemon.config.settings import AccountRemote, SandboxRemote, Settings
from daemon.control.status import in_bytes, plural
from daemon.places.statedir import StateDir


@dataclass(frozen=True, slots=True)
class Described:
    """A remote in words; *pending* counts changes that are not at the service yet."""

    name: str
    service: str
    signed_in: str
    account: str
    pending: int
    pending_bytes: int


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_obj
def remotes(context: Context, *, as_json: bool) -> int:
    """List the configured accounts. Tells how each is signed in, and whether something is pending for it."""
    settings = context.settings()
    state_dir = kept_in(settings)
    found = [
        _described(remote, state_dir)
        for remote in settings.remotes.values()
        if not isinstance(remote, SandboxRemote)
    ]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
    elif found:
        context.out.print(_table(found))
    else:
        tell(_none(settings))
    return 0


def _none(settings: Settings) -> str:
    where = f"the configuration {settings.unread} may not be read by this user"
    if settings.unread is None:
        where = f"none in {settings.file}" if settings.file else "there is no configuration file"
    return f"no remotes: {where}; sign in to an account with: mountfs login NAME"


def _described(remote: AccountRemote, state_dir: Path) -> Described:
    state = StateDir(state_dir)
    key = state.last_key(remote.name)
    held = None if key is None else state.pending(key)
    return Described(
        remote.name,
        "box" if isinstance(remote, BoxRemote) else "dropbox",
        _signed_in(remote),
        key or "",
        held.count if held else 0,
        held.size_bytes if held else 0,
    )


def _signed_in(remote: AccountRemote) -> str:
    """By which credentials, and who keeps them."""
    has = given_keys(remote)
    ways = {
        "access_token": "access token",
        "refresh_token": "refresh token",
        "box_subject_type": "client credentials",
    }
    way = next((words for key, words in ways.items() if key in has), None)
    if way is None:
        return f"no; run: mountfs login {remote.name}"
    keepers = sorted({each.kept.keeper.value for each in remote.kept})
    return f"{way}, kept in {' and '.join(keepers)}" if keepers else way


def _table(found: list[Described]) -> Table:
    shown = table("remote", "service", "signed in by", "pending")
    for each in found:
        pending = "none"
        if each.pending:
            pending = f"{plural(each.pending, 'change')}, {in_bytes(each.pending_bytes)}"
        row = (f"{each.name}:", each.service, each.signed_in, pending)
        shown.add_row(*map(text, row))
    return shown
