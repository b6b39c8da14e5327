"""What others change at the service, told to the tree."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from threading import Event
from typing import Protocol

from mountfs.errors import Conflict, MountfsError, Offline, ServerFault
from mountfs.model.comeback import Comeback
from mountfs.model.entry import News
from mountfs.model.pacing import Pace, Pacer
from mountfs.ports import Backend, Clock

LOG = logging.getLogger(__name__)

WAIT_S = 60.0
"""How long one question may stay open; proxies cut longer ones."""
LOOK_S = 1.0
"""So far apart are two looks at the changes. The service tells our own commits as well, each by itself: those
of a second are looked at together."""
POLL_S = 30.0
"""How often the changes are looked at while the service refuses to be waited for."""
REFUSED = Pace(first_s=1.0, longest_s=300.0)
"""How often waiting is tried again meanwhile; and a new position, where each one is refused."""
FRUITLESS = Pace(first_s=1.0, longest_s=60.0)
"""After an answer that says something changed and then tells nothing, or that comes much too soon."""
PAGES_AT_ONCE = 100
"""After so many pages of changes in a row, each further one is a look of its own."""
EMPTY_PAGES = 10
"""Pages in a row that announce another one and tell nothing; a service may do so, but not for ever."""


class Feed(Protocol):
    """The part of ``mountfs.tree.feed`` that is needed here."""

    @property
    def cursor(self) -> str | None: ...

    def begin(self, cursor: str | None) -> None: ...

    def asks(self) -> int: ...

    def note(self, news: Sequence[News], cursor: str, asked_at: int, *, has_more: bool) -> None: ...

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
        on_news: Callable[[Sequence[News]], None] = lambda _news: None,
    ) -> None:
        """*on_begin* is called once the service answered for the first time; when it fails, following does,
        and begins anew later. *on_news*: with changes that were noted."""
        self._on_news = on_news
        self._on_begin = on_begin
        self._backend = backend
        self._feed = feed
        self._clock = clock
        self._wait_s = wait_s
        self._has_begun = False
        self._is_healthy = False
        self._is_away = False
        self._is_nudged = False
        self._is_busy = False
        """Whether the last look found something: the next one is made without waiting for an announcement."""
        self._is_behind = False
        """Whether there were more pages than are read at once."""
        self._positions: set[str] = set()
        """Of the pages read since there was no further one: who is led there again is led in a circle."""
        self._empty_pages = 0
        """So many of them in a row told nothing."""
        self._looked_s = -math.inf
        self._asked_s = -math.inf
        """When the last question was asked, of whatever kind."""
        self._pacer = Pacer()
        self._comeback = Comeback(self._pacer)
        self._waiting = Pacer(REFUSED)
        self._resets = Pacer(REFUSED)
        self._fruitless = Pacer(FRUITLESS)
        self._told: str | None = None
        self._has_looked = Event()

    @property
    def last_error(self) -> str | None:
        """Why remote changes are not seen now, or only late, in one line."""
        error = self._pacer.error
        if error is not None:
            return str(error)
        if self._resets.failures > 1:
            return f"each position in the service's changes is refused: {self._resets.error}"
        if self._waiting.failures > 1:
            return f"changes are asked for every {POLL_S:.0f} s: {self._waiting.error}"
        return None

    @property
    def error(self) -> MountfsError | None:
        """What the last question for changes met, until one is answered."""
        return self._pacer.error

    @property
    def is_offline(self) -> bool:
        """Whether the far side did not answer the last time."""
        return self._is_away

    @property
    def has_looked(self) -> bool:
        """Whether the service was asked for changes, in success or failure."""
        return self._has_looked.is_set()

    def nudge(self) -> None:
        """The far side answered somebody else: the next step need not wait, but for what lies between two
        looks. Any thread."""
        self._is_nudged = True

    def answered(self) -> bool:
        """The service has answered somebody; whether a step is due. Any thread."""
        if not self._comeback.is_awaited or not self._is_away:
            return False
        if not self._comeback.is_seen(self._clock.now_s()):
            return False
        self.nudge()
        return True

    def await_round(self, timeout_s: float) -> None:
        """Returns once the service was asked for changes, in success or failure, or after *timeout_s*."""
        self._has_looked.wait(timeout_s)

    def step(self, now_s: float) -> float:
        """Waits for changes and applies them, or begins (again) to follow."""
        ready_s = self._pacer.ready_s
        if self._is_nudged:
            # Each commit of ours nudges: where following fails and they do not, that is many a second.
            ready_s = min(ready_s, self._asked_s + LOOK_S)
        if ready_s > now_s:
            return ready_s
        self._is_nudged = False
        self._asked_s = now_s
        try:
            due_s = self._follow(now_s)
        except Conflict as error:
            self._note_failure(self._resets, error, now_s)
            self._feed.begin(None)
            self._positions.clear()
            self._set_health(is_healthy=False, is_away=False)
            due_s = max(self._anew_s(), self._clock.now_s())
        except MountfsError as error:
            self._set_health(is_healthy=False, is_away=isinstance(error, Offline))
            self._note_failure(self._pacer, error, now_s)
            due_s = self._pacer.ready_s
        else:
            self._pacer.succeeded()
            self._set_health(is_healthy=self._is_healthy, is_away=self._is_away)
        self._has_looked.set()
        self._tell()
        return due_s

    def _follow(self, now_s: float) -> float:
        """One question; when the next is due."""
        cursor = self._feed.cursor
        if cursor is None:
            if self._anew_s() > now_s:
                return self._anew_s()
            self._feed.begin(self._backend.latest_cursor())
            self._begun()
            return self._clock.now_s()
        if not self._is_healthy or self._is_busy or self._is_poll_due(now_s):
            self._look(cursor)
            return self._looked_s + LOOK_S
        if self._waiting.ready_s > now_s:
            return min(self._waiting.ready_s, self._looked_s + POLL_S)
        return self._wait(cursor, now_s)

    def _wait(self, cursor: str, now_s: float) -> float:
        """Asks the service to tell when something changes. Where it refuses, it is looked at now and then."""
        try:
            is_changed = self._backend.wait_for_changes(cursor, self._wait_s)
        except Conflict:
            raise
        except MountfsError as error:
            self._note_failure(self._waiting, error, now_s)
            if self._waiting.failures == 1:
                raise  # whether it is more than the wait that fails, the next look tells
            return min(self._waiting.ready_s, self._looked_s + POLL_S)
        self._waiting.succeeded()
        answered_s = self._clock.now_s()
        if is_changed:
            if not self._look(cursor):
                empty = ServerFault("the service says that something changed, and tells nothing")
                self._note_failure(self._fruitless, empty, now_s)
            return max(self._fruitless.ready_s, self._looked_s + LOOK_S)
        self._resets.succeeded()
        if answered_s - now_s < self._wait_s / 2:
            self._note_failure(self._fruitless, ServerFault("the service does not let us wait"), now_s)
        else:
            self._fruitless.succeeded()
        return max(self._fruitless.ready_s, answered_s)

    def _look(self, cursor: str) -> bool:
        """Applies everything since *cursor*; whether there was anything."""
        self._is_busy = self._catch_up(cursor)
        self._looked_s = self._clock.now_s()
        self._resets.succeeded()
        if self._is_behind:
            self._set_health(is_healthy=False, is_away=False)
        elif not self._is_healthy:
            self._begun()
        if self._is_busy:
            self._fruitless.succeeded()
        return self._is_busy

    def _catch_up(self, cursor: str) -> bool:
        """ServerFault when the pages lead nowhere."""
        has_any = False
        self._positions.add(cursor)
        for _ in range(1 if self._is_behind else PAGES_AT_ONCE):
            asked_at = self._feed.asks()
            changes = self._backend.changes(cursor)
            if changes.entries or changes.cursor != cursor:
                self._feed.note(changes.entries, changes.cursor, asked_at, has_more=changes.has_more)
                self._on_news(changes.entries)
            has_any = has_any or bool(changes.entries)
            if not changes.has_more:
                self._is_behind = False
                self._positions.clear()
                self._empty_pages = 0
                return has_any
            self._empty_pages = 0 if changes.entries else self._empty_pages + 1
            if changes.cursor in self._positions or self._empty_pages >= EMPTY_PAGES:
                raise ServerFault("the service announces more changes and does not tell them")
            cursor = changes.cursor
            self._positions.add(cursor)
        self._is_behind = True
        return True

    def _is_poll_due(self, now_s: float) -> bool:
        return self._waiting.failures > 0 and now_s >= self._looked_s + POLL_S

    def _anew_s(self) -> float:
        """When a new position may be asked for: at once after one was refused, then ever more rarely."""
        return self._resets.ready_s if self._resets.failures > 1 else -math.inf

    def _note_failure(self, pacer: Pacer, error: MountfsError, started_s: float) -> None:
        pacer.failed(error, started_s=started_s, now_s=self._clock.now_s(), jitter=self._clock.jitter())

    def _begun(self) -> None:
        self._set_health(is_healthy=True, is_away=False)
        if not self._has_begun:
            self._on_begin()
            self._has_begun = True

    def _set_health(self, *, is_healthy: bool, is_away: bool) -> None:
        self._is_healthy = is_healthy
        self._is_away = is_away
        self._feed.note_follower(is_healthy=is_healthy, is_away=is_away)

    def _tell(self) -> None:
        """One line in the log when trouble that is the follower's alone begins, and one when it ends."""
        error = self.last_error
        if error is None and self._told is not None:
            LOG.warning("the service tells of changes again; it was: %s", self._told)
            self._told = None
        is_lasting = max(self._pacer.failures, self._waiting.failures, self._resets.failures) > 2
        if error is not None and is_lasting and self._told is None and self._backend.trouble() is None:
            LOG.warning("changes at the service are seen late: %s", error)
            self._told = error
