"""Box's wire: hosts, headers, JSON and the account's pace; no knowledge of what a call means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from threading import Lock
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from mountfs.backends import checked
from mountfs.backends.box.budget import OwnBudget
from mountfs.backends.box.errors import FailedCondition, from_response
from mountfs.backends.box.settings import ADAPTIVE, BoxSettings
from mountfs.backends.hosts import Hosts
from mountfs.backends.http import HttpClient
from mountfs.backends.pageplaces import PagePlaces
from mountfs.backends.wire import Request, Response, StreamedBody, Window
from mountfs.errors import ServerFault, Throttled, Unreachable
from mountfs.model.allowance import AHEAD_S, COUNTED_MOST, Allowance
from mountfs.ports import CallBudget, Clock, Take

Json = dict[str, Any]

SESSIONS = "files/upload_sessions"
SIGNED_DOMAINS = ("box.com",)
"""The hosts of the API and of uploads, such as upload.app.box.com (uploads guide)."""
DOWNLOAD_DOMAINS = ("boxcloud.com",)
"""Such as dl.boxcloud.com, whose addresses are signed (download guide)."""
NOTICE_DOMAINS = ("box.net",)
"""Long polls go to such as 2.realtime.services.box.net, by http in the reference (OPTIONS /events)."""
CALLS_SPREAD = 2
"""Once Box objects, half of a minute's calls leave at once, the rest evenly until the first of them is a
minute old: a listing that somebody waits for is never held up by more than moments."""


class BoxApi:
    """Requests by method, path and the name they are counted under; nothing is retried here.

    A route is spelled like the path, with ``:id`` for what varies, behind the method.
    """

    def __init__(
        self, http: HttpClient, settings: BoxSettings, clock: Clock, budget: CallBudget | None = None
    ) -> None:
        """*budget*: of the account; None: this client has the account for itself."""
        self.http = http
        self.page_places = PagePlaces()
        self.settings = settings
        configured = (settings.api_url, settings.upload_url)
        self.hosts = Hosts(configured, SIGNED_DOMAINS)
        """Where a token may go: upload sessions name addresses of their own."""
        self.unsigned_hosts = Hosts(configured, (*SIGNED_DOMAINS, *DOWNLOAD_DOMAINS), NOTICE_DOMAINS)
        """Where calls without a token may go."""
        self._budget = budget or OwnBudget(clock)
        self._call = (calls_of(settings),)
        self._upload = (*self._call, uploads_of(settings))
        self._lock = Lock()
        self._waiting = 0
        """Calls whose time is not near yet."""
        self._gone_hosts: set[str] = set()
        """Hosts of upload sessions that could not be reached while the upload host could."""

    @property
    def of_new_files(self) -> dict[str, str]:
        """Attributes that a file is given when it is made, and that are its users' from then on."""
        description = self.settings.description
        return {} if description is None else {"description": description}

    def api_url(self, path: str, **query: str | int) -> str:
        """An address of the API host; *path* is quoted already."""
        return _with_query(f"{self.settings.api_url}/{path}", tuple(query.items()))

    def upload_url(self, path: str, **query: str | int) -> str:
        """An address of the upload host."""
        return _with_query(f"{self.settings.upload_url}/{path}", tuple(query.items()))

    def exchange(
        self,
        route: str,
        url: str,
        *,
        arg: Any = None,
        body: bytes | StreamedBody = b"",
        headers: Mapping[str, str] | None = None,
        is_upload: bool = False,
        is_conditional: bool = False,
        window: Window | None = None,
        take: Take | None = None,
    ) -> Response:
        """The reply of any status, for the caller to judge; *arg* travels as JSON. FailedCondition for a 412
        where no condition was stated: *is_conditional* says that one is, if not by If-Match.

        Waits for the account's pace first, also before it is sent once more: for that of calls, and with
        *is_upload* for that of uploads as well.
        """
        url = self.hosts.check(self._moved(url), route)
        method = route.partition(" ")[0]
        sent = dict(headers or {})
        if arg is not None:
            sent["Content-Type"] = "application/json"
            body = json.dumps(arg).encode()
        if self.settings.as_user:
            sent["as-user"] = self.settings.as_user
        is_read = method in ("GET", "OPTIONS")
        wanted = self._upload if is_upload else self._call
        permit = partial(self._permit, wanted)
        request = Request(
            method, url, route, sent, body, is_read=is_read, window=window, permit=permit, take=take
        )
        try:
            response = self.http.exchange(request)
        except Unreachable:
            address = self._documented(url)
            if address is None:
                raise
            response = self.http.exchange(replace(request, url=address))
            self._gone_hosts.add(urlsplit(url).netloc)
        if response.status == 429:
            self._budget.refused(wanted, response.retry_after_s)
        if response.status == 412 and not is_conditional and "If-Match" not in sent:
            raise FailedCondition(f"{route}: HTTP 412 to a request without a condition")
        return response

    def _documented(self, url: str) -> str | None:
        """Where an upload session is whose own address, *url*, cannot be reached: the API reference has every
        call of it at the upload host too. None: *url* is that place, or leads to no session.

        An address outlives its host in the journal: the service moves, or a stand-in gets another port.
        """
        try:
            named, ours = urlsplit(url), self.settings.upload_url
        except ValueError:
            return None
        _, is_session, call = named.path.partition(f"/{SESSIONS}/")
        if not is_session or named.netloc == urlsplit(ours).netloc:
            return None
        query = f"?{named.query}" if named.query else ""
        return f"{ours}/{SESSIONS}/{call}{query}"

    def _moved(self, url: str) -> str:
        """*url*, or what stands for it once its host was found gone, or is none that the token may go to."""
        is_there = self.hosts.trusts(url) and urlsplit(url).netloc not in self._gone_hosts
        return url if is_there else self._documented(url) or url

    def _permit(self, wanted: tuple[Allowance, ...]) -> float:
        """Seconds until such a call may leave; waits itself until that is near. Throttled, Offline."""
        if (wait_s := self._budget.take(wanted)) <= AHEAD_S:
            return wait_s
        with self._lock:
            self._waiting += 1
        try:
            while wait_s > AHEAD_S:
                self.http.pause(AHEAD_S)
                wait_s = self._budget.take(wanted)
        finally:
            with self._lock:
                self._waiting -= 1
        return wait_s

    @property
    def used_up(self) -> Throttled | None:
        """While calls wait because all that Box allows in a minute are used up: that."""
        with self._lock:
            is_waited = self._waiting > 0
        return (
            Throttled("what Box allows in a minute is used up; uploads go on by themselves")
            if is_waited
            else None
        )

    def object(self, route: str, url: str, **request: Any) -> Json:
        """``exchange`` whose reply must be a success that holds an object."""
        response = self.exchange(route, url, **request)
        if not 200 <= response.status < 300 or response.status == 202:
            raise from_response(response, route)
        with checked.reply_of(url, route):
            reply = response.json()
            if not isinstance(reply, dict):
                raise ServerFault("the reply is not an object")
        return reply


