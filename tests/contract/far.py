"""The far sides of the contract suite, and the calls of the port that many tests make."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.faulty import FaultyBackend
from mountfs.backends.http import HttpSettings
from mountfs.backends.memory import MemoryBackend
from mountfs.backends.memory_account import MemoryAccount
from mountfs.clock import SystemClock
from mountfs.errors import Busy, NotSignedIn, Offline
from mountfs.model.change import ChangeKind
from mountfs.model.entry import Entry, File, Folder
from mountfs.model.hashing import content_hash
from mountfs.model.path import RemotePath
from mountfs.ports import Backend, Done, Order, Outcome, Part, Piece, Running
from mountfs.sandbox.dropbox import DropboxSandbox
from mountfs.sandbox.faults import FaultKind, FaultRule

ROUTES = {
    "account": "users/get_current_account",
    "stat": "files/get_metadata",
    "list_folder": "files/list_folder",
    "new_sessions": "files/upload_session/start_batch",
    "append_pack": "files/upload_session/append_batch",
    "upload_whole": "files/upload_session/start",
    "open_session": "files/upload_session/start",
    "append": "files/upload_session/append_v2",
}
LAUNCHES = {
    ChangeKind.PUT: "files/upload_session/finish_batch",
    ChangeKind.DELETE: "files/delete_batch",
    ChangeKind.MOVE: "files/move_batch_v2",
    ChangeKind.MKDIR: "files/create_folder_batch",
}


class Far(Protocol):
    """A service as a test steers it, and the backend under test."""

    backend: Backend

    refused_name: str
    """A name that the service does not take."""

    def another(self) -> Backend:
        """A second connection to the same account, as after a restart."""

    def sign_out(self) -> Backend:
        """A connection whose credentials are refused."""

    def write(self, path: str, body: bytes) -> None: ...

    def mkdir(self, path: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def read(self, path: str) -> bytes: ...

    def paths(self) -> set[str]: ...

    def lose_sessions(self, *tokens: str) -> None: ...

    def void_cursors(self) -> None: ...

    def lose_reply(self, method: str, kind: ChangeKind = ChangeKind.PUT) -> None:
        """The next call of the port's *method* takes effect, and its reply never arrives."""

    def go_down(self) -> None: ...

    def slow_jobs(self) -> None:
        """Batches take a while, so that they are seen running."""

    def close(self) -> None: ...


class MemoryFar:
    refused_name = "thumbs.db"

    def __init__(self) -> None:
        self.account = MemoryAccount()
        self._inner = MemoryBackend(self.account)
        self._faulty = FaultyBackend(self._inner)
        self.backend: Backend = self._faulty

    def another(self) -> Backend:
        return MemoryBackend(self.account)

    def sign_out(self) -> Backend:
        backend = MemoryBackend(self.account)
        backend.is_signed_in = False
        return backend

    def write(self, path: str, body: bytes) -> None:
        self.account.write(path, body)

    def mkdir(self, path: str) -> None:
        self.account.mkdir(path)

    def remove(self, path: str) -> None:
        self.account.remove(path)

    def read(self, path: str) -> bytes:
        return self.account.files()[path]

    def paths(self) -> set[str]:
        return set(self.account.files()) | self.account.folders()

    def lose_sessions(self, *tokens: str) -> None:
        self.account.lose_sessions()

    def void_cursors(self) -> None:
        self.account.void_cursors()

    def lose_reply(self, method: str, kind: ChangeKind = ChangeKind.PUT) -> None:
        self._faulty.fail(method, Offline("the reply is lost"), after=True)

    def go_down(self) -> None:
        self._inner.is_online = False

    def slow_jobs(self) -> None:
        self.account.job_polls = 3

    def close(self) -> None:
        self.backend.close()


class OneToken:
    """A token that cannot be replaced."""

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self) -> str:
        return self._token

    def refused(self, token: str) -> str:
        raise NotSignedIn(f"the token {token[:4]}... is refused")


class DropboxFar:
    refused_name = "thumbs.db"

    def __init__(self, sandbox: DropboxSandbox) -> None:
        self.sandbox = sandbox
        self._opened: list[DropboxBackend] = []
        self.backend: Backend = self.another()

    def another(self) -> DropboxBackend:
        return self._connect("sandbox")

    def sign_out(self) -> Backend:
        return self._connect("nobody")

    def _connect(self, token: str) -> DropboxBackend:
        url = self.sandbox.base_url
        settings = DropboxSettings(api_url=url, content_url=url, notify_url=url)
        backend = DropboxBackend(settings, OneToken(token), SystemClock(), HttpSettings(read_timeout_s=10.0))
        self._opened.append(backend)
        return backend

    def write(self, path: str, body: bytes) -> None:
        self.sandbox.write(path, body)

    def mkdir(self, path: str) -> None:
        self.sandbox.create_folder(path)

    def remove(self, path: str) -> None:
        self.sandbox.delete(path)

    def read(self, path: str) -> bytes:
        return self.sandbox.read(path)

    def paths(self) -> set[str]:
        return set(self.sandbox.tree())

    def lose_sessions(self, *tokens: str) -> None:
        self.sandbox.expire_sessions(*(token.partition(":")[2] for token in tokens))

    def void_cursors(self) -> None:
        self.sandbox.reset_cursors()

    def lose_reply(self, method: str, kind: ChangeKind = ChangeKind.PUT) -> None:
        route = LAUNCHES[kind] if method == "submit" else ROUTES[method]
        self.sandbox.set_faults([FaultRule(route=route, action=FaultKind.DROP_AFTER, count=1)])

    def go_down(self) -> None:
        self.sandbox.pause()

    def slow_jobs(self) -> None:
        self.sandbox.set_switches(job_duration_s=0.3)

    def close(self) -> None:
        for backend in self._opened:
            backend.close()


