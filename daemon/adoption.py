"""Takes over what a mount that no longer runs left in a slot of its own."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

from mountfs.journal.journal import Journal
from mountfs.journal.schema import COLUMNS
from mountfs.model.change import FINAL_STATES, Change

LOG = logging.getLogger(__name__)

IDENTITY = "identity"
"""The journal's fact that tells it from any other, written when it is first used."""


def identify(journal: Journal) -> str:
    """The journal's identity, given now if it has none."""
    known = journal.fact(IDENTITY)
    if known is None:
        known = uuid.uuid4().hex
        journal.set_fact(IDENTITY, known)
    return known


def adopt(journal: Journal, spool: Path, theirs: Journal, their_directory: Path) -> int:
    """Copies the live changes of *theirs*, recovered and used by nobody, behind our own; how many.

    Their spool files are linked into *spool* first, and their directory goes last, so that a crash in
    between leaves either journal whole; the identity keeps the same journal from being adopted twice.
    """
    mark = f"adopted-{identify(theirs)}"
    live = theirs.live()
    if journal.fact(mark) is None:
        for change in live:
            if change.spool is not None:
                _link(their_directory / "spool" / change.spool, spool / change.spool)
        with journal.transaction():
            _add_all(journal, theirs, live)
            for path, revision, mtime_ns in theirs.times():
                journal.set_time(path, revision, mtime_ns)
            for session in theirs.orphans.all():
                journal.orphans.add(session)
            journal.set_fact(mark, "1")
    # Power loss must not find theirs gone and ours not yet on the disk; this happens once in a while only.
    os.sync()
    theirs.close()
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (their_directory / name).unlink(missing_ok=True)
    shutil.rmtree(their_directory / "spool", ignore_errors=True)
    LOG.info("took over %d changes that another mount left", len(live))
    return len(live)


def _add_all(journal: Journal, theirs: Journal, live: list[Change]) -> None:
    added: dict[int, Change] = {}
    # By id first: the outcomes of a job that runs come in that order.
    for change in sorted(live, key=lambda change: change.id):
        if change.state in FINAL_STATES:
            continue
        ours = replace(change, base_change=None, is_synced=False)
        fields = {
            column: getattr(ours, column)
            for column in COLUMNS
            if column not in ("id", "seq", "kind", "path", "state")
        }
        added[change.id] = journal.add(ours.kind, ours.path, ours.state, **fields)
        for part in theirs.parts(change.id):
            journal.add_part(added[change.id].id, part)
    for change in live:
        if change.id in added:
            base = added.get(change.base_change or 0)
            journal.move_to_end(added[change.id], base_change=base.id if base else None)


def _link(source: Path, target: Path) -> None:
    if source.exists() and not target.exists():
        os.link(source, target)
