"""One account: its state, its switches, and the way from the loop to the state thread."""

import math
import secrets
import sqlite3
import time
from pathlib import Path
from typing import Any

from cloudsandbox.account import Account
from cloudsandbox.dropbox.batches import Batches
from cloudsandbox.dropbox.commits import Committer
from cloudsandbox.dropbox.database import HISTORY_OF_OLD_DATA, SCHEMA
from cloudsandbox.dropbox.edits import Edits
from cloudsandbox.dropbox.errors import rate_limited
from cloudsandbox.dropbox.jobs import FINISH_BATCH, Jobs, JobTable, Work
from cloudsandbox.dropbox.listing import CursorCodec, Listing
from cloudsandbox.dropbox.sessions import Sessions
from cloudsandbox.dropbox.switches import DropboxSwitches, EntryFailures
from cloudsandbox.dropbox.tokens import Tokens
from cloudsandbox.dropbox.tree import Tree
from cloudsandbox.dropbox.uploads import Uploads
from cloudsandbox.rates import bucket
from cloudsandbox.requestlog import RequestLog

CREATE_FOLDER_BATCH = "create_folder_batch"
DELETE_BATCH = "delete_batch"
MOVE_BATCH = "move_batch"
COPY_BATCH = "copy_batch"


class DropboxAccount(Account):
    """Everything the routes work on."""

    def __init__(self, data: Path, switches: DropboxSwitches, log: RequestLog) -> None:
        super().__init__(data, SCHEMA, HISTORY_OF_OLD_DATA)
        self.log = log
        connection = self.state.connection
        self.tree = Tree(connection, self.history)
        self.committer = Committer(self.tree)
        self.edits = Edits(self.tree, self.committer)
        self.listing = Listing(connection, self.tree, CursorCodec(_secret(connection)))
        self.sessions = Sessions(connection, self.files, self.history, time.time)
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
        self.state.on_rollback = self._recount

    def apply(self, switches: DropboxSwitches) -> None:
        """Put switches in force, with the entry failures counted from the start."""
        self.switches = switches
        self.line.apply(switches.up_bytes_per_s, switches.down_bytes_per_s)
        self._calls = bucket(switches.calls_per_minute, switches.rate_window_s, time.monotonic())
        self.history.limit_bytes = switches.history_bytes
        self.tree.namespace_id = switches.root_namespace_id
        self.committer.switches = switches
        self.listing.lists_gone_folders = switches.lists_gone_folders
        self.sessions.switches = switches
        self.jobs.switches = switches
        self.tokens.switches = switches
        failures = EntryFailures(switches.entry_failures)
        self.uploads.failures = failures
        self.batches.failures = failures

    def count_call(self, now_s: float) -> None:
        """Count one call that shows a token. Raises Refused (429) with the whole seconds to wait."""
        wait_s = 0.0 if self._calls is None else self._calls.take(now_s)
        if wait_s > 0:
            raise rate_limited("too_many_requests", math.ceil(wait_s))

    async def start(self) -> None:
        """Clear away what has expired and carry on with unfinished jobs."""
        await super().start()
        await self.run(self.sessions.sweep)
        await self.jobs.resume()

    async def stop(self) -> None:
        """Stop jobs and threads and close the database."""
        await self.jobs.stop()
        await super().stop()

    def _recount(self) -> None:
        self.tree.recount()
        self.history.recount()

    def reset_cursors(self) -> None:
        """Make every cursor given out so far answer `reset`. On the state thread."""
        self.listing.codec = CursorCodec(_new_secret(self.state.connection))

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Display path -> kind and id; of files rev, size, content_hash, client_modified, too. On the state
        thread."""
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
