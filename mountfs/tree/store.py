"""The tree on disk: rows written before anything is shown, read at a start or when a folder is looked at."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mountfs.errors import DiskFull
from mountfs.tree.attributelog import AttributeLog, forget_former
from mountfs.tree.content import Content
from mountfs.tree.database import BUSY_S, check_version, check_whole, connect, is_full, unusable
from mountfs.tree.detachedrows import DetachedRows, delete_nodes
from mountfs.tree.gaprows import GapRows, read_gaps
from mountfs.tree.keptrows import KeptRows
from mountfs.tree.knownfiles import KnownFiles
from mountfs.tree.listing import Listing
from mountfs.tree.node import ROOT_ID, Flight, Node, State
from mountfs.tree.noticerows import NoticeRows
from mountfs.tree.orphanrows import OrphanRows
from mountfs.tree.partrows import PartRows
from mountfs.tree.pinrows import PinRows
from mountfs.tree.rows import (
    CONTENT_COLUMNS,
    NEW_FILE,
    NODE_COLUMNS,
    UPSERT_CONTENT,
    UPSERT_NODE,
    FlightRow,
    NodeRow,
    Role,
    Value,
    content_row,
    content_values,
    flight_row,
    flight_values,
    listing_of,
    listing_values,
    node_row,
    node_update,
    node_values,
)
from mountfs.tree.walkrows import SAVE_LISTING, WalkRows

IDS_AT_ONCE = 10_000
"""Ids are reserved in blocks of this many, so that a new one costs no write."""
MOST_IDS = 2**62
LEAP = 2**32
"""Farther beyond the ids in rows than any number that was given and is none of them: a moment's, a removed
node's, or one in the label of a spool file."""
_NUMBERED = ("nodes", "contents", "flights")
CHECKED_BYTES = 8 * 1024 * 1024
"""A database up to this size is checked at every start, which takes it a tenth of a second."""


def next_id_in(db: sqlite3.Connection) -> int:
    """The number that nothing in the database has, nor a higher one: what it says itself, if that can be, or
    else one that is far from all in use. Two things with one number would be written over each other.
    ValueError: there is none left."""
    (said,) = db.execute("SELECT value FROM meta WHERE key = 'next_id'").fetchone() or ("",)
    used = [db.execute(f"SELECT max(id) FROM {table}").fetchone()[0] for table in _NUMBERED]
    most = max(ROOT_ID, *(each or 0 for each in used))
    if said.isascii() and said.isdecimal() and len(said) < 20 and most < int(said) < MOST_IDS:
        return int(said)
    next_id = most + (LEAP if said or most > ROOT_ID else 1)
    if next_id >= MOST_IDS:
        raise ValueError(f"its next number is to be {next_id}")
    return next_id


