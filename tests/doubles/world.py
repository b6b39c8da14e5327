"""A whole account without a kernel: the real core on an account in memory, step by step on a fake clock."""

from __future__ import annotations

import contextlib
import math
import os
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from daemon.core import Core, Foundation, Places, Settings, build, lay
from mountfs.attributes import FileSystemOptions
from mountfs.errors import NotFound, Offline, Stale
from mountfs.files.handles import OpenFiles
from mountfs.filesystem import FileSystem
from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from mountfs.ports import Backend, BackendLimits, Clock, Disk
from mountfs.spool.quota import Quota
from mountfs.tree.node import Node, State, path_of
from mountfs.tree.word import word_of
from tests.doubles.faulty import FaultyBackend
from tests.doubles.memory import MemoryBackend
from tests.doubles.memory_account import MEMORY_LIMITS, MemoryAccount
from tests.fakes.clock import FakeClock
from tests.fakes.ending import ClockedEnding
from tests.fakes.unsynced import UnsyncedDisk, begin_journal, leave_unsynced

HOST = "testhost"
MIB = 1024 * 1024


class NotSettled(AssertionError):
    """Something is still to be done after the time that was given."""


class World:
    """One mount's core and its account. ``restart`` is a new process on the same files.

    What programs do is named as the calls are; ``settle`` does what the daemon's workers would have done.
    """

    def __init__(
        self,
        directory: Path,
        account: MemoryAccount | None = None,
        *,
        limits: BackendLimits = MEMORY_LIMITS,
        clock: Any = None,
        disk: Disk | None = None,
        backend: Backend | None = None,
        boot_id: str = "boot-1",
        settings: dict[str, Any] | None = None,
        on_laid: Callable[[Foundation], None] = lambda _foundation: None,
        **options: Any,
    ) -> None:
        """*backend*: of a service, instead of the account in memory. *on_laid*: called at each start with
        what the last process left, before anything works on it."""
        self.directory = directory
        self.clock: Clock = clock or FakeClock()
        self.account = account or MemoryAccount(limits)
        self.memory = MemoryBackend(self.account)
        self.backend = FaultyBackend(backend or self.memory)
        self.disk = disk or UnsyncedDisk()
        self.boot_id = boot_id
        self.settings = settings or {}
        self.on_laid = on_laid
        self.options = options
        self.places = Places(
            directory / "journal.db", directory / "spool", directory / "cache", directory / "commit.lock"
        )
        self.core: Core
        self.fs: FileSystem
        self.start()

    # Processes

    def start(self) -> None:
        settings = Settings(
            **{
                "boot_id": self.boot_id,
                "host": HOST,
                "fresh_s": 1e9,
                "quota": Quota(reserve_bytes=0),
                "ballast_bytes": 0,
                "follow_wait_s": 0.0,
                "pause": lambda _seconds: None,
                "ending": ClockedEnding(self.clock) if isinstance(self.clock, FakeClock) else None,
                **self.settings,
            }
        )
        begin_journal(self.places.store)
        foundation = lay(self.places, self.backend, self.clock, self.disk, settings)
        # Python 3.13 warns of a database that a process leaves open, as one does that is killed.
        weakref.finalize(self, foundation.tree.store.close)
        leave_unsynced(foundation.tree.store)
        self.on_laid(foundation)
        self.core = build(foundation, self.places, self.backend, self.clock, self.disk, settings)
        self.fs = self.file_system(**self.options)

    def restart(self, boot_id: str | None = None) -> None:
        """As after kill -9: nothing is told; *boot_id*: of another run of the machine."""
        self.close()
        self.boot_id = boot_id or self.boot_id
        self.start()

    def close(self) -> None:
        self.core.close()

    def file_system(self, **options: Any) -> FileSystem:
        """One more mount of the same account, with other options."""
        return self.core.file_system(FileSystemOptions(**{"uid": os.getuid(), "gid": os.getgid(), **options}))

    def serve_with(self, **services: Any) -> None:
        """From here on ``fs`` is one whose open files have these services instead of the core's."""
        core = self.core
        put_together = replace(core.services, **services)
        files = OpenFiles(put_together, partial(core.tree.watch, of_outcomes=True))
        self.core = replace(core, services=put_together, files=files)
        self.fs = self.file_system(**self.options)

    # What others do

    def theirs(self, path: str, body: bytes) -> File:
        """Somebody else's write, heard of at once."""
        file = self.account.write(path, body)
        self.follow()
        return file

    # What programs do

    def open(self, path: str, flags: int) -> int:
        """A handle's number. As the kernel it looks at the file and tries again, once, where it is told that
        what it knows is of another version."""
        call = self.fs.create if flags & os.O_CREAT else self.fs.open
        try:
            return call(path, flags).number
        except Stale:
            self.fs.getattr(path)
            return call(path, flags).number

    def put(self, path: str, body: bytes) -> None:
        """Opens for writing from empty, as `>` does, writes, closes."""
        number = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            for at in range(0, len(body), MIB):
                self.fs.write(number, at, body[at : at + MIB])
        finally:
            self.close_file(number)

    def get(self, path: str) -> bytes:
        """Opens, reads to the size that stat tells, closes."""
        number = self.open(path, os.O_RDONLY)
        try:
            return self.fs.read(number, 0, self.fs.fgetattr(number).size_bytes)
        finally:
            self.close_file(number)

    def begin(self, path: str, body: bytes = b"") -> int:
        """Opens for writing from empty and writes; the handle."""
        number = self.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if body:
            self.fs.write(number, 0, body)
        return number

    def close_file(self, number: int) -> None:
        """close(2): flush, then release."""
        try:
            self.fs.flush(number)
        finally:
            self.fs.release(number)

    def names(self, path: str = "/") -> set[str]:
        number = self.fs.opendir(path)
        try:
            return {name for name, _, _ in self.fs.readdir(number)}
        finally:
            self.fs.releasedir(number)

    def tree(self, folder: str = "") -> dict[str, bytes | None]:
        """Everything that is shown: the bytes of files, None for folders; not what stays here by its kind."""
        found: dict[str, bytes | None] = {}
        for name in self.names(folder or "/"):
            path = f"{folder}/{name}"
            with contextlib.suppress(NotFound):  # as with find(1): it may have gone since its folder was read
                node = self.node(path)
                if node.is_folder:
                    found |= {path: None} | self.tree(path)
                elif not node.is_special:
                    found[path] = self.get(path)
        return found

    def links(self, folder: str = "") -> dict[str, str]:
        """The targets of all symbolic links, by path."""
        found: dict[str, str] = {}
        for name in self.names(folder or "/"):
            path = f"{folder}/{name}"
            node = self.node(path)
            if node.is_folder:
                found |= self.links(path)
            elif node.is_special:
                found[path] = self.fs.readlink(path)
        return found

    def mkdir(self, path: str) -> None:
        self.fs.mkdir(path)

    def rename(self, source: str, target: str) -> None:
        self.fs.rename(source, target)

    def touch(self, path: str, mtime_ns: int) -> None:
        self.fs.metadata.utimens(path, mtime_ns)

    # Looking behind

    def node(self, path: str) -> Node:
        return self.core.view.stat([name for name in path.split("/") if name])

    def state(self, path: str) -> State:
        return self.node(path).state

    def word(self, path: str) -> str:
        """How far a path is on its way; "clean" when it is through."""
        word = word_of(self.node(path))
        return "clean" if word is None else word.text

    def pending(self) -> list[tuple[str, str]]:
        """Paths and words of what is not clean, in the order in which it became so."""
        with self.core.tree.lock:
            words = [(path_of(node), word_of(node)) for node in self.core.tree.dirty.values()]
        return [(path, "clean" if word is None else word.text) for path, word in words]

    def notices(self) -> list[str]:
        return [notice.text for notice in self.core.tree.store.notices.all()]

    def file(self, path: str) -> File:
        """What the account has at *path*."""
        entry = self.account.get(path)
        assert isinstance(entry, File)
        return entry

    def remote(self) -> dict[str, bytes | None]:
        """Everything the account has: the bytes of files, None for folders."""
        found: dict[str, bytes | None] = dict(self.account.files())
        return found | dict.fromkeys(self.account.folders())

    def revisions_of(self, path: str) -> int:
        """How often the service gave *path* new bytes."""
        return self.account.revisions_of(RemotePath(path))

    # What the daemon's workers do

    def follow(self) -> None:
        """Hears of everything that others did."""
        for _ in range(3):
            self.core.follower.step(self.clock.now_s())

    def upload_all(self, most_s: float = 600.0) -> None:
        """Steps the uploader until it has nothing to do."""
        core = self.core
        self.run([core.filler.step, core.uploader.step, core.prober.step], most_s)

    def settle(self, most_s: float = 600.0) -> None:
        """Steps everything, with the clock moved on as asked for, until there is nothing to do."""
        core = self.core
        steps = [core.uploader.step, core.committer.step, core.sweeper.step, core.prober.step]
        self.run([core.filler.step, *steps], most_s)

    def commit_steps(self, count: int) -> None:
        """Uploads all, then steps the committer so often, whenever it is due."""
        self.upload_all()
        for _ in range(count):
            due_s = self.core.committer.step(self.clock.now_s())
            if due_s > self.clock.now_s() and not math.isinf(due_s):
                self.advance(due_s - self.clock.now_s())

    def lose_reply(self, work_s: float = 30.0) -> None:
        """Uploads all and sends the next batch, of which nothing is heard: the connection is cut, and the
        service is at work on it for *work_s* more."""
        self.upload_all()
        self.advance(1.0)
        self.account.job_s = work_s
        self.backend.fail("submit", Offline("lost"), after=True)
        self.core.committer.step(self.clock.now_s())

    def give_up(self) -> None:
        """The looks at what became of the batch that was sent find nothing, until it is given up."""
        while self.core.committer.current:
            self.advance(0.5)
            self.core.committer.step(self.clock.now_s())

    def advance(self, seconds: float) -> None:
        assert isinstance(self.clock, FakeClock)
        self.clock.advance(seconds)

    def run(self, steps: list[Callable[[float], float]], most_s: float) -> None:
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
                self.advance(due_s - now_s + 1e-6)
        raise NotSettled(f"not settled after {most_s} s: {self.pending()}")
