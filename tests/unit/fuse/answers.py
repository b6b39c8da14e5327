"""Takes what ``read`` of the edge answers, as libfuse does."""

from __future__ import annotations

import ctypes
import os

from mountfs.fuse.replies import IS_FD


class Vector(ctypes.Structure):
    """``struct fuse_bufvec`` with its one ``fuse_buf``."""

    _fields_ = [
        ("count", ctypes.c_size_t),
        ("index", ctypes.c_size_t),
        ("offset", ctypes.c_size_t),
        ("size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("memory", ctypes.c_void_p),
        ("fd", ctypes.c_int),
        ("position", ctypes.c_int64),
    ]


_libc = ctypes.PyDLL(None)
_libc.free.argtypes, _libc.free.restype = (ctypes.c_void_p,), None


def is_lent(answer: int) -> bool:
    """Whether it names a range of a file."""
    return bool(Vector.from_address(answer).flags & IS_FD)


def taken(answer: int) -> bytes:
    """The bytes; the memory of the answer is freed."""
    vector = Vector.from_address(answer)
    assert (vector.count, vector.index, vector.offset) == (1, 0, 0)
    if is_lent(answer):
        assert vector.memory is None
        body = os.pread(vector.fd, vector.size, vector.position)
    else:
        body = ctypes.string_at(vector.memory, vector.size)
    _libc.free(vector.memory)
    _libc.free(answer)
    return body
