"""What the configuration file and the ``-o`` options say, as typed values.

The file is TOML: ``[remotes.NAME]`` an account, ``[mount]`` defaults of the mount options,
``[mounts.NAME]`` a mount for ``mountfs mount --instance NAME`` and ``mountfs@NAME.service``, ``[fleet]``
where machines that share an account meet. Later
places win: built-in defaults, ``[mount]``, ``[mounts.NAME]``, ``-o``.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast

from daemon.config.boxremote import BOX_KEYS, NO_CREDENTIALS, BoxRemote, check_box, count_up_to, given_keys
from daemon.config.commitoptions import COMMIT_KEYS, CommitMode, PropertyGroups
from daemon.config.fleet import FLEET_KEYS, Fleet, read_fleet
from daemon.config.keys import Key, choice, directory, nearest, read_table, text, token, url
from daemon.config.options import OPTION_KEYS
from daemon.config.secrets import KeptSecret, apart, fetch, secret
from daemon.failure import BadSettings
from daemon.places import ownership
from daemon.places.answering import check_answers
from daemon.printable import quoted
from mountfs.model.path import RemotePath


class CommitRoute(StrEnum):
    """Which of Dropbox's routes finishes a batch of sessions."""

    FINISH_BATCH = "finish_batch"
    FINISH_BATCH_V2 = "finish_batch_v2"


@dataclass(frozen=True, slots=True)
class DropboxRemote:
    """A Dropbox account: either an access token, or a refresh token with its app's key.

    ``path_root`` is ``home``, ``root`` or a namespace id. ``kept`` are the secrets that are not here, but
    elsewhere. The defaults are the public service.
    """

    name: str
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    app_key: str | None = None
    app_secret: str | None = field(default=None, repr=False)
    api_url: str = "https://api.dropboxapi.com"
    content_url: str = "https://content.dropboxapi.com"
    notify_url: str = "https://notify.dropboxapi.com"
    authorize_url: str = "https://www.dropbox.com/oauth2/authorize"
    path_root: str = "home"
    select_user: str | None = None
    select_admin: str | None = None
    commit_route: CommitRoute = CommitRoute.FINISH_BATCH
    mute: bool = False
    commit_mode: CommitMode = CommitMode.UPDATE
    autorename: bool = False
    strict_conflict: bool = False
    client_modified: bool = True
    property_groups: PropertyGroups = ()
    transport_calls_per_month: int | None = None
    kept: tuple[KeptSecret, ...] = ()

    @property
    def is_signed_in(self) -> bool:
        """Whether it has credentials."""
        return bool(given_keys(self) & {"access_token", "refresh_token"})


@dataclass(frozen=True, slots=True)
class SandboxRemote:
    """The stand-in of a service, started inside the mount; *service* names which one."""

    name: str
    service: str


AccountRemote = DropboxRemote | BoxRemote
"""An account that can be connected to."""

Remote = AccountRemote | SandboxRemote

BUILT_IN: Mapping[str, Remote] = {
    f"sandbox-{service}": SandboxRemote(f"sandbox-{service}", service) for service in ("dropbox", "box")
}
"""Remotes that need no configuration."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A mount written down under ``[mounts.NAME]``; *options* are fields of MountOptions."""

    remote: str
    mountpoint: Path
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Settings:
    """One configuration file, or nothing at all when *file* is None.

    *unread*: the file that would be it, but that this user may not read.
    """

    file: Path | None = None
    remotes: Mapping[str, Remote] = field(default_factory=lambda: dict(BUILT_IN))
    options: Mapping[str, object] = field(default_factory=dict)
    mounts: Mapping[str, Instance] = field(default_factory=dict)
    fleet: Fleet | None = None
    """Machines that share the accounts; None: this one has them for itself."""
    unread: Path | None = None

    @property
    def where(self) -> str:
        """The end of a complaint about what is not in it."""
        if self.unread is not None:
            return f"known: the configuration {self.unread} may not be read by this user"
        return f"in {self.file}" if self.file else "configured, as there is no configuration file"


@dataclass(frozen=True, slots=True)
class RemoteSpec:
    """``NAME:[/SUBDIR]`` taken apart."""

    name: str
    subdir: RemotePath


DROPBOX_KEYS: Mapping[str, Key] = {
    "access_token": Key("access_token", secret, is_secret=True),
    "refresh_token": Key("refresh_token", secret, is_secret=True),
    "app_key": Key("app_key", token),
    "app_secret": Key("app_secret", secret, is_secret=True),
    "api_url": Key("api_url", url),
    "content_url": Key("content_url", url),
    "notify_url": Key("notify_url", url),
    "authorize_url": Key("authorize_url", url),
    "path_root": Key("path_root", token),
    "select_user": Key("select_user", token),
    "select_admin": Key("select_admin", token),
    "commit_route": Key("commit_route", choice(*CommitRoute)),
    **COMMIT_KEYS,
    "transport_calls_per_month": Key("transport_calls_per_month", count_up_to(10**9)),
}

