"""How a request is ended that nobody wants any more."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class CallOff:
    """Ends one request. Any thread may call ``set``, at most once: before the request is made, while it is on
    its way, or after it."""

    __slots__ = ("_act", "_lock", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._act: Callable[[], None] | None = None
        self._lock = Lock()

    def set(self) -> None:
        with self._lock:
            self.is_set = True
            if self._act is not None:
                self._act()

    def bind(self, act: Callable[[], None] | None) -> None:
        """*act* ends the request that is made from here on; None: it is over. Never waits."""
        with self._lock:
            self._act = act
            if act is not None and self.is_set:
                act()
