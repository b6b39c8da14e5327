"""Stand-ins for what the process works with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock

from daemon.control.account import Backlog, GoesOn, always
from daemon.control.changes import PendingChange, StoryEvent
from daemon.control.figures import Figures
from daemon.control.protocol import Discarded, FailedChange, Retried
from daemon.control.status import AccountStatus, FarSide, Tally, Transfer
from mountfs.errors import NotFound, Refused
from mountfs.model.path import ROOT, RemotePath
from mountfs.model.rates import Rates

PATIENCE_S = 10.0
"""How long a test waits for what must happen; reached only when it does not."""


@dataclass
class FakeAccount:
    """An account whose backlog the test sets, and which remembers what it was asked."""

    left: Backlog = field(default_factory=Backlog)
    far_side: FarSide = field(default_factory=FarSide)
    failed: tuple[FailedChange, ...] = ()
    asked: list[str] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    mount_error: Exception | None = None
    commits_when_hurried: int = 0
    trouble: str = ""
    hangs: str = ""
    mounted: Event = field(default_factory=Event)
    unmounted: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    def start(self) -> None:
        self.asked.append("start")

    def serve(self, mountpoint: Path) -> None:
        if self.mount_error is not None:
            raise self.mount_error
        self.mounted.set()
        assert self.unmounted.wait(PATIENCE_S)
        self.mounted.clear()

    def refuse_writes(self) -> None:
        self.asked.append("refuse_writes")

    def end_waits(self) -> None:
        self.asked.append("end_waits")

    def hurry(self, path: RemotePath) -> None:
        with self.lock:
            if path == ROOT:
                done = self.commits_when_hurried
                pending, sessions = max(0, self.left.pending - done), max(0, self.left.sessions - done)
                self.left = replace(self.left, pending=pending, sessions=sessions)
            self.asked.append(f"hurry {path}")

    def relax(self) -> None:
        self.asked.append("relax")

    def check_known(self, path: RemotePath) -> None:
        if path.text in self.absent:
            raise NotFound(f"{path.name} does not exist in {path.parent}")

    def backlog(self, path: RemotePath) -> Backlog:
        return self.left

    def unsent(self) -> Backlog:
        return self.left

    def failures(self, path: RemotePath) -> tuple[FailedChange, ...]:
        return self.failed

    def retry(self, path: RemotePath) -> Retried:
        self.asked.append(f"retry {path}")
        return Retried(2, self.failed)

    def pending_files(self, path: RemotePath) -> tuple[list[str], int]:
        return [f"{path}/{number}" for number in range(self.left.pending)], 1

    def pending_changes(self, path: RemotePath) -> tuple[list[PendingChange], int]:
        numbers = range(self.left.pending)
        return [PendingChange(f"{path}/{number}", "new file", "sealed", 1, 2.0) for number in numbers], 1

    def first_changes(self, most: int) -> list[PendingChange]:
        return self.pending_changes(ROOT)[0][:most]

    def discard(self, path: RemotePath, *, is_trial: bool) -> Discarded:
        self.asked.append(f"discard {path} {is_trial}")
        return Discarded(1, 5, (str(path),), self.failed)

    def carry_out(
        self, command: str, path: RemotePath, argument: str, goes_on: GoesOn = always
    ) -> tuple[str, ...]:
        while command == "go on":
            if not goes_on(2, 5):
                self.asked.append("ended")
                raise Refused("it was ended")
        return (f"{command} {path} {argument}",)

    def ask_far_side(self) -> None:
        self.asked.append("ask_far_side")

    def held_up(self) -> str:
        return self.trouble

    def await_change(self, timeout_s: float) -> None:
        Event().wait(min(timeout_s, 0.01))

    def sync(self) -> None:
        self.asked.append("sync")

    def look_around(self) -> None:
        self.asked.append("look_around")

    def status(self) -> AccountStatus:
        return AccountStatus("dbid:fake", far_side=self.far_side)

    def story(self, path: RemotePath) -> tuple[StoryEvent, ...]:
        return (StoryEvent(1.5, f"{path} closed"),)

    def hold(self, is_held: bool) -> None:
        self.asked.append(f"hold {is_held}")

    def limit_rates(self, rates: Rates) -> None:
        self.asked.append(f"limit {rates.up_bytes_s} {rates.down_bytes_s}")

    def stuck(self) -> str:
        return self.hangs

    def figures(self) -> Figures:
        return Figures()

    def beat(self) -> None:
        """Not remembered: it comes twice a second."""

    def transfer(self) -> Transfer:
        return Transfer(left=Tally(self.left.pending, self.left.size_bytes))

    def close(self) -> None:
        self.asked.append("close")


@dataclass
class FakeKernel:
    """A kernel that knows one mount: that of *account*."""

    account: FakeAccount
    is_hanging: bool = False

    def is_mounted(self, mountpoint: Path) -> bool:
        return self.account.mounted.is_set()

    def answers(self, mountpoint: Path) -> bool:
        return self.account.mounted.is_set() and not self.is_hanging

    def unmount(self, mountpoint: Path) -> None:
        self.account.asked.append("unmount")
        self.account.unmounted.set()
