"""Becomes the first process of its own name spaces: makes the machine's state private, then is systemd.

Run as ``unshare --mount --pid ... python boot.py KEEP...``: everything systemd or a service writes goes
to fresh tmpfs mounts, and each KEEP, a directory that would disappear below one of them, stays visible.
"""

import os
import subprocess
import sys
from pathlib import Path

PRIVATE = ("/tmp", "/var/tmp", "/run")
"""A booting systemd empties these; never let it have the machine's own."""

PRIVATE_STATE = (
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
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
    "sys-fs-fuse-connections.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
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
)
"""Units that would change the real machine: its kernel, its clock, its files."""

TARGET = """
[Unit]
Description=Just enough of a machine for one service
Requires=basic.target
After=basic.target
AllowIsolate=yes
"""


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def is_hidden(path: Path) -> bool:
    return any(path.is_relative_to(private) for private in PRIVATE)


def main(kept: list[str]) -> None:
    mount("--make-rprivate", "/")
    # A descriptor still leads to what /tmp held when something else is mounted there.
    hidden = [(path, os.open(path, os.O_PATH)) for path in map(Path, kept) if is_hidden(path)]
    for private in PRIVATE:
        mount("-t", "tmpfs", "-o", "mode=755" if private == "/run" else "mode=1777", "tmpfs", private)
    for path, descriptor in hidden:
        path.mkdir(parents=True, exist_ok=True)
        order = ["mount", "--no-canonicalize", "--bind", f"/proc/self/fd/{descriptor}", str(path)]
        subprocess.run(order, check=True, pass_fds=(descriptor,))
        os.close(descriptor)
    for private in PRIVATE_STATE:
        Path(private).mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", private)
    Path("/run/lock").mkdir()
    journald = Path("/run/systemd/journald.conf.d/machine.conf")
    journald.parent.mkdir(parents=True)
    journald.write_text("[Journal]\nReadKMsg=no\nAudit=no\n")
    units = Path("/etc/systemd/system")
    for unit in MASKED:
        (units / unit).symlink_to("/dev/null")
    (units / "machine.target").write_text(TARGET)
    mount("-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
    arguments = ["systemd", "--system", "--unit=machine.target", "--log-target=console", "--log-level=notice"]
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "container": "test",
    }
    os.execve("/lib/systemd/systemd", arguments, environment)


if __name__ == "__main__":
    main(sys.argv[1:])
