"""Whether the pages of a listing get on, or a service announces one more for ever."""

from __future__ import annotations

from mountfs.errors import ServerFault

EMPTY_PAGES = 10
"""So many pages in a row may announce another one and have nothing new in them."""
MOST_PAGES = 1_000
"""Pages of one listing, with 1,000 entries or more each: several times the files that Dropbox and Box
recommend for a whole account. A million entries take a gigabyte of memory."""


class LeadsNowhere(ServerFault):
    """The pages of a listing repeat, stay empty, or are too many."""


class PageGuard:
    """Checks that the pages of one listing get on. For one thread."""

    def __init__(self, route: str) -> None:
        self._route = route
        self._positions: set[str] = set()
        self._empty_pages = 0

    def check(self, position: str, *, is_new: bool) -> None:
        """A page announced another one at *position* (a cursor or marker). *is_new*: the page had an entry
        that was not known from earlier ones. LeadsNowhere."""
        self._empty_pages = 0 if is_new else self._empty_pages + 1
        if position in self._positions:
            raise LeadsNowhere(
                f"{self._route}: the service names a page that it gave already, again and again"
            )
        if self._empty_pages >= EMPTY_PAGES:
            raise LeadsNowhere(
                f"{self._route}: the service announces more and more pages with nothing in them"
            )
        if len(self._positions) >= MOST_PAGES:
            raise LeadsNowhere(f"{self._route}: the listing does not end after {MOST_PAGES} pages")
        self._positions.add(position)
