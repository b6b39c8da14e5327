"""What is over: its spool file becomes cache or goes, its session is ended, its row is forgotten."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from mountfs.errors import MountfsError, NotSignedIn, Transient
from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeKind, ChangeState
from mountfs.model.entry import File
from mountfs.model.pacing import Pacer, is_account_wide
from mountfs.ports import Backend, Clock

LOG = logging.getLogger(__name__)

ROWS_AT_ONCE = 200
"""Rows forgotten in one transaction: short enough that nobody waits for the journal."""


class SpoolFiles(Protocol):
    """The part of the spool that is needed here."""

    def path(self, name: str) -> Path: ...

    def remove(self, name: str) -> None:
        """One that is gone already is fine."""


class Cache(Protocol):
    """The part of ``mountfs.reading.blocks`` that is needed here."""

    def adopt(self, file: File, spool_path: Path) -> bool:
        """Takes the file over by rename, or does nothing."""


def _silence() -> None:
    """The bell before the assembly hangs up its own."""


class Sweeper:
    """One thread calls ``step``; ``bell`` is set by the assembly, wakes it, and may ring under the lock."""

    def __init__(
        self,
        journal: Journal,
        spool: SpoolFiles,
        cache: Cache,
        backend: Backend,
        clock: Clock,
    ) -> None:
        self.bell: Callable[[], None] = _silence
        self._journal = journal
        self._spool = spool
        self._cache = cache
        self._backend = backend
        self._clock = clock
        self._abandoning = Pacer()
        with journal.lock:
            self._over = {row.id: row for row in journal.rows() if row.state in FINAL_STATES}
            journal.watch(self._changed)
            journal.orphans.watch(self._ring)

    def step(self, now_s: float) -> float:
        """Sweeps a bounded number of rows, or ends one upload session: nothing else does."""
        with self._journal.lock:
            rows = list(self._over.values())[:ROWS_AT_ONCE]
        if not rows:
            return self._end_next_session(now_s)
        for row in rows:
            self._sweep(row)
        with self._journal.transaction():
            for row in rows:
                self._journal.forget(row.id)
        return now_s

    def _sweep(self, row: Change) -> None:
        if row.kind is not ChangeKind.PUT or row.spool is None:
            return
        if row.state is ChangeState.COMMITTED and row.base_revision is not None:
            self._cache.adopt(_file_of(row, row.base_revision), self._spool.path(row.spool))
        self._spool.remove(row.spool)

    def _end_next_session(self, now_s: float) -> float:
        """Tells the service of one; when to step again. One it refuses to end expires by itself."""
        session = self._journal.orphans.first()
        if session is None:
            return math.inf
        if self._abandoning.ready_s > now_s:
            return self._abandoning.ready_s
        try:
            self._backend.abandon(session)
        except MountfsError as error:
            LOG.debug("upload session not ended: %s", error)
            if isinstance(error, Transient | NotSignedIn):
                self._abandoning.failed(
                    error, started_s=now_s, now_s=self._clock.now_s(), jitter=self._clock.jitter()
                )
                if not is_account_wide(error):
                    # It may be this one alone that the service stumbles over: the others come first.
                    self._journal.orphans.put_last(session)
                return max(now_s, self._abandoning.ready_s)
        self._abandoning.succeeded()
        self._journal.orphans.remove(session)
        return now_s

    def _ring(self) -> None:
        self.bell()

    def _changed(self, before: Change | None, after: Change | None) -> None:
        """The journal's listener."""
        if after is None:
            if before is not None:
                self._over.pop(before.id, None)
        elif after.state in FINAL_STATES:
            was_idle = not self._over
            self._over[after.id] = after
            if was_idle:
                self.bell()


def _file_of(row: Change, revision: str) -> File:
    """What a committed PUT became, as far as the cache needs it."""
    return File(
        path=row.path,
        id=row.item_id,
        revision=revision,
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        content_hash=row.content_hash,
    )
