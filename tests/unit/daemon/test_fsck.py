"""``mountfs fsck`` where it cannot do its work: its exit code never says that all was repaired."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import run, slotcheck, slotrepair
from daemon.cli.fsck import EXIT_CANNOT
from daemon.cli.slotcheck import SlotCheck
from daemon.places.statedir import Slot
from mountfs.attributes import Caller
from mountfs.clock import boot_id
from mountfs.errors import DiskFull
from mountfs.tree.database import StoreNotNow, StoreUnusable
from mountfs.tree.noticerows import NOTICES_KEPT, Notice
from mountfs.tree.store import Store
from tests.doubles.world import World
from tests.unit.upload.bodies import content_of

EXIT_USAGE = 2


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    """What a mount left, with one file cut short since."""
    slot = tmp_path / "state" / "accounts" / "dropbox-1" / "slot-0"
    slot.mkdir(parents=True, mode=0o700)
    world = World(slot, boot_id=boot_id())
    world.put("/f", b"precious")
    world.core.durability.save()
    os.truncate(world.places.spool / content_of(world, "/f").spool, 3)
    world.close()
    return slot


def fsck(slot: Path, *options: str) -> int:
    return run(["fsck", *options, str(slot.parents[2])])


def test_what_was_cut_is_repaired(slot: Path) -> None:
    assert [fsck(slot), fsck(slot, "--repair"), fsck(slot)] == [4, 1, 0]


def test_what_was_recovered_is_told_whatever_a_mount_had_to_tell_before(
    slot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The journal keeps so many notices, and drops the oldest for a new one."""
    with closing(Store(slot / "journal.db")) as store:
        store.begin()
        for number in range(NOTICES_KEPT):
            store.notices.add(Notice(number, f"/{number}", "told before"))
        store.end()
    assert fsck(slot, "--repair") == 1
    assert "repaired: /f (recovered copy " in capsys.readouterr().out


