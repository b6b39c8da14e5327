from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.world import World
from tests.unit.upload.bodies import SMALL_LIMITS


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    """A service whose parts are 16 bytes, so that a large file has 32."""
    made = World(tmp_path, limits=SMALL_LIMITS)
    yield made
    made.close()
