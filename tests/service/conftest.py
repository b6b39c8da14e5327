"""A machine with the unit installed, and a stand-in of each service for its mounts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounted.boxprocess import BoxProcess
from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.sandboxprocess import SandboxProcess
from tests.service.machine import REPOSITORY, Machine, why_not

UNIT = REPOSITORY / "systemd" / "mountfs@.service"
MOUNTPOINT = "/tmp/demo"
DROP_IN = "/etc/systemd/system/mountfs@.service.d/sooner.conf"
"""The unit's pause between two starts is for machines, not for tests."""


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted systemd that knows mountfs@.service as an administrator installs it."""
    if (reason := why_not()) is not None:
        pytest.skip(f"no systemd of its own can be booted here: {reason}")
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        set_up(machine)
        yield machine


def set_up(machine: Machine) -> None:
    """mountfs as it is installed, and as these sources have it."""
    machine.write("/etc/systemd/system/mountfs@.service", UNIT.read_text())
    machine.write(DROP_IN, "[Service]\nRestartSec=1\n")
    machine.run("ln", "-sf", Path(sys.prefix) / "bin" / "mountfs", "/usr/local/sbin/mountfs")
    # These sources run, whatever the environment has installed.
    machine.run("systemctl", "set-environment", f"PYTHONPATH={REPOSITORY}")
    machine.run("systemctl", "daemon-reload")
    machine.run("mkdir", "-p", MOUNTPOINT)


@pytest.fixture(autouse=True)
def told_on_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """Shows what the services said when a test fails."""
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed > failed_before and "machine" in request.fixturenames:
        print(request.getfixturevalue("machine").story())


@pytest.fixture(params=[DropboxProcess, BoxProcess], ids=lambda kind: kind.service)
def far_side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SandboxProcess]:
    with request.param(tmp_path / "far-side") as far_side:
        yield far_side
        far_side.check()


@pytest.fixture
def service(machine: Machine, far_side: SandboxProcess, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """The machine with ``mountfs@demo`` started, its account on the far side; stopped at the end."""
    keys = "".join(f'{key} = "{value}"\n' for key, value in far_side.remote().items())
    machine.write(
        "/etc/mountfs/mountfs.toml",
        f"[remotes.far]\n{keys}"
        f'[mounts.demo]\nremote = "far:"\nmountpoint = "{MOUNTPOINT}"\n'
        f'state_dir = "/var/lib/mountfs/{request.node.name}"\n',
        mode=0o600,
    )
    machine.run("systemctl", "reset-failed", "mountfs@demo", check=False)
    try:
        try:
            machine.run("systemctl", "start", "mountfs@demo")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{machine.journal('mountfs@demo')}") from error
        yield machine
    finally:
        machine.run("systemctl", "stop", "mountfs@demo", check=False)
        if machine.property("mountfs@demo", "Result") not in ("success", ""):
            print(machine.story())
