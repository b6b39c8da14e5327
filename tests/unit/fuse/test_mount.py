"""What the kernel is told at mount time, and what a person is told when that fails."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from mountfs.filesystem import FileSystem
from mountfs.fuse import mount
from mountfs.fuse.mount import FuseMount, FuseOptions, MountFailed, fuse_options
from mountfs.transport.serving import CALLS_AT_ONCE

NO_FILES = cast(FileSystem, None)


def test_writes_are_big_and_truncation_comes_with_the_open() -> None:
    told = fuse_options(FuseOptions("dropbox:work"))
    assert told["big_writes"] is True
    assert told["atomic_o_trunc"] is True
    assert told["fsname"] == "dropbox:work"
    assert told["subtype"] == "mountfs"
    assert (told["ro"], told["allow_other"]) == (False, False)
    assert "hard_remove" not in told


def test_reads_that_wait_for_the_service_leave_room_for_those_of_cached_files() -> None:
    """The kernel's own bound is 12: as many `cat` of files that are not cached would stop all reads."""
    told = fuse_options(FuseOptions("dropbox:work"))
    assert told["max_background"] == told["congestion_threshold"]
    assert 12 < int(told["max_background"]) < CALLS_AT_ONCE


@pytest.mark.parametrize("checks_modes", [True, False])
def test_modes_are_checked_where_that_can_forbid_something(checks_modes: bool) -> None:
    told = fuse_options(FuseOptions("dropbox:work", checks_modes=checks_modes))
    assert told["default_permissions"] is checks_modes


def test_a_name_cannot_smuggle_options_in() -> None:
    assert fuse_options(FuseOptions("x,allow_other"))["fsname"] == "x_allow_other"


def test_a_missing_mount_point_is_named(tmp_path: Path) -> None:
    with pytest.raises(MountFailed, match="missing is not a directory"):
        FuseMount(NO_FILES, tmp_path / "missing", FuseOptions("x")).run()


def test_a_kernel_without_fuse_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount, "FUSE_DEVICE", tmp_path / "fuse")
    with pytest.raises(MountFailed, match="/dev/fuse"):
        FuseMount(NO_FILES, tmp_path, FuseOptions("x")).run()


def test_a_missing_libfuse_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "fuse", None)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    monkeypatch.delitem(sys.modules, "fuse")
    with pytest.raises(MountFailed, match="libfuse2t64"):
        FuseMount(NO_FILES, tmp_path, FuseOptions("x")).run()


def test_names_that_are_not_utf8_survive_the_codec() -> None:
    codec = mount._path_codec(mount.PATH_CODEC)
    assert codec is not None
    raw = b"/\xff\xc3\xa4"
    text, _ = codec.decode(raw)
    assert codec.encode(text)[0] == raw
    assert mount._path_codec("utf-16") is None
