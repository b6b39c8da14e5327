"""Files made before anybody wants one: taken by giving them a name, made again, and done without."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import pytest

from daemon.process.worker import Worker
from mountfs.clock import SystemClock
from mountfs.errors import NoSpace
from mountfs.spool.ahead import AT_ONCE, RETRY_S, FilesAhead
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import Quota
from mountfs.spool.spool import Spool
from tests.waiting import DEADLINE_S

MOST = 8


class CountingDisk(RealDisk):
    """Fails as the test says; counts files that were made, and descriptors that are open."""

    def __init__(self) -> None:
        self.error: OSError | NoSpace | None = None
        self.name_error: OSError | NoSpace | None = None
        self.made = 0
        self.made_unnamed = 0
        self.open_fds: set[int] = set()

    def create(self, path: str) -> int:
        self.made += 1
        return super().create(path)

    def create_unnamed(self, directory: str) -> int:
        self.made_unnamed += 1
        if self.error is not None:
            raise self.error
        fd = super().create_unnamed(directory)
        self.open_fds.add(fd)
        return fd

    def name(self, fd: int, path: str) -> None:
        if self.name_error is not None:
            raise self.name_error
        super().name(fd, path)

    def close(self, fd: int) -> None:
        self.open_fds.discard(fd)
        super().close(fd)


@pytest.fixture
def disk() -> CountingDisk:
    return CountingDisk()


@pytest.fixture
def ahead(tmp_path: Path, disk: CountingDisk) -> FilesAhead:
    return FilesAhead(tmp_path, disk, MOST)


def test_a_new_file_of_the_spool_is_one_that_was_made_before(tmp_path: Path, disk: CountingDisk) -> None:
    spool = Spool(tmp_path / "spool", disk, Quota(), MOST)
    assert spool.ahead.step(0.0) == math.inf
    assert spool.names() == []
    files = [spool.create() for _ in range(MOST)]
    assert disk.made == 0
    assert sorted(spool.names()) == sorted(file.name for file in files)
    files[0].pwrite(0, b"bytes")
    assert (files[0].size_bytes, files[1].size_bytes) == (5, 0)
    assert spool.read(files[0].name, 0, 10) == b"bytes"
    assert spool.path(files[0].name).stat().st_mode & 0o777 == 0o600


def test_without_one_a_file_is_made_as_ever(tmp_path: Path, disk: CountingDisk) -> None:
    spool = Spool(tmp_path / "spool", disk, Quota(), MOST)
    file = spool.create()
    assert spool.names() == [file.name]
    assert disk.made == 1


def test_more_are_made_once_half_are_gone(tmp_path: Path, ahead: FilesAhead) -> None:
    woken: list[int] = []
    ahead.wake = lambda: woken.append(len(ahead))
    ahead.step(0.0)
    for number in range(MOST // 2):
        assert ahead.take(f"{tmp_path}/{number}") is not None
    assert woken == []
    assert ahead.take(f"{tmp_path}/one-more") is not None
    assert woken == [MOST // 2 - 1]
    ahead.step(1.0)
    assert len(ahead) == MOST


def test_a_stop_waits_for_a_few_of_many(tmp_path: Path, disk: CountingDisk) -> None:
    """It ends a thread between two steps; a busy disk took longer for all than a stop waits."""
    ahead = FilesAhead(tmp_path, disk, 2 * AT_ONCE + 1)
    assert [ahead.step(5.0) for _ in range(3)] == [5.0, 5.0, math.inf]
    assert len(ahead) == disk.made_unnamed == 2 * AT_ONCE + 1
    ahead.close()

    def stopping(directory: str) -> int:
        worker.stop()
        return made(directory)

    made, disk.create_unnamed = disk.create_unnamed, stopping  # type: ignore[method-assign]
    ahead = FilesAhead(tmp_path, disk, 2 * AT_ONCE + 1)
    worker = Worker("make-ahead", ahead.step, SystemClock())
    worker.start()
    assert worker.join(DEADLINE_S)
    assert len(ahead) <= AT_ONCE
    ahead.close()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT])
def test_a_file_system_that_makes_none_without_a_name_is_not_asked_again(
    tmp_path: Path, ahead: FilesAhead, disk: CountingDisk, number: int
) -> None:
    disk.error = OSError(number, os.strerror(number))
    assert ahead.step(0.0) == math.inf
    assert ahead.step(1.0) == math.inf
    assert disk.made_unnamed == 1
    assert ahead.take(f"{tmp_path}/file") is None


@pytest.mark.parametrize(
    "error", [NoSpace("full"), OSError(errno.EMFILE, "too many open files"), OSError(errno.EIO, "broken")]
)
def test_a_disk_in_trouble_is_asked_again_later(
    ahead: FilesAhead, disk: CountingDisk, error: OSError | NoSpace
) -> None:
    disk.error = error
    assert ahead.step(5.0) == 5.0 + RETRY_S
    disk.error = None
    assert ahead.step(5.0 + RETRY_S) == math.inf
    assert len(ahead) == MOST


def test_a_machine_where_they_get_no_name_makes_files_as_ever(tmp_path: Path, disk: CountingDisk) -> None:
    spool = Spool(tmp_path / "spool", disk, Quota(), MOST)
    spool.ahead.step(0.0)
    disk.name_error = FileNotFoundError(errno.ENOENT, "no /proc")
    names = {spool.create().name for _ in range(3)}
    assert set(spool.names()) == names
    assert disk.made == 3
    assert disk.open_fds == set()
    assert spool.ahead.step(1.0) == math.inf
    assert disk.made_unnamed == MOST


def test_no_room_for_a_name_is_told_and_leaves_nothing_behind(
    tmp_path: Path, ahead: FilesAhead, disk: CountingDisk
) -> None:
    ahead.step(0.0)
    disk.name_error = NoSpace("full")
    with pytest.raises(NoSpace):
        ahead.take(f"{tmp_path}/file")
    assert len(disk.open_fds) == MOST - 1
    assert list(tmp_path.iterdir()) == []


def test_those_nobody_took_vanish(tmp_path: Path, ahead: FilesAhead, disk: CountingDisk) -> None:
    ahead.step(0.0)
    ahead.close()
    assert disk.open_fds == set()
    assert list(tmp_path.iterdir()) == []
    assert ahead.step(1.0) == math.inf
    assert len(ahead) == 0
