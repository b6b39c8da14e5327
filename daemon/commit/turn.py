"""The turn to commit: where a service runs one job of an account at a time, who may send the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Turn(Protocol):
    """Held by one mount of the account at a time. Every method is called under the tree's lock, from any
    thread, and neither waits nor asks anybody."""

    @property
    def refused(self) -> Path | None:
        """The file that another mount of this machine holds, if that kept the last ``try_take`` from it."""

    @property
    def awaited(self) -> str:
        """What the last ``try_take`` waits for besides that, in words; "" while it waits for nothing."""

    @property
    def is_held(self) -> bool:
        """Whether a job may be sent now. A turn that was taken may be lost before it is released."""

    def try_take(self) -> bool:
        """Whether this mount has the turn now. Else it is asked for again by who still wants it."""

    def note_job(self, job: str) -> None:
        """The job that runs, by the service's name for it; "": none is known. If this machine dies, the
        next one asks the service how it ended."""

    def release(self) -> None:
        """Others may have the turn."""


class NoTurn:
    """``Turn`` where the service takes several batches at a time (Box): everybody has it."""

    refused: Path | None = None
    awaited = ""
    is_held = True

    def try_take(self) -> bool:
        return True

    def note_job(self, job: str) -> None:
        """Nobody waits for its end."""

    def release(self) -> None:
        """Nobody waits for it."""
