"""The few system calls, on a real directory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from mountfs.errors import NoSpace
from mountfs.spool import disk as disk_module
from mountfs.spool.disk import RealDisk


@pytest.fixture
def disk() -> RealDisk:
    return RealDisk()


def test_a_new_file_is_private_and_never_replaces_another(disk: RealDisk, tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    fd = disk.create(path)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o600
    disk.close(fd)
    with pytest.raises(FileExistsError):
        disk.create(path)


def test_what_is_written_is_read_and_short_reads_mean_the_end(disk: RealDisk, tmp_path: Path) -> None:
    fd = disk.create(str(tmp_path / "a"))
    disk.pwrite(fd, b"hello", 3)
    assert disk.size(fd) == 8
    assert disk.pread(fd, 100, 0) == b"\0\0\0hello"
    assert disk.pread(fd, 2, 3) == b"he"
    assert disk.pread(fd, 10, 8) == b""
    disk.truncate(fd, 4)
    assert disk.pread(fd, 100, 0) == b"\0\0\0h"
    disk.close(fd)


def test_descriptors_are_not_inherited(disk: RealDisk, tmp_path: Path) -> None:
    fd = disk.create(str(tmp_path / "a"))
    again = disk.open(str(tmp_path / "a"))
    assert not os.get_inheritable(fd)
    assert not os.get_inheritable(again)
    disk.close(fd)
    disk.close(again)


def test_a_short_write_is_carried_on(disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = disk.create(str(tmp_path / "a"))
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda at, data, offset: real(at, bytes(data)[:3], offset))
    disk.pwrite(fd, b"0123456789", 5)
    monkeypatch.undo()
    assert disk.pread(fd, 100, 5) == b"0123456789"
    disk.close(fd)


def test_a_short_read_is_carried_on(disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = disk.create(str(tmp_path / "a"))
    disk.pwrite(fd, b"0123456789", 0)
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda at, length, offset: real(at, min(length, 4), offset))
    assert disk.pread(fd, 100, 0) == b"0123456789"
    disk.close(fd)


def _failing(number: int) -> object:
    def call(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_space(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fd = disk.create(str(tmp_path / "a"))
    for name in ("pwrite", "ftruncate", "fdatasync", "copy_file_range", "open", "rename"):
        monkeypatch.setattr(os, name, _failing(number))
    calls = (
        lambda: disk.pwrite(fd, b"x", 0),
        lambda: disk.truncate(fd, 10),
        lambda: disk.fdatasync(fd),
        lambda: disk.copy(fd, fd, 10),
        lambda: disk.create(str(tmp_path / "b")),
        lambda: disk.rename("a", "b"),
    )
    for call in calls:
        with pytest.raises(NoSpace):
            call()
    monkeypatch.undo()
    disk.close(fd)


def test_any_other_failure_is_what_the_system_says(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", _failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        disk.pwrite(3, b"x", 0)
    with pytest.raises(FileNotFoundError):
        disk.open(str(tmp_path / "missing"))


@pytest.mark.parametrize("number", [0, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EIO])
def test_a_copy_works_where_the_kernel_cannot_make_it(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    source, target = disk.create(str(tmp_path / "a")), disk.create(str(tmp_path / "b"))
    disk.pwrite(source, bytes(range(256)) * 40, 0)
    monkeypatch.setattr(disk_module, "COPY_BYTES", 1000)
    if number:
        monkeypatch.setattr(os, "copy_file_range", _failing(number))
    if number == errno.EIO:
        with pytest.raises(OSError, match=os.strerror(number)):
            disk.copy(source, target, 10_000)
    else:
        disk.copy(source, target, 10_000)
        assert disk.pread(target, 20_000, 0) == (bytes(range(256)) * 40)[:10_000]
    disk.close(source)
    disk.close(target)


def test_a_kernel_copy_that_stops_half_way_is_finished(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = disk.create(str(tmp_path / "a")), disk.create(str(tmp_path / "b"))
    disk.pwrite(source, b"0123456789", 0)
    real = os.copy_file_range
    moved: list[int] = []

    def half(source_fd: int, target_fd: int, count: int, at: int, to: int) -> int:
        if moved:
            return 0
        moved.append(real(source_fd, target_fd, 5, at, to))
        return 5

    monkeypatch.setattr(os, "copy_file_range", half)
    disk.copy(source, target, 10)
    assert disk.pread(target, 20, 0) == b"0123456789"
    disk.close(source)
    disk.close(target)


def test_a_copy_of_more_than_there_is_holds_what_there_is(disk: RealDisk, tmp_path: Path) -> None:
    source, target = disk.create(str(tmp_path / "a")), disk.create(str(tmp_path / "b"))
    disk.pwrite(source, b"abc", 0)
    disk.copy(source, target, 100)
    assert disk.pread(target, 100, 0) == b"abc"
    disk.close(source)
    disk.close(target)


def test_names_and_sizes_of_a_directory(disk: RealDisk, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    assert sorted(disk.names(str(tmp_path))) == ["a", "b", "folder"]
    assert disk.sizes(str(tmp_path)) == {"a": 3, "b": 0}
    assert disk.free_bytes(str(tmp_path)) > 0


def test_removing_what_is_gone_is_fine_and_renaming_moves(disk: RealDisk, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    disk.rename(str(tmp_path / "a"), str(tmp_path / "b"))
    disk.sync_directory(str(tmp_path))
    disk.remove(str(tmp_path / "b"))
    disk.remove(str(tmp_path / "b"))
    assert disk.names(str(tmp_path)) == []
