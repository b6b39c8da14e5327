"""Copying out what a stopped mount left, also by a journal that a disk or somebody else has changed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from daemon.cli.export import Export, draft_of, export_stopped
from daemon.failure import Failure
from daemon.places.statedir import StateDir
from mountfs.files import copyup
from mountfs.model.entry import Account
from mountfs.model.path import ROOT, RemotePath
from mountfs.spool.disk import RealDisk
from mountfs.spool.spool import is_name
from tests.doubles.world import World
from tests.unit.upload.bodies import content_of

ACCOUNT = Account("dropbox-1", "Ann")


class Stopped:
    """A state directory in which one mount of "work" left something."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.state = StateDir(directory / "state")
        (directory / "state").mkdir(mode=0o700)
        self.state.identify("work", "credentials", lambda: ACCOUNT)
        slot = self.state.take_slot(ACCOUNT)
        slot.release()
        self.slot = slot
        self.out = directory / "out"
        self.world = World(slot.directory, settings=settings)

    def stop(self, *statements: str) -> None:
        """Ends the mount; *statements* are what a disk or somebody else then makes of its journal."""
        self.world.core.durability.save()
        self.world.close()
        with closing(sqlite3.connect(self.slot.journal)) as db, db:
            for statement in statements:
                db.execute(statement)

    def export(self, top: RemotePath = ROOT, remote: str = "work") -> Export:
        return export_stopped(self.state, remote, top, self.out, "here", RealDisk().label_of, is_name)

    def copied(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.out)): path.read_bytes() for path in files_below(self.out)}


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.fixture
def stopped(tmp_path: Path) -> Stopped:
    return Stopped(tmp_path)


def test_what_a_mount_left_is_copied_with_its_paths(stopped: Stopped) -> None:
    stopped.world.mkdir("/docs")
    stopped.world.put("/docs/a", b"a")
    stopped.world.put("/top", b"top")
    stopped.stop()
    done = stopped.export()
    assert (done.count, done.problems, stopped.copied()) == (2, [], {"docs/a": b"a", "top": b"top"})
    assert [path.name for path in stopped.slot.directory.glob("journal.db-*")] == []


@pytest.mark.parametrize("mtime_ns", [0, 5])
def test_a_closed_file_of_the_beginning_of_time_keeps_its_time(stopped: Stopped, mtime_ns: int) -> None:
    """0 is a time as any other; only a file that was never closed has none."""
    stopped.world.put("/old", b"old")
    stopped.world.fs.metadata.utimens("/old", mtime_ns, mtime_ns)
    stopped.stop()
    assert stopped.export().count == 1
    assert (stopped.out / "old").stat().st_mtime_ns == mtime_ns


def test_a_copy_is_as_private_as_the_file(stopped: Stopped, tmp_path: Path) -> None:
    stopped.world.put("/key", b"secret")
    stopped.stop()
    stopped.export()
    assert stat.S_IMODE((stopped.out / "key").stat().st_mode) == 0o600
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(0o4750)
    Export(tmp_path / "mounted").copy(tmp_path / "key", Path("copy"))
    assert stat.S_IMODE((tmp_path / "mounted" / "copy").stat().st_mode) == 0o750


@pytest.mark.parametrize("where", ["/etc/hostname", "../secret", "..", ""])
def test_no_file_outside_of_the_spool_is_copied_out_whatever_a_journal_names(
    stopped: Stopped, where: str
) -> None:
    stopped.world.put("/f", b"f")
    stopped.world.put("/sound", b"sound")
    name = content_of(stopped.world, "/f").spool
    (stopped.slot.directory / "secret").write_bytes(b"secret")
    stopped.stop(f"UPDATE contents SET spool = '{where}' WHERE spool = '{name}'")
    done = stopped.export()
    # Those of /f are still to be had where the label of their file says whose they are.
    assert {b"sound"} <= set(stopped.copied().values()) <= {b"sound", b"f"}
    [problem] = done.problems
    assert problem.startswith("/f: ")
    assert "no file of the spool" in problem


