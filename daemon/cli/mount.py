"""``mountfs mount``: in the foreground, as a service, or in the background."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from daemon.cli import trust
from daemon.cli.completing import INSTANCE, REMOTE
from daemon.cli.context import ANY_PATH, Context, default_options, told_of
from daemon.cli.pagetoken import page_token
from daemon.cli.statusline import StatusLine, status_line
from daemon.config.options import layered, parse_options
from daemon.config.settings import (
    Instance,
    SandboxRemote,
    Settings,
    find_instance,
    load,
    parse_spec,
    usable_fleet,
    usable_remote,
)
from daemon.control.status import MountStatus
from daemon.failure import EXIT_FOR_A_PERSON, BadSettings, Failure
from daemon.fleet.joining import check_library
from daemon.places import ownership
from daemon.places.mounttable import mount_above, read_mounts
from daemon.process import descriptors, logs
from daemon.process.background import Readiness, spawn
from daemon.process.connection import begun_process
from daemon.process.embedded import check_installed
from daemon.process.mountpoint import Reservation, SystemKernel, absolute, check_fuse, prepare
from daemon.process.run import Assemble, LoginFile, MountPlan, Surroundings, run_mount
from mountfs.clock import SystemClock
from mountfs.errors import MountfsError
from mountfs.transport.link import Child


@click.command()
@click.argument("remote", required=False, type=REMOTE)
@click.argument("mountpoint", required=False, type=ANY_PATH)
@click.option(
    "--instance", metavar="NAME", type=INSTANCE, help="Mount what [mounts.NAME] of the configuration says."
)
@click.option(
    "-o",
    "options",
    multiple=True,
    metavar="KEY=VALUE,...",
    help="Mount options, which `mountfs config init` explains; may be repeated.",
)
@click.option("--background", is_flag=True, help="Return as soon as the mount is usable.")
@click.option("--for-mount", is_flag=True, hidden=True)
@click.option("--leave-session", is_flag=True, hidden=True)
@click.option("--ready-fd", type=int, hidden=True)
@click.option("--log-file", type=ANY_PATH, hidden=True)
@click.pass_obj
def mount(
    context: Context,
    *,
    remote: str | None,
    mountpoint: Path | None,
    instance: str | None,
    options: tuple[str, ...],
    background: bool,
    for_mount: bool,
    leave_session: bool,
    ready_fd: int | None,
    log_file: Path | None,
) -> int:
    """Mount REMOTE:[/SUBDIR] on the empty directory MOUNTPOINT.

    Runs until it is unmounted or interrupted, then commits what is pending: exits with 0, or with 3
    when some changes stay journaled for the next mount. The remotes sandbox-dropbox: and sandbox-box:, which
    are stand-ins of the services on this machine, need no configuration.
    """
    logs.configure(context.verbosity, context.environ, log_file, context.log_level)
    readiness = Readiness(ready_fd)
    try:
        settings = context.settings()
        chosen = _choose(settings, remote, mountpoint, instance)
        plan = _plan(settings, chosen, options, context.environ)
        if plan.options.log_level is not None and context.log_level is None and not context.verbosity:
            logs.set_level(plan.options.log_level)
        if background:
            return spawn(_again(context, chosen, instance, options), plan, for_mount=for_mount)
        return _run(context, plan, readiness, leave_session=leave_session)
    except Failure as failure:
        readiness.failed(str(failure), failure.exit_code)
        raise
    except MountfsError as error:
        exit_code = _exit_code(error)
        readiness.failed(str(error), exit_code)
        raise Failure(str(error), exit_code) from error
    except OSError as error:
        readiness.failed(told_of(error), 1)
        raise


def _exit_code(error: MountfsError) -> int:
    """A disk may have room again by itself, and who has the journal locked ends; one that is damaged, or of
    another version, stays so."""
    from mountfs.tree.database import StoreNotNow, StoreUnusable  # noqa: PLC0415 - the help needs no SQLite

    is_lasting = isinstance(error, StoreUnusable) and not isinstance(error, StoreNotNow)
    return EXIT_FOR_A_PERSON if is_lasting else 1


def _choose(
    settings: Settings, remote: str | None, mountpoint: Path | None, instance: str | None
) -> Instance:
    """What to mount where: from the arguments, or from the configuration's [mounts.NAME]."""
    if instance is not None:
        if remote is not None:
            raise BadSettings("--instance names the remote and the mount point; leave the arguments out")
        return find_instance(settings, instance)
    if remote is None or mountpoint is None:
        raise BadSettings("say what to mount where: mountfs mount REMOTE: MOUNTPOINT")
    return Instance(remote, mountpoint, {})


