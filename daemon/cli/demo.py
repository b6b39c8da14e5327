"""``mountfs demo``: the whole way of the data, against stand-ins on this machine."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from daemon.cli.context import Context
from daemon.cli.demoreadback import ReadBack, read_back
from daemon.cli.demoservices import BOX, DROPBOX, SERVICES, DemoService
from daemon.cli.demotree import TreeSize, files_below, hash_of, make_tree
from daemon.cli.ownmount import OwnMount, own_workplace
from daemon.cli.statusline import StatusLine
from daemon.control.status import in_bytes, plural
from daemon.failure import Failure
from daemon.printable import printable
from daemon.process.embedded import EmbeddedSandbox, Listening, addresses_of, check_installed
from daemon.process.mountpoint import check_fuse

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Result:
    """What the demonstration measured."""

    size: TreeSize
    copy_s: float
    committed_s: float
    calls: Mapping[str, int]


@click.command()
@click.option(
    "--service",
    "shown",
    type=click.Choice(list(SERVICES)),
    default="both",
    show_default=True,
    help="Which service to show.",
)
@click.option(
    "--files",
    type=click.IntRange(1, 100_000),
    help=f"Small files.  [default: {DROPBOX.files} on Dropbox; {BOX.files} on Box, "
    "which takes them one by one, 240 a minute]",
)
@click.option(
    "--large-mb",
    type=click.IntRange(0, 4096),
    help=f"MiB of the large one.  [default: {DROPBOX.large_mib} on Dropbox, {BOX.large_mib} on Box]",
)
@click.pass_obj
def demo(context: Context, shown: str, files: int | None, large_mb: int | None) -> int:
    """Show mountfs at work on stand-ins of Dropbox and Box. Copies a tree into mounts of them, and reads it
    back over the services' APIs.
    """
    check_installed()
    check_fuse(allow_other=False)
    for service in SERVICES[shown]:
        small = service.files if files is None else files
        large_mib = service.large_mib if large_mb is None else large_mb
        context.out.print(_table(service, _shown(context, service, small, large_mib)))
    return 0


def _shown(context: Context, service: DemoService, files: int, large_mib: int) -> Result:
    """One service from an empty account to the last comparison; nothing is left behind."""
    with own_workplace("mountfs-demo-") as workplace:
        _say(f"{service.title}: making {files} small files and one of {large_mib} MiB")
        size = make_tree(workplace / "source", files, large_mib * MIB)
        with EmbeddedSandbox(service.name, workplace / service.name) as sandbox:
            return _mounted(context, service, workplace, sandbox.start(), size)


def _mounted(
    context: Context, service: DemoService, workplace: Path, sandbox: Listening, size: TreeSize
) -> Result:
    """Mounts, copies, compares and unmounts; whatever happens, no mount is left behind."""
    config = workplace / "mountfs.toml"
    config.touch(mode=0o600)
    keys = {"type": service.name, "access_token": sandbox.token, **addresses_of(service.name, sandbox.url)}
    config.write_text("[remotes.demo]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items()))
    _say(f"mounting the sandbox at {sandbox.url}")
    with OwnMount(workplace / "mount", config, "demo:") as mount:
        result = _copy(context, mount, workplace / "source", size)
        _say("reading it back through the service's API")
        _compare(service, read_back(service.name, sandbox.url, sandbox.token), workplace / "source")
        _say("unmounting")
        mount.unmount()
    return result


def _copy(context: Context, mount: OwnMount, source: Path, size: TreeSize) -> Result:
    before = mount.calls()
    started_s = time.monotonic()
    with StatusLine(context.terminal()) as line:
        _say("cp -r into the mount")
        line.show("copying")
        copy = subprocess.run(
            ["cp", "-r", f"{source}/.", str(mount.mountpoint)], capture_output=True, text=True, check=False
        )
        if copy.returncode:
            raise Failure(f"cp failed: {' '.join(copy.stderr.split())[:300]}")
        copy_s = time.monotonic() - started_s
        _say(f"cp is done after {copy_s:.1f} s; waiting until all is committed")
        mount.settle(line, _say)
    committed_s = time.monotonic() - started_s
    after = mount.calls()
    calls = {route: count - before.get(route, 0) for route, count in after.items()}
    return Result(size, copy_s, committed_s, {route: count for route, count in calls.items() if count > 0})


def _compare(service: DemoService, account: ReadBack, source: Path) -> None:
    """Failure unless the service lists and delivers exactly the files of *source*, by content hash."""
    ours = {path: hash_of(file, service.hash_kind) for path, file in files_below(source)}
    if missing := ours.keys() - account.stated.keys():
        raise Failure(f"{plural(len(missing), 'file')} missing on the service, such as {min(missing)}")
    if extra := account.stated.keys() - ours.keys():
        raise Failure(f"{plural(len(extra), 'file')} too many on the service, such as {min(extra)}")
    for hashes in (account.stated, account.delivered):
        if wrong := sorted(path for path, digest in ours.items() if hashes[path] != digest):
            raise Failure(
                f"{plural(len(wrong), 'file')} with other contents on the service, such as {wrong[0]}"
            )


def _table(service: DemoService, result: Result) -> Table:
    table = Table(f"demo of {service.title}", "", box=None, padding=(0, 2, 0, 0))
    table.columns[1].justify = "right"
    table.add_row("files, read back and equal", str(result.size.files))
    table.add_row("bytes", f"{result.size.size_bytes} ({in_bytes(result.size.size_bytes)})")
    table.add_row("seconds in cp", f"{result.copy_s:.2f}")
    table.add_row("seconds to committed", f"{result.committed_s:.2f}")
    table.add_row("API calls", str(sum(result.calls.values())))
    for route, count in sorted(result.calls.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(Text(f"  {printable(route)}"), str(count))
    return table


def _say(line: str) -> None:
    click.echo(f"mountfs demo: {printable(line)}", err=True)
