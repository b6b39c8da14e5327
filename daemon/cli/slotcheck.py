"""What is wrong with one slot of a state directory, in lines for a person. What it keeps stays as it is."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from daemon.control.status import in_bytes, plural
from daemon.places.statedir import Slot
from mountfs.clock import boot_id
from mountfs.model.hashing import HashKind, hasher
from mountfs.spool.disk import DAMAGE, RealDisk
from mountfs.spool.spool import is_name
from mountfs.tree.content import Content
from mountfs.tree.database import (
    OtherVersion,
    check_version,
    check_whole,
    connect_to_read,
    is_passing,
    unusable,
)
from mountfs.tree.doubt import CUT_SHORT, LOST, TORN, UNPROVEN, doubt
from mountfs.tree.gaprows import read_gaps
from mountfs.tree.label import NOBODYS, Label, read_label
from mountfs.tree.node import ROOT_ID
from mountfs.tree.peek import Names, names_down_to
from mountfs.tree.recovery import BOOT_FACT
from mountfs.tree.rows import CONTENT_COLUMNS, NODE_COLUMNS, content_row, flight_row, node_row
from mountfs.tree.store import next_id_in
from mountfs.tree.strays import set_aside_directory

READ_BYTES = 4 * 1024 * 1024

DAMAGED = ".damaged-"
"""Stands in the name of a journal that was moved away."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: where, what it means, what to do. *is_fault*: else a note of what any crash may leave."""

    where: str
    text: str
    is_fault: bool = True


@dataclass(frozen=True, slots=True)
class Pending:
    """A version that waits to be sent, with the path its node is shown at."""

    path: str
    name: str
    content: Content


class JournalUnusable(Exception):
    """The journal cannot be read, or contradicts itself: no mount may use it."""


