"""``mountfs rehearse``: an account tried in earnest, in a folder of its own, before it is trusted."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import tomlkit

from daemon.cli.completing import REMOTE
from daemon.cli.context import Context, default_options, say, tell
from daemon.cli.ownmount import OwnMount, own_workplace
from daemon.cli.rehearsalsteps import Seen, Step, difference, seen_in, steps
from daemon.cli.statusline import StatusLine
from daemon.config.options import layered
from daemon.config.settings import (
    AccountRemote,
    RemoteSpec,
    SandboxRemote,
    Settings,
    parse_spec,
    usable_remote,
)
from daemon.control.status import plural
from daemon.failure import BadSettings, Failure
from daemon.process.mountpoint import check_fuse
from daemon.signin.login import CREDENTIALS
from daemon.signin.remotes import tokens_of
from mountfs.clock import SystemClock

SEEN_WITHIN_S = 120.0
"""The services tell within seconds of what others have changed."""
LOOK_EVERY_S = 0.2
"""Nothing tells a program of what others change in a mount: inotify(7) knows only of changes made here."""
REMOVED_WITHIN_S = 60.0
"""Whoever has seen a step go wrong has waited long enough."""


@dataclass(frozen=True, slots=True)
class Went:
    """How one step went at the service."""

    committed_s: float
    seen_s: float
    calls: int


@click.command()
@click.argument("remote", metavar="REMOTE:[/SUBDIR]", type=REMOTE)
@click.pass_obj
def rehearse(context: Context, remote: str) -> int:
    """Try an account in earnest before you trust it with files.

    Makes a folder of its own in REMOTE:[/SUBDIR], and does to it through a mount what people do: writes,
    edits, renames, removes. After each step a second mount, which has nothing cached, must come to show the
    same files. At the end the folder is removed; it stays in the account's bin as long as the service keeps
    that.

    Says how each step went, and exits with 1 at the first that went wrong. Takes a minute or two, and
    100 MB here. Nothing else of the account is touched, nor what other mounts have pending.
    """
    settings = context.settings()
    spec = parse_spec(remote)
    found = usable_remote(settings, spec.name, os.environ)
    if isinstance(found, SandboxRemote):
        raise BadSettings(f"{remote} is a stand-in on this machine, which is shown by: mountfs demo")
    check_fuse(allow_other=False)
    with own_workplace("mountfs-rehearsal-") as workplace:
        config = workplace / "mountfs.toml"
        config.touch(mode=0o600)
        config.write_text(_config(settings, found))
        return _rehearsed(context, spec, config, workplace)


def _config(settings: Settings, remote: AccountRemote) -> str:
    """What the configuration says of *remote*, with an access token in place of its other credentials. A
    refresh token of Box is good for one use, and is kept in the state directory of the user's own mounts:
    a mount with another one would use it up for them."""
    assert settings.file is not None
    section = tomllib.loads(settings.file.read_text())["remotes"][remote.name]
    told = {key: value for key, value in section.items() if key not in CREDENTIALS}
    token = remote.access_token
    if token is None:
        state_dir = layered(default_options(), settings.options).state_dir
        with closing(tokens_of(remote, SystemClock(), state_dir)) as tokens:
            token = tokens.refused(tokens.current())  # a new one outlives the rehearsal
    return tomlkit.dumps({"remotes": {remote.name: {**told, "access_token": token}}})


def _rehearsed(context: Context, spec: RemoteSpec, config: Path, workplace: Path) -> int:
    name = f"mountfs rehearsal {time.strftime('%Y-%m-%d')} {secrets.token_hex(3)}"
    where = spec.subdir.child(name)
    beside = workplace / "beside"
    beside.mkdir()
    with (
        OwnMount(workplace / "here", config, f"{spec.name}:{spec.subdir}") as here,
        StatusLine(context.terminal()) as line,
        _folder(here, name, f"{spec.name}:{where}", line),
        OwnMount(workplace / "there", config, f"{spec.name}:{where}") as there,
    ):
        say(f"working in {spec.name}:{where}")
        for step in steps():
            line.show(step.title)
            try:
                went = _went(step, here, here.mountpoint / name, there.mountpoint, beside, line)
            except (Failure, OSError) as error:
                tell(f"WRONG  {step.title}: {_reason(error)}")
                return 1
            tell(
                f"well   {step.title}: committed after {went.committed_s:.1f} s and"
                f" {plural(went.calls, 'call')}, seen elsewhere after {went.seen_s:.1f} s"
            )
    return 0


def _reason(error: Failure | OSError) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror}: the account is full, or the disk of {tempfile.gettempdir()} is"
    return str(error)


@contextmanager
def _folder(mount: OwnMount, name: str, where: str, line: StatusLine) -> Iterator[None]:
    """The rehearsal's own one, which is there meanwhile. Failure: it stays."""
    folder = mount.mountpoint / name
    try:
        folder.mkdir()
        mount.settle(line, say)
        yield
    except BaseException:
        try:
            _remove(mount, folder, where, line)
        except Failure as failure:
            say(str(failure))
        raise
    _remove(mount, folder, where, line)


def _remove(mount: OwnMount, folder: Path, where: str, line: StatusLine) -> None:
    """Failure: it stays at the service."""
    line.show("removing it")
    try:
        if folder.exists():
            shutil.rmtree(folder)
        mount.settle(line, say, REMOVED_WITHIN_S)
        say(f"removed {where}")
    except (Failure, OSError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        raise Failure(f"{where} could not be removed, so remove it yourself: {why}") from None


def _went(step: Step, mount: OwnMount, here: Path, there: Path, beside: Path, line: StatusLine) -> Went:
    """Failure, OSError: it did not go as it should."""
    step.act(beside)
    before = sum(mount.calls().values())
    began_s = time.monotonic()
    step.act(here)
    mount.settle(line, say)
    committed_s = time.monotonic() - began_s
    calls = sum(mount.calls().values()) - before
    ours = seen_in(beside)
    if (wrong := difference(ours, seen_in(here))) is not None:
        raise Failure(f"in the mount that wrote it, {wrong}")
    while (wrong := _elsewhere(ours, there)) is not None:
        if time.monotonic() - began_s - committed_s > SEEN_WITHIN_S:
            raise Failure(f"elsewhere, {wrong}, after {SEEN_WITHIN_S:.0f} s")
        time.sleep(LOOK_EVERY_S)
    return Went(committed_s, time.monotonic() - began_s, calls)


def _elsewhere(ours: dict[str, Seen], there: Path) -> str | None:
    """What is other than it should be in the second mount, whose files may change while they are read."""
    try:
        return difference(ours, seen_in(there))
    except OSError as error:
        return f"{error.filename or there}: {error.strerror}"
