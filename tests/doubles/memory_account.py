"""An account in memory: what outlives the connection to it, shared by everybody who connects."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mountfs.errors import (
    Busy,
    Conflict,
    DirectoryNotEmpty,
    InvalidArgument,
    MountfsError,
    Resend,
    SessionLost,
)
from mountfs.model.entry import NS_PER_S, Entry, File, Folder, News, Place
from mountfs.model.hashing import HashKind
from mountfs.model.names import NameRules
from mountfs.model.order import Copy, Delete, MakeFolder, Move, Order, OrderKind, Put, SetTime
from mountfs.model.path import RemotePath
from mountfs.ports import BackendLimits, Clock, Done, Launch, Outcome, Running
from tests.doubles.memory_tree import ROOT_ID, MemoryTree

MIB = 1024 * 1024
EDITED_NS = 1_600_000_000 * NS_PER_S
"""The time stamp of other people's edits, unless they state one."""

ENTANGLED = InvalidArgument("a file is copied twice in one batch")

MEMORY_LIMITS = BackendLimits(
    hash_kind=HashKind.DROPBOX,
    names=NameRules(forbidden_names=frozenset({"desktop.ini", "thumbs.db", ".ds_store"})),
    max_file_bytes=350 * 10**9,
    batch_entries=dict.fromkeys(set(OrderKind) - {OrderKind.SET_TIME}, 1000),
    pack_entries=100,
    pack_bytes=8 * MIB,
    chunk_bytes=8 * MIB,
    session_min_bytes=8 * MIB,
    size_known_at_start=False,
    ends_sessions=True,
    parents_implicit=True,
    lists_trees=True,
)
"""Those of Dropbox, as far as a test can tell."""

