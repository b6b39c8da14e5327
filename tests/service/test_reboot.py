"""From README.md alone to a service that is there again after a reboot, a power cut and without a network."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.sandboxprocess import SandboxProcess
from tests.service.conftest import set_up
from tests.service.machine import REPOSITORY, Machine, why_not
from tests.waiting import until

UNIT = "mountfs@scans"
CONFIG = "/etc/mountfs/mountfs.toml"
BROWSER = REPOSITORY / "tests" / "doubles" / "browser.py"
PATIENCE_S = 60.0


@pytest.fixture
def far_side(tmp_path: Path) -> Iterator[SandboxProcess]:
    """The service is not on the machine that goes down."""
    with DropboxProcess(tmp_path / "far-side") as far_side:
        yield far_side


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[Machine]:
    """A machine with a disk that outlives it."""
    if (reason := why_not()) is not None:
        pytest.skip(f"no systemd of its own can be booted here: {reason}")
    with Machine(tmp_path, disk=tmp_path / "disk") as machine:
        set_up(machine)
        machine.write(
            "/etc/systemd/system/mountfs@.service.d/sooner.conf",
            f'[Service]\nRestartSec=1\nEnvironment="PYTHONPATH={REPOSITORY}"\n',
        )
        yield machine


def sign_in(machine: Machine, far_side: SandboxProcess) -> str:
    """What ``login --store systemd`` says."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    keys = {key: value for key, value in far_side.remote().items() if key.endswith("_url")}
    keys["authorize_url"] = f"{far_side.url}/oauth2/authorize"
    sets = [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
    browser = {"BROWSER": f"{sys.executable} {shlex.quote(str(BROWSER))} allow %s"}
    order = ["mountfs", "--config", CONFIG, "login", "work", "--store", "systemd"]
    more = ["--service", "dropbox", "--app-key", "sandbox-app", "--port", str(port), *sets]
    return machine.run(*order, *more, environ={**os.environ, **browser, "PYTHONPATH": str(REPOSITORY)})


def is_up(machine: Machine) -> bool:
    return machine.property(UNIT, "ActiveState") == "active"


def test_what_the_readme_says_survives_a_reboot(lasting: Machine, far_side: SandboxProcess) -> None:
    place = lasting.shared / "scans"
    place.mkdir()
    lasting.run("chmod", "700", "/etc/credstore")
    lasting.run("mountfs", "install-service", "--force", "--program", "/usr/local/sbin/mountfs")
    told = sign_in(lasting, far_side)
    lasting.write(f"/etc/systemd/system/{UNIT}.service.d/credentials.conf", told[told.index("[Service]") :])
    with_mount = lasting.run("cat", CONFIG) + f'[mounts.scans]\nremote = "work:"\nmountpoint = "{place}"\n'
    lasting.write(CONFIG, f"[mount]\ndrain_idle_timeout = 1\n{with_mount}", mode=0o600)
    lasting.run("systemctl", "daemon-reload")
    lasting.run("systemctl", "enable", "--now", UNIT)
    lasting.run("sh", "-c", f"echo 1 > {place}/sent")
    lasting.reboot()
    until(lambda: is_up(lasting), "it runs after the reboot", PATIENCE_S)
    assert set(far_side.files()) == {"/sent"}, "the machine went down before all was committed"

    far_side.pause()
    lasting.run("sh", "-c", f"echo 2 > {place}/pending")
    assert "Status:" in lasting.run("systemctl", "status", "--no-pager", UNIT)
    until(lambda: "1 change" in lasting.property(UNIT, "StatusText"), "the status counts it", PATIENCE_S)
    lasting.lose_power(has_network=False)
    until(lambda: is_up(lasting), "it runs without a network", PATIENCE_S)
    assert lasting.run("ls", place).split() == ["pending", "sent"]
    assert lasting.run("cat", f"{place}/pending") in ("2\n", "")
    lasting.run("sh", "-c", f"echo 3 > {place}/offline")
    lasting.run("systemctl", "stop", UNIT)
    assert lasting.property(UNIT, "Result") == "success"
    assert lasting.property(UNIT, "ExecMainStatus") == "3", "something was left, and it did not say so"

    far_side.resume()
    lasting.reboot()
    until(lambda: is_up(lasting), "it runs again", PATIENCE_S)
    lasting.run("mountfs", "wait", place)
    assert set(far_side.files()) == {"/sent", "/pending", "/offline"}
