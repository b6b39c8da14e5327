"""A program at a terminal of its own: what it shows, and what a person types."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Self

from tests.waiting import DEADLINE_S, until

ROWS, COLUMNS = 40, 160
PIECE_BYTES = 65536


class Terminal:
    """Ends with the program; `shown` is all that it wrote so far, control sequences included."""

    def __init__(self, order: Sequence[str], environ: Mapping[str, str], cwd: Path) -> None:
        self.shown = ""
        self._screen, theirs = pty.openpty()
        size = {"LINES": str(ROWS), "COLUMNS": str(COLUMNS), "TERM": "xterm"}
        self._process = subprocess.Popen(
            order,
            env={**environ, **size},
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def expect(self, text: str) -> None:
        """Returns once it has shown *text*."""
        until(lambda: self._has_shown(text), f"{text!r} is shown")

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def ended(self) -> int:
        """The exit code, once it has ended; all that it showed is in `shown`."""
        code = self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        os.close(self._screen)

    def _has_shown(self, text: str) -> bool:
        is_over = self._process.poll() is not None
        if is_over:
            self._reader.join(DEADLINE_S)
        assert text in self.shown or not is_over, self.shown
        return text in self.shown

    def _read(self) -> None:
        """On a thread: a program whose terminal is full would be held up."""
        with contextlib.suppress(OSError):  # EIO: nobody is at the other end any more
            while piece := os.read(self._screen, PIECE_BYTES):
                self.shown += piece.decode(errors="replace")
