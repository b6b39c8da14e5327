"""Files by name, descriptors shared by readers, and the meter."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import pytest

from mountfs.errors import NoSpace
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import MIB, Quota
from mountfs.spool.spool import LOOK_EVERY_BYTES, OPEN_FILES, Spool


class RoomyDisk(RealDisk):
    """As much free space as the test says; counts how often it is asked."""

    def __init__(self, free_bytes: int = 10**12) -> None:
        self.free = free_bytes
        self.looks = 0
        self.counts = 0
        self.open_fds: set[int] = set()

    def free_bytes(self, directory: str) -> int:
        self.looks += 1
        return self.free

    def sizes(self, directory: str) -> dict[str, int]:
        self.counts += 1
        return super().sizes(directory)

    def open(self, path: str) -> int:
        fd = super().open(path)
        self.open_fds.add(fd)
        return fd

    def close(self, fd: int) -> None:
        self.open_fds.discard(fd)
        super().close(fd)


@pytest.fixture
def disk() -> RoomyDisk:
    return RoomyDisk()


@pytest.fixture
def spool(tmp_path: Path, disk: RoomyDisk) -> Spool:
    return Spool(tmp_path / "account" / "spool", disk, Quota())


def _put(spool: Spool, data: bytes) -> str:
    file = spool.create()
    file.pwrite(0, data)
    file.close()
    return file.name


def test_the_directory_is_made_and_private(spool: Spool) -> None:
    assert spool.directory.stat().st_mode & 0o777 == 0o700


def test_a_file_is_read_while_it_is_written(spool: Spool) -> None:
    file = spool.create()
    file.pwrite(0, b"hello")
    assert spool.read(file.name, 0, 100) == b"hello"
    file.pwrite(3, b"XYZ")
    assert spool.read(file.name, 2, 100) == b"lXYZ"
    assert file.size_bytes == spool.size(file.name) == 6
    file.truncate(2)
    assert file.pread(0, 10) == spool.read(file.name, 0, 10) == b"he"
    file.close()
    file.close()


def test_a_file_opened_again_goes_on(spool: Spool) -> None:
    name = _put(spool, b"hello")
    file = spool.open(name)
    file.pwrite(5, b"!")
    assert file.pread(0, 10) == b"hello!"
    file.close()
    with pytest.raises(FileNotFoundError):
        spool.open("missing")


def test_a_copy_shares_nothing_with_its_source(spool: Spool) -> None:
    name = _put(spool, b"hello world")
    copy = spool.copy(name, 5, "")
    assert copy.name != name
    copy.pwrite(0, b"J")
    assert copy.pread(0, 100) == b"Jello"
    assert spool.read(name, 0, 100) == b"hello world"
    copy.close()


def test_a_copy_that_fails_leaves_nothing(spool: Spool) -> None:
    with pytest.raises(FileNotFoundError):
        spool.copy("missing", 5, "")
    assert spool.names() == []


def test_names_sizes_and_removal(spool: Spool) -> None:
    names = {_put(spool, b"x" * size) for size in range(5)}
    assert set(spool.names()) == names
    assert sorted(spool.sizes().values()) == [0, 1, 2, 3, 4]
    assert sum(spool.sizes().values()) == 10
    for name in names:
        spool.read(name, 0, 1)
        spool.remove(name)
        spool.remove(name)
        with pytest.raises(FileNotFoundError):
            spool.read(name, 0, 1)
    assert spool.names() == []


def test_a_file_moved_out_is_read_here_no_longer(spool: Spool, tmp_path: Path) -> None:
    name = _put(spool, b"bytes")
    assert spool.read(name, 0, 9) == b"bytes"
    spool.move_out(name, tmp_path / "elsewhere" / "kept")
    assert (tmp_path / "elsewhere" / "kept").read_bytes() == b"bytes"
    with pytest.raises(FileNotFoundError):
        spool.read(name, 0, 9)


def test_truncating_by_name(spool: Spool) -> None:
    name = _put(spool, b"hello")
    spool.truncate(name, 2)
    assert spool.read(name, 0, 9) == b"he"


def test_readers_keep_few_descriptors_and_close_gives_them_back(spool: Spool, disk: RoomyDisk) -> None:
    names = [_put(spool, b"%d" % number) for number in range(3 * OPEN_FILES)]
    for _ in range(2):
        for number, name in enumerate(names):
            assert spool.read(name, 0, 10) == b"%d" % number
            assert len(disk.open_fds) <= OPEN_FILES
    spool.close()
    assert not disk.open_fds


def test_many_threads_read_more_files_than_descriptors_are_kept(spool: Spool, disk: RoomyDisk) -> None:
    names = [_put(spool, b"%d" % number) for number in range(OPEN_FILES + 20)]
    wrong: list[str] = []
    start = Barrier(8)

    def read(step: int) -> None:
        start.wait(10)
        for turn in range(600):
            number = (turn * step) % len(names)
            if spool.read(names[number], 0, 10) != b"%d" % number:
                wrong.append(names[number])

    threads = [Thread(target=read, args=(step,)) for step in (1, 3, 5, 7, 11, 13, 17, 19)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    spool.close()
    assert not disk.open_fds


class SlowReadDisk(RoomyDisk):
    """Removes the file from under a reader."""

    def __init__(self) -> None:
        super().__init__()
        self.during_read: Callable[[], object] = lambda: None

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        self.during_read()
        os.fstat(fd)  # still open
        return super().pread(fd, length, offset)


def test_a_file_removed_under_a_reader_is_read_to_the_end(tmp_path: Path) -> None:
    disk = SlowReadDisk()
    spool = Spool(tmp_path, disk, Quota())
    name = _put(spool, b"bytes")
    disk.during_read = lambda: spool.remove(name)
    assert spool.read(name, 0, 9) == b"bytes"
    assert not disk.open_fds


# The meter


def test_the_disk_is_looked_at_once_in_a_few_mib(spool: Spool, disk: RoomyDisk) -> None:
    for _ in range(100):
        assert spool.admit(128 * 1024) == 0.0
    assert disk.looks <= 2 + 100 * 128 * 1024 // LOOK_EVERY_BYTES
    assert disk.counts == 0  # what is there already is of no interest without a limit


def test_overwriting_asks_nobody(spool: Spool, disk: RoomyDisk) -> None:
    disk.free = 0
    assert spool.admit(0) == 0.0
    assert spool.admit(-5) == 0.0
    assert disk.looks == 0


def test_a_full_disk_refuses_until_there_is_room_again(spool: Spool, disk: RoomyDisk) -> None:
    disk.free = 0
    for _ in range(3):
        with pytest.raises(NoSpace):
            spool.admit(4096)
    disk.free = 10**12
    assert spool.admit(4096) == 0.0


def test_a_disk_that_does_not_say_how_full_it_is_is_told_of(
    spool: Spool, disk: RoomyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "free_bytes", refuse)
    assert spool.shortage() == f"{spool.directory}: Input/output error"


def test_near_the_end_a_writer_waits_in_proportion_to_what_it_writes(tmp_path: Path) -> None:
    disk = RoomyDisk(free_bytes=32 * MIB)
    spool = Spool(tmp_path, disk, Quota(reserve_bytes=0))
    wait_s = spool.admit(MIB)
    assert wait_s > 0.1
    assert spool.admit(MIB // 2) == pytest.approx(wait_s / 2)
    disk.free = 10**12
    assert spool.admit(MIB) == 0.0


def test_a_refusal_is_looked_at_again_at_the_next_write(tmp_path: Path) -> None:
    disk = RoomyDisk(free_bytes=0)
    spool = Spool(tmp_path, disk, Quota(reserve_bytes=0))
    for _ in range(2):
        with pytest.raises(NoSpace):
            spool.admit(8 * MIB)
    disk.free = 10**12
    assert spool.admit(1) == 0.0


def test_a_copy_asks_first(tmp_path: Path) -> None:
    disk = RoomyDisk()
    spool = Spool(tmp_path, disk, Quota())
    name = _put(spool, b"hello")
    disk.free = 0
    with pytest.raises(NoSpace):
        spool.copy(name, 5, "")
    assert spool.names() == [name]


def test_what_is_reserved_fits_beside_all_that_is_still_missing(tmp_path: Path) -> None:
    disk = RoomyDisk(free_bytes=10 * MIB)
    spool = Spool(tmp_path, disk, Quota(reserve_bytes=MIB))
    spool.reserve(9 * MIB)
    with pytest.raises(NoSpace, match="room for 9 MiB"):
        spool.reserve(9 * MIB + 1)
    spool.missing_bytes = lambda: 5 * MIB
    spool.reserve(4 * MIB)
    with pytest.raises(NoSpace):
        spool.reserve(4 * MIB + 1)
    spool.missing_bytes = lambda: 9 * MIB
    with pytest.raises(NoSpace):
        spool.admit(1)
    # What is missing may take the room that was kept for it, but none that was not.
    spool.admit_filling(9 * MIB)
    disk.free = 9 * MIB
    with pytest.raises(NoSpace):
        spool.admit_filling(9 * MIB)


def test_others_give_way_to_what_is_reserved(tmp_path: Path) -> None:
    disk = RoomyDisk(free_bytes=300 * MIB)
    spool = Spool(tmp_path, disk, Quota(reserve_bytes=0))

    def make_room() -> None:
        disk.free = spool.promised_bytes()

    spool.on_short = make_room
    spool.reserve(400 * MIB)
    assert disk.free == 400 * MIB
    assert spool.promised_bytes() == 0


def test_ranges_are_copied_to_their_places(spool: Spool) -> None:
    name, other = _put(spool, b"0123456789"), spool.create()
    source = spool.open(name)
    source.copy_ranges_into(other, [(1, 3), (6, 7), (9, 20)])
    assert spool.read(other.name, 0, 20) == b"\0" + b"12" + b"\0\0\0" + b"6" + b"\0\0" + b"9"
    source.close()
    other.close()


@pytest.mark.parametrize("name", ["../outside", "/OUTSIDE", "a/../../outside", "", ".", "..", "a\0b"])
def test_a_name_that_leads_out_of_the_spool_is_of_no_file(spool: Spool, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "account" / "outside"
    outside.write_bytes(b"theirs")
    name = name.replace("/OUTSIDE", str(outside))
    for call in (
        lambda: spool.open(name),
        lambda: spool.read(name, 0, 1),
        lambda: spool.size(name),
        lambda: spool.label_of(name),
        lambda: spool.truncate(name, 0),
        lambda: spool.fdatasync(name),
        lambda: spool.move_out(name, tmp_path / "taken"),
        lambda: spool.copy(name, 1, ""),
        lambda: spool.path(name),
    ):
        with pytest.raises(FileNotFoundError):
            call()
    spool.remove(name)
    assert outside.read_bytes() == b"theirs"
    assert spool.names() == []
    spool.close()
