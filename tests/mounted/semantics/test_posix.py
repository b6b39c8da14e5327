"""A mount answers each call as tmpfs does, but for a list of differences."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.mounted.memoryprocess import MemoryProcess
from tests.mounted.realmount import real_mounts

TMPFS = Path("/dev/shm")
STEP = 3
"""All of the cases take a mount 10 s. The numbers of users, kinds and modes are hardly ever multiples of 3,
so that each third has some of each."""

DIFFERENCES = {
    r"open device \d{4} to \w+ by (root|other)": ("done", "EACCES"),
    r"link to (?!folder)\w+": ("done", "EPERM"),
    r"a folder that is open and gone": ("done", "ENOENT"),
    r"(?!write nothing|map)[\w ]+ by a descriptor, 2767 by other": ("0o100767", "0o102767"),
    r"renameat2 over nothing, noreplace": ("done", "EINVAL"),
}
"""By the names of cases: what tmpfs answers, and a mount. The reasons are in SEMANTICS.md, S-POSIX."""


def _told(folder: Path) -> dict[str, object]:
    order = [sys.executable, "-m", "tests.posix", os.fspath(folder), str(STEP)]
    told: dict[str, object] = json.loads(subprocess.run(order, capture_output=True, check=True).stdout)
    return told


def _is_expected(name: str, there: object, here: object) -> bool:
    for pattern, (tmpfs, mount) in DIFFERENCES.items():
        if re.fullmatch(pattern, name):
            return (
                isinstance(there, list) and isinstance(here, list) and [there[0], here[0]] == [tmpfs, mount]
            )
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as other users")
def test_s_posix_a_mount_answers_as_tmpfs_does() -> None:
    with tempfile.TemporaryDirectory(dir=TMPFS) as made:
        folder = Path(made)
        folder.chmod(0o755)  # others have to get there
        tmpfs = folder / "tmpfs"
        tmpfs.mkdir()
        there = _told(tmpfs)
        with MemoryProcess(folder / "far-side") as far_side, real_mounts(folder, far_side) as make:
            mount = make(allow_other="true", settle_s="600")
            mount.start()
            here = _told(mount.path)
            mount.kill9()
    assert len(there) > 3600 // STEP
    assert not [name for name, told in there.items() if "not carried out" in str(told)]
    assert here.keys() == there.keys()
    different = {name: (told, here[name]) for name, told in there.items() if here[name] != told}
    assert {name: both for name, both in different.items() if not _is_expected(name, *both)} == {}
    for pattern in DIFFERENCES:
        chosen = {name for name in there if re.fullmatch(pattern, name)}
        assert not chosen or chosen & different.keys(), f"{pattern} is no difference any more"
