"""Whether a file can be looked at: what lies on a mountfs mount that hangs would never answer.

Who waits there cannot be ended either (``daemon.places.outside``). A configuration may be a link into a
mounted folder of dot files; a list, a secret or a certificate may lie in one.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from daemon.failure import Failure
from daemon.places import outside
from daemon.places.mounttable import MountEntry, mount_above, read_mounts, resolved
from daemon.printable import quoted

_PROBE = "user.mountfs.answers"
"""Nobody has it; that it is not there, only the mount's process can say."""
DEAD = (errno.ENOTCONN, errno.ECONNABORTED)
"""What a FUSE mount answers when the process behind it has ended."""


def check_answers(path: Path, mounts: Sequence[MountEntry] | None = None) -> None:
    """Failure when *path*, which need not exist, is on a mountfs mount that hangs or is dead."""
    table = read_mounts() if mounts is None else mounts
    if not any(entry.is_ours for entry in table):
        return
    try:
        entry = mount_above(resolved(path, table), table)
    except TimeoutError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    except OSError:  # the working directory is gone, or links lead nowhere
        return
    if entry is None or not entry.is_ours:
        return
    where = "" if path == entry.mountpoint else f"{path}: lies on "
    try:
        outside.xattr(entry.mountpoint, _PROBE, outside.PATIENCE_S)
    except TimeoutError:
        raise Failure(f"{where}{silence(entry.mountpoint)}") from None
    except OSError as error:
        if error.errno in DEAD:
            raise Failure(f"{where}{death(entry.mountpoint)}") from None


def silence(mountpoint: Path) -> str:
    """What is said of a mount that hangs."""
    return (
        f"{mountpoint}: the mount does not answer; if that lasts, end its process, which keeps what is "
        f"pending, and run mountfs umount {quoted(mountpoint)}"
    )


def death(mountpoint: Path) -> str:
    """What is said of a mount whose process has ended."""
    return (
        f"{mountpoint}: its mountfs process has ended; what was pending is kept. "
        f"Run mountfs umount {quoted(mountpoint)}, then mount again"
    )
