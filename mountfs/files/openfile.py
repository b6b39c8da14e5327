"""One file's content while somebody has it open: shared by all its handles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from mountfs.errors import InvalidArgument, TooLarge
from mountfs.files.copyup import admit, copied
from mountfs.files.keys import change_key, revision_key
from mountfs.files.services import Services
from mountfs.journal.journal import StaleChange
from mountfs.model.change import FINAL_STATES, Change, ChangeState
from mountfs.model.entry import NS_PER_S, File
from mountfs.model.path import RemotePath
from mountfs.model.ranges import RangeSet
from mountfs.spool.spoolfile import SpoolFile


class Registry(Protocol):
    """Who knows all open files; see ``files.handles.OpenFiles``."""

    def beginning(self, spool: str) -> AbstractContextManager[None]:
        """While it lasts, whoever opens the change that keeps its bytes in *spool* waits."""

    def rekey(self, file: OpenFile, before_key: str) -> None:
        """*file*, whose key was *before_key*, shows other bytes from here on."""


class OpenFile:
    """The bytes of one content and the one writer's state; any thread may call.

    The bytes come from a revision of the service (one for as long as it is open), from the spool file
    of a pending change, or, once written to, from the spool file of an OPEN change of its own. The
    first write to anything else copies it first, under ``lock``: whoever wants this file waits anyway.

    ``path`` is set by the registry alone, while it holds ``lock``. A file that was unlinked is
    nameless: it keeps working for its handles and leaves nothing behind.
    """

    def __init__(
        self,
        services: Services,
        path: RemotePath,
        *,
        file: File | None = None,
        change: Change | None = None,
        spool_file: SpoolFile | None = None,
        registry: Registry,
    ) -> None:
        """Shows the revision *file*, or the pending *change* whose open *spool_file* it takes over."""
        self.lock = threading.RLock()
        self.path = path
        self.handles = 0
        self.writers = 0
        """Both counted by the registry."""
        self._services = services
        self._registry = registry
        self._file = file
        self._base: tuple[str, str | None] | None = (file.revision, file.content_hash) if file else None
        self._spool_file = spool_file
        self._change_id = change.id if change else None
        self._is_writing = False
        self._is_flushed = False
        self._is_nameless = False
        self._is_announced = False
        self._written = RangeSet()
        self._strays: list[str] = []
        if file is not None:
            self._size_bytes, self._mtime_ns = file.size_bytes, file.mtime_ns
        else:
            assert change is not None
            assert spool_file is not None
            is_open = change.state is ChangeState.OPEN
            self._size_bytes = spool_file.size_bytes if is_open else change.size_bytes
            self._mtime_ns = change.mtime_ns

    @classmethod
    def created(
        cls, services: Services, change: Change, spool_file: SpoolFile, registry: Registry
    ) -> OpenFile:
        """A new empty file, whose OPEN *change* was just begun."""
        created = cls(services, change.path, change=change, spool_file=spool_file, registry=registry)
        created._is_writing = True
        return created

    # What it is

    @property
    def key(self) -> str:
        """Names the content: equal for two opens that show the same bytes."""
        if self._change_id is not None:
            return change_key(self._change_id)
        return revision_key(self._base[0]) if self._base else ""

    @property
    def change_id(self) -> int | None:
        """The pending change its bytes belong to."""
        return self._change_id

    @property
    def is_writing(self) -> bool:
        return self._is_writing

    @property
    def is_nameless(self) -> bool:
        return self._is_nameless

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def mtime_ns(self) -> int:
        """Whole seconds: what the services keep."""
        return self._mtime_ns - self._mtime_ns % NS_PER_S

    def shows(self, file: File) -> bool:
        """Whether its bytes, unchanged so far, are those of the revision *file*."""
        base_hash = self._base[1] if self._base else None
        is_clean = self._change_id is None and not self._is_writing and not self._is_nameless
        return is_clean and base_hash is not None and base_hash == file.content_hash

    # Reading and writing

    def read(self, offset: int, length: int) -> bytes:
        """Fewer bytes only at the end. Errors of the reader."""
        file = self._file
        if file is not None:
            return self._services.reader.read(file, offset, length)  # without the lock: this may take long
        with self.lock:
            if self._spool_file is None:
                raise InvalidArgument(f"{self.path} is closed")
            return self._spool_file.pread(offset, max(0, min(length, self._size_bytes - offset)))

    def write(self, offset: int, data: bytes, *, append: bool = False) -> int:
        """All of *data*, at *offset* or at the end. NoSpace, TooLarge; what the first write needs."""
        length = len(data)
        admit(self._services, length if append else offset + length - self._size_bytes)
        with self.lock:
            if append:
                offset = self._size_bytes
            stop = offset + length
            if stop > self._services.limits.max_file_bytes:
                raise TooLarge(f"the service takes files up to {self._services.limits.max_file_bytes} bytes")
            spool_file = self._writable_locked(self._size_bytes)
            spool_file.pwrite(offset, data)
            self._written.add(offset, stop)
            self._size_bytes = max(self._size_bytes, stop)
            self._touch_locked()
            self._announce_locked(offset, stop)
        return length

    def truncate(self, size_bytes: int) -> None:
        """Cuts, or extends with zeros. As ``write``."""
        if size_bytes > self._services.limits.max_file_bytes:
            raise TooLarge(f"the service takes files up to {self._services.limits.max_file_bytes} bytes")
        with self.lock:
            spool_file = self._writable_locked(min(size_bytes, self._size_bytes))
            spool_file.truncate(size_bytes)
            self._written.truncate(size_bytes)
            self._size_bytes = size_bytes
            self._touch_locked()
            if self._is_announced and self._change_id is not None:
                self._services.uploads.truncated(self._change_id, size_bytes)

    def set_mtime(self, mtime_ns: int) -> bool:
        """Keeps it until the next write; False when nothing is being written, so that others must."""
        with self.lock:
            self._mtime_ns = mtime_ns
            if self._is_writing and self._is_flushed:
                self._flush_locked()
            return self._is_writing or self._is_nameless

    # The end of writing

    def flush(self) -> None:
        """The bytes so far and the row survive the process; again, or with nothing new, it is free."""
        with self.lock:
            if self._is_writing and not self._is_flushed:
                self._flush_locked()

    def sync(self) -> None:
        """The bytes so far survive power loss."""
        with self.lock:
            change_id = self._change_id
        if change_id is not None:
            self._services.durable.sync_change(change_id)

    def publish(self, timeout_s: float) -> None:
        """The bytes so far are on the service. The change's error; Offline when it took too long.

        It is sealed, so that it can be committed: a later write begins the next change with a copy.
        """
        with self.lock:
            self._seal_locked()
            change_id = self._change_id
        if change_id is not None:
            self._services.waiter.wait_committed(change_id, timeout_s)

    def seal_if_idle(self) -> None:
        """The last writer is gone: what was written may travel."""
        with self.lock:
            if not self.writers:
                self._seal_locked()

    def seal_if_flushed(self) -> None:
        """It was closed, though somebody may still have it open: what was written until then may travel.

        Not while another call works on the file, which may take long: whoever closes it then asks again.
        """
        if not self.lock.acquire(blocking=False):
            return
        try:
            if self._is_flushed:
                self._seal_locked()
        finally:
            self.lock.release()

    def close(self) -> None:
        """Nobody has it open any more."""
        with self.lock:
            if self._spool_file is not None:
                self._spool_file.close()
                self._spool_file = None
            for stray in self._strays:
                self._services.spool.remove(stray)
            self._strays.clear()

    # What happens to its name and its change; called by the registry

    def lose_name(self) -> None:
        """It was unlinked or replaced: what is written from here on goes nowhere."""
        with self.lock:
            self._is_nameless = True
            self._change_id = None
            if self._is_flushed:
                # Its row stands until what replaced it is whole: what comes from here on goes into a copy.
                self._is_writing = self._is_flushed = False

    def committed(self, change_id: int, revision: str, content_hash: str | None) -> bool:
        """Its change became *revision*; whether that changed its key. Takes no lock: under the account's."""
        if self._change_id != change_id or self._is_writing:
            return False
        self._base = (revision, content_hash)
        self._change_id = None
        return True

    # Inside

    def _writable_locked(self, kept_bytes: int) -> SpoolFile:
        """The spool file of an OPEN change of ours, holding at least the first *kept_bytes*."""
        if self._is_writing:
            if self._is_flushed:
                self._unflush_locked()
            assert self._spool_file is not None
            return self._spool_file
        copy = copied(self._services, self._file, self._spool_file, kept_bytes)
        try:
            with self._registry.beginning(copy.name):
                self._turn_to_locked(copy, None if self._is_nameless else self._begin_locked(copy))
        except BaseException:
            copy.close()
            self._services.spool.remove(copy.name)
            raise
        self._written = RangeSet([(0, kept_bytes)])
        return copy

    def _turn_to_locked(self, copy: SpoolFile, change: Change | None) -> None:
        """From here on the bytes are those of *copy*, and of the OPEN *change* unless it is nameless."""
        before_key = self.key
        if change is None:
            self._strays.append(copy.name)
        if self._spool_file is not None:
            self._spool_file.close()
        self._spool_file, self._file = copy, None
        self._change_id = change.id if change else None
        self._is_writing, self._is_flushed, self._is_announced = True, False, False
        self._registry.rekey(self, before_key)

    def _begin_locked(self, copy: SpoolFile) -> Change:
        shown_id = self._change_id
        change = self._services.changes.begin_put(self.path, copy.name)
        if change.base_revision is None:
            return change
        # Somebody else's newer revision stands there: what we edit is the one we opened.
        if self._base is not None and change.base_revision != self._base[0]:
            return self._services.journal.amend(change, base_revision=self._base[0], base_hash=self._base[1])
        shown = None if shown_id is None or self._base is not None else self._services.journal.get(shown_id)
        if shown is not None and shown.state not in FINAL_STATES:
            # What we opened was put beside it as a conflicted copy; this is one more.
            return self._services.journal.amend(change, base_revision=None, base_hash=None)
        return change

    def _touch_locked(self) -> None:
        self._mtime_ns = self._services.clock.wall_ns()

    def _announce_locked(self, start: int, stop: int) -> None:
        limits = self._services.limits
        if (
            limits.size_known_at_start
            or self._size_bytes < limits.session_min_bytes
            or self._change_id is None
        ):
            return
        if self._is_announced:
            self._services.uploads.wrote(self._change_id, start, stop)
            return
        self._is_announced = True
        for low, high in self._written:
            self._services.uploads.wrote(self._change_id, low, high)

    def _flush_locked(self) -> None:
        self._named_locked(
            lambda change_id: self._services.changes.flush(change_id, self._size_bytes, self._mtime_ns)
        )
        self._is_flushed = True

    def _unflush_locked(self) -> None:
        def unflush(change_id: int) -> None:
            if self._services.changes.unflush(change_id):
                # Power loss must not find what is written over from here on called whole.
                self._services.durable.sync_journal()

        self._named_locked(unflush)
        self._is_flushed = False

    def _seal_locked(self) -> None:
        if self._is_writing and not self._is_nameless:
            self._named_locked(
                lambda change_id: self._services.changes.seal(change_id, self._size_bytes, self._mtime_ns)
            )
            self._is_writing = self._is_nameless

    def _named_locked(self, step: Callable[[int], object]) -> None:
        """Takes a step with the change, unless it was removed meanwhile: then nothing of it is wanted."""
        if self._change_id is None:
            return
        try:
            step(self._change_id)
        except StaleChange:
            self.lose_name()
