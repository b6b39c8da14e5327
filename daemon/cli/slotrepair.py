"""Saves what can be saved of a slot. Nothing here deletes bytes: what nobody can name is set aside."""

from __future__ import annotations

import errno
import os
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from daemon.cli.slotcheck import DAMAGED, Journal, JournalUnusable, SlotCheck
from daemon.control.status import plural
from mountfs.clock import SystemClock, boot_id
from mountfs.model.hashing import HashKind
from mountfs.model.names import MAX_CHARS
from mountfs.spool.disk import LABEL
from mountfs.spool.quota import Quota
from mountfs.spool.spool import Spool, is_name
from mountfs.tree.attributelog import STORE_ENDINGS, AttributeLog, newer_of
from mountfs.tree.copynames import CopyNames
from mountfs.tree.database import UNREADABLE, OtherVersion, is_passing
from mountfs.tree.kept import Kept, kept_of
from mountfs.tree.label import NOBODYS, read_label, said_of
from mountfs.tree.launch import stranded
from mountfs.tree.node import ROOT_ID
from mountfs.tree.recovery import recover
from mountfs.tree.store import Store
from mountfs.tree.tree import Tree

_ONE_NAME = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""Of a file system whose files have one name each: link(2)."""

PRIVATE = Kept(mode=0o600)
"""For a file whose mode cannot be read any more."""


def repair(slot: SlotCheck) -> Iterator[str]:
    """Does what can be done, and says what it did. OSError, MountfsError, sqlite3.Error."""
    if slot.journal.exists():
        try:
            Journal(slot.journal)
        except OtherVersion:
            return  # what is pending in it would become copies at the top
        except JournalUnusable:
            yield _rebuild(slot) or _give_up_journal(slot)
    if not slot.journal.exists():
        yield from _name_by_label(slot)
        return
    yield from _take_back(slot)
    yield from _recover(slot)


# The journal


def _rebuild(slot: SlotCheck) -> str | None:
    """Makes the indexes of a journal anew, in a copy; None when its rows are damaged, too. sqlite3.Error when
    there is no room for the copy, for example: that says nothing of the rows."""
    draft = slot.journal.with_name("journal.db.rebuilt")
    _remove_store(draft)
    try:
        with closing(sqlite3.connect(slot.journal)) as db, closing(sqlite3.connect(draft)) as copy:
            db.backup(copy)
            # All of it is in the one file then, which takes the journal's place.
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
            copy.execute("REINDEX")
        Journal(draft)
        with closing(sqlite3.connect(draft)) as copy, suppress(ValueError, TypeError):
            # It names the database that it belongs to, which is another one from now on.
            AttributeLog(slot.journal, boot_id()).take_into(copy)
        draft.chmod(0o600)
        aside = _move_journal_away(slot, draft)
    except JournalUnusable:
        return None
    except UNREADABLE as error:
        if isinstance(error, sqlite3.Error) and is_passing(error):
            raise
        return None
    finally:
        _remove_store(draft)
    return f"journal.db: its indexes were made anew from its rows; the damaged one is kept as {aside.name}"


def _remove_store(path: Path) -> None:
    for ending in (*STORE_ENDINGS, "-journal"):
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _give_up_journal(slot: SlotCheck) -> str:
    """Names in it that can still be read go to the spool files' labels first."""
    named = {}
    for name, path, kept in _readable_names(slot.journal):
        if (slot.spool / name).exists():
            named[name] = path, kept
    for name, (path, kept) in named.items():
        _label(slot.spool / name, path.rpartition("/")[2], kept)
    aside = _move_journal_away(slot)
    return (
        f"journal.db: could not be read whole, and is kept as {aside.name}; the names of "
        f"{plural(len(named), 'pending file')} were still to be read in it"
    )


def _move_journal_away(slot: SlotCheck, successor: Path | None = None) -> Path:
    """Where it is kept; *successor* has its place then. All of it is there before the first part goes: SQLite
    removes a log beside no database, as does a mount that starts after this process was killed, and it takes
    a log beside another database for that one's."""
    earlier = slot.directory.glob(f"journal.db{DAMAGED}*[0-9]")
    numbers = [int(each.name.rpartition("-")[2]) for each in earlier]
    aside = slot.directory / f"journal.db{DAMAGED}{max(numbers, default=0) + 1}"
    endings = [ending for ending in STORE_ENDINGS if Path(f"{slot.journal}{ending}").exists()]
    for ending in endings:
        _keep_as(Path(f"{slot.journal}{ending}"), Path(f"{aside}{ending}"))
    for ending in endings if successor is None else endings[1:]:
        Path(f"{slot.journal}{ending}").unlink(missing_ok=True)
    if successor is not None:
        successor.replace(slot.journal)
    return aside


