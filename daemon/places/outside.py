"""Asks a mount from a process of its own.

A thread that waits for a FUSE mount's answer cannot be ended once the mount's process has its question, not
even by SIGKILL. A mount that asks itself so would outlive its own death: its descriptor of /dev/fuse stays
open for as long as that thread waits, and everybody on the mount hangs with it. So would whoever asks a mount
that hangs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

PATIENCE_S = 10.0
"""So long a mount may take to answer; it takes milliseconds."""
GONE_S = 0.5
"""How long the end of a process that was killed is waited for."""

_ASK = """
import os, sys
try:
    sys.stdout.buffer.write(os.getxattr(sys.argv[1], sys.argv[2]))
except OSError as error:
    sys.exit(error.errno)
"""
_FOLLOW = """
import os, sys
sys.stdout.buffer.write(os.fsencode(os.path.realpath(sys.argv[1])))
"""


def xattr(path: Path, name: str, timeout_s: float | None = None) -> bytes:
    """An extended attribute, which the kernel never answers from its cache. OSError as getxattr(2);
    TimeoutError after *timeout_s*, and the process that asks is left to its fate."""
    return _told(path, timeout_s, _ASK, os.fspath(path), name)


def followed(path: Path) -> Path:
    """*path*, absolute, without links and dots, as realpath(3), though the last parts of it need not exist.
    OSError; TimeoutError after PATIENCE_S."""
    return Path(os.fsdecode(_told(path, PATIENCE_S, _FOLLOW, os.fspath(path))))


def _told(path: Path, timeout_s: float | None, program: str, *arguments: str) -> bytes:
    """What *program* writes, which asks about *path*. OSError by the number that it ends with."""
    asking = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    try:
        value, _ = asking.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        asking.kill()
        try:
            asking.communicate(timeout=GONE_S)
        except subprocess.TimeoutExpired:
            asking.returncode = -signal.SIGKILL  # it ends with the mount, which Popen would warn about
            assert asking.stdout is not None
            asking.stdout.close()
        raise TimeoutError(f"{path}: no answer after {timeout_s} s") from None
    if asking.returncode:
        number = max(0, asking.returncode)
        raise OSError(number, os.strerror(number) if number else "it could not be asked")
    return value
