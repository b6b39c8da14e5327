"""``mountfs logout``: the credentials of a remote ended, at the service and here."""

from __future__ import annotations

import os
from pathlib import Path

import click

from daemon.cli import keeping, trust
from daemon.cli.completing import ACCOUNT
from daemon.cli.context import ANY_PATH, Context, kept_in, tell, written_file
from daemon.config.document import check_writable, put_remote
from daemon.config.settings import (
    AccountRemote,
    SandboxRemote,
    Settings,
    find_remote,
    usable_remote,
)
from daemon.control.status import in_bytes, plural, stays
from daemon.failure import BadSettings, Failure
from daemon.places.answering import check_answers
from daemon.places.statedir import StateDir
from daemon.signin import granting
from daemon.signin.login import CREDENTIALS
from mountfs.clock import SystemClock
from mountfs.errors import MountfsError, NotSignedIn

_CREDENTIALS = CREDENTIALS - {"app_key", "client_id"}
"""All secrets, and whom an application acts for; the application's own key is for the next time."""


@click.command()
@click.argument("name", type=ACCOUNT)
@click.option("--local", "is_local", is_flag=True, help="Remove the secrets without telling the service.")
@click.option(
    "--credentials",
    type=ANY_PATH,
    default=keeping.CREDENTIAL_STORE,
    metavar="DIR",
    help="Where login --store systemd has put the secrets.",
)
@click.pass_obj
def logout(context: Context, *, name: str, is_local: bool, credentials: Path) -> int:
    """Sign out of the remote NAME. Revokes what it was granted, and removes its secrets.

    What is pending for the account stays, and is sent once you sign in to it again.
    """
    settings = context.settings()
    remote = find_remote(settings, name.removesuffix(":"))
    if isinstance(remote, SandboxRemote):
        raise BadSettings(f"{remote.name} is built in, and needs no account")
    file = written_file(context, settings)
    if settings.file is None or file != settings.file.absolute():
        raise BadSettings(f"{settings.file}: this user may not write it")
    check_writable(file)
    trust.heed(os.environ)
    state_dir = kept_in(settings)
    directory = credentials.absolute()
    check_answers(directory)
    told = "nothing was revoked at the service"
    if not is_local:
        told = _revoke(context, settings, remote, state_dir, directory)
    for each in remote.kept:
        if not keeping.forget(each.kept, directory):
            tell(f"{remote.name}: {each.key} is kept in {each.kept.keeper} {each.kept.name}: remove it there")
    put_remote(file, remote.name, {}, _CREDENTIALS)
    tell(f"{remote.name}: {told}; its secrets are gone from {file}")
    _tell_pending(remote.name, state_dir)
    return 0


def _revoke(
    context: Context, settings: Settings, remote: AccountRemote, state_dir: Path, directory: Path
) -> str:
    whole = usable_remote(settings, remote.name, keeping.environ_with(context.environ, directory))
    assert not isinstance(whole, SandboxRemote)
    try:
        return granting.revoke(whole, SystemClock(), state_dir)
    except NotSignedIn as error:
        return f"there was nothing to revoke ({error})"
    except MountfsError as error:
        raise Failure(
            f"{remote.name}: still signed in, for its access could not be revoked: {error}; "
            "--local removes the secrets all the same"
        ) from error


def _tell_pending(name: str, state_dir: Path) -> None:
    state = StateDir(state_dir)
    key = state.last_key(name)
    held = None if key is None else state.pending(key)
    if held is not None and held.count:
        tell(
            f"{name}: {plural(held.count, 'change')} ({in_bytes(held.size_bytes)}) {stays(held.count)} "
            f"pending in {state_dir}, to be sent once you sign in to the same account again and mount it"
        )
