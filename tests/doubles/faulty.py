"""A backend that fails as scheduled: before a call takes effect, or after (the reply is lost)."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary

from mountfs.errors import MountfsError
from mountfs.model.entry import Account, Entry, File, Listed, Place, Space
from mountfs.model.order import Order, Part
from mountfs.model.path import RemotePath
from mountfs.model.rates import Rates
from mountfs.model.source import Source
from mountfs.model.undeleted import Removed, Undeleted
from mountfs.ports import (
    Backend,
    BackendLimits,
    Done,
    FolderPage,
    Launch,
    Outcome,
    Piece,
    RemoteChanges,
    Running,
    Stored,
    Take,
    TreePage,
)

T = TypeVar("T")

_HELD_BACK: WeakKeyDictionary[object, dict[str, dict[int, MountfsError]]] = WeakKeyDictionary()
"""Refused orders of running jobs, by account: another mount may take a job over, and ask how it ended."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What one call answers instead; *after*: only once it took effect."""

    error: MountfsError
    after: bool = False


class FaultyBackend:
    """``ports.Backend`` around another one. Routes are the port's method names."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self._lock = threading.Lock()
        self._faults: defaultdict[str, deque[Fault | None]] = defaultdict(deque)
        self._refused: defaultdict[str, deque[MountfsError]] = defaultdict(deque)
        self._held_back = _HELD_BACK.setdefault(getattr(inner, "remote", inner), {})

    def fail(
        self, route: str, error: MountfsError, *, skip: int = 0, times: int = 1, after: bool = False
    ) -> None:
        """Schedules *times* failures of *route*, after *skip* good calls beyond what is scheduled."""
        with self._lock:
            self._faults[route].extend([None] * skip + [Fault(error, after)] * times)

    def refuse(self, path: str, error: MountfsError, times: int = 1) -> None:
        """The next *times* orders for *path* get this outcome and are not carried out."""
        with self._lock:
            self._refused[RemotePath(path).key].extend([error] * times)

    def forgive(self) -> None:
        """Nothing that is scheduled happens any more."""
        with self._lock:
            self._faults.clear()
            self._refused.clear()

    def is_spent(self) -> bool:
        """Whether everything that was scheduled has happened."""
        with self._lock:
            return not any(self._faults.values()) and not any(self._refused.values())

    @property
    def limits(self) -> BackendLimits:
        return self.inner.limits

    @property
    def root_id(self) -> str:
        return self.inner.root_id

    def account(self) -> Account:
        return self._run("account", self.inner.account)

    def space(self) -> Space:
        return self._run("space", self.inner.space)

    def list_folder(self, path: RemotePath, folder_id: str = "") -> Sequence[Listed]:
        return self._run("list_folder", lambda: self.inner.list_folder(path, folder_id))

    def list_page(
        self,
        path: RemotePath,
        folder_id: str,
        cursor: str | None,
        *,
        most: int | None = None,
        is_ahead: bool = False,
    ) -> FolderPage:
        return self._run(
            "list_folder",
            lambda: self.inner.list_page(path, folder_id, cursor, most=most, is_ahead=is_ahead),
        )

    def restore(self, place: Place, former: File) -> Entry:
        return self._run("restore", lambda: self.inner.restore(place, former))

    def undelete(self, place: Place, *, is_recent: bool = False) -> Undeleted:
        return self._run("undelete", lambda: self.inner.undelete(place, is_recent=is_recent))

    def bring_back(self, removed: Sequence[Removed]) -> list[bool | MountfsError]:
        return self._run("bring_back", lambda: self.inner.bring_back(removed))

    def list_tree(self, folder_id: str, cursor: str | None) -> TreePage:
        return self._run("list_tree", lambda: self.inner.list_tree(folder_id, cursor))

    def stat(self, place: Place) -> Entry:
        return self._run("stat", lambda: self.inner.stat(place))

    def revisions_before(self, file: File, since: str | None) -> Sequence[File]:
        return self._run("revisions_before", lambda: self.inner.revisions_before(file, since))

    def read(self, file: File, offset: int, length: int, take: Take | None = None) -> bytes:
        named = {} if take is None else {"take": take}
        return self._run("read", lambda: self.inner.read(file, offset, length, **named))

    def new_sessions(self, count: int) -> list[str]:
        return self._run("new_sessions", lambda: self.inner.new_sessions(count))

    def content_hashes(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        return self.inner.content_hashes(pieces)

    def append_pack(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        return self._run("append_pack", lambda: self.inner.append_pack(pieces))

    def upload_whole(self, piece: Piece) -> Stored:
        return self._run("upload_whole", lambda: self.inner.upload_whole(piece))

    def open_session(self, place: Place, size_bytes: int | None, base_revision: str | None) -> str:
        return self._run("open_session", lambda: self.inner.open_session(place, size_bytes, base_revision))

    def part_bytes(self, session: str) -> int:
        return self.inner.part_bytes(session)

    def resume(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> bool:
        return self._run("resume", lambda: self.inner.resume(session, source, size_bytes, parts))

    def append(
        self,
        session: str,
        source: Source,
        offset: int,
        length: int,
        *,
        closing: bool,
        size_bytes: int | None,
    ) -> str:
        return self._run(
            "append",
            lambda: self.inner.append(
                session, source, offset, length, closing=closing, size_bytes=size_bytes
            ),
        )

    def abandon(self, session: str) -> None:
        self._run("abandon", lambda: self.inner.abandon(session))

    def whole_hash(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> str:
        return self.inner.whole_hash(session, source, size_bytes, parts)

    def submit(self, orders: Sequence[Order]) -> Launch:
        return self._run("submit", lambda: self._submit(orders))

    def poll(self, job: str, orders: Sequence[Order]) -> Launch:
        return self._run("poll", lambda: self._poll(job, orders))

    def latest_cursor(self) -> str:
        return self._run("latest_cursor", self.inner.latest_cursor)

    def changes(self, cursor: str) -> RemoteChanges:
        return self._run("changes", lambda: self.inner.changes(cursor))

    def wait_for_changes(self, cursor: str, timeout_s: float) -> bool:
        return self._run("wait_for_changes", lambda: self.inner.wait_for_changes(cursor, timeout_s))

    def calls(self) -> dict[str, int]:
        return self.inner.calls()

    def outcomes(self) -> dict[str, dict[str, int]]:
        return self.inner.outcomes()

    def limit_rates(self, rates: Rates) -> None:
        self.inner.limit_rates(rates)

    def trouble(self) -> MountfsError | None:
        return self.inner.trouble()

    def close(self) -> None:
        self.inner.close()

    def _run(self, route: str, call: Callable[[], T]) -> T:
        with self._lock:
            queue = self._faults[route]
            fault = queue.popleft() if queue else None
        if fault is not None and not fault.after:
            raise fault.error
        result = call()
        if fault is not None:
            raise fault.error
        return result

    def refusals(self, orders: Sequence[Order]) -> dict[int, MountfsError]:
        """Position -> why that order is not carried out; each is told once."""
        with self._lock:
            return {
                at: self._refused[order.place.path.key].popleft()
                for at, order in enumerate(orders)
                if self._refused[order.place.path.key]
            }

    def _submit(self, orders: Sequence[Order]) -> Launch:
        refused = self.refusals(orders)
        if len(refused) == len(orders):
            return Done(tuple(refused[at] for at in range(len(orders))))
        launch = self.inner.submit([order for at, order in enumerate(orders) if at not in refused])
        if isinstance(launch, Running) and refused:
            self._held_back[launch.job] = refused
        return _merged(launch, refused)

    def _poll(self, job: str, orders: Sequence[Order]) -> Launch:
        refused = self._held_back.get(job, {})
        launch = self.inner.poll(job, [order for at, order in enumerate(orders) if at not in refused])
        return _merged(launch, refused)


def _merged(launch: Launch, refused: dict[int, MountfsError]) -> Launch:
    """The outcomes of what was carried out, with the refused ones put back at their positions."""
    if isinstance(launch, Running) or not refused:
        return launch
    carried = iter(launch.outcomes)
    outcomes: list[Outcome] = [
        refused[at] if at in refused else next(carried) for at in range(len(launch.outcomes) + len(refused))
    ]
    return Done(tuple(outcomes))
