"""Upload sessions: bytes that wait for a commit, on disk from the first append."""

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from cloudsandbox.content import ContentFiles
from cloudsandbox.dropbox.body import HashedBody
from cloudsandbox.dropbox.errors import ErrorUnion, SandboxError, tag
from cloudsandbox.dropbox.hashing import BLOCK_BYTES, Block, BlockHasher, combined
from cloudsandbox.dropbox.records import Content
from cloudsandbox.dropbox.switches import DropboxSwitches, ResentClose, SessionReuse
from cloudsandbox.history import History


@dataclass(frozen=True, slots=True)
class Session:
    """One upload session. Of a concurrent one size_bytes is the end of its furthest append."""

    id: str
    is_concurrent: bool
    blob: str
    size_bytes: int
    is_closed: bool
    is_committed: bool
    created_s: float


@dataclass(frozen=True, slots=True)
class Append:
    """A wish: *length_bytes* of the body from *start_bytes* on go to *offset_bytes* of the session."""

    session_id: str
    offset_bytes: int
    start_bytes: int
    length_bytes: int
    closes: bool


class SessionFailed(SandboxError):
    """An UploadSessionLookupError, also a member of the append errors."""

    def __init__(self, error: ErrorUnion) -> None:
        super().__init__(error)
        self.error = error


class FinishFailed(SandboxError):
    """A member of UploadSessionFinishError that is about the session but not under lookup_failed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.error = tag(name)


def incorrect_offset(correct_offset: int) -> SessionFailed:
    """The client's offset is not the number of bytes the session holds."""
    return SessionFailed(tag("incorrect_offset", correct_offset=correct_offset))


