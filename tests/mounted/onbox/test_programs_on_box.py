"""Ordinary programs on a mounted Box, and what Box gets from them."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from mountfs.model.hashing import HashKind
from tests.fakes.boxschema import assert_conforms
from tests.mounted.boxprocess import BoxProcess
from tests.mounted.realmount import MakeMount, RealMount, hashes, mountfs, small_tree, until
from tests.mounted.semantics.conftest import Corner, is_text

LONG_AGO_S = 1_300_000_000
MB = 1_000_000


def box_of(corner: Corner) -> BoxProcess:
    """The far side of a corner in a Box."""
    assert isinstance(corner.far_side, BoxProcess)
    return corner.far_side


def there(corner: Corner) -> dict[str, str]:
    """What the service has in the corner: path -> SHA-1."""
    return {f"/{name}": entry["sha1"] for name, entry in corner.there().items() if entry["kind"] == "file"}


def sha1s(folder: Path) -> dict[str, str]:
    return hashes(folder, HashKind.SHA1)


def test_a_tree_copied_in_arrives_whole_and_reads_back(corner: Corner, tmp_path: Path) -> None:
    source = small_tree(tmp_path / "src", 40)
    (source / "d1" / "empty").touch()
    (source / "ünï cödé").mkdir()
    (source / "ünï cödé" / "hällo ☃").write_text("hällo")
    corner.run(f"cp -r {source}/. .")
    corner.settle()
    assert there(corner) == sha1s(source)
    corner.run(f"diff -r {source} .")


def test_a_second_rsync_sends_nothing_and_no_temporary_name_ever_leaves(
    corner: Corner, tmp_path: Path
) -> None:
    source = small_tree(tmp_path / "src", 30)
    for path in source.rglob("*"):
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    corner.run(f"rsync -a {source}/ here/")
    corner.settle()
    assert there(corner) == {f"/here{path}": sha1 for path, sha1 in sha1s(source).items()}
    edits = corner.far_side.edits()
    assert corner.run(f"rsync -ai {source}/ here/") == ""
    corner.settle()
    assert corner.far_side.edits() == edits
    assert [path for path in corner.far_side.named() if path.rpartition("/")[2].startswith(".")] == []
    corner.run(f"echo new > {source}/d1/f1; rm {source}/d2/f2; rsync -a --delete {source}/ here/")
    corner.settle()
    assert there(corner) == {f"/here{path}": sha1 for path, sha1 in sha1s(source).items()}
    assert corner.far_side.revisions(corner.remote("here/d1/f1")) == 2


def test_moves_are_one_call_each_and_keep_the_ids(corner: Corner) -> None:
    corner.run("mkdir -p folder/in other; for i in 1 2 3; do echo $i > folder/in/$i; done; echo text > file")
    corner.settle()
    before = corner.there()
    corner.far_side.reset_log()
    corner.run("mv file renamed; mv folder other/moved")
    corner.settle()
    assert corner.run("cat other/moved/in/2") == "2\n"
    after = corner.there()
    assert after["renamed"]["id"] == before["file"]["id"]
    assert after["other/moved/in/2"]["id"] == before["folder/in/2"]["id"]
    counts = corner.far_side.counts()
    assert (counts["files/update"], counts["folders/update"]) == (1, 1)
    assert corner.far_side.uploads() == 0


def test_a_move_over_an_existing_file_leaves_the_new_content_alone(corner: Corner) -> None:
    corner.committed("target", "old")
    corner.committed("source", "new")
    corner.run("mv source target")
    corner.settle()
    assert corner.names() == set(corner.there()) == {"target"}
    assert (corner.path / "target").read_text() == "new"
    assert there(corner) == sha1s(corner.path)


def test_what_was_not_sent_yet_becomes_a_version_of_the_file_it_is_moved_over(corner: Corner) -> None:
    corner.committed("target", "old")
    before = corner.there()["target"]
    corner.run("echo new > .target.tmp; mv .target.tmp target")
    corner.settle()
    assert corner.names() == set(corner.there()) == {"target"}
    assert there(corner) == sha1s(corner.path)
    assert corner.there()["target"]["id"] == before["id"]
    assert corner.there()["target"]["versions"] == 2


def test_a_tree_is_removed_folders_last(corner: Corner, tmp_path: Path) -> None:
    corner.run(f"cp -r {small_tree(tmp_path / 'src', 20)} tree")
    corner.settle()
    assert len(corner.there()) == 31
    corner.run("rm -rf tree")
    corner.settle()
    assert corner.names() == set(corner.there()) == set()
    assert set(box_of(corner).statuses("f(iles|olders)/delete")) == {204}


def test_vim_saves_a_version(corner: Corner) -> None:
    corner.theirs("text", "old\n")
    file_id = corner.there()["text"]["id"]
    corner.run("vim -es -u NONE -c %s/old/new/ -c wq text")
    corner.settle()
    assert set(corner.there()) == {"text"}
    assert there(corner) == sha1s(corner.path)
    assert (corner.path / "text").read_text() == "new\n"
    assert corner.there()["text"]["id"] == file_id
    assert corner.far_side.revisions(corner.remote("text")) == 2


def test_what_somebody_else_wrote_meanwhile_is_kept_and_ours_lands_beside(corner: Corner) -> None:
    corner.committed("report.txt", "old")
    corner.far_side.pause()
    (corner.path / "report.txt").write_text("ours")
    corner.far_side.write(corner.remote("report.txt"), "theirs")
    corner.far_side.resume()
    corner.wait()
    until(lambda: is_text(corner.path / "report.txt", "theirs"), "theirs keeps the name")
    (copy,) = corner.names() - {"report.txt"}
    assert copy.startswith(f"report (conflicted copy {os.uname().nodename} ")
    assert (corner.path / copy).read_text() == "ours"
    assert there(corner) == sha1s(corner.path)


def test_a_new_name_that_somebody_else_took_meanwhile_is_a_conflict_too(corner: Corner) -> None:
    corner.far_side.pause()
    (corner.path / "plan").write_text("ours")
    corner.far_side.write(corner.remote("plan"), "theirs")
    corner.far_side.resume()
    corner.wait()
    until(lambda: is_text(corner.path / "plan", "theirs"), "theirs keeps the name")
    (copy,) = corner.names() - {"plan"}
    assert (corner.path / copy).read_text() == "ours"
    assert there(corner) == sha1s(corner.path)


def test_a_time_set_later_is_one_call_and_no_upload(corner: Corner) -> None:
    corner.committed("file", "text")
    versions = corner.far_side.revisions(corner.remote("file"))
    corner.far_side.reset_log()
    corner.run(f"touch -d @{LONG_AGO_S} file")
    corner.settle()
    assert corner.there()["file"]["content_modified_s"] == LONG_AGO_S
    assert (corner.path / "file").stat().st_mtime == LONG_AGO_S
    assert corner.far_side.counts()["files/update"] == 1
    assert corner.far_side.uploads() == 0
    assert corner.far_side.revisions(corner.remote("file")) == versions


def test_times_travel_with_the_bytes(corner: Corner, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1000))
    os.utime(source, (LONG_AGO_S, LONG_AGO_S))
    corner.run(f"cp -p {source} copied")
    corner.settle()
    assert corner.there()["copied"]["content_modified_s"] == LONG_AGO_S
    assert "files/update" not in corner.far_side.counts()


REFUSED_NAMES = {
    "back\\slash": errno.EINVAL,
    "rubbed\x7fout": errno.EINVAL,
    "bell\a": errno.EINVAL,
    " space before": errno.EINVAL,
    "space behind ": errno.EINVAL,
    "not UTF-8 \udcff": errno.EINVAL,
    "n" * 256: errno.ENAMETOOLONG,
}


def test_a_name_that_box_refuses_is_refused_at_once(corner: Corner) -> None:
    (corner.path / "file").write_text("text")
    for name, number in REFUSED_NAMES.items():
        for call in (Path.touch, Path.mkdir, (corner.path / "file").rename):
            with pytest.raises(OSError) as refused:
                call(corner.path / name)
            assert refused.value.errno == number, name
    corner.settle()
    assert corner.names() == set(corner.there()) == {"file"}


def test_a_file_larger_than_the_account_takes_fails_at_the_write(
    far_side: BoxProcess, make_mount: MakeMount
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


def test_what_was_closed_before_a_kill_is_there_at_once_and_arrives_once(
    tmp_path: Path, far_side: BoxProcess, real_mount: RealMount
) -> None:
    source = small_tree(tmp_path / "src", 60)
    far_side.switches(latency_ms=100)
    subprocess.run(["cp", "-r", f"{source}/.", real_mount.path], check=True)
    until(lambda: len(far_side.files()) >= 10, "the service is in the middle of it")
    real_mount.kill9()
    far_side.switches(latency_ms=0)
    real_mount.start()
    assert sha1s(real_mount.path) == sha1s(source)
    real_mount.wait_committed()
    assert far_side.files() == sha1s(source)
    assert {far_side.revisions(path) for path in far_side.files()} == {1}
    assert_conforms(far_side.exchanges())


def test_the_built_in_sandbox_is_mounted_by_its_name_alone(tmp_path: Path) -> None:
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    order = ["mount", "--background", "-o", f"state_dir={tmp_path / 'state'}", "sandbox-box:", mountpoint]
    for content in ("", "text"):
        assert mountfs(*order).returncode == 0
        try:
            file = mountpoint / "file"
            assert (file.read_text() if file.exists() else "") == content
            file.write_text("text")
        finally:
            done = mountfs("umount", mountpoint)
        assert (done.returncode, done.stderr) == (0, "")
