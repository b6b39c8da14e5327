"""Copies pending bytes out, with their names and times, to a directory; nothing that is there is replaced."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from daemon.control.status import in_bytes
from daemon.failure import Failure
from daemon.places.durable import sync
from daemon.places.statedir import Slot, StateDir
from mountfs.model.path import RemotePath
from mountfs.tree.beside import name_beside
from mountfs.tree.database import UNREADABLE
from mountfs.tree.peek import LeftBytes, left_bytes

MOST_BYTES = 2**63 - 1
PIECE_BYTES = 1024 * 1024
RANGES_SHOWN = 20
_CANNOT = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
"""Of a file system that has no sync of folders: fsync(2)."""
PERMISSIONS = 0o777
"""Of a mode: a copy is as private as the file. Spool files, which those of a stopped mount are copied from,
are their owner's alone."""


@dataclass(slots=True)
class Export:
    """What was copied below *directory*, and what was not, each in one line."""

    directory: Path
    count: int = 0
    size_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    _folders: set[Path] = field(default_factory=set)
    """Those with copies, and the ones above them."""

    def copy(
        self, source: Path, relative: Path, mtime_ns: int | None = None, most_bytes: int = MOST_BYTES
    ) -> None:
        """The first *most_bytes* of *source* as *relative*, with *mtime_ns* or its own time; a problem is
        noted, and no part of a file stays. Nor does one get its name before its bytes survive a power loss,
        or a stick that is pulled out: what is pending may be given up next."""
        target = self.directory / relative
        draft = draft_of(target.parent, os.getpid())
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(target):
                raise FileExistsError
            draft.unlink(missing_ok=True)  # of a process of that number that was killed
            with source.open("rb") as reading, draft.open("xb") as writing:
                size_bytes = self._copy(reading, writing, mtime_ns, most_bytes)
                os.fsync(writing.fileno())
            _give_name(draft, target)
            self._folders.update(target.absolute().parents)
            self.count += 1
            self.size_bytes += size_bytes
        except FileExistsError:
            self.problems.append(f"{target}: exists already, and is left as it is")
        except OSError as error:
            name = error.filename or source
            self.problems.append(f"{name}: {error.strerror or error}; not copied")
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def sync_folders(self) -> None:
        """The names of all copies survive a power loss as well; what cannot be synced is a problem."""
        top = self.directory.absolute()
        for folder in sorted(self._folders):
            try:
                sync(folder)
            except OSError as error:
                is_ours = folder == top or top in folder.parents
                if is_ours and error.errno not in _CANNOT:
                    self.problems.append(f"{folder}: {error.strerror}; the copies in it may not last")

    def _copy(self, reading: BinaryIO, writing: BinaryIO, mtime_ns: int | None, most_bytes: int) -> int:
        """How many bytes it are."""
        left = most_bytes
        while piece := reading.read(min(PIECE_BYTES, left)):
            writing.write(piece)
            left -= len(piece)
        writing.flush()
        found = os.fstat(reading.fileno())
        time_ns = found.st_mtime_ns if mtime_ns is None else mtime_ns
        os.fchmod(writing.fileno(), found.st_mode & PERMISSIONS)
        os.utime(writing.fileno(), ns=(time_ns, time_ns))
        return writing.tell()


def draft_of(folder: Path, pid: int) -> Path:
    """A copy has this name until it is whole: one that was killed in between passes for none."""
    return folder / f".mountfs-export-{pid}"


def _give_name(draft: Path, target: Path) -> None:
    """FileExistsError where something has it by now."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a file system whose files have one name each
        if os.path.lexists(target):
            raise FileExistsError from None
        draft.rename(target)


def export_mounted(mountpoint: Path, top: str, paths: Iterable[str], directory: Path) -> Export:
    """Files of a running mount, read through it: *paths* at or below *top*, both as the mount has them."""
    export = Export(directory)
    for path in paths:
        source = Path(f"{mountpoint}{path}")
        export.copy(source, _relative(RemotePath.parse(path), RemotePath.parse(top)))
    export.sync_folders()
    return export


def export_stopped(
    state: StateDir,
    remote: str,
    top: RemotePath,
    directory: Path,
    host: str,
    label_of: Callable[[str], str | None],
    is_name: Callable[[str], bool],
) -> Export:
    """What stopped mounts of *remote* left at or below *top*, a path in the account. Failure when one of them
    runs, or nothing is left there. *host*: for the names of files that were not closed, which are copied as
    recovered copies. *label_of*: of a spool file, by its path. *is_name*: as ``left_bytes`` takes it; what it
    refuses is noted as a problem."""
    export = Export(directory)
    key = state.last_key(remote)
    if key is None:
        raise Failure(f"{state.path}: no remote '{remote}' was ever mounted with this state directory")
    for slot in state.stopped_slots(key):
        for left in _left_in(slot, label_of, is_name):
            path = RemotePath(left.path)
            if not (path.key == top.key or path.is_below(top)):
                continue
            if left.problem is not None:
                export.problems.append(f"{path}: {left.problem}; not copied, look into {slot.spool}")
                continue
            relative = _name(export, left, _relative(path, top), host)
            # Behind a closed version there may be bytes of a newer one (``spool.extending``).
            most_bytes = left.size_bytes if left.is_whole else MOST_BYTES
            export.copy(slot.spool / left.spool, relative, left.mtime_ns, most_bytes)
            if left.lacks:
                export.problems.append(f"{path}: {_lacking(left)}; what there is, is in {relative.name}")
    export.sync_folders()
    if not export.count and not export.problems:
        raise Failure(f"{top}: nothing of '{remote}' is pending there")
    return export


def _left_in(
    slot: Slot, label_of: Callable[[str], str | None], is_name: Callable[[str], bool]
) -> Iterator[LeftBytes]:
    try:
        files = slot.spool.iterdir() if slot.spool.is_dir() else ()
        labels = {file.name: label_of(str(file)) or "" for file in files}
        for left in left_bytes(slot.journal, labels, is_name):
            is_timed = left.is_whole or bool(left.mtime_ns) or left.problem is not None
            # One that was never closed has no time of its own yet.
            yield left if is_timed else replace(left, mtime_ns=_time_ns_of(slot.spool / left.spool))
    except (*UNREADABLE, ValueError) as error:
        raise Failure(
            f"{slot.journal}: cannot be read: {error}; pending bytes without their names are in {slot.spool}"
        ) from None


def _time_ns_of(file: Path) -> int:
    """0 for a file that cannot be looked at, which the copy tells of."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _lacking(left: LeftBytes) -> str:
    shown = [f"{start}-{stop - 1}" for start, stop in left.lacks[:RANGES_SHOWN]]
    if len(left.lacks) > RANGES_SHOWN:
        shown.append(f"{len(left.lacks) - RANGES_SHOWN} more")
    missing = in_bytes(sum(stop - start for start, stop in left.lacks))
    return f"{missing} of it only the service has, and are zeros in the copy (bytes {', '.join(shown)})"


def _name(export: Export, left: LeftBytes, relative: Path, host: str) -> Path:
    if left.is_whole and not left.lacks:
        return relative
    folder = export.directory / relative.parent
    what = "incomplete" if left.lacks else "recovered"
    name = name_beside(relative.name, what, host, left.mtime_ns, 255, lambda name: (folder / name).exists())
    return relative.with_name(name)


def _relative(path: RemotePath, top: RemotePath) -> Path:
    """As ``cp -r`` names it: with the name of *top*, unless that is the top of everything."""
    kept = 0 if top.is_root else len(top.components) - 1
    return Path(*path.components[kept:])
