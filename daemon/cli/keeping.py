"""Where a command puts the secrets of a remote, and takes them from again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from daemon.cli.guides import FOR_SYSTEMD
from daemon.config.document import Value
from daemon.config.secrets import CREDENTIALS_DIRECTORY, Keeper, Kept, into_keyring, out_of_keyring
from daemon.config.settings import REMOTE_TYPES, AccountRemote
from daemon.failure import Failure
from daemon.places import ownership
from daemon.places.answering import check_answers
from daemon.places.durable import write_synced
from daemon.printable import quoted

CREDENTIAL_STORE = Path("/etc/credstore")
"""Where systemd looks for credentials that are given to LoadCredential= without a path (systemd.exec(5))."""


class Store(StrEnum):
    """Who keeps the secrets of a remote."""

    CONFIG = "config"
    KEYRING = "keyring"
    SYSTEMD = "systemd"


def is_secret(service: str, key: str) -> bool:
    """Whether the key of a remote of *service* must stay private."""
    return REMOTE_TYPES[service][1][key].is_secret


def check_store(store: Store, directory: Path) -> None:
    """Failure where nothing could be kept: told before there is anything to keep."""
    if store is Store.KEYRING:
        out_of_keyring("check")
    elif store is Store.SYSTEMD:
        check_answers(directory)
        wrong = ownership.complaint(directory, os.geteuid(), may_be_roots=True)
        if wrong is None and not (directory.is_dir() and os.access(directory, os.W_OK, effective_ids=True)):
            wrong = f"make the directory, writable for this user: mkdir -m 700 {quoted(directory)}"
        if wrong is not None:
            raise Failure(f"{directory}: no secrets are kept there: {wrong}")


def keep(
    store: Store, directory: Path, name: str, service: str, values: Mapping[str, str]
) -> dict[str, Value]:
    """Puts the secrets among *values* where *store* says; what the configuration is to hold. Failure."""
    written: dict[str, Value] = {}
    for key, value in values.items():
        if store is Store.CONFIG or not is_secret(service, key):
            written[key] = value
        elif store is Store.KEYRING:
            written[key] = Kept(Keeper.KEYRING, f"{name}.{key}")
            into_keyring(f"{name}.{key}", value)
        else:
            written[key] = Kept(Keeper.CREDENTIAL, f"mountfs.{name}.{key}")
            path = directory / f"mountfs.{name}.{key}"
            try:
                write_synced(path, value)
            except OSError as error:
                raise Failure(f"{path}: cannot be written: {error.strerror}") from None
    return written


def forget(kept: Kept, directory: Path) -> bool:
    """Removes a secret that a command has put there; False for one that somebody else did. Failure."""
    if kept.keeper is Keeper.KEYRING:
        out_of_keyring(kept.name)
        return True
    path = directory / kept.name
    if kept.keeper is Keeper.CREDENTIAL and path.is_file():
        try:
            path.unlink()
        except OSError as error:
            raise Failure(f"{path}: cannot be removed: {error.strerror}") from None
        return True
    return False


def forget_replaced(remote: AccountRemote | None, written: Mapping[str, Value], directory: Path) -> None:
    """Removes what was kept of *remote* in places that the configuration names no more."""
    for each in remote.kept if remote is not None else ():
        if each.kept not in written.values():
            forget(each.kept, directory)


def lines_for_systemd(written: Mapping[str, Value], directory: Path) -> str:
    """What is to be added to a unit, if anything."""
    names = [each.name for each in written.values() if isinstance(each, Kept)]
    lines = "".join(f"LoadCredential={name}:{directory / name}\n" for name in names)
    return FOR_SYSTEMD.format(lines=lines)


def environ_with(environ: Mapping[str, str], directory: Path) -> Mapping[str, str]:
    """*environ* of a command that is no service: its credentials are where a service gets them from."""
    return {CREDENTIALS_DIRECTORY: str(directory), **environ}
