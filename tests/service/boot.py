"""Becomes the first process of its own name spaces: makes the machine's state private, then is systemd.

Run as ``unshare --mount --pid ... python boot.py DISK KEEP...``: everything systemd or a service writes goes
to fresh tmpfs mounts, or what outlives a boot into the directory DISK, if that is not empty. Each KEEP, a
directory that would disappear below one of them, stays visible.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PRIVATE = ("/tmp", "/var/tmp", "/run")
"""A booting systemd empties these; never let it have the machine's own."""

PRIVATE_STATE = (
    "/etc/credstore",
    "/etc/systemd/system",
    "/etc/mountfs",
    "/usr/local/sbin",
    "/var/lib/mountfs",
    "/var/lib/systemd",
    "/var/log/journal",
)

MASKED = (
    "dbus.service",
    "dbus.socket",
    "getty.target",
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
    "sys-fs-fuse-connections.mount",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-logind.service",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-sysctl.service",
    "systemd-sysusers.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-user-sessions.service",
)
"""Units that would change the real machine: its kernel, its clock, its files."""

TARGET_NAME = "multi-user.target"
TARGET = """
[Unit]
Description=Just enough of a machine for one service
Requires=basic.target
After=basic.target
AllowIsolate=yes
"""


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def cover_programs() -> None:
    """/usr/sbin, where a test may install helpers of mount(8), becomes a copy; and /dev/fuse one that every
    user may open, as on a desktop."""
    copy = Path("/run/machine/sbin")
    shutil.copytree("/usr/sbin", copy, symlinks=True)
    mount("--bind", str(copy), "/usr/sbin")
    if Path("/dev/fuse").exists():
        number = Path("/dev/fuse").stat().st_rdev
        os.mknod("/run/machine/fuse", 0o20666, number)
        Path("/run/machine/fuse").chmod(0o666)
        mount("--bind", "/run/machine/fuse", "/dev/fuse")


def barred(path: Path) -> str | None:
    """The uppermost directory on the way to *path* that ordinary users may not pass; None where one is
    covered anyway."""
    ways = [*path.parents][::-1]
    if any(str(way) in PRIVATE for way in ways):
        return None
    return next((str(way) for way in ways if not way.stat().st_mode & 0o001), None)


def make_private(path: str, disk: str) -> None:
    """Covers *path* with something empty, or with what the machine left there at its last boot."""
    Path(path).mkdir(parents=True, exist_ok=True)
    if disk:
        kept = Path(disk) / path.lstrip("/")
        kept.mkdir(parents=True, exist_ok=True)
        mount("--bind", str(kept), path)
    else:
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", path)


def main(disk: str, kept: list[str]) -> None:
    mount("--make-rprivate", "/")
    covered = {*PRIVATE, *filter(None, map(barred, map(Path, kept)))}
    # A descriptor still leads to what /tmp held when something else is mounted there.
    hidden = [
        (path, os.open(path, os.O_PATH))
        for path in map(Path, kept)
        if any(path.is_relative_to(each) for each in covered)
    ]
    for private in sorted(covered):
        mount("-t", "tmpfs", "-o", "mode=1777" if "tmp" in private else "mode=755", "tmpfs", private)
    for path, descriptor in hidden:
        path.mkdir(parents=True, exist_ok=True)
        order = ["mount", "--no-canonicalize", "--bind", f"/proc/self/fd/{descriptor}", str(path)]
        subprocess.run(order, check=True, pass_fds=(descriptor,))
        os.close(descriptor)
    # As it is on every machine that is no container: the manager mounts credentials in a name space of its
    # own, and they have to be seen outside of that.
    mount("--make-shared", "/run")
    for private in PRIVATE_STATE:
        make_private(private, disk)
    cover_programs()
    Path("/run/lock").mkdir()
    journald = Path("/run/systemd/journald.conf.d/machine.conf")
    journald.parent.mkdir(parents=True)
    journald.write_text("[Journal]\nReadKMsg=no\nAudit=no\n")
    units = Path("/etc/systemd/system")
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    (units / TARGET_NAME).write_text(TARGET)
    mount("-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
    arguments = ["systemd", "--system", f"--unit={TARGET_NAME}", "--log-target=journal", "--log-level=notice"]
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "container": "test",
    }
    os.execve("/lib/systemd/systemd", arguments, environment)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
