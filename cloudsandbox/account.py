"""One account of a stand-in: its state on disk, and the ways off the loop to the state and to slow work."""

import asyncio
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from cloudsandbox import history
from cloudsandbox.content import ContentFiles
from cloudsandbox.rates import Line
from cloudsandbox.statethread import StateThread

P = ParamSpec("P")
R = TypeVar("R")


class Account(ABC):
    """What every service's account is built on. Made on any thread, started and used on the server's loop.

    *history_of_old_data* fills the tables of `history` from revisions that were kept without them.
    """

    switches: Any
    """A dataclass of the service's own."""

    def __init__(self, data: Path, schema: str, history_of_old_data: str) -> None:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.files = ContentFiles(data)
        self.state = StateThread(data / "state.db", schema + history.SCHEMA)
        _adopt(self.state.connection, history_of_old_data)
        self.history = history.History(self.state.connection, self.files)
        self.state.before_commit = self.history.prune
        self.state.after_commit = self.history.clear
        self.io = ThreadPoolExecutor(3, thread_name_prefix="sandbox-io")
        self.line = Line(time.monotonic, asyncio.sleep)
        self._changed = asyncio.Event()

    @abstractmethod
    def apply(self, switches: Any) -> None:
        """Put switches in force."""

    @abstractmethod
    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Path -> what is there. On the state thread."""

    async def start(self) -> None:
        """Let those who wait for changes hear of them."""
        loop = asyncio.get_running_loop()

        def on_change() -> None:
            loop.call_soon_threadsafe(self.wake)

        self.state.on_change = on_change

    async def stop(self) -> None:
        """Stop the threads and close the database."""
        self.state.on_change = lambda: None
        self.close()

    def close(self) -> None:
        """As `stop`, for an account that was never started."""
        self.io.shutdown(wait=True)
        self.state.close()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run *work* as one transaction on the state thread."""
        return await asyncio.wrap_future(self.state.submit(work, *args, **kwargs))

    async def in_io(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run slow reading and hashing off the loop and off the state thread."""
        return await asyncio.wrap_future(self.io.submit(work, *args, **kwargs))

    def wake(self) -> None:
        """Let everyone who waits for a change look again. On the loop."""
        self._changed.set()
        self._changed = asyncio.Event()

    def next_change(self) -> asyncio.Event:
        """Set at the next change; taken before looking, or a change in between is slept through."""
        return self._changed


def _adopt(connection: sqlite3.Connection, script: str) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(f"BEGIN; {script} PRAGMA user_version = 1; COMMIT;")