class SlotCheck:
    """Looks at one slot, which no mount uses meanwhile."""

    def __init__(self, slot: Slot) -> None:
        self.directory = slot.directory
        self.journal = slot.journal
        self.spool = slot.spool
        self.set_aside = set_aside_directory(self.spool)
        self.is_shared = slot.is_shared
        self.disk = RealDisk()

    def check(self) -> list[Finding]:
        """All that is wrong, and all that a person should know."""
        if not self.journal.exists():
            return [*self._check_without_journal(), *self._check_leftovers()]
        try:
            journal = Journal(self.journal)
        except OtherVersion as error:
            text = (
                f"{error}; use the mountfs that wrote it: what is pending in it stays as it is. Once it has "
                "sent all of that, move the slot away"
            )
            return [Finding("journal.db", text), *self._check_leftovers()]
        except JournalUnusable as error:
            found = [
                Finding(
                    "journal.db",
                    f"cannot be used: {error}; no mount starts with it. Restore it from a backup, or "
                    "--repair it: what can be read of it is kept, the rest becomes recovered copies",
                )
            ]
            return [*found, *self._check_leftovers()]
        found = [finding for each in journal.pending for finding in self._check_version(journal, each)]
        return [*found, *self._check_strays(journal), *self._check_leftovers()]

    def sizes(self) -> dict[str, int]:
        """Bytes of every spool file."""
        return self.disk.sizes(str(self.spool)) if self.spool.is_dir() else {}

    def label_of(self, name: str) -> str | None:
        return self.disk.label_of(str(self.spool / name))

    def aside(self, name: str) -> Path | None:
        """The spool file of that name, if it was set aside; None for a name that no file has."""
        path = self.set_aside / name
        return path if is_name(name) and path.exists() else None

    def hash_of(self, content: Content) -> str:
        """Of its spool file's bytes, in the algorithm of the hash it is known by; empty where the disk cannot
        read them."""
        assert content.content_hash is not None
        state = hasher(HashKind.of(content.content_hash))
        left = content.size_bytes
        try:
            with (self.spool / content.spool).open("rb") as file:
                while left and (piece := file.read(min(READ_BYTES, left))):
                    state.update(piece)
                    left -= len(piece)
        except OSError as error:
            if error.errno not in DAMAGE:
                raise
            return ""
        return state.hexdigest()

    # Inside

    def _check_without_journal(self) -> Iterator[Finding]:
        """A new journal knows the top alone: what says that it belongs there becomes a recovered copy."""
        lost = 0
        for name, size_bytes in sorted(self.sizes_by_name.items()):
            label = self.label_of(name)
            if not size_bytes or label == NOBODYS or self.is_shared(name):
                continue
            place = None if label is None else read_label(label)
            if place is not None and place.folder_id == ROOT_ID:
                text = f"the next mount shows it at the top, as a recovered copy of {place.name}"
                yield Finding(f"spool/{name}", text, is_fault=False)
            else:
                lost += 1
        if lost:
            yield Finding(
                "journal.db",
                f"is missing, and {plural(lost, 'pending file')} with it lost their folders; --repair makes "
                "recovered copies of those that say what they are, at the top, and sets the others aside",
            )

    def _check_version(self, journal: Journal, pending: Pending) -> Iterator[Finding]:
        content = pending.content
        size_bytes = self.sizes_by_name.get(content.spool)
        is_hashed = bool(content.content_hash) and size_bytes is not None
        is_proven = content.is_synced or journal.is_of_this_boot or is_hashed
        reason = doubt(content, size_bytes, is_proven=is_proven)
        if reason in (TORN, UNPROVEN):
            text = f"{reason}: the next mount keeps what there is of it as a recovered copy"
            yield Finding(pending.path, text, is_fault=False)
        elif reason is LOST and not content.is_flushed:
            return  # nothing was ever written
        elif reason is LOST:
            aside = self.aside(content.spool)
            todo = (
                "restore it from a backup" if aside is None else "--repair takes it back from spool-set-aside"
            )
            yield Finding(
                pending.path,
                f"{LOST} (spool/{content.spool}); {todo}, or mount and remove the file, which gives it up",
            )
        elif reason is CUT_SHORT:
            yield Finding(
                pending.path,
                f"{CUT_SHORT}: {size_bytes} of {content.size_bytes} bytes are left; --repair keeps them as "
                "a recovered copy, which nobody sends until it is renamed",
            )
        elif content.overlay is not None and not content.is_whole:
            yield Finding(
                pending.path,
                f"{in_bytes(content.overlay.missing_bytes)} of it only the service has: the next mount "
                "fetches them, then sends the file",
                is_fault=False,
            )
        elif content.content_hash and size_bytes and self.hash_of(content) != content.content_hash:
            yield Finding(
                pending.path,
                "its pending bytes are damaged here, but whole at the service: mount, and they are committed",
                is_fault=False,
            )

    def _check_strays(self, journal: Journal) -> Iterator[Finding]:
        for name, size_bytes in sorted(self.sizes_by_name.items()):
            label = self.label_of(name)
            if name in journal.spool_names or not size_bytes or label == NOBODYS or self.is_shared(name):
                continue
            place = None if label is None else read_label(label)
            if place is not None and journal.is_folder(place.folder_id):
                yield self._labelled(journal, f"spool/{name}", place, size_bytes)
            else:
                yield Finding(
                    f"spool/{name}",
                    f"{in_bytes(size_bytes)} that no row of the journal names: the end of the journal is "
                    "lost, or an older one was restored; --repair sets them aside, as the next mount would",
                )

    def _labelled(self, journal: Journal, where: str, label: Label, size_bytes: int) -> Finding:
        """Of a file that no row names, and that says whose it is."""
        what = f"{in_bytes(size_bytes)} of {journal.path(label.folder_id, label.name)}, which"
        if label.size_bytes is None or not journal.is_of_this_boot:
            state = TORN if journal.is_of_this_boot else UNPROVEN
            return Finding(where, f"{what} {state}: the next mount keeps them beside", is_fault=False)
        if size_bytes < label.size_bytes:
            return Finding(where, f"{what} {CUT_SHORT}: --repair keeps them as a recovered copy")
        text = f"{what} was closed a moment before mountfs stopped: the next mount sends them"
        return Finding(where, text, is_fault=False)

    def _check_leftovers(self) -> Iterator[Finding]:
        if self.set_aside.is_dir():
            files = [file.stat().st_size for file in self.set_aside.iterdir()]
            if files:
                what = f"{plural(len(files), 'file')} of lost changes, {in_bytes(sum(files))}"
                text = f"{what}: nobody sends them; look at them, copy what you need, then remove them"
                yield Finding(self.set_aside.name, text, is_fault=False)
        for file in sorted(self.directory.glob(f"journal.db{DAMAGED}*")):
            if not file.name.endswith(("-wal", "-shm")):
                text = "a journal that was moved away; remove it once nothing of it is missed"
                yield Finding(file.name, text, is_fault=False)

    @cached_property
    def sizes_by_name(self) -> dict[str, int]:
        """As ``sizes`` when it was first asked."""
        return self.sizes()


