"""Holds the bytes of all requests together to a rate that a person has set."""

from __future__ import annotations

from threading import Lock

from mountfs.model.rates import Rates


class Line:
    """One direction. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._bytes_s: int | None = None
        self._free_s = 0.0
        """When all that was let through will have passed."""

    def limit(self, bytes_s: int | None) -> None:
        """From here on; None: no bound."""
        with self._lock:
            self._bytes_s = bytes_s
            self._free_s = 0.0

    def wait_s(self, length: int, now_s: float) -> float:
        """How long the caller has to wait before (up), or after (down), *length* bytes of its own. Those who
        ask side by side get their turn one after the other."""
        with self._lock:
            if self._bytes_s is None:
                return 0.0
            begin_s = max(now_s, self._free_s)
            self._free_s = begin_s + length / self._bytes_s
            return begin_s - now_s


class Bandwidth:
    """Both directions of one account."""

    def __init__(self) -> None:
        self.up = Line()
        self.down = Line()

    def limit(self, rates: Rates) -> None:
        self.up.limit(rates.up_bytes_s)
        self.down.limit(rates.down_bytes_s)
