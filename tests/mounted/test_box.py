"""What is said of Box alone: times without bytes, removals level by level, the plan's largest file."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.mounted.boxprocess import COMMITS, BoxProcess
from tests.mounted.corner import Corner, Shared
from tests.mounted.realmount import MakeMount, mountfs, small_tree, write_config
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until

pytestmark = pytest.mark.only_on("box", because="the other services have no such thing")

LONG_AGO_S = 1_300_000_000
MB = 1_000_000


def box_of(corner: Corner) -> BoxProcess:
    """The far side of a corner in a Box."""
    assert isinstance(corner.far_side, BoxProcess)
    return corner.far_side


def test_a_time_set_later_is_one_call_and_no_upload(corner: Corner) -> None:
    corner.committed("file", "text")
    versions = corner.far_side.revisions(corner.remote("file"))
    corner.far_side.reset_log()
    corner.run(f"touch -d @{LONG_AGO_S} file")
    corner.settle()
    assert corner.there()["file"]["mtime_s"] == LONG_AGO_S
    assert (corner.path / "file").stat().st_mtime == LONG_AGO_S
    assert corner.far_side.counts()["files/update"] == 1
    assert corner.far_side.uploads() == 0
    assert corner.far_side.revisions(corner.remote("file")) == versions


def test_a_commit_that_is_repeated_is_the_same_commit(
    tmp_path: Path, far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    assert isinstance(far_side, BoxProcess)
    far_side.switches(pending_commits=2, commit_retry_after_s=600.0)
    mount = make_mount()
    mount.start()
    film = tmp_path / "film"
    film.write_bytes(bytes(21 * MB))
    shutil.copyfile(film, mount.path / "film")
    until(lambda: far_side.statuses(COMMITS) == [202], "the commit is worked on")
    os.utime(mount.path / "film", (LONG_AGO_S, LONG_AGO_S))
    mount.kill9()
    far_side.switches(commit_retry_after_s=0.0)
    mount.start()
    assert (mount.path / "film").stat().st_mtime == LONG_AGO_S
    mount.wait_committed()
    commits = [each.request_body for each in far_side.exchanges() if each.path.endswith("/commit")]
    assert len(commits) == 3
    assert all(body == commits[0] for body in commits)
    assert far_side.tree()["/film"]["mtime_s"] == LONG_AGO_S
    assert (mount.path / "film").stat().st_mtime == LONG_AGO_S


def test_a_tree_is_removed_folders_last(corner: Corner, tmp_path: Path) -> None:
    corner.run(f"cp -r {small_tree(tmp_path / 'src', 20)} tree")
    corner.settle()
    assert len(corner.there()) == 31
    corner.run("rm -rf tree")
    corner.settle()
    assert corner.names() == set(corner.there()) == set()
    assert set(box_of(corner).statuses("f(iles|olders)/delete")) == {204}


def test_a_file_larger_than_the_account_takes_fails_at_the_write(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    far_side.switches(max_upload_bytes=3 * MB)
    mount = make_mount()
    mount.start()
    (mount.path / "fits").write_bytes(bytes(3 * MB))
    with (mount.path / "large").open("wb", buffering=0) as file:
        file.write(bytes(2 * MB))
        with pytest.raises(OSError) as refused:
            file.seek(3 * MB)
            file.write(b"more")
        assert refused.value.errno == errno.EFBIG
        with pytest.raises(OSError) as refused:
            file.truncate(3 * MB + 1)
        assert refused.value.errno == errno.EFBIG
    mount.wait_committed()
    assert {path: entry["size"] for path, entry in far_side.tree().items()} == {
        "/fits": 3 * MB,
        "/large": 2 * MB,
    }


def test_what_a_viewer_may_not_change_is_kept_and_holds_up_nothing_else(
    corner: Corner,
) -> None:
    corner.theirs("shared/old", "theirs")
    corner.theirs("shared/sub/below", "theirs")
    corner.committed("mine", "mine")
    before = set(corner.there())
    corner.far_side.switches(viewed_folders=["shared"])
    corner.far_side.reset_log()
    corner.run(
        "echo 1 > shared/new; echo 2 >> shared/old; mkdir shared/made; echo 3 > shared/made/file;"
        " mv mine shared; rm shared/sub/below; mv shared/sub shared/moved;"
        " head -c 21000000 /dev/zero > shared/large; echo 4 > own"
    )
    refused = corner.wait()
    assert refused.pending == 0
    assert len(refused.failed) == 8
    assert set(corner.there()) == {*before, "own"}
    assert corner.content("shared/old") == b"theirs"
    # What was not to go or to be moved is seen where it is.
    assert {"mine", "shared", "own"} == corner.names()
    assert {"sub", "old", "new", "made", "large"} == set(os.listdir(corner.path / "shared"))
    assert os.listdir(corner.path / "shared" / "sub") == ["below"]
    asked = [status for status in box_of(corner).statuses("(files|folders|sessions)/.*") if status == 403]
    assert len(asked) <= 9
    corner.far_side.take_all()
    corner.run("mv mine shared; rm shared/sub/below; mv shared/sub shared/moved")
    assert mountfs("retry", corner.path).returncode == 0
    corner.settle()
    assert corner.arrived() == corner.seen()
    assert {"shared/large", "shared/made/file", "shared/mine", "shared/moved"} <= set(corner.there())


LARGE_BYTES = 25 * MB


def test_a_large_file_that_is_removed_with_its_new_folder_leaves_nothing(corner: Corner) -> None:
    corner.run(f"mkdir scratch; head -c {LARGE_BYTES} /dev/zero > scratch/big; rm -r scratch")
    corner.settle()
    assert corner.names() == set(corner.there()) == set()
    assert box_of(corner).sessions() == []


def test_a_large_version_follows_one_that_is_still_being_committed(corner: Corner) -> None:
    corner.far_side.switches(pending_commits=2)
    film = corner.path / "film"
    film.write_bytes(os.urandom(LARGE_BYTES))
    until(lambda: 202 in box_of(corner).statuses("sessions/commit"), "the service thinks about the first one")
    film.write_bytes(os.urandom(LARGE_BYTES))
    corner.settle()
    assert corner.arrived() == corner.seen()
    assert corner.far_side.revisions(corner.remote("film")) == 2
    assert box_of(corner).sessions() == []


def is_listed(path: Path) -> bool:
    try:
        os.listdir(path)
    except OSError:
        return False
    return True


def test_a_mount_that_began_without_the_service_learns_how_large_a_file_may_be(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    far_side.switches(max_upload_bytes=3 * MB)
    mount = make_mount()
    mount.start()
    mount.kill9()
    far_side.pause()
    mount.start()
    far_side.resume()
    until(lambda: is_listed(mount.path), "the service is there")
    with (mount.path / "large").open("wb", buffering=0) as file:
        file.write(bytes(MB))

        def is_refused() -> bool:
            try:
                file.truncate(3 * MB + 1)
            except OSError as error:
                return error.errno == errno.EFBIG
            file.truncate(MB)
            return False

        until(is_refused, "the account's bound is known")
    mount.wait_committed()
    assert [entry["size"] for entry in far_side.tree().values()] == [MB]


def test_another_folder_than_the_top_can_be_mounted(far_side: SandboxProcess, make_mount: MakeMount) -> None:
    far_side.write("/Reports/old", "1")
    mount = make_mount(remote={"root_folder_id": far_side.tree()["/Reports"]["id"]})
    mount.start()
    assert os.listdir(mount.path) == ["old"]
    (mount.path / "new").write_text("2")
    mount.wait_committed()
    assert set(far_side.files()) == {"/Reports/old", "/Reports/new"}


REFUSED_REMOTES = [
    ({"access_token": "wrong"}, "remote 'work': the access_token is not accepted"),
    (
        {
            "access_token": "",
            "refresh_token": "wrong",
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
        },
        "remote 'work': ",
    ),
    (
        {
            "access_token": "",
            "refresh_token": "sandbox-refresh",
            "client_id": "sandbox-client",
            "client_secret": "x",
        },
        "remote 'work': ",
    ),
    ({"access_token": "", "refresh_token": "sandbox-refresh"}, "refresh_token needs client_id; add it"),
    (
        {"access_token": "", "client_id": "a", "client_secret": "b", "box_subject_type": "enterprise"},
        "box_subject_type needs box_subject_id; add it",
    ),
    ({"root_folder_id": "4711"}, "root_folder_id 4711: no such folder, or not this user's to see"),
    ({"root_folder_id": "Reports"}, "root_folder_id = 'Reports': must be the number at the end"),
    ({"as_user": "somebody"}, "work"),
    ({"uploads_per_minute": "0"}, "uploads_per_minute = '0': must be a whole number between 1 and 1000000"),
    (
        {"small_file_bytes": "60000000"},
        "small_file_bytes = '60000000': must be a whole number between 1 and 50000000",
    ),
    ({"api_url": "http://127.0.0.1:1/2.0"}, "remote 'work' does not answer: "),
    ({"content_url": "https://example.com"}, "unknown key 'content_url'"),
]


@pytest.mark.parametrize(("keys", "expected"), REFUSED_REMOTES)
def test_a_wrong_remote_is_told(tmp_path: Path, shared: Shared, keys: dict[str, str], expected: str) -> None:
    config, mountpoint = tmp_path / "mountfs.toml", tmp_path / "mnt"
    mountpoint.mkdir()
    write_config(config, shared.far_side, **keys)
    done = mountfs("--config", config, "mount", "-o", f"state_dir={tmp_path / 'state'}", "work:", mountpoint)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert expected in done.stderr
    assert done.stderr.startswith("mountfs: ")
    assert done.stderr.count("\n") == 1
    assert not mountpoint.is_mount()


ANNOUNCED = {
    "a fresh file": lambda box: box.switches(unready_downloads=3, download_retry_after_s=1),
    "a busy service": lambda box: box.faults(
        {"route": "files/content", "status": 429, "retry_after_s": 3, "count": 1}
    ),
}


@pytest.mark.parametrize("announce", ANNOUNCED.values(), ids=ANNOUNCED)
def test_a_read_waits_for_what_the_service_announces(
    far_side: SandboxProcess, make_mount: MakeMount, announce: Callable[[SandboxProcess], None]
) -> None:
    far_side.write("/fresh", "bytes")
    announce(far_side)
    mount = make_mount()
    mount.start()
    assert (mount.path / "fresh").read_text() == "bytes"


def test_a_read_that_waits_does_not_hold_up_the_end(far_side: SandboxProcess, make_mount: MakeMount) -> None:
    far_side.write("/fresh", "bytes")
    far_side.switches(unready_downloads=1000, download_retry_after_s=50)
    mount = make_mount()
    mount.start()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit((mount.path / "fresh").read_bytes)
        until(lambda: 202 in [call["status"] for call in far_side.log("files/content")], "the read waits")
        assert mount.terminate() == 0
        with pytest.raises(OSError) as ended:
            reading.result(10)
        assert ended.value.errno == errno.EIO
