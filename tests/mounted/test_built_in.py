"""The stand-ins that are mounted by their name alone."""

from __future__ import annotations

import platform
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.mounted.realmount import mountfs

REPOSITORY = Path(__file__).parents[2]
PYTHON = Path("/usr/bin/python3")


@pytest.mark.parametrize("remote", ["sandbox-box:", "sandbox-dropbox:"])
def test_a_built_in_sandbox_is_mounted_by_its_name_alone(tmp_path: Path, remote: str) -> None:
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    order = ["mount", "--background", "-o", f"state_dir={tmp_path / 'state'}", remote, mountpoint]
    for content in ("", "text"):
        assert mountfs(*order).returncode == 0
        try:
            file = mountpoint / "file"
            assert (file.read_text() if file.exists() else "") == content
            file.write_text("text")
        finally:
            done = mountfs("umount", mountpoint)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_systems_own_python_mounts_too(tmp_path: Path) -> None:
    """The tests' may be a newer release: Debian 12 has 3.11.2, with which no mount started."""
    if not PYTHON.exists():
        pytest.skip(f"no {PYTHON} is here")
    told = subprocess.run([PYTHON, "-V"], check=True, capture_output=True, text=True).stdout.split()[1]
    if told == platform.python_version():
        pytest.skip("all tests run with it")
    if told.split(".")[:2] != platform.python_version().split(".")[:2]:
        pytest.skip("the compiled packages of the tests are for another Python")
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (packages,) = (tmp_path / "venv").glob("lib/*/site-packages")
    (packages / "here.pth").write_text(f"{REPOSITORY}\n{sysconfig.get_path('purelib')}\n")
    python = tmp_path / "venv" / "bin" / "python"

    def run(*order: str | Path) -> None:
        order = (python, "-m", "daemon.cli", *order)
        done = subprocess.run(order, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    run("mount", "--background", "-o", f"state_dir={tmp_path / 'state'}", "sandbox-dropbox:", mountpoint)
    try:
        (mountpoint / "file").write_text("text")
    finally:
        run("umount", mountpoint)