class Journal:
    """What a journal says, which no process writes to meanwhile."""

    def __init__(self, path: Path) -> None:
        """JournalUnusable; OtherVersion; StoreNotNow."""
        try:
            with closing(connect_to_read(path)) as db:
                check_version(db)
                check_whole(db, with_indexes=True)
                _check_constraints(db)
                _read_all(db)
                next_id_in(db)
                nodes = db.execute("SELECT id, kind, parent, name FROM nodes").fetchall()
                gaps = read_gaps(db)
                contents = db.execute(f"SELECT {CONTENT_COLUMNS} FROM contents")
                rows = [content_row(row, gaps) for row in contents]
                boot = db.execute("SELECT value FROM meta WHERE key = ?", (BOOT_FACT,)).fetchone()
                above: list[tuple[int]] = db.execute(
                    "SELECT parent FROM nodes WHERE is_dirty AND parent IS NOT NULL"
                ).fetchall()
        except OtherVersion:
            raise
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            if isinstance(error, sqlite3.Error) and is_passing(error):
                raise unusable(path, error) from error  # nothing is wrong with what is in it
            raise JournalUnusable(str(error)) from error
        self.is_of_this_boot = boot is not None and boot[0] == boot_id()
        """Whether nothing but a process can have ended since it was written."""
        self._names: Names = {node: (parent, name) for node, _, parent, name in nodes}
        self._folders = {ROOT_ID, *(node for node, kind, _, _ in nodes if kind == "folder")}
        self.spool_names = {content.spool for content, _, _ in rows}
        self._check_folders([folder for (folder,) in above])
        self.pending = [
            Pending(self.path(node), self._names[node][1], content)
            for content, node, _ in rows
            if node is not None and node in self._names
        ]
        strangers = [content for content, node, _ in rows if node is not None and node not in self._names]
        if strangers:
            raise JournalUnusable(f"it has bytes of {plural(len(strangers), 'file')} that it does not have")

    def is_folder(self, node_id: int) -> bool:
        return node_id in self._folders

    def path(self, node_id: int, *last: str) -> str:
        """Of a node, or of *last* in it, as the mount shows it or did before its removal; as far as the rows
        lead."""
        above, _ = names_down_to(node_id, self._names)
        return "/" + "/".join((*above, *last))

    def _check_folders(self, above: list[int]) -> None:
        """A change whose folder is missing would be taken for a removal, and told to the service; a start
        would look for ever for the top above a folder that is inside of itself."""
        lost = sum(not self.is_folder(each) for each in above)
        if lost:
            raise JournalUnusable(f"it lacks the folders of {plural(lost, 'change')}")
        ends = {names_down_to(each, self._names)[1] for each in set(above)} - {ROOT_ID, None}
        if ends & self._names.keys():
            raise JournalUnusable("it has folders inside of themselves")


def _read_all(db: sqlite3.Connection) -> None:
    """Every row as a start reads it, which one without sense would end. ValueError, KeyError, TypeError."""
    for columns, table, read in ((NODE_COLUMNS, "nodes", node_row), ("*", "flights", flight_row)):
        for row in db.execute(f"SELECT {columns} FROM {table}"):
            read(row)


def _check_constraints(db: sqlite3.Connection) -> None:
    """Raises ValueError for a row that a table would not take: SQLite leaves CHECK constraints out of its own
    check of a database that is open for reading alone."""
    for table, made in db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall():
        for check in re.findall(r"CHECK \((\w+ IN \([^)]*\))\)", made):
            if db.execute(f"SELECT 1 FROM {table} WHERE NOT ({check})").fetchone() is not None:
                raise ValueError(f"CHECK constraint failed in {table}")