@pytest.mark.parametrize("name", ["../escaped", "..", ".", "", "a/b"])
def test_nothing_is_written_outside_of_the_directory_whatever_a_journal_names(
    stopped: Stopped, name: str
) -> None:
    stopped.world.put("/f", b"f")
    stopped.world.put("/sound", b"sound")
    before = set(files_below(stopped.out.parent))
    stopped.stop(f"UPDATE nodes SET name = '{name}' WHERE name = 'f'")
    done = stopped.export()
    assert stopped.copied() == {"sound": b"sound"}
    assert set(files_below(stopped.out.parent)) - before <= {stopped.out / "sound"}
    [problem] = done.problems
    assert f"look into {stopped.slot.spool}" in problem


def test_a_label_cannot_name_a_file_elsewhere_either(stopped: Stopped) -> None:
    stopped.world.put("/sound", b"sound")
    stopped.stop()
    stray = stopped.slot.spool / ("f" * 32)
    stray.write_bytes(b"stray")
    os.setxattr(stray, "user.mountfs.label", b"1:5:7 ../escaped")
    done = stopped.export()
    assert stopped.copied() == {"sound": b"sound"}
    assert len(done.problems) == 1


@pytest.mark.parametrize("parent", ["id", "999"])
def test_what_has_its_folder_in_itself_or_nowhere_is_listed_and_not_copied(
    stopped: Stopped, parent: str
) -> None:
    stopped.world.mkdir("/d")
    stopped.world.put("/d/f", b"f")
    stopped.world.put("/sound", b"sound")
    stopped.stop(f"UPDATE nodes SET parent = {parent} WHERE name = 'd'")
    done = stopped.export()
    assert stopped.copied() == {"sound": b"sound"}
    [problem] = done.problems
    assert problem.startswith("/d/f: ")


def test_a_file_that_was_open_and_is_missing_is_listed_and_the_others_are_copied(stopped: Stopped) -> None:
    stopped.world.put("/sound", b"sound")
    stopped.world.put("/gone", b"gone")
    name = content_of(stopped.world, "/gone").spool
    stopped.stop(f"UPDATE contents SET is_flushed = 0, time_s = 0, time_ns = 0 WHERE spool = '{name}'")
    (stopped.slot.spool / name).unlink()
    done = stopped.export()
    assert stopped.copied() == {"sound": b"sound"}
    [problem] = done.problems
    assert name in problem


def test_of_what_is_below_a_path_alone_the_problems_are_told(stopped: Stopped) -> None:
    stopped.world.mkdir("/docs")
    stopped.world.put("/docs/a", b"a")
    stopped.world.put("/f", b"f")
    name = content_of(stopped.world, "/f").spool
    stopped.stop(f"UPDATE contents SET spool = '../x' WHERE spool = '{name}'")
    assert stopped.export(RemotePath("/docs")).problems == []


def test_where_nothing_is_left_that_is_told(stopped: Stopped) -> None:
    stopped.stop()
    with pytest.raises(Failure, match="nothing of 'work' is pending there"):
        stopped.export()


@pytest.mark.parametrize("entry", [{}, {"key": None}, {"key": "../elsewhere"}, [], "None"])
def test_where_no_account_is_remembered_that_is_told(stopped: Stopped, entry: object) -> None:
    stopped.world.put("/f", b"f")
    stopped.stop()
    (stopped.state.path / "remotes.json").write_text(json.dumps({"work": entry}))
    with pytest.raises(Failure, match="no remote 'work' was ever mounted with this state directory"):
        stopped.export()


