from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side-by-side"])
def limits(request: pytest.FixtureRequest) -> BackendLimits:
    """One batch at a time, or several calls at once."""
    assert isinstance(request.param, BackendLimits)
    return request.param


@pytest.fixture
def world(tmp_path: Path, limits: BackendLimits) -> Iterator[World]:
    made = World(tmp_path, limits=limits)
    yield made
    made.close()


@pytest.fixture
def batches(tmp_path: Path) -> Iterator[World]:
    """Where orders travel in batches, one at a time."""
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def side_by_side(tmp_path: Path) -> Iterator[World]:
    """Where every order is a call of its own, and several run at once."""
    made = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    yield made
    made.close()
