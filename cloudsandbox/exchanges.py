"""Whole requests and replies, kept when a test wants to look at them."""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

KEPT_EXCHANGES = 50_000


@dataclass(slots=True)
class Exchange:
    """One request and its reply. Header names are in lower case.

    A body is the JSON value it holds; of a form or a multipart body the fields by name; of any other body its
    length, as `{"bytes": n}`; None when there is none.
    """

    method: str
    path: str
    query: dict[str, str]
    request_headers: dict[str, str]
    request_body: Any = None
    status: int | None = None
    reply_headers: dict[str, str] = field(default_factory=dict)
    reply_body: Any = None


class Exchanges:
    """The exchanges since the last `clear`. Written on the server's loop, read from any thread."""

    def __init__(self) -> None:
        self._kept: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)

    def add(self, exchange: Exchange) -> None:
        """Keep one more."""
        self._kept.append(exchange)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def all(self) -> list[Exchange]:
        """Those kept, in order of arrival."""
        return list(self._kept)

    def as_json(self) -> list[dict[str, Any]]:
        """The same as plain objects."""
        return [asdict(each) for each in self.all()]
