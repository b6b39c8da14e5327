"""A mount in the background: the same command again as a child process, never a fork with threads."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from select import select

from daemon.failure import Failure
from daemon.process.lifecycle import START_TIMEOUT_S
from daemon.process.run import MountPlan

PATIENCE_S = START_TIMEOUT_S + 60.0
"""The child gives up by itself earlier: at START_TIMEOUT_S after it has signed in."""


class Readiness:
    """The child's end of the pipe on which its parent waits; does nothing without one."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        if fd is not None:
            os.set_inheritable(fd, False)  # or the sandbox's process would hold it open

    def ready(self) -> None:
        """The mount is usable."""
        self._say({"ready": True})

    def failed(self, reason: str, exit_code: int) -> None:
        """The mount will not come."""
        self._say({"failed": reason, "exit_code": exit_code})

    def _say(self, message: dict[str, object]) -> None:
        fd, self._fd = self._fd, None
        if fd is None:
            return
        # The parent may have been interrupted; the mount goes on without it.
        with contextlib.suppress(OSError), os.fdopen(fd, "wb") as pipe:
            pipe.write(json.dumps(message).encode() + b"\n")


def log_path(plan: MountPlan) -> Path:
    """Where the background mount of *plan* logs."""
    return plan.options.state_dir / "log" / f"{plan.spec.name}.log"


def spawn(arguments: list[str], plan: MountPlan, *, for_mount: bool = False) -> int:
    """Starts ``mountfs`` with *arguments* and returns 0 once its mount is usable. Failure.

    *for_mount*: mount(8) waits for it. The child stays in the process group of the caller until it has
    mounted: only that of the automounter may look at a place that is just being mounted (autofs, oz mode).
    """
    log = log_path(plan)
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    reading, writing = os.pipe()
    at = arguments.index("mount") + 1
    own = ["--ready-fd", str(writing), "--log-file", str(log)]
    if for_mount:
        own.append("--leave-session")
    order = [sys.executable, "-P", "-m", "daemon.cli", *arguments[:at], *own, *arguments[at:]]
    with os.fdopen(reading, "rb") as pipe:
        # The caller's own standard streams would stay open, and whoever reads them would wait for ever.
        with log.open("ab") as output:
            child = subprocess.Popen(
                order,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writing,),
                start_new_session=not for_mount,
                cwd="/",
            )
        os.close(writing)
        ready, _, _ = select([pipe], [], [], PATIENCE_S)
        line = pipe.readline() if ready else b""
    if not ready:
        child.terminate()
        raise Failure(f"the mount does not get ready after {PATIENCE_S:.0f} s; see {log}")
    if not line:
        code = child.wait()
        raise Failure(f"the mount's process ended with status {code}; see {log}")
    message = json.loads(line)
    if "failed" in message:
        child.wait()
        raise Failure(message["failed"], message["exit_code"])
    child.returncode = 0  # it outlives this process on purpose, which Popen would warn about
    return 0
