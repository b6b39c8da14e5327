"""What the mount tells about a file through extended attributes."""

from __future__ import annotations

from mountfs.errors import NotSupported
from mountfs.tree.view import Names, View

PREFIX = "user.mountfs."
STATE = PREFIX + "state"
ERROR = PREFIX + "error"
SOCKET = PREFIX + "socket"


class Xattrs:
    """``user.mountfs.state`` is how far a path is on its way, ``user.mountfs.error`` why not further, and
    ``user.mountfs.socket``, on the top of the mount alone, where the daemon of this mount listens."""

    def __init__(self, view: View, socket: str) -> None:
        self._view = view
        self._socket = socket

    def get(self, names: Names, name: str) -> bytes:
        """NotSupported for names that are not ours; NotFound."""
        if name == SOCKET and not names and self._socket:
            return self._socket.encode()
        if name not in (STATE, ERROR):
            raise NotSupported(f"no such extended attribute: {name}")
        state, error = self._view.state_of(names)
        return (state if name == STATE else error).encode()

    def names(self, names: Names) -> list[str]:
        """Those that ``get`` has something to say about."""
        _, error = self._view.state_of(names)
        has_socket = not names and bool(self._socket)
        return [STATE, *([ERROR] if error else []), *([SOCKET] if has_socket else [])]
