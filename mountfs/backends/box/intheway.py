"""Upload sessions that stand in the way of one that is to be opened."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from threading import Lock

from cachetools import LRUCache

from mountfs.backends import checked
from mountfs.backends.box.api import Json
from mountfs.backends.box.errors import body_of
from mountfs.backends.wire import Response
from mountfs.errors import ServerFault
from mountfs.ports import Clock

IDLE_TRIES = 30
"""So often in a row it is met with the same parts before nobody is taken to fill it; some 8 min in all, where
one file waits for it."""
IDLE_S = 480.0
"""And for no shorter time: a file that is saved again and again is tried at once each time. A part of
PART_BYTES takes another machine as long at 140 kbit/s; of a longer part it is as many times longer."""
PART_BYTES = 8 * 1024 * 1024
MOST_PART_BYTES = 256 * 1024 * 1024
"""Box's parts have 8 to 64 MB (chunked upload guide)."""
ENDS = 3
"""So often its end is asked for."""
_SESSIONS_KEPT = 1000

Target = tuple[str, str, str]


class Way(Enum):
    """What gets a file past the session that is in its way."""

    WAIT = auto()
    GO_ON = auto()
    """Nobody fills it, and it may be for this file."""
    END = auto()
    """Nobody fills it, and it is for another file, or was of no use."""
    AROUND = auto()
    """It does not end, or nothing is told of it that would end it: the file goes up without a session."""


@dataclass(frozen=True, slots=True)
class _Met:
    session_id: str
    sent_parts: int
    times: int
    since_s: float


class InTheWay:
    """Tells which of them nobody fills any more: a former process of ours that never heard of its opening, or
    one whose end the service refuses. Box's own uploader goes on with the session that it is told of. Any
    thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._met: dict[Target, _Met] = {}
        self._tries: LRUCache[str, int] = LRUCache(_SESSIONS_KEPT)
        """By session: how often it was given, to be gone on with or to be ended."""

    def way(self, target: Target, size_bytes: int, response: Response) -> Way:
        """What to do about the session that *response*, a ``session_conflict``, tells of. It is gone on with
        once, where its file has as many parts as one of *size_bytes*: if it was of no use, it is of none."""
        session_id, sent, idle_s, is_fitting = "", 0, IDLE_S, False
        with suppress(ServerFault):
            session = session_in(response)
            part_bytes = part_bytes_of(session)
            sent, total = parts_of(session)
            is_fitting = -(-size_bytes // part_bytes) == total
            idle_s *= max(1.0, part_bytes / PART_BYTES)
            session_id = checked.token(session.get("id"), "the upload session's id")
        with self._lock:
            before = self._met.get(target)
            is_same = before is not None and (before.session_id, before.sent_parts) == (session_id, sent)
            now_s = self._clock.now_s()
            if before is None or not is_same:
                before = _Met(session_id, sent, 0, now_s)
            met = self._met[target] = replace(before, times=before.times + 1)
            if met.times < IDLE_TRIES or now_s - met.since_s < idle_s:
                return Way.WAIT
            tries = self._tries.get(session_id, 0)
            if not session_id or tries > ENDS:
                return Way.AROUND
            if tries == 0 and not is_fitting:
                tries = 1
            self._tries[session_id] = tries + 1
            if tries == 0:
                # Whoever gives it up ends it: that is to be given time.
                del self._met[target]
                return Way.GO_ON
            return Way.END

    def over(self, target: Target) -> None:
        """Nothing is in the way of *target*."""
        with self._lock:
            self._met.pop(target, None)


def session_in(response: Response) -> Json:
    """The session that a ``session_conflict`` tells of. ServerFault."""
    context = checked.obj(body_of(response).get("context_info"), "context_info")
    return dict(checked.obj(context.get("session"), "session"))


def parts_of(session: Json) -> tuple[int, int]:
    """How many parts a session has, and how many it is to have. ServerFault."""
    sent = checked.count(session.get("num_parts_processed"), "num_parts_processed")
    return sent, checked.count(session.get("total_parts"), "total_parts")


def part_bytes_of(session: Json) -> int:
    """More than MOST_PART_BYTES is no length of a part. ServerFault."""
    part_bytes = checked.count(session.get("part_size"), "part_size", MOST_PART_BYTES)
    if not part_bytes:
        raise ServerFault("an upload session has parts of no length")
    return part_bytes
