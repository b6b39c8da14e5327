"""Dropbox's client against a server that answers as written down, or against the stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.http import HttpSettings
from mountfs.ports import Clock
from tests.fakes.clock import FakeClock
from tests.unit.backends.tokens import Tokens

Connect = Callable[..., DropboxBackend]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def connect(clock: FakeClock) -> Iterator[Connect]:
    """A backend on one base URL: ``connect(url, path_root="root")``."""
    opened: list[DropboxBackend] = []

    def connect(
        url: str, *, token: str = "first", real_clock: Clock | None = None, **settings: object
    ) -> DropboxBackend:
        backend = DropboxBackend(
            DropboxSettings(api_url=url, content_url=url, notify_url=url, **settings),  # type: ignore[arg-type]
            Tokens(token),
            real_clock or clock,
            HttpSettings(connect_timeout_s=5.0, read_timeout_s=5.0),
        )
        opened.append(backend)
        return backend

    yield connect
    for backend in opened:
        backend.close()
