"""The directory a mount covers: is it fit, does the mount answer, how does it go away."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Self

from daemon.control.client import socket_of
from daemon.control.protocol import SOCKET_XATTR
from daemon.failure import EXIT_FOR_A_PERSON, Failure
from daemon.places import answering, outside
from daemon.places.holders import holder_of
from daemon.places.mounttable import MountEntry, mount_at, read_mounts, resolved
from daemon.places.ownership import LASTING, refusal
from daemon.places.runtimedir import process_at
from daemon.printable import quoted

LOG = logging.getLogger(__name__)

DEV_FUSE = Path("/dev/fuse")
FUSE_CONF = Path("/etc/fuse.conf")
AUTOMOUNT = "autofs"
"""What x-systemd.automount puts there, for something to be mounted over it (autofs(5))."""
_UNMOUNT_TIMEOUT_S = 30.0
CAP_SYS_ADMIN = 21
"""Its bit in the sets of /proc/PID/status; capabilities(7), <linux/capability.h>."""


def absolute(path: Path) -> Path:
    """*path* without symbolic links, as the kernel's table spells it; its last part need not exist. Failure
    where its links lead in circles."""
    try:
        return resolved(path, read_mounts())
    except OSError as error:
        what = f"{path}: {error.strerror}; choose another directory"
        raise Failure(what, EXIT_FOR_A_PERSON) from None


def prepare(path: Path) -> Path:
    """The absolute mount point, if a mount may cover it; Failure says why not.

    What a killed mountfs left there is taken away first.
    """
    target = absolute(path)
    if is_dead(target):
        entry = mount_at(target, read_mounts())
        if entry is None or not entry.is_ours:
            raise Failure(f"{path}: a dead mount of another program covers it; unmount that first")
        LOG.warning("taking away the dead mount at %s", target)
        detach(target)
    _check_free(path, target)
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        what = f"{path}: the mount point does not exist; run: mkdir -p {quoted(path)}"
        raise Failure(what, EXIT_FOR_A_PERSON) from None
    except OSError as error:
        what = f"{path}: cannot use the mount point: {error.strerror}; choose another directory"
        raise Failure(what, EXIT_FOR_A_PERSON if error.errno in LASTING else 1) from None
    if not stat.S_ISDIR(mode):
        what = f"{path}: the mount point is not a directory; choose an empty one"
        raise Failure(what, EXIT_FOR_A_PERSON)
    # fusermount3 asks the same of everybody but root, who may mount in a read-only file system.
    needed = os.R_OK | os.X_OK | (os.W_OK if os.geteuid() else 0)
    if not os.access(target, needed):
        what = f"{path}: the mount point {refusal(target)}; choose a directory of your own"
        raise Failure(what, EXIT_FOR_A_PERSON)
    with os.scandir(target) as entries:
        if next(entries, None) is not None:
            what = f"{path}: the mount point is not empty; choose an empty directory"
            raise Failure(what, EXIT_FOR_A_PERSON)
    return target


class Reservation:
    """Keeps other processes from mounting on a directory until a mount stands there: two that begin at once
    would both find it free, and one would cover the other. A flock(2) on the directory below the mount, which
    the kernel lets go of when the process dies."""

    def __init__(self, target: Path) -> None:
        """*target* as ``prepare`` returned it. Failure when somebody else was first."""
        self._fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # In this order: a mount that came before the directory was opened is in the table by now.
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _check_free(target, target)
        except BlockingIOError:
            who = holder_of(self._fd)
            self.release()
            raise Failure(
                f"{target}: another mountfs{who} is just being mounted here; choose another directory"
            ) from None
        except BaseException:
            self.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()

    def release(self) -> None:
        """Others may look: they find the mount, or a directory that is free. Harmless when it is done."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _check_free(path: Path, target: Path) -> None:
    entry = mount_at(target, read_mounts())
    if entry is not None and entry.kind != AUTOMOUNT:
        what = "mountfs already" if entry.is_ours else f"another file system ({entry.kind})"
        whose = _whose(entry) if entry.is_ours else ""
        raise Failure(f"{path}: {what} is mounted here{whose}; unmount it first or choose another directory")


def _whose(entry: MountEntry) -> str:
    """The remote, and the process, whose control socket has its number."""
    try:
        number = process_at(socket_of(entry.mountpoint))
    except Failure:
        number = None
    process = "" if number is None else f", process {number}"
    return f" ({entry.source}{process})"


