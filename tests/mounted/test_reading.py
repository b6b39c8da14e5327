"""What reading and listing through a real mount cost in calls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.mounted.realmount import MakeMount, RealMount, mountfs
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until

MIB = 1024 * 1024
FOLDERS, FILES = 12, 3
LOOKS = "files/list_folder/(continue|get_latest_cursor)"


def hear_all(far_side: SandboxProcess) -> None:
    """Returns when the mount has heard of all that was written. News that come while folders are listed as a
    tree make that listing count for nothing, as they must. The second look begins when the first is over."""
    for name in ("first", "second"):
        far_side.write(f"/{name}", "")
        wrote_s = time.monotonic()
        until(lambda: any(look["start_s"] > wrote_s for look in far_side.log(LOOKS)), "the mount has looked")  # noqa: B023


@pytest.mark.only_on("dropbox", because="it lists trees, and an account in memory is asked the same way")
def test_walks_take_few_calls_and_programs_that_only_look_fetch_nothing_ahead(
    far_side: SandboxProcess, real_mount: RealMount, tmp_path: Path
) -> None:
    for folder in range(FOLDERS):
        for name in range(FILES):
            far_side.write(f"/w/d{folder:02}/f{name}", f"{folder} {name}")
    for name in range(10):
        far_side.write(f"/s/f{name}", f"{name}")
    looker = tmp_path / "tumblerd"
    shutil.copy(shutil.which("cat") or "/bin/cat", looker)
    path = real_mount.path
    hear_all(far_side)
    until((path / "s" / "f9").exists, "what others wrote is seen")
    far_side.reset_log()
    found = subprocess.run(["find", path / "w"], check=True, capture_output=True, text=True)
    assert len(found.stdout.splitlines()) == 1 + FOLDERS * (1 + FILES)
    listings = [each for route, each in far_side.counts().items() if route.startswith("files/list_folder")]
    assert sum(listings) <= 6
    for name in range(5):
        done = subprocess.run([looker, path / f"s/f{name}"], check=True, capture_output=True, text=True)
        assert done.stdout == f"{name}"
    assert far_side.counts()["files/download"] == 5
    done = subprocess.run(["grep", "-rc", "x", path / "w"], check=False, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == FOLDERS * FILES
    assert far_side.counts()["files/download"] == 5 + FOLDERS * FILES


@pytest.mark.only_on("dropbox", "box", because="each has another history, and another trash")
def test_what_a_file_was_is_listed_restored_and_brought_back_by_command(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    for text in ("first", "the second", "third"):
        far_side.write("/d/x", text)
    path = real_mount.path / "d" / "x"
    until(lambda: path.exists() and path.read_text() == "third", "what others wrote is seen")
    assert "5 B of 5 B in 1 file" in mountfs("cache", path).stdout
    lines = mountfs("versions", path).stdout.splitlines()
    assert len(lines) == 3
    done = mountfs("restore", path, lines[-1].split()[-1])
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "first"
    assert far_side.read("/d/x") == b"first"
    path.unlink()
    real_mount.wait_committed()
    done = mountfs("undelete", path)
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "first"
    assert mountfs("cache", "--clear", real_mount.path).returncode == 0
    assert "0 B" in mountfs("cache", path).stdout
    assert mountfs("pin", path.parent).returncode == 0
    here = f"{real_mount.path}/d: 5 B of 5 B in 1 file are here"
    until(lambda: here in mountfs("pin").stdout, "what is pinned is here")
    assert mountfs("unpin", path.parent).returncode == 0
    far_side.remove("/d")
    until(lambda: not path.parent.exists(), "what others removed is gone")
    done = mountfs("undelete", path.parent)
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "first"
    done = mountfs("restore", path, "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}: " in done.stderr
    assert "mountfs versions" in done.stderr


@pytest.mark.only_on("dropbox", because="one process lands what all services send")
def test_a_far_side_that_cuts_each_connection_costs_no_byte_twice(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    text = "".join(f"{number:015}\n" for number in range(16 * MIB // 16))
    far_side.write("/cut", text)
    until((real_mount.path / "cut").exists, "what others wrote is seen")
    far_side.reset_log()
    far_side.faults({"route": "files/download", "action": "cut_body", "cut_bytes": MIB})
    assert (real_mount.path / "cut").read_text() == text
    assert far_side.counts()["files/download"] <= 30


@pytest.mark.only_on("dropbox", because="the cache is the same everywhere")
def test_of_an_upload_that_the_next_mount_reads_each_byte_is_hashed_once(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    """For `cat`, `cp` and players the kernel asks for the second piece before it has the first."""
    size_bytes = 32 * MIB
    path = real_mount.path / "film"
    path.write_bytes(bytes(size_bytes))
    real_mount.wait_committed()
    assert real_mount.terminate() == 0
    real_mount.start()
    far_side.reset_log()
    before = read_bytes(real_mount.pid)
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        assert file.read(MIB) == bytes(MIB)
    assert read_bytes(real_mount.pid) - before < 2 * size_bytes
    assert "files/download" not in far_side.counts()


@pytest.mark.only_on("dropbox", because="the cache is the same everywhere")
def test_a_small_file_that_is_not_cached_is_requested_once(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    """The kernel reads it in pieces."""
    text = "0123456789abcdef" * (MIB // 16)
    far_side.write("/f", text)
    mount = make_mount(cache_max_bytes="0")
    mount.start()
    far_side.reset_log()
    done = subprocess.run(["cat", mount.path / "f"], check=True, capture_output=True, text=True)
    assert done.stdout == text
    assert far_side.counts()["files/download"] == 1


def read_bytes(pid: int) -> int:
    """What a process has read so far, of files and of all else: proc_pid_io(5)."""
    found = re.search(r"rchar: (\d+)", Path(f"/proc/{pid}/io").read_text())
    assert found is not None
    return int(found[1])
