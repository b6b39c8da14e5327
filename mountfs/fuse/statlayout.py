"""Fills libfuse's struct stat in one step.

A field of a ctypes structure costs 0.1 us, and each of the three times a structure of its own besides: all of
them together were a third of what a stat(2) costs.
"""

from __future__ import annotations

import stat
import struct
from operator import itemgetter
from typing import Any

from mountfs.attributes import Attributes
from mountfs.model.entry import NS_PER_S

STAT_BLOCK_BYTES = 512
"""The unit of st_blocks (stat(2)), whatever the block size."""
IO_BYTES = 128 * 1024
"""st_blksize: cp and cat use buffers of it; libfuse 2 passes no more on at once."""
FOLDER_BYTES = 4096
"""As ext4 says of a folder with few entries."""

_FIELDS = (
    "st_ino",
    "st_mode",
    "st_nlink",
    "st_size",
    "st_blksize",
    "st_blocks",
    "st_uid",
    "st_gid",
    "st_rdev",
    "st_atimespec",
    "st_mtimespec",
    "st_ctimespec",
)
"""Names of fusepy, in the order in which ``fill`` has their values; a time has two, seconds and ns."""
_SIGNED = {"st_size", "st_blksize", "st_blocks"}
_TIMES = _FIELDS[-3:]


class StatLayout:
    """Where each field stands, which differs between processors: fusepy's ``c_stat`` knows."""

    def __init__(self, c_stat: Any) -> None:
        places: list[tuple[int, str]] = []
        for name in _FIELDS:
            field = getattr(c_stat, name)
            if name in _TIMES:
                places += [(field.offset, "q"), (field.offset + field.size // 2, "q")]
            else:
                letter = {4: "I", 8: "Q"}[field.size]
                places.append((field.offset, letter.lower() if name in _SIGNED else letter))
        order = sorted(range(len(places)), key=lambda number: places[number][0])
        form, at = "=", 0
        for number in order:
            offset, letter = places[number]
            form += f"{offset - at}x{letter}"
            at = offset + struct.calcsize(f"={letter}")
        self._in_order = itemgetter(*order)
        self._struct = struct.Struct(form)
        self.size_bytes = self._struct.size
        """How many bytes ``fill`` writes: all fields, and zeros between them."""

    def fill(self, into: memoryview, told: Attributes) -> None:
        """Writes *told* into a struct stat."""
        inode, mode, size_bytes, mtime_ns, uid, gid, atime_ns, ctime_ns, links, device = told
        values = (
            inode,
            mode,
            links,
            FOLDER_BYTES if stat.S_ISDIR(mode) else size_bytes,
            IO_BYTES,
            -(-size_bytes // STAT_BLOCK_BYTES),
            uid,
            gid,
            device,
            *divmod(atime_ns, NS_PER_S),
            *divmod(mtime_ns, NS_PER_S),
            *divmod(ctime_ns, NS_PER_S),
        )
        self._struct.pack_into(into, 0, *self._in_order(values))
