"""Hands a file system to the kernel through libfuse 2, and takes it back."""

from __future__ import annotations

import codecs
import ctypes
import errno
import os
import shutil
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mountfs.attributes import Caller, Moment
from mountfs.errors import MountfsError
from mountfs.filesystem import FileSystem
from mountfs.fuse.complaints import Complaints
from mountfs.fuse.dentries import NAMES_KEPT, Dentries
from mountfs.fuse.kinds import Kinds
from mountfs.fuse.operations import Operations
from mountfs.fuse.programs import Programs
from mountfs.fuse.replies import WRITABLE, declare_read_buf, room_at
from mountfs.fuse.statlayout import StatLayout
from mountfs.fuse.threads import serve_kernel_first
from mountfs.fuse.timing import Timing
from mountfs.model.entry import NS_PER_S
from mountfs.xattrs import NAMESPACE

FUSE_DEVICE = Path("/dev/fuse")
FUSE_CONF = Path("/etc/fuse.conf")
PATH_CODEC = "mountfs-path"
"""UTF-8 that lets bytes which are none through, so that such a name gets a proper refusal."""
CODING = ("utf-8", "surrogateescape")
"""The same, where it matters that Python codes it by itself, at a tenth of the cost."""

MOST_READS = 64
"""That the kernel asks for before one is answered: half of what the network process answers side by side."""

MOMENTS = {0x3FFFFFFF: Moment.NOW, 0x3FFFFFFE: Moment.OMIT}
"""utimensat(2): in the place of nanoseconds."""


class MountFailed(MountfsError):
    """The mount cannot be made, or not be taken away; the message says what to do."""


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """What the kernel is told. *fsname* is the first column of `df` and `mount`."""

    fsname: str
    allow_other: bool = False
    is_read_only: bool = False
    checks_modes: bool = True
    """Whether the kernel checks modes and owners: not needed where all who may come may do everything."""
    attr_timeout_s: float = 1.0
    entry_timeout_s: float = 1.0
    """How long the kernel answers by itself: bounds how stale a remote change can look."""
    no_fetch_ahead: Sequence[str] = ()
    """Names of programs that nothing is fetched ahead for."""
    names_kept: int = NAMES_KEPT
    """Names of files that the kernel may keep."""


class FuseMount:
    """One mount: ``run`` blocks in a thread of the caller's until it is unmounted, by whomever."""

    def __init__(
        self, file_system: FileSystem, mountpoint: Path, options: FuseOptions, timing: Timing | None = None
    ) -> None:
        self._timing = timing
        self._file_system = file_system
        self._mountpoint = mountpoint
        self._options = options
        self._is_up = threading.Event()
        self._complaints = Complaints()

    def run(self, on_ready: Callable[[], None] | None = None) -> None:
        """Mounts, and serves until the mount is gone. MountFailed.

        *on_ready* is called on one of libfuse's threads once the mount stands; the kernel's calls wait
        for its return. libfuse takes over SIGHUP, SIGINT and SIGTERM where nobody handles them: handle
        them before, and call this from another thread than the main one, whose SIGINT fusepy resets.
        """
        fuse = _load_fusepy()
        self._check()
        codecs.register(_path_codec)
        serve_kernel_first()

        def thread() -> int:
            return int(fuse.fuse_get_context()[2])

        programs = Programs(self._options.no_fetch_ahead, thread)
        dentries = Dentries(self._mountpoint, self._file_system.is_open, self._options.names_kept)

        def on_init() -> None:
            try:
                dentries.begin(fuse)
            finally:
                self._up(on_ready)

        self._complaints.begin()
        try:
            _server(fuse)(
                Operations(
                    self._file_system,
                    on_init=on_init,
                    caller=_caller(fuse),
                    programs=programs,
                    timing=self._timing,
                    dentries=dentries,
                    kinds=Kinds(self._file_system.clock.now_s, thread),
                ),
                str(self._mountpoint),
                raw_fi=True,
                encoding=PATH_CODEC,
                foreground=True,
                **fuse_options(self._options),
            )
        except RuntimeError:  # fusepy's way to say that libfuse returned non-zero
            pass
        finally:
            self._complaints.end()
            _ignore_broken_pipes()
            dentries.end()
        if not self._is_up.is_set():
            raise MountFailed(self._complaints.reason() or "libfuse refused, and did not say why")

    def _up(self, on_ready: Callable[[], None] | None) -> None:
        self._complaints.end()
        self._is_up.set()
        if on_ready is not None:
            on_ready()

    def _check(self) -> None:
        """What usually goes wrong, told in words of ours."""
        if not FUSE_DEVICE.exists():
            raise MountFailed("the kernel has no FUSE here: /dev/fuse is missing (modprobe fuse)")
        if not self._mountpoint.is_dir():
            raise MountFailed(f"{self._mountpoint} is not a directory")
        if os.geteuid() == 0:
            return
        if not (shutil.which("fusermount3") or shutil.which("fusermount")):
            raise MountFailed("fusermount is missing: install the package fuse3")
        if self._options.allow_other and not _others_allowed():
            raise MountFailed(f"allow_other needs the line user_allow_other in {FUSE_CONF}")


