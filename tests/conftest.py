"""What makes a run of all tests short: see ``tests/mounted/forks.py``; the longest tests begin first, or the
run would wait for one of them at its end; the tests themselves are no garbage to look through; and the files
of most tests are in memory."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounted import forks
from tests.scratch import Scratch, in_memory

forks.is_used_for_mounts = True

LONGEST = (
    "tests/crash/test_killed_mounts.py",
    "tests/crash/test_power_loss.py",
    "tests/mounted/test_readme.py",
    "tests/mounted/test_fleet.py",
    "tests/unit/daemon/test_workers_go_on.py",
)
"""Modules whose single tests take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """Nearly half a million objects, which Python's collector went through again and again: a tenth of the
    time of tests that make many."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    with in_memory() as memory:
        yield Scratch(tmp_path_factory.getbasetemp(), memory)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, scratch: Scratch) -> Iterator[Path]:
    """Pytest's own one, in memory where that does (``scratch.ON_DISK``): it stays if the test fails."""
    failed_before = request.session.testsfailed
    made = scratch.folder(request.node.nodeid)
    yield made
    if request.session.testsfailed == failed_before:
        shutil.rmtree(made, ignore_errors=True)
