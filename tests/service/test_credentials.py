"""Secrets that systemd keeps, and gives to the mount alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mounted.sandboxprocess import SandboxProcess
from tests.service.conftest import MOUNTPOINT
from tests.service.machine import Machine

UNIT = "mountfs@demo"
CONFIG = "/etc/mountfs/mountfs.toml"
STORE = "/etc/mountfs/credstore"
DROP_IN = f"/etc/systemd/system/{UNIT}.service.d/credentials.conf"
CREDENTIALS = ("access_token", "refresh_token", "app_key", "client_id", "client_secret", "type")


@pytest.fixture
def signed_in(
    machine: Machine, far_side: SandboxProcess, request: pytest.FixtureRequest
) -> Iterator[list[str]]:
    """The account signed in to as an administrator would; what ``login`` says to add to the unit."""
    service = far_side.service
    machine.run("mkdir", "-p", "-m", "700", STORE)
    machine.write(
        CONFIG,
        f'[mounts.demo]\nremote = "far:"\nmountpoint = "{MOUNTPOINT}"\n'
        f'state_dir = "/var/lib/mountfs/{request.node.name}"\n',
    )
    machine.write("/tmp/token", "sandbox-refresh\n", mode=0o600)
    machine.write("/tmp/secret", "sandbox-secret\n", mode=0o600)
    app = ["--client-id", "sandbox-client", "--secret-file", "/tmp/secret"]
    if service == "dropbox":
        app = ["--app-key", "sandbox-app"]
    sets = [
        part
        for key, value in far_side.remote().items()
        if key not in CREDENTIALS
        for part in ("--set", f"{key}={value}")
    ]
    order = ["login", "far", "--service", service, *app, *sets, "--token-file", "/tmp/token"]
    try:
        told = machine.run(
            "mountfs", "--config", CONFIG, *order, "--store", "systemd", "--credentials", STORE
        )
        yield told.splitlines()
    finally:
        machine.run("systemctl", "stop", UNIT, check=False)
        machine.run("rm", "-rf", STORE, DROP_IN, CONFIG, "/tmp/token", "/tmp/secret")
        machine.run("systemctl", "daemon-reload")


def test_a_unit_mounts_with_what_login_says_to_give_it(
    machine: Machine, far_side: SandboxProcess, signed_in: list[str]
) -> None:
    lines = signed_in[signed_in.index("[Service]") :]
    assert [line for line in lines if line.startswith("LoadCredential=mountfs.far.refresh_token:")]
    text = machine.run("cat", CONFIG)
    assert "sandbox-refresh" not in text
    assert "sandbox-secret" not in text
    machine.write(DROP_IN, "\n".join([*lines, ""]))
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reset-failed", UNIT, check=False)
    machine.run("systemctl", "start", UNIT)
    machine.run("sh", "-c", f"echo hello > {MOUNTPOINT}/a && mountfs wait {MOUNTPOINT}")
    assert list(far_side.files()) == ["/a"]


def test_a_unit_that_is_not_given_them_says_what_to_add(machine: Machine, signed_in: list[str]) -> None:
    machine.run("systemctl", "reset-failed", UNIT, check=False)
    machine.run("systemctl", "start", UNIT, check=False)
    assert machine.property(UNIT, "ActiveState") == "failed"
    assert "LoadCredential=mountfs.far." in machine.journal(UNIT)
