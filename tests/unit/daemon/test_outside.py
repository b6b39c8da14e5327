"""A mount is asked from a process of its own."""

from __future__ import annotations

import gc
import os
import warnings
from pathlib import Path

import pytest

from daemon.places import outside

NEVER = "import signal; signal.pause()"


def test_an_attribute_is_told_by_another_process(tmp_path: Path) -> None:
    os.setxattr(tmp_path, "user.x", b"value")
    assert outside.xattr(tmp_path, "user.x", 60.0) == b"value"
    with pytest.raises(OSError, match="No data available"):
        outside.xattr(tmp_path, "user.y", 60.0)


def test_who_is_not_answered_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the process that asks does not even end when it is killed, as inside a mount that hangs."""
    monkeypatch.setattr(outside, "_ASK", NEVER)
    monkeypatch.setattr(outside, "GONE_S", 0.0)
    gc.collect()  # what tests before this one have left is not counted
    before = set(os.listdir("/proc/self/fd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TimeoutError):
            outside.xattr(tmp_path, "user.x", 0.0)
        gc.collect()
    assert set(os.listdir("/proc/self/fd")) <= before
