"""Ends listings of a service that announces one more page for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mountfs.backends.http import HttpClient
from mountfs.model.pageguard import LeadsNowhere, PageGuard


@contextmanager
def guarded_pages(http: HttpClient, route: str) -> Iterator[PageGuard]:
    """A guard for the pages of one listing. LeadsNowhere becomes the account's trouble in `mountfs status`,
    until a listing by the same *route* ends."""
    try:
        yield PageGuard(route)
    except LeadsNowhere as error:
        http.note(_trouble(route), error)
        raise
    pages_ended(http, route)


def pages_ended(http: HttpClient, route: str) -> None:
    """A listing by *route* has come to its last page."""
    http.note(_trouble(route), None)


def _trouble(route: str) -> str:
    return f"pages of {route}"
