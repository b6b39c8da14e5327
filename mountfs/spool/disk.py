"""The system calls on spool files that we allow ourselves."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from mountfs.errors import DiskFull

COPY_BYTES = 8 * 1024 * 1024
"""One read of a plain copy: large enough to hide the system call, small enough to hold in memory."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

DAMAGE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
"""What a file system answers for bytes that the disk has lost, or that its own sums do not fit any more."""

LABEL = "user.mountfs.label"
"""The extended attribute that keeps a label."""

_CANNOT_COPY_IN_KERNEL = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY}
)
"""copy_file_range(2) across file systems, on one that has no such call, or under a seccomp filter."""


def _no_space(error: OSError) -> DiskFull:
    return DiskFull(f"the disk that keeps pending files is full: {error.strerror}")


class _FullIsNoSpace:
    """Makes DiskFull of a full disk. A generator would cost ten times as much, twice for each file."""

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise _no_space(error) from error


_FULL_IS_NO_SPACE = _FullIsNoSpace()


class RealDisk:
    """``ports.Disk`` on the machine's own file system."""

    def create(self, path: str) -> int:
        """A descriptor of a new file, readable and writable, mode 0600."""
        with _FULL_IS_NO_SPACE:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def create_unnamed(self, directory: str) -> int:
        """The same without a name, in the file system of *directory*: gone with its last descriptor."""
        with _FULL_IS_NO_SPACE:
            return os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)

    def name(self, fd: int, path: str) -> None:
        """Gives a file without a name one that is free: open(2), O_TMPFILE."""
        with _FULL_IS_NO_SPACE:
            # Any src_dir_fd will do: with one, Python follows the link to the file, as asked.
            os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)

    def open(self, path: str) -> int:
        """A descriptor of an existing file, readable and writable."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self, fd: int) -> None:
        os.close(fd)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Fewer bytes than *length* only at the end of the file."""
        data = os.pread(fd, length, offset)
        # Linux moves at most 2 GiB less a page in one call (read(2)), and a signal may cut one short.
        while data and len(data) < length:
            more = os.pread(fd, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        """All of *data*; NoSpace may leave a part of it written."""
        # The hot path of every copy into the mount: no context manager, no copy of the bytes.
        try:
            written = os.pwrite(fd, data, offset)
            while written < len(data):
                written += os.pwrite(fd, memoryview(data)[written:], offset + written)
        except OSError as error:
            if error.errno in _FULL:
                raise _no_space(error) from error
            raise

    def truncate(self, fd: int, size_bytes: int) -> None:
        with _FULL_IS_NO_SPACE:
            os.ftruncate(fd, size_bytes)

    def allocate(self, fd: int, size_bytes: int) -> None:
        """Takes up the space; where the file system cannot set it aside, by zeros (posix_fallocate(3))."""
        with _FULL_IS_NO_SPACE:
            os.posix_fallocate(fd, 0, size_bytes)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def link(self, source: str, target: str) -> None:
        """Gives a file a second name."""
        os.link(source, target)

    def inode(self, fd: int) -> tuple[int, int]:
        """The number of the file, which no other has while it is open, and how many names it has."""
        found = os.fstat(fd)
        return found.st_ino, found.st_nlink

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def copy(self, source_fd: int, target_fd: int, length: int, at: int = 0) -> None:
        """*length* bytes from *at* on, by reflink where the file system can; fewer if there are fewer.

        copy_file_range(2) makes the reflink itself on btrfs and XFS, so no FICLONE comes before it.
        """
        with _FULL_IS_NO_SPACE:
            stop = at + length
            try:
                while at < stop:
                    moved = os.copy_file_range(source_fd, target_fd, stop - at, at, at)
                    if not moved:
                        break  # the end of the file, or a file system that answers 0 for "cannot"
                    at += moved
            except OSError as error:
                if error.errno not in _CANNOT_COPY_IN_KERNEL:
                    raise
            while at < stop:
                piece = self.pread(source_fd, min(COPY_BYTES, stop - at), at)
                if not piece:
                    return
                self.pwrite(target_fd, piece, at)
                at += len(piece)

    def fdatasync(self, fd: int) -> None:
        # With delayed allocation the disk may turn out to be full only here.
        with _FULL_IS_NO_SPACE:
            os.fdatasync(fd)

    def sync_directory(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with _FULL_IS_NO_SPACE:
                os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, path: str) -> None:
        """Removes a file; one that is gone already is fine."""
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - the system call itself

    def rename(self, source: str, target: str) -> None:
        with _FULL_IS_NO_SPACE:
            os.rename(source, target)  # noqa: PTH104 - the system call itself

    def names(self, directory: str) -> list[str]:
        return os.listdir(directory)  # noqa: PTH208 - the system call itself

    def sizes(self, directory: str) -> dict[str, int]:
        """Bytes of each regular file in *directory*, by name; what vanishes meanwhile is left out."""
        found: dict[str, int] = {}
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    if entry.is_file(follow_symlinks=False):
                        found[entry.name] = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue
        return found

    def free_bytes(self, directory: str) -> int:
        """What an ordinary user may still fill."""
        state = os.statvfs(directory)
        return state.f_bavail * state.f_frsize

    def label(self, fd: int, text: str) -> bool:
        """Keeps *text* with the file; False where the file system cannot, or has no room."""
        try:
            os.setxattr(fd, LABEL, text.encode())
        except (OSError, UnicodeEncodeError):
            return False
        return True

    def label_of(self, path: str) -> str | None:
        """What ``label`` was given last; None: nothing, or it was not kept."""
        try:
            return os.getxattr(path, LABEL).decode(errors="replace")
        except OSError:
            return None
