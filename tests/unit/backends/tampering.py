"""Real replies of the stand-ins, kept, and given again with one thing in them changed."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from mountfs.backends.wire import Request, Response
from mountfs.errors import MountfsError, Offline
from mountfs.model.entry import File, Folder

Call = Callable[[Any], Any]
"""What a test does with a backend; the same requests each time."""
Path = tuple[str | int, ...]

DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    math.inf,
    2**63,
    10**400,
    "",
    "..",
    "a/b",
    "a\0b",
    "a\r\nX: y",
    "\ud800",
    "x" * 5000,
    "hologram",
    "9999-99-99T00:00:00Z",
    "http://[",
    [],
    {},
    [5],
    DEEP,
    {".tag": DEEP},
)
FEW_ODD_VALUES = (None, -1, "a/b")
"""Of what stands a second time in a list."""
ODD_BODIES = (b"", b"null", b"[]", b"5", b'"x"', b"{", b"{}", b"\xff", b"[" * 5000, b'{"a":' * 5000, b"1e999")
ODD_STATUSES = (200, 204, 302, 400, 401, 403, 404, 409, 410, 412, 418, 422, 429, 500)
ODD_HEADERS = {
    "location": ("", "http://[", "https://example.com/", "javascript:x", "\x00"),
    "content-range": ("", "bytes 9-1/0", "bytes x", "bytes 0-"),
    "retry-after": ("-1", "1e999", "x"),
}


class Recorder:
    """Stands between a backend and its HTTP, and keeps the replies."""

    def __init__(self, exchange: Callable[[Request], Response]) -> None:
        self._exchange = exchange
        self.replies: list[Response] = []

    def __call__(self, request: Request) -> Response:
        response = self._exchange(request)
        self.replies.append(response)
        return response


class Replay:
    """Gives kept replies in turn, and is offline after the last one."""

    def __init__(self, replies: list[Response]) -> None:
        self._left = iter(replies)

    def __call__(self, request: Request) -> Response:
        for response in self._left:
            return response
        raise Offline("there are no more replies")


@dataclass(frozen=True)
class Tampered:
    """Kept replies with one thing changed: in the reply *number*, at *path* of its JSON; () elsewhere."""

    replies: list[Response]
    number: int
    path: Path
    what: str


def tampered(replies: list[Response]) -> Iterator[Tampered]:
    """Every reply with every field of it gone and made each odd value; with odd bodies, statuses, headers."""
    for number, response in enumerate(replies):

        def changed(
            path: Path, what: str, *, number: int = number, response: Response = response, **fields_: Any
        ) -> Tampered:
            return Tampered(
                [*replies[:number], replace(response, **fields_), *replies[number + 1 :]], number, path, what
            )

        for body in ODD_BODIES:
            yield changed((), f"body {body[:9]!r}", body=body)
        for status in ODD_STATUSES:
            yield changed((), f"status {status}", status=status)
            yield changed((), f"nothing but {status}", status=status, body=b"")
        for name, values in ODD_HEADERS.items():
            for value in values:
                yield changed((), f"{name} {value!r}", headers={**response.headers, name: value})
        try:
            whole = json.loads(response.body)
        except ValueError:
            continue
        known: set[Path] = set()
        for path in paths(whole):
            shape = tuple(key if isinstance(key, str) else 0 for key in path)
            values = FEW_ODD_VALUES if shape in known else ODD_VALUES
            known.add(shape)
            for value in values:
                yield changed(
                    path, f"= {value!r:.30}", body=json.dumps(with_value(whole, path, value)).encode()
                )
            if isinstance(path[-1], str):
                yield changed(path, "gone", body=json.dumps(without(whole, path)).encode())


def paths(value: Any, above: Path = ()) -> Iterator[Path]:
    """Where something stands in a JSON value, from the outside in."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, below in pairs:
        yield (*above, key)
        yield from paths(below, (*above, key))


def with_value(whole: Any, path: Path, value: Any) -> Any:
    """A copy as far as it differs."""
    if not path:
        return value
    made = copy.copy(whole)
    made[path[0]] = with_value(whole[path[0]], path[1:], value)
    return made


def without(whole: Any, path: Path) -> Any:
    made = copy.copy(whole)
    if len(path) == 1:
        del made[path[0]]
    else:
        made[path[0]] = without(whole[path[0]], path[1:])
    return made


def assert_sound(value: Any) -> None:
    """What came out of the port fits into the store and through the kernel."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, MountfsError):
        # What does not print is escaped where it is shown; but it is stored, and must not be of any size.
        assert len(str(value).encode()) < 2000, str(value)[:200]
    elif isinstance(value, bool) or value is None:
        pass
    elif isinstance(value, int):
        assert -(2**70) < value < 2**70  # nanoseconds of any year
    elif isinstance(value, float):
        assert 0 <= value < 10**9
    elif isinstance(value, list | tuple):
        for each in value:
            assert_sound(each)
    elif is_dataclass(value):
        for field in fields(value):
            assert_sound(getattr(value, field.name))
    if isinstance(value, File):
        assert 0 <= value.size_bytes < 2**63
        assert all(" " not in token and token for token in (value.id, value.revision))
    if isinstance(value, File | Folder):
        assert value.name not in ("", ".", "..")
        assert not set(value.name) & {"/", "\0"}
        assert len(value.name.encode()) <= 1024
