"""What a route can answer instead of a result, and how errors nest."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ErrorUnion = dict[str, Any]


def tag(name: str, **fields: Any) -> ErrorUnion:
    """A union member: void, or with the fields of its struct beside the tag."""
    return {".tag": name, **fields}


def nested(name: str, inner: Any) -> ErrorUnion:
    """A union member whose value is a union, a list or a primitive: it stands under the member's own name."""
    return {".tag": name, name: inner}


class SandboxError(Exception):
    """Anything a route answers that is not its result."""


class BadRequest(SandboxError):
    """400 in plain text: the request itself is malformed."""


class RouteError(SandboxError):
    """409 with the error union of the route; in a batch, the failure of one entry."""

    def __init__(self, error: ErrorUnion) -> None:
        super().__init__(error)
        self.error = error


class LookupFailed(SandboxError):
    """A LookupError not yet placed in a route's own union."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.error = tag(name)


class WriteFailed(SandboxError):
    """A WriteError not yet placed in a route's own union."""

    def __init__(self, error: ErrorUnion) -> None:
        super().__init__(error)
        self.error = error


class Refused(SandboxError):
    """Any other status with a JSON error: 401, 403, 422, 429."""

    def __init__(self, status: int, error: ErrorUnion, retry_after_s: float | None = None) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error
        self.retry_after_s = retry_after_s


class PlainRefusal(SandboxError):
    """Any status with plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


def conflict(kind: str) -> WriteFailed:
    """Something is in the way: `file`, `folder` or `file_ancestor`."""
    return WriteFailed(nested("conflict", tag(kind)))


def unauthorized(name: str, **fields: Any) -> Refused:
    """401 with the member *name* of AuthError."""
    return Refused(401, tag(name, **fields))


def rate_limited(reason: str, retry_after_s: int) -> Refused:
    """429 with a RateLimitError, which is a struct and has no tag of its own."""
    return Refused(429, {"reason": tag(reason), "retry_after": retry_after_s}, float(retry_after_s))


@contextmanager
def under(lookup: str, write: str) -> Iterator[None]:
    """Place lookup and write errors of the block under the members a route has for them."""
    try:
        yield
    except LookupFailed as failure:
        raise RouteError(nested(lookup, failure.error)) from None
    except WriteFailed as failure:
        raise RouteError(nested(write, failure.error)) from None


def summary_path(error: ErrorUnion) -> str:
    """The tags of an error from the outside in, joined by slashes; of a RateLimitError, its reason."""
    if "reason" in error and ".tag" not in error:
        return summary_path(error["reason"])
    parts: list[str] = []
    current: object = error
    while isinstance(current, dict) and isinstance(current.get(".tag"), str):
        name = current[".tag"]
        parts.append(name)
        current = current.get(name, current.get("reason"))
    return "/".join(parts)
