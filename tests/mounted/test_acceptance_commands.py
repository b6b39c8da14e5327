"""The commands around a running mount: in the background, waited for, asked, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.control.client import all_mounts
from tests.mounted.realmount import MakeMount, RealMount, hashes, mountfs, small_tree
from tests.mounted.sandboxprocess import Asked, Refusal, SandboxProcess
from tests.waiting import DEADLINE_S, until

on_one = pytest.mark.only_on("dropbox", because="a command says the same, and ends alike, on every service")


@pytest.fixture
def behind(make_mount: MakeMount) -> Iterator[RealMount]:
    """A mount whose command is yet to be given; a process in the background ends with the test."""
    mount = make_mount()
    yield mount
    if mount.path in all_mounts():
        os.kill(mount.status()["pid"], signal.SIGKILL)


def fill(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"f{number}").write_text(f"{number}")


@pytest.mark.only_on(
    "dropbox", "box", because="the command itself starts the process, which has no memory account"
)
def test_a_mount_in_the_background_is_usable_when_its_command_returns(
    far_side: SandboxProcess, behind: RealMount
) -> None:
    far_side.write("/there", "1")
    done = mountfs(*behind.order("--background"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (behind.path / "there").read_text() == "1"
    (behind.path / "mine").write_text("2")
    done = mountfs("umount", behind.path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert behind.path not in all_mounts()
    assert set(far_side.files()) == {"/there", "/mine"}


def test_sigterm_commits_what_is_pending_and_ends_with_0(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    far_side.slow_commits(0.3)
    fill(real_mount.path, 30)
    assert real_mount.terminate() == 0
    assert real_mount.path not in all_mounts()
    assert len(far_side.files()) == 30


@on_one
def test_an_interrupt_commits_what_is_pending_too(far_side: SandboxProcess, real_mount: RealMount) -> None:
    far_side.slow_commits(0.3)
    fill(real_mount.path, 30)
    real_mount.signal(signal.SIGINT)
    assert real_mount.ended() == 0
    assert real_mount.log_file.read_text() == ""
    assert len(far_side.files()) == 30


@on_one
def test_while_it_drains_a_mount_takes_no_more_writes(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    far_side.pause()
    fill(real_mount.path, 1)
    real_mount.signal(signal.SIGTERM)
    until(lambda: real_mount.status()["phase"] == "draining", "it drains")
    with pytest.raises(OSError):
        (real_mount.path / "late").write_text("x")
    assert (real_mount.path / "f0").read_text() == "0"
    far_side.resume()
    assert real_mount.ended() == 0
    assert set(far_side.files()) == {"/f0"}


@on_one
def test_a_drain_without_success_ends_with_3_and_says_how_much_stays(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    mount = make_mount(drain_timeout="0.5")
    mount.start()
    far_side.pause()
    fill(mount.path, 4)
    assert mount.terminate() == 3
    assert "4 changes stay journaled for the next mount" in mount.log_file.read_text()
    assert mount.path not in all_mounts()
    far_side.resume()
    mount.start()
    mount.wait_committed()
    assert len(far_side.files()) == 4


@on_one
def test_umount_drains(far_side: SandboxProcess, real_mount: RealMount) -> None:
    far_side.slow_commits(0.3)
    fill(real_mount.path, 30)
    done = mountfs("umount", real_mount.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert real_mount.path not in all_mounts()
    assert len(far_side.files()) == 30
    assert real_mount.ended() == 0


@on_one
def test_umount_gives_up_in_time_and_says_how_much_stays(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    far_side.pause()
    fill(real_mount.path, 3)
    done = mountfs("umount", real_mount.path, "--timeout", 0.5)
    assert done.returncode == 3
    assert done.stderr == f"mountfs: {real_mount.path}: 3 changes stay journaled for the next mount\n"
    assert real_mount.path not in all_mounts()
    assert real_mount.ended() == 3


@on_one
def test_umount_takes_a_dead_mount_away(real_mount: RealMount) -> None:
    real_mount.kill9()
    done = mountfs("status", real_mount.path)
    assert done.returncode == 2
    assert "its mountfs process has ended; what was pending is kept" in done.stderr
    assert mountfs("umount", real_mount.path).returncode == 0
    assert real_mount.path not in all_mounts()


@on_one
def test_umount_takes_a_busy_mount_away_all_the_same(real_mount: RealMount) -> None:
    fill(real_mount.path, 1)
    descriptor = os.open(real_mount.path / "f0", os.O_RDONLY)
    try:
        assert mountfs("umount", real_mount.path).returncode == 0
        assert real_mount.path not in all_mounts()
    finally:
        with contextlib.suppress(OSError):  # nobody is there any more to hear of the close
            os.close(descriptor)


@on_one
def test_a_mount_on_a_dead_one_says_that_it_takes_it_away(
    far_side: SandboxProcess, behind: RealMount
) -> None:
    behind.start()
    far_side.slow_commits(0.3)
    fill(behind.path, 3)
    behind.kill9()
    done = mountfs(*behind.order("--background"))
    assert done.returncode == 0
    assert done.stderr == f"mountfs: taking away the dead mount at {behind.path}\n"
    assert set(os.listdir(behind.path)) == {"f0", "f1", "f2"}
    assert mountfs("umount", behind.path).returncode == 0
    assert len(far_side.files()) == 3


@on_one
def test_wait_returns_0_when_all_is_committed(far_side: SandboxProcess, real_mount: RealMount) -> None:
    fill(real_mount.path, 5)
    done = mountfs("wait", real_mount.path / "f3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert mountfs("wait", real_mount.path).returncode == 0
    assert len(far_side.files()) == 5


@on_one
def test_wait_is_not_done_where_nothing_is_nor_before_a_removal_is_sent(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    """`wait photso && rm -r photos` would go on."""
    fill(real_mount.path, 2)
    assert mountfs("wait", real_mount.path).returncode == 0
    typed = real_mount.path / "g0"
    for command in ("wait", "pending", "retry", "log", "discard"):
        told = mountfs(command, typed)
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr == f"mountfs: {typed}: g0 does not exist in /\n"
    assert mountfs("pause", real_mount.path).returncode == 0
    (real_mount.path / "f0").unlink()
    told = mountfs("wait", "--timeout", "0", real_mount.path / "f0")
    assert told.returncode == 2
    assert "1 change still pending" in told.stderr
    assert mountfs("resume", real_mount.path).returncode == 0
    for gone in (real_mount.path, real_mount.path / "f0"):  # it cannot be known whether it is sent by then
        assert mountfs("wait", gone).returncode == 0
    assert len(far_side.files()) == 1


@on_one
def test_wait_lists_what_failed_and_returns_1(far_side: SandboxProcess, real_mount: RealMount) -> None:
    far_side.refuse("bad*", Refusal.PERMISSION)
    for name in ("bad1", "good", "bad2"):
        (real_mount.path / name).write_text(name)
    done = mountfs("wait", real_mount.path)
    assert done.returncode == 1
    lines = sorted(done.stderr.splitlines())
    assert [line.split(": ")[1] for line in lines] == [
        str(real_mount.path / name) for name in ("bad1", "bad2")
    ]
    assert all(line.startswith("mountfs: ") and line.split(": ", 2)[2] for line in lines)
    assert set(far_side.files()) == {"/good"}
    assert (real_mount.path / "bad1").read_text() == "bad1"
    shown = mountfs("status", real_mount.path).stdout
    assert "bad1" in shown
    assert "failed" in shown
    for name in ("bad1", "bad2"):
        (real_mount.path / name).unlink()
    assert mountfs("wait", real_mount.path).returncode == 0


@on_one
def test_status_without_a_mount_point_lists_all_mounts(make_mount: MakeMount) -> None:
    mounts = [make_mount(name="one"), make_mount(name="two")]
    for mount in mounts:
        mount.start()
    told = json.loads(mountfs("status", "--json").stdout)["mounts"]
    listed = {each["mountpoint"]: each for each in told}
    for mount in mounts:
        assert listed[str(mount.path)]["pid"] == mount.pid
        assert listed[str(mount.path)]["phase"] == "ready"
    shown = mountfs("status").stdout.replace("\n", "")
    assert all(mount.path.name in shown for mount in mounts)


@on_one
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may bind")
def test_what_is_bound_elsewhere_is_told_of_once_and_taken_away_alone(
    real_mount: RealMount, tmp_path: Path
) -> None:
    (real_mount.path / "docs").mkdir()
    folder, whole = tmp_path / "folder", tmp_path / "whole"
    for place, shown in ((folder, real_mount.path / "docs"), (whole, real_mount.path)):
        place.mkdir()
        subprocess.run(["mount", "--bind", shown, place], check=True)
    try:
        (folder / "f").write_text("1")
        done = mountfs("wait", folder / "f")
        assert (done.returncode, done.stderr) == (0, "")
        assert "/docs/f" in mountfs("log", folder / "f").stdout
        told = json.loads(mountfs("status", "--json").stdout)["mounts"]
        assert [each["mountpoint"] for each in told if each.get("pid") == real_mount.pid] == [
            str(real_mount.path)
        ]
        assert not {str(folder), str(whole)} & {each["mountpoint"] for each in told}
    finally:
        ended = [mountfs("umount", place).returncode for place in (folder, whole)]
        for place in (folder, whole):  # where that failed
            subprocess.run(["umount", "--lazy", place], stderr=subprocess.DEVNULL)
    assert ended == [0, 0]
    assert not list(folder.iterdir()) + list(whole.iterdir())
    assert (real_mount.path / "docs" / "f").read_text() == "1"
    assert real_mount.status()["phase"] == "ready"


@on_one
def test_status_tells_what_is_pending_and_which_calls_were_made(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    far_side.pause()
    fill(real_mount.path, 3)
    [told] = json.loads(mountfs("status", real_mount.path, "--json").stdout)["mounts"]
    assert told["account"]["pending"]["count"] == 3
    assert told["account"]["oldest_pending_age_s"] >= 0
    far_side.resume()
    real_mount.wait_committed()
    [told] = json.loads(mountfs("status", real_mount.path, "--json").stdout)["mounts"]
    assert told["account"]["pending"] == {"count": 0, "size_bytes": 0}
    assert sum(told["account"]["calls"].values()) >= len(far_side.asked(Asked.COMMIT)) >= 1


@pytest.mark.only_on("memory", "dropbox", because="Box takes commits side by side")
def test_two_mounts_of_one_account_take_turns_with_their_batches(
    tmp_path: Path, far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    far_side.slow_commits(0.2)
    mounts = [make_mount(name="one"), make_mount(name="two")]
    for mount in mounts:
        mount.start()

    def work(mount: RealMount) -> None:
        for number in range(2):
            small_tree(mount.path / mount.path.name / str(number), 5)
            mount.wait_committed()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, mounts))
    assert far_side.peak_jobs() == 1
    assert len(far_side.files()) == 2 * 2 * 5
    # No mount saw an overlap refused: nothing was sent twice.
    assert len(far_side.committed_names()) == 2 * 2 * 5


def test_what_a_killed_mount_left_goes_with_the_next_one(
    tmp_path: Path, far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    one, two = make_mount(name="one"), make_mount(name="two")
    one.start()
    two.start()
    far_side.pause()
    source = small_tree(tmp_path / "src", 12)
    small_tree(one.path / "first", 3)
    for path in source.rglob("*"):
        target = two.path / "left" / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.write_bytes(path.read_bytes())
    two.kill9()
    one.kill9()
    one.start()
    assert hashes(one.path / "left", far_side.hash_kind) == hashes(source, far_side.hash_kind)
    far_side.resume()
    one.wait_committed()
    arrived = far_side.files()
    assert {path: arrived[f"/left{path}"] for path in hashes(source, far_side.hash_kind)} == hashes(
        source, far_side.hash_kind
    )
    assert len(arrived) == 12 + 3
    assert one.terminate() == 0
    two.start()
    two.wait_committed()
    assert {path: far_side.revisions(path) for path in arrived} == dict.fromkeys(arrived, 1)


@on_one
def test_a_paused_mount_sends_nothing_says_so_and_keeps_all_for_the_next_one(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    mount = make_mount(drain_idle_timeout="0.5", http="127.0.0.1:0")
    mount.start()
    assert mountfs("pause", mount.path).returncode == 0
    fill(mount.path, 3)
    told = json.loads(mountfs("status", mount.path, "--json").stdout)
    assert (told["health"], told["mounts"][0]["account"]["pending"]["count"]) == ("trouble", 3)
    with urllib.request.urlopen(told["mounts"][0]["page"], timeout=DEADLINE_S) as page:
        assert b"mountfs" in page.read()
    waited = mountfs("wait", "--timeout", "1", mount.path)
    assert waited.returncode == 2
    assert "nothing gets on: you paused the mount" in waited.stderr
    listed = mountfs("pending", mount.path)
    assert (listed.returncode, len(listed.stdout.splitlines())) == (1, 3)
    done = mountfs("umount", mount.path)
    assert done.returncode == 3
    assert "3 changes stay journaled for the next mount: you paused the mount" in done.stderr
    assert mount.ended() == 3
    assert far_side.files() == {}
    mount.start()
    mount.wait_committed()
    assert len(far_side.files()) == 3
    story = mountfs("log", mount.path / "f0").stdout
    assert "committed as revision" in story
    assert mountfs("status", mount.path).returncode == 0