def fuse_options(options: FuseOptions) -> dict[str, str | int | float | bool]:
    """libfuse's options, as fusepy takes them."""
    return {
        # A comma would end the option; libfuse 2 knows no way to write one that all its parts understand.
        "fsname": options.fsname.replace(",", "_").replace("\\", "_"),
        "subtype": "mountfs",
        # Without it libfuse 2 sends writes of 4 KiB: 70-140 MB/s instead of about 500.
        "big_writes": True,
        # Else the kernel empties a file by a truncation of its own before it opens it for writing, and
        # an empty version could be committed in between.
        "atomic_o_trunc": True,
        # What is lent of the cache goes to the kernel without a copy here: a sixth of a read's time.
        "splice_write": True,
        # Reads of pages. With the kernel's 12, as many readers of what is not cached would keep all others
        # waiting while the service is silent, also those of cached files.
        "max_background": MOST_READS,
        "congestion_threshold": MOST_READS,
        # One number for all spellings of a name: else `cp a A` takes them for two files, and empties both.
        "use_ino": True,
        # It costs a getattr of the folder with each file that is made in it.
        "default_permissions": options.checks_modes,
        "attr_timeout": options.attr_timeout_s,
        "entry_timeout": options.entry_timeout_s,
        # What others create is found as soon as the listing knows it.
        "negative_timeout": 0.0,
        "allow_other": options.allow_other,
        "ro": options.is_read_only,
        "nosuid": True,
        "nodev": True,
    }


def _ignore_broken_pipes() -> None:
    """Undoes what libfuse 2 does at its end: it gives SIGPIPE back its deadly default, also where it was
    ignored before, as Python does. Through libc, since Python sets signals on the main thread only."""
    ctypes.CDLL(None).signal(int(signal.SIGPIPE), ctypes.c_void_p(int(signal.SIG_IGN)))


def _others_allowed() -> bool:
    try:
        lines = FUSE_CONF.read_text().splitlines()
    except OSError:
        return False
    return any(line.strip() == "user_allow_other" for line in lines)


def _load_fusepy() -> Any:
    """fusepy looks for libfuse when it is imported; MountFailed says what to install."""
    try:
        import fuse  # noqa: PLC0415 - only a mount needs it, and only now can its failure be told well
    except OSError as error:
        raise MountFailed(
            "libfuse 2 is missing: install the package libfuse2t64 (Debian 13, Ubuntu 24.04) or libfuse2"
        ) from error
    return fuse


def _server(fuse: Any) -> Any:
    """fusepy's, with a quicker way to answer the most frequent questions of libfuse, and a true one to hear
    of times."""
    layout = StatLayout(fuse.c_stat)
    xattrs = NAMESPACE.encode()
    declare_read_buf(fuse)

    class Server(fuse.FUSE):  # type: ignore[misc]
        def readdir(self, path: bytes | None, buffer: Any, fill: Any, _offset: int, info: Any) -> int:
            entry = fuse.c_stat()
            where = None if path is None else path.decode(*CODING)
            for name, entry.st_mode, entry.st_ino in self.operations("readdir", where, info.contents.fh):
                if fill(buffer, name.encode(*CODING), entry, 0):
                    break
            return 0

        def fgetattr(self, path: bytes | None, buffer: Any, info: Any) -> int:
            opened = info.contents if info else None
            told = self.operations("getattr", None if path is None else path.decode(*CODING), opened)
            layout.fill(room_at(buffer, layout.size_bytes, WRITABLE), told)
            return 0

        def read_buf(self, _path: bytes | None, answer: Any, size: int, offset: int, info: Any) -> int:
            answer[0] = self.operations("read", None, size, offset, info.contents)
            return 0

        def utimens(self, path: bytes, buffer: Any) -> int:
            times = buffer.contents if buffer else None
            told = times and (_moment(times.actime), _moment(times.modtime))
            self.operations("utimens", path.decode(PATH_CODEC), told)
            return 0

        def getxattr(self, path: bytes, name: bytes, value: Any, size: int, *rest: Any) -> Any:
            # The kernel asks for security.capability before each write.
            if not name.startswith(xattrs):
                return -errno.ENOTSUP
            return super().getxattr(path, name, value, size, *rest)

    return Server


def _moment(told: Any) -> int | Moment:
    """A time in ns. fusepy's sum of both fields would take the two below for times of 1970."""
    return MOMENTS.get(told.tv_nsec) or told.tv_sec * NS_PER_S + told.tv_nsec


def _caller(fuse: Any) -> Callable[[], Caller]:
    """Tells whose process makes the call that libfuse is just answering, on whatever thread."""
    context = fuse._libfuse.fuse_get_context

    def caller() -> Caller:
        found = context().contents
        return Caller(found.uid, found.gid)

    return caller


def _path_codec(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != PATH_CODEC:
        return None

    def encode(text: str, _errors: str = "strict") -> tuple[bytes, int]:
        return text.encode(*CODING), len(text)

    def decode(data: bytes, _errors: str = "strict") -> tuple[str, int]:
        return bytes(data).decode(*CODING), len(data)

    return codecs.CodecInfo(encode, decode, name=PATH_CODEC)  # type: ignore[arg-type]
