"""What changed on Box: events, which come twice and out of order, made into news of paths."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

from mountfs.backends.box.api import BoxApi, Json
from mountfs.backends.box.entries import entry_at, id_of, parent_id_of, sequence_of, whole
from mountfs.backends.box.errors import from_response
from mountfs.backends.box.index import Found, Index
from mountfs.backends.http import TimedOut
from mountfs.backends.wire import Request
from mountfs.errors import Conflict, Offline, ServerFault, Transient
from mountfs.model.entry import Entry, File, Folder, Gone
from mountfs.model.path import RemotePath
from mountfs.ports import Clock, RemoteChanges

EVENTS = "GET events"
OPTIONS = "OPTIONS events"
LONGPOLL = "GET longpoll"
PAGE_EVENTS = 500
"""The most a page may be asked for."""
EVENTS_KEPT = 5000
"""Ids of events that were told already."""
SERVER_LIFE_S = 600.0
"""A long-poll server is asked for anew after that long; what it states itself is about as much."""
GATHER_S = 1.0
"""So far apart are questions after events: two requests a second of the account's sixteen."""
BRIEFEST_POLL_S = 1.0
"""A server that sends us away at once is not asked again any sooner."""
RETRIES = 10
"""So often one server may be asked, unless it says otherwise."""

ENDING = frozenset({"ITEM_TRASH"})
_POSITION = re.compile(r"[A-Za-z0-9_+/=.-]+")


