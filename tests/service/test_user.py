"""An ordinary user: mounts by fusermount3, and by a systemd of his own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.sandboxprocess import SandboxProcess
from tests.service.machine import REPOSITORY, Machine
from tests.waiting import until

NOBODY = 65534
HOME = "/tmp/home"
RUNTIME = f"/run/user/{NOBODY}"
PLACE = f"{HOME}/mnt"
CONFIG = f"{HOME}/.config/mountfs/mountfs.toml"

AsUser = Callable[..., str]


@pytest.fixture
def far_side(tmp_path: Path) -> Iterator[SandboxProcess]:
    with DropboxProcess(tmp_path / "far-side") as far_side:
        yield far_side


@pytest.fixture
def as_user(machine: Machine, far_side: SandboxProcess) -> Iterator[AsUser]:
    """Runs a command as somebody with a home, an account and nothing else."""
    environ = {
        "HOME": HOME,
        "USER": "nobody",
        "XDG_RUNTIME_DIR": RUNTIME,
        "PATH": f"{Path(sys.prefix) / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": str(REPOSITORY),
    }
    if any(not top.stat().st_mode & 0o005 for top in (REPOSITORY / "daemon", Path(sys.prefix))):
        pytest.skip("an ordinary user may not read the sources")
    keys = "".join(f'{key} = "{value}"\n' for key, value in far_side.remote().items())
    mount = f'[mounts.mine]\nremote = "far:"\nmountpoint = "{PLACE}"\n'
    machine.write(CONFIG, f"[remotes.far]\n{keys}{mount}", mode=0o600)
    machine.run("mkdir", "-p", PLACE, RUNTIME)
    machine.run("chmod", "700", RUNTIME)
    machine.run("chown", "-R", f"{NOBODY}:{NOBODY}", HOME, RUNTIME)
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]

    def run(*order: str, check: bool = True) -> str:
        return machine.run(*become, *order, check=check, environ=environ)

    try:
        yield run
    finally:
        machine.run("umount", "-i", "-l", PLACE, check=False)
        machine.run("rm", "-rf", HOME, RUNTIME)


def test_an_ordinary_user_mounts_copies_looks_and_unmounts(as_user: AsUser, far_side: SandboxProcess) -> None:
    as_user("mountfs", "mount", "--background", "far:", PLACE)
    as_user("cp", "/etc/hostname", f"{PLACE}/copied")
    as_user("mountfs", "wait", PLACE)
    assert f"far: on {PLACE}" in as_user("mountfs", "status", PLACE)
    assert as_user("stat", "--format=%U %a", f"{PLACE}/copied").split()[0] == "nobody"
    as_user("mountfs", "umount", PLACE)
    assert set(far_side.files()) == {"/copied"}
    assert as_user("ls", "-A", PLACE) == ""


def test_a_mount_that_is_refused_tells_the_reason_of_fusermount(as_user: AsUser) -> None:
    order = ["setpriv", "--no-new-privs", "--", "mountfs", "mount", "--background", "far:", PLACE]
    told = as_user(*order, check=False)
    assert f"mountfs: {PLACE}: cannot mount: fusermount: mount failed: Operation not permitted" in told


def test_your_own_unit_mounts_for_you(machine: Machine, as_user: AsUser, far_side: SandboxProcess) -> None:
    """What logind starts for who logs in, or lingers: ``systemd --user``."""
    manager = "own-manager.service"
    settings = [f"--setenv={name}={value}" for name, value in (("HOME", HOME), ("XDG_RUNTIME_DIR", RUNTIME))]
    settings += [f"--setenv=PYTHONPATH={REPOSITORY}", f"--setenv=PATH={os.environ['PATH']}"]
    settings += [f"--uid={NOBODY}", f"--gid={NOBODY}", "--property=Delegate=yes"]
    machine.run("systemd-run", f"--unit={manager}", *settings, "/lib/systemd/systemd", "--user")
    try:
        until(
            lambda: "running" in as_user("systemctl", "--user", "is-system-running", check=False),
            "the user's systemd is there",
        )
        assert "enable-linger" in as_user("mountfs", "install-service", "--user")
        as_user("systemctl", "--user", "enable", "--now", "mountfs@mine")
        as_user("sh", "-c", f"echo 1 > {PLACE}/a")
        assert as_user("systemctl", "--user", "is-active", "mountfs@mine") == "active\n"
        as_user("systemctl", "--user", "stop", "mountfs@mine")
        assert set(far_side.files()) == {"/a"}
        assert (
            as_user("systemctl", "--user", "show", "--value", "-p", "Result", "mountfs@mine") == "success\n"
        )
    finally:
        machine.run("systemctl", "stop", manager, check=False)
