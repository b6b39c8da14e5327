"""``mountfs conflicts``: lists conflicted copies, and puts them right as somebody decides."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from daemon.cli.bars import in_time, table, text
from daemon.cli.context import ANY_PATH, Context, tell
from daemon.cli.eachmount import in_each
from daemon.cli.overview import ask_status
from daemon.control.client import all_mounts, find_place
from daemon.control.status import Copy
from daemon.failure import BadSettings, Failure
from daemon.places.durable import sync
from mountfs.tree.beside import original_name

CONFLICTED = "conflicted copy"
COPIED_BYTES = 1 << 20
STATE_XATTR = "user.mountfs.state"
ACTIONS = ("mine", "theirs", "both")


@dataclass(frozen=True, slots=True)
class Conflict:
    """A conflicted copy with our bytes, and the file that it lies beside, with theirs."""

    mine: Path
    theirs: Path
    age_s: float


@click.command()
@click.argument("path", type=ANY_PATH, required=False)
@click.option(
    "--keep",
    type=click.Choice(ACTIONS),
    help="Put PATH right: keep your version under the name, or theirs, or both as two ordinary files.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line, one for each conflict.")
@click.pass_obj
def conflicts(context: Context, path: Path | None, keep: str | None, as_json: bool) -> int:
    """List conflicted copies at or below PATH, or everywhere. Somebody else had changed these files first.

    With --keep, PATH is a conflicted copy, or the file it lies beside. `mine` makes your version a new
    revision of that file, and theirs stays in the file's history; `theirs` puts your copy into the service's
    trash. Exits with 0 when no conflicted copy is left, 1 when there are some, or a mount does not answer.
    """
    if keep is not None:
        if path is None:
            raise BadSettings("--keep: say of which file: mountfs conflicts --keep mine PATH")
        _settle(_the_one(path), keep)
        return 0
    if path is not None:
        return _list(context, _at_or_below(path), as_json=as_json)
    found: list[Conflict] = []

    def look(mountpoint: Path) -> int:
        found.extend(_on(mountpoint))
        return 0

    failed = in_each(all_mounts(), look)
    return max(failed, _list(context, found, as_json=as_json))


def _list(context: Context, found: Sequence[Conflict], *, as_json: bool) -> int:
    if as_json:
        for each in found:
            told = {"mine": str(each.mine), "theirs": str(each.theirs), "age_s": each.age_s}
            click.echo(json.dumps(told))
    elif found:
        shown = table("yours", "theirs", "ago")
        for each in found:
            shown.add_row(text(str(each.mine)), text(each.theirs.name), in_time(each.age_s))
        context.out.print(shown)
    return 1 if found else 0


def _on(mountpoint: Path) -> list[Conflict]:
    copies = ask_status(mountpoint).account.copies
    return [_conflict(mountpoint, copy) for copy in copies if copy.kind == CONFLICTED]


def _conflict(mountpoint: Path, copy: Copy) -> Conflict:
    mine = Path(f"{mountpoint}{copy.path}")
    return Conflict(mine, mine.with_name(original_name(mine.name) or mine.name), copy.age_s)


def _at_or_below(path: Path) -> list[Conflict]:
    """Of the mount that *path* is on: another one, which may hang, is not asked."""
    place = find_place(path)
    real = Path(f"{place.mountpoint}{place.inner}")
    return [each for each in _on(place.mountpoint) if real in (each.theirs, each.mine, *each.mine.parents)]


def _the_one(path: Path) -> Conflict:
    place = find_place(path, is_itself=True)
    real = Path(f"{place.mountpoint}{place.inner}")
    listed = _on(place.mountpoint)
    found = [each for each in listed if each.mine == real]
    found = found or [each for each in listed if each.theirs == real]
    if not found and original_name(real.name) is not None and real.exists():
        # Too old to be listed: the name tells it as well.
        found = [Conflict(real, real.with_name(original_name(real.name) or ""), 0.0)]
    if not found:
        raise Failure(f"{path}: no conflicted copy, and none lies beside it")
    if len(found) > 1:
        names = ", ".join(each.mine.name for each in found)
        raise Failure(f"{path}: several copies lie beside it; name one of them: {names}")
    return found[0]


def _become_new_version(mine: Path, theirs: Path) -> None:
    """As an editor saves: the bytes under another name, and that moved over the file. A rename of the copy
    itself would put another file of the service in its place, on Box without theirs in its history. The draft
    stays open while it is copied: closed and empty, it would be sent as a file of its own. The copy goes once
    its bytes survive a power loss under the name: by the sync of the folder, which waits for no service."""
    descriptor, name = tempfile.mkstemp(dir=theirs.parent, prefix=".mountfs-")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as target, mine.open("rb") as source:
            before = os.fstat(source.fileno())
            shutil.copyfileobj(source, target, COPIED_BYTES)
            target.flush()
            with suppress(PermissionError):
                os.chown(draft, before.st_uid, before.st_gid)
            shutil.copystat(mine, draft)
        if _version(mine.stat()) != _version(before):
            raise Failure(f"{mine}: was written to meanwhile; ask again once it is closed")
        draft.replace(theirs)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync(theirs.parent)
    mine.unlink()


def _is_at_service(mine: Path) -> bool:
    """Also where the mount cannot be asked."""
    try:
        return os.getxattr(mine, STATE_XATTR) == b"clean"
    except OSError:
        return True


def _version(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _settle(conflict: Conflict, keep: str) -> None:
    mine, theirs = conflict.mine, conflict.theirs
    if keep == "mine":
        _become_new_version(mine, theirs)
        tell(f"{theirs}: has your version; theirs is in the file's history")
    elif keep == "theirs":
        if not theirs.exists():
            raise Failure(f"{theirs}: is gone; your version is all there is: --keep mine")
        if not _is_at_service(mine):
            raise Failure(f"{mine}: is still to be sent, and would be in no trash; mountfs wait, or rm it")
        mine.unlink()
        tell(f"{theirs}: stays as it is; your version went to the service's trash")
    else:
        own = _free_name(mine, theirs)
        mine.rename(own)
        tell(f"{own}: has your version, {theirs.name} theirs")


def _free_name(mine: Path, theirs: Path) -> Path:
    """``report (mine).txt``, numbered from 2 on where that is taken."""
    number = 1
    while True:
        mark = " (mine)" if number == 1 else f" (mine {number})"
        own = mine.with_name(f"{theirs.stem}{mark}{theirs.suffix}")
        if not os.path.lexists(own):
            return own
        number += 1
