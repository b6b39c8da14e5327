"""What may be wrong with this machine, check by check, and how to mend it: the first half of the doctor."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import resource
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.options import MountOptions
from daemon.control.client import DeadMount, all_mounts, socket_of
from daemon.control.status import in_bytes, plural
from daemon.failure import Failure
from daemon.places import ownership
from daemon.places.answering import check_answers
from daemon.places.mounttable import MountEntry, mount_above, read_mounts
from daemon.places.statedir import StateDir
from daemon.printable import quoted
from daemon.process.mountpoint import may_mount

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 35)
OLDEST_LIBFUSE = 29
"""2.9, by fuse_version(3)."""
FEW_FILES = 1024
"""Descriptors: each file that is open for writing takes one."""
SPARE_BYTES = 512 * 1024 * 1024
"""With less than that free, writes are slowed, and then refused."""
FORGETFUL = frozenset({"tmpfs", "ramfs"})
REMOTE_DISKS = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "gluster")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: *mend* says what to do, and is empty where nothing is wrong."""

    check: str
    what: str
    mend: str = ""

    @property
    def is_well(self) -> bool:
        return not self.mend


def _libfuse() -> int:
    """The version of libfuse 2, as fuse_version() tells it. OSError."""
    return int(ctypes.CDLL(ctypes.util.find_library("fuse") or "libfuse.so.2").fuse_version())


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine, as far as the checks look at it; tests bring their own."""

    uid: int = field(default_factory=os.geteuid)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    dev_fuse: Path = Path("/dev/fuse")
    fuse_conf: Path = Path("/etc/fuse.conf")
    libfuse: Callable[[], int] = _libfuse
    which: Callable[[str], str | None] = shutil.which
    may_mount: Callable[[], bool] = may_mount
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    mounts: Callable[[], list[MountEntry]] = read_mounts
    most_files: Callable[[], int] = lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    python: tuple[int, ...] = tuple(sys.version_info[:2])
    sqlite: tuple[int, ...] = sqlite3.sqlite_version_info


def device(machine: Machine) -> Finding:
    """/dev/fuse is there, and this user may open it."""
    try:
        mode = machine.dev_fuse.stat().st_mode
    except OSError:
        mend = "run: modprobe fuse; in a container: --device /dev/fuse --cap-add SYS_ADMIN"
        return Finding("/dev/fuse", "is missing", mend)
    if not stat.S_ISCHR(mode) or not os.access(machine.dev_fuse, os.R_OK | os.W_OK):
        return Finding("/dev/fuse", "cannot be opened by this user", f"run: chmod a+rw {machine.dev_fuse}")
    return Finding("/dev/fuse", "can be opened")


def libfuse(machine: Machine) -> Finding:
    """libfuse 2 can be loaded, and is new enough."""
    try:
        version = machine.libfuse()
    except (OSError, AttributeError) as error:
        mend = "install the package libfuse2, or libfuse2t64"
        return Finding("libfuse", f"version 2 cannot be loaded: {error}", mend)
    shown = f"{version // 10}.{version % 10}"
    if version < OLDEST_LIBFUSE:
        return Finding("libfuse", f"is version {shown}", "install libfuse 2.9")
    return Finding("libfuse", f"version {shown}")


def fusermount(machine: Machine) -> Finding:
    """Who is not root mounts by a program that is, and root by its own right."""
    found = machine.which("fusermount3") or machine.which("fusermount")
    if found is None:
        return Finding("fusermount", "is missing: nothing can be unmounted", "install the package fuse3")
    status = Path(found).stat()
    if machine.uid and not (status.st_mode & stat.S_ISUID and status.st_uid == 0):
        mend = f"reinstall the package fuse3, or run: chown root {found}; chmod u+s {found}"
        return Finding("fusermount", f"{found} does not run as root, so that you cannot mount", mend)
    if not machine.uid and not machine.may_mount():
        mend = "start the container with --cap-add SYS_ADMIN"
        return Finding("fusermount", "root may not mount here: it lacks CAP_SYS_ADMIN", mend)
    return Finding("fusermount", found)


def allow_other(machine: Machine, options: MountOptions) -> Finding:
    """What the configuration wants is allowed."""
    if not options.allow_other:
        return Finding("allow_other", "is off: a mount is only for the user who mounts it")
    try:
        words = {line.strip() for line in machine.fuse_conf.read_text().splitlines()}
    except OSError:
        words = set()
    if machine.uid and "user_allow_other" not in words:
        mend = f"have root add the line user_allow_other to {machine.fuse_conf}, or take allow_other away"
        return Finding("allow_other", "is wanted, and only root may give it", mend)
    return Finding("allow_other", "is wanted, and allowed")


def versions(machine: Machine) -> Iterator[Finding]:
    """Python and SQLite are new enough."""
    for name, found, oldest in (
        ("Python", machine.python, OLDEST_PYTHON),
        ("SQLite", machine.sqlite, OLDEST_SQLITE),
    ):
        shown = ".".join(map(str, found))
        wanted = ".".join(map(str, oldest))
        is_old = tuple(found[:2]) < oldest
        yield Finding(name, f"version {shown}", f"install {name} {wanted} or newer" if is_old else "")


def limits(machine: Machine) -> Finding:
    """Enough files may be open at a time."""
    most = machine.most_files()
    if most != resource.RLIM_INFINITY and most < FEW_FILES:
        mend = f"allow {FEW_FILES} or more: ulimit -Hn, LimitNOFILE= of a unit"
        return Finding("open files", f"at most {most} at a time", mend)
    return Finding("open files", "enough may be open at a time")


def authorities(machine: Machine) -> Finding:
    """The certificates that the environment names are there."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = machine.environ.get(name)
        if path and not _is_readable(path):
            mend = f"name a file with your network's authorities in {name}, or unset it"
            return Finding("certificates", f"{name}={path} cannot be read", mend)
    return Finding("certificates", "those of the system, or as named")


