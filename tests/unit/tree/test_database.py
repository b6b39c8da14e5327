"""Opening the database: private, whole and of this version, or refused in words that say what to do."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mountfs.tree import store as store_module
from mountfs.tree.database import StoreNotNow, StoreUnusable, unusable
from mountfs.tree.node import ROOT_ID, Node, State
from mountfs.tree.schema import DDL, VERSION
from mountfs.tree.store import Store
from tests.doubles.rows import count_nodes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Of a store with some rows in it."""
    file = tmp_path / "journal.db"
    store = Store(file, boot_id="boot-1")
    root = Node(ROOT_ID, is_folder=True)
    nodes = [(Node(number, is_folder=False), State(root, str(number))) for number in range(2, 102)]
    store.begin()
    store.save_nodes(nodes, is_dirty=[True] * len(nodes))
    store.set_fact("boot_id", "boot-1")
    store.end()
    store.close()
    return file


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)


def replace_with_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_the_database_is_private(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_whole_one_is_opened_again(file: Path) -> None:
    store = Store(file)
    assert count_nodes(store) == 100
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b"this is no database at all " * 40), id="another file"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:5000]), id="cut short"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40000), id="overwritten"
        ),
        pytest.param(lambda path: execute(path, "DELETE FROM meta"), id="no version"),
        pytest.param(lambda path: execute(path, "DROP TABLE meta"), id="no facts"),
        pytest.param(lambda path: execute(path, "DROP TABLE nodes"), id="no nodes"),
        pytest.param(lambda path: execute(path, "DROP TABLE flights"), id="no flights"),
        pytest.param(
            lambda path: execute(path, "ALTER TABLE contents DROP COLUMN session"), id="no sessions"
        ),
        pytest.param(
            lambda path: execute(path, "UPDATE meta SET value = 'x' WHERE key = 'schema'"), id="odd version"
        ),
        pytest.param(
            lambda path: execute(
                path, "PRAGMA ignore_check_constraints = 1", "UPDATE nodes SET kind = 'lost'"
            ),
            id="odd word",
        ),
        pytest.param(replace_with_directory, id="a directory"),
    ],
)
def test_a_damaged_one_says_so_and_is_left_alone(file: Path, damage: Callable[[Path], object]) -> None:
    damage(file)
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(StoreUnusable) as refusal:
        Store(file)
    assert str(file) in str(refusal.value)
    assert f"mountfs fsck --repair {file.parent}" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert (file.read_bytes() if file.is_file() else None) == before


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1, 99])
def test_one_of_another_version_says_which_and_is_left_alone(file: Path, version: int) -> None:
    execute(file, f"UPDATE meta SET value = '{version}' WHERE key = 'schema'")
    before = file.read_bytes()
    with pytest.raises(
        StoreUnusable, match=f"its version is {version}, this mountfs knows {VERSION}"
    ) as told:
        Store(file)
    assert "use the mountfs that wrote it" in str(told.value)
    assert str(told.value).endswith(f"once that has sent all that is pending, move {file.parent} away")
    assert file.read_bytes() == before


def test_other_tables_are_another_version() -> None:
    """A journal that says it is of this version, and was made with other tables, passes for a damaged one,
    which a repair takes apart: whoever changes a letter of the tables raises VERSION, and then these."""
    assert (VERSION, hashlib.sha256(DDL.encode()).hexdigest()[:16]) == (6, "b8c184640913bae3")


def test_one_with_the_tables_of_an_earlier_version_says_which(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    execute(
        file,
        "CREATE TABLE changes (id INTEGER PRIMARY KEY, path TEXT NOT NULL) STRICT",
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        "INSERT INTO meta VALUES ('schema', '1')",
    )
    with pytest.raises(StoreUnusable, match="its version is 1"):
        Store(file)


def test_a_large_one_of_another_version_is_refused_within_the_same_run_of_the_machine(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large database is not read through at every start; its version is looked at nevertheless."""
    monkeypatch.setattr(store_module, "CHECKED_BYTES", 0)
    Store(file, boot_id="boot-1").close()
    execute(file, "UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(StoreUnusable, match="its version is 99"):
        Store(file, boot_id="boot-1")


def test_a_large_one_is_read_through_after_the_machine_was_started_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "CHECKED_BYTES", 0)
    execute(file, "PRAGMA ignore_check_constraints = 1", "UPDATE nodes SET kind = 'lost'")
    Store(file, boot_id="boot-1").close()
    with pytest.raises(StoreUnusable):
        Store(file, boot_id="boot-2")


@pytest.mark.parametrize(
    ("code", "is_lasting"),
    [
        (sqlite3.SQLITE_BUSY, False),
        (sqlite3.SQLITE_BUSY_RECOVERY, False),
        (sqlite3.SQLITE_LOCKED, False),
        (sqlite3.SQLITE_IOERR_NOMEM, False),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_IOERR_READ, True),
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_NOTADB, True),
    ],
)
def test_a_lock_and_a_lack_say_nothing_of_what_is_in_it(file: Path, code: int, *, is_lasting: bool) -> None:
    """A person would be told to repair it, and a service not be started again."""
    error = sqlite3.OperationalError("no")
    error.sqlite_errorcode = code
    told = unusable(file, error)
    assert isinstance(told, StoreNotNow) is not is_lasting
    assert ("fsck --repair" in str(told)) is is_lasting
