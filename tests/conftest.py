"""What makes a run of all tests short: see ``tests/mounted/forks.py``; the longest tests begin first, or the
run would wait for one of them at its end; and the tests themselves are no garbage to look through."""

from __future__ import annotations

import gc

import pytest

from tests.mounted import forks

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
