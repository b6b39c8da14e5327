"""``mountfs demo``: the first thing a newcomer runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from daemon.client import all_mounts

PATIENCE_S = 120.0


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli", "demo", "--files", "60", "--large-mb", "9"],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_the_demonstration_works_twice_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for _ in range(2):
        done = demo(tmp_path)
        assert done.returncode == 0, done.stderr
        assert "files, read back and equal" in done.stdout
        assert "61" in done.stdout
        assert "upload_session/finish_batch" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert not any(mountpoint.is_relative_to(tmp_path) for mountpoint in all_mounts())
