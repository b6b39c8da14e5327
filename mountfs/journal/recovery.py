"""What a start makes of the journal and spool the last run left behind.

A process that died leaves every row and every byte it wrote in the page cache: only what was still open
is in doubt. A machine that died leaves what had been synced, and of the rest anything: rows of a prefix
of its transactions, files shorter than written or with holes. The kernel's boot id, kept in the journal,
tells the two apart.

``plan`` decides, on values; ``recover`` looks and acts. Running it again finds nothing to do.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.hashing import HashKind, hasher
from mountfs.model.names import is_unlinked
from mountfs.model.path import RemotePath
from mountfs.ports import Clock
from mountfs.spool.spool import Spool

LOG = logging.getLogger(__name__)

TORN = "was still being written when mountfs stopped"
CUT_SHORT = "is shorter than it was when it was closed"
UNPROVEN = "was not safely on disk yet when the machine stopped, and may be damaged"
LOST = "its pending bytes are missing from the local disk"

NAME_BYTES = 255
"""NAME_MAX of Linux, and what the services take."""

READ_BYTES = 4 * 1024 * 1024

BOOT_FACT = "boot_id"


@dataclass(frozen=True, slots=True)
class Seal:
    """Closed before the end: it is whole, and may travel. Bytes behind *cut_to_bytes* go first."""

    change: Change
    cut_to_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing was written yet, or it was unlinked: as if it had not been opened."""

    change: Change


@dataclass(frozen=True, slots=True)
class SetAside:
    """Its *size_bytes* are kept as a recovered copy at *path*, published by nobody."""

    change: Change
    path: RemotePath
    size_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """There is nothing to publish any more; the change stays listed until the user drops it."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class Rebase:
    """It replaces what an earlier change at its name would have replaced, which is no longer there."""

    change: Change
    base_revision: str | None
    base_hash: str | None
    base_change: int | None


Repair = Seal | Drop | SetAside | GiveUp | Rebase


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start had to repair."""

    repairs: tuple[Repair, ...]
    strays: tuple[str, ...]
    """Spool files no row names: removed, or set aside when the journal is new."""


def suspects(rows: Sequence[Change], sizes: Mapping[str, int], *, is_same_boot: bool) -> list[Change]:
    """Whose bytes must be compared with their hash before ``plan``: whole, not synced, hash known."""
    if is_same_boot:
        return []
    return [row for row in rows if _is_suspect(row) and row.content_hash and not _is_short(row, sizes)]


def plan(
    rows: Sequence[Change],
    sizes: Mapping[str, int],
    *,
    is_same_boot: bool,
    proven: AbstractSet[int],
    host: str,
    date: str,
) -> list[Repair]:
    """What to do about *rows*, given the *sizes* of the spool's files and the ids *proven* by their hash.

    Rows that are final, or COMMITTING (the committer asks the service), and changes of names alone are
    good as they are.
    """
    repairs: list[Repair] = []
    taken = {path.key for row in rows if row.state not in FINAL_STATES for path in row.paths}
    for row in rows:
        if row.kind is not ChangeKind.PUT or row.state in FINAL_STATES:
            continue
        if is_unlinked(row.path.name) and row.is_malleable:
            repairs.append(Drop(row))
            continue
        reason = _doubt(row, sizes, is_suspect=not is_same_boot and _is_suspect(row) and row.id not in proven)
        if reason is None:
            if row.state is ChangeState.OPEN:
                size_bytes = sizes[row.spool or ""]
                repairs.append(Seal(row, row.size_bytes if size_bytes > row.size_bytes else None))
        elif reason is not LOST:
            path = recovered_path(row.path, host, date, taken)
            taken.add(path.key)
            repairs.append(SetAside(row, path, sizes[row.spool or ""], reason))
        elif not row.is_whole and not row.size_bytes:
            repairs.append(Drop(row))
        elif row.error != LOST:
            repairs.append(GiveUp(row, LOST))
    repairs += _replaced(rows, [repair.change for repair in repairs if isinstance(repair, Seal)])
    gone = {repair.change.id: repair.change for repair in repairs if isinstance(repair, Drop | SetAside)}
    return [*_rebases(rows, gone), *repairs]


def recovered_path(path: RemotePath, host: str, date: str, taken: Collection[str]) -> RemotePath:
    """A free name beside *path*: ``name (recovered copy HOST DATE).ext``, numbered when it is taken."""
    name = PurePosixPath(path.name)
    # What is that long is no extension, and would leave no room for the mark.
    has_suffix = len(name.suffix.encode()) <= NAME_BYTES // 2
    whole, suffix = (name.stem, name.suffix) if has_suffix else (name.name, "")
    number = 1
    while True:
        mark = f" (recovered copy {host} {date}{'' if number == 1 else f' {number}'}){suffix}"
        cut = whole.encode()[: NAME_BYTES - len(mark.encode())].decode(errors="ignore")
        stem = cut.rstrip() or cut
        found = path.parent.child(f"{stem}{mark}")
        if found.key not in taken:
            return found
        number += 1


