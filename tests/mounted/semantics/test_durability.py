"""What survives: a restart, a killed process, a power loss, a far side that is away or refuses."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.mounted.corner import ERROR, STATE, Corner, recovered
from tests.mounted.realmount import MakeMount, RealMount, hashes, mountfs
from tests.mounted.sandboxprocess import Asked, Refusal, SandboxProcess
from tests.waiting import until

MIB = 1024 * 1024


def journal_of(mount: RealMount) -> Path:
    (path,) = mount.state_dir.glob("accounts/*/slot-*/journal.db")
    return path


def is_synced(mount: RealMount, path: str) -> bool:
    """What the journal says of the pending file *path*: nothing yet of one that is new."""
    with closing(sqlite3.connect(f"{journal_of(mount).as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT is_synced FROM contents JOIN nodes ON contents.node = nodes.id WHERE nodes.name = ?",
            (path.removeprefix("/"),),
        ).fetchall()
    assert len(rows) <= 1, rows
    return bool(rows and rows[0][0])


def forget_boot(mount: RealMount) -> None:
    """Makes the next start believe that the machine was started anew: what was not synced is in doubt."""
    with closing(sqlite3.connect(journal_of(mount))) as db, db:
        assert db.execute("UPDATE meta SET value = 'another' WHERE key = 'boot_id'").rowcount == 1


# S-RYW


PROGRAMS = {
    "cp and mv": "cp -r $W/src here; mv here there; cp there/a/2 there/two; rm there/two; "
    "diff -r $W/src there",
    "rsync": "rsync -a $W/src/ there; rsync -a --delete $W/src/a/ there/b; diff -r $W/src/a there/b",
    "tar": "mkdir there; tar -C $W/src -c . | tar -C there -x; diff -r $W/src there",
    "git": "mkdir there; cd there; git init -q; cp -r $W/src/a .; git add .; "
    "git config user.name x; git config user.email x@x; git commit -qm one; git mv a z; git stash -q; "
    "git stash pop -q; git fsck",
    "sqlite3": "sqlite3 db 'create table t (n); insert into t values (1)'; "
    'sqlite3 db "update t set n = 2"; test $(sqlite3 db "select n from t") = 2',
    "vim": "echo old > text; vim -es -u NONE -c %s/old/new/ -c wq text; grep -q new text",
}


@pytest.mark.parametrize("command", PROGRAMS.values(), ids=PROGRAMS)
def test_s_ryw_programs_see_what_they_did_while_nothing_of_it_is_sent(corner: Corner, command: str) -> None:
    source = corner.work / "src"
    if not source.exists():
        for number in range(12):
            path = source / "ab"[number % 2] / str(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(1000 * number))
    assert corner.names() == set()
    corner.far_side.pause()
    corner.run(command)
    until(lambda: not list(corner.path.rglob(".fuse_hidden*")), "the kernel has let go of removed files")
    seen = corner.seen()
    assert seen
    assert corner.there() == {}
    corner.far_side.resume()
    corner.settle()
    assert corner.seen() == corner.arrived() == seen


def test_s_ryw_the_next_mount_shows_what_the_last_one_did(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    at = real_mount.path
    for name in ("kept", "removed", "renamed", "replaced"):
        (at / name).write_text(name)
    (at / "folder").mkdir()
    real_mount.wait_committed()
    assert (len(os.listdir(at)), len(os.listdir(at / "folder"))) == (5, 0)
    far_side.pause()
    (at / "removed").unlink()
    (at / "renamed").rename(at / "folder" / "moved")
    (at / "replaced").write_text("anew")
    (at / "made" / "inside").mkdir(parents=True)
    (at / "made" / "file").write_text("made")
    os.utime(at / "made" / "file", (1_300_000_000, 1_300_000_000))
    real_mount.kill9()
    far_side.resume()
    far_side.slow_commits(0.3)
    real_mount.start()
    assert set(os.listdir(at)) == {"kept", "replaced", "folder", "made"}
    assert set(os.listdir(at / "made")) == {"inside", "file"}
    assert (at / "folder" / "moved").read_text() == "renamed"
    assert (at / "replaced").read_text() == "anew"
    assert (at / "made" / "file").read_text() == "made"
    assert (at / "made" / "file").stat().st_mtime == 1_300_000_000
    real_mount.wait_committed()
    assert far_side.files() == hashes(at, far_side.hash_kind)


# S-CLOSE


def test_s_close_what_was_closed_survives_a_kill(real_mount: RealMount, far_side: SandboxProcess) -> None:
    os.listdir(real_mount.path)
    far_side.pause()
    (real_mount.path / "small").write_text("small")
    (real_mount.path / "large").write_bytes(b"large" * 2 * MIB)
    real_mount.kill9()
    far_side.resume()
    real_mount.start()
    seen = hashes(real_mount.path, far_side.hash_kind)
    assert (real_mount.path / "small").read_text() == "small"
    assert (real_mount.path / "large").stat().st_size == 10 * MIB
    real_mount.wait_committed()
    assert far_side.files() == seen


def test_s_close_what_was_still_open_at_a_kill_gives_way_to_what_it_was_renamed_over(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.write("/kept.txt", "theirs")
    until((real_mount.path / "kept.txt").exists, "the service's version is seen")
    with pytest.raises(OSError), (real_mount.path / "new").open("wb", buffering=0) as new:
        new.write(b"half of")
        (real_mount.path / "new").rename(real_mount.path / "kept.txt")
        assert (real_mount.path / "kept.txt").read_bytes() == b"half of"
        real_mount.kill9()
    real_mount.start()
    assert (real_mount.path / "kept.txt").read_text() == "theirs"
    assert recovered(real_mount, "kept").read_text() == "half of"
    assert far_side.read("/kept.txt") == b"theirs"
    assert far_side.revisions("/kept.txt") == 1


def test_s_close_what_was_still_open_at_a_kill_is_kept_and_not_published(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.write("/old.txt", "old version")
    until((real_mount.path / "old.txt").exists, "the old version is seen")
    with (
        pytest.raises(OSError) as broken,
        (real_mount.path / "old.txt").open("r+b", buffering=0) as old,
        (real_mount.path / "new.txt").open("wb", buffering=0) as new,
    ):
        old.write(b"NEW")
        new.write(b"half of")
        real_mount.kill9()
    assert broken.value.errno == errno.ENOTCONN
    real_mount.start()
    assert (real_mount.path / "old.txt").read_text() == "old version"
    assert not (real_mount.path / "new.txt").exists()
    assert recovered(real_mount, "old").read_text() == "NEW version"
    copy = recovered(real_mount, "new")
    assert copy.read_text() == "half of"
    assert os.getxattr(copy, STATE) == b"failed"
    assert b"still being written" in os.getxattr(copy, ERROR)
    listed = [trouble["path"] for trouble in real_mount.status()["account"]["troubles"]]
    assert f"/{copy.name}" in listed
    waited = mountfs("wait", real_mount.path)
    assert waited.returncode == 1
    assert copy.name in waited.stderr
    assert set(far_side.files()) == {"/old.txt"}
    copy.rename(real_mount.path / "rescued.txt")
    recovered(real_mount, "old").unlink()
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/old.txt", "/rescued.txt"}
    assert far_side.read("/rescued.txt") == b"half of"


def test_s_close_remote_returns_after_the_commit_or_with_its_error(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    mount = make_mount(close="remote")
    mount.start()
    (mount.path / "file").write_text("text")
    assert set(far_side.files()) == {"/file"}
    far_side.refuse("refused", Refusal.PERMISSION)
    with pytest.raises(OSError) as refused:
        (mount.path / "refused").write_text("other text")
    assert refused.value.errno == errno.EACCES
    assert b"permission" in os.getxattr(mount.path / "refused", ERROR)


# S-FSYNC


def test_s_fsync_what_was_synced_is_not_in_doubt_after_a_power_loss(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    os.listdir(real_mount.path)
    far_side.pause()
    with (
        pytest.raises(OSError),
        (real_mount.path / "synced").open("wb", buffering=0) as synced,
        (real_mount.path / "not").open("wb", buffering=0) as unsynced,
    ):
        for file in (synced, unsynced):
            file.write(b"whole")
            os.close(os.dup(file.fileno()))  # closed once, and open still
        assert not is_synced(real_mount, "/synced")
        os.fsync(synced)
        assert is_synced(real_mount, "/synced")
        assert not is_synced(real_mount, "/not")
        real_mount.kill9()
    forget_boot(real_mount)
    far_side.resume()
    real_mount.start()
    assert (real_mount.path / "synced").read_text() == "whole"
    assert not (real_mount.path / "not").exists()
    assert recovered(real_mount, "not").read_text() == "whole"
    until(lambda: set(far_side.files()) == {"/synced"}, "what was synced is sent")


def test_s_fsync_of_a_folder_covers_the_closed_files_below(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    os.listdir(real_mount.path)
    far_side.pause()
    (real_mount.path / "tmp").write_text("text")
    (real_mount.path / "tmp").rename(real_mount.path / "file")
    number = os.open(real_mount.path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(number)
    os.close(number)
    assert is_synced(real_mount, "/file")


def test_s_fsync_remote_waits_for_the_commit(make_mount: MakeMount, far_side: SandboxProcess) -> None:
    mount = make_mount(fsync="remote")
    mount.start()
    with (mount.path / "file").open("wb", buffering=0) as file:
        file.write(b"first")
        os.fsync(file)
        assert far_side.read("/file") == b"first"
        file.write(b", second")
        os.fsync(file)
        assert far_side.read("/file") == b"first, second"


# S-ONCE


@pytest.mark.parametrize("lost", [Asked.START, Asked.BYTES, Asked.COMMIT])
def test_s_once_each_version_is_committed_once_though_replies_are_lost(corner: Corner, lost: Asked) -> None:
    corner.committed("old", "old")
    corner.far_side.spoil(lost, "drop_after", count=2)
    corner.run("echo new > old; echo text > new; echo more > newer; head -c 21000000 /dev/urandom > large")
    corner.settle()
    assert corner.far_side.spoiled()
    assert set(corner.there()) == {"old", "new", "newer", "large"}
    for name, versions in {"old": 2, "new": 1, "newer": 1, "large": 1}.items():
        assert corner.far_side.revisions(corner.remote(name)) == versions


@pytest.mark.only_on("memory", "dropbox", because="Box has no jobs whose end must be asked for")
def test_s_once_each_version_is_committed_once_though_a_job_s_outcome_is_lost(corner: Corner) -> None:
    corner.committed("old", "old")
    corner.far_side.spoil(Asked.OUTCOME, "drop_after", count=2)
    corner.run("echo new > old; echo text > new")
    corner.settle()
    assert corner.far_side.spoiled()
    for name, versions in {"old": 2, "new": 1}.items():
        assert corner.far_side.revisions(corner.remote(name)) == versions


@pytest.mark.parametrize(("base", "size_bytes"), [("base", 50), (None, 50), (None, 21_000_000)])
def test_s_once_what_others_replaced_before_a_killed_mount_heard_of_it_is_not_made_a_copy(
    real_mount: RealMount, far_side: SandboxProcess, base: str | None, size_bytes: int
) -> None:
    path = real_mount.path / "doc"
    if base is not None:
        far_side.write("/doc", base)
        until(path.exists, "the service's version is seen")
    far_side.faults(
        *far_side.rules(Asked.COMMIT, "drop_after"), *far_side.rules(Asked.STANDING, "drop_before")
    )
    path.write_bytes(os.urandom(size_bytes))
    ours = hashes(real_mount.path, far_side.hash_kind)
    until(lambda: far_side.files() == ours, "it is committed, and nobody heard of it")
    real_mount.kill9()
    far_side.faults()
    for text in ("theirs", "theirs again"):
        far_side.write("/doc", text)
    real_mount.start()
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/doc"}
    arrived = [each["content_hash"] for each in far_side.versions("/doc")]
    assert (arrived.count(ours["/doc"]), len(arrived)) == (1, 3 if base is None else 4)
    until(lambda: hashes(real_mount.path, far_side.hash_kind) == far_side.files(), "theirs is seen")


@pytest.mark.parametrize("lost", [Asked.DELETE, Asked.MOVE, Asked.MKDIR])
def test_s_once_names_change_once_though_replies_are_lost(corner: Corner, lost: Asked) -> None:
    corner.run("mkdir folder; echo 1 > gone; echo 2 > before")
    corner.settle()
    corner.far_side.spoil(lost, "drop_after", count=2)
    corner.run("rm gone; mv before after; rmdir folder; mkdir made")
    corner.settle()
    assert corner.far_side.spoiled()
    assert set(corner.there()) == {"after", "made"}
    assert corner.names() == {"after", "made"}
