"""What others change at the service, told to the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event
from typing import Protocol

from mountfs.errors import Conflict, MountfsError, Offline
from mountfs.model.entry import News
from mountfs.model.pacing import Pacer
from mountfs.ports import Backend, Clock

WAIT_S = 60.0
"""How long one question may stay open; proxies cut longer ones."""
IDLE_S = 1.0
"""After an answer that says something changed and then lists nothing, so that it cannot spin."""


class Feed(Protocol):
    """The part of ``mountfs.tree.feed`` that is needed here."""

    @property
    def cursor(self) -> str | None: ...

    def begin(self, cursor: str | None) -> None: ...

    def note(self, news: Iterable[News], cursor: str) -> None: ...

    def note_follower(self, *, is_healthy: bool, is_away: bool) -> None: ...


class Follower:
    """One thread calls ``step``, which blocks while nothing changes; ``Backend.close`` ends that.

    The position in the changes is kept with the tree: after a restart what was missed meanwhile is caught up.
    """

    def __init__(
        self,
        backend: Backend,
        feed: Feed,
        clock: Clock,
        wait_s: float = WAIT_S,
        on_begin: Callable[[], None] = lambda: None,
    ) -> None:
        """*on_begin* is called once the service answered for the first time; when it fails, following does,
        and begins anew later."""
        self._on_begin = on_begin
        self._backend = backend
        self._feed = feed
        self._clock = clock
        self._wait_s = wait_s
        self._has_begun = False
        self._is_healthy = False
        self._is_nudged = False
        self._pacer = Pacer()
        self._has_looked = Event()

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

    def await_round(self, timeout_s: float) -> None:
        """Returns once the service was asked for changes, in success or failure, or after *timeout_s*."""
        self._has_looked.wait(timeout_s)

    def step(self, now_s: float) -> float:
        """Waits for changes and applies them, or begins (again) to follow."""
        if self._pacer.ready_s > now_s and not self._is_nudged:
            return self._pacer.ready_s
        self._is_nudged = False
        try:
            delay_s = self._follow()
        except Conflict:
            self._feed.begin(None)
            self._set_health(is_healthy=False, is_away=False)
            self._has_looked.set()
            return self._clock.now_s()
        except MountfsError as error:
            self._set_health(is_healthy=False, is_away=isinstance(error, Offline))
            failed_s = self._clock.now_s()
            self._pacer.failed(error, started_s=now_s, now_s=failed_s, jitter=self._clock.jitter())
            self._has_looked.set()
            return self._pacer.ready_s
        self._pacer.succeeded()
        self._set_health(is_healthy=True, is_away=False)
        self._has_looked.set()
        return self._clock.now_s() + delay_s

    def _follow(self) -> float:
        """Seconds to wait before the next round."""
        cursor = self._feed.cursor
        if cursor is None:
            self._feed.begin(self._backend.latest_cursor())
            self._begun()
        elif not self._is_healthy:
            self._catch_up(cursor)
            self._begun()
        elif self._backend.wait_for_changes(cursor, self._wait_s) and not self._catch_up(cursor):
            return IDLE_S
        return 0.0

    def _begun(self) -> None:
        self._set_health(is_healthy=True, is_away=False)
        if not self._has_begun:
            self._on_begin()
            self._has_begun = True

    def _catch_up(self, cursor: str) -> bool:
        """Applies everything since *cursor*; whether there was anything."""
        has_any = False
        while True:
            changes = self._backend.changes(cursor)
            if changes.entries or changes.cursor != cursor:
                self._feed.note(changes.entries, changes.cursor)
            has_any = has_any or bool(changes.entries)
            cursor = changes.cursor
            if not changes.has_more:
                return has_any

    def _set_health(self, *, is_healthy: bool, is_away: bool) -> None:
        self._is_healthy = is_healthy
        self._feed.note_follower(is_healthy=is_healthy, is_away=is_away)