def finish(backend: Backend, orders: Sequence[Order]) -> tuple[Outcome, ...]:
    """Submits and polls until it is over, in batches as large as the service takes them."""
    most = _batch_entries(backend, orders[0].kind)
    outcomes: list[Outcome] = []
    for start in range(0, len(orders), most):
        batch = orders[start : start + most]
        launch = backend.submit(batch)
        while isinstance(launch, Running):
            launch = backend.poll(launch.job, batch)
        assert isinstance(launch, Done)
        assert len(launch.outcomes) == len(batch)
        outcomes += launch.outcomes
    return tuple(outcomes)


def _batch_entries(backend: Backend, kind: ChangeKind) -> int:
    limits = backend.limits
    return {
        ChangeKind.PUT: limits.commit_entries,
        ChangeKind.DELETE: limits.delete_entries,
        ChangeKind.MOVE: limits.move_entries,
        ChangeKind.MKDIR: limits.mkdir_entries,
        ChangeKind.SET_TIME: limits.set_time_entries,
    }[kind]


def settle(backend: Backend, orders: Sequence[Order]) -> tuple[Outcome, ...]:
    """``finish``, again while a job whose reply was lost keeps the account busy."""
    deadline_s = time.monotonic() + 10.0
    while time.monotonic() < deadline_s:
        outcomes = finish(backend, orders)
        if not any(isinstance(outcome, Busy) for outcome in outcomes):
            return outcomes
    raise AssertionError("busy for ever")


def put_order(
    path: str, session: str, size_bytes: int, base: str | None = None, mtime_s: int = 1000
) -> Order:
    return Order(
        ChangeKind.PUT,
        RemotePath(path),
        base_revision=base,
        size_bytes=size_bytes,
        mtime_ns=mtime_s * 1_000_000_000,
        session=session,
    )


def sent(backend: Backend, path: str, body: bytes, base: str | None = None, mtime_s: int = 1000) -> Order:
    """A small file ready to be committed: uploaded, where it does not travel with its commit."""
    order = put_order(path, "", len(body), base, mtime_s)
    return replace(
        order,
        session=backend.upload_whole(body) if backend.limits.pack_entries else None,
        content_hash=content_hash(backend.limits.hash_kind, body),
        read=lambda offset, length: body[offset : offset + length],
    )


def put(backend: Backend, path: str, body: bytes, base: str | None = None) -> Outcome:
    """One small file, uploaded and committed."""
    (outcome,) = finish(backend, [sent(backend, path, body, base)])
    return outcome


def put_file(backend: Backend, path: str, body: bytes, base: str | None = None) -> File:
    outcome = put(backend, path, body, base)
    assert isinstance(outcome, File), outcome
    return outcome


def mkdir_order(path: str) -> Order:
    return Order(ChangeKind.MKDIR, RemotePath(path), is_folder=True)


def delete_order(path: str, base: str | None = None, *, is_folder: bool = False) -> Order:
    return Order(ChangeKind.DELETE, RemotePath(path), base_revision=base, is_folder=is_folder)


def move_order(source: str, target: str, *, is_folder: bool = False) -> Order:
    return Order(ChangeKind.MOVE, RemotePath(target), source=RemotePath(source), is_folder=is_folder)


def make_folder(backend: Backend, path: str) -> Folder:
    (outcome,) = finish(backend, [mkdir_order(path)])
    assert isinstance(outcome, Folder), outcome
    return outcome


def names(entries: Sequence[Entry]) -> set[str]:
    return {entry.path.name for entry in entries}


def open_large(backend: Backend, path: str, size_bytes: int, base: str | None = None) -> str:
    """A session for one large file, whose size is told only where it must be."""
    known = size_bytes if backend.limits.size_known_at_start else None
    return backend.open_session(RemotePath(path), known, base)


def upload_parts(
    backend: Backend, path: str, body: bytes, *, is_closed_empty: bool = False, base: str | None = None
) -> tuple[str, list[Part]]:
    """A large file through a session of its own; the last part closes it, or an empty one after it."""
    session = open_large(backend, path, len(body), base)
    step = backend.part_bytes(session)
    parts = []
    for offset in range(0, len(body), step):
        piece = body[offset : offset + step]
        is_last = offset + step >= len(body) and not is_closed_empty
        receipt = backend.append(
            session, offset, piece, closing=is_last, size_bytes=len(body) if is_last else None
        )
        parts.append(Part(offset, len(piece), receipt))
    if is_closed_empty:
        backend.append(session, len(body), b"", closing=True, size_bytes=len(body))
    return session, parts


def large_order(
    backend: Backend,
    path: str,
    body: bytes,
    session: str,
    parts: Sequence[Part] = (),
    base: str | None = None,
) -> Order:
    """The commit of a large file's session."""
    return replace(
        put_order(path, session, len(body), base),
        content_hash=content_hash(backend.limits.hash_kind, body),
        parts=tuple(parts),
    )


def pack(backend: Backend, bodies: Sequence[bytes]) -> list[Piece]:
    """Sessions for *bodies*, not yet sent."""
    sessions = backend.new_sessions(len(bodies))
    return [Piece(session, body) for session, body in zip(sessions, bodies, strict=True)]
