"""A machine with the unit installed, and a stand-in of Dropbox for its mounts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.sandbox.dropbox import DropboxSandbox
from tests.service.machine import REPOSITORY, Machine, why_not

UNIT = REPOSITORY / "systemd" / "mountfs@.service"
MOUNTPOINT = "/tmp/demo"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted systemd that knows mountfs@.service as an administrator installs it."""
    if (reason := why_not()) is not None:
        pytest.skip(f"no systemd of its own can be booted here: {reason}")
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.write("/etc/systemd/system/mountfs@.service", UNIT.read_text())
        machine.run("ln", "-s", Path(sys.prefix) / "bin" / "mountfs", "/usr/local/sbin/mountfs")
        machine.run("systemctl", "daemon-reload")
        machine.run("mkdir", "-p", MOUNTPOINT)
        yield machine


@pytest.fixture
def far_side() -> Iterator[DropboxSandbox]:
    with DropboxSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def service(machine: Machine, far_side: DropboxSandbox, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """The machine with ``mountfs@demo`` started, its account on the far side; stopped at the end."""
    urls = "".join(f'{host}_url = "{far_side.base_url}"\n' for host in ("api", "content", "notify"))
    machine.write(
        "/etc/mountfs/mountfs.toml",
        f'[remotes.far]\ntype = "dropbox"\naccess_token = "sandbox"\n{urls}'
        f'[mounts.demo]\nremote = "far:"\nmountpoint = "{MOUNTPOINT}"\n'
        f'state_dir = "/var/lib/mountfs/{request.node.name}"\n',
        mode=0o600,
    )
    machine.run("systemctl", "reset-failed", "mountfs@demo", check=False)
    try:
        machine.run("systemctl", "start", "mountfs@demo")
        yield machine
    finally:
        machine.run("systemctl", "stop", "mountfs@demo", check=False)
        if machine.property("mountfs@demo", "Result") not in ("success", ""):
            print(machine.story())
