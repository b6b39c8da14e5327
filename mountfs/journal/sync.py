"""What makes journal and spool survive power loss, apart from the calls that only survive a crash.

**Why syncing the write-ahead log from outside SQLite is sound.** A COMMIT returns once its frames are
written to the ``-wal`` file, so an fdatasync(2) that begins afterwards covers them. Frames carry
checksums chained from the log's header: after power loss SQLite replays the longest whole prefix that
ends in a commit, so later rows that reached the disk only in part do no harm. Rows move from the log to
the database by checkpoints alone; those sync the log before they write the database, and the database
before the log may start over (``synchronous`` at least NORMAL, https://sqlite.org/wal.html), so a row is
never in neither. The log keeps its inode while the journal's connection is open. And the descriptor is
of the log only: closing one of the database or its ``-shm`` would drop SQLite's POSIX locks on it, the
log has none. SQLite holds no lock meanwhile, so calls go on while the disk works.

The order is bytes, name, mark, log: ``is_synced`` in a row that survived proves that its bytes did.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Condition

from mountfs.errors import NoSpace
from mountfs.journal.database import WAL_BYTES
from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeKind, ChangeState
from mountfs.ports import Disk
from mountfs.spool.spool import Spool

LOG = logging.getLogger(__name__)

SYNC_EVERY_S = 1.0
"""What nobody asked to sync is lost with the machine for about this long after it was written."""

BATCH_CHANGES = 256
"""Files synced between two marks, so that no single transaction holds the account's lock for long."""


