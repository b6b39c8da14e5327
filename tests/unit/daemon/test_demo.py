"""What ``mountfs demo`` leaves behind when it is ended on its way: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.control.client import all_mounts


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_ends_it_early_finds_neither_a_mount_nor_a_file_of_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    order = [sys.executable, "-P", "-m", "daemon.cli", "demo", "--service", "dropbox", "--files", "500"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # or the child may ignore it
    try:
        demo = subprocess.Popen(
            order, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if line.endswith("cp -r into the mount\n"):
                break
        demo.send_signal(number)
        told = demo.stderr.read()
    assert demo.returncode == 130, told
    assert not list(tmp_path.iterdir())
    assert not any(mountpoint.is_relative_to(tmp_path) for mountpoint in all_mounts())
