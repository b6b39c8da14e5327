"""The turn to commit: where a service runs one job of an account at a time, who may send the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from daemon.commit.accountlock import AccountLock, NoLock


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


class TurnByFile:
    """``Turn`` among the mounts of one machine: whoever holds the file's lock has it."""

    awaited = ""

    def __init__(self, lock: AccountLock | NoLock) -> None:
        self._lock = lock

    @property
    def refused(self) -> Path | None:
        return self._lock.refused

    @property
    def is_held(self) -> bool:
        return True  # the kernel takes it away with the process, and no sooner

    def try_take(self) -> bool:
        return self._lock.try_take()

    def note_job(self, job: str) -> None:
        """Nobody needs it: a mount that takes over the journal finds it there."""

    def release(self) -> None:
        self._lock.release()
