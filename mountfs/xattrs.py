"""Extended attributes: those through which the mount tells about a file, and those that programs give it."""

from __future__ import annotations

import os

from mountfs.errors import AlreadyExists, AttributeTooLarge, InvalidArgument, NoAttribute, NotSupported
from mountfs.tree.kept import Kept
from mountfs.tree.view import Names, View

NAMESPACE = "user."
PREFIX = "user.mountfs."
STATE = PREFIX + "state"
ERROR = PREFIX + "error"
SOCKET = PREFIX + "socket"

MOST_VALUE_BYTES = 4096
MOST_BYTES = 16 * 1024
"""Of all names and values of one file: they are part of its row."""


class Xattrs:
    """``user.mountfs.state`` is how far a path is on its way, ``user.mountfs.error`` why not further, and
    ``user.mountfs.socket``, on the top of the mount alone, where the daemon of this mount listens. They are
    told to who asks for them, and not listed: ``cp -a`` would try to copy them."""

    def __init__(self, view: View, socket: str) -> None:
        self._view = view
        self._socket = socket

    def told(self, names: Names, name: str) -> bytes:
        """One of the mount's own. NoAttribute; NotFound."""
        if name == SOCKET and not names and self._socket:
            return self._socket.encode()
        if name not in (STATE, ERROR):
            raise NoAttribute(f"no such extended attribute: {name}")
        state, error = self._view.state_of(names)
        return (state if name == STATE else error).encode()


def check_name(name: str) -> None:
    """NotSupported for an attribute that programs cannot give a file; InvalidArgument for one without a name,
    as on a disk, so that copies of a file to one do not fail for it."""
    if name == NAMESPACE:
        raise InvalidArgument("an extended attribute has a name behind its namespace")
    if not name.startswith(NAMESPACE) or name.startswith(PREFIX):
        raise NotSupported(f"no extended attribute of this name is kept: {name}")


def with_attribute(kept: Kept, name: str, value: bytes, flags: int = 0) -> dict[str, bytes]:
    """All attributes of a file, with one more. *flags*: of setxattr(2). AlreadyExists, NoAttribute,
    AttributeTooLarge."""
    found = dict(kept.xattrs)
    if flags & os.XATTR_CREATE and name in found:
        raise AlreadyExists(f"there is an attribute {name}")
    if flags & os.XATTR_REPLACE and name not in found:
        raise NoAttribute(f"there is no attribute {name}")
    found[name] = value
    size_bytes = sum(len(each.encode(errors="surrogateescape")) + len(body) for each, body in found.items())
    if len(value) > MOST_VALUE_BYTES or size_bytes > MOST_BYTES:
        raise AttributeTooLarge(f"{name} has {len(value)} bytes, with the others {size_bytes}")
    return found


def without_attribute(kept: Kept, name: str) -> dict[str, bytes]:
    """All but one. NoAttribute."""
    found = dict(kept.xattrs)
    if name not in found:
        raise NoAttribute(f"there is no attribute {name}")
    del found[name]
    return found