def test_a_copy_has_its_name_once_it_is_whole(stopped: Stopped, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was killed in the middle must not pass for a copy, nor keep the next run from making it."""
    stopped.world.put("/docs", b"whole")
    stopped.stop()

    def copy(reading: BinaryIO, writing: BinaryIO, length: int) -> None:
        writing.write(reading.read(2))
        writing.flush()
        assert not (stopped.out / "docs").exists()
        writing.write(reading.read())

    monkeypatch.setattr(shutil, "copyfileobj", copy)
    assert stopped.export().problems == []
    assert stopped.copied() == {"docs": b"whole"}


def test_what_a_killed_export_left_keeps_no_other_one_from_copying(stopped: Stopped) -> None:
    stopped.world.put("/a", b"a")
    stopped.world.put("/b", b"b")
    stopped.stop()
    stopped.out.mkdir()
    draft_of(stopped.out, os.getpid()).write_bytes(b"torn")
    assert stopped.export().problems == []
    assert stopped.copied() == {"a": b"a", "b": b"b"}


def test_what_was_copied_survives_a_power_loss(stopped: Stopped, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a copy gives up what is pending."""
    stopped.world.mkdir("/docs")
    stopped.world.put("/docs/a", b"a")
    stopped.stop()
    synced: list[tuple[int, list[str]]] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append((os.fstat(fd).st_ino, [*stopped.copied()])))
    assert stopped.export().problems == []
    docs = stopped.out / "docs"
    assert synced[0][0] == (docs / "a").stat().st_ino
    assert "docs/a" not in synced[0][1]
    places = [docs, stopped.out, stopped.out.parent]
    assert {(place.stat().st_ino, ("docs/a",)) for place in places} <= {
        (number, tuple(names)) for number, names in synced[1:]
    }


@pytest.mark.parametrize(("is_folder", "left"), [(False, {}), (True, {"a": b"a"})])
def test_a_copy_that_cannot_be_synced_is_told_of(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, is_folder: bool, left: dict[str, bytes]
) -> None:
    """A disk may turn out to be full only then."""
    stopped.world.put("/a", b"a")
    stopped.stop()

    def fail(fd: int) -> None:
        if not is_folder or os.path.samestat(os.fstat(fd), stopped.out.stat()):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    [problem] = stopped.export().problems
    assert "No space left on device" in problem
    assert stopped.copied() == left


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_files_have_one_name_only_nothing_is_replaced_either(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """As on the file systems of cards and sticks."""

    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", refuse)
    stopped.world.put("/a", b"new")
    stopped.world.put("/b", b"b")
    stopped.stop()
    stopped.out.mkdir()
    (stopped.out / "a").write_bytes(b"old")
    assert stopped.export().problems == [f"{stopped.out}/a: exists already, and is left as it is"]
    assert stopped.copied() == {"a": b"old", "b": b"b"}


def test_of_an_edited_file_that_is_not_filled_its_own_bytes_are_copied_and_what_is_missing_is_told(
    tmp_path: Path,
) -> None:
    stopped = Stopped(tmp_path, small_bytes=0)
    stopped.world.theirs("/log.txt", b"0123456789")
    number = stopped.world.open("/log.txt", os.O_WRONLY)
    stopped.world.fs.write(number, 3, b"abc")
    stopped.world.fs.write(number, 10, b"tail")
    stopped.world.close_file(number)
    stopped.stop()
    done = stopped.export()
    [(name, body)] = stopped.copied().items()
    assert name.startswith("log (incomplete copy here ")
    assert body == b"\0\0\0abc\0\0\0\0tail"
    [problem] = done.problems
    assert "7 B of it only the service has" in problem
    assert "(bytes 0-2, 6-9)" in problem
    assert name in problem


def test_of_one_that_is_filled_all_is_copied(tmp_path: Path) -> None:
    stopped = Stopped(tmp_path, small_bytes=0)
    stopped.world.theirs("/log.txt", b"0123456789")
    number = stopped.world.open("/log.txt", os.O_WRONLY)
    stopped.world.fs.write(number, 3, b"abc")
    stopped.world.close_file(number)
    stopped.world.core.filler.step(stopped.world.clock.now_s())
    stopped.stop()
    assert stopped.export().problems == []
    assert stopped.copied() == {"log.txt": b"012abc6789"}


def test_of_a_closed_version_no_bytes_of_the_newer_one_behind_it_are_copied(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copyup, "EXTENDED_FROM_BYTES", 1)
    stopped.world.put("/log", b"closed ")
    number = stopped.world.open("/log", os.O_WRONLY | os.O_APPEND)
    stopped.world.fs.write(number, 0, b"torn")
    stopped.stop()
    stopped.export()
    copied = stopped.copied()
    assert copied.pop("log") == b"closed "
    assert list(copied.values()) == [b"closed torn"]
