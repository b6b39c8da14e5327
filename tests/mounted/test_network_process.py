"""The process that speaks with the service is killed in the middle of everything: nothing is lost, nothing is
sent twice, and the mount goes on with another one."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.mounted.networkprocess import kill_network, network_pid
from tests.mounted.realmount import MakeMount, RealMount
from tests.mounted.sandboxprocess import Asked, SandboxProcess
from tests.waiting import DEADLINE_S, until

pytestmark = pytest.mark.only_on("dropbox", "box", because="an account in memory has no network process")

SMALL = {f"f{number}": random.Random(number).randbytes(3000) for number in range(20)}
LARGE = random.Random(100).randbytes(30 * 1024 * 1024 + 7)


def write_all(top: Path) -> None:
    for name, body in SMALL.items():
        (top / name).write_bytes(body)
    (top / "large").write_bytes(LARGE)


def assert_all_once(far_side: SandboxProcess) -> None:
    found = {path.removeprefix("/"): far_side.read(path) for path in far_side.files()}
    assert found.keys() == {*SMALL, "large"}
    assert all(found[name] == body for name, body in {**SMALL, "large": LARGE}.items())
    assert {path: far_side.revisions(path) for path in far_side.files()} == dict.fromkeys(far_side.files(), 1)


@pytest.mark.parametrize("asked", [Asked.BYTES, Asked.START, Asked.COMMIT], ids=lambda asked: asked.name)
def test_killed_while_files_go_up_it_is_started_again_and_each_file_arrives_once(
    far_side: SandboxProcess, real_mount: RealMount, asked: Asked
) -> None:
    """The requests that it had sent take effect after its death."""
    far_side.spoil(asked, "stall", stall_s=1.0, count=4)
    write_all(real_mount.path)
    until(lambda: sum(far_side.fault_counts()) > 0, "the service has the requests")
    kill_network(real_mount)
    far_side.calm_down()
    real_mount.wait_committed()
    assert_all_once(far_side)
    assert "was ended by SIGKILL; it is started again" in real_mount.log_file.read_text()
    assert real_mount.status()["account"]["far_side"]["condition"] == "answers"


def test_killed_while_a_commit_runs_it_is_started_again_and_the_job_is_asked_after(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    far_side.slow_commits(1.5)
    write_all(real_mount.path)
    until(lambda: real_mount.status()["account"]["current_job"], "a commit runs")
    kill_network(real_mount)
    real_mount.wait_committed()
    assert_all_once(far_side)


def test_killed_again_and_again_while_files_go_up(far_side: SandboxProcess, real_mount: RealMount) -> None:
    write_all(real_mount.path)
    for _ in range(3):
        until(lambda: network_pid(real_mount), "it runs")
        kill_network(real_mount)
    real_mount.wait_committed()
    assert_all_once(far_side)


def test_killed_while_a_file_is_read_it_is_not_noticed(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    writer = make_mount(name="writer", state_dir=str(make_mount().folder / "writer-state"))
    writer.start()
    (writer.path / "large").write_bytes(LARGE)
    writer.wait_committed()
    mount = make_mount()
    mount.start()
    with subprocess.Popen(["sha1sum", mount.path / "large"], stdout=subprocess.PIPE) as reading:
        for _ in range(3):
            until(lambda: network_pid(mount), "it runs")
            kill_network(mount)
        assert reading.stdout is not None
        found = reading.stdout.read()
        assert reading.wait(DEADLINE_S) == 0
    assert found.split()[0].decode() == hashlib.sha1(LARGE).hexdigest()


def test_it_ends_with_a_mount_that_is_killed(real_mount: RealMount) -> None:
    pid = network_pid(real_mount)
    real_mount.kill9()
    until(lambda: not Path(f"/proc/{pid}").exists(), "it has ended too")


def test_a_stop_leaves_none_behind_and_a_signal_to_all_lets_it_drain(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    """As a service manager, or a terminal, may send it to every process of the mount."""
    pid = network_pid(real_mount)
    assert pid is not None
    far_side.slow_commits(0.5)
    write_all(real_mount.path)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert real_mount.terminate() == 0
    assert_all_once(far_side)
    assert not Path(f"/proc/{pid}").exists()


def test_it_has_no_files_of_the_mount(real_mount: RealMount) -> None:
    """A descriptor that it held would keep the mount, the journal or a lock in use."""
    pid = network_pid(real_mount)
    targets = [_target(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [each for each in targets if str(real_mount.state_dir) in each or "/dev/fuse" in each]


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""
