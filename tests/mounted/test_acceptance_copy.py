"""What is copied in closes at once, and travels in few calls."""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

from mountfs.model.hashing import HashKind, hasher
from tests.mounted.realmount import RealMount, SandboxProcess, hashes, small_tree, until

MIB = 1024 * 1024
LARGE_MIB = 287  # 300 million bytes, and a bit
FILES = 1000
MOST_CALLS = 40


def test_a_thousand_small_files_travel_in_at_most_forty_calls(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount
) -> None:
    source = small_tree(tmp_path / "src", FILES)
    far_side.reset_log()
    subprocess.run(["cp", "-r", f"{source}/.", real_mount.path], check=True)
    real_mount.wait_committed()
    counts = far_side.counts()
    assert far_side.uploads() <= MOST_CALLS, counts
    assert far_side.peak_jobs() == 1
    assert far_side.peak("files/upload_session/finish_batch") == 1
    assert far_side.files() == hashes(source)
    committed = Counter(far_side.committed_paths())
    assert len(committed) == FILES
    assert set(committed.values()) == {1}


def test_a_large_file_travels_in_parallel_chunks_while_cp_still_runs(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    appends = "files/upload_session/append_v2"
    far_side.reset_log()
    # A request that takes a moment, as on a real line: what is sent side by side then shows.
    far_side.faults({"route": appends, "action": "stall", "stall_s": 0.05})
    draw, state = random.Random(7), hasher(HashKind.DROPBOX)
    target = real_mount.path / "big"
    with subprocess.Popen(["cp", "/dev/stdin", target], stdin=subprocess.PIPE) as cp:
        assert cp.stdin is not None
        for number in range(LARGE_MIB):
            if number == 64:
                until(
                    lambda: any(sent["status"] == 200 for sent in far_side.log(appends)),
                    "a chunk has arrived",
                )
                assert cp.poll() is None
            block = draw.randbytes(MIB)
            state.update(block)
            cp.stdin.write(block)
    assert cp.returncode == 0
    cp_ended_s = time.monotonic()
    real_mount.wait_committed()
    assert far_side.log(appends)[0]["end_s"] < cp_ended_s
    assert far_side.peak(appends) >= 2
    assert far_side.files() == {"/big": state.hexdigest()}
    assert far_side.counts()["files/upload_session/append_v2"] <= LARGE_MIB / 4
    assert real_mount.peak_memory_bytes() < 200 * MIB


def test_a_second_rsync_sends_nothing_and_no_temporary_name_ever_leaves(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount
) -> None:
    source = small_tree(tmp_path / "src", 150)
    (source / "d1" / "large").write_bytes(os.urandom(9 * MIB))
    rsync(source, real_mount)
    real_mount.wait_committed()
    assert far_side.files() == hashes(source)
    edits = far_side.edits()
    assert rsync(source, real_mount) == (0, 0)
    real_mount.wait_committed()
    assert far_side.edits() == edits
    # rsync writes to .NAME.XXXXXX and renames.
    assert [path for path in far_side.named() if path.rpartition("/")[2].startswith(".")] == []


def test_rsync_sends_what_changed_since(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount
) -> None:
    source = small_tree(tmp_path / "src", 40)
    rsync(source, real_mount)
    real_mount.wait_committed()
    (source / "d1" / "f1").write_bytes(b"new")
    (source / "d2" / "f2").unlink()
    assert rsync(source, real_mount, "--delete") == (1, 1)
    real_mount.wait_committed()
    assert far_side.files() == hashes(source)
    assert far_side.revisions("/d1/f1") == 2


def rsync(source: Path, mount: RealMount, *options: str) -> tuple[int, int]:
    """How many files were transferred and how many deleted, by rsync's own account."""
    done = subprocess.run(
        ["rsync", "-a", "--stats", "--itemize-changes", *options, f"{source}/", f"{mount.path}/"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"files transferred: (\d+)", done.stdout)
    assert found is not None
    assert "failed" not in done.stderr
    changed = [line for line in done.stdout.splitlines() if line.startswith((">f", "cd"))]
    assert len(changed) >= int(found[1])
    return len(changed), sum(1 for line in done.stdout.splitlines() if line.startswith("*deleting"))
