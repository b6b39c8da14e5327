"""The struct stat that libfuse is given, field by field."""

from __future__ import annotations

import ctypes
import stat
from typing import Any

import fuse
import pytest

from mountfs.attributes import Attributes
from mountfs.fuse.statlayout import FOLDER_BYTES, IO_BYTES, StatLayout

NS = 10**9
TOLD = Attributes(
    inode=2**40 + 1,
    mode=stat.S_IFREG | 0o640,
    size_bytes=1025,
    mtime_ns=-1,
    uid=2**32 - 2,
    gid=7,
    atime_ns=5 * NS + 6,
    ctime_ns=2**40 * NS + 8,
    links=3,
    device=0x801,
)


def filled(c_stat: Any, told: Attributes) -> Any:
    body = c_stat()
    ctypes.memset(ctypes.byref(body), 0xFF, ctypes.sizeof(body))
    StatLayout(c_stat).fill(memoryview(body).cast("B"), told)
    return body


class OtherStat(ctypes.Structure):
    """As on 64-bit ARM."""

    _fields_ = (
        ("st_dev", ctypes.c_ulong),
        ("st_ino", ctypes.c_ulong),
        ("st_mode", ctypes.c_uint),
        ("st_nlink", ctypes.c_uint),
        ("st_uid", ctypes.c_uint),
        ("st_gid", ctypes.c_uint),
        ("st_rdev", ctypes.c_ulong),
        ("__pad1", ctypes.c_ulong),
        ("st_size", ctypes.c_long),
        ("st_blksize", ctypes.c_int),
        ("__pad2", ctypes.c_int),
        ("st_blocks", ctypes.c_long),
        ("st_atimespec", fuse.c_timespec),
        ("st_mtimespec", fuse.c_timespec),
        ("st_ctimespec", fuse.c_timespec),
    )


@pytest.mark.parametrize("c_stat", [fuse.c_stat, OtherStat])
def test_each_field_has_its_value_and_all_else_is_zero(c_stat: Any) -> None:
    body = filled(c_stat, TOLD)
    assert (body.st_dev, body.st_ino, body.st_mode, body.st_nlink) == (0, 2**40 + 1, 0o100640, 3)
    assert (body.st_size, body.st_blksize, body.st_blocks) == (1025, IO_BYTES, 3)
    assert (body.st_uid, body.st_gid, body.st_rdev) == (2**32 - 2, 7, 0x801)
    times = [
        (each.tv_sec, each.tv_nsec) for each in (body.st_atimespec, body.st_mtimespec, body.st_ctimespec)
    ]
    assert times == [(5, 6), (-1, NS - 1), (2**40, 8)]
    for name, _ in c_stat._fields_:
        if name.startswith("__pad"):
            assert getattr(body, name) == 0


def test_a_folder_has_the_size_that_folders_have() -> None:
    body = filled(fuse.c_stat, TOLD._replace(mode=stat.S_IFDIR | 0o755, size_bytes=0))
    assert (body.st_size, body.st_blocks) == (FOLDER_BYTES, 0)
