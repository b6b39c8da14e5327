"""A real mount of a memory account: the kernel in front, a stand-in for the daemon behind."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.fuse.mount import FuseMount, FuseOptions, MountFailed, unmount
from tests.mounted.boxprocess import UNPACED, BoxProcess, box_process
from tests.mounted.realmount import MakeMount, RealMount, SandboxProcess, real_mounts, sandbox_process
from tests.unit.files.world import World

DEADLINE_S = 20.0


class Mounted:
    """A mount point, what is behind it, and a shell."""

    def __init__(self, world: World, mountpoint: Path, work: Path) -> None:
        self.world = world
        self.path = mountpoint
        self.work = work

    def run(self, command: str, *, timeout_s: float = 60.0) -> str:
        """A shell command in the work directory, with $M the mount; its output. Fails if it fails."""
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", command],
            cwd=self.work,
            env={
                "M": str(self.path),
                "W": str(self.work),
                "HOME": str(self.work),
                "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def needs(self, program: str) -> None:
        """Fails with a clear word, so that a missing program is never a silent gap."""
        assert shutil.which(program), f"install {program} to run this test"

    def wait_released(self) -> None:
        """The kernel releases handles after close(2) has returned."""
        deadline_s = time.monotonic() + DEADLINE_S
        while len(self.world.files):
            assert time.monotonic() < deadline_s, "files stay open"
            time.sleep(0.01)

    def settle(self) -> None:
        """Commits all that is closed."""
        self.wait_released()
        self.world.settle()


@pytest.fixture
def mounted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Mounted]:
    world = World(tmp_path)
    mountpoint, work = tmp_path / "mnt", tmp_path / "work"
    mountpoint.mkdir()
    work.mkdir()
    mount = FuseMount(world.fs, mountpoint, FuseOptions(fsname="memory"))
    is_ready = threading.Event()
    failures: list[MountFailed] = []

    def serve() -> None:
        try:
            mount.run(is_ready.set)
        except MountFailed as error:
            failures.append(error)
        is_ready.set()

    thread = threading.Thread(target=serve, name="libfuse")
    thread.start()
    try:
        assert is_ready.wait(DEADLINE_S)
        assert not failures, failures
        yield Mounted(world, mountpoint, work)
    finally:
        if mountpoint.is_mount() and not failures:
            unmount(mountpoint, lazy=True)
        thread.join(DEADLINE_S)
        is_stuck = thread.is_alive()
        world.close()
    assert not is_stuck, "libfuse did not return after the unmount"
    noisy = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert not noisy


@pytest.fixture
def far_side(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A Dropbox of its own, as a process."""
    with sandbox_process(tmp_path / "far-side") as sandbox:
        yield sandbox


@pytest.fixture
def make_mount(tmp_path: Path, far_side: SandboxProcess) -> Iterator[MakeMount]:
    """Makes mounts of the far side as processes, not yet started; they share their state directory."""
    with real_mounts(tmp_path, far_side.url) as make:
        yield make


@pytest.fixture
def real_mount(make_mount: MakeMount) -> RealMount:
    """A running mount of the far side, as a process."""
    mount = make_mount()
    mount.start()
    return mount


@pytest.fixture
def box(tmp_path: Path) -> Iterator[BoxProcess]:
    """A Box of its own, as a process."""
    with box_process(tmp_path / "far-side") as box:
        yield box


@pytest.fixture
def make_box_mount(tmp_path: Path, box: BoxProcess) -> Iterator[MakeMount]:
    """Makes mounts of the Box, not yet started, that share their state directory; no rate holds them up."""
    with real_mounts(tmp_path, box.url, UNPACED) as make:
        yield make


@pytest.fixture
def box_mount(make_box_mount: MakeMount) -> RealMount:
    """A running mount of the Box, as a process."""
    mount = make_box_mount()
    mount.start()
    return mount
