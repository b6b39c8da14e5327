"""What the link delivers, from one mount to the next: the first large file is read as fast as the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from mountfs.model.linkrate import Link
from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.store import Store
from mountfs.tree.tree import Tree

LOG = logging.getLogger(__name__)

FACT = "link_bytes_s"
"""The store's fact with the rate, as a whole number."""
MOST_BYTES_S = 10**12
LOOK_EVERY_S = 60.0
OTHER = 1.5
"""A rate that is so many times another one is worth a write: it varies by less from file to file."""


def recalled_rate(store: Store) -> float:
    """Bytes a second, as the last mount had it; 0: not known. The machine may be on
    another network by now: the first MiB that comes tells."""
    with suppress(ValueError):
        return float(min(MOST_BYTES_S, max(0, int(store.fact(FACT) or 0))))
    return 0.0


class KeptRate:
    """Keeps it now and then, for a mount that is killed, and at the end."""

    def __init__(self, tree: Tree, link: Link) -> None:
        self._tree = tree
        self._link = link
        self._kept_bytes_s = recalled_rate(tree.store)
        self._looks_s = 0.0

    def keep(self) -> None:
        """Nobody is kept from anything by a journal that takes nothing more."""
        bytes_s = self._seen_bytes_s()
        if not bytes_s:  # nothing is known
            return
        try:
            with self._tree.transaction():
                self._tree.store.set_fact(FACT, str(int(bytes_s)))
        except MACHINE_TROUBLE as error:
            LOG.debug("the rate of the link is not kept: %s", error)
        else:
            self._kept_bytes_s = bytes_s

    def beside(self, step: Callable[[float], float]) -> Callable[[float], float]:
        """*step*, and a look at the rate every minute: it is written where it is quite another."""

        def both(now_s: float) -> float:
            if now_s >= self._looks_s:
                self._looks_s = now_s + LOOK_EVERY_S
                least, most = sorted((self._kept_bytes_s, self._seen_bytes_s()))
                if most > OTHER * least:
                    self.keep()
            return step(now_s)

        return both

    def _seen_bytes_s(self) -> float:
        return min(MOST_BYTES_S, self._link.supposed_bytes_s)
