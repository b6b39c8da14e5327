"""Each rule of the port is one test, run on every far side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mountfs.ports import Backend
from mountfs.sandbox.dropbox import DropboxSandbox
from tests.contract.far import DropboxFar, Far, MemoryFar


@pytest.fixture(params=["memory", "dropbox"])
def far(request: pytest.FixtureRequest) -> Iterator[Far]:
    """A fresh, empty account and a connection to it."""
    if request.param == "memory":
        memory = MemoryFar()
        yield memory
        memory.close()
        return
    with DropboxSandbox() as sandbox:
        dropbox = DropboxFar(sandbox)
        yield dropbox
        dropbox.close()


@pytest.fixture
def backend(far: Far) -> Backend:
    return far.backend