class Events:
    """Follows the account. One thread at a time waits, any may ask."""

    def __init__(self, api: BoxApi, index: Index, clock: Clock) -> None:
        self._api = api
        self._index = index
        self._clock = clock
        self._lock = Lock()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._server: _Server | None = None
        self._told_s = -math.inf

    def latest(self) -> str:
        """The position after everything that has happened; what was known of places before is void."""
        page = self._page("now", 1)
        self._index.clear()
        return _position(page)

    def changes(self, cursor: str) -> RemoteChanges:
        """One page, and the places that were left as far as others than the events showed it.

        Conflict: the position is refused, or something changed that nobody can place. What a call that
        raises was about to tell, the next one tells.
        """
        page = self._page(cursor, PAGE_EVENTS)
        entries, position = _entries(page), _position(page)
        news: list[Entry | Gone] = []
        told: dict[str, None] = {}
        serial = 0
        for event in entries:
            event_id = str(event.get("event_id"))
            if event_id not in told and self._is_new(event):
                told[event_id] = None
                standing = list(self._news(event))
                left, serial = self._left(serial)
                news += [*left, *standing]
        left, serial = self._left(serial)
        news += left
        self._index.told(serial)
        with self._lock:
            self._told.update(told)
            while len(self._told) > EVENTS_KEPT:
                self._told.popitem(last=False)
            self._told_s = self._clock.now_s()
        # A page that is not full may still have successors: the next wait then ends at once.
        return RemoteChanges(tuple(news), position, len(entries) >= PAGE_EVENTS)

    def wait(self, cursor: str, timeout_s: float) -> bool:
        """A notice that got lost is made up for: the events themselves are looked at in the end."""
        ends_s = self._clock.now_s() + timeout_s
        while True:
            asked_s = self._clock.now_s()
            message = self._listen(cursor, ends_s - asked_s) if asked_s < ends_s else None
            if message == "new_change":
                self._gather()
                return True
            if message is None:
                if self._index.left() != []:
                    return True
                return any(self._is_new(event) for event in _entries(self._page(cursor, PAGE_EVENTS)))
            lasted_s = self._clock.now_s() - asked_s
            self._api.http.pause(max(0.0, min(BRIEFEST_POLL_S - lasted_s, ends_s - asked_s - lasted_s)))

    def _gather(self) -> None:
        """Our own writes are told as well, each by itself: they are asked after together."""
        with self._lock:
            since_s = self._clock.now_s() - self._told_s
        self._api.http.pause(max(0.0, GATHER_S - since_s))

    # What an event means

    def _is_new(self, event: Json) -> bool:
        with self._lock:
            return str(event.get("event_id")) not in self._told

    def _news(self, event: Json) -> Iterator[Entry | Gone]:
        """What stands at the place an event is about; the places that were left the index knows."""
        source = event.get("source")
        if not isinstance(source, Mapping) or source.get("type") not in ("file", "folder"):
            return
        try:
            item_id = id_of(source)
        except ServerFault:
            yield from self._nameless(source)
            return
        before = self._index.path_of(item_id)
        if event.get("event_type") in ENDING or source.get("item_status") in ("trashed", "deleted"):
            place = before or self._place(source)
            if place is None or not self._index.forget(item_id, sequence_of(source)):
                return
            if before is None and not isinstance(self._index.find(place), Found):
                yield Gone(place)  # else something newer has taken its name
            return
        place = self._place(source)
        if place is None:
            self._index.lose_sight(item_id, sequence_of(source))
        elif self._index.learn(source):
            yield _entry(place, source)

    def _nameless(self, source: Mapping[str, Any]) -> Iterator[Entry | Gone]:
        """Some item changed, who knows how: its folder is listed. Conflict: nor is it known where."""
        if parent_id_of(source) is None or not isinstance(source.get("name"), str):
            self._index.clear()
            raise Conflict("something changed, and neither what nor where is told")
        place = self._place(source)
        if place is not None:
            yield File(place, "", "", 0, 0, None)

    def _left(self, serial: int) -> tuple[list[Entry | Gone], int]:
        """The places after *serial* that items left, and the last one's number. Conflict: too many."""
        places = self._index.left(serial)
        if places is None:
            self._index.clear()
            raise Conflict("more places were left than can be told one by one")
        news: list[Entry | Gone] = []
        for left in places:
            serial = left.serial
            now = self._index.find(left.path)
            if not isinstance(now, Found) or now.is_above:
                news.append(Gone(left.path))
            elif left.is_folder and now.id != left.item_id:
                # What was known below it goes; of another file the event or reply itself tells.
                news.append(Gone(left.path))
                news += [Folder(left.path, now.id)] if now.is_folder else []
        return news, serial

    def _place(self, source: Mapping[str, Any]) -> RemotePath | None:
        """Where an event's item stands; None where nobody has looked yet, so that nobody need know.

        Conflict: that was known once and is forgotten.
        """
        name, parent_id = source.get("name"), parent_id_of(source)
        folder = self._index.path_of(parent_id) if parent_id is not None else None
        if folder is None or not isinstance(name, str) or not name:
            if self._index.has_gap():
                self._index.clear()
                raise Conflict("something changed in a place that is not known any more")
            return None
        return folder.child(name)

    # Asking

    def _page(self, cursor: str, limit: int) -> Json:
        if not _POSITION.fullmatch(cursor):
            raise Conflict(f"not a position in the events: {cursor[:80]!r}")
        url = self._api.api_url("events", stream_type="changes", stream_position=cursor, limit=limit)
        response = self._api.exchange(EVENTS, url)
        if response.status in (400, 404, 410, 412):
            self._index.clear()
            raise Conflict(f"the position in the events is void: {from_response(response, EVENTS)}")
        if response.status != 200:
            raise from_response(response, EVENTS)
        page = response.json()
        if not isinstance(page, dict):
            raise ServerFault(f"{EVENTS}: the reply is not an object")
        return page

    def _listen(self, cursor: str, timeout_s: float) -> str | None:
        """One long poll: the server's word, or None when it had none within the time."""
        server = self._current_server()
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
        try:
            response = self._api.http.exchange(request)
        except TimedOut:
            return None
        except Offline:
            self._server = None
            raise
        if response.status != 200:
            self._server = None
            error = from_response(response, LONGPOLL)
            if isinstance(error, Transient):
                raise error
            self._page(cursor, 1)  # is it the position that is refused?
            raise ServerFault(str(error))
        word = response.json()
        return str(word.get("message")) if isinstance(word, Mapping) else "reconnect"

    def _current_server(self) -> _Server:
        """The long-poll server, for as long and as often as it may be asked."""
        now_s = self._clock.now_s()
        server = self._server
        if server is None or server.retries_left <= 0 or now_s >= server.ends_s:
            reply = self._api.object(OPTIONS, self._api.api_url("events"))
            server = self._server = _Server(_entries(reply), now_s)
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
        return max(1, whole(stated))
    except (TypeError, ValueError):
        return default


def _entry(place: RemotePath, source: Mapping[str, Any]) -> Entry | Gone:
    """What an event says stands at *place*. An event may leave out what a File needs: its revision is
    then no known one, which has the folder listed."""
    try:
        entry = entry_at(place, source)
    except ServerFault:
        return File(place, id_of(source), "", 0, 0, None)
    assert entry is not None
    return entry


def _entries(page: Json) -> list[Json]:
    entries = page.get("entries")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ServerFault("a page of events has no entries")
    return entries


def _position(page: Json) -> str:
    """Opaque, a string or a number."""
    position = page.get("next_stream_position")
    if not isinstance(position, str | int):
        raise ServerFault("a page of events has no position")
    return str(position)
