"""What the page of a mount is answered: routes, who may ask, and what comes back. Knows no sockets."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from daemon.control.account import MountedAccount
from daemon.control.health import Health, health_of, trouble_of
from daemon.control.status import MountStatus
from daemon.page.history import History
from mountfs.errors import MountfsError
from mountfs.model.path import RemotePath
from mountfs.ports import Clock

PENDING_SHOWN = 100
LONGEST_BODY_BYTES = 64 * 1024
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply: ``kind`` is its content type."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class Answers:
    """Any thread. *hosts*: the names under which the page is reached; a request for another one comes from
    a page elsewhere, whose name was made to lead here (DNS rebinding)."""

    def __init__(
        self,
        account: MountedAccount,
        describe: Callable[[], MountStatus],
        history: History,
        clock: Clock,
        *,
        token: str,
        metrics: Callable[[], tuple[bytes, str] | None] = lambda: None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self.hosts: frozenset[str] = frozenset()
        self._account = account
        self._describe = describe
        self._history = history
        self._clock = clock
        self._token = token
        self._metrics = metrics
        self.is_over = is_over
        """Whether the mount has ended, so that its account may be closed: browsers keep their connections."""

    def answer(self, asked: Asked) -> Answer:
        """Whatever comes, an answer."""
        parts = urlsplit(asked.target)
        if asked.headers.get("host", "") not in self.hosts:
            return _plain(421, "not a name of this page")
        if parts.path == "/healthz":
            return self._healthz()
        if self.is_over():
            return ENDED
        query = parse_qs(parts.query)
        if not self._is_known(asked, query.get("token", [""])[0]):
            return _plain(403, "the address lacks the token; mountfs status tells the whole of it")
        if asked.method == "POST":
            return self._post(asked, parts.path)
        if asked.method != "GET":
            return _plain(405, "GET or POST")
        return self._get(parts.path)

    def _get(self, path: str) -> Answer:
        if path == "/":
            page = files("daemon.page").joinpath("page.html").read_bytes()
            return Answer(200, page, "text/html; charset=utf-8", {"Content-Security-Policy": POLICY})
        if path == "/api/state":
            return _json(self._state())
        if path == "/metrics":
            found = self._metrics()
            if found is None:
                return _plain(501, "metrics need another package: pip install 'mountfs[metrics]'")
            return Answer(200, found[0], found[1])
        return _plain(404, "no such page")

    def _post(self, asked: Asked, path: str) -> Answer:
        origin = asked.headers.get("origin")
        is_ours = origin is None or origin.removeprefix("http://") in self.hosts
        # Only a script of the page itself can send this header: a form elsewhere cannot.
        if not is_ours or not asked.headers.get("authorization"):
            return _plain(403, "only the page itself may ask for that")
        try:
            given = json.loads(asked.body or b"{}")
            wanted = RemotePath.parse(str(given.get("path", "/")))
        except (ValueError, AttributeError, RecursionError):
            return _plain(400, "not a JSON object with a path")
        try:
            match path:
                case "/api/retry":
                    retried = self._account.retry(wanted)
                    return _json({"count": retried.count, "left": [asdict(each) for each in retried.left]})
                case "/api/pause" | "/api/resume":
                    self._account.hold(path == "/api/pause")
                    return _json({})
        except MountfsError as error:
            return _plain(409, str(error))
        return _plain(404, "no such action")

    def _state(self) -> dict[str, Any]:
        status = self._describe()
        return {
            "health": health_of(status),
            "trouble": trouble_of(status),
            "status": asdict(status),
            "history": self._history.told(self._clock.now_s()),
            "pending": [asdict(each) for each in self._account.first_changes(PENDING_SHOWN)],
        }

    def _healthz(self) -> Answer:
        """For probes, which have no token: no word of what is in the account."""
        health = Health.TROUBLE if self.is_over() else health_of(self._describe())
        return _plain(200 if health is Health.WELL else 503, health)

    def _is_known(self, asked: Asked, in_address: str) -> bool:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        given = token if scheme.lower() == "bearer" else in_address
        return hmac.compare_digest(given.encode(), self._token.encode())


def _plain(status: int, words: str) -> Answer:
    return Answer(status, f"{words}\n".encode())


ENDED = _plain(503, "the mount has ended")


def _json(value: object) -> Answer:
    return Answer(200, json.dumps(value).encode(), "application/json")
