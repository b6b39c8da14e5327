"""Contents that say in each line which revision they are of, so that a mix of two shows. Pure."""

from __future__ import annotations

LINE_BYTES = 64


class Mixed(AssertionError):
    """Bytes that are of no one revision; the message says where it changes."""


def body_of(revision: int, lines: int) -> bytes:
    """A content of so many lines. No two revisions have a line in common."""
    head = f"revision {revision:09d} of {lines:07d} lines, line "
    return b"".join(f"{head}{line:07d}".encode().ljust(LINE_BYTES - 1) + b"\n" for line in range(lines))


def revision_of(body: bytes) -> int:
    """Of which revision all of *body* is; Mixed."""
    words = body[:LINE_BYTES].decode(errors="replace").split()
    if len(words) != 7 or not words[1].isdecimal() or not words[3].isdecimal():
        raise Mixed(f"{len(body)} bytes that begin with {body[:LINE_BYTES]!r}")
    revision, lines = int(words[1]), int(words[3])
    wanted = body_of(revision, lines)
    if body == wanted:
        return revision
    at = next((at for at, (a, b) in enumerate(zip(body, wanted, strict=False)) if a != b), None)
    if at is None:
        raise Mixed(f"{len(body)} bytes of revision {revision}, which has {len(wanted)}")
    line = body[at // LINE_BYTES * LINE_BYTES :][:LINE_BYTES]
    raise Mixed(f"revision {revision} up to byte {at} of {len(body)}, and then {line!r}")
