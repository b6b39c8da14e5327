"""What mount(8) and umount(8) run for the type ``fuse.mountfs``: hidden commands behind two small scripts."""

from __future__ import annotations

import re
from pathlib import Path

import click

from daemon.cli.context import ANY_PATH, Context, say
from daemon.cli.inspect import drained_umount
from daemon.cli.mount import mount
from daemon.control.client import bind_at, find_mount
from daemon.failure import BadSettings
from daemon.process.lifecycle import EXIT_LEFT_PENDING
from daemon.process.mountpoint import detach

WITHOUT_DASHES = {"ignore_unknown_options": False, "help_option_names": ["--help"]}


@click.command("mount-helper", hidden=True, context_settings=WITHOUT_DASHES)
@click.argument("remote")
@click.argument("mountpoint", type=ANY_PATH)
@click.option("-o", "options", multiple=True)
@click.option("-t", "kind", default="")
@click.option("-f", "is_fake", is_flag=True)
@click.option("-n", "-s", "-v", "is_ignored", is_flag=True)
@click.option("-N", "name_space", default="")
@click.pass_context
def mount_helper(
    context: click.Context,
    remote: str,
    mountpoint: Path,
    *,
    options: tuple[str, ...],
    kind: str,
    is_fake: bool,
    is_ignored: bool,  # noqa: ARG001 - mount(8) passes on what concerns others
    name_space: str,
) -> int:
    """As mount(8) calls it: SPEC DIR [-sfnv] [-N NS] [-o OPTIONS] [-t TYPE.SUBTYPE]."""
    if name_space:
        raise BadSettings("-N: mount it from within that name space")
    if kind not in ("", "fuse.mountfs"):
        raise BadSettings(f"-t {kind}: this mounts fuse.mountfs")
    config, rest = _config_in(options)
    if config is not None:
        shared: Context = context.obj
        shared.config = config
    if is_fake:
        return 0
    found = context.invoke(
        mount,
        remote=remote,
        mountpoint=mountpoint,
        instance=None,
        options=rest,
        background=True,
        for_mount=True,
        leave_session=False,
        ready_fd=None,
        log_file=None,
    )
    return int(found)


def _config_in(options: tuple[str, ...]) -> tuple[Path | None, tuple[str, ...]]:
    """The option ``config=PATH``, which names the file and is none of the mount's, and the others."""
    parts = [part for given in options for part in re.split(r"(?<!\\),", given)]
    named = [part.partition("=")[2] for part in parts if part.startswith("config=")]
    rest = tuple(part for part in parts if not part.startswith("config="))
    return (Path(named[-1]) if named else None), rest


@click.command("umount-helper", hidden=True, context_settings=WITHOUT_DASHES)
@click.argument("mountpoint", type=ANY_PATH)
@click.option("-l", "is_lazy", is_flag=True)
@click.option("-f", "is_forced", is_flag=True)
@click.option("-n", "-r", "-v", "is_ignored", is_flag=True)
@click.option("-t", "kind", default="")
@click.option("-N", "name_space", default="")
@click.pass_obj
def umount_helper(
    context: Context,
    mountpoint: Path,
    *,
    is_lazy: bool,
    is_forced: bool,
    is_ignored: bool,  # noqa: ARG001 - umount(8) passes on what concerns others
    kind: str,  # noqa: ARG001
    name_space: str,
) -> int:
    """As umount(8) calls it: DIR [-flnrv] [-N NS] [-t TYPE.SUBTYPE].

    Commits what is pending, then unmounts. 0 also where changes stay journaled: the mount is gone, which is
    all that was asked for; a line says how many stay. With -l or -f it does not wait.
    """
    if name_space:
        raise BadSettings("-N: unmount it from within that name space")
    if is_lazy or is_forced:
        if (bound := bind_at(mountpoint)) is not None:
            detach(bound)
            return 0
        place = find_mount(mountpoint)
        detach(place)
        say(f"{place}: what is pending is sent by its process, which ends when it is done")
        return 0
    code = drained_umount(context, mountpoint, None)
    return 0 if code == EXIT_LEFT_PENDING else code
