"""What most tests without a kernel begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An account in memory with everything behind a mount; tests that need another one make it."""
    made = World(tmp_path)
    yield made
    made.close()