def _is_readable(path: str) -> bool:
    try:
        check_answers(Path(path))
    except Failure:
        return False
    return os.access(path, os.R_OK)


def permissions(machine: Machine, state_dir: Path) -> Finding:
    """The state directory is ours, and nobody else's to change."""
    existing = next(each for each in (state_dir, *state_dir.parents) if each.exists())
    wrong = ownership.complaint(state_dir, machine.uid)
    if wrong is not None:
        return Finding("permissions", f"{state_dir}: {wrong}", "make it yours alone, or name another one")
    try:
        why_not = ownership.unwritable(existing)
    except OSError as error:
        return Finding("permissions", f"{existing} keeps nothing: {error.strerror}", "look at its disk")
    if why_not is not None:
        mend = "choose another with state_dir = in the configuration, or -o state_dir=DIR"
        return Finding("permissions", f"{existing} {why_not}", mend)
    return Finding("permissions", f"{state_dir} is yours alone")


def space(machine: Machine, state_dir: Path) -> Finding:
    """There is room for what is pending."""
    existing = next(each for each in (state_dir, *state_dir.parents) if each.exists())
    free = machine.free_bytes(existing)
    if free < SPARE_BYTES:
        mend = f"free some space on the disk of {existing}, or move state_dir to another"
        return Finding("space", f"{in_bytes(free)} are free where pending bytes are kept", mend)
    return Finding("space", f"{in_bytes(free)} are free where pending bytes are kept")


def disk(machine: Machine, state_dir: Path) -> Finding:
    """What is pending is kept on a disk that keeps it, and that locks files."""
    entry = mount_above(Path(os.path.realpath(state_dir)), machine.mounts())
    kind = entry.kind if entry is not None else "unknown"
    if kind in FORGETFUL:
        mend = "move state_dir to a disk"
        return Finding(
            "disk", f"{state_dir} is in memory ({kind}): a restart of the machine empties it", mend
        )
    if kind.startswith(REMOTE_DISKS):
        mend = "move state_dir to a local disk"
        return Finding("disk", f"{state_dir} is on {kind}, which loses locks and is slow to sync", mend)
    return Finding("disk", f"{state_dir} is on {kind}")


def running(mounts: list[MountEntry], ask: Callable[[Path], object]) -> Iterator[Finding]:
    """Mounts whose process has ended, hangs, or is of another age. *ask*: for its status. Failure."""
    for place in all_mounts(mounts):
        try:
            socket_of(place)
        except DeadMount:
            mend = f"run: mountfs umount {quoted(place)}, then mount it again; what is pending is kept"
            yield Finding("mounts", f"{place}: its process has ended", mend)
        except Failure as failure:
            mend = f"if that lasts: end its process, then run: mountfs umount {quoted(place)}"
            yield Finding("mounts", str(failure), mend)
        else:
            yield _age(place, ask)


def _age(place: Path, ask: Callable[[Path], object]) -> Finding:
    try:
        ask(place)
    except Failure as failure:
        mend = "if it is of another version of mountfs: unmount it, and mount it again with this one"
        return Finding("mounts", str(failure), mend)
    return Finding("mounts", f"{place} answers")


def strays(state_dir: Path) -> Iterator[Finding]:
    """What waits for a mount of an account that no remote leads to, and files that nothing names."""
    for each in StateDir(state_dir).all_pending():
        if not each.remotes:
            what = f"{plural(each.count, 'change')} of account {each.account}, which no remote leads to"
            yield Finding("strays", what, "sign in to that account and mount it: they are sent then")
    for aside in sorted(state_dir.glob("accounts/*/slot-*/spool-set-aside")):
        if count := sum(1 for _ in aside.iterdir()):
            what = f"{aside}: {plural(count, 'file')} of lost changes"
            yield Finding("strays", what, "look at them, take what you need, then remove them")