def recover(
    journal: Journal, spool: Spool, *, boot_id: str, host: str, clock: Clock, hash_kind: HashKind
) -> Recovery:
    """Repairs an account's journal and spool before anything else uses them.

    Interrupted, it is done again from the start: the new boot id is written with the last repair.
    """
    last_boot_id = journal.fact(BOOT_FACT)
    is_same_boot = last_boot_id == boot_id
    rows, sizes = journal.rows(), spool.sizes()
    proven = {
        row.id
        for row in suspects(rows, sizes, is_same_boot=is_same_boot)
        if _hash_of(spool, row, hash_kind) == row.content_hash
    }
    date = datetime.fromtimestamp(clock.wall_ns() // 1_000_000_000).strftime("%Y-%m-%d")
    repairs = plan(rows, sizes, is_same_boot=is_same_boot, proven=proven, host=host, date=date)
    for repair in repairs:
        if isinstance(repair, Seal) and repair.cut_to_bytes is not None:
            assert repair.change.spool is not None
            spool.truncate(repair.change.spool, repair.cut_to_bytes)
    with journal.transaction():
        for repair in repairs:
            _apply(journal, repair)
        strays = sorted(set(sizes) - {row.spool for row in rows})
        if strays and last_boot_id is None:
            _set_strays_aside(journal, spool, strays)
        journal.set_fact(BOOT_FACT, boot_id)
    if last_boot_id is not None:
        for name in strays:
            spool.remove(name)
    if repairs or strays:
        LOG.info("repaired %d changes, found %d files of none", len(repairs), len(strays))
    return Recovery(tuple(repairs), tuple(strays))


# Deciding


def _is_suspect(row: Change) -> bool:
    """Whether power loss may have damaged its bytes: they were whole, and not known to be on disk."""
    return (
        row.kind is ChangeKind.PUT
        and row.state not in FINAL_STATES
        and row.state not in (ChangeState.COMMITTING, ChangeState.FAILED)
        and row.is_whole
        and not row.is_synced
        and row.size_bytes > 0  # nothing cannot be damaged
    )


def _is_short(row: Change, sizes: Mapping[str, int]) -> bool:
    return sizes.get(row.spool or "", -1) < row.size_bytes


def _doubt(row: Change, sizes: Mapping[str, int], *, is_suspect: bool) -> str | None:
    """What is wrong with the bytes of a PUT, or None."""
    if row.state is ChangeState.COMMITTING:
        return None
    size_bytes = sizes.get(row.spool or "")
    if not row.is_whole:
        return LOST if size_bytes is None or not (size_bytes or row.size_bytes) else TORN
    if size_bytes is None or (not size_bytes and row.size_bytes):
        # The far side has all of it: it can still be published, though not be read here until then.
        is_far = row.state in (ChangeState.UPLOADED, ChangeState.CONFLICTED) and row.session is not None
        return None if is_far else LOST
    if row.state is ChangeState.FAILED:
        return None
    if _is_short(row, sizes):
        return CUT_SHORT
    return UNPROVEN if is_suspect else None


def _replaced(rows: Sequence[Change], sealed: Sequence[Change]) -> list[Drop]:
    """Refused versions that one which was closed stands for: nothing else would ever end them."""
    refused = {row.id: row for row in rows if row.state is ChangeState.FAILED}
    found: list[Drop] = []
    for row in sealed:
        below = refused.get(row.base_change or 0)
        while below is not None:
            found.append(Drop(below))
            below = refused.get(below.base_change or 0)
    return found


def _rebases(rows: Sequence[Change], gone: Mapping[int, Change]) -> list[Repair]:
    """For those that replace a change which is set aside or dropped."""
    found: list[Repair] = []
    for row in rows:
        if row.state in FINAL_STATES or row.id in gone:
            continue
        below = row
        while below.base_change is not None and below.base_change in gone:
            below = gone[below.base_change]
        if below is not row:
            found.append(Rebase(row, below.base_revision, below.base_hash, below.base_change))
    return found


# Acting


def _apply(journal: Journal, repair: Repair) -> None:
    """Makes one repair, inside the caller's transaction."""
    # An earlier repair may have amended the row.
    change = journal.get(repair.change.id)
    assert change is not None
    match repair:
        case Rebase():
            journal.amend(
                change,
                base_revision=repair.base_revision,
                base_hash=repair.base_hash,
                base_change=repair.base_change,
            )
        case Drop():
            journal.advance(change, ChangeEvent.SUPERSEDED)
        case Seal():
            # Which sent parts were written over since, only the dead process knew.
            journal.clear_parts(change.id)
            journal.advance(change, ChangeEvent.SEAL, is_flushed=False, session=None)
        case GiveUp():
            journal.clear_parts(change.id)
            journal.notice(change.path, repair.reason)
            _refuse(journal, change, repair.reason)
        case SetAside():
            journal.clear_parts(change.id)
            aside = journal.amend(
                change,
                path=repair.path,
                size_bytes=repair.size_bytes,
                base_revision=None,
                base_hash=None,
                base_change=None,
                content_hash=None,
                is_flushed=False,
                is_synced=False,
            )
            _refuse(journal, aside, repair.reason)
            journal.notice(change.path, f"{repair.reason}; what there is, is in {repair.path.name}")


def _refuse(journal: Journal, change: Change, reason: str) -> None:
    """To FAILED, from wherever it stands."""
    if change.state is ChangeState.OPEN:
        change = journal.advance(change, ChangeEvent.SEAL, is_flushed=False)
    if change.state is ChangeState.FAILED:
        journal.amend(change, error=reason)
    else:
        journal.advance(change, ChangeEvent.REFUSED, error=reason)


def _hash_of(spool: Spool, row: Change, kind: HashKind) -> str:
    state = hasher(kind)
    for offset in range(0, row.size_bytes, READ_BYTES):
        state.update(spool.read(row.spool or "", offset, min(READ_BYTES, row.size_bytes - offset)))
    return state.hexdigest()


def _set_strays_aside(journal: Journal, spool: Spool, strays: Sequence[str]) -> None:
    """A journal without a past beside files of a lost one: they may be all that is left of some work."""
    directory = spool.directory.with_name(f"{spool.directory.name}-without-journal")
    for name in strays:
        spool.move_out(name, directory / name)
    journal.notice(
        RemotePath(""), f"{len(strays)} pending files of a journal that is gone are kept in {directory}"
    )
