"""An account in memory: what outlives the connection to it, shared by everybody who connects."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mountfs.backends.memory_tree import MemoryTree
from mountfs.errors import (
    Busy,
    Conflict,
    DirectoryNotEmpty,
    InvalidArgument,
    MountfsError,
    OffsetMismatch,
    SessionLost,
)
from mountfs.model.change import ChangeKind
from mountfs.model.entry import NS_PER_S, Entry, File, Folder
from mountfs.model.hashing import HashKind
from mountfs.model.names import NameRules
from mountfs.model.path import RemotePath
from mountfs.ports import BackendLimits, Done, Launch, Order, Outcome, Running

MIB = 1024 * 1024
EDITED_NS = 1_600_000_000 * NS_PER_S
"""The time stamp of other people's edits, unless they state one."""

MEMORY_LIMITS = BackendLimits(
    service="memory",
    hash_kind=HashKind.DROPBOX,
    names=NameRules(forbidden_names=frozenset({"desktop.ini", "thumbs.db", ".ds_store"})),
    max_file_bytes=350 * 10**9,
    commit_entries=1000,
    delete_entries=1000,
    move_entries=1000,
    mkdir_entries=1000,
    pack_entries=100,
    pack_bytes=8 * MIB,
    chunk_bytes=8 * MIB,
    session_min_bytes=8 * MIB,
    size_known_at_start=False,
    ends_sessions=True,
    parents_implicit=True,
)
"""Those of Dropbox, as far as a test can tell."""

SIDE_BY_SIDE_LIMITS = replace(
    MEMORY_LIMITS,
    hash_kind=HashKind.SHA1,
    commit_entries=1,
    delete_entries=1,
    move_entries=1,
    mkdir_entries=1,
    pack_entries=0,
    pack_bytes=0,
    size_known_at_start=True,
    sessions_have_places=True,
    parents_implicit=False,
    deletes_recursively=False,
    batches_at_once=4,
    keeps_times=True,
    set_time_entries=1,
)
"""Those of Box, likewise: no batches, but several calls side by side."""


@dataclass(slots=True)
class MemorySession:
    """An upload session: the parts that arrived, by offset."""

    is_large: bool
    parts: dict[int, bytes] = field(default_factory=dict)
    is_closed: bool = False

    def body(self) -> bytes | None:
        """The whole bytes, or None while it is open or has gaps."""
        whole = bytearray()
        for offset in sorted(self.parts):
            if offset != len(whole):
                return None
            whole += self.parts[offset]
        return bytes(whole) if self.is_closed else None


@dataclass(slots=True)
class _Job:
    orders: tuple[Order, ...]
    outcomes: tuple[Outcome, ...]
    polls_left: int


