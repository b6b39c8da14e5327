"""A mount that is started anew shows what the last one knew, and sends what that left."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.mounted.corner import STATE, is_text
from tests.mounted.realmount import MakeMount, RealMount, mountfs
from tests.mounted.sandboxprocess import Asked, SandboxProcess
from tests.waiting import until

FOLDERS = 20
FILES = 200
READ = 20


def find(top: Path) -> set[str]:
    """Everything at and below *top*, as find(1) prints it."""
    done = subprocess.run(["find", top], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


def name_of(number: int) -> str:
    return f"d{number % FOLDERS}/f{number}"


def test_a_tree_that_was_walked_is_there_without_the_service_and_catches_up_when_it_is_back(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    for number in range(FOLDERS):
        far_side.mkdir(f"/d{number}")
    for number in range(FILES):
        far_side.write(f"/{name_of(number)}", f"text {number}")
    mount = make_mount()
    mount.start()
    read = [mount.path / name_of(number) for number in range(READ)]
    seen, texts = find(mount.path), [path.read_text() for path in read]
    assert len(seen) == 1 + FOLDERS + FILES
    assert texts == [f"text {number}" for number in range(READ)]
    assert mount.terminate() == 0

    far_side.pause()
    mount.start()
    assert find(mount.path) == seen
    assert [path.read_text() for path in read] == texts
    new = mount.path / "new"
    new.touch()
    assert os.getxattr(new, STATE).decode() in ("pending", "uploading")
    assert mount.status()["account"]["pending"]["count"] == 1
    far_side.write("/d1/f1", "changed")  # one that was read
    far_side.remove("/d2/f2")
    far_side.write("/d3/added", "added")
    assert far_side.files().keys() >= {"/d3/added"}
    assert find(mount.path) == {*seen, str(new)}

    far_side.resume()
    until(lambda: is_text(mount.path / "d1/f1", "changed"), "what was changed meanwhile is seen")
    until(lambda: not (mount.path / "d2/f2").exists(), "what was removed meanwhile is gone")
    until(lambda: is_text(mount.path / "d3/added", "added"), "what was added meanwhile is seen")
    mount.wait_committed()
    assert "/new" in far_side.files()
    removed, added = (str(mount.path / name) for name in ("d2/f2", "d3/added"))
    assert find(mount.path) == seen - {removed} | {added, str(new)}


def test_what_was_written_is_read_without_the_service_after_the_next_start(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    body = os.urandom(3_000_000)
    mount = make_mount()
    mount.start()
    (mount.path / "written").write_bytes(body)
    mount.wait_committed()
    spool = "accounts/*/slot-*/spool/*"
    until(lambda: not list(mount.state_dir.glob(spool)), "what was pending is cache")
    assert mount.terminate() == 0
    far_side.pause()
    mount.start()
    assert (mount.path / "written").read_bytes() == body


@pytest.mark.only_on("memory", because="what a mount takes over and waits for is the same for every service")
def test_a_mount_of_another_folder_sends_what_was_left_outside_of_it_before_it_goes(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    far_side.mkdir("/sub")
    whole = make_mount(name="whole")
    whole.start()
    assert os.listdir(whole.path) == ["sub"]
    far_side.pause()
    (whole.path / "outside").write_text("text")
    whole.kill9()
    far_side.resume()
    far_side.slow_commits(0.3)
    part = make_mount(name="part", subdir="/sub", close="fsync", settle_s="0.5", umask="077")
    part.start()
    assert os.listdir(part.path) == []
    assert part.terminate() == 0
    assert set(far_side.files()) == {"/outside"}


def removed_elsewhere(far_side: SandboxProcess, make_mount: MakeMount) -> RealMount:
    """A killed mount that knows of d/f and d/sub/g. Another one removed these, and then d/sub and d, and was
    killed before it could send that."""
    for path in ("/d/f", "/d/sub/g"):
        far_side.write(path, "text")
    ours, theirs = make_mount(name="ours"), make_mount(name="theirs")
    for mount in (ours, theirs):
        mount.start()
        assert len(find(mount.path / "d")) == 4
    ours.kill9()
    for name in ("f", "sub/g"):
        (theirs.path / "d" / name).unlink()
    theirs.wait_committed()
    assert not far_side.files()
    far_side.pause()
    for name in ("d/sub", "d"):
        (theirs.path / name).rmdir()
    theirs.kill9()
    far_side.resume()
    return ours


@pytest.mark.parametrize("is_filled", [False, True], ids=["empty", "with others' file"])
def test_a_folder_that_a_killed_mount_removed_goes_though_the_next_one_had_not_heard_that_it_is_empty(
    far_side: SandboxProcess, make_mount: MakeMount, *, is_filled: bool
) -> None:
    ours = removed_elsewhere(far_side, make_mount)
    if is_filled:
        far_side.write("/d/sub/others", "others'")
    ours.start()
    ours.wait_committed()
    left = {"/d", "/d/sub", "/d/sub/others"} if is_filled else set()
    assert far_side.tree().keys() - {"/"} == left
    until(lambda: find(ours.path) == {f"{ours.path}{path}" for path in ("", *left)}, "both show the same")


def test_such_a_folder_is_pending_until_the_service_was_asked_and_nothing_of_it_has_failed(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    ours = removed_elsewhere(far_side, make_mount)
    far_side.spoil(Asked.DELETE, "reply", status=503)
    ours.start()
    pending = mountfs("pending", ours.path)
    assert (pending.stdout.count("removed"), pending.stdout.count("failed")) == (2, 0)
    retried = mountfs("retry", ours.path)
    assert (retried.returncode, "has no effect here" in retried.stdout + retried.stderr) == (0, False)
    waited = mountfs("wait", "--timeout", "1", ours.path)
    assert (waited.returncode, "was to remove it" in waited.stdout + waited.stderr) == (2, False)
    far_side.faults()
    ours.wait_committed()
    assert find(ours.path) == {str(ours.path)}
    assert far_side.tree().keys() <= {"/"}
