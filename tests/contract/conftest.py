"""Each rule of the port is one test, run on every far side.

All that goes over the wire to and from the stand-in of Box is held against the published description.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from mountfs.backends.box.backend import BoxBackend
from mountfs.ports import Backend
from tests.contract.boxes import SWITCHES, connect
from tests.contract.boxfar import BoxFar
from tests.contract.far import DropboxFar, Far, MemoryFar
from tests.contract.processfar import ProcessFar
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.fakes.boxschema import assert_conforms


@pytest.fixture(params=["memory", "memory-by-id", "dropbox", "dropbox-process", "box"])
def far(request: pytest.FixtureRequest) -> Iterator[Far]:
    """A fresh, empty account and a connection to it."""
    with _far(request.param) as far:
        yield far


@pytest.fixture(params=["memory", "dropbox", "dropbox-process"])
def packing(request: pytest.FixtureRequest) -> Iterator[Far]:
    """One of those that take many files in one request, and one batch at a time."""
    with _far(request.param) as far:
        yield far


@pytest.fixture(params=["memory-by-id", "box"])
def by_id(request: pytest.FixtureRequest) -> Iterator[Far]:
    """One of those that find a place by the id of its folder."""
    with _far(request.param) as far:
        yield far


@pytest.fixture
def backend(far: Far) -> Backend:
    return far.backend


@pytest.fixture
def sandbox() -> Iterator[BoxSandbox]:
    """A Box with parts of 1000 bytes."""
    with BoxSandbox(switches=SWITCHES, token="sandbox") as sandbox:
        yield sandbox
        assert_conforms(sandbox.exchanges())


@pytest.fixture
def box(sandbox: BoxSandbox) -> Iterator[BoxBackend]:
    """A connection to it."""
    backend = connect(sandbox)
    yield backend
    backend.close()


@contextmanager
def _far(service: str) -> Iterator[Far]:
    if service.startswith("memory"):
        far: Far = MemoryFar(SIDE_BY_SIDE_LIMITS) if service == "memory-by-id" else MemoryFar()
        yield far
        far.close()
    elif service.startswith("dropbox"):
        with DropboxSandbox(token="sandbox") as dropbox:
            far = ProcessFar(dropbox) if service == "dropbox-process" else DropboxFar(dropbox)
            yield far
            far.close()
    else:
        with BoxSandbox(token="sandbox") as box:
            far = BoxFar(box)
            yield far
            far.close()
            assert_conforms(box.exchanges())
