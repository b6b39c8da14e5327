"""Mounts as processes, with each service behind them in turn.

A test that asks for any of these fixtures runs on every service; the mark ``only_on("box", because="...")``
keeps it to those where what it is about exists, or is not the same as elsewhere.

Each of them starts three processes, and most are about what is the same everywhere. So that all suites end
within minutes, a test runs on one of Dropbox and Box, always the same one, unless its module is among
ON_EACH, and on the account in memory only where it is marked for nothing else.
``MOUNTFS_ALL_SERVICES=1`` runs all of them.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.mounted.corner import Corner, Shared
from tests.mounted.realmount import MakeMount, RealMount, real_mounts
from tests.mounted.sandboxprocess import SandboxProcess
from tests.mounted.services import SERVICES

WITH_ALL = bool(os.environ.get("MOUNTFS_ALL_SERVICES"))
ON_EACH = (
    *("test_acceptance_box", "test_acceptance_copy", "test_box", "test_built_in"),
    *("test_edits", "test_programs"),
)
"""How the names of modules begin whose tests run on Dropbox and on Box each time."""

TRAILING_S = 1.0
"""So long the next test waits for what one has left to be sent: it is in the log of the next one, too."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "service" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("only_on")
    if mark is not None:
        assert set(mark.args) <= SERVICES.keys(), mark
        assert mark.kwargs["because"], mark
    chosen = SERVICES if mark is None else [name for name in SERVICES if name in mark.args]
    metafunc.parametrize("service", _run_on(metafunc, list(chosen)), scope="module")


def _run_on(metafunc: pytest.Metafunc, chosen: Sequence[str]) -> Sequence[str]:
    """Those of the services *chosen* that a test runs on this time."""
    real = [name for name in chosen if name != "memory"]
    if WITH_ALL or not real:
        return chosen
    module = metafunc.module.__name__.rpartition(".")[2]
    if len(real) == 1 or module.startswith(ON_EACH):
        return real
    return [real[zlib.crc32(metafunc.function.__name__.encode()) % len(real)]]


@pytest.fixture
def far_side(service: str, tmp_path: Path) -> Iterator[SandboxProcess]:
    """An account of the test's own, as a process."""
    with SERVICES[service](tmp_path / "far-side") as far_side:
        yield far_side
        if far_side.is_running:
            far_side.check()


@pytest.fixture
def make_mount(tmp_path: Path, far_side: SandboxProcess) -> Iterator[MakeMount]:
    """Makes mounts of the far side as processes, not yet started; they share their state directory."""
    with real_mounts(tmp_path, far_side) as make:
        yield make


@pytest.fixture
def real_mount(make_mount: MakeMount) -> RealMount:
    """A running mount of the far side, as a process."""
    mount = make_mount()
    mount.start()
    return mount


@pytest.fixture(scope="module")
def shared(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One far side and one mount of it for all tests of a module."""
    folder = tmp_path_factory.mktemp("shared")
    with SERVICES[service](folder / "far-side") as far_side, real_mounts(folder, far_side) as make:
        mount = make()
        mount.start()
        yield Shared(far_side, mount)


@pytest.fixture
def corner(shared: Shared) -> Iterator[Corner]:
    """A folder of the test's own in the shared mount; what the test did to the far side ends with it."""
    far_side = shared.far_side
    here = Corner(far_side, shared.mount, shared.folder())
    assert here.names() == set()
    far_side.reset_log()
    yield here
    far_side.calm_down()
    here.wait(TRAILING_S)
    far_side.check()