class Store:
    """One account's tree in SQLite, used by one process, under the tree's lock.

    Writes belong into a transaction (``begin`` to ``end``); the tree makes them, see ``Tree.transaction``.
    """

    def __init__(self, path: Path, *, ends_sessions: bool = True, boot_id: str = "") -> None:
        """Opens or makes the database at *path*, or StoreUnusable. *ends_sessions*: as in the limits.
        *boot_id*: of the machine's run; after another one the database is checked whatever its size."""
        self.path = path
        self.boot_id = boot_id
        self.on_full: Callable[[], object] = lambda: None
        """Called when the disk is full: whoever holds space back for that gives it."""
        self.commits = 0
        """How many transactions are in the database since it was opened."""
        self._ended_flights: list[int] = []
        self._spent_contents: dict[int, None] = {}
        """Rows that this transaction has done with: written by one statement for all of them."""
        forget_former(path)
        self._db = connect(path)
        self.gaps = GapRows(self._db)
        self.walked = WalkRows(self._db)
        self.known_files = KnownFiles(self._db)
        self.kept = KeptRows(self._db)
        self.orphans = OrphanRows(self._db, are_kept=ends_sessions)
        self.notices = NoticeRows(self._db)
        self.detached = DetachedRows(self._db)
        self.pins = PinRows(self._db)
        self.attribute_log = AttributeLog(path, boot_id)
        try:
            check_version(self._db)
            if path.stat().st_size <= CHECKED_BYTES or self.fact("boot_id") != boot_id:
                check_whole(self._db)
            self.attribute_log.replay(self._db)
            self._next_id = next_id_in(self._db)
            self.parts = PartRows(self._db)
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._db.close()
            raise unusable(path, error) from error
        self._reserved_id = self._next_id

    # Transactions

    def begin(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")  # of one that could not be cancelled
        self._db.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        """Commits the transaction. DiskFull."""
        try:
            self._write_ends()
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self.error_of(error) from error
        self.commits += 1

    def cancel(self) -> None:
        """Rolls the transaction back."""
        self._ended_flights.clear()
        self._spent_contents.clear()
        # The next id stays where it is: one that was handed out is never handed out again.
        self._reserved_id = min(self._reserved_id, self._next_id)
        # A full or failing disk makes SQLite roll back by itself.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _write_ends(self) -> None:
        if self._ended_flights:
            rows = [(each,) for each in self._ended_flights]
            self._db.executemany("DELETE FROM flights WHERE id = ?", rows)
            self._ended_flights.clear()
        if self._spent_contents:
            rows = [(each,) for each in self._spent_contents]
            self._db.executemany("UPDATE contents SET node = NULL WHERE id = ?", rows)
            self._spent_contents.clear()

    def error_of(self, error: sqlite3.Error) -> Exception:
        """DiskFull for a full disk, else *error*."""
        if is_full(error):
            self.on_full()
            return DiskFull(f"the disk that keeps the journal is full: {error}")
        return error

    def next_id(self) -> int:
        """A number that was never used before for anything: nodes, contents, flights, moments."""
        self._next_id += 1
        return self._next_id - 1

    def reserve_ids(self) -> None:
        """Keeps what ``next_id`` gave from being given again by a later process. Called by each write."""
        if self._next_id > self._reserved_id:
            self._reserved_id = self._next_id + IDS_AT_ONCE
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('next_id', ?)", (str(self._reserved_id),))

    # Nodes

    def save_nodes(self, nodes: Iterable[tuple[Node, State]], *, is_dirty: Iterable[bool]) -> None:
        """Writes the rows of *nodes* as they are in the given states."""
        self.reserve_ids()
        rows = [node_values(node, state, dirty) for (node, state), dirty in zip(nodes, is_dirty, strict=True)]
        self._db.executemany(UPSERT_NODE, rows)

    def update_node(self, node: Node, before: State, after: State, *, is_dirty: bool) -> None:
        """Writes *after* into the row of *node*, which is that of *before*; makes one where there is none."""
        statement, values = node_update(node, before, after, is_dirty)
        if self._db.execute(statement, values).rowcount:
            self.reserve_ids()
        else:
            self.save_nodes([(node, after)], is_dirty=[is_dirty])

    def delete_nodes(self, node_ids: Iterable[int]) -> None:
        delete_nodes(self._db, node_ids)

    def node(self, node_id: int) -> NodeRow | None:
        return next(self._select_nodes("id = ?", (node_id,)), None)

    def children(self, folder_id: int, *, after_id: int = 0, most: int = -1) -> list[NodeRow]:
        """What is shown in a folder, ascending by id; *most*: at most so many, -1: all."""
        where = "parent = ? AND id > ? ORDER BY id LIMIT ?"
        return list(self._select_nodes(where, (folder_id, after_id, most)))

    def folders_in(self, folder_id: int) -> Iterator[tuple[int, str]]:
        """The ids of folders that are shown in a folder, and the service's names of them."""
        ask = "SELECT id, base_name FROM nodes WHERE parent = ? AND kind = 'folder' AND base_name IS NOT NULL"
        return self._db.execute(ask, (folder_id,))

    def by_remote_id(self, remote_id: str) -> list[NodeRow]:
        """The nodes that the service knows by *remote_id*, also those below a folder that vanished."""
        return list(self._select_nodes("remote_id = ? AND remote_id <> ''", (remote_id,)))

    def dirty_nodes(self) -> Iterator[tuple[int, int, str, int, int, str | None]]:
        """A tuple for each node that is not clean, by id: id, parent, name, touched_ns, whether it is a
        ``NEW_FILE``, attributes."""
        columns = f"id, parent, name, touched_ns, {NEW_FILE}, attributes"
        return self._db.execute(f"SELECT {columns} FROM nodes WHERE is_dirty ORDER BY id")

    def live_nodes(self, *, but: str = "FALSE") -> Iterator[NodeRow]:
        """The nodes that a start must know of: those that are not clean, by id, but for those of which the
        condition *but* holds; then clean ones that carry a refusal."""
        yield from self._select_nodes(f"is_dirty AND NOT ({but}) ORDER BY id", ())
        yield from self._select_nodes("refused IS NOT NULL AND NOT is_dirty", ())

    def timed_nodes(self) -> Iterator[NodeRow]:
        """Clean nodes with a time, or with attributes, that are kept here; and special ones."""
        where = "(time_s IS NOT NULL OR attributes IS NOT NULL) AND NOT is_dirty"
        return self._select_nodes(where, ())

    def count_specials(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM nodes WHERE kind = 'special'").fetchone()[0])

    def _select_nodes(self, where: str, values: tuple[Value, ...]) -> Iterator[NodeRow]:
        return map(node_row, self._db.execute(f"SELECT {NODE_COLUMNS} FROM nodes WHERE {where}", values))

    # Contents

    def save_contents(self, contents: Iterable[tuple[Content, int | None, Role]]) -> None:
        """Writes the rows of contents, each with its node (None: it is spent) and its role there."""
        self.reserve_ids()
        rows = [content_values(*each) for each in contents]
        self._db.executemany(UPSERT_CONTENT, rows)
        for row in rows if self._spent_contents else ():
            self._spent_contents.pop(int(row[0] or 0), None)

    def spend_content(self, content: Content) -> None:
        """*content* is nobody's any more; its row stays for the sweeper, without a node."""
        self._spent_contents[content.id] = None
        if self.parts.has_some:
            self.parts.clear(content.id)

    def mark_synced(self, content_ids: Iterable[int]) -> None:
        self._db.executemany(
            "UPDATE contents SET is_synced = 1 WHERE id = ?", [(each,) for each in content_ids]
        )

    def delete_contents(self, content_ids: Sequence[int]) -> None:
        self._db.executemany("DELETE FROM contents WHERE id = ?", [(each,) for each in content_ids])
        self.gaps.delete(content_ids)

    def contents(self) -> Iterator[tuple[Content, int | None, Role]]:
        """All contents, each with its node (None: it is spent) and its role there."""
        self._write_ends()
        rows, gaps = self._db.execute(f"SELECT {CONTENT_COLUMNS} FROM contents"), read_gaps(self._db)
        return (content_row(row, gaps) for row in rows)

    def spool_names(self) -> set[str]:
        """The names of all spool files that rows name."""
        return {name for (name,) in self._db.execute("SELECT spool FROM contents")}

    # Flights

    def save_flights(self, flights: Sequence[Flight], batch: int, *, first: int = 0) -> None:
        """Writes orders of one batch, in the order of their outcomes; *first*: the position of the first."""
        self.reserve_ids()
        self._write_ends()
        self._db.executemany(
            f"INSERT INTO flights VALUES ({', '.join('?' * 19)})",
            [flight_values(flight, batch, position) for position, flight in enumerate(flights, first)],
        )

    def set_job(self, batch: int, job: str | None) -> None:
        self._db.execute("UPDATE flights SET job = ? WHERE batch = ?", (job, batch))

    def move_flights(self, flights: Iterable[Flight], batch: int) -> None:
        """Some orders go on as a batch of their own, without a job."""
        rows = [(batch, flight.id) for flight in flights]
        self._db.executemany("UPDATE flights SET batch = ?, job = NULL WHERE id = ?", rows)

    def delete_flight(self, flight: Flight) -> None:
        self._ended_flights.append(flight.id)

    def flights(self) -> list[FlightRow]:
        """All flights, by batch and position."""
        self._write_ends()
        found = self._db.execute("SELECT * FROM flights ORDER BY batch, position")
        return [flight_row(row) for row in found]

    # Listings

    def save_listing(self, folder_id: int, listing: Listing) -> None:
        self.reserve_ids()
        self._db.execute(SAVE_LISTING, listing_values(folder_id, listing))

    def listing(self, folder_id: int) -> Listing | None:
        row = self._db.execute("SELECT * FROM listings WHERE node = ?", (folder_id,)).fetchone()
        return None if row is None else listing_of(row)

    def listings_of(self, rows: Iterable[NodeRow]) -> dict[int, Listing]:
        """The listings of those of *rows* that are folders, by their ids."""
        ids = [row.id for row in rows if row.is_folder]
        return self.walked.listings_of(ids) if ids else {}

    def listings_of_dirty(self) -> dict[int, Listing]:
        """The listings of the folders that are not clean, by their ids."""
        found = self._db.execute("SELECT listings.* FROM nodes JOIN listings ON node = id WHERE is_dirty")
        return {row[0]: listing_of(row) for row in found}

    # Facts

    def fact(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_fact(self, key: str, value: str | None) -> None:
        """None removes it."""
        if value is None:
            self._db.execute("DELETE FROM meta WHERE key = ?", (key,))
        else:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # The log

    def checkpoint(self, mode: str) -> None:
        """Moves rows from the write-ahead log to the database; *mode* as SQLite's ``wal_checkpoint`` has it.
        Where another process is reading, it does what it can, and does not wait."""
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            self._db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")

    def close(self) -> None:
        self.attribute_log.close()
        self._db.close()