REMOTE_TYPES: Mapping[str, tuple[type[AccountRemote], Mapping[str, Key]]] = {
    "dropbox": (DropboxRemote, DROPBOX_KEYS),
    "box": (BoxRemote, BOX_KEYS),
}

INSTANCE_KEYS: Mapping[str, Key] = {
    "remote": Key("remote", text, is_required=True),
    "mountpoint": Key("mountpoint", directory, is_required=True),
}

NO_DROPBOX_CREDENTIALS = (
    "no credentials; run: mountfs login {name}, or give access_token, or refresh_token and app_key"
)

MOST_BYTES = 4 * 1024 * 1024
"""Larger than any configuration: what has no end, such as /dev/zero, is not read until memory runs out."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def load(candidates: Iterable[Path], explicit: Path | None = None) -> Settings:
    """The settings of *explicit*, which must be readable, or else of the first candidate that exists.

    One that exists and may not be read is as good as empty, and keeps nobody from what is built in; but no
    other one takes its place, since the same name may be another account there.
    """
    if explicit is not None:
        return parse(explicit, read_tables(explicit))
    for path in candidates:
        check_answers(path)
        # A directory that may not be searched hides the file as well as its absence would.
        if os.path.lexists(path):
            if path.is_file() and not os.access(path, os.R_OK, effective_ids=True):
                return Settings(unread=path)
            return parse(path, read_tables(path))
    return Settings()


def read_tables(path: Path) -> Mapping[str, object]:
    """The tables of a file that nobody else could have changed. BadSettings."""
    check_answers(path)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            wrong = ownership.complaint(path, os.geteuid(), may_be_roots=True)
            written = file.read(MOST_BYTES)
        if len(written) == MOST_BYTES:
            raise BadSettings(f"{path}: is too large for a configuration")
        if written.startswith(codecs.BOM_UTF8):
            raise BadSettings(f"{path}: begins with a byte order mark; save it as UTF-8 without one")
        tables = tomllib.loads(written.decode())
    except UnicodeDecodeError:
        raise BadSettings(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except ValueError as error:  # also of a number with too many digits
        raise BadSettings(f"{path}: is not valid TOML: {error}") from None
    except RecursionError:
        raise BadSettings(f"{path}: is nested too deeply") from None
    except OSError as error:
        raise BadSettings(f"{path}: cannot read the configuration: {error.strerror}") from None
    if holds_secret(tables) and mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise BadSettings(
            f"{path}: holds a token and other users may read or change it; run: chmod 600 {quoted(path)}"
        )
    if wrong is not None:
        raise BadSettings(f"{path}: not read, for another user could change it: {wrong}")
    return tables


def holds_secret(tables: Mapping[str, object]) -> bool:
    """Whether anything in the file carries a key that must stay private."""
    kinds = [*(keys for _, keys in REMOTE_TYPES.values()), FLEET_KEYS]
    secrets = {name for keys in kinds for name, key in keys.items() if key.is_secret}
    remotes = tables.get("remotes")
    sections = [*(remotes.values() if isinstance(remotes, dict) else ()), tables.get("fleet")]
    return any(
        name in secrets and not isinstance(value, dict)
        for section in sections
        if isinstance(section, dict)
        for name, value in section.items()
    )


def parse(file: Path, tables: Mapping[str, object]) -> Settings:
    """The settings in *tables*, as TOML gives them; *file* is named in complaints."""
    known = ("remotes", "mount", "mounts", "fleet")
    for name in tables:
        if name not in known:
            raise BadSettings(f"{file}: unknown section '{name}'{nearest(name, known)}")
    remotes = dict(BUILT_IN)
    for name, section in _sections(file, tables, "remotes").items():
        if name in BUILT_IN:
            raise BadSettings(f"{file}: [remotes.{name}]: the name is built in; choose another one")
        remotes[name] = _remote(f"{file}: [remotes.{name}]", name, section)
    options = read_table(f"{file}: [mount]", _section(file, tables, "mount"), OPTION_KEYS)
    mounts = {
        name: _instance(f"{file}: [mounts.{name}]", section)
        for name, section in _sections(file, tables, "mounts").items()
    }
    given = _section(file, tables, "fleet") if "fleet" in tables else None
    fleet = None if given is None else read_fleet(f"{file}: [fleet]", given)
    return Settings(file, remotes, options, mounts, fleet)


def _section(file: Path, tables: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = tables.get(name, {})
    if not isinstance(section, dict):
        raise BadSettings(f"{file}: '{name}' must be a section; write [{name}] and its keys below")
    return section


def _sections(file: Path, tables: Mapping[str, object], name: str) -> Mapping[str, Mapping[str, object]]:
    found = _section(file, tables, name)
    for inner, section in found.items():
        if not isinstance(section, dict):
            raise BadSettings(
                f"{file}: [{name}]: '{inner}' must be in a section; write [{name}.NAME] above it"
            )
        if not _NAME.fullmatch(inner):
            raise BadSettings(
                f"{file}: [{name}.{inner}]: the name must be letters, digits, dots, dashes or underscores"
            )
    return cast("Mapping[str, Mapping[str, object]]", found)


def _remote(where: str, name: str, section: Mapping[str, object]) -> Remote:
    kind = section.get("type")
    if kind is None:
        raise BadSettings(f'{where}: the key \'type\' is missing; write type = "dropbox" or "box"')
    if not isinstance(kind, str) or kind not in REMOTE_TYPES:
        raise BadSettings(f"{where}: type = '{kind}': unknown type{nearest(str(kind), REMOTE_TYPES)}")
    record, keys = REMOTE_TYPES[kind]
    known = {"type": Key("name", text), **keys}
    values = apart(read_table(where, section, known)) | {"name": name}
    remote = record(**cast("dict[str, Any]", values))
    if isinstance(remote, BoxRemote):
        check_box(where, remote)
    else:
        _check_dropbox(where, remote)
    return remote


def _check_dropbox(where: str, remote: DropboxRemote) -> None:
    has = given_keys(remote)
    if has >= {"access_token", "refresh_token"}:
        raise BadSettings(f"{where}: access_token and refresh_token exclude each other; remove one")
    if "refresh_token" in has and remote.app_key is None:
        raise BadSettings(f"{where}: refresh_token needs the app_key it was issued to; add it")
    if remote.select_user is not None and remote.select_admin is not None:
        raise BadSettings(f"{where}: select_user and select_admin exclude each other; remove one")


def _instance(where: str, section: Mapping[str, object]) -> Instance:
    values = read_table(where, section, {**INSTANCE_KEYS, **OPTION_KEYS})
    remote = cast(str, values.pop("remote"))
    mountpoint = cast(Path, values.pop("mountpoint"))
    try:
        parse_spec(remote)
    except BadSettings as error:
        raise BadSettings(f"{where}: remote = {error}") from None
    return Instance(remote, mountpoint, values)


def parse_spec(spec: str) -> RemoteSpec:
    """Takes ``NAME:[/SUBDIR]`` apart; dot components are refused since the services know none."""
    name, colon, subdir = spec.partition(":")
    if not colon or not name:
        raise BadSettings(f"'{spec}' is not a remote; write NAME: or NAME:/SUBDIR")
    path = RemotePath.parse(subdir)
    if any(part in (".", "..") for part in path.components) or not subdir.isprintable():
        raise BadSettings(f"'{spec}': the folder must be a plain path such as {name}:/Reports/2024")
    return RemoteSpec(name, path)


def find_remote(settings: Settings, name: str) -> Remote:
    """The remote called *name*."""
    if name in settings.remotes:
        return settings.remotes[name]
    hint = nearest(name, settings.remotes)
    accounts = [each for each in settings.remotes.values() if not isinstance(each, SandboxRemote)]
    if not accounts and settings.unread is None and "did you mean" not in hint:
        hint = f"; sign in to an account: mountfs login {quoted(name)}"
    raise BadSettings(f"no remote '{name}' {settings.where}{hint}")


def usable_remote(settings: Settings, name: str, environ: Mapping[str, str]) -> Remote:
    """The remote called *name* with all its secrets, from wherever they are kept. BadSettings also when
    nobody has signed in."""
    remote = find_remote(settings, name)
    if isinstance(remote, SandboxRemote):
        return remote
    if not remote.is_signed_in:
        told = NO_CREDENTIALS if isinstance(remote, BoxRemote) else NO_DROPBOX_CREDENTIALS
        raise BadSettings(f"{settings.file}: [remotes.{name}]: {told.format(name=name)}")
    return with_secrets(settings, remote, environ)


def usable_fleet(settings: Settings, environ: Mapping[str, str]) -> Fleet | None:
    """The fleet with its password, from wherever that is kept. BadSettings."""
    fleet = settings.fleet
    return None if fleet is None else with_secrets(settings, fleet, environ)


S = TypeVar("S", AccountRemote, Fleet)


def with_secrets(
    settings: Settings, section: S, environ: Mapping[str, str], kept: tuple[KeptSecret, ...] | None = None
) -> S:
    """*section* with what is kept of it elsewhere, or with *kept* of that. BadSettings."""
    header = "fleet" if isinstance(section, Fleet) else f"remotes.{section.name}"
    found: dict[str, Any] = {}
    for each in section.kept if kept is None else kept:
        try:
            found[each.key] = fetch(each.kept, environ)
        except BadSettings as error:
            raise BadSettings(f"{settings.file}: [{header}]: {each.key}: {error}") from None
    return replace(section, kept=(), **found)


def find_instance(settings: Settings, name: str) -> Instance:
    """The mount written down as ``[mounts.name]``."""
    if name in settings.mounts:
        return settings.mounts[name]
    raise BadSettings(f"no [mounts.{name}] {settings.where}{nearest(name, settings.mounts)}")
