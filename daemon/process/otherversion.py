"""What a mount does with the journal that a mountfs of another version left."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

from daemon.control.status import plural
from daemon.failure import Failure
from daemon.places.statedir import Slot, StateDir
from daemon.printable import quoted
from mountfs.model.entry import Account
from mountfs.tree.database import StoreUnusable
from mountfs.tree.foreign import Foreign, foreign
from mountfs.tree.schema import VERSION
from mountfs.tree.strays import set_aside_directory

LOG = logging.getLogger(__name__)


def take_slot(state: StateDir, account: Account) -> Slot:
    """The first slot of *account* that no other mount uses, with a journal of this version or none. One of
    another version that is spent is set aside, whole; StoreUnusable, which says what to do: something is left
    in it."""
    while True:
        slot = state.take_slot(account)
        found = _foreign(slot)
        if found is None:
            return slot
        try:
            if not found.is_spent:
                raise StoreUnusable(_refusal(slot, found))
            _set_aside(slot, found)
        finally:
            slot.release()


def is_spent(slot: Slot) -> bool:
    """Whether its journal is of another version, and there is nothing in it to be taken over."""
    found = _foreign(slot)
    return found is not None and found.is_spent


def _foreign(slot: Slot) -> Foreign | None:
    return foreign(slot.journal, slot.spool, set_aside_directory(slot.spool))


def _set_aside(slot: Slot, found: Foreign) -> None:
    """By one rename, so that no log is left beside another journal; what was cached is of use here, too."""
    aside = _free(Path(f"{slot.directory}.version-{found.version}"))
    try:
        slot.directory.rename(aside)
    except OSError as error:
        why = f"{error.strerror}; its journal is of version {found.version}, and nothing is left in it"
        raise Failure(f"cannot move {quoted(slot.directory)} to {quoted(aside)}: {why}") from error
    LOG.warning(
        "the journal in %s is of version %d, and nothing is pending or kept in it: begun anew, remove %s",
        slot.directory,
        found.version,
        aside,
    )
    with suppress(OSError):
        slot.directory.mkdir(mode=0o700)
        (aside / slot.cache.name).rename(slot.cache)


def _free(path: Path) -> Path:
    tried = chain([path], (Path(f"{path}-{number}") for number in count(2)))
    return next(each for each in tried if not os.path.lexists(each))


def _refusal(slot: Slot, found: Foreign) -> str:
    writer = f"mountfs {found.program}, which wrote it" if found.program else "the mountfs that wrote it"
    directory = quoted(slot.directory)
    versions = f"its version is {found.version}, this mountfs knows {VERSION}"
    if found.pending is None:
        how = f"use {writer}, or, once that has sent all that is pending, move {directory} away"
    elif found.pending:
        changes = plural(found.pending, "change")
        are = "is" if found.pending == 1 else "are"
        how = (
            f"{changes} {are} in it: use {writer}, and once all is sent (mountfs wait) move {directory} away"
        )
    elif found.set_aside:
        files, where = plural(found.set_aside, "file"), quoted(set_aside_directory(slot.spool))
        lie, them = ("lies", "it") if found.set_aside == 1 else ("lie", "them")
        how = (
            f"nothing is pending in it, but {files} of lost changes {lie} in {where}: "
            f"look at {them}, then remove {them}"
        )
    else:
        how = (
            f"nothing is pending in it, but modes, links or pins are kept: with {writer}, write them down "
            f"(mountfs attributes --dump, mountfs pin), then move {directory} away"
        )
    return f"cannot use the journal {slot.journal}: {versions}; {how}"
