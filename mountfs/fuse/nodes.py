"""Asks the kernel for libfuse's numbers of folders, from a process of its own.

The kernel has to look such a path up, and so asks the mount. A thread that waits for that answer cannot be
ended once the mount's process has the question, not even by SIGKILL. If it were a thread of the mount's, the
process would outlive its own death: its descriptor of /dev/fuse would stay open, and everybody on the mount
would hang with it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

_ASK = """
import ctypes, sys

class Handle(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("bytes", "kind", "upper", "lower")]
    _fields_.append(("rest", ctypes.c_ubyte * 120))

OF_FUSE, TOP, AT_FDCWD = 0x81, 1, -100
ask = ctypes.CDLL(None).name_to_handle_at

def handle(path):
    found, mount = Handle(bytes=128), ctypes.c_int()
    failed = ask(AT_FDCWD, path, ctypes.byref(found), ctypes.byref(mount), 0)
    if failed or found.kind != OF_FUSE:
        return None
    return mount.value, found.upper << 32 | found.lower

paths = sys.stdin.buffer.read().split(b"\\0")
top = handle(paths[0])
for path in paths[1:]:
    here = handle(path)
    is_there = top is not None and here is not None and top[0] == here[0] and top[1] == TOP
    sys.stdout.write(f"{here[1] if is_there else 0}\\n")
"""
"""A handle of kind 0x81 is the number that the server has given to the inode, its upper half first, and a
generation (``fuse_encode_fh``). It holds for a folder of the very mount that the first path is the top of."""


def nodes_of(mountpoint: bytes, folders: Sequence[bytes]) -> list[int | None]:
    """libfuse's number of each of *folders*; None: it is not there, or something else is mounted over it.
    OSError: it could not be asked."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _ASK],
        input=b"\0".join([mountpoint, *folders]),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        check=False,
    )
    numbers = [int(line) or None for line in done.stdout.split()]
    if len(numbers) != len(folders):
        raise OSError(f"the process that asks for the numbers of folders ended with {done.returncode}")
    return numbers
