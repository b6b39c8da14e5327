"""The process by which a mount speaks with its service."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.mounted.realmount import RealMount
from tests.waiting import until

NAME = "mountfs-network"


def network_pid(mount: RealMount) -> int | None:
    """Once it has its name."""
    for children in Path(f"/proc/{mount.pid}/task").glob("*/children"):
        for pid in _told(children).split():
            if _told(Path(f"/proc/{pid}/comm")).strip() == NAME:
                return int(pid)
    return None


def _told(file: Path) -> str:
    """Nothing of a thread or a process that has just ended."""
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def kill_network(mount: RealMount) -> None:
    pid = network_pid(mount)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists(), "it is gone")