SIDE_BY_SIDE_LIMITS = replace(
    MEMORY_LIMITS,
    hash_kind=HashKind.SHA1,
    batch_entries=dict.fromkeys(OrderKind, 1),
    pack_entries=0,
    pack_bytes=0,
    size_known_at_start=True,
    sessions_have_places=True,
    parents_implicit=False,
    deletes_recursively=False,
    lists_trees=False,
    batches_at_once=4,
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


@dataclass(slots=True, eq=False)
class _Job:
    orders: tuple[Order, ...]
    polls_left: int = 0
    started_s: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def is_at_work(self) -> bool:
        return len(self.outcomes) < len(self.orders)

    @property
    def is_running(self) -> bool:
        return self.polls_left > 0 or self.is_at_work


class MemoryAccount:
    """The far side: one tree, its sessions and its jobs. Every method is thread-safe.

    ``write``, ``mkdir``, ``remove`` and ``move`` are what other people do, with the folders above where they
    are missing; ``MemoryBackend`` is how we do it. Knobs: ``job_polls`` is how often a batch is asked after
    before it is done (0: at once), ``poll_after_s`` the time it asks to wait in between. Batches take effect
    when submitted; or, with ``job_s`` on ``clock``, order by order within that time, whether anybody asks or
    not.

    With *tells_ids* news name items and folders by id and places are found by the id of their folder, as at
    Box; else news name paths and new items are put at paths, as at Dropbox. None: by id where batches run
    side by side.
    """

    def __init__(
        self, limits: BackendLimits = MEMORY_LIMITS, key: str = "memory", *, tells_ids: bool | None = None
    ) -> None:
        self.limits = limits
        self.key = key
        self.tells_ids = limits.batches_at_once > 1 if tells_ids is None else tells_ids
        self.job_polls = 0
        self.poll_after_s: float | None = None
        self.clock: Clock | None = None
        self.job_s = 0.0
        self.overlapping_submits = 0
        """Batches that came while another one ran, or one on the same paths where several may: a bug of
        the committer's."""
        self.most_at_once = 0
        """How many jobs were running at the same time."""
        self.submits: list[tuple[Order, ...]] = []
        """Every batch as it was submitted, oldest first."""
        self.epoch = 0
        self.tree = MemoryTree(limits, is_by_id=self.tells_ids)
        self.changed = threading.Condition(threading.RLock())
        self.sessions: dict[str, MemorySession] = {}
        self._session_count = 0
        self._jobs: dict[str, _Job] = {}
        self._at_work: list[_Job] = []
        """Those with orders that have not taken effect yet, also if nobody can ask about them any more."""

    @property
    def root_id(self) -> str:
        """As news name the root."""
        return ROOT_ID if self.tells_ids else ""

    def write(self, path: str, body: bytes, mtime_ns: int = EDITED_NS) -> File:
        """Somebody else's write, over whatever file stands there."""
        with self.changed:
            file = self.tree.overwrite(_at(path), body, mtime_ns)
            self.changed.notify_all()
            return file

    def mkdir(self, path: str) -> Folder:
        with self.changed:
            folder = self.tree.mkdir(_at(path))
            self.changed.notify_all()
            return folder

    def remove(self, path: str) -> None:
        with self.changed:
            standing = self.get(path)
            if standing is not None:
                self.tree.remove(standing)
            self.changed.notify_all()

    def move(self, source: str, target: str) -> Entry:
        with self.changed:
            entry = self.tree.move(self.get(source), _at(source), _at(target))
            self.changed.notify_all()
            return entry

    def get(self, path: str) -> Entry | None:
        with self.changed:
            self.work()
            return self.tree.get(RemotePath(path))

    def files(self) -> dict[str, bytes]:
        """Every file's bytes by path."""
        with self.changed:
            self.work()
            return {
                path.text: self.tree.body(entry.revision) or b""
                for path, entry in self.tree.walk()
                if isinstance(entry, File)
            }

    def folders(self) -> set[str]:
        """Every folder's path but the root's."""
        with self.changed:
            self.work()
            return {path.text for path, entry in self.tree.walk() if isinstance(entry, Folder)}

    def revisions_of(self, path: RemotePath) -> int:
        """How often *path* got other bytes, or something with bytes was moved there."""
        with self.changed:
            records = [record for record in self.tree.log if record.path.key == path.key]
            return sum(isinstance(record.entry, File) for record in records)

    def news(self, start: int, stop: int) -> tuple[News, ...]:
        """What was recorded at these positions of the tree's log."""
        with self.changed:
            records = self.tree.log[start:stop]
            return tuple(record.by_id() if self.tells_ids else record.by_path() for record in records)

    def void_cursors(self) -> None:
        """From here on every cursor handed out so far is a Conflict."""
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    def lose_sessions(self) -> None:
        """All upload sessions expire."""
        with self.changed:
            self.sessions.clear()

    def lose_jobs(self, *, end: bool = False) -> None:
        """Nobody can be asked about what was submitted any more. What runs on the clock goes on, unless it is
        to *end* where it is."""
        with self.changed:
            self.work()
            self._jobs.clear()
            if end:
                self._at_work.clear()

    def work(self) -> None:
        """Running jobs get on as far as their time has come."""
        for job in self._at_work:
            while job.is_at_work and self._is_due(job):
                order = job.orders[len(job.outcomes)]
                is_entangled = isinstance(order, Copy) and _copies_of(order.item_id, job.orders) > 1
                job.outcomes.append(ENTANGLED if is_entangled else self._outcome(order))
                self.changed.notify_all()
        self._at_work = [job for job in self._at_work if job.is_at_work]

    def _is_due(self, job: _Job) -> bool:
        if self.clock is None or not self.job_s:
            return True
        share = (len(job.outcomes) + 1) / len(job.orders)
        return self.clock.now_s() >= job.started_s + share * self.job_s

    def start_session(self, *, is_large: bool) -> str:
        with self.changed:
            self._session_count += 1
            token = f"memory-{self._session_count:06d}"
            self.sessions[token] = MemorySession(is_large)
            return token

    def append(self, token: str, offset: int, body: bytes, *, closing: bool) -> None:
        """A part that is there already is a success; SessionLost, Resend, InvalidArgument."""
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
                raise Resend(f"session holds {held_bytes} bytes")
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
            self.work()
            running = [job for job in self._jobs.values() if job.is_running]
            running += [job for job in self._at_work if job not in running]
            for job in running:
                if self.limits.batches_at_once == 1 or _overlap(job.orders, orders):
                    job.polls_left = max(0, job.polls_left - 1)
                    self.overlapping_submits += 1
                    return Done(tuple(Busy("another batch is running") for _ in orders))
            job = _Job(tuple(orders), self.job_polls, 0.0 if self.clock is None else self.clock.now_s())
            self._at_work.append(job)
            self.work()
            if not job.is_running:
                return Done(tuple(job.outcomes))
            token = f"job-{len(self.submits)}"
            self._jobs[token] = job
            self.most_at_once = max(self.most_at_once, len(running) + 1)
            return Running(token, self.poll_after_s)

    def poll(self, token: str) -> Launch:
        with self.changed:
            self.work()
            job = self._jobs.get(token)
            if job is None:
                raise SessionLost(f"no such job: {token}")
            job.polls_left = max(0, job.polls_left - 1)
            return Running(token, self.poll_after_s) if job.is_running else Done(tuple(job.outcomes))

    def _outcome(self, order: Order) -> Outcome:
        try:
            return self._apply(order)
        except MountfsError as error:
            return error

    def _apply(self, order: Order) -> Entry | None:
        tree, makes_parents = self.tree, self.limits.parents_implicit
        match order:
            case Put():
                return self._put(order)
            case MakeFolder():
                return tree.mkdir(order.place, makes_parents=makes_parents)
            case Delete():
                self._delete(order)
                return None
            case Move():
                moving = tree.item(order.item_id, order.source)
                return tree.move(moving, order.source, order.place, makes_parents=makes_parents)
            case SetTime():
                file = tree.item(order.item_id, order.place)
                return tree.set_time(file, order.place, order.mtime_ns, order.base_revision)
            case Copy():
                return tree.copy(order.item_id, order.revision, order.place)

    def _delete(self, order: Delete) -> None:
        """Nothing there is a success, another revision than asked for a Conflict."""
        if order.place.path.is_root:
            raise InvalidArgument("the root cannot be removed")
        standing = self.tree.item(order.item_id, order.place)
        if standing is None:
            return
        if order.is_folder and not self.limits.deletes_recursively:
            self._check_empty(standing, order.place)
        if not order.is_folder and not _is_at(standing, order.base_revision):
            if self.tells_ids and self.tree.at(order.place) is not standing:
                return  # somebody moved it away: it is not the file of this place any more
            raise Conflict(f"somebody else changed {order.place}")
        self.tree.remove(standing)

    def _check_empty(self, standing: Entry, place: Place) -> None:
        if isinstance(standing, File):
            raise Conflict(f"a file stands at {place}")
        if self.tree.children(place.path, standing.id):
            raise DirectoryNotEmpty(f"{place} is not empty")

    def _put(self, order: Put) -> File:
        if order.session is None:
            if order.body is None or self.limits.pack_entries:
                raise SessionLost(f"nothing was uploaded for {order.place}")
            body: bytes | None = order.body.read(0, order.size_bytes)
        else:
            session = self.sessions.get(order.session)
            body = session.body() if session else None
        if body is None or len(body) != order.size_bytes:
            raise SessionLost(f"upload session does not hold {order.place}")
        file = self.tree.put(order.place, body, order.mtime_ns, order.base_revision)
        if order.session is not None:
            del self.sessions[order.session]
        return file


def _copies_of(item_id: str, orders: Sequence[Order]) -> int:
    return sum(isinstance(order, Copy) and order.item_id == item_id for order in orders)


def _is_at(standing: Entry, revision: str | None) -> bool:
    """Whether it is a file of this revision; None stands for whatever is there."""
    return revision is None or (isinstance(standing, File) and standing.revision == revision)


def _at(path: str) -> Place:
    return Place(RemotePath(path))


def _overlap(some: Sequence[Order], others: Sequence[Order]) -> bool:
    """Whether two batches touch the same paths, or one something below the other's."""
    return any(
        mine.key == theirs.key or mine.is_below(theirs) or theirs.is_below(mine)
        for mine in _paths(some)
        for theirs in _paths(others)
    )


def _paths(orders: Sequence[Order]) -> list[RemotePath]:
    sources = [order.source.path for order in orders if isinstance(order, Move)]
    return sources + [order.place.path for order in orders]
