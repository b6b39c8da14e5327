"""The ``mountfs`` command with a real mount, from start to end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.demotree import files_below, hash_of
from daemon.client import all_mounts
from mountfs.sandbox.dropbox import DropboxSandbox

PATIENCE_S = 60.0
SLOW_MS = 300


@pytest.fixture
def far_side() -> Iterator[DropboxSandbox]:
    with DropboxSandbox() as sandbox:
        yield sandbox


class Host:
    """A user with a configuration, a mount point and the command."""

    def __init__(self, folder: Path, far_side: DropboxSandbox) -> None:
        self.mountpoint = folder / "mnt"
        self.mountpoint.mkdir()
        self.config = folder / "mountfs.toml"
        self.config.touch(mode=0o600)
        self.configure(far_side.base_url)
        self.state_dir = folder / "state"

    def configure(self, url: str, token: str = "sandbox") -> None:
        urls = "".join(f'{host}_url = "{url}"\n' for host in ("api", "content", "notify"))
        self.config.write_text(f'[remotes.far]\ntype = "dropbox"\naccess_token = "{token}"\n{urls}')

    def order(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "daemon.cli", "--config", str(self.config), *map(str, arguments)]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.order(*arguments), capture_output=True, text=True, timeout=PATIENCE_S)

    def mount_order(self, *flags: str) -> list[str]:
        return self.order("mount", *flags, "-o", f"state_dir={self.state_dir}", "far:", self.mountpoint)

    def mount(self, *flags: str) -> None:
        done = subprocess.run(
            self.mount_order("--background", *flags), capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert (done.returncode, done.stderr) == (0, "")

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run("status", "--json", self.mountpoint).stdout)
        return answer


@pytest.fixture
def host(tmp_path: Path, far_side: DropboxSandbox) -> Iterator[Host]:
    host = Host(tmp_path, far_side)
    yield host
    far_side.resume()
    if host.mountpoint in all_mounts():
        host.run("umount", host.mountpoint)
    if host.mountpoint in all_mounts():
        subprocess.run(["fusermount3", "-uz", host.mountpoint], check=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02}.txt").write_text(f"page {number}\n" * (number + 1))
    return folder


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", f"{source}/.", str(target)], check=True)


def is_equal(source: Path, far_side: DropboxSandbox) -> bool:
    there = {path: file["content_hash"] for path, file in far_side.files().items()}
    return there == {path: hash_of(file) for path, file in files_below(source)}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"still not so after {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.02)


def test_a_background_mount_is_usable_and_umount_drains_it(
    host: Host, far_side: DropboxSandbox, source: Path
) -> None:
    host.mount()
    assert host.status()["phase"] == "ready"
    far_side.set_switches(latency_ms=SLOW_MS)
    copy(source, host.mountpoint)
    done = host.run("umount", host.mountpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.mountpoint not in all_mounts()
    assert is_equal(source, far_side)


def test_wait_returns_when_all_is_committed(host: Host, far_side: DropboxSandbox, source: Path) -> None:
    host.mount()
    copy(source, host.mountpoint)
    assert host.run("wait", host.mountpoint / "03.txt").returncode == 0
    assert host.run("wait", host.mountpoint).returncode == 0
    assert is_equal(source, far_side)
    status = host.status()
    assert status["account"]["pending"] == {"count": 0, "size_bytes": 0}
    assert sum(status["account"]["calls"].values()) > 0


def test_with_the_far_side_down_writing_goes_on_and_all_arrives_later(
    host: Host, far_side: DropboxSandbox, source: Path
) -> None:
    host.mount()
    assert list(host.mountpoint.iterdir()) == []  # what was never listed cannot be known while it is away
    far_side.pause()
    copy(source, host.mountpoint)
    done = host.run("wait", host.mountpoint, "--timeout", "1")
    assert done.returncode == 2
    assert "changes still pending" in done.stderr
    until(lambda: not host.status()["account"]["far_side"]["is_reachable"], "the status says it is away")
    far_side.resume()
    assert host.run("wait", host.mountpoint).returncode == 0
    assert is_equal(source, far_side)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_foreground_drains(
    host: Host, far_side: DropboxSandbox, source: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(host.mount_order(), stderr=subprocess.PIPE, text=True) as process:
        until(lambda: host.mountpoint in all_mounts(), "it is mounted")
        far_side.set_switches(latency_ms=SLOW_MS)
        copy(source, host.mountpoint)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, "")
    assert is_equal(source, far_side)


def test_time_runs_out_and_the_next_mount_sends_the_rest(
    host: Host, far_side: DropboxSandbox, source: Path
) -> None:
    host.mount()
    assert list(host.mountpoint.iterdir()) == []  # what was never listed cannot be known while it is away
    far_side.pause()
    copy(source, host.mountpoint)
    done = host.run("umount", host.mountpoint, "--timeout", "0.5")
    assert done.returncode == 3
    assert "30 changes stay journaled for the next mount" in done.stderr
    far_side.resume()
    host.mount()
    assert host.run("wait", host.mountpoint).returncode == 0
    assert is_equal(source, far_side)


def test_who_unmounts_from_outside_still_has_everything_committed(
    host: Host, far_side: DropboxSandbox, source: Path
) -> None:
    host.mount()
    far_side.set_switches(latency_ms=SLOW_MS)
    copy(source, host.mountpoint)
    subprocess.run(["fusermount3", "-u", host.mountpoint], check=True)
    until(lambda: is_equal(source, far_side), "everything is committed")


def test_a_busy_mount_disappears_all_the_same(host: Host) -> None:
    host.mount()
    (host.mountpoint / "a").write_text("x")
    descriptor = os.open(host.mountpoint / "a", os.O_RDONLY)
    try:
        assert host.run("umount", host.mountpoint).returncode == 0
        assert host.mountpoint not in all_mounts()
    finally:
        with contextlib.suppress(OSError):  # nobody is there any more to hear of the close
            os.close(descriptor)


def test_after_a_kill_the_dead_mount_is_told_and_replaced(
    host: Host, far_side: DropboxSandbox, source: Path
) -> None:
    host.mount()
    far_side.set_switches(latency_ms=SLOW_MS)
    copy(source, host.mountpoint)
    os.kill(host.status()["pid"], signal.SIGKILL)
    until(lambda: "has ended" in host.run("status", host.mountpoint).stderr, "the mount is told dead")
    again = subprocess.run(
        host.mount_order("--background"), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert again.returncode == 0
    assert again.stderr == f"mountfs: taking away the dead mount at {host.mountpoint}\n"
    assert sorted(os.listdir(host.mountpoint)) == sorted(os.listdir(source))
    assert host.run("umount", host.mountpoint).returncode == 0
    assert is_equal(source, far_side)


@pytest.mark.parametrize("flags", [[], ["--background"]])
def test_a_wrong_token_is_one_line(host: Host, far_side: DropboxSandbox, flags: list[str]) -> None:
    host.configure(far_side.base_url, token="wrong")
    _is_refused(host, flags)


@pytest.mark.parametrize("flags", [[], ["--background"]])
def test_a_service_that_does_not_answer_is_one_line(
    host: Host, far_side: DropboxSandbox, flags: list[str]
) -> None:
    url = far_side.base_url
    far_side.stop()
    host.configure(url)
    _is_refused(host, flags)
    far_side.start()


def _is_refused(host: Host, flags: list[str]) -> None:
    done = subprocess.run(host.mount_order(*flags), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert done.stderr.startswith("mountfs: ")
    assert done.stderr.count("\n") == 1
    assert host.mountpoint not in all_mounts()


def test_a_second_mount_on_the_same_place_is_refused(host: Host) -> None:
    host.mount()
    done = subprocess.run(host.mount_order(), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert "mountfs already is mounted here" in done.stderr
