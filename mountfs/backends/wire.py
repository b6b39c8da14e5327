"""A request and its reply, as values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mountfs.errors import ServerFault
from mountfs.ports import Take

_SEND_BYTES = 64 * 1024
"""A body leaves in pieces of this size: the system's time-out is for one piece, not for the whole."""
MOST_BODY_BYTES = 16 * 1024 * 1024
"""Of a reply that is no file. A page of 2,000 entries whose long paths are not ASCII has some 10 MB."""
MOST_JSON_VALUES = 500_000
"""In one reply: each takes up to a hundred bytes of memory, whatever it takes on the wire."""
_TEXT_BYTES = 4096
_PASSING = frozenset({408, 421, 425})
"""The request took too long, or came by a connection that is not for it: it may be sent again (RFC 9110,
15.5.9 and 15.5.20; RFC 8470, 5.2)."""

BY_ANYBODY = _PASSING | {429}
"""What counts whoever says it: the request may be sent again, at once or later."""
OF_FORM = frozenset({400, 411, 413, 414, 431})
"""Of the form or the size of a request as such."""
_BLANK = b"\xef\xbb\xbf \t\r\n"
"""Before the first character; a byte order mark, too."""


@dataclass(frozen=True, slots=True)
class Window:
    """The bytes that are wanted of a body that may hold more."""

    offset: int
    length: int
    whole_bytes: int | None = None
    """How long the whole body is, where that is known."""


class StreamedBody(Protocol):
    """A body that is never in memory as a whole. What iterating raises ends the call."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]:
        """Its pieces from the first on, each time anew: a call may be repeated."""


class Pieces:
    """What leaves in small pieces; what requests takes for a stream of known length."""

    def __init__(
        self, body: bytes | StreamedBody, before: Callable[[int], None] = lambda _length: None
    ) -> None:
        """*before*: is called with the length of each piece before it leaves, and may wait or raise."""
        self._body = body
        self._before = before

    def __len__(self) -> int:
        return len(self._body)

    def __iter__(self) -> Iterator[memoryview]:
        for piece in (self._body,) if isinstance(self._body, bytes) else self._body:
            view = memoryview(piece)
            for at in range(0, len(view), _SEND_BYTES):
                part = view[at : at + _SEND_BYTES]
                self._before(len(part))
                yield part


@dataclass(frozen=True, slots=True)
class Request:
    """One call. *route* is what it is counted as; *is_read*: sending it twice changes nothing."""

    method: str
    url: str
    route: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | StreamedBody = b""
    is_read: bool = False
    is_signed: bool = True
    is_longpoll: bool = False
    read_timeout_s: float | None = None
    window: Window | None = None
    """The range that was asked for, to be cut out of a whole body (200) where it was not honoured."""
    most_bytes: int = MOST_BODY_BYTES
    """Of a body without a window, as it is once it is decoded: what is longer is a fault."""
    permit: Callable[[], float] | None = None
    """Seconds to wait before it leaves; asked each time it is sent, be it the same call once more."""
    take: Take | None = None
    """Is given the window's bytes in order, as they come; the reply has none then."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, whatever its status; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    retry_after_s: float | None = None
    taken_bytes: int = 0
    """How many the request's ``take`` was given."""

    @property
    def content_bytes(self) -> int:
        """The length of the content, wherever it went."""
        return len(self.body) + self.taken_bytes

    @property
    def text(self) -> str:
        """Its beginning."""
        return self.body[:_TEXT_BYTES].decode("utf-8", "replace")

    @property
    def is_foreign(self) -> bool:
        """Whether something between us and the service answered in its place, such as the portal of a hotel
        or a proxy that blocks: with a web page, where the services answer in JSON or in plain text."""
        is_yes_or_no = 200 <= self.status < 300 or 400 <= self.status < 500
        if not is_yes_or_no or self.status in BY_ANYBODY:
            return False
        return self.body[:_TEXT_BYTES].lstrip(_BLANK)[:9].lower().startswith((b"<html", b"<!doctype"))

    @property
    def is_fault(self) -> bool:
        """Whether the service failed, and what was asked for is not the reason."""
        return self.status >= 500 or self.status in _PASSING

    def json(self) -> Any:
        """ServerFault when it is not JSON, as from a portal or a broken proxy in between."""
        # A bound of what parsing makes of it; commas within strings do no harm.
        if self.body.count(b",") + self.body.count(b"[") + self.body.count(b"{") > MOST_JSON_VALUES:
            raise ServerFault(f"the reply ({self.status}) holds more than {MOST_JSON_VALUES} values")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ServerFault(f"the reply ({self.status}) is not JSON: {self.text[:80]!r}") from None
