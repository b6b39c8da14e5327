"""Secrets that the configuration does not hold: it says where they are kept instead.

    refresh_token = { credential = "mountfs.work.refresh_token" }   of a service (systemd.exec(5))
    refresh_token = { file = "/run/secrets/dropbox" }               a file of its own
    refresh_token = { keyring = "work.refresh_token" }              the desktop's keyring

They are read when an account is connected to, not with the file: other commands need none of them.
"""

from __future__ import annotations

import importlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from daemon.config.keys import text, token
from daemon.failure import BadSettings
from daemon.places import ownership
from daemon.places.answering import check_answers
from daemon.printable import quoted

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""The variable by which systemd tells a service where its credentials are."""
KEYRING_SERVICE = "mountfs"
MOST_SECRET_BYTES = 16_384


class Keeper(StrEnum):
    """Who keeps a secret."""

    CREDENTIAL = "credential"
    FILE = "file"
    KEYRING = "keyring"


@dataclass(frozen=True, slots=True)
class Kept:
    """A secret kept elsewhere: by whom, and under which name."""

    keeper: Keeper
    name: str


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """The key of a remote that such a secret belongs to."""

    key: str
    kept: Kept


def secret(value: object) -> str | Kept:
    """A parser of keys (``keys.Parser``): the secret itself, or where it is kept."""
    if not isinstance(value, Mapping):
        return token(value)
    if len(value) != 1 or next(iter(value)) not in list(Keeper):
        raise ValueError(f"must be text, or one of {', '.join(f'{{ {each} = NAME }}' for each in Keeper)}")
    keeper, name = next(iter(value.items()))
    given = text(name)
    if keeper == Keeper.FILE and not Path(given).is_absolute():
        raise ValueError("must be kept in a file with an absolute path")
    if keeper == Keeper.CREDENTIAL and ("/" in given or given in (".", "..")):
        raise ValueError("must be kept under the plain name that LoadCredential= gives it")
    return Kept(Keeper(keeper), given)


def apart(values: Mapping[str, object]) -> dict[str, object]:
    """*values* by field, those that are kept elsewhere together in the field ``kept``."""
    kept = tuple(KeptSecret(name, value) for name, value in values.items() if isinstance(value, Kept))
    return {name: value for name, value in values.items() if not isinstance(value, Kept)} | {"kept": kept}


def fetch(kept: Kept, environ: Mapping[str, str]) -> str:
    """The secret itself. BadSettings, whose text completes the sentence "key: ..."."""
    try:
        match kept.keeper:
            case Keeper.CREDENTIAL:
                found = _credential(kept.name, environ.get(CREDENTIALS_DIRECTORY))
            case Keeper.FILE:
                found = _private_file(Path(kept.name))
            case Keeper.KEYRING:
                found = _from_keyring(kept.name)
        return token(found)
    except OSError as error:
        raise BadSettings(f"{kept.name}: {error.strerror}") from None
    except ValueError as error:
        raise BadSettings(f"{kept.keeper} '{kept.name}' {error}") from None


def _credential(name: str, directory: str | None) -> str:
    if directory is None:
        raise BadSettings(
            f"credential '{name}' is given by systemd to a service alone, as LoadCredential={name}:FILE; "
            "this is none"
        )
    path = Path(directory) / name
    if not path.exists():
        raise BadSettings(f"the service has no credential '{name}'; add LoadCredential={name}:FILE to it")
    return _read(path)


def _private_file(path: Path) -> str:
    check_answers(path)
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise BadSettings(f"{path}: other users may read or change it; run: chmod 600 {quoted(path)}")
    wrong = ownership.complaint(path, os.geteuid(), may_be_roots=True)
    if wrong is not None:
        raise BadSettings(f"{path}: not read, for another user could change it: {wrong}")
    return _read(path)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_SECRET_BYTES).decode("utf-8", "replace").strip()


def _from_keyring(name: str) -> str:
    found = _ask_keyring("get_password", name)
    if found is None:
        raise BadSettings(f"the keyring has no '{name}' of {KEYRING_SERVICE}; sign in again")
    return str(found)


def into_keyring(name: str, value: str) -> None:
    """Keeps *value* there. BadSettings."""
    _ask_keyring("set_password", name, value)


def out_of_keyring(name: str) -> None:
    """Removes what is kept there, if it is. BadSettings."""
    if _ask_keyring("get_password", name) is not None:
        _ask_keyring("delete_password", name)


def _ask_keyring(what: str, *arguments: str) -> Any:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        raise BadSettings("the keyring needs a library; run: pip install 'mountfs[keyring]'") from None
    try:
        return getattr(keyring, what)(KEYRING_SERVICE, *arguments)
    except Exception as error:
        # Each keyring has its own: ValueError for a wrong password, EOFError where nobody can be asked
        # for it, those of D-Bus.
        raise BadSettings(f"the keyring does not answer: {str(error) or type(error).__name__}") from None
