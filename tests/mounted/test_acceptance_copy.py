"""What is copied in closes at once, and travels in few calls."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

from tests.mounted.realmount import RealMount, SandboxProcess, hashes

FILES = 1000
MOST_CALLS = 40


def small_tree(folder: Path, count: int = FILES) -> Path:
    """*count* files of 4 KiB, all different, in ten folders."""
    for number in range(count):
        path = folder / f"d{number % 10}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(4096))
    return folder


def test_a_thousand_small_files_travel_in_at_most_forty_calls(
    tmp_path: Path, far_side: SandboxProcess, real_mount: RealMount
) -> None:
    source = small_tree(tmp_path / "src")
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
