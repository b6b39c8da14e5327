"""The units of systemd, and the programs that mount(8) and umount(8) call: as text."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

MARK = "Written by mountfs install-service"
"""In each file that may be written anew; one without it is somebody else's, or was changed on purpose."""

WITH_STEPS = 254
"""The version of systemd that has RestartSteps= and ImportCredential=."""

UNIT = "mountfs@.service"
MOUNT_HELPER = "mount.fuse.mountfs"
UMOUNT_HELPER = "umount.fuse.mountfs"

_SYSTEM = """\
# {mark}, and again by each run of it.
# Changes belong into `systemctl edit mountfs@NAME`.
#
# `systemctl enable --now mountfs@NAME` mounts what [mounts.NAME] in /etc/mountfs/mountfs.toml says:
#
#   [mounts.NAME]
#   remote = "work:/Scans"
#   mountpoint = "/mnt/scans"
#
# Secrets that are not to stand in that file:
# `mountfs --config /etc/mountfs/mountfs.toml login work --store systemd` puts them into /etc/credstore.
#
# Never add a setting that gives the unit a mount name space of its own (PrivateTmp=, ProtectSystem=,
# ProtectHome=, PrivateDevices=, ProtectKernelTunables=, ...): nobody else would see the mount.
# With User= it mounts by fusermount3, which has to become root: add NoNewPrivileges=no, RestrictSUIDSGID=no,
# SystemCallFilter= and CapabilityBoundingSet=~ beside it.
[Unit]
Description=mountfs mount %i
Wants=network-online.target
After=network-online.target
# What is pending is sent however long the service was away: no count of starts ends that.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} --config /etc/mountfs/mountfs.toml mount --instance %i
StateDirectory=mountfs
StateDirectoryMode=0700
RuntimeDirectory=mountfs/%i
RuntimeDirectoryMode=0700
{lifetime}
{credentials}
# The mount has to be seen by all, so only what needs no mount name space is taken away.
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_SYS_ADMIN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_CHOWN CAP_FOWNER CAP_KILL
DevicePolicy=closed
DeviceAllow=/dev/fuse rw
SystemCallArchitectures=native
SystemCallFilter=@system-service @mount
SystemCallErrorNumber=EPERM
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
ProtectClock=yes
ProtectHostname=yes
KeyringMode=private

[Install]
WantedBy=multi-user.target
"""

_USER = """\
# {mark} --user, and again by each run of it.
# Changes belong into `systemctl --user edit mountfs@NAME`.
#
# `systemctl --user enable --now mountfs@NAME` mounts what [mounts.NAME] in ~/.config/mountfs/mountfs.toml
# says, while you are logged in; after `loginctl enable-linger` from the start of the machine on.
[Unit]
Description=mountfs mount %i
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} mount --instance %i
RuntimeDirectory=mountfs/%i
RuntimeDirectoryMode=0700
{lifetime}
# fusermount3 has to become root for the mount: nothing that sets no_new_privs, as NoNewPrivileges= does and,
# in a systemd of a user, LockPersonality=, SystemCallFilter= and all else that is done by seccomp.

[Install]
WantedBy=default.target
"""

_LIFETIME = """\
UMask=0077
LimitNOFILE=65536
# Only the main process hears of the stop: it drains, and a stand-in it started must outlive the drain.
KillMode=mixed
TimeoutStartSec=150
# The default drain_timeout and the time to unmount; a longer drain that advances asks for more itself.
TimeoutStopSec=330
# Fed while the mount answers and what is pending is worked on.
WatchdogSec=120
Restart=on-failure
{restart}
# 2: what only a person can mend. 3: a stop left changes journaled; the next start sends them.
RestartPreventExitStatus=2
SuccessExitStatus=3"""

_STEPS = """\
# After 5 s at first, and ten steps later every five minutes.
RestartSec=5
RestartSteps=10
RestartMaxDelaySec=300"""
_NO_STEPS = "RestartSec=15"

_IMPORT = """\
# Secrets in /etc/credstore whose names begin like this; `mountfs login --store systemd` puts them there.
ImportCredential=mountfs.*"""
_NO_IMPORT = "# `mountfs login --store systemd` says which LoadCredential= to add to which unit."

_HELPER = """\
#!/bin/sh
# {mark}. {what}
exec {program} {command} "$@"
"""


def unit(program: str, version: int, *, is_user: bool) -> str:
    """The template unit. *program*: as ExecStart= has it; *version*: of systemd."""
    has_steps = version >= WITH_STEPS
    lifetime = _LIFETIME.format(restart=_STEPS if has_steps else _NO_STEPS)
    text = _USER if is_user else _SYSTEM
    credentials = _IMPORT if has_steps else _NO_IMPORT
    return text.format(mark=MARK, program=_escaped(program), lifetime=lifetime, credentials=credentials)


def helper(program: str, command: str, what: str) -> str:
    """A script for mount(8) or umount(8), which look for one by the type of the file system."""
    return _HELPER.format(mark=MARK, what=what, program=shlex.quote(program), command=command)


def helpers(program: str) -> dict[str, str]:
    """Name -> text."""
    mounting = "mount(8) runs it for `mount -t fuse.mountfs work: /mnt` and for lines of fstab(5)."
    leaving = "umount(8) runs it, so that `umount /mnt` returns when all is committed."
    return {
        MOUNT_HELPER: helper(program, "mount-helper", mounting),
        UMOUNT_HELPER: helper(program, "umount-helper", leaving),
    }


def version_in(output: str) -> int:
    """Of systemd, in what `systemctl --version` prints; 0: it tells none."""
    match = re.match(r"systemd (\d+)", output)
    return int(match[1]) if match else 0


def may_replace(path: Path) -> bool:
    """Whether nothing stands at *path*, or what ``install-service`` put there."""
    try:
        return MARK in path.read_text()
    except FileNotFoundError:
        return True
    except (OSError, UnicodeDecodeError):
        return False


def _escaped(program: str) -> str:
    """As systemd.service(5) wants it: specifiers and variables doubled, and spaces in quotes."""
    doubled = program.replace("%", "%%").replace("$", "$$")
    return f'"{doubled}"' if re.search(r"\s", doubled) else doubled
