"""A mount that somebody else takes away."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from pathlib import Path

import pytest

from daemon.control.client import all_mounts
from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until


def survives(pid: int, number: signal.Signals) -> bool:
    """Whether the process handles or ignores the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(mask, 16) for mask in re.findall(r"Sig(?:Ign|Cgt):\s+([0-9a-f]+)", status)]
    return any(mask >> (number - 1) & 1 for mask in masks)


@pytest.mark.only_on("dropbox", because="what becomes of the process is the same on every service")
def test_what_is_pending_goes_out_after_fusermount_and_no_broken_connection_ends_that(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    far_side.pause()
    (real_mount.path / "f").write_text("x")
    subprocess.run(["fusermount3", "-u", str(real_mount.path)], check=True)
    until(lambda: real_mount.path not in all_mounts(), "the mount is gone")
    loop_has_ended = "fuse"

    def has_no_loop() -> bool:
        names: set[str] = set()
        for task in Path(f"/proc/{real_mount.pid}/task").glob("*/comm"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended just then
                names.add(task.read_text().strip())
        return loop_has_ended not in names

    until(has_no_loop, "libfuse's loop has ended")
    assert survives(real_mount.pid, signal.SIGPIPE)
    far_side.resume()
    assert real_mount.ended() == 0
    assert "/f" in far_side.files()
