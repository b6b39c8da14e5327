"""What is copied in closes at once, and travels in few calls."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from mountfs.model.hashing import hasher
from tests.mounted.realmount import RealMount, hashes, mountfs, small_tree
from tests.mounted.sandboxprocess import Asked, SandboxProcess
from tests.waiting import until

MIB = 1024 * 1024
LARGE_MIB = 287  # 300 million bytes, and a bit
FILES = 1000
MOST_CALLS = 40
FIRST_TAKES_S = 5.0
DATED_S = 1_600_000_000


@pytest.mark.only_on("memory", "dropbox", because="Box takes one request for each file")
def test_a_thousand_small_files_travel_in_at_most_forty_calls(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount
) -> None:
    source = small_tree(tmp_path / "src", FILES)
    far_side.reset_log()
    # A copy that stops for a moment, as on a busy machine, is sent in more calls.
    assert mountfs("pause", real_mount.path).returncode == 0
    subprocess.run(["cp", "-r", f"{source}/.", real_mount.path], check=True)
    assert mountfs("resume", real_mount.path).returncode == 0
    real_mount.wait_committed()
    assert far_side.uploads() <= MOST_CALLS, far_side.counts()
    assert far_side.peak_jobs() == 1
    assert far_side.files() == hashes(source, far_side.hash_kind)
    committed = Counter(far_side.committed_names())
    assert len(committed) == FILES
    assert set(committed.values()) == {1}


def test_a_copy_of_a_tree_sends_no_bytes(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount
) -> None:
    source = small_tree(tmp_path / "src", 100)
    if not far_side.streams:  # else it depends on the machine how much has gone up when it is whole
        (source / "large").write_bytes(random.Random(7).randbytes(9 * MIB))
    for each in source.rglob("*"):
        os.utime(each, (DATED_S, DATED_S))  # a small file is copied from one with its own time
    subprocess.run(["cp", "-rp", source, real_mount.path / "one"], check=True)
    real_mount.wait_committed()
    far_side.reset_log()
    subprocess.run(["cp", "-r", real_mount.path / "one", real_mount.path / "two"], check=True)
    subprocess.run(["cp", "-rp", source, real_mount.path / "three"], check=True)
    real_mount.wait_committed()
    assert far_side.uploads() == 0, far_side.counts()
    wanted = hashes(source, far_side.hash_kind)
    assert far_side.files() == {
        f"/{folder}{path}": found for folder in ("one", "two", "three") for path, found in wanted.items()
    }
    assert hashes(real_mount.path / "two", far_side.hash_kind) == wanted
    for path in wanted:
        seconds = int((source / path.strip("/")).stat().st_mtime)
        assert int((real_mount.path / f"three{path}").stat().st_mtime) == seconds


def statuses(far_side: SandboxProcess) -> list[int | None]:
    """Of the requests with bytes, in order of arrival; None: it is on its way."""
    return [sent["status"] for sent in far_side.asked(Asked.BYTES)]


@pytest.mark.only_on("memory", "dropbox", because="Box must be told a file's size first")
def test_a_large_file_travels_in_parallel_chunks_while_cp_still_runs(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    far_side.reset_log()
    # The first one takes far longer than another chunk to be written: what is sent side by side then shows.
    far_side.spoil(Asked.BYTES, "stall", stall_s=FIRST_TAKES_S, count=1)
    draw, state = random.Random(7), hasher(far_side.hash_kind)
    target = real_mount.path / "big"
    with subprocess.Popen(["cp", "/dev/stdin", target], stdin=subprocess.PIPE) as cp:
        assert cp.stdin is not None
        for number in range(LARGE_MIB):
            if number == 64:
                until(lambda: statuses(far_side)[:1] == [200], "the first chunk has arrived")
                assert cp.poll() is None
            block = draw.randbytes(MIB)
            state.update(block)
            cp.stdin.write(block)
    assert cp.returncode == 0
    cp_ended_s = time.monotonic()
    real_mount.wait_committed()
    sent = far_side.asked(Asked.BYTES)
    assert sent[0]["end_s"] < cp_ended_s
    assert far_side.peak(sent[0]["route"]) >= 2
    assert far_side.files() == {"/big": state.hexdigest()}
    assert len(sent) <= LARGE_MIB / 4
    assert real_mount.peak_memory_bytes() < 200 * MIB
