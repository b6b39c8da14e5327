"""What the link delivers, from one mount to the next: the first large file is read as fast as the others."""

from __future__ import annotations

import logging
from contextlib import suppress

from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.store import Store
from mountfs.tree.tree import Tree

LOG = logging.getLogger(__name__)

FACT = "link_bytes_s"
"""The store's fact with the rate, as a whole number."""
MOST_BYTES_S = 10**12


def recalled_rate(store: Store) -> float:
    """Bytes a second, as the last mount that ended in order had it; 0: not known. The machine may be on
    another network by now: the first MiB that comes tells."""
    with suppress(ValueError):
        return float(min(MOST_BYTES_S, max(0, int(store.fact(FACT) or 0))))
    return 0.0


def keep_rate(tree: Tree, bytes_s: float) -> None:
    """A mount ends, which is not kept from that by a journal that takes nothing more. 0: nothing is known."""
    if not bytes_s:
        return
    try:
        with tree.transaction():
            tree.store.set_fact(FACT, str(int(min(MOST_BYTES_S, bytes_s))))
    except MACHINE_TROUBLE as error:
        LOG.debug("the rate of the link is not kept: %s", error)
