"""The stand-ins that are mounted by their name alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mounted.realmount import mountfs


@pytest.mark.parametrize("remote", ["sandbox-box:", "sandbox-dropbox:"])
def test_a_built_in_sandbox_is_mounted_by_its_name_alone(tmp_path: Path, remote: str) -> None:
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    order = ["mount", "--background", "-o", f"state_dir={tmp_path / 'state'}", remote, mountpoint]
    for content in ("", "text"):
        assert mountfs(*order).returncode == 0
        try:
            file = mountpoint / "file"
            assert (file.read_text() if file.exists() else "") == content
            file.write_text("text")
        finally:
            done = mountfs("umount", mountpoint)
        assert (done.returncode, done.stderr) == (0, "")
