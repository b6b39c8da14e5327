"""One account: its state, its switches, and the way from the loop to the state thread."""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from mountfs.sandbox.dropbox.batches import Batches
from mountfs.sandbox.dropbox.commits import Committer
from mountfs.sandbox.dropbox.content import ContentFiles
from mountfs.sandbox.dropbox.database import StateThread
from mountfs.sandbox.dropbox.edits import Edits
from mountfs.sandbox.dropbox.jobs import FINISH_BATCH, Jobs, JobTable, Work
from mountfs.sandbox.dropbox.listing import CursorCodec, Listing
from mountfs.sandbox.dropbox.sessions import Sessions
from mountfs.sandbox.dropbox.switches import DropboxSwitches, EntryFailures
from mountfs.sandbox.dropbox.tokens import Tokens
from mountfs.sandbox.dropbox.tree import Tree
from mountfs.sandbox.dropbox.uploads import Uploads
from mountfs.sandbox.requestlog import RequestLog

P = ParamSpec("P")
R = TypeVar("R")

CREATE_FOLDER_BATCH = "create_folder_batch"
DELETE_BATCH = "delete_batch"
MOVE_BATCH = "move_batch"
COPY_BATCH = "copy_batch"


class DropboxAccount:
    """Everything the routes work on. Built on any thread, started and used on the server's loop."""

    def __init__(self, data: Path, switches: DropboxSwitches, log: RequestLog) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.files = ContentFiles(data)
        self.state = StateThread(data / "state.db")
        self.io = ThreadPoolExecutor(3, thread_name_prefix="sandbox-io")
        connection = self.state.connection
        self.tree = Tree(connection)
        self.committer = Committer(self.tree)
        self.edits = Edits(self.tree, self.committer)
        self.listing = Listing(connection, self.tree, CursorCodec(_secret(connection)))
        self.sessions = Sessions(connection, self.files, time.time)
        self.uploads = Uploads(self.files, self.sessions, self.committer, time.time)
        self.batches = Batches(self.edits)
        self.tokens = Tokens(connection)
        works: dict[str, Work] = {
            FINISH_BATCH: self.uploads.finish_batch,
            CREATE_FOLDER_BATCH: self.batches.create_folders,
            DELETE_BATCH: self.batches.delete,
            MOVE_BATCH: self.batches.move,
            COPY_BATCH: self.batches.copy,
        }
        self.jobs = Jobs(JobTable(connection), self.run, log.jobs, works)
        self.switches = switches
        self.apply(switches)
        self._changed = asyncio.Event()
        self.state.on_rollback = self.tree.recount

    def apply(self, switches: DropboxSwitches) -> None:
        """Put switches in force, with the entry failures counted from the start."""
        self.switches = switches
        self.tree.namespace_id = switches.root_namespace_id
        self.committer.switches = switches
        self.sessions.switches = switches
        self.jobs.switches = switches
        self.tokens.switches = switches
        failures = EntryFailures(switches.entry_failures)
        self.uploads.failures = failures
        self.batches.failures = failures

    async def start(self) -> None:
        """Clear away what has expired and carry on with unfinished jobs."""
        loop = asyncio.get_running_loop()

        def on_change() -> None:
            loop.call_soon_threadsafe(self.wake)

        self.state.on_change = on_change
        await self.run(self.sessions.sweep)
        await self.jobs.resume()

    async def stop(self) -> None:
        """Stop jobs and threads and close the database."""
        await self.jobs.stop()
        self.state.on_change = lambda: None
        self.io.shutdown(wait=True)
        self.state.close()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run *work* as one transaction on the state thread."""
        return await asyncio.wrap_future(self.state.submit(work, *args, **kwargs))

    def wake(self) -> None:
        """Let everyone who waits for a change look again. On the loop."""
        self._changed.set()
        self._changed = asyncio.Event()

    def next_change(self) -> asyncio.Event:
        """Set at the next change; taken before looking, or a change in between is slept through."""
        return self._changed

    async def in_io(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run slow reading and hashing off the loop and off the state thread."""
        return await asyncio.wrap_future(self.io.submit(work, *args, **kwargs))

    def reset_cursors(self) -> None:
        """Make every cursor given out so far answer `reset`. On the state thread."""
        self.listing.codec = CursorCodec(_new_secret(self.state.connection))

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Display path -> what is there, for all files and folders. On the state thread."""
        return {
            entry.path_display: {"kind": "folder", "id": entry.id}
            if entry.revision is None
            else {
                "kind": "file",
                "id": entry.id,
                "rev": entry.revision.rev,
                "size": entry.revision.content.size_bytes,
                "content_hash": entry.revision.content.content_hash,
                "client_modified": entry.revision.client_modified,
            }
            for entry in self.tree.everything()
        }


def _secret(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM meta WHERE name = 'cursor_secret'").fetchone()
    return row[0] if row is not None else _new_secret(connection)


def _new_secret(connection: sqlite3.Connection) -> str:
    secret = secrets.token_hex(16)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('cursor_secret', ?)", (secret,))
    return secret
