"""The SQLite database under the tree: opening it, and what is wrong with it."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from mountfs.errors import MountfsError, NoSpace
from mountfs.tree.schema import DDL, VERSION

WAL_BYTES = 4 * 1024 * 1024
"""A write-ahead log longer than this is due for a checkpoint: SQLite's own default of 1000 pages."""


BUSY_S = 30
"""How long a statement waits for another process that has the database locked, as an administrator may."""


MACHINE_TROUBLE = (sqlite3.Error, OSError, MemoryError, NoSpace)
"""What this machine raises when it is in trouble, whatever is asked of it."""


UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises of a database that is damaged: where it quotes what is no text any more, Python cannot
decode its message."""


class StoreUnusable(MountfsError):
    """The database cannot be opened: it is damaged, or of another version of mountfs."""


class StoreNotNow(StoreUnusable):
    """The database cannot be opened at the moment: nothing is known to be wrong with what is in it."""


class StoreDiskFull(StoreNotNow):
    """The database cannot be opened for want of room on its disk."""


class OtherVersion(ValueError):
    """The database is of another version of mountfs, and nothing says that it is damaged."""


def connect(path: Path) -> sqlite3.Connection:
    """Opens or makes the database at *path*, for one process at a time. StoreUnusable when it cannot."""
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
    except UNREADABLE as error:
        raise unusable(path, error) from error
    try:
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        # A row outlives the process from the page cache; what must outlive the machine is synced apart.
        db.execute("PRAGMA synchronous = NORMAL")
        # Checkpoints sync files: the background syncer makes them, not a caller in the kernel's way.
        db.execute("PRAGMA wal_autocheckpoint = 0")
        # What a statement of many rows would undo is kept in memory: in a file it costs more than the rows.
        db.execute("PRAGMA temp_store = MEMORY")
        # The log gives its space back when it starts over, so that its size tells when the next is due.
        db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            db.executescript(f"BEGIN; {DDL} COMMIT;")
    except (*UNREADABLE, OSError) as error:
        db.close()
        raise unusable(path, error) from error
    return db


def connect_to_read(path: Path) -> sqlite3.Connection:
    """For reading alone, of a database that no process writes to meanwhile. Beside one without a log no file
    is made; beside a log SQLite makes its index (-shm) where that is missing. UNREADABLE."""
    has_log = Path(f"{path}-wal").exists()
    mode = "mode=ro" if has_log else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)


def check_whole(db: sqlite3.Connection, *, with_indexes: bool = False) -> None:
    """Raises sqlite3.Error or ValueError unless all of the database can be read; *with_indexes*: and each
    index is that of its table, for which a start has no time."""
    check = "integrity_check" if with_indexes else "quick_check"
    verdict = db.execute(f"PRAGMA {check}(1)").fetchone()[0]
    if verdict != "ok":
        raise ValueError(str(verdict).replace("\n", " "))


def check_version(db: sqlite3.Connection) -> None:
    """Raises OtherVersion, or sqlite3.Error or another ValueError for damage, unless the database is of this
    version, with its tables."""
    found = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    version = "none" if found is None else str(found[0])
    if version != str(VERSION):
        kind = OtherVersion if version.isdecimal() else ValueError
        raise kind(f"its version is {version}, this mountfs knows {VERSION}")
    if _tables(db) != _new_tables():
        raise ValueError(f"its tables are not those of version {VERSION}")


@cache
def _new_tables() -> list[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as new:
        new.executescript(DDL)
        return _tables(new)


def _tables(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Tables and indexes, as they were made."""
    return db.execute(
        "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()


def unusable(path: Path, error: Exception) -> StoreUnusable:
    """What is wrong with the file at *path*, and what to do; nobody deletes it."""
    if isinstance(error, NoSpace) or (isinstance(error, sqlite3.Error) and is_full(error)):
        return StoreDiskFull(f"the disk of {path.parent} is full: free some space there, then mount again")
    if isinstance(error, sqlite3.Error) and is_passing(error):
        return StoreNotNow(f"cannot use the journal {path} at the moment: {error}; try again")
    slot = shlex.quote(str(path.parent))
    if isinstance(error, OtherVersion):
        return StoreUnusable(
            f"cannot use the journal {path}: {error}; use the mountfs that wrote it, or, once that has sent "
            f"all that is pending, move {slot} away"
        )
    return StoreUnusable(
        f"cannot use the journal {path}: {error}; restore it, or run mountfs fsck --repair {slot}: "
        "what was pending stays in the files beside it"
    )


def is_passing(error: sqlite3.Error) -> bool:
    """Whether it says nothing of what is in the database: the disk is full, another process has it locked, or
    memory is short."""
    code = getattr(error, "sqlite_errorcode", 0)
    is_locked = code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)  # the other bits tell by what
    return is_locked or code == sqlite3.SQLITE_IOERR_NOMEM or is_full(error)


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk has no room for what was to be written, be it for the index of the log alone."""
    return getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
