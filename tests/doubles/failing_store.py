"""The local disk fails for a moment: transactions of a real store that come to nothing."""

from __future__ import annotations

import sqlite3
from typing import Literal

from mountfs.errors import NoSpace
from tests.doubles.world import World

DISK_ERRORS = [sqlite3.OperationalError("disk I/O error"), NoSpace("the disk that keeps the journal is full")]


def fail_store(
    world: World, error: Exception, *, skip: int = 0, times: int = 1, at: Literal["begin", "end"] = "end"
) -> list[Exception]:
    """From here on *skip* transactions of the store go well, then so many fail as they begin, or end; those
    that did."""
    store, failed = world.core.tree.store, list[Exception]()
    real, to_come = getattr(store, at), [None] * skip + [error] * times

    def failing() -> None:
        due = to_come.pop(0) if to_come else None
        if due is not None:
            failed.append(due)
            raise due
        real()

    setattr(store, at, failing)
    return failed