def _keep_as(part: Path, aside: Path) -> None:
    try:
        os.link(part, aside)
    except OSError as error:
        if error.errno not in _ONE_NAME:
            raise
        part.rename(aside)


def _readable_names(journal: Path) -> Iterator[tuple[str, str, Kept | None]]:
    """Spool files, the names of their nodes and what is kept of them, from both ends of the tables up to the
    damage. Without its rows nobody can tell the gaps of a file from zeros: one that had any gets no name."""
    try:
        db = sqlite3.connect(journal)
    except sqlite3.Error:
        return
    with closing(db):
        names = dict(_rows(db, "SELECT id, name FROM nodes"))
        attributes = dict(_rows(db, "SELECT id, attributes FROM nodes"))
        left = AttributeLog(journal, boot_id()).left()
        whole = "node IS NOT NULL AND under_id IS NULL"
        for spool, node in _rows(db, f"SELECT spool, node FROM contents WHERE {whole}"):
            if isinstance(spool, str) and re.fullmatch("[0-9a-f]{32}", spool):
                name = names.get(node)
                kept = _readable(attributes[node]) if node in attributes else PRIVATE
                if isinstance(node, int) and node in left:
                    kept = newer_of(kept, left[node])
                yield spool, name if isinstance(name, str) and name else spool, kept


def _readable(attributes: object) -> Kept | None:
    try:
        return kept_of(attributes if attributes is None or isinstance(attributes, str) else "")
    except (ValueError, TypeError):
        return PRIVATE


def _rows(db: sqlite3.Connection, query: str) -> Iterator[tuple[object, object]]:
    for order in ("", " ORDER BY rowid DESC"):
        try:
            yield from db.execute(query + order)
        except (sqlite3.Error, ValueError):
            continue


# Bytes


def _name_by_label(slot: SlotCheck) -> Iterator[str]:
    """Without a journal the mount knows the top alone: what says whose it is goes there, beside."""
    for name, size_bytes in sorted(slot.sizes().items()):
        label = slot.label_of(name)
        if not size_bytes or label == NOBODYS or slot.is_shared(name):
            continue
        place = None if label is None else read_label(label)
        if place is not None and _label(slot.spool / name, place.name, place.kept):
            yield f"spool/{name}: the next mount shows it as a recovered copy of {place.name}, at the top"
        else:
            _set_aside(slot, name, f" {place.name}" if place is not None and is_name(place.name) else "")
            yield f"spool/{name}: is set aside, for it does not say whose it is"


def _label(file: Path, name: str, kept: Kept | None) -> bool:
    """Gives a file to the top of the account; whether the file system keeps that."""
    try:
        os.setxattr(file, LABEL, f"{ROOT_ID}{said_of(kept)} {name}".encode())
    except OSError:
        return False
    return True


def _set_aside(slot: SlotCheck, name: str, ending: str) -> None:
    slot.set_aside.mkdir(mode=0o700, exist_ok=True)
    (slot.spool / name).rename(slot.set_aside / f"{name}{ending}")


def _take_back(slot: SlotCheck) -> Iterator[str]:
    """Files that were set aside while a journal that names them was away."""
    sizes = slot.sizes()
    for pending in Journal(slot.journal).pending:
        aside = slot.aside(pending.content.spool)
        if pending.content.spool not in sizes and aside is not None:
            aside.rename(slot.spool / aside.name)
            yield f"{pending.path}: its bytes were set aside, and are taken back"


def _recover(slot: SlotCheck) -> Iterator[str]:
    """What a start does, with a look at every file."""
    this_boot_id = boot_id()
    store = Store(slot.journal, boot_id=this_boot_id)
    spool = Spool(slot.spool, slot.disk, Quota())
    try:
        tree = Tree(store, SystemClock(), root_id="", carries_times=False)
        stranded(tree, tree.restore())
        copies = CopyNames(tree, socket.gethostname(), MAX_CHARS)
        known = set(store.notices.all())
        result = recover(
            tree,
            spool,
            copies,
            boot_id=this_boot_id,
            hash_kind=_hash_kind(tree),
            trusts_disk=False,
            is_shared=slot.is_shared,
        )
        for notice in store.notices.all():
            if notice not in known:
                yield f"{notice.path}: {notice.text}"
        if result.strays:
            yield f"{plural(len(result.strays), 'file')} set aside in {slot.set_aside.name}"
    finally:
        spool.close()
        store.close()


def _hash_kind(tree: Tree) -> HashKind:
    """Of the account, as far as its pending versions tell: by the length of their hashes."""
    for node in tree.dirty.values():
        for content in (node.state.content, node.state.draft):
            if content is not None and content.content_hash:
                return HashKind.of(content.content_hash)
    return HashKind.SHA1
