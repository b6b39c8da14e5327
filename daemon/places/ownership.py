"""Who can change a file that we rely on: nobody but this user and root, as ssh wants it of its keys.

Who can write the configuration chooses where tokens go; who can write the state directory, what is sent; and
who can write a folder above either puts another in its place. The rule is that of sshd's StrictModes
(sshd_config(5)), with Debian's exception: a group that is the owner's alone counts as the owner.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

from daemon.printable import quoted

ROOT_UID = 0
LASTING = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG),
        *(errno.ELOOP, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP),
    }
)
"""What is wrong with a place itself. Anything else may pass, such as EIO of a disk, ESTALE of a file system
on the network, ENOMEM, a full disk."""
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def complaint(path: Path, uid: int, *, may_be_roots: bool = False) -> str | None:
    """What lets another user than *uid* change *path*, and what to do about it; None: nothing does.

    *may_be_roots*: it may belong to root as well. What is missing is no reason.
    """
    for above in _folders_above(path):
        found = _status(above)
        if found is None:
            continue
        if stat.S_ISLNK(found.st_mode):
            wrong = None if found.st_uid in (uid, ROOT_UID) else _foreign(above, found, uid)
        elif not stat.S_ISDIR(found.st_mode) or found.st_mode & stat.S_ISVTX:
            wrong = None  # what is ours in a sticky one only we can rename: sticky(7)
        else:
            wrong = _wrong(above, found, uid, (uid, ROOT_UID))
        if wrong is not None:
            return wrong
    try:
        found = path.stat()
    except OSError:
        return None
    return _wrong(path, found, uid, (uid, ROOT_UID) if may_be_roots else (uid,))


def make_private(directory: Path) -> None:
    """Makes *directory*, and what is missing above it, for this user alone, whatever the umask: with that of
    others in it, ``complaint`` would refuse what we made ourselves. OSError."""
    if not directory.is_dir():
        if not directory.parent.exists():
            make_private(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def unwritable(directory: Path) -> str | None:
    """Why nothing can be kept in *directory*; None: it can be, if only once there is room. It is tried, for
    access(2) tells nothing of what a file system, such as proc(5), takes from root, nor of a disk in trouble.
    OSError: what may pass."""
    try:
        Path(mkdtemp(prefix=".mountfs-", dir=directory)).rmdir()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS):
            return refusal(directory)
        if error.errno in LASTING:
            return f"keeps nothing: {error.strerror}"
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
    return None if os.access(directory, os.R_OK | os.X_OK) else refusal(directory)


def refusal(directory: Path) -> str:
    """Why nothing can be written into *directory*, which access(2) has said."""
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        return "is on a file system that is mounted read-only"
    return "is not writable for this user"


def is_others(found: os.stat_result, uid: int) -> bool:
    """Whether what has the status *found* belongs to another user than *uid*, or others can write to it."""
    return _wrong(Path(), found, uid, (uid,)) is not None


def _wrong(path: Path, found: os.stat_result, uid: int, owners: tuple[int, ...]) -> str | None:
    if found.st_uid not in owners:
        return _foreign(path, found, uid)
    # What is written to a device, such as /dev/null, is not what is read from it.
    writers = 0 if stat.S_ISCHR(found.st_mode) else found.st_mode & _WRITABLE
    if writers & stat.S_IWGRP and _is_owners_alone(found.st_gid, found.st_uid):
        writers &= ~stat.S_IWGRP
    return f"others may write to {path}; run: chmod go-w {quoted(path)}" if writers else None


def _foreign(path: Path, found: os.stat_result, uid: int) -> str:
    owner, user = _name(found.st_uid), _name(uid)
    return f"{path} belongs to {owner}; choose a place of your own, or run: chown {user} {quoted(path)}"


def _folders_above(path: Path) -> Iterator[Path]:
    """From the top down: those that the path names, links among them, and those where it leads."""
    given = Path(os.path.abspath(path))  # noqa: PTH100 - without following links, which are looked at too
    real = Path(os.path.realpath(path))
    seen = [*reversed(given.parents), *([given] if given.is_symlink() else []), *reversed(real.parents)]
    return iter(dict.fromkeys(seen))


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None


def _is_owners_alone(gid: int, uid: int) -> bool:
    """Whether the group is the private one that user *uid* got with the account (user-private groups)."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(uid)
    except KeyError:
        return False
    is_private = group.gr_name == user.pw_name and user.pw_gid == gid
    return is_private and set(group.gr_mem) <= {user.pw_name}


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
