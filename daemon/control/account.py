"""What the process needs of an assembled mount; everything behind it is the core's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemon.control.changes import PendingChange, StoryEvent
from daemon.control.figures import Figures
from daemon.control.protocol import Discarded, FailedChange, Retried
from daemon.control.status import AccountStatus, Transfer
from mountfs.model.path import RemotePath
from mountfs.model.rates import Rates

GoesOn = Callable[[int, int], bool]
"""Is told how many files and folders are done, and of how many; 0 of 0: that is not known yet. Whether to go
on. Any thread."""


def always(_done: int, _total: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not committed at or below a path.

    *pending* changes are whole and on their way, with *size_bytes* still to send; *open_files* are
    being written. *sessions* that nobody will commit are still to be ended at the service, wherever their
    files were. Counters all: asking costs the same whatever is pending.
    """

    pending: int = 0
    size_bytes: int = 0
    open_files: int = 0
    sessions: int = 0

    @property
    def unsettled(self) -> int:
        """Everything that has no outcome yet."""
        return self.pending + self.open_files


class MountedAccount(Protocol):
    """A mount ready to run. Paths are relative to the mount's root; any thread may call any method,
    between ``start`` and ``close``.
    """

    def start(self) -> None:
        """Begins to follow the far side; returns when it was asked once, or does not answer."""

    def serve(self, mountpoint: Path) -> None:
        """Mounts, begins with uploads and commits, answers the kernel; returns once unmounted, by whomever.

        MountfsError, RuntimeError or OSError when the mount cannot be made. Called once, on its own thread.
        """

    def refuse_writes(self) -> None:
        """From here on every call that would change something fails, and the rest goes on."""

    def end_waits(self) -> None:
        """No call of the kernel waits for a busy service from here on: the mount is about to go."""

    def hurry(self, path: RemotePath) -> None:
        """Commits what is pending at or below *path* without waiting for its names to settle."""

    def relax(self) -> None:
        """Who hurried has what it waited for: names settle again, unless somebody else goes on hurrying."""

    def check_known(self, path: RemotePath) -> None:
        """NotFound where nothing stands at *path*, nor did so until it was removed or renamed here; what the
        service refuses. Nothing where it cannot be asked just now."""

    def backlog(self, path: RemotePath) -> Backlog:
        """What is not committed at or below *path*, now."""

    def unsent(self) -> Backlog:
        """What is not committed of all that this process has to send. Of a mount that shows one folder of
        the account, also what an earlier mount left outside of that folder."""

    def failures(self, path: RemotePath) -> tuple[FailedChange, ...]:
        """What at or below *path* will not be committed by itself."""

    def retry(self, path: RemotePath) -> Retried:
        """Sends again what was refused at or below *path*. NotFound; Transient when it cannot be told."""

    def pending_files(self, path: RemotePath) -> tuple[list[str], int]:
        """Files at or below *path* with bytes that the service does not have, by their paths in the mount,
        and how many more lie outside of what is mounted. As ``retry``."""

    def pending_changes(self, path: RemotePath) -> tuple[list[PendingChange], int]:
        """Everything pending at or below *path*, and how many changes lie outside of what is mounted. As
        ``retry``."""

    def first_changes(self, most: int) -> list[PendingChange]:
        """Some of them, in a time that does not depend on how many there are."""

    def discard(self, path: RemotePath, *, is_trial: bool) -> Discarded:
        """Gives up what is pending at or below *path*; *is_trial*: tells what that would be. As ``retry``."""

    def carry_out(
        self, command: str, path: RemotePath, argument: str, goes_on: GoesOn = always
    ) -> tuple[str, ...]:
        """One of the commands of ``daemon.process.commands``, told in lines. MountfsError."""

    def ask_far_side(self) -> None:
        """Has the service asked, in the background, whether it answers."""

    def held_up(self) -> str:
        """Why nothing that is pending gets on, in half a line, as far as the service was asked; "": nothing
        is known that keeps it."""

    def await_change(self, timeout_s: float) -> None:
        """Returns when a change moved to another state, or after *timeout_s*."""

    def sync(self) -> None:
        """Makes what was accepted so far survive a power loss."""

    def look_around(self) -> None:
        """Asks what only others know, such as who has the turn in a fleet, and waits for that for a moment at
        most: what ``status`` tells from then on."""

    def status(self) -> AccountStatus:
        """Counts, troubles and reachability, from memory and the journal: never waits for the network."""

    def story(self, path: RemotePath) -> tuple[StoryEvent, ...]:
        """What happened to what stands at *path*, or was removed there, the oldest first. As ``retry``."""

    def hold(self, is_held: bool) -> None:
        """Has nothing more be sent or committed, until it is called with False. What is on its way ends."""

    def limit_rates(self, rates: Rates) -> None:
        """Keeps bytes to *rates* from here on."""

    def stuck(self) -> str:
        """What hangs of the work behind the mount, by its name; "": nothing does. Asked by one thread."""

    def figures(self) -> Figures:
        """What was counted since the process began: never waits for the service."""

    def beat(self) -> None:
        """To be called about twice a second: notes how far things are, which rates are told from."""

    def transfer(self) -> Transfer:
        """How far what is pending has got, from counters."""

    def close(self) -> None:
        """Ends the background work and closes the journal; what is pending stays in it."""
