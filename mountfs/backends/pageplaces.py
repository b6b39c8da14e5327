"""How many pages of listings are taken apart at once.

A page of 2,000 entries has 0.8 MB as JSON, and takes 5 MiB while it is taken apart. A walk has eight folders
listed ahead, and the page after next of each: answered at once, these took 60 MiB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

MOST_BYTES = 4 * 1024 * 1024
"""Of the JSON of all pages that are taken apart at once. More would not be faster: the interpreter works at
one of them at a time."""


class PagePlaces:
    """Any thread. A place is taken when the page has come: no silent connection keeps one."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._taken_bytes = 0
        self._readers = 0
        """Those who wait for a place and have somebody who waits for them."""
        self.waiting = 0
        """All who wait for one."""
        self._changed = Condition()

    @contextmanager
    def taken(self, page_bytes: int, *, is_ahead: bool = False) -> Iterator[None]:
        """Waits until a page of so many bytes may be taken apart, and lets it be until the block ends. A
        larger one than all places together has them to itself. *is_ahead*: nobody waits for it yet, so those
        for whom somebody does go first."""
        with self._changed:
            self._readers += not is_ahead
            self.waiting += 1
            try:
                self._changed.wait_for(lambda: self._is_free(page_bytes, is_ahead=is_ahead))
            finally:
                self._readers -= not is_ahead
                self.waiting -= 1
            self._taken_bytes += page_bytes
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken_bytes -= page_bytes
                self._changed.notify_all()

    def _is_free(self, page_bytes: int, *, is_ahead: bool) -> bool:
        if is_ahead and self._readers:
            return False
        return not self._taken_bytes or self._taken_bytes + page_bytes <= self._most_bytes
