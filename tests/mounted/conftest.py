"""Mounts as processes, with each service behind them in turn.

A test that asks for any of these fixtures runs on every service; the mark ``only_on("box", because="...")``
keeps it to those where what it is about exists.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.mounted.corner import Corner
from tests.mounted.realmount import MakeMount, RealMount, real_mounts, until
from tests.mounted.sandboxprocess import SandboxProcess
from tests.mounted.services import SERVICES

AT_ONCE = 10
"""So many folders are made together: what others do is seen after a second."""


@dataclass
class Shared:
    """One far side and one mount of it, and how many folders were made there."""

    far_side: SandboxProcess
    mount: RealMount
    free: list[str] = field(default_factory=list)
    made: int = 0

    def folder(self) -> str:
        """The name of a folder that is seen at the top and that nobody had before."""
        if not self.free:
            self.free = [f"corner {self.made + number:03}" for number in range(AT_ONCE)]
            self.made += AT_ONCE
            for name in self.free:
                self.far_side.edit(op="mkdir", path=f"/{name}")
            until(lambda: set(self.free) <= set(os.listdir(self.mount.path)), "the folders are seen")
        return self.free.pop()


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
