"""How many bytes have arrived at the service, and how far each large file is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice


@dataclass(slots=True)
class _Stored:
    """Of one file: ``size_bytes`` is known once it is whole, ``stored_bytes`` are at the service."""

    size_bytes: int | None
    stored_bytes: int


class Meter:
    """Guarded by the tree's lock; no call takes longer the more files there are.

    ``sent_bytes``: what the service has acknowledged since this process began, including bytes that had to
    be sent twice. ``stored_bytes``: what it has of files that are whole and not all there yet.
    """

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.stored_bytes = 0
        self._files: OrderedDict[int, _Stored] = OrderedDict()
        """By the content's id, the file that something was stored of last at the end."""

    def sent(self, size_bytes: int) -> None:
        """So many bytes of whole small files have arrived."""
        self.sent_bytes += size_bytes

    def begin(self, content_id: int, size_bytes: int | None, stored_bytes: int) -> None:
        """A session is open, or taken up with *stored_bytes* of an earlier process in it."""
        self.drop(content_id)
        self._files[content_id] = _Stored(size_bytes, stored_bytes)
        if size_bytes is not None:
            self.stored_bytes += stored_bytes

    def stored(self, content_id: int, length: int) -> None:
        """A part of a file has arrived."""
        self.sent_bytes += length
        file = self._files.get(content_id)
        if file is None:
            return
        file.stored_bytes += length
        if file.size_bytes is not None:
            self.stored_bytes += length
        self._files.move_to_end(content_id)

    def seal(self, content_id: int, size_bytes: int) -> None:
        """A file that travelled while it was written is whole."""
        file = self._files.get(content_id)
        if file is not None and file.size_bytes is None:
            file.size_bytes = size_bytes
            self.stored_bytes += file.stored_bytes

    def drop(self, content_id: int) -> None:
        """The session is over: all of the file is there, or it begins anew."""
        file = self._files.pop(content_id, None)
        if file is not None and file.size_bytes is not None:
            self.stored_bytes -= file.stored_bytes

    def latest(self, most: int) -> Iterator[tuple[int, int]]:
        """Content ids of files with an open session, and their bytes at the service, the liveliest first."""
        for content_id in islice(reversed(self._files), most):
            yield content_id, self._files[content_id].stored_bytes
