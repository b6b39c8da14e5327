"""The directory of pending files, by name; and how fast it may grow."""

from __future__ import annotations

import contextlib
import errno
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from mountfs.errors import NoSpace
from mountfs.model.pendingbytes import read_pending
from mountfs.model.source import Source
from mountfs.ports import Disk
from mountfs.spool.ahead import FilesAhead
from mountfs.spool.extending import Extending
from mountfs.spool.quota import MIB, Quota
from mountfs.spool.spoolfile import SpoolFile

OPEN_FILES = 64
"""Descriptors kept for ``read``: more than there are upload workers, far below any limit of a process."""

NAME_BYTES = 255
"""The longest name of a file: NAME_MAX."""

LOOK_EVERY_BYTES = 4 * MIB
"""Growth between two looks at the disk: a statvfs(2) in 32 kernel writes costs nothing measurable."""

LOOK_EVERY_BYTES_SLOWED = MIB
"""The same while writers are slowed, so that they notice soon that there is room again."""


class _Reader:
    """A descriptor shared by readers; closed when evicted or removed, and nobody reads from it."""

    __slots__ = ("fd", "is_retired", "users")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.users = 0
        self.is_retired = False


class Spool:
    """Files with names of their own (never the user's), in one directory of the account.

    Every method may be called from any thread. Missing files raise FileNotFoundError; so does a name that no
    file of one directory has, such as "../x": names come from the store, which holds what a disk made of it.
    """

    def __init__(self, directory: Path, disk: Disk, quota: Quota, made_ahead: int = 0) -> None:
        """Makes the directory where it does not exist. *made_ahead*: so many empty files are kept at hand."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.ahead = FilesAhead(directory, disk, made_ahead)
        self.directory = directory
        self.on_short: Callable[[], object] = lambda: None
        """Called when less of the disk than ``Quota.spare_bytes`` is free, to be given some."""
        self.missing_bytes: Callable[[], int] = lambda: 0
        """How many bytes are still to be written to holes of files: nobody else is given their space."""
        self._directory = str(directory)
        self._absolute = str(directory.absolute())
        self._disk = disk
        self._quota = quota
        self._extending = Extending(disk)
        self._readers_lock = Lock()
        self._readers: OrderedDict[str, _Reader] = OrderedDict()
        self._meter_lock = Lock()
        self._reserving_bytes = 0
        self._s_per_byte = 0.0
        self._unlooked_bytes = LOOK_EVERY_BYTES

    # Files to write

    def create(self) -> SpoolFile:
        """A new empty file."""
        name = _new_name()
        path = f"{self._directory}/{name}"
        fd = self.ahead.take(path)
        return SpoolFile(self._disk, name, self._disk.create(path) if fd is None else fd, 0)

    def copy(self, name: str, length: int, label: str) -> SpoolFile:
        """A new file that holds the first *length* bytes of another, labelled before it has any. NoSpace
        leaves none behind."""
        target = self.create()
        try:
            target.label(label)
            source = self.open(name)
            try:
                source.copy_into(target, length, self.admit)
            finally:
                source.close()
        except BaseException:
            target.close()
            self.remove(target.name)
            raise
        return target

    def extend(self, file: SpoolFile, size_bytes: int) -> SpoolFile | None:
        """A second name of *file*, for whoever writes behind its *size_bytes* and nowhere else. None: it is
        to be copied, since it has more bytes already, or somebody else writes behind them."""
        name = _new_name()
        return self._extending.extend(file, size_bytes, self.place(file.name), self.place(name), name)

    def is_shared(self, file: SpoolFile) -> bool:
        """Whether the bytes of *file* have another name too, so that they must not be changed."""
        return self._extending.is_shared(file, self.place(file.name))

    def open(self, name: str) -> SpoolFile:
        return SpoolFile(self._disk, name, self._disk.open(self.place(name)))

    def admit(self, growth_bytes: int) -> float:
        """Asked before a file grows: seconds the writer has to wait first, mostly 0.

        NoSpace when the disk's reserve is reached. The disk is looked at once in a few
        MiB of growth; the wait is the caller's, with no lock held.
        """
        if growth_bytes <= 0:
            return 0.0
        with self._meter_lock:
            self._unlooked_bytes += growth_bytes
            if self._unlooked_bytes >= (LOOK_EVERY_BYTES_SLOWED if self._s_per_byte else LOOK_EVERY_BYTES):
                self._look_locked()
            return growth_bytes * self._s_per_byte

    def reserve(self, size_bytes: int) -> None:
        """Asked before a file begins as one hole of *size_bytes*, which will be filled. NoSpace where they do
        not fit beside all that is still to be filled."""
        with self._meter_lock:
            self._reserving_bytes = size_bytes
            try:
                free_bytes = self._free_bytes() + size_bytes
            finally:
                self._reserving_bytes = 0
            self._quota.check_fits(size_bytes, free_bytes)

    def admit_filling(self, size_bytes: int) -> None:
        """Asked before so much of what is missing is written. NoSpace where others took its space."""
        free_bytes = self._free_bytes() + self.promised_bytes()
        self._quota.check_fits(size_bytes, free_bytes)

    def promised_bytes(self) -> int:
        """So much of the disk's free space is spoken for."""
        return self.missing_bytes() + self._reserving_bytes

    def shortage(self) -> str | None:
        """Why nothing more can be written now, in one line; None: there is room."""
        try:
            with self._meter_lock:
                self._quota.may_write(self._free_bytes())
        except NoSpace as error:
            return str(error)
        except OSError as error:
            return f"{self.directory}: {error.strerror}"
        return None

    # Files by name

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Fewer bytes than *length* only at the end of the file."""
        with self._reader(name) as fd:
            return self._disk.pread(fd, length, offset)

    def source(self, name: str) -> Source:
        """The file for whoever sends its bytes, in this process or in another. Asks no disk; a name that no
        file of one directory has is that of no file."""
        path = f"{self._absolute}/{name}" if is_name(name) else ""
        return Source(path, lambda offset, length: read_pending(self.read, name, offset, length))

    def size(self, name: str) -> int:
        with self._reader(name) as fd:
            return self._disk.size(fd)

    def label_of(self, name: str) -> str | None:
        """What the file's ``SpoolFile.label`` was given; None: nothing, or it was not kept."""
        return self._disk.label_of(str(self.path(name)))

    def truncate(self, name: str, size_bytes: int) -> None:
        """Cuts a file nobody writes to."""
        with self._reader(name) as fd:
            self._disk.truncate(fd, size_bytes)

    def fdatasync(self, name: str) -> None:
        """The file's bytes survive power loss; its name only after ``sync_directory``."""
        reader = self._begin_to_read(name)  # asked once for each small file: no generator
        try:
            self._extending.check(reader.fd)
            self._disk.fdatasync(reader.fd)
        except BaseException:
            self._extending.note_failed(name, reader.fd, self.place(name))
            raise
        finally:
            self._end_to_read(reader)

    def sync_directory(self) -> None:
        """Names of all files created so far survive power loss."""
        self._disk.sync_directory(str(self.directory))

    def remove(self, name: str) -> None:
        """Removes a file; one that is gone already (or was taken over by renaming it) is fine."""
        self.let_go(name)
        with contextlib.suppress(FileNotFoundError):
            self._disk.remove(self.place(name))

    def let_go(self, name: str) -> None:
        """Somebody else takes the file over, by renaming it, or it goes."""
        self._extending.let_go(name)
        with self._readers_lock:
            reader = self._readers.pop(name, None)
            if reader is not None:
                self._retire_locked(reader)

    def move_out(self, name: str, target: Path) -> None:
        """Gives a file to somebody else on the same file system, making the folder it goes to."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.let_go(name)
        self._disk.rename(str(self.path(name)), str(target))

    def path(self, name: str) -> Path:
        return self.directory / _checked(name)

    def place(self, name: str) -> str:
        """The same as text, at a tenth of the cost."""
        return f"{self._directory}/{_checked(name)}"

    def names(self) -> list[str]:
        return self._disk.names(str(self.directory))

    def sizes(self) -> dict[str, int]:
        """Bytes of every file, by name."""
        return self._disk.sizes(str(self.directory))

    def close(self) -> None:
        """Lets go of the descriptors kept for reading, and of the files that were made ahead."""
        self.ahead.close()
        self._extending.close()
        with self._readers_lock:
            while self._readers:
                self._retire_locked(self._readers.popitem()[1])

    # Inside

    def _look_locked(self) -> None:
        # A refusal leaves the growth since the last look standing: the next write asks again.
        self._s_per_byte = self._quota.may_write(self._free_bytes()) / MIB
        self._unlooked_bytes = 0

    def _free_bytes(self) -> int:
        """Of the disk, but for what is promised."""
        free_bytes = self._disk.free_bytes(self._directory) - self.promised_bytes()
        if free_bytes >= self._quota.spare_bytes():
            return free_bytes
        self.on_short()
        return self._disk.free_bytes(self._directory) - self.promised_bytes()

    @contextmanager
    def _reader(self, name: str) -> Iterator[int]:
        reader = self._begin_to_read(name)
        try:
            yield reader.fd
        finally:
            self._end_to_read(reader)

    def _begin_to_read(self, name: str) -> _Reader:
        with self._readers_lock:
            reader = self._readers.get(name)
            if reader is None:
                reader = self._readers[name] = _Reader(self._disk.open(self.place(name)))
                if len(self._readers) > OPEN_FILES:
                    self._retire_locked(self._readers.popitem(last=False)[1])
            else:
                self._readers.move_to_end(name)
            reader.users += 1
            return reader

    def _end_to_read(self, reader: _Reader) -> None:
        with self._readers_lock:
            reader.users -= 1
            if reader.is_retired and not reader.users:
                self._disk.close(reader.fd)

    def _retire_locked(self, reader: _Reader) -> None:
        reader.is_retired = True
        if not reader.users:
            self._disk.close(reader.fd)


def is_name(name: str) -> bool:
    """Whether a file of one directory may have it; a journal may name anything."""
    is_short = len(name) <= NAME_BYTES and (name.isascii() or len(os.fsencode(name)) <= NAME_BYTES)
    return is_short and name not in ("", ".", "..") and "/" not in name and "\0" not in name


def _checked(name: str) -> str:
    if not is_name(name):
        raise FileNotFoundError(errno.ENOENT, "not a name of the spool", name)
    return name


def _new_name() -> str:
    """One that no other file has, ever."""
    return os.urandom(16).hex()