def test_of_a_journal_whose_tables_are_no_text_the_bytes_are_saved(slot: Path) -> None:
    """SQLite quotes them, and its message cannot be decoded."""
    with closing(sqlite3.connect(slot / "journal.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    body = (slot / "journal.db").read_bytes()
    (slot / "journal.db").write_bytes(body.replace(b"CREATE TABLE nodes", b"CREATE TABL\xff nodes"))
    assert [fsck(slot), fsck(slot, "--repair"), fsck(slot)] == [4, 1, 0]


def test_that_nothing_is_wrong_is_said(slot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fsck(slot, "--repair")
    assert "nothing is wrong" not in capsys.readouterr().out
    fsck(slot)
    assert capsys.readouterr().out.splitlines()[-1] == "dropbox-1/slot-0: nothing is wrong"


@pytest.mark.parametrize(
    "error",
    [
        DiskFull("the disk that keeps the journal is full"),
        StoreUnusable("cannot use the journal"),
        sqlite3.OperationalError("disk I/O error"),
        PermissionError(13, "Permission denied", "journal.db"),
    ],
)
def test_a_repair_that_fails_is_told_and_exits_as_one_that_could_not_be_made(
    slot: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(slotrepair, "Store", fail)
    assert fsck(slot, "--repair") == EXIT_CANNOT
    [line] = capsys.readouterr().err.splitlines()
    assert str(error.args[-1] if isinstance(error, OSError) else error) in line


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_a_lock_that_is_none_is_told(slot: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    lock = slot / "lock"
    lock.unlink(missing_ok=True)
    if kind == "link":
        lock.symlink_to(slot / "journal.db")
    else:
        lock.mkdir()
    assert fsck(slot) == EXIT_CANNOT
    [line] = capsys.readouterr().err.splitlines()
    assert str(lock) in line


def test_a_disk_that_is_full_does_not_cost_a_journal_its_rows(
    slot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = slot / "journal.db"
    with closing(sqlite3.connect(journal)) as db:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'nodes_by_parent'"
        (page,) = db.execute(query).fetchone()
    with journal.open("r+b") as file:
        file.seek(page * 4096 - 60)
        file.write(bytes(range(60)))
    before = journal.read_bytes()

    class Full(sqlite3.Connection):
        """One whose disk is full by the time the indexes are made."""

        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            if arguments == ("REINDEX",):
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return super().execute(*arguments)

    real = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda path, **options: real(path, factory=Full, **options))
        assert fsck(slot, "--repair") == EXIT_CANNOT
    assert [path.name for path in slot.glob("journal.db.*")] == []
    assert journal.read_bytes() == before
    assert fsck(slot, "--repair") == 1


def test_a_disk_that_is_full_is_no_damage_of_the_journal(
    slot: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Path) -> sqlite3.Connection:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE  # there is no room for the index of the log
        raise error

    before = (slot / "journal.db").read_bytes()
    monkeypatch.setattr(slotcheck, "connect_to_read", fail)
    for options in ([], ["--repair"]):
        assert fsck(slot, *options) == EXIT_CANNOT
        [line] = capsys.readouterr().err.splitlines()
        assert f"the disk of {slot} is full: free some space there" in line
    assert (slot / "journal.db").read_bytes() == before


def test_a_journal_that_another_process_has_locked_is_not_taken_for_damaged(
    slot: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with `sqlite3` at work in it. The repair moved it aside, and all its rows with it."""
    journal = slot / "journal.db"
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **options: real(path, **{**options, "timeout": 0}))
    with closing(sqlite3.connect(journal, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        for options in ([], ["--repair"]):
            assert fsck(slot, *options) == EXIT_CANNOT
            assert "database is locked; try again" in capsys.readouterr().err
        with pytest.raises(StoreNotNow, match="database is locked; try again"):
            Store(journal)
        db.execute("ROLLBACK")
    assert list(slot.glob(f"journal.db{slotcheck.DAMAGED}*")) == []
    assert fsck(slot, "--repair") == 1


def test_a_directory_that_may_not_be_read_is_not_taken_for_one_of_something_else(
    slot: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    assert fsck(slot) == EXIT_CANNOT
    assert "may not be read by this user" in capsys.readouterr().err


def test_what_is_called_wrongly_is_told_from_that(slot: Path) -> None:
    assert run(["fsck", "--repair"]) == EXIT_USAGE
    assert run(["fsck", "nobody:"]) == EXIT_USAGE
    assert run(["fsck", str(slot / "missing")]) == EXIT_CANNOT


def test_beside_a_journal_without_a_log_a_look_leaves_nothing(slot: Path) -> None:
    before = {path.name: path.read_bytes() for path in slot.iterdir() if path.is_file()}
    assert "journal.db-wal" not in before
    assert fsck(slot) == 4
    assert {path.name: path.read_bytes() for path in slot.iterdir() if path.is_file()} == {
        **before,
        "lock": b"",
    }


def test_of_a_copy_with_new_indexes_that_does_not_help_nothing_is_left(slot: Path) -> None:
    journal = slot / "journal.db"
    with closing(sqlite3.connect(journal)) as db, db:
        db.execute("UPDATE nodes SET parent = 999 WHERE name = 'f'")
    assert fsck(slot, "--repair") == 1
    assert [path.name for path in slot.glob("journal.db.rebuilt*")] == []
    assert (slot / "journal.db.damaged-1").exists()


@pytest.mark.parametrize("attributes", ["as they were", "nonsense", b"\0\xff"])
def test_what_is_recovered_from_a_damaged_journal_is_as_private_as_it_was(
    tmp_path: Path, attributes: object
) -> None:
    slot = tmp_path / "state" / "accounts" / "dropbox-1" / "slot-0"
    slot.mkdir(parents=True, mode=0o700)
    world = World(slot, boot_id=boot_id())
    number = world.fs.create("/key", os.O_WRONLY | os.O_CREAT, 0o600, Caller(0, 0)).number
    world.fs.write(number, 0, b"secret")
    world.close_file(number)
    world.core.durability.save()
    world.close()
    with closing(sqlite3.connect(slot / "journal.db")) as db, db:
        if attributes != "as they were":
            db.execute("PRAGMA ignore_check_constraints = ON")
            db.execute("UPDATE nodes SET attributes = CAST(? AS TEXT)", (attributes,))
        db.execute("DROP INDEX nodes_by_parent")
    assert fsck(slot, "--repair") == 1
    world.start()
    (copy,) = world.names()
    assert stat.S_IMODE(world.fs.getattr(f"/{copy}").mode) == 0o600
    world.close()


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("can_link", [True, False])
@pytest.mark.parametrize("has_successor", [True, False])
def test_a_repair_that_is_killed_keeps_all_of_the_damaged_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_successor: bool, can_link: bool
) -> None:
    """And where there is another one to take its place, there is a journal at each moment: without one the
    next mount would know names alone."""
    for steps in range(9):
        directory = tmp_path / f"slot-{steps}"
        directory.mkdir()
        slot, successor = SlotCheck(Slot(directory, fd=-1)), directory / "journal.db.rebuilt"
        for ending in ("", "-wal", "-attributes"):
            Path(f"{slot.journal}{ending}").write_text(f"old{ending}")
        successor.write_text("new")
        with monkeypatch.context() as patched:
            kill_at(patched, steps, can_link=can_link)
            with contextlib.suppress(Killed):
                slotrepair._move_journal_away(slot, successor if has_successor else None)
        kept = {path.name: path.read_text() for path in directory.iterdir()}
        assert {"old", "old-wal", "old-attributes"} <= {*kept.values()}
        if has_successor and can_link:
            assert kept["journal.db"] in ("old", "new")
        if kept.get("journal.db") == "new":
            assert "journal.db-wal" not in kept
    assert kept["journal.db.damaged-1-wal"] == "old-wal"
    assert kept.get("journal.db") == ("new" if has_successor else None)


def kill_at(patched: pytest.MonkeyPatch, steps: int, *, can_link: bool) -> None:
    """Lets so many names be given or taken away."""
    left = steps

    def dying(call: Callable[..., None]) -> Callable[..., None]:
        def step(*arguments: object, **named: object) -> None:
            nonlocal left
            if not left:
                raise Killed
            left -= 1
            call(*arguments, **named)

        return step

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    for name in ("rename", "replace", "unlink"):
        patched.setattr(os, name, dying(getattr(os, name)))
    patched.setattr(os, "link", dying(os.link) if can_link else refuse)


@pytest.mark.parametrize("can_rebuild", [True, False])
def test_what_only_the_log_of_attributes_has_is_kept_of_a_damaged_journal(
    tmp_path: Path, can_rebuild: bool
) -> None:
    slot = tmp_path / "state" / "accounts" / "dropbox-1" / "slot-0"
    slot.mkdir(parents=True, mode=0o700)
    world = World(slot, boot_id=boot_id())
    world.put("/key", b"secret")
    world.core.durability.save()
    world.fs.metadata.chmod("/key", 0o600)
    world.close()  # as a kill does
    assert (slot / "journal.db-attributes").stat().st_size
    with closing(sqlite3.connect(slot / "journal.db")) as db, db:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'nodes_by_parent'"
        (page,) = db.execute(query).fetchone()
        if not can_rebuild:
            db.execute("DROP INDEX nodes_by_parent")
    if can_rebuild:
        with (slot / "journal.db").open("r+b") as file:
            file.seek(page * 4096 - 60)
            file.write(bytes(range(60)))
    assert fsck(slot, "--repair") == 1
    assert (slot / "journal.db.damaged-1-attributes").exists()
    world.start()
    (name,) = world.names()
    assert (name == "key") is can_rebuild
    assert stat.S_IMODE(world.fs.getattr(f"/{name}").mode) == 0o600
    world.close()