class SharedSync:
    """One slow sync for all who ask while the one before is running.

    A sync that began before a caller's rows were written may miss them, the next one covers them; so
    each caller waits for a sync begun after its call, and whoever finds none running does the work.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._turn = Condition()
        self._begun = 0
        self._done = 0
        self._is_running = False

    def sync(self) -> None:
        """Returns after a whole run of the work that began after this call; raises what that run raised
        if this caller made it, else tries again itself."""
        with self._turn:
            ticket = self._begun + 1
            while self._done < ticket:
                if self._is_running:
                    self._turn.wait()
                    continue
                self._begun += 1
                mine = self._begun
                self._is_running = True
                self._turn.release()
                is_done = False
                try:
                    self._work()
                    is_done = True
                finally:
                    self._turn.acquire()
                    self._is_running = False
                    self._done = mine if is_done else self._done
                    self._turn.notify_all()


class Durability:
    """Syncs spool and journal, for callers that wait (fsync) and for all others in the background.

    Disk errors are sticky: after a failed fsync(2) Linux holds the lost pages clean, and the next one
    succeeds without them; so what failed once is never called synced again.
    """

    def __init__(self, journal: Journal, spool: Spool, disk: Disk) -> None:
        """For an open journal; ``close`` before the journal is closed."""
        self._journal = journal
        self._spool = spool
        self._disk = disk
        self._log_fd = disk.open(f"{journal.path}-wal")
        self._shared = SharedSync(self._sync_log)
        self._synced_commits = -1
        self._log_failure: Exception | None = None
        self._lost_files: set[str] = set()
        # The next three under the journal's lock.
        self._unsynced: set[int] = set()
        self._rewrites: dict[int, int] = {}
        with journal.lock:
            for change in journal.rows():
                self._note(None, change)
            journal.watch(self._note)

    def sync_change(self, change_id: int) -> None:
        """The change as it is, and its bytes so far, survive power loss once this returns.

        OSError or NoSpace when the disk failed it. Nothing to do for a change that is gone.
        """
        with self._journal.lock:
            seen = self._journal.get(change_id)
            rewrites = self._rewrites.get(change_id, 0)
        if seen is not None and _has_unsynced_bytes(seen) and self._sync_bytes(seen):
            self._spool.sync_directory()
            self._mark([(seen, rewrites)])
        self.sync_journal()

    def sync_journal(self) -> None:
        """Every row written before this call survives power loss once it returns; OSError if not."""
        with self._journal.lock:
            if self._synced_commits >= self._journal.commits:
                return
        self._shared.sync()

    def step(self, now_s: float) -> float:
        """Syncs and marks what is whole; when to come again."""
        with self._journal.lock:
            due, self._unsynced = sorted(self._unsynced), set()
        for at in range(0, len(due), BATCH_CHANGES):
            self._sync_batch(due[at : at + BATCH_CHANGES])
        if self._log_failure is None:
            self.sync_journal()
            self._checkpoint_if_due()
        return now_s + SYNC_EVERY_S

    def close(self) -> None:
        """Lets go of the log; nothing may be syncing."""
        self._disk.close(self._log_fd)

    # Inside

    def _note(self, before: Change | None, after: Change | None) -> None:
        """The journal's listener: remembers what is to be synced, and whose bytes change again."""
        if after is None or after.state in FINAL_STATES:
            if before is not None:
                self._unsynced.discard(before.id)
                self._rewrites.pop(before.id, None)
            return
        if before is not None and before.is_flushed and not after.is_whole:
            self._rewrites[after.id] = self._rewrites.get(after.id, 0) + 1
        if after.state is not ChangeState.OPEN and _has_unsynced_bytes(after):
            # An OPEN one may be written to again, and is sealed soon.
            self._unsynced.add(after.id)

    def _sync_batch(self, change_ids: Iterable[int]) -> None:
        synced: list[tuple[Change, int]] = []
        for change_id in change_ids:
            with self._journal.lock:
                seen = self._journal.get(change_id)
                rewrites = self._rewrites.get(change_id, 0)
            if seen is None or not _has_unsynced_bytes(seen) or seen.spool in self._lost_files:
                continue
            try:
                if self._sync_bytes(seen):
                    synced.append((seen, rewrites))
            except (OSError, NoSpace) as error:
                LOG.error("cannot sync the pending bytes of %s: %s", seen.path, error)
        if synced:
            self._spool.sync_directory()
            self._mark(synced)

    def _sync_bytes(self, seen: Change) -> bool:
        """Whether the file was there to be synced; it goes once its change is final."""
        assert seen.spool is not None
        if seen.spool in self._lost_files:
            raise OSError(f"an earlier sync of the pending bytes of {seen.path} failed")
        try:
            self._spool.fdatasync(seen.spool)
        except FileNotFoundError:
            now = self._journal.get(seen.id)
            if now is None or now.state in FINAL_STATES or now.spool != seen.spool:
                return False
            raise
        except BaseException:
            self._lost_files.add(seen.spool)
            raise
        return True

    def _mark(self, synced: Sequence[tuple[Change, int]]) -> None:
        """Marks rows whose bytes are still those that were synced."""
        with self._journal.transaction():
            for seen, rewrites in synced:
                now = self._journal.get(seen.id)
                if (
                    now is not None
                    and _has_unsynced_bytes(now)
                    and now.is_whole
                    and now.spool == seen.spool
                    and seen.is_whole
                    and self._rewrites.get(seen.id, 0) == rewrites
                ):
                    self._journal.amend(now, is_synced=True)

    def _sync_log(self) -> None:
        """Run by one thread at a time."""
        if self._log_failure is not None:
            raise OSError(f"an earlier sync of the journal failed: {self._log_failure}")
        with self._journal.lock:
            commits = self._journal.commits
        try:
            if self._synced_commits < 0:
                self._sync_directories()
            self._disk.fdatasync(self._log_fd)
        except (OSError, NoSpace) as error:
            self._log_failure = error
            LOG.critical("cannot sync the journal %s: %s", self._journal.path, error)
            raise
        with self._journal.lock:
            self._synced_commits = commits

    def _sync_directories(self) -> None:
        """The names of the journal, of its log and of every directory that may be new above them."""
        home, *above = Path(self._journal.path).absolute().parents
        self._disk.sync_directory(str(home))
        for directory in above:
            try:
                self._disk.sync_directory(str(directory))
            except OSError:
                return  # not ours to open, or of a file system that cannot: then we did not make it

    def _checkpoint_if_due(self) -> None:
        """Moves rows from the log to the database. PASSIVE waits for nobody and nobody waits for it."""
        if self._disk.size(self._log_fd) <= WAL_BYTES:
            return
        try:
            with closing(sqlite3.connect(self._journal.path, isolation_level=None)) as db:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            LOG.warning("no checkpoint of the journal %s: %s", self._journal.path, error)


def _has_unsynced_bytes(change: Change) -> bool:
    return change.kind is ChangeKind.PUT and change.state not in FINAL_STATES and not change.is_synced
