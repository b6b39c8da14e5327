"""What others change on the far side, told to the snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mountfs.errors import Conflict, MountfsError, Offline
from mountfs.model.entry import Entry, Gone
from mountfs.model.pacing import Pacer
from mountfs.ports import Backend, Clock

WAIT_S = 60.0
"""How long one question may stay open; proxies cut longer ones."""
IDLE_S = 1.0
"""After an answer that says something changed and then lists nothing, so that it cannot spin."""


class Snapshot(Protocol):
    """The part of ``mountfs.namespace.snapshot`` that is needed here."""

    def apply_remote(self, entries: Sequence[Entry | Gone]) -> None: ...

    def note_follower(self, healthy: bool) -> None: ...

    def forget_all(self) -> None: ...


class Follower:
    """One thread calls ``step``, which blocks while nothing changes; ``Backend.close`` ends that."""

    def __init__(
        self,
        backend: Backend,
        snapshot: Snapshot,
        clock: Clock,
        wait_s: float = WAIT_S,
        on_begin: Callable[[], None] = lambda: None,
    ) -> None:
        """*on_begin* is called each time following begins anew, with nothing known any more; when it fails,
        following does, and begins anew later."""
        self._on_begin = on_begin
        self._backend = backend
        self._snapshot = snapshot
        self._clock = clock
        self._wait_s = wait_s
        self._cursor: str | None = None
        self._is_healthy = False
        self._is_nudged = False
        self._pacer = Pacer()

    @property
    def last_error(self) -> str | None:
        """Why remote changes are not seen now, in one line."""
        error = self._pacer.error
        return None if error is None else str(error)

    @property
    def is_offline(self) -> bool:
        """Whether the far side did not answer the last time."""
        return isinstance(self._pacer.error, Offline)

    def nudge(self) -> None:
        """The far side answered somebody else: the next step need not wait. Any thread."""
        self._is_nudged = True

    def step(self, now_s: float) -> float:
        """Waits for changes and applies them, or begins (again) to follow."""
        if self._pacer.ready_s > now_s and not self._is_nudged:
            return self._pacer.ready_s
        self._is_nudged = False
        try:
            delay_s = self._follow()
        except Conflict:
            self._set_healthy(False)
            self._cursor = None
            self._snapshot.forget_all()
            return self._clock.now_s()
        except MountfsError as error:
            self._set_healthy(False)
            failed_s = self._clock.now_s()
            self._pacer.failed(error, started_s=now_s, now_s=failed_s, jitter=self._clock.jitter())
            return self._pacer.ready_s
        self._pacer.succeeded()
        return self._clock.now_s() + delay_s

    def _follow(self) -> float:
        """Seconds to wait before the next round."""
        if self._cursor is None:
            cursor = self._backend.latest_cursor()
            # What was listed before the cursor may have changed before it, and nobody would tell.
            self._snapshot.forget_all()
            self._set_healthy(True)
            self._on_begin()
            self._cursor = cursor
        elif not self._is_healthy:
            self._catch_up(self._cursor)
        elif not self._backend.wait_for_changes(self._cursor, self._wait_s):
            return 0.0
        elif not self._catch_up(self._cursor):
            return IDLE_S
        self._set_healthy(True)
        return 0.0

    def _catch_up(self, cursor: str) -> bool:
        """Applies everything since *cursor*; whether there was anything."""
        has_any = False
        while True:
            changes = self._backend.changes(cursor)
            if changes.entries:
                self._snapshot.apply_remote(changes.entries)
                has_any = True
            self._cursor = cursor = changes.cursor
            if not changes.has_more:
                return has_any

    def _set_healthy(self, is_healthy: bool) -> None:
        if is_healthy is not self._is_healthy:
            self._is_healthy = is_healthy
            self._snapshot.note_follower(is_healthy)
