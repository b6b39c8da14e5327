"""What is over: spool files become cache or go, upload sessions are ended, rows of vanished folders go."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

from mountfs.errors import MountfsError, NoSpace, NotSignedIn, Transient, with_class
from mountfs.files.handles import OpenFiles
from mountfs.model.pacing import Pacer, is_account_wide
from mountfs.ports import Backend, Clock
from mountfs.reading.blocks import Blocks
from mountfs.spool.ballast import Ballast
from mountfs.spool.spool import Spool
from mountfs.tree.content import Content
from mountfs.tree.sync import Durability
from mountfs.tree.tree import Tree

LOG = logging.getLogger(__name__)

FILES_AT_ONCE = 200
"""Files swept between two transactions: short enough that nobody waits for the lock."""
NODES_AT_ONCE = 500
FINISH_AGAIN_S = 5.0
RETRY_S = 30.0
"""When a file that could not be removed is tried again."""


class Sweeper:
    """One thread calls ``step``; ``wake`` is set by the assembly, wakes it, may be called under the lock."""

    def __init__(
        self,
        tree: Tree,
        spool: Spool,
        cache: Blocks,
        backend: Backend,
        clock: Clock,
        ballast: Ballast,
        durability: Durability,
        files: OpenFiles,
    ) -> None:
        self.wake: Callable[[], None] = lambda: None
        self._tree = tree
        self._spool = spool
        self._cache = cache
        self._backend = backend
        self._clock = clock
        self._ballast = ballast
        self._durability = durability
        self._files = files
        self._finishes_s = -math.inf
        """When what could not be closed is tried again."""
        self.trouble: str | None = None
        """Why it could not be, while it cannot; in one line."""
        self._abandoning = Pacer()
        self._stuck: set[int] = set()
        """Contents whose file could not be removed."""
        self._retry_s = -math.inf
        tree.on_freed = self._wake
        files.on_left = self._wake

    def step(self, now_s: float) -> float:
        """Sweeps a bounded number of files, or of rows, or ends one upload session: nothing else does."""
        return min(self._sweep_next(now_s), self._finish_left(now_s))

    def _finish_left(self, now_s: float) -> float:
        """When it is to be tried again. It holds up nothing else, which may make the room that it needs."""
        if now_s < self._finishes_s:
            return self._finishes_s
        self._finishes_s = -math.inf
        try:
            self._files.finish_left()
        except Exception as error:
            trouble = with_class(error)
            if trouble != self.trouble:
                LOG.warning("a file that was closed cannot be sent yet: %s", trouble)
            self.trouble = trouble
            self._finishes_s = now_s + FINISH_AGAIN_S
            return self._finishes_s
        self.trouble = None
        return math.inf

    def _sweep_next(self, now_s: float) -> float:
        if now_s >= self._retry_s:
            self._stuck.clear()
        with self._tree.lock:
            spent = list(islice(self._free(), FILES_AT_ONCE))
        if spent:
            # Else power loss brings rows back whose bytes are gone. A journal that cannot be synced promises
            # nothing any more, and says so in the status.
            with suppress(OSError, NoSpace):
                self._durability.sync_store()
            self._sweep_files(spent, now_s)
            return now_s
        if self._tree.sweep_detached(NODES_AT_ONCE):
            return now_s
        due_s = self._end_next_session(now_s)
        if not self._ballast.hold():
            due_s = min(due_s, now_s + RETRY_S)
        return min(due_s, self._retry_s) if self._stuck else due_s

    def _free(self) -> Iterator[Content]:
        return (content for content in self._tree.freed.values() if content.id not in self._stuck)

    def _sweep_files(self, spent: list[Content], now_s: float) -> None:
        swept: list[int] = []
        for content in spent:
            try:
                self._sweep(content)
                swept.append(content.id)
            except FileNotFoundError:
                swept.append(content.id)  # its name is none of the spool's: there is nothing to remove
            except OSError as error:
                LOG.warning("a file that is not needed any more stays in the spool: %s", error)
                if not self._stuck:
                    self._retry_s = now_s + RETRY_S
                self._stuck.add(content.id)
        with self._tree.transaction():
            self._tree.store.delete_contents(swept)
            for content_id in swept:
                self._tree.freed.pop(content_id, None)

    def _sweep(self, content: Content) -> None:
        spool, digest = content.spool, content.content_hash
        is_cache = digest is not None and content.is_whole
        if is_cache and self._cache.adopt(digest or "", content.size_bytes, self._spool.place(spool)):
            self._spool.let_go(spool)
        else:
            self._spool.remove(spool)

    def _end_next_session(self, now_s: float) -> float:
        """Tells the service of one; when to step again. One it refuses to end expires by itself."""
        with self._tree.lock:
            session = self._tree.store.orphans.first()
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
                    with self._tree.transaction():
                        self._tree.store.orphans.put_last(session)
                return max(now_s, self._abandoning.ready_s)
        self._abandoning.succeeded()
        with self._tree.transaction():
            self._tree.store.orphans.remove(session)
        return now_s

    def _wake(self) -> None:
        self.wake()
