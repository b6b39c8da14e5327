"""Mounts as processes, with each service behind them in turn.

A test that asks for any of these fixtures runs on every service; the mark ``only_on("box", because="...")``
keeps it to those where what it is about exists, or is not the same as elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounted.corner import Corner, Shared
from tests.mounted.realmount import MakeMount, RealMount, real_mounts
from tests.mounted.sandboxprocess import SandboxProcess
from tests.mounted.services import SERVICES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "service" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("only_on")
    if mark is not None:
        assert set(mark.args) <= SERVICES.keys(), mark
        assert mark.kwargs["because"], mark
    chosen = SERVICES if mark is None else [name for name in SERVICES if name in mark.args]
    metafunc.parametrize("service", chosen, scope="module")


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
    far_side.check()
