"""Error class -> errno: the one place where a refusal gets its number."""

from __future__ import annotations

import errno

from mountfs import errors

ERRNO: dict[type[errors.MountfsError], int] = {
    errors.MountfsError: errno.EIO,
    errors.Refused: errno.EPERM,
    errors.NotFound: errno.ENOENT,
    errors.AlreadyExists: errno.EEXIST,
    errors.NotADirectory: errno.ENOTDIR,
    errors.IsADirectory: errno.EISDIR,
    errors.DirectoryNotEmpty: errno.ENOTEMPTY,
    errors.Forbidden: errno.EACCES,
    errors.Locked: errno.EACCES,
    errors.NotExecutable: errno.EACCES,
    errors.NotSignedIn: errno.EACCES,
    errors.NotPermitted: errno.EPERM,
    errors.NotSupported: errno.ENOTSUP,
    errors.CrossDevice: errno.EXDEV,
    errors.NoAttribute: errno.ENODATA,
    # setxattr(2) has E2BIG for what no file system takes; ext4 says this of what is too large for it.
    errors.AttributeTooLarge: errno.ENOSPC,
    errors.ReadOnly: errno.EROFS,
    errors.ShuttingDown: errno.EROFS,
    errors.NameNotAllowed: errno.EINVAL,
    errors.NameTooLong: errno.ENAMETOOLONG,
    errors.InvalidArgument: errno.EINVAL,
    errors.BadHandle: errno.EBADF,
    errors.NoSpace: errno.ENOSPC,
    errors.DiskFull: errno.ENOSPC,
    errors.TooLarge: errno.EFBIG,
    errors.TransferLimit: errno.EDQUOT,
    errors.Conflict: errno.ESTALE,
    # do_filp_open of the kernel looks the path up anew and opens it once more: nobody sees this number.
    errors.Stale: errno.ESTALE,
    errors.Resend: errno.EIO,
    errors.SessionLost: errno.EIO,
    errors.Corrupt: errno.EIO,
    errors.BatchRefused: errno.EIO,
    errors.RequestTooBig: errno.EIO,
    # EAGAIN would promise a non-blocking file; programs that see it on a regular file spin.
    errors.Transient: errno.EIO,
    errors.Offline: errno.EIO,
    errors.Unreachable: errno.EIO,
    errors.Throttled: errno.EIO,
    errors.Busy: errno.EIO,
    errors.ServerFault: errno.EIO,
    errors.NotPassedOn: errno.EIO,
    errors.DiskTrouble: errno.EIO,
    errors.CalledOff: errno.EIO,
    errors.Internal: errno.EIO,
}


OF_NAMES = frozenset(
    {
        *(errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY),
        *(errno.ELOOP, errno.ENAMETOOLONG, errno.EXDEV, errno.ESTALE),
    }
)
"""What the local disk says of a name in the state directory. A program would take it for its own file's: told
ENOENT of a pending file whose bytes the disk has lost, it begins a new one."""


def errno_of(error: BaseException) -> int:
    """The number for *error*: by its nearest class in ERRNO, its own for an OSError that is not about a name,
    else EIO."""
    if isinstance(error, errors.MountfsError):
        kind = type(error)
        return ERRNO.get(kind) or next(ERRNO[each] for each in kind.__mro__ if each in ERRNO)
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return errno.EIO if error.errno in OF_NAMES else error.errno
    return errno.EIO


def is_expected(error: BaseException) -> bool:
    """Whether the errno tells the whole story, so that no line in the log is due."""
    if isinstance(error, errors.NotExecutable):
        return True
    known = isinstance(error, errors.MountfsError | OSError)
    return known and errno_of(error) not in (errno.EIO, errno.EACCES)
