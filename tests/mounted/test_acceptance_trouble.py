"""What was closed survives the mount's death, and waits for a far side that is away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mounted.realmount import MakeMount, RealMount, hashes, mountfs, small_tree
from tests.mounted.sandboxprocess import Asked, SandboxProcess
from tests.waiting import until

FILES = 100
POSITIONS = ("events/get", "files/list_folder/get_latest_cursor")
"""Where Box and Dropbox tell the present position in their changes."""


WITH_JOBS = frozenset({"memory", "dropbox"})


@dataclass(frozen=True)
class Trouble:
    """What keeps files from being committed, when the mount is killed, and how it ends.

    *known_on*: the services where the killed mount knew the fate of all it sent, so that nothing needs to be
    sent again. On Box the bytes of a small file and its commit are one request.
    """

    begin: Callable[[SandboxProcess], None]
    is_time_to_kill: Callable[[SandboxProcess], object]
    known_on: frozenset[str] = WITH_JOBS


TROUBLES = {
    "down": Trouble(lambda far_side: far_side.pause(), lambda far_side: True, WITH_JOBS | {"box"}),
    "slow to take bytes": Trouble(
        lambda far_side: far_side.spoil(Asked.BYTES, "stall", stall_s=0.7, count=1),
        lambda far_side: far_side.uploads(),
    ),
    "slow to commit": Trouble(
        lambda far_side: far_side.slow_commits(1.5),
        lambda far_side: far_side.asked(Asked.OUTCOME if far_side.service in WITH_JOBS else Asked.COMMIT),
    ),
    "gone before it answered": Trouble(
        lambda far_side: far_side.spoil(Asked.COMMIT, "drop_after"),
        lambda far_side: any(each["end_s"] and each["fault"] for each in far_side.asked(Asked.COMMIT)),
        frozenset(),
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_what_was_closed_before_a_kill_is_there_at_once_and_arrives_once(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount, trouble: Trouble
) -> None:
    source = small_tree(tmp_path / "src", FILES)
    trouble.begin(far_side)
    subprocess.run(["cp", "-r", source, real_mount.path], check=True)
    until(lambda: trouble.is_time_to_kill(far_side), "the service is in the middle of it")
    real_mount.kill9()
    real_mount.start()
    kind = far_side.hash_kind
    assert hashes(real_mount.path / "src", kind) == hashes(source, kind)
    far_side.calm_down()
    real_mount.wait_committed()
    wanted = {f"/src{path}": digest for path, digest in hashes(source, kind).items()}
    assert far_side.files() == wanted
    assert {path: far_side.revisions(path) for path in wanted} == dict.fromkeys(wanted, 1)
    if far_side.service in trouble.known_on:
        assert sorted(far_side.committed_names()) == sorted(path.rpartition("/")[2] for path in wanted)
        assert far_side.peak_jobs() <= 1


def test_a_kill_loses_neither_a_large_file_nor_a_removal_nor_a_move(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount
) -> None:
    for name in ("stays", "goes", "moves"):
        (real_mount.path / name).write_text(name)
    real_mount.wait_committed()
    source = small_tree(tmp_path / "src", 1)
    (source / "large").write_bytes(bytes(range(256)) * 4096 * 20)
    far_side.pause()
    subprocess.run(["cp", "-r", source, real_mount.path / "new"], check=True)
    (real_mount.path / "goes").unlink()
    (real_mount.path / "moves").rename(real_mount.path / "new" / "moved")
    (source / "moved").write_text("moves")
    real_mount.kill9()
    far_side.switches(latency_ms=50)
    far_side.resume()
    real_mount.start()
    assert hashes(real_mount.path / "new", far_side.hash_kind) == hashes(source, far_side.hash_kind)
    assert not (real_mount.path / "goes").exists()
    far_side.switches(latency_ms=0)
    real_mount.wait_committed()
    wanted = {f"/new{path}": digest for path, digest in hashes(source, far_side.hash_kind).items()}
    assert far_side.files() == {**wanted, "/stays": far_side.files()["/stays"]}


@pytest.mark.only_on(
    "dropbox", because="what is shown and told of a service that is away is the same of each"
)
def test_the_mount_works_while_the_far_side_is_down_and_catches_up_by_itself(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount
) -> None:
    source = small_tree(tmp_path / "src", 20)
    far_side.pause()
    subprocess.run(["cp", "-r", f"{source}/.", real_mount.path], check=True)
    assert hashes(real_mount.path, far_side.hash_kind) == hashes(source, far_side.hash_kind)
    until(lambda: not real_mount.status()["account"]["far_side"]["is_reachable"], "the mount has noticed")
    shown = mountfs("status", real_mount.path)
    assert shown.returncode == 1  # trouble, though nothing is lost
    assert "unreachable" in shown.stdout
    waited = mountfs("wait", real_mount.path, "--timeout", 1)
    assert waited.returncode == 2
    # Ten folders are made on the way, or are made by the files: either is counted as a change.
    assert "still pending" in waited.stderr
    assert real_mount.status()["account"]["pending"]["count"] >= 20
    far_side.resume()
    until(lambda: far_side.files() == hashes(source, far_side.hash_kind), "everything has arrived")
    until(lambda: real_mount.status()["account"]["pending"]["count"] == 0, "the mount knows it")
    reachable = {"is_reachable": True, "detail": "", "condition": "answers"}
    until(lambda: real_mount.status()["account"]["far_side"] == reachable, "the mount says so")


@pytest.mark.only_on("dropbox", "box", because="an account in memory ends with its process")
def test_a_far_side_that_is_restarted_is_found_again(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount
) -> None:
    (real_mount.path / "before").write_text("1")
    real_mount.wait_committed()
    far_side.kill9()
    (real_mount.path / "while").write_text("2")
    far_side.start()
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/before", "/while"}


@pytest.mark.only_on("dropbox", because="what is known without the service is the same of each")
@pytest.mark.parametrize("subdir", ["", "/top"])
def test_a_mount_can_be_made_while_the_far_side_is_down(
    far_side: SandboxProcess, make_mount: MakeMount, subdir: str
) -> None:
    """Once the account is known: who it is was written down. What was listed before is shown."""
    far_side.mkdir("/top")
    far_side.mkdir(f"{subdir}/unseen")
    mount = make_mount(subdir=subdir)
    mount.start()
    (mount.path / "f").write_text("1")
    assert mount.terminate() == 0
    far_side.pause()
    mount.start()
    assert "f" in os.listdir(mount.path)
    # What stands in a folder that was never listed is not known, and an empty one would be a lie.
    with pytest.raises(OSError, match="Input/output error"):
        os.listdir(mount.path / "unseen")
    far_side.resume()
    until(lambda: readable(mount.path), "the far side is found again")
    (mount.path / "g").write_text("2")
    mount.wait_committed()
    assert set(far_side.files()) == {f"{subdir}/f", f"{subdir}/g"}


def readable(folder: Path) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


@pytest.mark.only_on("dropbox", "box", because="an account in memory refuses no single call")
@pytest.mark.parametrize("is_known", [False, True], ids=["new", "known"])
def test_a_mount_starts_though_it_is_not_told_where_the_changes_are(
    far_side: SandboxProcess, make_mount: MakeMount, *, is_known: bool
) -> None:
    far_side.write("/theirs", "1")
    mount = make_mount()
    if is_known:
        mount.start()
        assert mount.terminate() == 0
    far_side.faults(*({"route": each, "action": "reply", "status": 403} for each in POSITIONS))
    mount.start()
    assert os.listdir(mount.path) == ["theirs"]
    (mount.path / "ours").write_text("2")
    mount.wait_committed()
    assert far_side.spoiled()
    far_side.faults()
    far_side.write("/later", "3")
    until(lambda: "later" in os.listdir(mount.path), "the mount follows by itself")
    assert mount.status()["account"]["far_side"]["detail"] == ""
