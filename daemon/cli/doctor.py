"""``mountfs doctor``: goes through all that a mount needs, and says what is wrong and how to mend it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import click

from daemon.cli import checks
from daemon.cli.checks import Finding, Machine
from daemon.cli.completing import REMOTE
from daemon.cli.context import Context, default_options, tell
from daemon.cli.overview import ask_status
from daemon.config.options import MountOptions, layered
from daemon.config.settings import (
    AccountRemote,
    Instance,
    SandboxRemote,
    Settings,
    find_remote,
    usable_remote,
)
from daemon.failure import Failure
from daemon.places.answering import check_answers
from daemon.places.mounttable import mount_at, resolved
from daemon.printable import quoted
from daemon.signin.reaching import Reached, reach
from daemon.signin.remotes import connect
from mountfs.clock import SystemClock
from mountfs.errors import MountfsError, NotSignedIn, ServerFault

MOST_AHEAD_S = 120.0
"""A token is good for hours, and a signature for some minutes."""

Reach = Callable[[str], Reached]
Ask = Callable[[AccountRemote, Path], str]
"""Who the credentials belong to, as the service says. MountfsError."""


@click.command()
@click.argument("remote", metavar="[REMOTE:]", required=False, type=REMOTE)
@click.option("--offline", is_flag=True, help="Ask no service; look at this machine alone.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line, one for each check.")
@click.pass_obj
def doctor(context: Context, remote: str | None, offline: bool, as_json: bool) -> int:
    """Look for what keeps a mount from working. Looks at the machine, the configuration and the services.

    Says what each check has found and, where something is wrong, how to mend it. Exits with 1 then.
    """
    found = False
    for finding in examine(context, remote, Machine(), is_offline=offline):
        found |= not finding.is_well
        if as_json:
            click.echo(json.dumps({**asdict(finding), "is_well": finding.is_well}))
        else:
            mend = f"\n             -> {finding.mend}" if finding.mend else ""
            mark = "well " if finding.is_well else "WRONG"
            for line in f"{mark}  {finding.check}: {finding.what}{mend}".split("\n"):
                tell(line)
    return 1 if found else 0


def examine(
    context: Context,
    remote: str | None,
    machine: Machine,
    *,
    is_offline: bool,
    reach_it: Reach | None = None,
    ask: Ask | None = None,
) -> Iterator[Finding]:
    """Every check, in an order in which one explains the next."""
    yield checks.device(machine)
    yield checks.libfuse(machine)
    yield checks.fusermount(machine)
    yield from checks.versions(machine)
    yield checks.limits(machine)
    yield checks.authorities(machine)
    read, finding = _settings(context)
    yield finding
    settings = read or Settings()
    options = layered(default_options(), settings.options)
    yield checks.allow_other(machine, _widest(options, settings))
    yield from _kept(machine, options.state_dir)
    yield from checks.running(machine.mounts(), ask_status)
    for name, instance in settings.mounts.items():
        yield _place(name, instance, machine)
    clock = SystemClock()
    reach_it = reach_it or (lambda url: reach(url, clock))
    ask = ask or _account_of
    for chosen in _remotes(settings, remote) if read is not None else ():
        yield from _service(settings, chosen, options, is_offline=is_offline, reach_it=reach_it, ask=ask)


def _account_of(remote: AccountRemote, state_dir: Path) -> str:
    """As ``Ask``, of the service itself."""
    backend = connect(remote, SystemClock(), state_dir)
    try:
        return backend.account().display_name
    finally:
        backend.close()


def _settings(context: Context) -> tuple[Settings | None, Finding]:
    """None: they make no sense, so that nothing is known of any remote."""
    try:
        settings = context.settings()
    except Failure as failure:
        return None, Finding("configuration", str(failure), "mend it, or begin one: mountfs config init")
    if settings.unread is not None:
        mend = f"run: chmod u+r {quoted(settings.unread)}, or write one of your own: mountfs config init"
        return settings, Finding("configuration", f"{settings.unread} may not be read by this user", mend)
    accounts = [each for each in settings.remotes.values() if not isinstance(each, SandboxRemote)]
    if not accounts:
        return settings, Finding("configuration", "has no account", "sign in to one: mountfs login NAME")
    return settings, Finding("configuration", f"{settings.file} makes sense")


def _kept(machine: Machine, state_dir: Path) -> Iterator[Finding]:
    try:
        check_answers(state_dir, machine.mounts())
    except Failure as failure:
        yield Finding("disk", str(failure), "move state_dir to a local disk")
        return
    yield checks.permissions(machine, state_dir)
    yield checks.space(machine, state_dir)
    yield checks.disk(machine, state_dir)
    yield from checks.strays(state_dir)


def _widest(options: MountOptions, settings: Settings) -> MountOptions:
    """With ``allow_other`` where any mount has it."""
    is_wanted = any(each.options.get("allow_other") for each in settings.mounts.values())
    return replace(options, allow_other=options.allow_other or is_wanted)


def _place(name: str, instance: Instance, machine: Machine) -> Finding:
    check, place, mounts = f"[mounts.{name}]", instance.mountpoint, machine.mounts()
    try:
        entry = mount_at(resolved(place, mounts), mounts)
    except OSError as error:
        return Finding(check, f"{place}: {error.strerror}", "choose another directory")
    if entry is not None:
        if entry.is_ours:
            return Finding(check, f"{place} is mounted")
        return Finding(check, f"{place} has another file system ({entry.kind})", "choose another directory")
    try:
        check_answers(place, mounts)
    except Failure as failure:
        return Finding(check, str(failure), "mend that mount, or choose another directory")
    if not place.is_dir():
        return Finding(check, f"{place} is no directory", f"run: mkdir -p {quoted(place)}")
    if any(place.iterdir()):
        return Finding(check, f"{place} is not empty", "choose an empty directory, or move what is in it")
    return Finding(check, f"{place} is an empty directory")


def _remotes(settings: Settings, wanted: str | None) -> Iterator[AccountRemote]:
    if wanted is not None:
        found = find_remote(settings, wanted.partition(":")[0])
        if not isinstance(found, SandboxRemote):
            yield found
        return
    yield from (each for each in settings.remotes.values() if not isinstance(each, SandboxRemote))


def _service(
    settings: Settings,
    remote: AccountRemote,
    options: MountOptions,
    *,
    is_offline: bool,
    reach_it: Reach,
    ask: Ask,
) -> Iterator[Finding]:
    name = f"{remote.name}:"
    try:
        whole = usable_remote(settings, remote.name, os.environ)
    except Failure as failure:
        yield Finding(f"{name} credentials", str(failure), f"run: mountfs login {remote.name}")
        return
    assert not isinstance(whole, SandboxRemote)
    if is_offline:
        yield Finding(f"{name} credentials", "are there; whether they are good was not asked")
        return
    reached = reach_it(whole.api_url)
    yield _reached(name, whole.api_url, reached)
    if reached.error is not None:
        return
    if reached.ahead_s is not None:
        yield _clock(name, reached.ahead_s)
    try:
        who = ask(whole, options.state_dir)
    except NotSignedIn as error:
        yield Finding(f"{name} credentials", str(error), f"run: mountfs login {remote.name}")
    except MountfsError as error:
        yield Finding(
            f"{name} account", str(error), "see whether it lasts; the service answers, but not to this"
        )
    else:
        yield Finding(f"{name} credentials", f"are those of {who}")


def _reached(name: str, url: str, reached: Reached) -> Finding:
    through = f" through the proxy {reached.proxy}" if reached.proxy else ""
    if reached.error is None:
        return Finding(f"{name} service", f"{url} answers{through}")
    if reached.is_untrusted:
        mend = "name the file with your network's authority in SSL_CERT_FILE"
        return Finding(f"{name} certificate", str(reached.error), mend)
    if reached.proxy:
        mend = "mend HTTPS_PROXY and NO_PROXY, or have the proxy let it through"
        return Finding(f"{name} proxy", str(reached.error), mend)
    if isinstance(reached.error, ServerFault):
        mend = "sign in to the network with a browser, or have whoever runs it let this host through"
        return Finding(f"{name} service", str(reached.error), mend)
    mend = "look at the network: does `getent hosts` know the name, does a firewall let port 443 out?"
    return Finding(f"{name} service", str(reached.error), mend)


def _clock(name: str, ahead_s: float) -> Finding:
    if abs(ahead_s) <= MOST_AHEAD_S:
        return Finding(f"{name} clock", "agrees with the service's")
    way = "ahead of" if ahead_s > 0 else "behind"
    what = f"this machine's is {abs(ahead_s):.0f} s {way} the service's"
    return Finding(f"{name} clock", what, "set it: timedatectl set-ntp true")
