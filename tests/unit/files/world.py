"""A file system without a kernel: memory as the far side, real journal and spool."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mountfs.attributes import FileSystemOptions
from mountfs.backends.memory import MemoryBackend
from mountfs.backends.memory_account import MEMORY_LIMITS, MemoryAccount
from mountfs.clock import SystemClock
from mountfs.errors import Conflict, MountfsError
from mountfs.files.handles import OpenFiles
from mountfs.files.services import Services
from mountfs.filesystem import FileSystem
from mountfs.journal.journal import Journal
from mountfs.journal.sync import Durability
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.entry import File
from mountfs.model.names import is_local_only
from mountfs.namespace.edits import Namespace
from mountfs.namespace.settlement import Settlement
from mountfs.namespace.snapshot import Snapshot
from mountfs.namespace.view import View
from mountfs.ports import BackendLimits, Done, Order, Outcome
from mountfs.reading.blocks import Blocks
from mountfs.reading.readahead import MIB
from mountfs.reading.reader import Reader
from mountfs.space import SpaceGauge
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import Quota
from mountfs.spool.spool import Spool


@dataclass
class Told:
    """What the uploader was told, in order."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def wrote(self, change_id: int, start: int, stop: int) -> None:
        self.calls.append(("wrote", change_id, start, stop))

    def truncated(self, change_id: int, size_bytes: int) -> None:
        self.calls.append(("truncated", change_id, size_bytes))


class World:
    """Everything behind one mount; ``settle`` does what the daemon's workers would have done."""

    def __init__(
        self, directory: Path, limits: BackendLimits | None = None, quota: Quota | None = None, **options: Any
    ) -> None:
        self.limits = limits or replace(MEMORY_LIMITS, session_min_bytes=1000)
        self.account = MemoryAccount(self.limits)
        self.backend = MemoryBackend(self.account)
        self.clock = SystemClock()
        self.disk = RealDisk()
        self.journal = Journal(directory / "journal.db", self.clock)
        self.spool = Spool(directory / "spool", self.disk, quota or Quota(reserve_bytes=0))
        self.blocks = Blocks(directory / "cache", 64 * MIB)
        self.reader = Reader(self.backend, self.blocks, self.clock)
        self.durability = Durability(self.journal, self.spool, self.disk)
        self.snapshot = Snapshot(self.journal.lock, self.clock, fresh_s=600.0)
        self.view = View(self.journal, self.snapshot, self.backend)
        self.namespace = Namespace(self.view, self.journal, self.limits.names, self.clock)
        self.settlement = Settlement(self.journal, self.snapshot)
        self.space = SpaceGauge(self.backend, self.clock, lambda: 0)
        self.told = Told()
        self.services = Services(
            changes=self.namespace,
            journal=self.journal,
            spool=self.spool,
            reader=self.reader,
            uploads=self.told,
            durable=self.durability,
            waiter=self,
            room=self.space,
            ask_limits=lambda: self.limits,
            clock=self.clock,
        )
        self.files = OpenFiles(self.services, self.journal)
        self.fs = self.file_system(**options)

    def file_system(self, **options: Any) -> FileSystem:
        """One more mount of the same account, with other options."""
        return FileSystem(
            view=self.view,
            namespace=self.namespace,
            files=self.files,
            services=self.services,
            space=self.space,
            options=FileSystemOptions(**{"uid": os.getuid(), "gid": os.getgid(), **options}),
        )

    def close(self) -> None:
        self.reader.close()
        self.durability.close()
        self.journal.close()
        self.spool.close()

    # The daemon's part

    def settle(self) -> None:
        """Uploads and commits all that is sealed, in the order of effect, and sweeps."""
        for change in self.journal.live():
            self._settle_one(change)
        for change in self.journal.rows():
            if change.state in FINAL_STATES:
                if change.spool is not None:
                    self.spool.remove(change.spool)
                self.journal.forget(change.id)

    def wait_committed(self, change_id: int, timeout_s: float) -> None:
        self.settle()
        change = self.journal.get(change_id)
        if change is not None and change.error:
            raise MountfsError(change.error)

    def _settle_one(self, change: Change) -> None:
        now = self.journal.get(change.id)
        if now is None or now.state in FINAL_STATES or is_local_only(now.path):
            return
        if now.state is ChangeState.SEALED and now.spool is not None:
            body = self.spool.read(now.spool, 0, now.size_bytes)
            now = self.journal.advance(now, ChangeEvent.UPLOAD_DONE, session=self.backend.upload_whole(body))
        if now.state is not ChangeState.UPLOADED:
            return
        now = self.journal.advance(now, ChangeEvent.COMMIT_SENT)
        outcome = self._outcome(self._order(now))
        if isinstance(outcome, Conflict) and now.base_hash:
            # A move gave the base another revision: the committer tells that by its hash.
            standing = self.backend.stat(now.path)
            if isinstance(standing, File) and standing.content_hash == now.base_hash:
                outcome = self._outcome(replace(self._order(now), base_revision=standing.revision))
        if isinstance(outcome, MountfsError):
            self.journal.advance(now, ChangeEvent.REFUSED, error=str(outcome))
        else:
            self.settlement.acknowledge(now, outcome)

    def _outcome(self, order: Order) -> Outcome:
        launch = self.backend.submit([order])
        assert isinstance(launch, Done)
        return launch.outcomes[0]

    def _order(self, change: Change) -> Order:
        return Order(
            kind=change.kind,
            path=change.path,
            source=change.source,
            is_folder=change.is_folder,
            base_revision=change.base_revision if change.kind is not ChangeKind.MOVE else None,
            size_bytes=change.size_bytes,
            mtime_ns=change.mtime_ns,
            session=change.session,
        )

    # What other people do

    def theirs(self, path: str, body: bytes) -> File:
        """Somebody else's write, noticed at once."""
        file = self.account.write(path, body)
        self.snapshot.forget_all()
        return file

    # What programs do

    def put(self, path: str, body: bytes) -> None:
        """Opens for writing from empty, as `>` does, writes, closes."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        number = self.fs.create(path, flags).number
        try:
            for at in range(0, len(body), MIB):
                self.fs.write(number, at, body[at : at + MIB])
        finally:
            self.close_file(number)

    def get(self, path: str) -> bytes:
        """Opens, reads to the size that stat tells, closes."""
        number = self.fs.open(path, os.O_RDONLY).number
        try:
            return self.fs.read(number, 0, self.fs.fgetattr(number).size_bytes)
        finally:
            self.close_file(number)

    def close_file(self, number: int) -> None:
        """close(2): flush, then release."""
        try:
            self.fs.flush(number)
        finally:
            self.fs.release(number)

    def names(self, path: str = "/") -> set[str]:
        number = self.fs.opendir(path)
        try:
            return {name for name, _ in self.fs.readdir(number)}
        finally:
            self.fs.releasedir(number)
