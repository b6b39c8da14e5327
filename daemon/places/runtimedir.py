"""A private directory for control sockets."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from daemon.failure import Failure

LONGEST_SOCKET_PATH_BYTES = 107
"""sun_path has 108 bytes, the last one a zero; unix(7)."""


def socket_path(environ: Mapping[str, str], uid: int, pid: int) -> Path:
    """Where process *pid* listens: in the first candidate whose socket path is short enough.

    The name tells the process from those of other containers that see the mount. In most of these there is
    such a directory as well, and a process of the same number listens in it: number 1.

    The directory is made, for this user alone. Failure when it is not ours.
    """
    for directory in candidates(environ, uid):
        path = directory / f"{pid}-{_namespace()}.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH_BYTES and _is_possible(directory):
            make_private(directory, uid)
            return path
    raise Failure("no directory for the control socket: set XDG_RUNTIME_DIR to a short path of your own")


def process_at(socket: Path) -> int | None:
    """The number of the process that listens at *socket*; None: it has that number in another container."""
    number, _, namespace = socket.stem.partition("-")
    return int(number) if number.isdigit() and namespace == _namespace() else None


def _namespace() -> str:
    """The number of this process's PID namespace; namespaces(7)."""
    try:
        return "".join(filter(str.isdecimal, os.readlink("/proc/self/ns/pid")))  # noqa: PTH115 - of no file
    except OSError:  # /proc is not mounted
        return "0"


def candidates(environ: Mapping[str, str], uid: int) -> list[Path]:
    """The service manager's directory, the session's, the system's for root, the temporary one."""
    found = [Path(path) for path in environ.get("RUNTIME_DIRECTORY", "").split(":") if path]
    if session := environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(session) / "mountfs")
    if uid == 0:
        # Not /run/mountfs: systemd makes that for what the unit has in it, open to all.
        found.append(Path("/run/mountfs-0"))
    found.append(Path(tempfile.gettempdir()) / f"mountfs-{uid}")
    return [path for path in found if path.is_absolute()]


def _is_possible(directory: Path) -> bool:
    return os.access(directory if directory.exists() else directory.parent, os.W_OK | os.X_OK)


def make_private(directory: Path, uid: int) -> None:
    """Makes *directory* with mode 0700; an existing one must be ours and closed to others.

    In a shared temporary directory somebody else may have taken the name first, or put a link there.
    """
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise Failure(
            f"{directory}: cannot make the directory for the control socket: {error.strerror}"
        ) from None
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise Failure(
            f"{directory}: must be a directory of this user with mode 700; remove it or run chmod 700"
        )