class MemoryAccount:
    """The far side: one tree, its sessions and its jobs. Every method is thread-safe.

    ``write``, ``mkdir``, ``remove`` and ``move`` are what other people do, ``MemoryBackend`` is how
    we do it. Knobs: ``job_polls`` is how often a batch is asked after before it is done (0: at once),
    ``poll_after_s`` the time it asks to wait in between. Batches take effect when submitted.
    """

    def __init__(self, limits: BackendLimits = MEMORY_LIMITS, key: str = "memory") -> None:
        self.limits = limits
        self.key = key
        self.job_polls = 0
        self.poll_after_s: float | None = None
        self.overlapping_submits = 0
        """Batches that came while another one ran, or one on the same paths where several may: a bug of
        the committer's."""
        self.most_at_once = 0
        """How many jobs were running at the same time."""
        self.submits: list[tuple[Order, ...]] = []
        """Every batch as it was submitted, oldest first."""
        self.epoch = 0
        self.tree = MemoryTree(limits)
        self.changed = threading.Condition(threading.RLock())
        self.sessions: dict[str, MemorySession] = {}
        self._session_count = 0
        self._jobs: dict[str, _Job] = {}

    def write(self, path: str, body: bytes, mtime_ns: int = EDITED_NS) -> File:
        """Somebody else's write, over whatever file stands there."""
        with self.changed:
            file = self.tree.overwrite(RemotePath(path), body, mtime_ns)
            self.changed.notify_all()
            return file

    def mkdir(self, path: str) -> Folder:
        with self.changed:
            folder = self.tree.mkdir(RemotePath(path))
            self.changed.notify_all()
            return folder

    def remove(self, path: str) -> None:
        with self.changed:
            self.tree.delete(RemotePath(path), None)
            self.changed.notify_all()

    def move(self, source: str, target: str) -> Entry:
        with self.changed:
            entry = self.tree.move(RemotePath(source), RemotePath(target))
            self.changed.notify_all()
            return entry

    def get(self, path: str) -> Entry | None:
        with self.changed:
            return self.tree.get(RemotePath(path))

    def files(self) -> dict[str, bytes]:
        """Every file's bytes by path."""
        with self.changed:
            return {
                entry.path.text: self.tree.body(entry.revision) or b""
                for entry in self.tree.walk()
                if isinstance(entry, File)
            }

    def folders(self) -> set[str]:
        """Every folder's path but the root's."""
        with self.changed:
            return {entry.path.text for entry in self.tree.walk() if isinstance(entry, Folder)}

    def void_cursors(self) -> None:
        """From here on every cursor handed out so far is a Conflict."""
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    def lose_sessions(self) -> None:
        """All upload sessions expire."""
        with self.changed:
            self.sessions.clear()

    def lose_jobs(self) -> None:
        """What was submitted took effect, but nobody can be asked about it any more."""
        with self.changed:
            self._jobs.clear()

    def start_session(self, *, is_large: bool) -> str:
        with self.changed:
            self._session_count += 1
            token = f"memory-{self._session_count:06d}"
            self.sessions[token] = MemorySession(is_large)
            return token

    def append(self, token: str, offset: int, body: bytes, *, closing: bool) -> None:
        """A part that is there already is a success; SessionLost, OffsetMismatch, InvalidArgument."""
        with self.changed:
            session = self.sessions.get(token)
            if session is None:
                raise SessionLost(f"no such upload session: {token}")
            if session.parts.get(offset, b"" if closing else None) == body and session.is_closed == closing:
                return
            if session.is_closed:
                raise SessionLost(f"upload session is closed: {token}")
            if session.is_large:
                self._check_part(session, offset, body, closing=closing)
            elif offset or session.parts:
                held_bytes = sum(map(len, session.parts.values()))
                raise OffsetMismatch(f"session holds {held_bytes} bytes", held_bytes)
            if body:
                session.parts[offset] = body
            session.is_closed = closing

    def _check_part(self, session: MemorySession, offset: int, body: bytes, *, closing: bool) -> None:
        demanded_bytes = self.limits.chunk_bytes
        if offset % demanded_bytes or (len(body) != demanded_bytes and not closing):
            raise InvalidArgument(f"part {offset}+{len(body)} is not aligned to {demanded_bytes}")
        if session.parts.get(offset, body) != body:
            raise InvalidArgument(f"other bytes stand at {offset} already")

    def submit(self, orders: Sequence[Order]) -> Launch:
        """While another job runs every order is Busy, as at Dropbox; each such try brings it on. Where jobs
        may run side by side, only those that overlap are."""
        if len({order.kind for order in orders}) > 1:
            raise InvalidArgument("a batch holds orders of one kind")
        with self.changed:
            self.submits.append(tuple(orders))
            running = [job for job in self._jobs.values() if job.polls_left]
            for job in running:
                if self.limits.batches_at_once == 1 or _overlap(job.orders, orders):
                    job.polls_left -= 1
                    self.overlapping_submits += 1
                    return Done(tuple(Busy("another batch is running") for _ in orders))
            outcomes = tuple(self._outcome(order) for order in orders)
            self.changed.notify_all()
            if not self.job_polls:
                return Done(outcomes)
            token = f"job-{len(self._jobs) + 1}"
            self._jobs[token] = _Job(tuple(orders), outcomes, self.job_polls)
            self.most_at_once = max(self.most_at_once, len(running) + 1)
            return Running(token, self.poll_after_s)

    def poll(self, token: str) -> Launch:
        with self.changed:
            job = self._jobs.get(token)
            if job is None:
                raise SessionLost(f"no such job: {token}")
            job.polls_left = max(0, job.polls_left - 1)
            return Running(token, self.poll_after_s) if job.polls_left else Done(job.outcomes)

    def _outcome(self, order: Order) -> Outcome:
        try:
            return self._apply(order)
        except MountfsError as error:
            return error

    def _apply(self, order: Order) -> Entry | None:
        match order.kind:
            case ChangeKind.PUT:
                return self._put(order)
            case ChangeKind.MKDIR:
                return self.tree.mkdir(order.path)
            case ChangeKind.DELETE:
                self._delete(order)
                return None
            case ChangeKind.MOVE:
                if order.source is None:
                    raise InvalidArgument(f"move to {order.path} from nowhere")
                return self.tree.move(order.source, order.path)
            case ChangeKind.SET_TIME:
                return self.tree.set_time(order.path, order.mtime_ns, order.base_revision)

    def _delete(self, order: Order) -> None:
        standing = self.tree.get(order.path)
        if order.is_folder and not self.limits.deletes_recursively:
            if isinstance(standing, File):
                raise Conflict(f"a file stands at {order.path}")
            if standing is not None and self.tree.children(order.path):
                raise DirectoryNotEmpty(f"{order.path} is not empty")
        self.tree.delete(order.path, None if order.is_folder else order.base_revision)

    def _put(self, order: Order) -> File:
        if order.session is None:
            if order.read is None or self.limits.pack_entries:
                raise SessionLost(f"nothing was uploaded for {order.path}")
            body: bytes | None = order.read(0, order.size_bytes)
        else:
            session = self.sessions.get(order.session)
            body = session.body() if session else None
        if body is None or len(body) != order.size_bytes:
            raise SessionLost(f"upload session does not hold {order.path}")
        file = self.tree.put(order.path, body, order.mtime_ns, order.base_revision)
        if order.session is not None:
            del self.sessions[order.session]
        return file


def _overlap(some: Sequence[Order], others: Sequence[Order]) -> bool:
    """Whether two batches touch the same paths, or one something below the other's."""
    mine = [path for order in some for path in (order.path, order.source) if path is not None]
    theirs = [path for order in others for path in (order.path, order.source) if path is not None]
    return any(at.overlaps(other) for at in mine for other in theirs)
