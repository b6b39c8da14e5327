"""One large file: its upload session, which bytes were written, and which were sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mountfs.model.entry import Place
from mountfs.model.order import Part
from mountfs.model.pacing import Pacer
from mountfs.model.ranges import RangeSet
from mountfs.tree.content import Content
from mountfs.tree.node import Node, State
from mountfs.upload.session import Append, SessionPlan

STREAMED_SESSIONS = 2
"""How often bytes that were sent may be written over, which begins a new session each time. After that the
file is sent once it is whole."""
LOST_FOLDERS = 3
"""How often in a row the service may say that the file's folder is gone. Each time the folder above is
listed, and the next try is made where the folder stands by then, or after it was made again. After that the
file is refused."""

LOST_SESSIONS = 8
"""How often the service may lose a session that bytes were sent to, or take no more of them: each further one
takes all of them again, after a longer pause. After that, in half an hour at the earliest, the file is
refused."""


class LargeFile:
    """Not thread-safe, its owner locks. ``epoch`` numbers the sessions: the reply to a request of an older
    one is void."""

    __slots__ = (
        "begins_s",
        "content_id",
        "epoch",
        "finish",
        "is_hashing",
        "is_opening",
        "is_streamable",
        "known_parts",
        "lost_folders",
        "lost_sessions",
        "pacer",
        "place",
        "plan",
        "session",
        "size_bytes",
        "spoils",
        "wants_twin",
        "written",
    )

    def __init__(self, content: Content, known_parts: Iterable[Part], *, is_streamable: bool) -> None:
        self.content_id = content.id
        self.place: tuple[object, ...] = ()
        """What its session is for, where a session is for one place only."""
        self.session: str | None = content.session
        """While ``plan`` is None: the session of a former process, to be resumed."""
        self.known_parts = tuple(known_parts)
        """The parts that the session of a former process holds."""
        self.plan: SessionPlan | None = None
        self.written = RangeSet()
        self.size_bytes: int | None = None
        """Known once the file is sealed."""
        self.is_streamable = is_streamable
        """Whether a session may begin before the size is known."""
        self.is_opening = False
        self.wants_twin = False
        """Whether the service may have its bytes already, which its hash will tell."""
        self.is_hashing = False
        self.begins_s = -math.inf
        """When it may begin to go up, if it is not whole by then."""
        self.spoils = 0
        self.lost_folders = 0
        self.lost_sessions = 0
        self.epoch = 0
        self.finish: Callable[[], None] | None = None
        """What is left to do once all bytes are up, if that failed on this machine."""
        self.pacer = Pacer()

    def wrote(self, start: int, stop: int) -> bool:
        """Bytes [start, stop) were written. False: some of them were sent, and the session is spoiled."""
        self.written.add(start, stop)
        return self.plan is None or self.plan.wrote(start, stop)

    def truncate(self, size_bytes: int) -> bool:
        """The file was cut or extended. False: bytes that were sent are cut off: the session is spoiled."""
        self.written.truncate(size_bytes)
        return self.plan is None or self.plan.truncate(size_bytes)

    def seal(self, size_bytes: int) -> bool:
        """The file is whole. False: bytes behind its end were sent, and the session is spoiled."""
        self.size_bytes = size_bytes
        self.begins_s = -math.inf
        return self.plan is None or self.plan.seal(size_bytes)

    def begin(self, session: str, part_bytes: int, acknowledged: Iterable[Part]) -> None:
        """The session is open, perhaps since a former process: parts that were *acknowledged* stay sent."""
        self.session = session
        self.lost_folders = 0
        self.plan = SessionPlan(part_bytes, written=self.written, acknowledged=acknowledged)
        if self.size_bytes is not None:
            self.plan.seal(self.size_bytes)

    def restart(self) -> None:
        """Forgets the session; the next one sends everything again."""
        self.session = None
        self.plan = None
        self.known_parts = ()
        self.finish = None
        self.epoch += 1

    @property
    def is_half_sent(self) -> bool:
        """Whether to find out if the service has its bytes would spare less than half of them."""
        parts = self.known_parts if self.plan is None else self.plan.parts
        return 2 * sum(part.length for part in parts) >= (self.size_bytes or 0)

    @property
    def wants_session(self) -> bool:
        """Whether its session is to be opened now."""
        if self.plan is not None or self.is_opening:
            return False
        if self.size_bytes is not None:
            return True
        return self.is_streamable and self.spoils < STREAMED_SESSIONS and bool(self.written)

    @property
    def has_work(self) -> bool:
        """Whether a worker could do something for it."""
        if self.is_hashing:
            return False
        if self.finish is not None or self.wants_twin:
            return True
        return self.wants_session if self.plan is None else self.plan.has_next()


@dataclass(frozen=True, slots=True)
class Sending:
    """One part that is being sent, with the file and session that it was claimed for."""

    file: LargeFile
    content: Content
    append: Append
    session: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A session that is to be opened, or one of a former process that is to be resumed. ``size_bytes``: None
    while the file is written."""

    file: LargeFile
    node: Node
    content: Content
    place: Place
    size_bytes: int | None
    epoch: int


def place_of(state: State, content: Content) -> tuple[object, ...]:
    """What a session is for, where it is for one place: a name in a folder, or the file that gets a new
    version."""
    return (state.parent, state.name, content.over)