class Sessions:
    """The sessions of an account. On the state thread only; a failure changes nothing."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        files: ContentFiles,
        history: History,
        now_s: Callable[[], float],
    ) -> None:
        self._db = connection
        self._files = files
        self._history = history
        self._now_s = now_s
        self.switches = DropboxSwitches()

    def open(self, count: int, is_concurrent: bool) -> list[str]:
        """Open *count* empty sessions; gives their ids."""
        created_s = self._now_s()
        ids = ["pid_upload_session:" + secrets.token_urlsafe(37) for _ in range(count)]
        self._db.executemany(
            "INSERT INTO session VALUES (?, ?, ?, 0, 0, 0, ?)",
            [(each, is_concurrent, self._files.new_name(), created_s) for each in ids],
        )
        return ids

    def start(self, body: HashedBody, closes: bool, is_concurrent: bool) -> str:
        """Open one session with its first bytes."""
        (session_id,) = self.open(1, is_concurrent)
        if body.size_bytes or closes:
            self.append(Append(session_id, 0, 0, body.size_bytes, closes), body)
        return session_id

    def get(self, session_id: str) -> Session:
        """A session by its id. Raises SessionFailed when it is unknown or has expired."""
        row = self._db.execute(
            "SELECT id, is_concurrent, blob, size_bytes, is_closed, is_committed, created_s"
            " FROM session WHERE id = ?",
            (session_id,),
        ).fetchone()
        if row is None or row[6] + self.switches.session_lifetime_s <= self._now_s():
            raise SessionFailed(tag("not_found"))
        return Session(row[0], bool(row[1]), row[2], row[3], bool(row[4]), bool(row[5]), row[6])

    def append(self, append: Append, body: HashedBody) -> None:
        """Add bytes to a session, and close it when asked. Raises SessionFailed."""
        session = self.get(append.session_id)
        end_bytes = append.offset_bytes + append.length_bytes
        self._check_append(session, append, end_bytes)
        body.store_range(
            self._files, session.blob, append.offset_bytes, append.start_bytes, append.length_bytes
        )
        if session.is_concurrent and append.length_bytes:
            self._db.execute(
                "INSERT OR REPLACE INTO part VALUES (?, ?, ?)",
                (session.id, append.offset_bytes, append.length_bytes),
            )
        self._keep_blocks(session, append, body)
        self._db.execute(
            "UPDATE session SET size_bytes = ?, is_closed = ? WHERE id = ?",
            (max(session.size_bytes, end_bytes), session.is_closed or append.closes, session.id),
        )

    def _check_append(self, session: Session, append: Append, end_bytes: int) -> None:
        if session.is_concurrent:
            self._check_concurrent(session, append, end_bytes)
        else:
            if session.is_closed:
                is_resent = append.closes and end_bytes == session.size_bytes
                if is_resent and self.switches.resent_close == ResentClose.INCORRECT_OFFSET:
                    raise incorrect_offset(session.size_bytes)
                raise SessionFailed(tag("closed"))
            if append.offset_bytes != session.size_bytes:
                raise incorrect_offset(session.size_bytes)
        if end_bytes > self.switches.max_session_bytes:
            raise SessionFailed(tag("too_large"))

    def _check_concurrent(self, session: Session, append: Append, end_bytes: int) -> None:
        if session.is_closed:
            is_late = not append.closes and end_bytes <= session.size_bytes and not session.is_committed
            if not (is_late and self.switches.late_concurrent_append):
                if append.closes and self.switches.resent_close == ResentClose.INCORRECT_OFFSET:
                    raise incorrect_offset(session.size_bytes)
                raise SessionFailed(tag("closed"))
        if append.offset_bytes % BLOCK_BYTES:
            raise SessionFailed(tag("concurrent_session_invalid_offset"))
        if append.length_bytes % BLOCK_BYTES and not append.closes:
            raise SessionFailed(tag("concurrent_session_invalid_data_size"))
        if append.closes and end_bytes < session.size_bytes:
            # The closing append ends the file, yet bytes beyond its end are there already.
            raise incorrect_offset(session.size_bytes)

    def _keep_blocks(self, session: Session, append: Append, body: HashedBody) -> None:
        """Keep the digests of an append that begins at a block, so that a commit need not read it again."""
        if append.offset_bytes % BLOCK_BYTES or not append.length_bytes:
            return
        if append.start_bytes == 0 and append.length_bytes == body.size_bytes:
            blocks = body.hasher.blocks()
        else:
            hasher = BlockHasher()
            for piece in body.pieces(append.start_bytes, append.length_bytes):
                hasher.update(piece)
            blocks = hasher.blocks()
        self.keep_blocks(session.id, append.offset_bytes // BLOCK_BYTES, blocks)

    def keep_blocks(self, session_id: str, first_number: int, blocks: list[Block]) -> None:
        """Remember the digests of consecutive blocks."""
        self._db.executemany(
            "INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?)",
            [
                (session_id, first_number + i, block.length_bytes, block.digest)
                for i, block in enumerate(blocks)
            ],
        )

    def check_finish(
        self, session_id: str, offset_bytes: int, must_be_closed: bool, body: HashedBody
    ) -> Session:
        """The session, ready for its last bytes and a commit. Raises SessionFailed or FinishFailed."""
        session = self.get(session_id)
        if session.is_committed and self.switches.session_reuse == SessionReuse.SUCCESS:
            if not self._history.has(session.blob):
                raise SessionFailed(tag("not_found"))
        elif session.is_committed:
            raise SessionFailed(tag(self.switches.session_reuse))
        if session.is_concurrent:
            if body.size_bytes:
                raise FinishFailed("concurrent_session_data_not_allowed")
            if not session.is_closed:
                raise FinishFailed("concurrent_session_not_closed")
            if offset_bytes != session.size_bytes:
                raise incorrect_offset(session.size_bytes)
            if self._has_holes(session):
                raise FinishFailed("concurrent_session_missing_data")
            return session
        if must_be_closed and not session.is_closed:
            raise SessionFailed(tag("not_closed"))
        if offset_bytes != session.size_bytes:
            raise incorrect_offset(session.size_bytes)
        if body.size_bytes and session.is_closed:
            raise SessionFailed(tag("closed"))
        return session

    def _has_holes(self, session: Session) -> bool:
        reached = 0
        query = "SELECT offset_bytes, length_bytes FROM part WHERE session = ? ORDER BY offset_bytes"
        for offset_bytes, length_bytes in self._db.execute(query, (session.id,)):
            if offset_bytes > reached:
                return True
            reached = max(reached, offset_bytes + length_bytes)
        return reached < session.size_bytes

    def content(self, session: Session) -> Content:
        """The whole content of a session, its blocks read again only where no digest was kept."""
        missing = self.missing_blocks(session)
        for number in missing:
            self.keep_blocks(session.id, number, [hash_block(self._files, session, number)])
        digests = self._db.execute(
            "SELECT digest FROM block WHERE session = ? ORDER BY number", (session.id,)
        )
        return Content(session.size_bytes, combined(row[0] for row in digests), session.blob)

    def missing_blocks(self, session: Session) -> list[int]:
        """The numbers of the blocks whose digest is not known, or was taken when the block was shorter."""
        kept = dict(
            self._db.execute("SELECT number, length_bytes FROM block WHERE session = ?", (session.id,))
        )
        count = -(-session.size_bytes // BLOCK_BYTES)
        return [number for number in range(count) if kept.get(number) != block_length(session, number)]

    def mark_committed(self, session: Session, blob: str) -> None:
        """The session takes no more; its bytes are those of a revision, in the content file *blob*."""
        self._db.execute(
            "UPDATE session SET is_closed = 1, is_committed = 1, blob = ? WHERE id = ?", (blob, session.id)
        )
        if blob != session.blob:
            self._history.doom(session.blob)

    def expire(self, session_ids: list[str]) -> None:
        """Make sessions unknown, as if their lifetime were over."""
        self._db.executemany(
            "UPDATE session SET created_s = -1e18 WHERE id = ?", [(each,) for each in session_ids]
        )

    def sweep(self) -> None:
        """Remove expired sessions, and the bytes of those never committed."""
        before_s = self._now_s() - self.switches.session_lifetime_s
        old = self._db.execute(
            "SELECT id, blob, is_committed FROM session WHERE created_s <= ?", (before_s,)
        ).fetchall()
        for session_id, blob, is_committed in old:
            for table in ("part", "block"):
                self._db.execute(f"DELETE FROM {table} WHERE session = ?", (session_id,))
            self._db.execute("DELETE FROM session WHERE id = ?", (session_id,))
            if not is_committed:
                self._history.doom(blob)


def block_length(session: Session, number: int) -> int:
    """How many bytes block *number* of the session has."""
    return min(BLOCK_BYTES, session.size_bytes - number * BLOCK_BYTES)


def hash_block(files: ContentFiles, session: Session, number: int) -> Block:
    """Read one block of a session and hash it."""
    hasher = BlockHasher()
    hasher.update(files.read_at(session.blob, number * BLOCK_BYTES, block_length(session, number)))
    return hasher.blocks()[0]