def _plan(
    settings: Settings, chosen: Instance, options: tuple[str, ...], environ: Mapping[str, str]
) -> MountPlan:
    spec = parse_spec(chosen.remote)
    remote = usable_remote(settings, spec.name, environ)
    fleet = None
    if isinstance(remote, SandboxRemote):
        check_installed()
    else:
        trust.heed(os.environ)
        fleet = usable_fleet(settings, environ)
        if fleet is not None:
            check_library()
    wanted = layered(default_options(), settings.options, chosen.options, parse_options(options))
    descriptors.raise_limit()
    check_fuse(wanted.allow_other)
    _check_state_dir(wanted.state_dir, chosen.mountpoint)
    token = page_token(wanted.state_dir) if wanted.http is not None else ""
    login = _login(settings, spec.name, environ)
    return MountPlan(spec, remote, prepare(chosen.mountpoint), wanted, login, fleet, token)


def _login(settings: Settings, name: str, environ: Mapping[str, str]) -> LoginFile | None:
    """Where new credentials of the remote may be written down while it is mounted."""
    file = settings.file
    if file is None:
        return None
    path = Path(file).absolute()
    return LoginFile(path, lambda: usable_remote(load([], explicit=path), name, environ))


def _check_state_dir(path: Path, mountpoint: Path) -> None:
    if absolute(path).is_relative_to(absolute(mountpoint)):
        raise BadSettings(f"state_dir {path}: lies in the mount point; choose another with -o state_dir=DIR")
    below = mount_above(absolute(path), read_mounts())
    if below is not None and below.is_ours:
        what = f"lies in the mountfs mount {below.mountpoint}, which is no disk"
        raise BadSettings(f"state_dir {path}: {what}; choose another with -o state_dir=DIR")
    try:
        _check_owner(path)
        if path.exists() and not path.is_dir():
            raise BadSettings(f"state_dir {path}: is no directory; choose another with -o state_dir=DIR")
        ownership.make_private(path)
    except OSError as error:
        raise _no_place(path, "cannot make the directory", error) from None
    _check_owner(path)
    try:
        why_not = ownership.unwritable(path)
    except OSError as error:
        raise _no_place(path, "keeps nothing", error) from None
    if why_not is not None:
        raise BadSettings(f"state_dir {path}: {why_not}; choose another with -o state_dir=DIR")


def _no_place(state_dir: Path, what: str, error: OSError) -> Failure:
    """Where *error* may pass, the service manager tries again."""
    is_lasting = error.errno in ownership.LASTING
    mend = "choose another with -o state_dir=DIR" if is_lasting else "look at its disk, or choose another"
    told = f"state_dir {state_dir}: {what}: {error.strerror}; {mend}"
    return Failure(told, EXIT_FOR_A_PERSON if is_lasting else 1)


def _check_owner(state_dir: Path) -> None:
    wrong = ownership.complaint(state_dir, os.geteuid())
    if wrong is not None:
        raise BadSettings(f"state_dir {state_dir}: {wrong}")


def _again(context: Context, chosen: Instance, instance: str | None, options: tuple[str, ...]) -> list[str]:
    """The arguments of the same mount in the foreground, for a process in another directory."""
    arguments = ["-v"] * context.verbosity
    if context.log_level is not None:
        arguments += ["--log-level", context.log_level]
    if context.config is not None:
        arguments += ["--config", str(context.config.absolute())]
    arguments += ["mount", *(part for option in options for part in ("-o", option))]
    if instance is not None:
        return [*arguments, "--instance", instance]
    return [*arguments, "--", chosen.remote, str(chosen.mountpoint.absolute())]


def _run(context: Context, plan: MountPlan, readiness: Readiness, *, leave_session: bool) -> int:
    with (
        StatusLine(context.terminal()) as line,
        Reservation(plan.mountpoint) as reservation,
        begun_process() as process,
    ):

        def ready() -> None:
            reservation.release()
            if leave_session:
                os.setsid()  # no signal for who asked for the mount is one for it
            readiness.ready()

        def show(status: MountStatus) -> None:
            line.show(status_line(status))

        around = Surroundings(
            environ=context.environ,
            clock=SystemClock(),
            kernel=SystemKernel(),
            on_ready=ready,
            on_status=show if line.is_shown else None,
        )
        return run_mount(plan, _assembly(process), around)


def _assembly(process: Child | None) -> Assemble:
    """The core, imported only where it is needed: it loads libfuse, which a machine may lack."""
    try:
        from daemon.process.assembly import assemble  # noqa: PLC0415
    except OSError as error:
        raise Failure(
            f"libfuse 2 is missing ({error}); install the package libfuse2 or libfuse2t64", EXIT_FOR_A_PERSON
        ) from None
    return partial(assemble, process=process)
