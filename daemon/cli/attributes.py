"""``mountfs attributes``: carries what only one machine keeps of files over to another."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from daemon.cli.context import ANY_PATH, say, tell
from daemon.control.client import Client, Place, find_place, last_of
from daemon.control.protocol import CommandRequest, Told
from daemon.control.status import plural
from daemon.places.answering import check_answers
from daemon.printable import printable

EXIT_LEFT = 1
_TYPES = {
    "file": stat.S_IFREG,
    "folder": stat.S_IFDIR,
    "link": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "characters": stat.S_IFCHR,
    "blocks": stat.S_IFBLK,
}
_NUMBERS = ("uid", "gid", "mtime_ns", "size", "device")


@click.command()
@click.argument("path", type=ANY_PATH)
@click.option("--dump", is_flag=True, help="Print what is kept, a JSON object a line.")
@click.option(
    "--load",
    "source",
    type=ANY_PATH,
    help="Apply to PATH the lines that --dump printed, from this file; -: standard input.",
)
@click.option("--numeric", is_flag=True, help="Take owners by their numbers, whatever their names are here.")
def attributes(path: Path, dump: bool, source: Path | None, numeric: bool) -> int:
    """Dump or load what only this machine keeps of PATH. That is modes, owners, times, extended attributes,
    symbolic links and special files, of PATH and of all below it.

    Exits with 0 when all was loaded, 1 when something was not; each is told.
    """
    if dump is (source is not None):
        raise click.UsageError("either --dump or --load FILE")
    place = find_place(path)
    if source is None:
        for fields in _kept(place, path):
            tell(json.dumps(_with_names(fields)))
        return 0
    check_answers(place.mountpoint)
    loading = Loading(Path(f"{place.mountpoint}{place.inner}"), numeric)
    with _opened(source) as lines:
        for number, line in enumerate(lines, 1):
            loading.take(number, line)
    loading.end()
    for problem in loading.problems:
        say(printable(problem))
    tell(f"{path}: kept of {plural(loading.count, 'path')}")
    return EXIT_LEFT if loading.problems else 0


def _opened(source: Path) -> IO[str]:
    """*source*, or standard input, which stays open. BadParameter, Failure."""
    check_answers(source)
    try:
        return click.open_file(os.fspath(source), errors="surrogateescape")
    except OSError as error:
        raise click.BadParameter(f"'{source}': {error.strerror}", param_hint="'--load'") from None


def _kept(place: Place, about: Path) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        replies = Client.at(place.mountpoint, about).ask(CommandRequest("attributes", place.inner, after))
        page = last_of(replies, Told, place.mountpoint).lines
        yield from map(json.loads, page[:-1])
        after = page[-1]
        if not after:
            return


def _with_names(fields: dict[str, Any]) -> dict[str, Any]:
    with suppress(KeyError):  # no field, or nobody's
        fields["user"] = pwd.getpwuid(fields["uid"]).pw_name
    with suppress(KeyError):
        fields["group"] = grp.getgrgid(fields["gid"]).gr_name
    return fields


@dataclass
class Loading:
    """What lines say is kept by the calls that any program would make. ``problems``: what was not."""

    top: Path
    is_numeric: bool
    count: int = 0
    problems: list[str] = field(default_factory=list)
    _times: list[tuple[Path, int]] = field(default_factory=list)
    """Of folders, whose times move with what is made in them."""

    def take(self, number: int, line: str) -> None:
        """*line* is the one of that *number*."""
        try:
            fields = _checked(line)
        except ValueError as error:
            self.problems.append(f"line {number}: {error}")
            return
        try:
            self._keep(self.top / fields["path"], fields)
            self.count += 1
        except OSError as error:
            self.problems.append(f"{fields['path']}: {error.strerror or error}")
        except (ValueError, OverflowError) as error:  # no system call takes such a name or number
            self.problems.append(f"line {number}: {error}")

    def end(self) -> None:
        """After the last line."""
        for path, mtime_ns in reversed(self._times):
            with suppress(OSError):
                _set_time(path, mtime_ns)

    def _keep(self, path: Path, fields: dict[str, Any]) -> None:
        kind, mode = fields["kind"], fields.get("mode")
        above = [] if path == self.top else path.parent.relative_to(self.top).parts
        if _resolved(self.top.joinpath(*above)) != _resolved(self.top).joinpath(*above):
            raise OSError("leads through a symbolic link")
        if kind not in ("file", "folder") and not os.path.lexists(path):
            _make(path, fields)
        found = path.lstat()
        if stat.S_IFMT(found.st_mode) != _TYPES[kind]:
            raise OSError(f"is no {kind} here")
        refused: OSError | None = None
        try:
            for name, value in fields.get("xattrs", {}).items():
                os.setxattr(path, name, value.encode("latin-1"), follow_symlinks=False)
            uid, gid = self._owner(fields)
            if (uid, gid) != (-1, -1) and (uid, gid) != (found.st_uid, found.st_gid):
                os.chown(path, uid, gid, follow_symlinks=False)
        except OSError as error:
            refused = error
        if mode is not None and kind != "link":
            # As cp -p does: nobody else's program becomes one that runs as us.
            path.chmod(int(mode, 8) & (0o7777 if refused is None else 0o1777))
        self._keep_time(path, fields, found)
        if refused is not None:
            raise refused

    def _keep_time(self, path: Path, fields: dict[str, Any], found: os.stat_result) -> None:
        kind = fields["kind"]
        mtime_ns = fields.get("mtime_ns")
        if mtime_ns is None or (kind == "file" and fields.get("size") != found.st_size):
            return  # the time was that of other bytes
        if kind == "folder":
            self._times.append((path, mtime_ns))
        _set_time(path, mtime_ns)

    def _owner(self, fields: dict[str, Any]) -> tuple[int, int]:
        uid, gid = fields.get("uid", -1), fields.get("gid", -1)
        if not self.is_numeric:
            uid = _by_name(lambda: pwd.getpwnam(fields["user"]).pw_uid, uid)
            gid = _by_name(lambda: grp.getgrnam(fields["group"]).gr_gid, gid)
        return uid, gid


def _checked(line: str) -> dict[str, Any]:
    """The fields of a line that ``--dump`` wrote. ValueError."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("mountfs attributes --dump did not print this") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("path"), str):
        raise ValueError("no object with a path")
    parts = fields["path"].split("/")
    if (".." in parts or "" in parts or "\0" in fields["path"]) and fields["path"] != ".":
        raise ValueError("its path leads elsewhere")
    if str(fields.get("kind")) not in _TYPES:
        raise ValueError(f"unknown kind {fields.get('kind')!r}")
    if any(not isinstance(fields.get(name, 0), int) for name in _NUMBERS):
        raise ValueError("a number that is none")
    if fields["kind"] == "link" and not isinstance(fields.get("target"), str):
        raise ValueError("a link without a target")
    mode = fields.get("mode", "0")
    if not isinstance(mode, str) or not 0 <= int(mode, 8) <= 0o7777:
        raise ValueError("no such mode")
    xattrs = fields.get("xattrs", {})
    if not isinstance(xattrs, dict) or not all(isinstance(each, str) for each in xattrs.values()):
        raise ValueError("attributes that are none")
    return fields


def _make(path: Path, fields: dict[str, Any]) -> None:
    if fields["kind"] == "link":
        path.symlink_to(fields["target"])
    else:
        os.mknod(path, _TYPES[fields["kind"]] | int(fields.get("mode", "0600"), 8), fields.get("device", 0))


def _set_time(path: Path, mtime_ns: int) -> None:
    os.utime(path, ns=(path.lstat().st_atime_ns, mtime_ns), follow_symlinks=False)


def _by_name(look_up: Callable[[], int], number: int) -> int:
    try:
        return look_up()
    except (KeyError, TypeError):
        return number


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))
