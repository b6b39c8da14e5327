"""Commands about one path: ``cache``, ``pin``, ``unpin``, ``versions``, ``restore`` and ``undelete``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from daemon.cli.context import ANY_PATH, Context, say, tell
from daemon.cli.eachmount import in_each
from daemon.cli.statusline import StatusLine
from daemon.control.client import Client, Place, all_mounts, find_place, last_of
from daemon.control.protocol import CommandRequest, PartDone, Told
from daemon.failure import BadSettings
from daemon.printable import quoted


class _Revision(click.ParamType[str]):
    name = "revision"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("it is empty; mountfs versions lists the revisions", param, ctx)
        return value


@click.command()
@click.argument("path", type=ANY_PATH, required=False)
@click.option("--clear", is_flag=True, help="Remove it from here: what is read again is fetched again.")
def cache(path: Path | None, clear: bool) -> int:
    """Show how much of PATH, or of every mount, is cached. What is cached is kept on this machine for
    reading.

    Pending changes are no cache: they are kept whatever this does. So is what is pinned. Where several mounts
    run, --clear wants a PATH: its mount point for all of one.
    """
    command = "clear-cache" if clear else "cache"
    if path is None:
        mountpoints = all_mounts()
        if clear and len(mountpoints) > 1:
            named = ", ".join(quoted(each) for each in mountpoints)
            raise BadSettings(f"--clear: say of which mount: mountfs cache --clear PATH, such as {named}")
        return _tell_all(command, lambda mountpoint, line: f"{mountpoint}: {line}")
    for line in _asked(path, command):
        tell(line)
    return 0


@click.command()
@click.argument("path", type=ANY_PATH)
def versions(path: Path) -> None:
    """List the versions of a file that the service keeps. The newest comes first: time (UTC), size, revision.

    "now" is the one that the service shows, "pending" what is not sent yet. Of a file with very many only the
    newest are listed: 100 on Dropbox, 300 on Box.
    """
    for line in _asked(path, "versions"):
        tell(line)


@click.command()
@click.argument("path", type=ANY_PATH)
@click.argument("revision", type=_Revision())
def restore(path: Path, revision: str) -> None:
    """Make a former version of a file the present one. `mountfs versions` lists them.

    The service does it without the bytes. The version that is replaced stays in the file's history.
    """
    for line in _asked(path, "restore", revision):
        tell(f"{path}: {line}")


@click.command()
@click.argument("path", type=ANY_PATH)
@click.pass_obj
def undelete(context: Context, path: Path) -> int:
    """Bring back what was removed last at PATH. A folder comes back with all that was in it.

    A removal that is not sent yet is taken back. A folder that stands at PATH gets back what was removed last
    from it. A folder comes back file by file; what ends that early, such as Ctrl-C, leaves what came back,
    and the same command brings back the others.
    """
    place, far = find_place(path, is_itself=True), PartDone(0, 0)
    try:
        with StatusLine(context.terminal()) as line:
            line.show("looking for what was removed")
            for reply in Client.at(place.mountpoint, path).ask(CommandRequest("undelete", place.inner)):
                if isinstance(reply, PartDone):
                    far = reply
                    line.show(f"{far.done} of {far.total} files and folders are back")
                elif isinstance(reply, Told):
                    for each in reply.lines:
                        tell(f"{path}: {each}")
    except KeyboardInterrupt:
        if far.total:
            say(f"{path}: {far.done} of {far.total} files and folders are back; run it again for the others")
        raise
    return 0


@click.command()
@click.argument("path", type=ANY_PATH, required=False)
def pin(path: Path | None) -> int:
    """Keep PATH on this machine; without PATH, list the pins. PATH is a file, or a folder with all below it.

    What others change in it is fetched, too. It does not count against cache_max_bytes, and goes only while
    the disk has no room for it.
    """
    if path is None:
        return _tell_all(
            "pinned", lambda mountpoint, line: f"{mountpoint}{'' if line[0] == '/' else ': '}{line}"
        )
    for line in _asked(path, "pin"):
        tell(f"{path} {line}")
    return 0


@click.command()
@click.argument("path", type=ANY_PATH)
def unpin(path: Path) -> None:
    """Stop keeping PATH, which was pinned. Its bytes give way when other files need the room."""
    for line in _asked(path, "unpin"):
        tell(f"{path} {line}")


def _tell_all(command: str, told: Callable[[Path, str], str]) -> int:

    def show(mountpoint: Path) -> int:
        for line in _ask(Place(mountpoint, "/"), mountpoint, command):
            tell(told(mountpoint, line))
        return 0

    return in_each(all_mounts(), show)


def _asked(path: Path, command: str, argument: str = "") -> tuple[str, ...]:
    return _ask(find_place(path), path, command, argument)


def _ask(place: Place, about: Path, command: str, argument: str = "") -> tuple[str, ...]:
    replies = Client.at(place.mountpoint, about).ask(CommandRequest(command, place.inner, argument))
    return last_of(replies, Told, place.mountpoint).lines
