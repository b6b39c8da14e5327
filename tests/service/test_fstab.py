"""``mount -t fuse.mountfs``, lines of fstab, and the units that ``install-service`` writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.sandboxprocess import SandboxProcess
from tests.service.conftest import UNIT
from tests.service.machine import Machine

PLACE = "/tmp/table"
CONFIG = "/etc/mountfs/mountfs.toml"
FILES = 20
SLOW_MS = 200


@pytest.fixture
def far_side(tmp_path: Path) -> Iterator[SandboxProcess]:
    """One service: the commands are the same for each."""
    with DropboxProcess(tmp_path / "far-side") as far_side:
        yield far_side


@pytest.fixture
def installed(machine: Machine, far_side: SandboxProcess) -> Iterator[Machine]:
    """The machine after `mountfs install-service`, with an account and a mount point."""
    machine.run("mkdir", "-p", PLACE)
    keys = "".join(f'{key} = "{value}"\n' for key, value in far_side.remote().items())
    state = '[mount]\nstate_dir = "/var/lib/mountfs/table"\n'
    machine.write(CONFIG, f"[remotes.far]\n{keys}{state}", mode=0o600)
    try:
        told = machine.run("mountfs", "install-service", "--force", "--program", "/usr/local/sbin/mountfs")
        assert "wrote /usr/sbin/mount.fuse.mountfs" in told
        yield machine
    finally:
        machine.run("umount", "-i", "-l", PLACE, check=False)
        machine.run("rm", "/usr/sbin/mount.fuse.mountfs", "/usr/sbin/umount.fuse.mountfs")
        machine.write("/etc/systemd/system/mountfs@.service", UNIT.read_text())
        machine.run("systemctl", "daemon-reload")


def test_mount_mounts_and_umount_returns_when_all_is_committed(
    installed: Machine, far_side: SandboxProcess
) -> None:
    installed.run("mount", "-t", "fuse.mountfs", "-o", f"config={CONFIG},_netdev", "far:", PLACE)
    assert installed.run("findmnt", "--noheadings", "--output=FSTYPE", PLACE).strip() == "fuse.mountfs"
    far_side.switches(latency_ms=SLOW_MS)
    installed.run("sh", "-c", f"for n in $(seq {FILES}); do echo $n > {PLACE}/f$n; done")
    installed.run("umount", PLACE)
    assert len(far_side.files()) == FILES
    assert installed.run("ls", "-A", PLACE) == ""


@pytest.mark.parametrize(("unit", "more"), [("automount", "x-systemd.automount,"), ("mount", "")])
def test_a_line_of_fstab_mounts_when_somebody_looks_or_at_the_start(
    installed: Machine, far_side: SandboxProcess, unit: str, more: str
) -> None:
    if unit == "automount" and not Path("/dev/autofs").exists():
        pytest.skip("the kernel has no autofs, by which systemd mounts when somebody looks")
    far_side.write("/there", "1")
    options = f"_netdev,nofail,{more}config={CONFIG}"
    installed.run("mount", "-t", "tmpfs", "tmpfs", "/mnt")
    installed.write("/mnt/fstab", f"far: {PLACE} fuse.mountfs {options} 0 0\n")
    installed.run("mount", "--bind", "/mnt/fstab", "/etc/fstab")
    try:
        installed.run("systemctl", "daemon-reload")
        installed.run("systemctl", "start", f"tmp-table.{unit}")
        assert installed.run("cat", f"{PLACE}/there") == "1"
        assert installed.property("tmp-table.mount", "ActiveState") == "active"
        installed.run("sh", "-c", f"echo 2 > {PLACE}/mine")
        installed.run("systemctl", "stop", "tmp-table.mount")
        assert set(far_side.files()) == {"/there", "/mine"}
        assert installed.property("tmp-table.mount", "Result") == "success"
    finally:
        installed.run("systemctl", "stop", f"tmp-table.{unit}", "tmp-table.mount", check=False)
        installed.run("umount", "/etc/fstab", "/mnt")
        installed.run("systemctl", "daemon-reload")


def test_what_is_installed_is_hardened_as_far_as_the_mount_stays_visible(installed: Machine) -> None:
    assert installed.run("systemd-analyze", "verify", "mountfs@demo.service").strip() == ""
    analysis = installed.run("systemd-analyze", "security", "--no-pager", "mountfs@demo.service", check=False)
    [overall] = [line for line in analysis.splitlines() if "Overall exposure level" in line]
    assert float(overall.split(":")[1].split()[0]) < 5.0
