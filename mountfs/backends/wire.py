"""A request and its reply, as values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mountfs.errors import ServerFault

_SEND_BYTES = 64 * 1024
"""A body leaves in pieces of this size: the system's time-out is for one piece, not for the whole."""


@dataclass(frozen=True, slots=True)
class Window:
    """The bytes that are wanted of a body that may hold more."""

    offset: int
    length: int


class StreamedBody(Protocol):
    """A body that is never in memory as a whole. What iterating raises ends the call."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]:
        """Its pieces from the first on, each time anew: a call may be repeated."""


class Pieces:
    """What leaves in small pieces; what requests takes for a stream of known length."""

    def __init__(self, body: bytes | StreamedBody) -> None:
        self._body = body

    def __len__(self) -> int:
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        for piece in (self._body,) if isinstance(self._body, bytes) else self._body:
            view = memoryview(piece)
            for at in range(0, len(view), _SEND_BYTES):
                yield bytes(view[at : at + _SEND_BYTES])


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
    """Of a whole body (200), where a range was asked for and not honoured."""
    permit: Callable[[], float] | None = None
    """Seconds to wait before it leaves; asked each time it is sent, be it the same call once more."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, whatever its status; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    retry_after_s: float | None = None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """ServerFault when it is not JSON, as from a portal or a broken proxy in between."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ServerFault(f"the reply ({self.status}) is not JSON: {self.text[:80]!r}") from None
