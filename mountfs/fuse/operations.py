"""The kernel's calls as libfuse hands them on: decode, call the file system, encode."""

# ruff: noqa: ARG002 - the signatures are libfuse's

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable
from threading import get_ident
from typing import Any, Protocol

from mountfs.attributes import MOST_FILES, Attributes, Caller, Moment, Opened
from mountfs.errors import IsADirectory, MountfsError, NotFound, NotSignedIn, Offline, Stale
from mountfs.filesystem import FileSystem
from mountfs.fuse.dentries import Dentries
from mountfs.fuse.errno import errno_of, is_expected
from mountfs.fuse.kinds import Kinds
from mountfs.fuse.programs import Programs
from mountfs.fuse.replies import LEAST_LENT_BYTES, Replies
from mountfs.fuse.threads import pin_thread
from mountfs.fuse.timing import Timing
from mountfs.model.names import is_unlinked
from mountfs.xattrs import NAMESPACE

LOG = logging.getLogger(__name__)

UNCHANGED = -1
"""chown(2)."""
LINES = 10
"""So many calls that failed because the service was away have a line each, and then each power of two."""
REASONS_KEPT = 100
CHANGES_NAMES = frozenset({"create", "link", "mkdir", "mknod", "rename", "rmdir", "symlink", "unlink"})


class FileInfo(Protocol):
    """libfuse's ``fuse_file_info``."""

    flags: int
    fh: int
    writepage: int
    keep_cache: int
    direct_io: int


