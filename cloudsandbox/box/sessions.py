"""Upload sessions: parts that wait for a commit, on disk from the first one."""

import secrets
import sqlite3
import time
from dataclasses import dataclass, replace

from cloudsandbox.box.errors import Refusal, bad_request, not_found
from cloudsandbox.box.names import fold
from cloudsandbox.box.records import Content, Version
from cloudsandbox.box.switches import BoxSwitches, GoneSession
from cloudsandbox.content import ContentFiles
from cloudsandbox.history import History

_COLUMNS = (
    "id, folder, file, name, size_bytes, part_size_bytes, blob, expires_s, state, early_left, pending_left,"
    " sha1, result"
)


@dataclass(frozen=True, slots=True)
class Session:
    """One upload session: for a new file of *folder*, or a new version of *file*."""

    id: str
    folder: int | None
    file: int | None
    name: str | None
    size_bytes: int
    part_size_bytes: int
    blob: str
    expires_s: float
    state: str
    early_left: int
    pending_left: int
    sha1: str | None
    result: int | None

    @property
    def part_count(self) -> int:
        """How many parts make the whole."""
        return -(-self.size_bytes // self.part_size_bytes)


@dataclass(frozen=True, slots=True)
class Part:
    """One part that was stored; it never changes."""

    offset_bytes: int
    size_bytes: int
    sha1: str
    part_id: str


class Sessions:
    """The sessions of an account. On the state thread only; a refusal changes nothing."""

    def __init__(self, connection: sqlite3.Connection, files: ContentFiles, history: History) -> None:
        self._db = connection
        self._files = files
        self._history = history
        self.switches = BoxSwitches()

    def open(self, folder: int | None, file: int | None, name: str | None, size_bytes: int) -> Session:
        """Begin a session."""
        switches = self.switches
        session = Session(
            id=secrets.token_hex(16).upper(),
            folder=folder,
            file=file,
            name=name,
            size_bytes=size_bytes,
            part_size_bytes=switches.part_size_bytes,
            blob=self._files.new_name(),
            expires_s=time.time() + switches.session_lifetime_s,
            state="open",
            early_left=switches.early_commits,
            pending_left=switches.pending_commits,
            sha1=None,
            result=None,
        )
        self._db.execute(
            f"INSERT INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(session.id, folder, file, name, size_bytes, session.part_size_bytes, session.blob),
                *(session.expires_s, session.state, session.early_left, session.pending_left, None, None),
            ),
        )
        return session

    def find(self, session_id: str) -> Session:
        """A session that is open or committed. Raises Refusal when it is neither, or has expired."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM session WHERE id = ?", (session_id,)).fetchone()
        if row is None or Session(*row).state == "aborted":
            raise not_found()
        session = Session(*row)
        if session.expires_s <= time.time():
            raise self.expired()
        return session

    def get(self, session_id: str) -> Session:
        """A session that takes parts. Raises Refusal."""
        session = self.find(session_id)
        if session.state != "open":
            raise not_found()
        return session

    def expired(self) -> Refusal:
        """The answer about a session whose time is over."""
        match self.switches.expired_session:
            case GoneSession.NOT_FOUND:
                return not_found()
            case GoneSession.INVALID:
                return Refusal(400, "invalid_upload_session_id", "The upload session ID is invalid")
        return Refusal(410, "session_expired", "The upload session has expired")

    def same_target(self, folder: int, name_key: str) -> Session | None:
        """An open session for a new file of this folded name in this folder."""
        for session, _ in self.open_sessions():
            if session.folder == folder and session.name is not None and fold(session.name) == name_key:
                return session
        return None

    def parts(self, session: Session) -> list[Part]:
        """What was stored, by ascending offset."""
        query = "SELECT offset_bytes, size_bytes, sha1, part_id FROM part WHERE session = ?"
        return [Part(*row) for row in self._db.execute(f"{query} ORDER BY offset_bytes", (session.id,))]

    def check_part(self, session_id: str, start_bytes: int, end_bytes: int, total_bytes: int) -> Session:
        """The session, ready for the part from *start_bytes* to before *end_bytes*. Raises Refusal."""
        session = self.get(session_id)
        expected_end = min(start_bytes + session.part_size_bytes, session.size_bytes)
        is_whole = start_bytes % session.part_size_bytes == 0 and end_bytes == expected_end
        if total_bytes != session.size_bytes or end_bytes <= start_bytes or not is_whole:
            raise Refusal(
                416, "requested_range_not_satisfiable", "The range is not one of the parts of this session"
            )
        query = "SELECT 1 FROM part WHERE session = ? AND offset_bytes = ?"
        if self._db.execute(query, (session.id, start_bytes)).fetchone() is not None:
            message = "The range overlaps one of a part that was uploaded"
            raise Refusal(409, "range_overlaps_existing_part", message)
        return session

    def keep_part(self, session: Session, start_bytes: int, size_bytes: int, sha1: str) -> Part:
        """Remember a part whose bytes are in the content file."""
        part = Part(start_bytes, size_bytes, sha1, secrets.token_hex(4).upper())
        self._db.execute(
            "INSERT INTO part (session, offset_bytes, size_bytes, sha1, part_id) VALUES (?, ?, ?, ?, ?)",
            (session.id, start_bytes, size_bytes, sha1, part.part_id),
        )
        return part

    def keep_sha1(self, session: Session, sha1: str) -> None:
        """Remember the digest of the whole."""
        self._db.execute("UPDATE session SET sha1 = ? WHERE id = ?", (sha1, session.id))

    def count_down(self, session: Session) -> None:
        """Write down how many doubtful answers the commits of a session still get."""
        self._db.execute(
            "UPDATE session SET early_left = ?, pending_left = ? WHERE id = ?",
            (session.early_left, session.pending_left, session.id),
        )

    def put_off(self, session: Session, mark: str) -> None:
        """Remember a commit, known by the mark of its body, that is answered 202 now."""
        self._db.execute("INSERT OR REPLACE INTO put_off VALUES (?, ?, ?)", (session.id, mark, time.time()))

    def wait_s(self, session: Session, mark: str) -> float:
        """How long a commit still has to wait since the last 202; when it need not, that one is over.

        Raises Refusal when its body is not the one that was answered 202.
        """
        query = "SELECT mark, answered_s FROM put_off WHERE session = ?"
        row = self._db.execute(query, (session.id,)).fetchone()
        if row is None:
            return 0.0
        if row[0] != mark:
            raise bad_request("The commit is not the one that was accepted and has to be repeated")
        left_s: float = row[1] + self.switches.commit_retry_after_s - time.time()
        if left_s <= 0:
            self._db.execute("DELETE FROM put_off WHERE session = ?", (session.id,))
        return max(0.0, left_s)

    def mark_committed(self, session: Session, version: Version) -> None:
        """The bytes belong to a version from here on, in whatever content file that has them."""
        self._db.execute(
            "UPDATE session SET state = 'committed', result = ? WHERE id = ?", (version.id, session.id)
        )

        if version.content.blob != session.blob:
            self._history.doom(session.blob)

    def abort(self, session_id: str) -> None:
        """Give a session up, and its bytes. Raises Refusal."""
        session = self.get(session_id)
        self._db.execute("UPDATE session SET state = 'aborted' WHERE id = ?", (session.id,))
        self._db.execute("DELETE FROM part WHERE session = ?", (session.id,))
        self._history.doom(session.blob)

    def expire(self, session_ids: list[str]) -> None:
        """Let the time of sessions be over; of all when none is named."""
        if not session_ids:
            self._db.execute("UPDATE session SET expires_s = 0 WHERE state = 'open'")
        self._db.executemany(
            "UPDATE session SET expires_s = 0 WHERE id = ?", [(each,) for each in session_ids]
        )

    def open_sessions(self) -> list[tuple[Session, list[Part]]]:
        """Those neither committed nor aborted nor expired, with their parts."""
        query = f"SELECT {_COLUMNS} FROM session WHERE state = 'open' AND expires_s > ? ORDER BY expires_s"
        sessions = [Session(*row) for row in self._db.execute(query, (time.time(),)).fetchall()]
        return [(session, self.parts(session)) for session in sessions]

    def sweep(self) -> None:
        """Forget sessions whose time is over, and the bytes of those never committed."""
        query = f"SELECT {_COLUMNS} FROM session WHERE expires_s <= ?"
        for row in self._db.execute(query, (time.time(),)).fetchall():
            session = Session(*row)
            self._db.execute("DELETE FROM part WHERE session = ?", (session.id,))
            self._db.execute("DELETE FROM put_off WHERE session = ?", (session.id,))
            self._db.execute("DELETE FROM session WHERE id = ?", (session.id,))
            if session.state == "open":
                self._history.doom(session.blob)


def content_of(session: Session, sha1: str) -> Content:
    """The whole of a session whose parts are all there."""
    return Content(session.size_bytes, sha1, session.blob)


def counted_down(session: Session) -> tuple[Session, str]:
    """The session after one more commit, and the answer to it: `early`, `pending` or `ready`."""
    if session.early_left:
        return replace(session, early_left=session.early_left - 1), "early"
    if session.pending_left:
        return replace(session, pending_left=session.pending_left - 1), "pending"
    return session, "ready"
