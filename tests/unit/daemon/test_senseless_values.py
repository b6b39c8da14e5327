"""A journal in which one value makes no sense: what is wrong is told in a line, and all bytes get out."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.cli.export import export_stopped
from daemon.cli.fsck import _look_at
from daemon.cli.slotcheck import SlotCheck
from daemon.failure import Failure
from daemon.places.statedir import Slot, StateDir
from mountfs.clock import boot_id
from mountfs.model.entry import Account
from mountfs.model.path import RemotePath
from mountfs.spool.disk import RealDisk
from mountfs.spool.spool import is_name
from mountfs.tree.database import StoreUnusable
from tests.doubles.world import World
from tests.unit.upload.bodies import SMALL_LIMITS

GAPPED = b"\0\0\0abc\0\0\0\0"

# That a start, too, refuses.
FATAL = {
    "a kind of a later version": "UPDATE nodes SET kind = 'portal' WHERE name = 'f'",
    "a size below nothing": "UPDATE contents SET size_bytes = -1 WHERE under_id IS NULL",
    "a gap of a third kind": "UPDATE gaps SET is_written = 2 WHERE start = 0",
    "a gap that ends before it begins": "UPDATE gaps SET stop = -5 WHERE start = 0",
}


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """One with a slot in which a new file and an edited one with gaps are pending."""
    state = StateDir(tmp_path / "state")
    slot = tmp_path / "state" / "accounts" / "dropbox-1" / "slot-0"
    slot.mkdir(parents=True, mode=0o700)
    world = World(slot, limits=SMALL_LIMITS, boot_id=boot_id(), settings={"small_bytes": 0})
    world.theirs("/gapped", b"0123456789")
    number = world.open("/gapped", os.O_WRONLY)
    world.fs.write(number, 3, b"abc")
    world.close_file(number)
    world.put("/f", b"precious")
    world.core.durability.save()
    world.close()
    state.identify("work", "secret", lambda: Account("dropbox-1", "Franz"))
    return state


def slot_of(state: StateDir) -> Path:
    return state.path / "accounts" / "dropbox-1" / "slot-0"


def change(state: StateDir, statement: str) -> None:
    with closing(sqlite3.connect(slot_of(state) / "journal.db", isolation_level=None)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        assert db.execute(statement).rowcount == 1


def loosen(state: StateDir, column: str, value: object) -> None:
    """Gives the row of f a value that no SQLite lets in: as where a disk has turned a bit."""
    journal = slot_of(state) / "journal.db"
    master = "UPDATE sqlite_master SET sql = ? WHERE name = 'contents'"
    with closing(sqlite3.connect(journal, isolation_level=None)) as db:
        [made] = db.execute("SELECT sql FROM sqlite_master WHERE name = 'contents'").fetchone()
        db.execute("PRAGMA writable_schema = ON")
        db.execute(master, (made.replace("INTEGER NOT NULL", "BLOB").replace(" STRICT", ""),))
    with closing(sqlite3.connect(journal, isolation_level=None)) as db:
        db.execute(f"UPDATE contents SET {column} = ? WHERE under_id IS NULL", (value,))
        db.execute("PRAGMA writable_schema = ON")
        db.execute(master, (made,))


def exported(state: StateDir, folder: Path) -> tuple[dict[str, bytes], list[str]]:
    export = export_stopped(state, "work", RemotePath(""), folder, "host", RealDisk().label_of, is_name)
    return {each.name: each.read_bytes() for each in folder.iterdir()}, export.problems


def bytes_in(slot: Path) -> set[bytes]:
    return {file.read_bytes() for file in slot.rglob("*") if file.is_file()}


def start(state: StateDir) -> World:
    return World(slot_of(state), limits=SMALL_LIMITS, boot_id=boot_id(), settings={"small_bytes": 0})


@pytest.mark.parametrize("statement", FATAL.values(), ids=list(FATAL))
def test_a_start_refuses_it_and_a_repair_saves_the_bytes(state: StateDir, statement: str) -> None:
    change(state, statement)
    with pytest.raises(StoreUnusable, match="run mountfs fsck --repair"):
        start(state)
    slot = Slot(slot_of(state), fd=-1)
    [fault] = [finding for finding in SlotCheck(slot).check() if finding.is_fault]
    assert (fault.where, "\n" in fault.text) == ("journal.db", False)
    assert _look_at(slot, True) == 1
    assert {b"precious", GAPPED} <= bytes_in(slot.directory)
    world = start(state)
    [copy] = [name for name in world.names() if "recovered" in name]
    assert world.get(f"/{copy}") == b"precious"
    world.close()


@pytest.mark.parametrize("name", ["x" * 5000, "\u00e4" * 128])
def test_a_name_that_no_spool_file_can_have_is_told(state: StateDir, name: str) -> None:
    change(state, f"UPDATE contents SET spool = '{name}' WHERE under_id IS NULL")
    slot = Slot(slot_of(state), fd=-1)
    wheres = [finding.where for finding in SlotCheck(slot).check() if finding.is_fault]
    assert wheres == ["/f"]
    _look_at(slot, True)
    assert {b"precious", GAPPED} <= bytes_in(slot.directory)


@pytest.mark.parametrize("value", [None, "text", -1, 2**62])
@pytest.mark.parametrize("column", ["size_bytes", "time_s", "time_ns", "is_flushed"])
def test_all_bytes_are_exported_whatever_else_their_row_says(
    state: StateDir, tmp_path: Path, column: str, value: object
) -> None:
    loosen(state, column, value)
    found, problems = exported(state, tmp_path / "out")
    assert b"precious" in found.values()
    assert len(problems) == 1, "that of the gaps"


def test_gaps_without_sense_are_told_and_no_zeros_are_exported(state: StateDir, tmp_path: Path) -> None:
    change(state, FATAL["a gap of a third kind"])
    with pytest.raises(Failure, match="pending bytes without their names are in"):
        exported(state, tmp_path / "out")


@pytest.mark.parametrize("key", ["late_files", "late_moves", "late_versions", "late_removals"])
@pytest.mark.parametrize("value", ["", "text", "null", "{}", "[[1]]", '[["a", "b", "c", "d", "e"]]'])
def test_facts_without_sense_keep_no_mount_from_starting(state: StateDir, key: str, value: str) -> None:
    with closing(sqlite3.connect(slot_of(state) / "journal.db")) as db, db:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
    world = start(state)
    assert world.names() == {"f", "gapped"}
    world.close()
