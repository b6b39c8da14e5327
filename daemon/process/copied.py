"""A journal that was copied: two mounts may then have the same things pending."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from daemon.places.statedir import user_of
from daemon.printable import quoted
from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.tree import Tree

LOG = logging.getLogger(__name__)

PLACE = "place"
"""The store's fact with the inode number of its directory, and the path where that was. A copy has another
inode; where the first one is still there it can be used as well. What was moved leaves nothing behind. The
device is none of it: that of Btrfs or NFS is another one after a reboot."""


def tell_of_original(tree: Tree, directory: Path) -> None:
    """Tells once, if anything is pending in it, that the slot *directory* is a copy of one that is still
    there."""
    with suppress(*MACHINE_TROUBLE):
        here = f"{directory.stat().st_ino} {os.path.realpath(directory)}"
        last = tree.store.fact(PLACE) or ""
        if last == here:
            return
        original = _original(last, directory)
        with tree.transaction():
            tree.store.set_fact(PLACE, here)
            if original is not None and tree.dirty:
                which = f"{quoted(original)}{user_of(original)}"
                what = "what was pending then is sent from both; mount only one of them"
                text = f"{quoted(directory)} is a copy of {which}: {what}"
                LOG.warning("%s", text)
                tree.notice("/", text)


def _original(last: str, directory: Path) -> Path | None:
    """Where the store was *last*, if what is there is the same as then, and is not *directory* itself, which
    may have several paths."""
    inode, _, path = last.partition(" ")
    try:
        found = Path(path).stat()
        is_here = os.path.samestat(found, directory.stat())
    except (OSError, ValueError):
        return None
    return Path(path) if path and str(found.st_ino) == inode and not is_here else None
