"""State on disk: one SQLite database, used from one thread, each call one transaction."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class StateThread:
    """The thread that owns the database: what reads or changes state runs on it, one call at a time.

    `synchronous=OFF` is enough: what a killed process wrote is in the page cache; power loss is out of scope.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sandbox-state")
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + schema)
        self.before_commit: Callable[[], None] = lambda: None  # the end of each transaction, still in it
        self.after_commit: Callable[[], None] = lambda: None  # told of each that was committed
        self.on_change: Callable[[], None] = lambda: None  # told, on this thread, when changes were committed
        self.on_rollback: Callable[[], None] = lambda: None  # told when changes were undone

    def submit(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run *work* in a transaction of its own; an exception rolls it back and is the future's outcome."""
        return self._executor.submit(lambda: self._in_transaction(lambda: work(*args, **kwargs)))

    def _in_transaction(self, work: Callable[[], R]) -> R:
        self.connection.execute("BEGIN IMMEDIATE")
        before = self.connection.total_changes
        try:
            result = work()
            self.before_commit()
        except BaseException:
            self.connection.execute("ROLLBACK")
            if self.connection.total_changes != before:
                self.on_rollback()
            raise
        self.connection.execute("COMMIT")
        self.after_commit()
        if self.connection.total_changes != before:
            self.on_change()
        return result

    def close(self) -> None:
        """Finish what was submitted, then close the database."""
        self._executor.shutdown(wait=True)
        self.connection.close()
