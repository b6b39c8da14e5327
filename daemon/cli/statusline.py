"""What people see on a terminal while a mount runs or they wait for one.

What draws it takes a third of the time that a command takes to begin, and some memory of a mount for as long
as that runs: it is loaded where there is a terminal.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Self

from daemon.control.status import MountStatus, Transfer, in_words, plural

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status


class StatusLine:
    """A line at the foot of the terminal that follows the mount; nothing at all without a terminal."""

    def __init__(self, console: Console | None) -> None:
        """*console*: None where there is no terminal."""
        self._status: Status | None = None
        if console is not None and console.is_terminal:
            from rich.status import Status  # noqa: PLC0415

            self._status = Status("", console=console)

    @property
    def is_shown(self) -> bool:
        return self._status is not None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            # The terminal may be gone, which is what the mount ends for: SIGHUP.
            with contextlib.suppress(OSError):
                self._status.stop()

    def show(self, line: str) -> None:
        """Replaces what the line says; *line* is plain text."""
        if self._status is not None:
            from daemon.cli.bars import text  # noqa: PLC0415

            self._status.update(text(line))

    def show_transfer(self, head: str, transfer: Transfer) -> None:
        """The same with bars: for all that is pending, and for large files on their way."""
        if self._status is not None:
            from daemon.cli.bars import render_transfer  # noqa: PLC0415

            self._status.update(render_transfer(transfer, head))


def status_line(status: MountStatus) -> str:
    """The text of the live line."""
    calls = sum(status.account.calls.values())
    return f"{status.remote} on {status.mountpoint}: {in_words(status)}; {plural(calls, 'API call')}"
