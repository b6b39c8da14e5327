"""Which bytes a Range header asks for. Pure; RFC 9110 section 14."""

import re
from dataclasses import dataclass
from enum import StrEnum

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class PastEnd(StrEnum):
    """The answer to a Range that begins at or after the end of the file."""

    NOT_SATISFIABLE = "416"
    WHOLE = "200"


@dataclass(frozen=True, slots=True)
class ServedRange:
    """The bytes that are sent, of a content of *size_bytes*."""

    start_bytes: int
    length_bytes: int
    size_bytes: int
    is_partial: bool

    @property
    def content_range(self) -> str:
        """The value of the header Content-Range."""
        return f"bytes {self.start_bytes}-{self.start_bytes + self.length_bytes - 1}/{self.size_bytes}"


def served_range(header: str | None, size_bytes: int, whole_past_end: bool) -> ServedRange | None:
    """What to send for this header; None is 416. A header that is no single range of bytes is ignored."""
    whole = ServedRange(0, size_bytes, size_bytes, is_partial=False)
    match = _ONE_RANGE.fullmatch(header.strip()) if header is not None else None
    if match is None or match[1] == match[2] == "":
        return whole
    if match[1] == "":
        start = max(0, size_bytes - int(match[2]))
        end = size_bytes
        is_satisfiable = int(match[2]) > 0 and size_bytes > 0
    else:
        start = int(match[1])
        if match[2] and int(match[2]) < start:
            return whole
        end = min(size_bytes, int(match[2]) + 1) if match[2] else size_bytes
        is_satisfiable = start < size_bytes
    if not is_satisfiable:
        return whole if whole_past_end else None
    return ServedRange(start, end - start, size_bytes, is_partial=True)
