"""The body of a reply, as much of it as was asked for and no more, whatever its header says of it."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Protocol

from mountfs.backends.wire import Request, Response
from mountfs.errors import ServerFault
from mountfs.ports import Clock

_RECEIVE_BYTES = 512 * 1024
"""At a time: each costs some 20 microseconds beside what is done with its bytes, which stay in the second
cache of the processor, 1 MiB, meanwhile."""
_SLOWEST_BYTES_S = 1024
"""A reply that trickles in more slowly than this, beyond its time-out, is no reply. What was not asked for
does not count: of a whole file, the bytes that were must begin within the time-out."""


class Stream(Protocol):
    """The part of urllib3's response that is needed here."""

    def read1(self, amt: int, decode_content: bool) -> bytes:
        """At most *amt* bytes of one read of the socket; none at the end. They are good until the next are
        read."""


_COUNTED_BYTES = 16 * 1024 * 1024
"""A whole file that is no longer is read to its end where nothing else tells that it is the file."""


def check_range(head: Response, request: Request) -> int | None:
    """Another part than the one asked for must never be taken for it, nor be written, nor what is not the
    file at all: the web page of a portal is 200 as well. ServerFault.

    The length of the whole body, if only its end can tell that it has it.
    """
    window, stated = request.window, head.headers.get("content-range", "")
    if window is not None and head.status == 206 and not stated.startswith(f"bytes {window.offset}-"):
        raise ServerFault(f"{request.route}: asked for bytes from {window.offset} on, got {stated!r}")
    if window is None or window.whole_bytes is None or head.status not in (200, 206):
        return None
    whole = stated.rpartition("/")[2] if head.status == 206 else head.headers.get("content-length", "")
    is_encoded = head.status == 200 and "content-encoding" in head.headers
    if whole.isdecimal() and not is_encoded:
        if int(whole) != window.whole_bytes:
            raise _other_length(request, window.whole_bytes, whole)
        return None
    is_page = "html" in head.headers.get("content-type", "")
    is_counted = head.status == 200 and (is_page or window.whole_bytes <= _COUNTED_BYTES)
    return window.whole_bytes if is_counted else None


def _other_length(request: Request, whole_bytes: int, stated: object) -> ServerFault:
    return ServerFault(f"{request.route}: a file of {whole_bytes} bytes, got one of {stated}")


def receive(
    stream: Stream,
    status: int,
    request: Request,
    clock: Clock,
    patience_s: float,
    after: Callable[[int], float] = lambda _length: 0.0,
    *,
    is_encoded: bool = True,
    whole_bytes: int | None = None,
) -> tuple[bytes, int]:
    """The body, or the window of it; what lies behind the window of a whole file is not waited for. Also how
    much of it the request's ``take`` was given, in place of the body.
    *after*: is called with the length of each piece that came, may wait, and says for how long it did.
    *is_encoded*: the body may have to be decoded, which copies it. *whole_bytes*: a whole file is no other
    than one of that length, and is waited for: nothing is taken before, or it would be written where another
    mount of the account has the right bytes by now.

    ServerFault as soon as there is more than was asked for; TimeoutError when it comes too slowly.
    """
    window = request.window if status in (200, 206) else None
    is_whole_file = window is not None and status == 200
    most_bytes = window.length if window is not None else request.most_bytes
    to_skip = window.offset if window is not None and is_whole_file else 0
    started_s = clock.now_s()
    received, received_bytes, came_bytes = BytesIO(), 0, 0
    is_held = window is None or request.take is None or whole_bytes is not None
    if window is not None and window.length and is_held:
        # Its value is its own buffer, made at once: to grow and to copy would double what a download takes.
        received.seek(window.length - 1)
        received.write(b"\0")
        received.seek(0)
    take = received.write if is_held or request.take is None else request.take
    # One read of the socket at a time: a call for a fixed amount could be fed byte by byte for ever.
    while chunk := stream.read1(_RECEIVE_BYTES, decode_content=is_encoded):
        patience_s += after(len(chunk))
        came_bytes += len(chunk)
        if whole_bytes is not None and came_bytes > whole_bytes:
            raise _other_length(request, whole_bytes, "more")
        wanted = chunk[to_skip:] if to_skip else chunk
        to_skip = max(0, to_skip - len(chunk))
        if is_whole_file and len(wanted) > most_bytes - received_bytes:
            wanted = wanted[: most_bytes - received_bytes]
        received_bytes += len(wanted)
        if received_bytes > most_bytes:
            raise ServerFault(f"{request.route}: a reply of more than {most_bytes} bytes")
        take(wanted)
        if is_whole_file and received_bytes == most_bytes and whole_bytes is None:
            break
        counting_bytes = received_bytes if whole_bytes is None else came_bytes
        if clock.now_s() - started_s > patience_s + counting_bytes / _SLOWEST_BYTES_S:
            raise TimeoutError
    if whole_bytes is not None and came_bytes != whole_bytes:
        raise _other_length(request, whole_bytes, came_bytes)
    received.truncate(received_bytes)
    if window is None or request.take is None:
        return received.getvalue(), 0
    if is_held:
        request.take(received.getvalue())
    return b"", received_bytes
