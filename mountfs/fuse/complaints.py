"""What libfuse and fusermount say on standard error, where alone they say why they do not mount."""

from __future__ import annotations

import contextlib
import os
from threading import Thread

STDERR = 2
PIECE_BYTES = 4096
MOST_BYTES = 64 * 1024
ENDED_S = 5.0
"""For the rest of it, once fusermount has ended."""


class Complaints:
    """Listens to the process's standard error from ``begin`` to ``end``, and passes all of it on. Whoever was
    started meanwhile has the listener as its standard error, and is heard to its end."""

    def __init__(self) -> None:
        self._heard = b""
        self._own: int | None = None
        self._listener: Thread | None = None

    def begin(self) -> None:
        """Nothing happens where there is no standard error."""
        with contextlib.suppress(OSError):
            self._own = os.dup(STDERR)
            ours, theirs = os.pipe()
            os.dup2(theirs, STDERR)
            os.close(theirs)
            self._listener = Thread(target=_pass_on, args=(self, ours, os.dup(self._own)), daemon=True)
            self._listener.start()

    def end(self) -> None:
        """Harmless when it has ended."""
        own, self._own = self._own, None
        if own is not None:
            os.dup2(own, STDERR)
            os.close(own)

    def reason(self) -> str:
        """The last thing that either of them said, after ``end``; empty: nothing."""
        if self._listener is not None:
            self._listener.join(ENDED_S)
        lines = [line.strip() for line in self._heard.decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line.startswith(("fuse: ", "fusermount"))), "")

    def hear(self, piece: bytes) -> None:
        """Keeps *piece*. Called by the listening thread alone."""
        self._heard = (self._heard + piece)[-MOST_BYTES:]


def _pass_on(complaints: Complaints, ours: int, own: int) -> None:
    while piece := os.read(ours, PIECE_BYTES):
        complaints.hear(piece)
        with contextlib.suppress(OSError):
            os.write(own, piece)
    os.close(ours)
    os.close(own)
