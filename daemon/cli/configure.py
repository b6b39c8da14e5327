"""``mountfs config``: an example to begin with, a look at what is written, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import click
import tomlkit

from daemon.cli.context import Context, say, tell, written_file
from daemon.config.boxremote import BoxRemote
from daemon.config.document import check_writable
from daemon.config.reference import BOX, DROPBOX, FLEET, INSTANCE, MOUNT, WORKED_OUT, Section, example, toml
from daemon.config.secrets import CREDENTIALS_DIRECTORY, Keeper, KeptSecret
from daemon.config.settings import SandboxRemote, Settings, find_remote, parse_spec, read_tables, with_secrets
from daemon.control.status import plural
from daemon.failure import BadSettings, Failure
from daemon.places.answering import check_answers
from daemon.places.durable import write_synced
from daemon.places.ownership import make_private

EXIT_WRONG = 2
MASK = '"***"'


@click.group()
def config() -> None:
    """Begin, look at and check the configuration file."""


@config.command()
@click.pass_obj
def init(context: Context) -> int:
    """Write an example in which every key is explained. A file that is there already stays as it is."""
    path = context.config.absolute() if context.config is not None else written_file(context, Settings())
    check_answers(path)
    if os.path.lexists(path):
        raise BadSettings(f"{path}: is there already, and stays as it is; look at it: mountfs config show")
    check_writable(path)
    try:
        make_private(path.parent)
        write_synced(path, example())
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None
    tell(f"written to {path}; sign in to an account: mountfs login NAME")
    return 0


@config.command()
@click.pass_obj
def check(context: Context) -> int:
    """Say what is wrong with the configuration. Exits with 2 if something is. No service is asked."""
    settings = context.settings()
    if settings.file is None:
        raise BadSettings(_missing(settings))
    wrong = list(_complaints(settings, context.environ))
    for line in wrong:
        say(f"{settings.file}: {line}")
    accounts = sum(not isinstance(each, SandboxRemote) for each in settings.remotes.values())
    counted = f"{plural(accounts, 'remote')}, {plural(len(settings.mounts), 'mount')}"
    tell(f"{settings.file}: {counted}: {'nothing' if not wrong else 'something'} is wrong")
    return EXIT_WRONG if wrong else 0


@config.command()
@click.pass_obj
def show(context: Context) -> int:
    """Print what is configured, secrets masked. What was left out is commented, with its default."""
    settings = context.settings()
    if settings.file is None:
        raise BadSettings(_missing(settings))
    for line in _shown(settings):
        tell(line)
    return 0


def _missing(settings: Settings) -> str:
    if settings.unread is not None:
        return f"{settings.unread}: may not be read by this user"
    return "there is no configuration file; begin with: mountfs config init, or mountfs login NAME"


def _complaints(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    for name, remote in settings.remotes.items():
        if isinstance(remote, SandboxRemote):
            continue
        if not remote.is_signed_in:
            yield f"[remotes.{name}]: nobody is signed in; run: mountfs login {name}"
        try:
            with_secrets(settings, remote, environ, _readable(remote.kept, environ))
        except BadSettings as error:
            yield str(error).removeprefix(f"{settings.file}: ")
    fleet = settings.fleet
    if fleet is not None:
        try:
            with_secrets(settings, fleet, environ, _readable(fleet.kept, environ))
        except BadSettings as error:
            yield str(error).removeprefix(f"{settings.file}: ")
    places: dict[os.PathLike[str], str] = {}
    for name, instance in settings.mounts.items():
        try:
            find_remote(settings, parse_spec(instance.remote).name)
        except BadSettings as error:
            yield f"[mounts.{name}]: remote = '{instance.remote}': {error}"
        first = places.setdefault(instance.mountpoint, name)
        if first != name:
            yield f"[mounts.{name}]: mountpoint = '{instance.mountpoint}': is that of [mounts.{first}]"


def _readable(kept: tuple[KeptSecret, ...], environ: Mapping[str, str]) -> tuple[KeptSecret, ...]:
    """A service's credentials are there for the service alone."""
    is_service = CREDENTIALS_DIRECTORY in environ
    return tuple(each for each in kept if is_service or each.kept.keeper is not Keeper.CREDENTIAL)


def _shown(settings: Settings) -> Iterator[str]:
    file = settings.file
    assert file is not None
    tables = read_tables(file)
    yield f"# {file}"
    for name, section in _sections(tables, "remotes"):
        kind = BOX if isinstance(settings.remotes[name], BoxRemote) else DROPBOX
        yield from _lines(f"[remotes.{tomlkit.key(name).as_string()}]", kind, section)
    yield from _lines("[mount]", MOUNT, dict(_sections(tables, "")).get("mount", {}))
    for name, section in _sections(tables, "mounts"):
        yield from _lines(f"[mounts.{tomlkit.key(name).as_string()}]", INSTANCE, section)
    if settings.fleet is not None:
        yield from _lines("[fleet]", FLEET, dict(_sections(tables, ""))["fleet"])


def _sections(tables: Mapping[str, object], name: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    found = tables.get(name, {}) if name else tables
    for inner, section in found.items() if isinstance(found, dict) else ():
        if isinstance(section, dict):
            yield inner, section


def _lines(header: str, section: Section, given: Mapping[str, object]) -> Iterator[str]:
    yield ""
    yield header
    for key, value in given.items():
        secret = key in section.keys and section.keys[key].is_secret and not isinstance(value, dict)
        yield f"{key} = {MASK if secret else toml(value)}"
    for entry in section.entries:
        default = section.default_of(entry.key)
        if entry.key not in given and default and entry.key not in WORKED_OUT:
            yield f"# {entry.key} = {default}"
