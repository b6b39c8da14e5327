"""What makes store and spool survive power loss, apart from the calls that only survive a crash.

**Why syncing the write-ahead log from outside SQLite is sound.** A COMMIT returns once its frames are
written to the ``-wal`` file, so an fdatasync(2) that begins afterwards covers them. Frames carry
checksums chained from the log's header: after power loss SQLite replays the longest whole prefix that
ends in a commit, so later rows that reached the disk only in part do no harm. Rows move from the log to
the database by checkpoints alone; those sync the log before they write the database, and the database
before the log may start over (``synchronous`` at least NORMAL, https://sqlite.org/wal.html), so a row is
never in neither. The log keeps its inode while the store's connection is open. And the descriptor is
of the log only: closing one of the database or its ``-shm`` would drop SQLite's POSIX locks on it, the
log has none. SQLite holds no lock meanwhile, so calls go on while the disk works.

The order is bytes, name, mark, log: ``is_synced`` in a row that survived proves that its bytes did.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from mountfs.errors import NoSpace
from mountfs.ports import Disk
from mountfs.spool.spool import Spool
from mountfs.tree.attributing import save_folder_times, save_noted
from mountfs.tree.bases import is_in
from mountfs.tree.chunks import chunks
from mountfs.tree.content import Content
from mountfs.tree.contents import roles
from mountfs.tree.database import WAL_BYTES
from mountfs.tree.gaps import note_synced, unsynced_now
from mountfs.tree.node import Node, State, path_of
from mountfs.tree.sharedsync import SharedSync
from mountfs.tree.tree import Tree

LOG = logging.getLogger(__name__)

SYNC_EVERY_S = 1.0
"""What nobody asked to sync is lost with the machine for about this long after it was written; and so long a
new file is there, open or closed, before the store knows of it."""

MOST_TRIES = 10
"""So often one sync goes back to a file that was changed meanwhile: one that is written and closed all the
time would hold its caller for ever."""

BATCH_FILES = 64
"""Files synced between two marks, so that no single transaction holds the account's lock for long, and that
a disk which takes 20 ms for each does not keep a stop waiting."""

STEP_S = 1.0
"""After so long a step begins no other batch: a stop waits for the step."""

SAVED_AT_ONCE = 64
"""New files written down in one transaction, likewise."""

MOST_WAL_BYTES = 32 * 1024 * 1024
"""A write-ahead log longer than this is started over under the lock: checkpoints that nobody waits for never
catch up with a steady writer (measured at 8,800 transactions a second: 416 MB after 7.5 s)."""


class Durability:
    """Syncs spool and store, for callers that wait (fsync) and for all others in the background.

    Disk errors are sticky: after a failed fsync(2) Linux holds the lost pages clean, and the next one
    succeeds without them; so what failed once is never called synced again.
    """

    def __init__(self, tree: Tree, spool: Spool, disk: Disk) -> None:
        """For an open store; ``close`` before the store is closed."""
        self._tree = tree
        self._spool = spool
        self._disk = disk
        self._log_fd = disk.open(f"{tree.store.path}-wal")
        self._shared = SharedSync(self._sync_log)
        self._synced_commits = -1
        """So many transactions of the store survive power loss."""
        self._log_failure: Exception | None = None
        self._lost_files: set[str] = set()
        """Spool files of pending bytes that could not be synced."""
        self._due: OrderedDict[int, Content] = OrderedDict()
        """Closed contents that are not synced, by id; under the tree's lock."""
        with tree.lock:
            for node in tree.dirty.values():
                state = node.state
                if state.draft is not None or (state.content is not None and not state.content.is_synced):
                    self._note(node, state, state)
            tree.watch(self._note)

    @property
    def trouble(self) -> str | None:
        """What does not survive power loss, in one line; None if all will."""
        if self._log_failure is not None:
            return f"the journal could not be synced, and fsync fails until a restart: {self._log_failure}"
        lost = len(self._lost_files)
        return f"pending files whose bytes could not be synced: {lost}" if lost else None

    def sync_content(self, content: Content) -> None:
        """The content as it is, with its bytes so far, survives power loss once this returns.

        OSError or NoSpace when the disk failed it. Nothing to do for bytes that are nobody's any more.
        """
        with self._tree.lock:
            seen = self._now(content.id)
            if seen is not None and content.id in self._tree.unsaved:
                self._save([content.id])
                seen = self._now(content.id)
        for _ in range(MOST_TRIES):
            if seen is None or seen.is_synced or not self._sync_bytes(seen):
                break
            self._spool.sync_directory()
            changed = self._mark([seen])
            seen = changed[0] if changed else None
        self.sync_store()

    def sync_filled(self, content: Content) -> None:
        """What was fetched of *content*, and written to its gaps, need not be fetched again after a power
        loss. OSError or NoSpace."""
        with self._tree.lock:
            seen = self._now(content.id)
        if seen is not None:
            self._sync_bytes(seen)

    def sync_below(self, folder: Node) -> None:
        """The names below *folder*, and the closed files there, survive power loss once this returns."""
        with self._tree.lock:
            anywhere = list(self._due.values())
        due: list[Content] = []
        for part in chunks(anywhere):
            with self._tree.lock:
                owners = ((content, self._tree.contents.get(content.id)) for content in part)
                due += [content for content, node in owners if node is not None and is_in(node, folder)]
        for batch in chunks(due, BATCH_FILES):
            self._sync_batch(batch)
        self.sync_store()

    def sync_store(self) -> None:
        """Every row written before this call survives power loss once it returns, as does what is noted to be
        written; OSError or NoSpace if not."""
        save_noted(self._tree)
        with self._tree.lock:
            if self._synced_commits >= self._tree.store.commits:
                return
        self._shared.sync()

    def step(self, now_s: float) -> float:
        """Writes down what has been open for a while, syncs and marks what is whole; when to come again."""
        self._save_open(now_s)
        with self._tree.lock:
            due = list(self._due.values())
        has_more, end_s = False, self._tree.clock.now_s() + STEP_S
        for batch in chunks(due, BATCH_FILES):
            if has_more := self._tree.clock.now_s() >= end_s:
                break
            self._sync_batch(batch)
            if self._log_failure is None:
                self._bound_log()
        if self._log_failure is None:
            self.sync_store()
            self._checkpoint_if_due()
        self._bound_log()  # whatever failed: else it fills the disk
        return now_s if has_more else now_s + SYNC_EVERY_S

    def save(self) -> None:
        """Writes down whatever the store does not know yet; a start then needs no labels."""
        self._save_open(math.inf)

    def close(self) -> None:
        """Lets go of the log; nothing may be syncing."""
        self._disk.close(self._log_fd)

    # Inside

    def _note(self, node: Node, before: State, after: State) -> None:
        """The tree's listener: remembers what is to be synced."""
        if before is not after:
            for had, _ in roles(before):
                self._due.pop(had.id, None)
                if had.spool in self._lost_files and not self._is_pending(node, had):
                    self._lost_files.discard(had.spool)
        for content in (after.content, after.draft):
            if content is not None and content.is_flushed and not content.is_synced:
                self._due[content.id] = content

    def _is_pending(self, node: Node | None, content: Content) -> bool:
        """Whether *content*, which *node* had, is somebody's still, if only on its way."""
        sent = () if node is None else roles(node.state)
        return self._now(content.id) is not None or any(each.id == content.id for each, _ in sent)

    def _now(self, content_id: int) -> Content | None:
        """A content as it is now."""
        found = self._tree.content(content_id)
        return None if found is None else found[1]

    def _save_open(self, now_s: float) -> None:
        """What has been there for a while gets its row, whether it is open or closed."""
        save_noted(self._tree)
        changed = self._tree.folder_times.changed
        while True:
            with self._tree.lock:
                old = [
                    content_id
                    for content_id, since_s in islice(self._tree.unsaved.items(), SAVED_AT_ONCE)
                    if now_s - since_s >= SYNC_EVERY_S
                ]
                if not old and not changed:
                    return  # an empty transaction would be one more to sync
                with self._tree.transaction():
                    self._save(old)
                    times = save_folder_times(self._tree)
                self._tree.folder_times.saved(times)
            if len(old) < SAVED_AT_ONCE and not changed:
                return

    def _save(self, content_ids: Sequence[int]) -> None:
        nodes: dict[int, Node] = {}
        for content_id in content_ids:
            node = self._tree.contents.get(content_id)
            if node is None:
                self._tree.unsaved.pop(content_id, None)
            else:
                nodes[node.id] = node
        self._tree.save(nodes.values())

    def _sync_batch(self, batch: Sequence[Content]) -> None:
        for _ in range(MOST_TRIES):
            if not batch:
                break
            batch = self._sync_once(batch)

    def _sync_once(self, batch: Sequence[Content]) -> Sequence[Content]:
        """Syncs the files of *batch* once. Returns those that were changed meanwhile, as they are now."""
        synced: list[Content] = []
        for content in batch:
            with self._tree.lock:
                seen = self._now(content.id)
            if seen is None or seen.is_synced or not seen.is_flushed or seen.spool in self._lost_files:
                with self._tree.lock:
                    self._due.pop(content.id, None)
                continue
            try:
                if self._sync_bytes(seen):
                    synced.append(seen)
            except (OSError, NoSpace) as error:
                LOG.error("cannot sync the pending bytes of %s: %s", self._path_of(seen), error)
        if not synced:
            return ()
        self._spool.sync_directory()
        return self._mark(synced)

    def _sync_bytes(self, seen: Content) -> bool:
        """Syncs the spool file of *seen*. False: the file is gone, since its content is nobody's any more."""
        if seen.spool in self._lost_files:
            raise OSError(f"an earlier sync of the pending bytes of {self._path_of(seen)} failed")
        with self._tree.lock:
            node = self._tree.contents.get(seen.id)
            unsynced = unsynced_now(seen)
        try:
            self._spool.fdatasync(seen.spool)
        except FileNotFoundError:
            with self._tree.lock:
                is_gone = self._now(seen.id) is None
            if is_gone:
                return False
            raise
        except BaseException:
            with self._tree.lock:
                if self._is_pending(node, seen):
                    self._lost_files.add(seen.spool)
            raise
        note_synced(self._tree, seen, unsynced)
        return True

    def _mark(self, synced: Sequence[Content]) -> list[Content]:
        """Marks contents whose bytes are still those that were synced: each change makes another value.

        Returns those that are another value now and closed: to be synced again, for the change may have been
        of their bytes. (Most often it was not: a small file's hash was booked.)
        """
        changed: list[Content] = []
        unchanged: list[Content] = []
        with self._tree.lock:
            for seen in synced:
                now = self._now(seen.id)
                if now is seen and seen.is_flushed:
                    unchanged.append(seen)
                elif now is not None and now is not seen and now.is_flushed:
                    changed.append(now)
            if unchanged:
                self._tree.mark_synced(unchanged)
                for seen in unchanged:
                    self._due.pop(seen.id, None)
        return changed

    def _path_of(self, content: Content) -> str:
        with self._tree.lock:
            node = self._tree.contents.get(content.id)
            return path_of(node) if node is not None else content.spool

    def _sync_log(self) -> None:
        """Run by one thread at a time."""
        if self._log_failure is not None:
            raise OSError(f"an earlier sync of the journal failed: {self._log_failure}")
        with self._tree.lock:
            commits = self._tree.store.commits
        try:
            if self._synced_commits < 0:
                self._sync_directories()
            self._disk.fdatasync(self._log_fd)
        except (OSError, NoSpace) as error:
            self._log_failure = error
            LOG.critical("cannot sync the journal %s: %s", self._tree.store.path, error)
            raise
        with self._tree.lock:
            self._synced_commits = commits

    def _sync_directories(self) -> None:
        """The names of the database, of its log and of every directory that may be new above them."""
        home, *above = Path(self._tree.store.path).absolute().parents
        self._disk.sync_directory(str(home))
        for directory in above:
            try:
                self._disk.sync_directory(str(directory))
            except OSError:
                return  # not ours to open, or of a file system that cannot: then we did not make it

    def _bound_log(self) -> None:
        """Starts a log over that has grown beyond its bound: 30 ms in which nobody else gets on."""
        if self._disk.size(self._log_fd) <= MOST_WAL_BYTES:
            return
        with self._tree.lock:
            try:
                self._tree.store.checkpoint("TRUNCATE")
            except sqlite3.Error as error:
                LOG.warning("no checkpoint of the journal %s: %s", self._tree.store.path, error)

    def _checkpoint_if_due(self) -> None:
        """Moves rows from the log to the database. PASSIVE waits for nobody and nobody waits for it."""
        if self._disk.size(self._log_fd) <= WAL_BYTES:
            return
        try:
            with closing(sqlite3.connect(self._tree.store.path, isolation_level=None)) as db:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            LOG.warning("no checkpoint of the journal %s: %s", self._tree.store.path, error)
