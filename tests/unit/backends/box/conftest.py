"""Box's client against a server that answers as written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.http import HttpSettings
from tests.fakes.clock import FakeClock
from tests.unit.backends.tokens import Tokens

Connect = Callable[..., BoxBackend]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def connect(clock: FakeClock) -> Iterator[Connect]:
    """A backend on one base URL: ``connect(url, as_user="7")``."""
    opened: list[BoxBackend] = []

    def connect(url: str, **settings: object) -> BoxBackend:
        backend = BoxBackend(
            BoxSettings(api_url=f"{url}/2.0", upload_url=f"{url}/api/2.0", **settings),  # type: ignore[arg-type]
            Tokens(),
            clock,
            HttpSettings(connect_timeout_s=5.0, read_timeout_s=5.0),
        )
        opened.append(backend)
        return backend

    yield connect
    for backend in opened:
        backend.close()
