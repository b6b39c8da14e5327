"""Which files of a mount something is mounted over, by what /proc says of all processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mountfs.fuse import covered as module
from mountfs.fuse.covered import covered

HOST = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
40 22 0:50 / /mnt/my\\040cloud rw - fuse.mountfs work: rw
41 40 8:1 /etc/a /mnt/my\\040cloud/d/a\\040b rw - ext4 /dev/sda1 rw
42 22 0:50 /sub /srv rw - fuse.mountfs work: rw
43 42 8:1 /etc/b /srv/f rw - ext4 /dev/sda1 rw
44 22 0:51 / /other rw - fuse.mountfs home: rw
45 44 8:1 /etc/c /other/f rw - ext4 /dev/sda1 rw
"""
CONTAINER = """\
90 80 0:60 / / rw - overlay overlay rw
91 90 0:50 /app /app rw - fuse.mountfs work: rw
92 91 8:1 /secrets /app/.env rw - ext4 /dev/sda1 rw
"""


def test_those_in_all_name_spaces_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, told in (("self", HOST), ("1", HOST), ("7", HOST), ("300", CONTAINER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mountinfo").write_text(told)
    (tmp_path / "301").mkdir()
    monkeypatch.setattr(module, "PROC", tmp_path)
    assert covered(b"/mnt/my cloud") == {b"/d/a b", b"/sub/f", b"/app/.env"}
    assert covered(b"/other") == {b"/f"}
    assert covered(b"/nothing") == set()
