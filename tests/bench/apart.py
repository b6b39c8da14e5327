"""Runs a command where the services' hosts are this machine: ``python -m tests.bench.apart COMMAND...``, as
root.

/etc/hosts of a mount namespace of its own leads them to 127.0.0.1, where in a network namespace of its own
port 443 is free, and nothing leaves the machine. So no proxy, which costs processor time, stands between
the sandbox and clients that have the hosts built in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.hosts import HOSTS

PORT = 443
_MARK = "MOUNTFS_BENCH_IS_APART"
_BEGIN = 'ip link set lo up; mount --bind "$0" /etc/hosts; rm "$0"; exec "$@"'


def is_apart() -> bool:
    """Whether this process is run so."""
    return _MARK in os.environ


def can_be_apart() -> bool:
    """Whether this process may run a command so: as root, where no container forbids it."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "ip", "mount"))):
        return False
    return subprocess.run(["unshare", "--mount", "--net", "true"], stderr=subprocess.DEVNULL).returncode == 0


def become_apart(command: Sequence[str]) -> None:
    """Runs *command* so in place of this process."""
    descriptor, name = tempfile.mkstemp()
    os.close(descriptor)
    names = ["localhost", *(host for hosts in HOSTS.values() for host in hosts)]
    Path(name).write_text("".join(f"127.0.0.1 {each}\n" for each in names))
    order = ["unshare", "--mount", "--net", "sh", "-ec", _BEGIN, name, *command]
    os.execvpe(order[0], order, {**os.environ, _MARK: "1"})


if __name__ == "__main__":
    become_apart(sys.argv[1:])
