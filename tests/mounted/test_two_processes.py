"""A second process beside a running mount: it shares properly, or is told who has what it wants."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.control.client import all_mounts
from daemon.process.mountpoint import detach
from tests.mounted.realmount import MakeMount, RealMount, mountfs
from tests.mounted.sandboxprocess import REPOSITORY, SandboxProcess
from tests.waiting import DEADLINE_S, until

pytestmark = pytest.mark.only_on("dropbox", because="processes of one machine share files, not services")


def test_two_mounts_of_one_account_show_their_folders_and_send_what_is_theirs(
    tmp_path: Path, far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    """One state directory, another one, and another folder of the account: none gets in another's way."""
    far_side.mkdir("/sub")
    mounts = [
        make_mount(name="whole"),
        make_mount(name="part", subdir="/sub"),
        make_mount(name="apart", state_dir=str(tmp_path / "another-state")),
    ]
    for mount in mounts:
        mount.start()
    for mount in mounts:
        for number in range(10):
            (mount.path / f"{mount.path.name}{number}").write_text(mount.path.name)
    for mount in mounts:
        mount.wait_committed()
    wanted = {f"{top}{number}" for top in ("/whole", "/sub/part", "/apart") for number in range(10)}
    assert set(far_side.files()) == wanted
    assert {far_side.revisions(path) for path in wanted} == {1}
    until((mounts[0].path / "sub" / "part9").exists, "one sees what the other sent")


def test_a_second_mount_on_a_mount_point_is_told_who_has_it(real_mount: RealMount) -> None:
    done = mountfs(*real_mount.order())
    assert done.returncode == 1
    assert done.stderr == (
        f"mountfs: {real_mount.path}: mountfs already is mounted here (work:, process {real_mount.pid}); "
        "unmount it first or choose another directory\n"
    )


def test_of_two_mounts_that_begin_at_once_on_one_mount_point_one_stands(
    tmp_path: Path, far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    mount = make_mount()
    program = [sys.executable, "-m", *SandboxProcess.mountfs]
    order = ["setpriv", "--pdeathsig", "TERM", "--", *program, *mount.order()]
    logs = [tmp_path / f"log{number}" for number in range(2)]
    racing = []
    for log in logs:
        with log.open("wb") as output:
            racing.append(
                subprocess.Popen(
                    order, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
            )
    try:
        until(lambda: [each for each in racing if each.poll() is not None], "one of them gives up")
        (loser,) = (number for number, each in enumerate(racing) if each.poll() is not None)
        winner = racing[1 - loser]
        assert racing[loser].returncode == 1
        text = logs[loser].read_text()
        assert "mounted here" in text
        assert str(winner.pid) in text
        until(lambda: mount.path in all_mounts(), "the other one stands")
        until(lambda: mountfs("status", mount.path).returncode == 0, "it answers")
        winner.terminate()
        assert winner.wait(DEADLINE_S) == 0
    finally:
        for each in racing:
            if each.poll() is None:
                each.kill()
                each.wait()
        while mount.path in all_mounts():
            detach(mount.path)


def test_a_lock_that_a_killed_mount_had_holds_nobody_off(real_mount: RealMount) -> None:
    (real_mount.path / "kept").write_text("kept")
    real_mount.kill9()
    real_mount.start()
    assert (real_mount.path / "kept").read_text() == "kept"
    slots = list((real_mount.state_dir / "accounts").glob("*/slot-*"))
    assert [slot.name for slot in slots] == ["slot-0"]


def test_a_second_sandbox_on_the_same_files_is_told_who_has_them(tmp_path: Path) -> None:
    one, two, state = tmp_path / "one", tmp_path / "two", tmp_path / "state"
    for place in (one, two):
        place.mkdir()
    order = ["mount", "--background", "-o", f"state_dir={state}", "sandbox-dropbox:"]
    assert mountfs(*order, one).returncode == 0
    try:
        pid = json.loads(mountfs("status", one, "--json").stdout)["mounts"][0]["pid"]
        done = mountfs(*order, two)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert f"another mount (process {pid}) runs the dropbox sandbox on these files" in done.stderr
        assert two not in all_mounts()
    finally:
        assert mountfs("umount", one).returncode == 0