def calls_of(settings: BoxSettings) -> Allowance:
    """What the account is allowed of all calls together."""
    documented = settings.calls_per_minute
    return Allowance("calls", documented, max(1, documented // CALLS_SPREAD), _tried(settings, documented))


def uploads_of(settings: BoxSettings) -> Allowance:
    """What it is allowed of uploads. All leave at once: nobody waits for the answer to one."""
    documented = settings.uploads_per_minute
    return Allowance("uploads", documented, documented, _tried(settings, documented), may_wait=True)


def _tried(settings: BoxSettings, documented: int) -> int:
    """How many are tried at most, as long as the service does not object."""
    return max(documented, COUNTED_MOST) if settings.upload_rate == ADAPTIVE else documented


def object_in(response: Response, route: str) -> Json:
    """The reply as an object. ServerFault."""
    reply = response.json()
    if not isinstance(reply, dict):
        raise ServerFault(f"{route}: the reply is not an object")
    return reply


def item_in(response: Response, route: str, item_id: str) -> Json:
    """The reply as the item of that id. ServerFault: it is of another one, or of none."""
    item = object_in(response, route)
    if item.get("id") != item_id:
        raise ServerFault(f"{route}: the reply is about another item than was asked for")
    return item


def quoted(item_id: str) -> str:
    """An id as a part of a path; ids are numbers, but they come from elsewhere."""
    return quote(item_id, safe="")


@lru_cache(maxsize=256)
def _with_query(url: str, query: tuple[tuple[str, str | int], ...]) -> str:
    return f"{url}?{urlencode(query)}" if query else url
