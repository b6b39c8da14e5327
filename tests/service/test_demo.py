"""``mountfs demo``: the first thing a newcomer runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.control.client import all_mounts

PATIENCE_S = 120.0


# Few files, since Box takes four a second; and 21 MiB are enough for a session of parts.
FILES, LARGE_MIB = 20, 21
BOTH = ("upload_session/finish_batch", "POST files/content", "upload_sessions/:id/commit")


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli", "demo", *options],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_the_demonstration_works_twice_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for _ in range(2):
        done = demo(tmp_path, "--files", str(FILES), "--large-mb", str(LARGE_MIB))
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("files, read back and equal") == 2
        assert done.stdout.count(f" {FILES + 1} ") == 2
        for call in BOTH:
            assert call in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert not any(mountpoint.is_relative_to(tmp_path) for mountpoint in all_mounts())


@pytest.mark.parametrize(("service", "other"), [("dropbox", "Box"), ("box", "Dropbox")])
def test_one_service_can_be_shown_alone(tmp_path: Path, service: str, other: str) -> None:
    done = demo(tmp_path, "--service", service, "--files", "3", "--large-mb", "0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("files, read back and equal") == 1
    assert f"demo of {other} " not in done.stdout
