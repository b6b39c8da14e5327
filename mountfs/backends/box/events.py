"""What changed on Box: events, which come twice and out of order, made into news by id."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

from mountfs.backends import checked
from mountfs.backends.box.api import BoxApi, Json
from mountfs.backends.box.buckets import TokenBucket
from mountfs.backends.box.entries import entry_of, id_of, parent_id_of
from mountfs.backends.box.errors import from_response
from mountfs.backends.http import TimedOut
from mountfs.backends.wire import Request
from mountfs.errors import Conflict, Offline, ServerFault, Transient, Unreachable
from mountfs.model.entry import Doubted, Gone, News, Seen
from mountfs.model.pacing import Pace, delay_s
from mountfs.ports import Clock, RemoteChanges

EVENTS = "GET events"
OPTIONS = "OPTIONS events"
LONGPOLL = "GET longpoll"
PAGE_EVENTS = 500
"""The most a page may be asked for."""
MOST_EVENTS = 10 * PAGE_EVENTS
EVENTS_KEPT = 5000
"""Ids of events that were told already."""
POSITIONS_KEPT = 1000
"""Positions that pages led on from."""
CIRCLES = 3
"""So many pages in a row that lead back to such a position void it: what lies behind is never told."""
SERVER_LIFE_S = 600.0
"""A long-poll server is asked for anew after that long; what it states itself is about as much."""
SHARE = 10
"""One in so many of the account's calls may be about events: they must not take the uploads' place."""
FEWEST_PER_MINUTE = 20
"""The share of an account that allows few calls."""
BURST_S = 12.0
BRIEF_POLL_S = 5.0
"""A server that sends us away sooner is asked again ever more rarely."""
SENT_AWAY = Pace(first_s=1.0, longest_s=60.0)
RETRIES = 10
"""So often one server may be asked, unless it says otherwise."""

MOST_STATED = 86_400
"""Of retries, or seconds, that a long-poll server is good for."""

ENDING = frozenset({"ITEM_TRASH"})
OF_PEOPLE = "COLLAB_"
"""So begin the types of events about who shares a folder. The folder has not changed, and who sees it has: it
may be gone from this account, or new in it."""
_POSITION = re.compile(r"[A-Za-z0-9_+/=.-]+")


class Events:
    """Follows the account. One thread at a time waits, any may ask.

    An event tells an item and the folder that it is in, not where it was before: who knows the item's id
    knows that. Events come more than once and in any order; each is told once, and one that is outdated
    only costs who hears it a listing.
    """

    def __init__(self, api: BoxApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._lock = Lock()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._last_cursor: str | None = None
        """Where the last page was asked for that led on, and in it the events that were new."""
        self._last_told: frozenset[str] = frozenset()
        self._left: OrderedDict[str, None] = OrderedDict()
        """Positions that were asked for, and led on."""
        self._circles = 0
        """So many pages in a row led back to one of them."""
        self._server: _Server | None = None
        self._budget = TokenBucket(max(FEWEST_PER_MINUTE, api.settings.calls_per_minute // SHARE), BURST_S)
        self._brief_polls = 0
        """So many long polls in a row ended much too soon."""

    def latest(self) -> str:
        """The position after everything that has happened."""
        position = _position(self._page("now", 1))
        with self._lock:
            self._left.clear()
            self._circles = 0
        return position

    def changes(self, cursor: str) -> RemoteChanges:
        """One page. Conflict: the position is refused or leads nowhere, or something changed that nobody can
        place.

        What a call that raises was about to tell, the next one tells. So does one from the same position:
        whoever asks there again did not come to take note of the page.
        """
        page = self._page(cursor, PAGE_EVENTS)
        entries, position = _entries(page), _position(page)
        is_full = len(entries) >= PAGE_EVENTS
        if is_full and position == cursor:
            raise Conflict("the position in the events is void: a full page of them leads to itself")
        self._check_circle(cursor, position)
        news: list[News] = []
        told: dict[str, None] = {}
        for event_id, event in _told_apart(entries, cursor):
            if event_id not in told and self._is_new(event_id, cursor):
                told[event_id] = None
                news += _news(event, self._api.settings.root_folder_id)
        with self._lock:
            self._told.update(told)
            while len(self._told) > EVENTS_KEPT:
                self._told.popitem(last=False)
            # A position that led nowhere is asked for again by everybody, and repeats its events for ever.
            self._last_cursor = cursor if position != cursor else None
            self._last_told = frozenset(told)
        # A page that is not full may still have successors: the next wait then ends at once.
        return RemoteChanges(tuple(news), position, is_full)

    def wait(self, cursor: str, timeout_s: float) -> bool:
        """A notice that got lost is made up for: the events themselves are looked at in the end."""
        ends_s = self._clock.now_s() + timeout_s
        while True:
            asked_s = self._clock.now_s()
            message = self._listen(cursor, ends_s - asked_s) if asked_s < ends_s else None
            if message == "new_change":
                return True
            if message is None:
                entries = _entries(self._page(cursor, PAGE_EVENTS))
                return any(self._is_new(event_id, cursor) for event_id, _ in _told_apart(entries, cursor))
            left_s = ends_s - self._clock.now_s()
            if self._clock.now_s() - asked_s >= BRIEF_POLL_S:
                self._brief_polls = 0
                continue
            self._brief_polls += 1
            wait_s = delay_s(self._brief_polls, None, self._clock.jitter(), SENT_AWAY)
            self._api.http.pause(max(0.0, min(wait_s, left_s)))

    def _take_turn(self) -> None:
        """Waits for the events' share of the account's calls."""
        self._api.http.pause(self._budget.take(self._clock.now_s()))

    def _check_circle(self, cursor: str, position: str) -> None:
        """Conflict: pages lead from one position to the next and back. A service that lags behind what it
        said before leads back as well, for a while."""
        with self._lock:
            if position == cursor:
                return
            self._circles = self._circles + 1 if position in self._left else 0
            self._left[cursor] = None
            self._left.move_to_end(cursor)
            if len(self._left) > POSITIONS_KEPT:
                self._left.popitem(last=False)
            if self._circles < CIRCLES:
                return
            self._circles = 0
        raise Conflict("the position in the events is void: they lead in a circle")

    def _is_new(self, event_id: str, cursor: str) -> bool:
        with self._lock:
            is_asked_again = cursor == self._last_cursor and event_id in self._last_told
            return is_asked_again or event_id not in self._told

    def _page(self, cursor: str, limit: int) -> Json:
        if not _POSITION.fullmatch(cursor):
            raise Conflict(f"not a position in the events: {cursor[:80]!r}")
        url = self._api.api_url("events", stream_type="changes", stream_position=cursor, limit=limit)
        self._take_turn()
        response = self._api.exchange(EVENTS, url, is_conditional=True)
        if response.status in (400, 404, 410, 412):
            raise Conflict(f"the position in the events is void: {from_response(response, EVENTS)}")
        if response.status != 200:
            raise from_response(response, EVENTS)
        page = response.json()
        if not isinstance(page, dict):
            raise ServerFault(f"{EVENTS}: the reply is not an object")
        return page

    def _listen(self, cursor: str, timeout_s: float) -> str | None:
        """One long poll: the server's word, or None when it had none within the time. Unreachable sooner."""
        server, ends_s = self._current_server(), self._clock.now_s() + timeout_s
        joint = "&" if "?" in server.url else "?"
        request = Request(
            "GET",
            f"{server.url}{joint}stream_position={cursor}",
            LONGPOLL,
            is_read=True,
            is_signed=False,
            is_longpoll=True,
            read_timeout_s=max(timeout_s, 0.1),
        )
        self._take_turn()
        try:
            response = self._api.http.exchange(request)
        except Offline as offline:
            is_unreachable = isinstance(offline, Unreachable) and self._clock.now_s() < ends_s
            if isinstance(offline, TimedOut) and not is_unreachable:
                return None
            self._server = None
            raise
        except ServerFault:  # what is no word of the API may be one of this server's
            self._server = None
            self._page(cursor, 1)  # is it the position that is refused?
            raise
        if response.status != 200:
            self._server = None
            error = from_response(response, LONGPOLL)
            if isinstance(error, Transient):
                raise error
            self._page(cursor, 1)  # is it the position that is refused?
            raise ServerFault(str(error))
        word = response.json()
        message = word.get("message") if isinstance(word, Mapping) else None
        if message not in ("new_change", "reconnect"):
            self._server = None  # such as "max_retries": begin anew (reference, OPTIONS /events)
        return message if isinstance(message, str) else "reconnect"

    def _current_server(self) -> _Server:
        """The long-poll server, for as long and as often as it may be asked."""
        now_s = self._clock.now_s()
        server = self._server
        if server is None or server.retries_left <= 0 or now_s >= server.ends_s:
            self._take_turn()
            reply = self._api.object(OPTIONS, self._api.api_url("events"))
            server = _Server(_entries(reply), now_s)
            self._api.unsigned_hosts.check(server.url, OPTIONS)
            self._server = server
        server.retries_left -= 1
        return server


