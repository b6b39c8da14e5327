"""A whole pipeline without a kernel: journal, spool, namespace, uploader, committer, a memory account."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from daemon.commit.committer import Committer
from daemon.sweeper import Sweeper
from mountfs.backends.faulty import FaultyBackend
from mountfs.backends.memory import MemoryBackend
from mountfs.backends.memory_account import MEMORY_LIMITS, MemoryAccount
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from mountfs.namespace.edits import Namespace
from mountfs.namespace.settlement import Settlement
from mountfs.namespace.snapshot import Snapshot
from mountfs.namespace.view import View
from mountfs.ports import BackendLimits
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import Quota
from mountfs.spool.spool import Spool
from mountfs.upload.uploader import Uploader
from mountfs.upload.urgency import Urgency
from tests.fakes.clock import FakeClock

HOST = "testhost"


class NoCache:
    """A block cache that takes nothing over."""

    def adopt(self, file: File, spool_path: Path) -> bool:
        return False


class Pipeline:
    """What a mount has between the calls and the service; ``restart`` is a new process on the same files."""

    def __init__(
        self,
        directory: Path,
        account: MemoryAccount | None = None,
        limits: BackendLimits = MEMORY_LIMITS,
        clock: Any = None,
    ) -> None:
        self.directory = directory
        self.clock = clock or FakeClock()
        self.account = account or MemoryAccount(limits)
        self.memory = MemoryBackend(self.account)
        self.backend = FaultyBackend(self.memory)
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.directory / "journal.db", self.clock)
        self.spool = Spool(self.directory / "spool", RealDisk(), Quota())
        self.snapshot = Snapshot(self.journal.lock, self.clock, fresh_s=1e9)
        self.view = View(self.journal, self.snapshot, self.backend)
        limits = self.backend.limits
        self.names = Namespace(
            self.view, self.journal, limits.names, self.clock, carries_times=limits.carries_times
        )
        self.settlement = Settlement(self.journal, self.snapshot)
        self.urgency = Urgency(self.clock)
        self.uploader = Uploader(
            self.journal,
            self.spool,
            self.backend,
            self.clock,
            self.urgency,
            is_blocked=self.names.is_blocked,
        )
        self.committer = Committer(
            self.journal,
            self.settlement,
            self.backend,
            self.spool,
            clock=self.clock,
            urgency=self.urgency,
            lock_path=self.directory / "account.lock",
            host=HOST,
        )
        self.sweeper = Sweeper(self.journal, self.spool, NoCache(), self.backend, self.clock)

    def restart(self) -> None:
        """As after kill -9: nothing is told, the kernel closes what was open."""
        self.committer.close()
        self.journal.close()
        self.spool.close()
        self.start()

    def close(self) -> None:
        self.committer.close()
        self.journal.close()
        self.spool.close()

    # Calls

    def write(self, path: str, body: bytes) -> Change:
        """open, write, close."""
        change = self.begin(path, body)
        return self.names.seal(change.id, len(body), self.clock.wall_ns())

    def begin(self, path: str, body: bytes = b"") -> Change:
        """open, write."""
        file = self.spool.create()
        if body:
            file.pwrite(0, body)
        file.close()
        return self.names.begin_put(RemotePath(path), file.name)

    def overwrite(self, change: Change, offset: int, body: bytes) -> None:
        """write, of a large file."""
        assert change.spool is not None
        file = self.spool.open(change.spool)
        file.pwrite(offset, body)
        file.close()
        self.uploader.wrote(change.id, offset, offset + len(body))

    def mkdir(self, path: str) -> None:
        self.names.mkdir(RemotePath(path))

    def rename(self, source: str, target: str) -> None:
        self.names.rename(RemotePath(source), RemotePath(target))

    def touch(self, path: str, mtime_ns: int) -> None:
        self.names.set_mtime(RemotePath(path), mtime_ns)

    def unlink(self, path: str) -> None:
        self.names.unlink(RemotePath(path))

    def rmdir(self, path: str) -> None:
        self.names.rmdir(RemotePath(path))

    # Background work

    def upload_all(self, most_s: float = 600.0) -> None:
        """Steps the uploader until it has nothing to do."""
        self._run([self.uploader.step], most_s)

    def settle(self, most_s: float = 600.0) -> None:
        """Steps everything, with the clock moved on as asked for, until there is nothing to do."""
        self._run([self.uploader.step, self.committer.step, self.sweeper.step], most_s)

    def commit_steps(self, count: int) -> None:
        """Uploads all, then steps the committer so often, whenever it is due."""
        self.upload_all()
        for _ in range(count):
            due_s = self.committer.step(self.clock.now_s())
            if due_s > self.clock.now_s() and not math.isinf(due_s):
                self.clock.advance(due_s - self.clock.now_s())

    def _run(self, steps: list, most_s: float) -> None:  # type: ignore[type-arg]
        deadline_s = self.clock.now_s() + most_s
        while self.clock.now_s() < deadline_s:
            now_s = self.clock.now_s()
            due_s = min(step(now_s) for step in steps)
            if math.isinf(due_s):
                # What the last round changed may have given the others something to do.
                due_s = min(step(now_s) for step in steps)
                if math.isinf(due_s):
                    return
            if due_s > now_s:
                self.clock.advance(due_s - now_s + 1e-6)
        raise AssertionError(f"not settled after {most_s} s: {self.journal.live()}")

    # What came of it

    def states(self) -> list[tuple[ChangeKind, str, ChangeState]]:
        return [(row.kind, row.path.text, row.state) for row in self.journal.live()]

    def notices(self) -> list[str]:
        return [notice.text for notice in self.journal.notices()]

    def file(self, path: str) -> File:
        entry = self.account.get(path)
        assert isinstance(entry, File)
        return entry

    def revisions_of(self, path: str) -> int:
        """How often the service gave *path* new bytes."""
        key = RemotePath(path).key
        return sum(1 for entry in self.account.tree.log if isinstance(entry, File) and entry.path.key == key)
