"""Contents that say in each line which revision they are of, so that a mix of two shows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

LINE_BYTES = 64


class Mixed(AssertionError):
    """Bytes that are of no one revision; the message says where it changes."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A content that was edited in place: some lines of the one before say by which edit, and so do those
    behind its end."""

    edit: int
    base: int
    """The revision whose other lines it has."""
    lines: int
    """Of that one."""
    tail: int = 0

    def changed(self) -> dict[int, bytes]:
        """Its own lines by their numbers, without the tail. They lie far apart."""
        return {at: self._line("line", at) for at in {0, self.lines // 3, self.lines // 2, self.lines - 1}}

    def added(self) -> Iterator[bytes]:
        """The lines of its tail."""
        return (self._line("tail", at) for at in range(self.tail))

    def body(self) -> bytes:
        lines = bytearray(body_of(self.base, self.lines))
        for at, line in self.changed().items():
            lines[at * LINE_BYTES : (at + 1) * LINE_BYTES] = line
        return bytes(lines) + b"".join(self.added())

    def _line(self, kind: str, at: int) -> bytes:
        return _padded(f"edited {self.edit} over {self.base} of {self.lines} and {self.tail} {kind} {at}")


def body_of(revision: int, lines: int) -> bytes:
    """A content of so many lines. No two revisions have a line in common."""
    head = f"revision {revision:09d} of {lines:07d} lines, line "
    return b"".join(_padded(f"{head}{line:07d}") for line in range(lines))


def revision_of(body: bytes) -> int:
    """Of which revision, or which edit, all of *body* is; Mixed."""
    revision, wanted = _meant(body[:LINE_BYTES])
    if body == wanted:
        return revision
    at = next((at for at, (a, b) in enumerate(zip(body, wanted, strict=False)) if a != b), None)
    if at is None:
        raise Mixed(f"{len(body)} bytes of revision {revision}, which has {len(wanted)}")
    line = body[at // LINE_BYTES * LINE_BYTES :][:LINE_BYTES]
    raise Mixed(f"revision {revision} up to byte {at} of {len(body)}, and then {line!r}")


def base_of(line: bytes) -> tuple[int, int]:
    """What an edit of the content with this first line lies over: revision and lines. Mixed."""
    words = line.decode(errors="replace").split()
    if len(words) == 7 and words[1].isdecimal() and words[3].isdecimal():
        return int(words[1]), int(words[3])
    if len(words) == 10 and words[0] == "edited":
        return int(words[3]), int(words[5])
    raise Mixed(f"a first line {line!r}")


def holds_any(body: bytes, edits: Collection[int]) -> bool:
    """Whether there are lines of one of these edits in it."""
    return any(b"edited %d over" % edit in body for edit in edits)


def is_cut(body: bytes) -> bool:
    """Whether it is the beginning of one revision, and no more."""
    return _meant(body[:LINE_BYTES])[1].startswith(body)


def _meant(line: bytes) -> tuple[int, bytes]:
    """The revision that a first line tells, and all of its bytes."""
    base, lines = base_of(line)
    words = line.split()
    if words[0] != b"edited":
        return base, body_of(base, lines)
    edited = Edited(int(words[1]), base, lines, int(words[7]))
    return edited.edit, edited.body()


def _padded(text: str) -> bytes:
    return text.encode().ljust(LINE_BYTES - 1) + b"\n"
