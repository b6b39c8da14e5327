"""Reading pending bytes, and what it means when they cannot be read."""

from __future__ import annotations

from collections.abc import Callable

from mountfs.errors import DiskTrouble, Refused

Read = Callable[[str, int, int], bytes]
"""(name in the spool, offset, length) -> bytes, fewer only at the end of the file. OSError."""


class Unreadable(Refused):
    """Pending bytes are gone from the disk, or end too early: nobody can send them."""


def read_pending(read: Read, name: str, offset: int, length: int) -> bytes:
    """What *read* returns. Unreadable: the file is gone. DiskTrouble: disk or process may recover."""
    try:
        return read(name, offset, length)
    except FileNotFoundError as error:
        raise Unreadable(f"the pending bytes cannot be read: {error.strerror}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DiskTrouble(f"the pending bytes cannot be read: {reason}") from error
