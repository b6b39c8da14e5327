"""The fixtures of the mounts, with a Box behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounted.boxprocess import UNPACED, BoxProcess, box_process
from tests.mounted.realmount import MakeMount, RealMount, real_mounts
from tests.mounted.semantics.conftest import corner

__all__ = ["corner"]


@pytest.fixture
def far_side(box: BoxProcess) -> BoxProcess:
    return box


@pytest.fixture
def make_mount(make_box_mount: MakeMount) -> MakeMount:
    return make_box_mount


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BoxProcess, RealMount]]:
    """One Box and one mount of it for all tests of a module."""
    folder: Path = tmp_path_factory.mktemp("shared")
    with box_process(folder / "far-side") as box, real_mounts(folder, box.url, UNPACED) as make:
        mount = make()
        mount.start()
        yield box, mount