class _Server:
    """Where to wait for news, and for how long that is good."""

    def __init__(self, entries: list[Json], now_s: float) -> None:
        found = next((entry for entry in entries if isinstance(entry.get("url"), str)), None)
        if found is None:
            raise ServerFault(f"{OPTIONS}: no server to wait at")
        self.url = str(found["url"])
        self.retries_left = _count(found.get("max_retries"), RETRIES)
        self.ends_s = now_s + _count(found.get("retry_timeout"), int(SERVER_LIFE_S))


def _count(stated: Any, default: int) -> int:
    try:
        return max(1, checked.count(stated, "count", most=MOST_STATED))
    except ServerFault:
        return default


def _told_apart(entries: list[Json], cursor: str) -> Iterator[tuple[str, Json]]:
    """Each event with what tells it from all others: its id, or else where it stands and all that it says. An
    item that goes and comes back may have two events without an id that say the same."""
    said: Counter[str] = Counter()
    for event in entries:
        event_id = event.get("event_id")
        if event_id:
            yield str(event_id), event
            continue
        digest = hashlib.sha256(json.dumps([cursor, event], sort_keys=True).encode()).hexdigest()
        said[digest] += 1
        yield f"{digest} {said[digest]}", event


def _news(event: Json, root_id: str) -> Iterator[News]:
    """What an event means. Conflict: something changed, and neither what nor where is told."""
    source, is_of_people = _source(event), str(event.get("event_type")).startswith(OF_PEOPLE)
    if source is not None:
        yield from _of_item(event, source, is_of_people=is_of_people)
    if is_of_people:
        # Where a folder that others share appears: its event may tell where it is for its owner, or nothing.
        yield Doubted(folder_id=root_id)


