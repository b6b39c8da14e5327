"""Locks and mappings: what processes on this machine share through a file."""

from __future__ import annotations

import fcntl
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mountfs.fuse.kernel import drops_pages
from tests.mounted.corner import Corner
from tests.waiting import until

# S-LOCK


def _lock_elsewhere(path: Path, function: str) -> int:
    script = (
        f"import fcntl, sys; file = open(sys.argv[1], 'r+')\n"
        f"try: fcntl.{function}(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError: sys.exit(7)"
    )
    return subprocess.run([sys.executable, "-c", script, path]).returncode


@pytest.mark.parametrize("function", ["flock", "lockf"])
def test_s_lock_one_process_holds_another_waits(corner: Corner, function: str) -> None:
    path = corner.committed("file", "text")
    with path.open("r+") as file:
        getattr(fcntl, function)(file, fcntl.LOCK_EX)
        assert _lock_elsewhere(path, function) == 7
        getattr(fcntl, function)(file, fcntl.LOCK_UN)
        assert _lock_elsewhere(path, function) == 0


@pytest.mark.parametrize(
    ("name", "is_kept_apart"),
    [("moved here", True), ("moved by others", False), ("FILE", False)],
    ids=["moved here", "moved by others", "another spelling"],
)
@pytest.mark.parametrize("function", ["flock", "lockf"])
def test_s_lock_is_not_met_under_another_spelling_or_a_name_that_others_gave(
    corner: Corner, function: str, name: str, *, is_kept_apart: bool
) -> None:
    path, other = corner.committed("file", "text"), corner.path / name
    inode = path.stat().st_ino
    with path.open("r+") as file:
        getattr(fcntl, function)(file, fcntl.LOCK_EX)
        if name == "moved here":
            path.rename(other)
        elif name == "moved by others":
            corner.far_side.move(corner.remote("file"), corner.remote(name))
            until(lambda: corner.names() == {name}, "the new name is seen")
        assert other.stat().st_ino == inode
        assert _lock_elsewhere(other, function) == (7 if is_kept_apart else 0)


def test_s_lock_sqlite_keeps_two_writers_apart(corner: Corner) -> None:
    corner.run('sqlite3 db "create table t (n); insert into t values (1)"')
    adding = "for i in $(seq 10); do sqlite3 -cmd '.timeout 20000' db 'insert into t values (1)'; done"
    corner.run(f"({adding}) & ({adding}); wait $!")
    assert corner.run('sqlite3 db "select sum(n) from t; pragma integrity_check"') == "21\nok\n"
    corner.settle()
    copy = corner.work / f"{corner.name}.db"
    copy.write_bytes(corner.content("db"))
    assert corner.run(f'sqlite3 "{copy}" "select sum(n) from t; pragma integrity_check"') == "21\nok\n"


# S-MMAP


def test_s_mmap_what_is_written_to_a_shared_mapping_is_published(corner: Corner) -> None:
    path = corner.path / "mapped"
    size_bytes = 100_000
    with path.open("w+b") as file:
        file.truncate(size_bytes)
        mapping = mmap.mmap(file.fileno(), size_bytes)
        mapping[0:5] = b"first"
        mapping.flush()
    mapping[90_000:90_004] = b"last"  # the descriptor is closed, the mapping lives on
    mapping.close()
    wanted = b"first".ljust(90_000, b"\0") + b"last".ljust(10_000, b"\0")
    assert path.read_bytes() == wanted
    until(lambda: "mapped" in corner.there(), "it is published once it is unmapped")
    corner.settle()
    assert corner.content("mapped") == wanted


def test_s_mmap_what_is_being_filled_is_read_as_far_as_it_is_written_and_mapped_once_it_is_closed(
    corner: Corner,
) -> None:
    path = corner.path / "filled"
    with path.open("wb", buffering=0) as writer:
        writer.write(b"first " * 1000)
        with path.open("rb", buffering=0) as reader:
            assert reader.read(6) == b"first "
            with mmap.mmap(reader.fileno(), 0, access=mmap.ACCESS_COPY) as private:
                assert private[:6] == b"first "
            if drops_pages(os.uname().release):
                with pytest.raises(OSError, match="No such device"):
                    mmap.mmap(reader.fileno(), 0, access=mmap.ACCESS_READ)
            for count in range(50):
                writer.write(b"%06d" % count)
                reader.seek(-6, 2)
                assert reader.read() == b"%06d" % count
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        assert mapping[:6] == b"first "
        assert mapping[-6:] == b"000049"
    for count in range(50):
        path.write_bytes(b"%06d" % count)
        with path.open("rb") as whole, mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
            assert mapping[:] == b"%06d" % count


def test_s_mmap_a_mapping_of_a_remote_file_reads_it(corner: Corner) -> None:
    corner.theirs("mapped", "remote text" * 10_000)
    with (corner.path / "mapped").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        assert mapping[:6] == b"remote"
        mapping[:6] = b"REMOTE"
    until(lambda: corner.content("mapped")[:6] == b"REMOTE", "the change is published")
