"""Listings that come in pages, and services whose pages lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mountfs.backends.http import HttpClient
from mountfs.errors import ServerFault

EMPTY_PAGES = 10
"""Pages in a row that announce another one and bring nothing new; a service may do so, but not for ever."""
MOST_PAGES = 1_000
"""Of 1,000 entries and more: several times the files that Dropbox and Box recommend for a whole account. A
million entries take a gigabyte of memory."""


class LeadsNowhere(ServerFault):
    """There is always one more page."""


class Course:
    """Tells pages that get on from pages that go in circles. For one listing, on one thread."""

    def __init__(self, route: str) -> None:
        self._route = route
        self._positions: set[str] = set()
        self._empty_pages = 0

    def turn(self, position: str, *, is_new: bool) -> None:
        """There is to be another page, at *position*; *is_new*: the last one told something. LeadsNowhere."""
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


@contextmanager
def course(http: HttpClient, route: str) -> Iterator[Course]:
    """For the pages of one listing. That it leads nowhere is noted among the troubles of the account."""
    what = f"pages of {route}"
    try:
        yield Course(route)
    except LeadsNowhere as error:
        http.note(what, error)
        raise
    http.note(what, None)
