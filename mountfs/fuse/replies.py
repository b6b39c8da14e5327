"""Answers to reads as libfuse's ``read_buf`` takes them: bytes in memory, or a range of an open file.

A range of a file never comes here: libfuse moves the file's pages to the kernel's side by splice(2), which
saves one of two copies, or reads them by itself where it cannot. It does so after the callback has returned,
and tells nobody when it is done. So the file is *lent*: it stays open until the thread that was answered
takes its next call, which it does not before, or until the handle is released, which the kernel does not
before it has the bytes.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from dataclasses import dataclass
from mmap import PAGESIZE
from threading import get_ident
from typing import Any

from mountfs.model.lent import Lent

LEAST_LENT_BYTES = 64 * 1024
"""A shorter range is copied. What the kernel could not read ahead it asks for again page by page: where a
disk fails, these reads are answered by whoever has the bytes, too."""

IS_FD, SEEKS, RETRIES = 1 << 1, 1 << 2, 1 << 3
"""``enum fuse_buf_flags``."""
NO_FILE = -1
WRITABLE = 0x200
"""PyBUF_WRITE."""

_VECTOR = struct.Struct("@NNNNiPiq")
"""``struct fuse_bufvec``: count, index, offset; of its one buffer size, flags, memory, file, position."""

_libc = ctypes.PyDLL(None)  # keeps the interpreter meanwhile: to let it go takes longer than the call
_malloc, _aligned_alloc, _free = _libc.malloc, _libc.aligned_alloc, _libc.free
_malloc.restype = _aligned_alloc.restype = ctypes.c_void_p
_malloc.argtypes, _aligned_alloc.argtypes = (ctypes.c_size_t,), (ctypes.c_size_t, ctypes.c_size_t)
_free.restype, _free.argtypes = None, (ctypes.c_void_p,)

room_at = ctypes.pythonapi.PyMemoryView_FromMemory
"""Memory at an address as a memoryview, with WRITABLE."""
room_at.restype, room_at.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)


@dataclass(slots=True)
class _Loan:
    """The file that a thread's last answer is in, for the handle *number*; None: the handle is released."""

    number: int
    file: Lent | None


class Replies:
    """Makes answers, and keeps the files that are lent open. An answer is the address of a ``fuse_bufvec``,
    which libfuse frees."""

    def __init__(self) -> None:
        self._loans: dict[int, _Loan] = {}
        """By thread."""

    def of_file(self, number: int, file: Lent, offset: int, length: int) -> int:
        """[offset, offset + length) of *file*, which must have as many bytes; for the handle *number*."""
        self._loans[get_ident()] = _Loan(number, file)
        return _vector(length, IS_FD | SEEKS | RETRIES, 0, file.fd, offset)

    def of_memory(self, length: int, fill: Callable[[memoryview], int]) -> int:
        """At most *length* bytes, which *fill* writes, and of which it tells how many there are."""
        # By pages: the kernel takes them as they lie, and would take one more.
        memory = _aligned_alloc(PAGESIZE, max(1, -(-length // PAGESIZE)) * PAGESIZE)
        if not memory:
            raise MemoryError
        try:
            came = fill(room_at(memory, length, WRITABLE))
            return _vector(came, 0, memory, NO_FILE, 0)
        except BaseException:
            _free(memory)
            raise

    def sent(self, thread: int) -> None:
        """A thread takes a call: what it answered before has been sent."""
        if self._loans:
            self._loans.pop(thread, None)

    def released(self, number: int) -> None:
        """All that was asked by the handle *number* has been sent."""
        for loan in list(self._loans.values()):
            if loan.number == number:
                loan.file = None


def declare_read_buf(fuse: Any) -> None:
    """fusepy's ``fuse_operations`` end before ``read_buf``, which libfuse has since 2.9."""
    known = fuse.fuse_operations._fields_
    if any(name == "read_buf" for name, *_ in known):
        return
    read_buf = ctypes.CFUNCTYPE(
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_size_t,
        fuse.c_off_t,
        ctypes.POINTER(fuse.fuse_file_info),
    )
    rest = [("poll", ctypes.c_void_p), ("write_buf", ctypes.c_void_p), ("read_buf", read_buf)]
    fuse.fuse_operations = type("fuse_operations", (ctypes.Structure,), {"_fields_": [*known, *rest]})


def _vector(length: int, flags: int, memory: int, fd: int, offset: int) -> int:
    vector: int | None = _malloc(_VECTOR.size)
    if not vector:
        raise MemoryError
    ctypes.memmove(vector, _VECTOR.pack(1, 0, 0, length, flags, memory, fd, offset), _VECTOR.size)
    return vector
