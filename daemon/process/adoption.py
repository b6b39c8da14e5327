"""Takes over what a mount that no longer runs left in a slot of its own."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from pathlib import Path

from daemon.core import Foundation
from daemon.process.adoptednodes import Adoption
from mountfs.tree.attributelog import STORE_ENDINGS
from mountfs.tree.store import Store

LOG = logging.getLogger(__name__)

IDENTITY = "identity"
"""The store's fact that tells it from any other, written when it is first used."""


def identify(store: Store) -> str:
    """The store's identity, given now if it has none. Inside a transaction."""
    known = store.fact(IDENTITY)
    if known is None:
        known = uuid.uuid4().hex
        store.set_fact(IDENTITY, known)
    return known


def adopt(ours: Foundation, theirs: Foundation, their_directory: Path) -> int:
    """Brings what is not clean in *theirs*, repaired and used by nobody, into our tree; how many nodes.

    Their spool files are linked into our spool first, and their directory goes last, so that a crash in
    between leaves either store whole; the identity keeps the same store from being adopted twice.
    """
    try:
        with theirs.tree.transaction():
            mark = f"adopted-{identify(theirs.tree.store)}"
        count = len(theirs.tree.dirty)
        if ours.tree.store.fact(mark) is None:
            _take_all(ours, theirs, mark)
    except BaseException:
        theirs.close()
        raise
    # Power loss must not find theirs gone and ours not yet on the disk; this happens once in a while only.
    os.sync()
    theirs.close()
    for ending in STORE_ENDINGS:
        (their_directory / f"journal.db{ending}").unlink(missing_ok=True)
    shutil.rmtree(their_directory / "spool", ignore_errors=True)
    LOG.info("took over %d changes that another mount left", count)
    return count


def _take_all(ours: Foundation, theirs: Foundation, mark: str) -> None:
    """All of it, or nothing."""
    adoption = Adoption(ours, theirs)
    stranded = len(ours.stranded)
    try:
        with ours.tree.transaction():
            adoption.take_all()
            ours.tree.store.set_fact(mark, "1")
    except BaseException:
        del ours.stranded[stranded:]
        for path in adoption.linked:
            path.unlink(missing_ok=True)
        raise
