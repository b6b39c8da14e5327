"""What reading and listing through a real mount cost in calls."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import SandboxProcess

FOLDERS, FILES = 12, 3


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
