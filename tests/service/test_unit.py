"""``mountfs@.service`` under a real systemd."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.realmount import hashes
from tests.mounted.sandboxprocess import SandboxProcess
from tests.service.conftest import MOUNTPOINT
from tests.service.machine import Machine
from tests.waiting import until

UNIT = "mountfs@demo"
FILES = 100
SLOW_MS = 300
PATIENCE_S = 60.0


@pytest.fixture
def source(machine: Machine, tmp_path: Path) -> Path:
    """A hundred small files, the same inside and outside the machine."""
    folder = machine.shared / tmp_path.name
    folder.mkdir()
    for number in range(FILES):
        (folder / f"scan {number:03}.txt").write_text(f"page {number}\n" * (number + 1))
    return folder


def test_the_unit_is_without_fault(machine: Machine) -> None:
    assert machine.run("systemd-analyze", "verify", f"{UNIT}.service").strip() == ""


def test_start_returns_when_the_mount_answers_and_others_see_it(service: Machine) -> None:
    assert service.run("stat", "--format=%F", MOUNTPOINT).strip() == "directory"
    assert service.run("findmnt", "--noheadings", "--output=FSTYPE", MOUNTPOINT).strip() == "fuse.mountfs"
    assert service.property(UNIT, "ActiveState") == "active"
    service.run("sh", "-c", f"echo hello > {MOUNTPOINT}/a && grep hello {MOUNTPOINT}/a")


def test_stop_returns_after_all_is_committed(
    service: Machine, far_side: SandboxProcess, source: Path
) -> None:
    far_side.switches(latency_ms=SLOW_MS)
    service.run("cp", "-r", f"{source}/.", MOUNTPOINT)
    service.run("systemctl", "stop", UNIT)
    assert far_side.files() == hashes(source, far_side.hash_kind)
    assert service.property(UNIT, "Result") == "success"
    assert service.run("ls", "-A", MOUNTPOINT) == ""


def test_a_killed_process_is_restarted_and_loses_nothing(
    service: Machine, far_side: SandboxProcess, source: Path
) -> None:
    far_side.switches(latency_ms=SLOW_MS)
    service.run("cp", "-r", f"{source}/.", MOUNTPOINT)
    killed = service.property(UNIT, "MainPID")
    service.run("kill", "-KILL", killed)

    def is_back() -> bool:
        return _is_active(service) and service.property(UNIT, "MainPID") not in (killed, "0")

    until(is_back, "the service runs again", PATIENCE_S)
    assert sorted(service.run("ls", MOUNTPOINT).splitlines()) == sorted(
        path.name for path in source.iterdir()
    )
    service.run("diff", "-r", source, MOUNTPOINT)
    service.run("systemctl", "stop", UNIT)
    assert far_side.files() == hashes(source, far_side.hash_kind)


@pytest.mark.parametrize("far_side", [DropboxProcess], indirect=True, ids=["dropbox"])
def test_a_process_that_hangs_is_killed_by_the_watchdog_and_restarted(
    service: Machine, far_side: SandboxProcess
) -> None:
    service.write(f"/etc/systemd/system/{UNIT}.service.d/watchdog.conf", "[Service]\nWatchdogSec=2\n")
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", UNIT)
    try:
        far_side.pause()
        service.run("sh", "-c", f"echo pending > {MOUNTPOINT}/a")
        hung = service.property(UNIT, "MainPID")
        service.run("kill", "-STOP", hung)

        def is_there() -> bool:
            """On a busy machine the next process may be too slow for that watchdog, once."""
            has_restarted = service.property(UNIT, "MainPID") not in (hung, "0") and _is_active(service)
            return has_restarted and service.run("cat", f"{MOUNTPOINT}/a", check=False) == "pending\n"

        until(is_there, "another process has it", PATIENCE_S)
    finally:
        far_side.resume()
        service.run("rm", "-r", f"/etc/systemd/system/{UNIT}.service.d")
        service.run("systemctl", "daemon-reload")
    service.run("systemctl", "stop", UNIT)
    assert set(far_side.files()) == {"/a"}


def _is_active(service: Machine) -> bool:
    return service.property(UNIT, "ActiveState") == "active"


def test_a_configuration_that_is_wrong_is_told_and_not_tried_again(machine: Machine) -> None:
    machine.write(
        "/etc/mountfs/mountfs.toml", '[mounts.wrong]\nremote = "nowhere:"\nmountpoint = "/tmp/demo"\n'
    )
    output = machine.run("systemctl", "start", "mountfs@wrong", check=False)
    assert "failed" in output
    until(
        lambda: machine.property("mountfs@wrong", "ActiveState") == "failed",
        "the unit has failed",
        PATIENCE_S,
    )
    assert machine.property("mountfs@wrong", "NRestarts") == "0"
    assert "mountfs: no remote 'nowhere' in /etc/mountfs/mountfs.toml" in machine.journal("mountfs@wrong")