def _of_item(event: Json, source: Mapping[str, Any], *, is_of_people: bool) -> Iterator[News]:
    folder_id = parent_id_of(source)
    try:
        item_id = id_of(source)
    except ServerFault:
        if folder_id is None:
            raise Conflict("something changed, and neither what nor where is told") from None
        yield Doubted(folder_id=folder_id)
        return
    if event.get("event_type") in ENDING or source.get("item_status") in ("trashed", "deleted"):
        yield Gone(item_id=item_id)
        return
    try:
        entry = None if is_of_people else entry_of(source)
    except ServerFault:
        entry = None
    if entry is None or folder_id is None:
        # The item may have left the place where it is known, and is in the folder that is told, if one is.
        yield Gone(item_id=item_id)
    if folder_id is not None:
        yield Doubted(folder_id=folder_id) if entry is None else Seen(entry, folder_id=folder_id)


def _source(event: Json) -> Mapping[str, Any] | None:
    """The file or folder that an event is about, in either form of the reference; None: something else."""
    source = event.get("source")
    if not isinstance(source, Mapping):
        return None
    if "item_type" in source and "type" not in source:
        item_id = source.get("item_id")
        item_id = str(item_id) if type(item_id) is int else item_id
        source = {"type": source["item_type"], "id": item_id, "parent": source.get("parent")}
    return source if source.get("type") in ("file", "folder") else None


def _entries(page: Json) -> list[Json]:
    """ServerFault: there are none. Conflict: one of them is none, so that nobody can tell what changed."""
    entries = page.get("entries")
    if not isinstance(entries, list) or len(entries) > MOST_EVENTS:
        raise ServerFault("a page of events has no entries, or far too many")
    if not all(isinstance(entry, dict) for entry in entries):
        raise Conflict("something changed, and neither what nor where is told")
    return entries


def _position(page: Json) -> str:
    """Opaque, a string or a number."""
    position = page.get("next_stream_position")
    if isinstance(position, str):
        return checked.token(position, "next_stream_position")
    return str(checked.count(position, "next_stream_position", most=2**63 - 1))