class Operations:
    """What fusepy calls, by name, as ``operations(op, *args)``; it needs nothing of fusepy's.

    Everything that goes wrong leaves as an OSError with the errno of ``fuse.errno``, for fusepy would
    make EINVAL of other exceptions and break at a BaseException. Opens and all calls on handles are
    given ``fuse_file_info`` itself (``raw_fi``); calls on handles come without a path (``flag_nopath``),
    so that a slow read never keeps a rename waiting for libfuse's lock on the path.
    """

    use_ns = True
    flag_nullpath_ok = True
    flag_nopath = True
    flag_utime_omit_ok = True
    """Without it libfuse turns `touch -m` into nothing at all."""

    def __init__(
        self,
        file_system: FileSystem,
        *,
        on_init: Callable[[], None] | None = None,
        caller: Callable[[], Caller | None] = lambda: None,
        programs: Programs | None = None,
        timing: Timing | None = None,
        dentries: Dentries | None = None,
        kinds: Kinds | None = None,
    ) -> None:
        """*on_init* is called once the mount stands, before the kernel's first question is answered.
        *caller*: tells whose process makes the call that is being answered. Nothing is fetched ahead for
        *programs*. *dentries*: told of the files that the kernel looks up; *kinds*: of what kind
        all is that it asks for."""
        self._timing = timing
        self._dentries = dentries
        self._kinds = kinds
        self._in_hand: dict[int, tuple[Any, ...]] = {} if dentries is None else dentries.in_hand
        self._listed: dict[int, str] = {}
        """The paths that open folders were opened by."""
        self._just_set: dict[int, str] = {}
        """By thread the path whose attributes it has set, until libfuse asks for them for its answer."""
        self._fs = file_system
        self._metadata = file_system.metadata
        self._caller = caller
        self._programs = programs or Programs((), lambda: 0)
        self._on_init = on_init
        self._replies = Replies()
        self._away: dict[str, int] = {}
        """How often calls failed because the service did not answer, by what was said."""

    def __call__(self, op: str, *args: Any) -> Any:
        """The edge: nothing but OSError passes."""
        timing = self._timing
        began_s = timing.now_s() if timing is not None else 0.0
        pin_thread()
        in_hand, thread = self._in_hand, get_ident()
        in_hand[thread] = args
        self._replies.sent(thread)
        try:
            return getattr(self, op)(*args)
        except BaseException as error:
            number = errno_of(error)
            if not is_expected(error):
                self._log(op, args, error)
            raise OSError(number, os.strerror(number)) from None
        finally:
            in_hand.pop(thread, None)
            if self._kinds is not None and op in CHANGES_NAMES:
                self._kinds.names_change()
            if timing is not None:
                timing.took(op, timing.now_s() - began_s)

    def _log(self, op: str, args: tuple[Any, ...], error: BaseException) -> None:
        where = args[0] if args and isinstance(args[0], str) else "an open file"
        if isinstance(error, NotSignedIn) or not self._is_to_be_told(error):
            LOG.debug("%s of %s: %s", op, where, error)  # told once, when it began
        elif isinstance(error, MountfsError | OSError):
            LOG.warning("%s of %s: %s: %s", op, where, type(error).__name__, error)
        else:
            LOG.error("%s of %s failed unexpectedly", op, where, exc_info=error)

    def _is_to_be_told(self, error: BaseException) -> bool:
        """Not each time that the service is away: `find` would write a line a folder."""
        if not isinstance(error, Offline):
            return True
        reason = str(error)
        if len(self._away) >= REASONS_KEPT:
            self._away.clear()
        count = self._away[reason] = self._away.get(reason, 0) + 1
        return count <= LINES or count.bit_count() == 1

    # The mount

    def init(self, path: str) -> None:
        if self._on_init is None:
            return
        try:
            self._on_init()
        except BaseException as error:  # init has no errno to tell it by
            self._log("init", (path,), error)

    def statfs(self, path: str) -> dict[str, int]:
        volume = self._fs.statfs()
        free_blocks = volume.free_bytes // volume.block_bytes
        return {
            "f_bsize": volume.block_bytes,
            "f_frsize": volume.block_bytes,
            "f_blocks": volume.total_bytes // volume.block_bytes,
            "f_bfree": free_blocks,
            "f_bavail": free_blocks,
            "f_files": MOST_FILES,
            "f_ffree": volume.free_files,
            "f_favail": volume.free_files,
            "f_namemax": volume.name_max,
        }

    # Looking

    def getattr(self, path: str | None, info: FileInfo | None = None) -> Attributes:
        if info is not None:
            self._just_set.pop(get_ident(), None)  # asked of the handle, after ftruncate(2) of a setuid file
            attributes = self._fs.fgetattr(info.fh, path)
            if self._kinds is not None and path is not None:  # of a file that was just made, as a rule
                self._kinds.told(path, attributes.inode, stat.S_IFMT(attributes.mode))
            return attributes
        assert path is not None
        # The kernel sets what it has open, and libfuse names the path that this had: it may be gone.
        is_set = bool(self._just_set) and self._just_set.pop(get_ident(), None) == path
        attributes = self._looked_up(path) if not is_set else self._fs.getattr(path, may_be_gone=True)
        if self._dentries is not None and not stat.S_ISDIR(attributes.mode):
            self._dentries.note(path)
        return attributes

    def _looked_up(self, path: str) -> Attributes:
        """Stale where the kernel may take it for something of another kind."""
        kinds = self._kinds
        try:
            attributes = self._fs.getattr(path)
        except NotFound:
            if kinds is not None:
                kinds.left(path)
            raise
        if kinds is not None and kinds.is_another(path, attributes.inode, stat.S_IFMT(attributes.mode)):
            raise Stale(f"{path} is of another kind than the kernel knows: it has to look again")
        return attributes

    def access(self, path: str, mode: int) -> None:
        self._fs.access(path, mode)

    def opendir(self, path: str) -> int:
        number = self._fs.opendir(path, is_walk=not self._programs.is_caller())
        self._listed[number] = path
        return number

    def readdir(self, path: str | None, number: int) -> list[tuple[str, int, int]]:
        """Names, modes and inode numbers: of attributes libfuse 2 passes on only type and number."""
        self._works_in(number)
        entries = self._fs.readdir(number)
        own = self._fs.inode(number)
        return [(".", stat.S_IFDIR, own), ("..", stat.S_IFDIR, own), *entries]

    def releasedir(self, path: str | None, number: int) -> None:
        self._listed.pop(number, None)
        self._fs.releasedir(number)

    def fsyncdir(self, path: str | None, datasync: int, number: int) -> None:
        self._works_in(number)
        self._fs.fsyncdir(number)

    def _works_in(self, number: int) -> None:
        """The kernel has the lock of the folder that was opened as *number* until it is answered."""
        self._in_hand[get_ident()] = (self._listed.get(number),)

    # Open files

    def open(self, path: str, info: FileInfo) -> None:
        caller = self._caller() if info.flags & os.O_TRUNC else None
        reads_ahead = not self._programs.is_caller()
        try:
            _tell(info, self._fs.open(path, info.flags, caller, reads_ahead=reads_ahead))
        except (NotFound, IsADirectory) as error:
            if is_unlinked(path.rpartition("/")[2]):
                raise
            # The kernel answered by itself that a file is there: it looks again, and makes one for O_CREAT.
            if self._kinds is not None:
                self._kinds.left(path)
            raise Stale(str(error)) from error

    def create(self, path: str, mode: int, info: FileInfo) -> None:
        _tell(info, self._fs.create(path, info.flags, mode, self._caller()))
        if self._dentries is not None:
            self._dentries.note(path)

    def mknod(self, path: str, mode: int, dev: int) -> None:
        self._fs.mknod(path, mode, dev, self._caller())

    def read(self, path: str | None, size: int, offset: int, info: FileInfo) -> int:
        """Not as fusepy has it: the address of an answer, see ``fuse.replies``."""
        number = info.fh
        if size >= LEAST_LENT_BYTES:
            lent = self._fs.lend(number, offset, size)
            if lent is not None:
                return self._replies.of_file(number, lent, offset, size)
        return self._replies.of_memory(size, lambda room: self._fs.read_into(number, offset, room))

    read_buf = read
    """fusepy has libfuse call only what is here by libfuse's name for it."""

    def write(self, path: str | None, data: bytes, offset: int, info: FileInfo) -> int:
        # fcntl(2) may have taken O_APPEND from the descriptor: the kernel says its place then.
        is_placed = bool(info.writepage or not info.flags & os.O_APPEND)
        return self._fs.write(info.fh, offset, data, is_placed=is_placed, caller=self._caller)

    def truncate(self, path: str | None, length: int, info: FileInfo | None = None) -> None:
        if info is not None:
            self._fs.ftruncate(info.fh, length)
            return
        assert path is not None
        self._fs.truncate(path, length)

    def flush(self, path: str | None, info: FileInfo) -> None:
        self._fs.flush(info.fh)

    def fsync(self, path: str | None, datasync: int, info: FileInfo) -> None:
        self._fs.fsync(info.fh)

    def release(self, path: str | None, info: FileInfo) -> None:
        self._replies.released(info.fh)
        self._fs.release(info.fh)

    # Names

    def mkdir(self, path: str, mode: int) -> None:
        self._fs.mkdir(path, mode, self._caller())

    def rmdir(self, path: str) -> None:
        self._fs.rmdir(path)

    def unlink(self, path: str) -> None:
        self._fs.unlink(path)
        if self._dentries is not None:
            self._dentries.left(path)

    def rename(self, source: str, target: str) -> None:
        self._fs.rename(source, target)
        if self._dentries is not None:
            self._dentries.renamed(source, target)

    def symlink(self, path: str, points_to: str) -> None:
        self._fs.symlink(path, points_to, self._caller())

    def readlink(self, path: str) -> str:
        return self._fs.readlink(path)

    def link(self, path: str, existing: str) -> None:
        self._fs.link(existing, path)

    # Attributes

    def utimens(self, path: str, times: tuple[int | Moment, int | Moment] | None) -> None:
        atime, mtime = times or (Moment.NOW, Moment.NOW)
        self._set(path, lambda: self._metadata.utimens(path, mtime, atime))

    def chmod(self, path: str, mode: int) -> None:
        self._set(path, lambda: self._metadata.chmod(path, mode))

    def chown(self, path: str, uid: int, gid: int) -> None:
        owner, group = (None if each == UNCHANGED else each for each in (uid, gid))
        self._set(path, lambda: self._metadata.chown(path, owner, group))

    def _set(self, path: str, change: Callable[[], None]) -> None:
        """One request sets several in a row; one that fails is the last of them, and nothing is asked."""
        thread = get_ident()
        self._just_set.pop(thread, None)
        change()
        self._just_set[thread] = path

    def getxattr(self, path: str, name: str) -> bytes:
        if not name.startswith(NAMESPACE):
            # The kernel asks for security.capability before each write: the shortest way out.
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        return self._metadata.getxattr(path, name)

    def listxattr(self, path: str) -> list[str]:
        return self._metadata.listxattr(path)

    def setxattr(self, path: str, name: str, value: bytes, options: int) -> None:
        self._metadata.setxattr(path, name, value, options)

    def removexattr(self, path: str, name: str) -> None:
        self._metadata.removexattr(path, name)


def _tell(info: FileInfo, opened: Opened) -> None:
    info.fh = opened.number
    info.keep_cache = int(opened.keep_cache)
    info.direct_io = int(opened.is_direct)