def is_dead(path: Path) -> bool:
    """Whether *path* is covered by a mount whose process has ended; Failure when it does not say."""
    try:
        outside.xattr(path, SOCKET_XATTR, outside.PATIENCE_S)
    except TimeoutError:
        raise Failure(f"{path}: what is mounted here does not answer; unmount that first") from None
    except OSError as error:
        return error.errno in answering.DEAD
    return False


def check_fuse(allow_other: bool) -> None:
    """Failure when this machine or user cannot mount by FUSE at all."""
    if not DEV_FUSE.exists():
        raise Failure(
            "/dev/fuse is missing: load the kernel module (modprobe fuse), or give it to the container",
            EXIT_FOR_A_PERSON,
        )
    if not os.access(DEV_FUSE, os.R_OK | os.W_OK):
        what = f"{DEV_FUSE}: cannot be opened by this user; have root run: chmod a+rw {DEV_FUSE}"
        raise Failure(what, EXIT_FOR_A_PERSON)
    if os.geteuid() == 0:
        if not may_mount():
            what = "root may not mount here (CAP_SYS_ADMIN); start the container with --cap-add SYS_ADMIN"
            raise Failure(what, EXIT_FOR_A_PERSON)
        return
    if shutil.which("fusermount3") is None and shutil.which("fusermount") is None:
        raise Failure("fusermount3 is missing; install the package fuse3", EXIT_FOR_A_PERSON)
    if allow_other and not _has_user_allow_other(FUSE_CONF):
        what = "-o allow_other: only root may, unless /etc/fuse.conf has the line user_allow_other"
        raise Failure(what, EXIT_FOR_A_PERSON)


def may_mount(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process has the right to mount, CAP_SYS_ADMIN, as root has it but for most containers.
    True where *status* does not tell."""
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return True
    effective = [line.split()[1] for line in lines if line.startswith("CapEff:")]
    return not effective or bool(int(effective[0], 16) >> CAP_SYS_ADMIN & 1)


def _has_user_allow_other(config: Path) -> bool:
    try:
        return "user_allow_other" in (line.strip() for line in config.read_text().splitlines())
    except OSError:
        return False


class SystemKernel:
    """``lifecycle.Kernel`` on this machine."""

    def is_mounted(self, mountpoint: Path) -> bool:
        """Whether a mountfs mount is on *mountpoint*, dead or alive."""
        entry = mount_at(mountpoint, read_mounts())
        return entry is not None and entry.is_ours

    def answers(self, mountpoint: Path) -> bool:
        """Whether the mount is there and answers; blocks for as long as it does not."""
        if not self.is_mounted(mountpoint):
            return False
        try:
            outside.xattr(mountpoint, SOCKET_XATTR)
        except OSError as error:
            return error.errno in (errno.ENOTSUP, errno.ENOSYS, errno.ENODATA)
        return True

    def unmount(self, mountpoint: Path) -> None:
        """Takes the mount away; from the name space at once when somebody is still inside."""
        if not unmount(mountpoint, is_lazy=False):
            LOG.warning("%s is busy; it disappears now and ends when its last user leaves", mountpoint)
            detach(mountpoint)


def detach(mountpoint: Path) -> None:
    """Takes a mount out of sight at once, busy or dead. Failure."""
    if not unmount(mountpoint, is_lazy=True):
        raise Failure(f"{mountpoint}: cannot unmount; run: fusermount3 -uz {quoted(mountpoint)}")


def take_away(mountpoint: Path) -> None:
    """Takes a mount away in which nobody is. Failure."""
    if not unmount(mountpoint, is_lazy=False):
        why = f"is busy, or not yours to unmount; run: umount -i {quoted(mountpoint)}"
        raise Failure(f"{mountpoint}: {why}")


def unmount(mountpoint: Path, *, is_lazy: bool) -> bool:
    """Asks fusermount, or umount as root; False when it said no."""
    flags = "-uz" if is_lazy else "-u"
    orders = [[program, flags, "--", str(mountpoint)] for program in ("fusermount3", "fusermount")]
    if os.geteuid() == 0:
        # -i: without the helper of our own, which would ask us to unmount. -c: without stat(2) and statfs(2)
        # of the mount, which may hang.
        orders.append(["umount", "-i", "-c", *(["-l"] if is_lazy else []), str(mountpoint)])
    for order in orders:
        if shutil.which(order[0]) is None:
            continue
        try:
            done = subprocess.run(
                order,
                capture_output=True,
                text=True,
                timeout=_UNMOUNT_TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            LOG.debug("%s: %s", order[0], error)
            continue
        if done.returncode == 0:
            return True
        LOG.debug("%s: %s", order[0], done.stderr.strip())
    return False
