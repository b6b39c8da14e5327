"""The far sides of the contract suite, and the calls of the port that many tests make."""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Protocol

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.faults import FaultKind, FaultRule
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.http import HttpClient, HttpSettings
from mountfs.clock import SystemClock
from mountfs.errors import Busy, MountfsError, NotSignedIn, Offline
from mountfs.model.entry import File, Folder, Listed, Place
from mountfs.model.hashing import content_hash
from mountfs.model.order import Copy, Delete, MakeFolder, Move, Order, OrderKind, Part, Put, SetTime
from mountfs.model.path import RemotePath
from mountfs.ports import Backend, BackendLimits, Done, Launch, Outcome, Piece, Running
from tests.doubles.faulty import FaultyBackend
from tests.doubles.memory import MemoryBackend
from tests.doubles.memory_account import MEMORY_LIMITS, MemoryAccount
from tests.doubles.sources import append_part, piece_of, source_of, upload_whole
from tests.waiting import until

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
    OrderKind.PUT: "files/upload_session/finish_batch",
    OrderKind.DELETE: "files/delete_batch",
    OrderKind.MOVE: "files/move_batch_v2",
    OrderKind.COPY: "files/copy_batch_v2",
    OrderKind.MAKE_FOLDER: "files/create_folder_batch",
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

    def astray(self) -> Backend:
        """A connection to an address at which nobody listens."""

    # What other people do

    def write(self, path: str, body: bytes) -> None: ...

    def mkdir(self, path: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def move(self, source: str, target: str) -> None: ...

    # What came of it

    def read(self, path: str) -> bytes: ...

    def paths(self) -> set[str]: ...

    # What goes wrong

    def lose_sessions(self, *tokens: str) -> None: ...

    def void_cursors(self) -> None: ...

    def lose_reply(self, method: str, kind: OrderKind = OrderKind.PUT) -> None:
        """The next call of the port's *method* takes effect, and its reply never arrives."""

    def go_down(self) -> None: ...

    def slow_jobs(self) -> None:
        """Batches take a while, so that they are seen running."""

    def close(self) -> None: ...


class MemoryFar:
    refused_name = "thumbs.db"

    def __init__(self, limits: BackendLimits = MEMORY_LIMITS) -> None:
        self.account = MemoryAccount(limits)
        self._inner = MemoryBackend(self.account)
        self._faulty = FaultyBackend(self._inner)
        self.backend: Backend = self._faulty

    def another(self) -> Backend:
        return MemoryBackend(self.account)

    def sign_out(self) -> Backend:
        backend = MemoryBackend(self.account)
        backend.is_signed_in = False
        return backend

    def astray(self) -> Backend:
        backend = MemoryBackend(self.account)
        backend.is_online = False
        return backend

    def write(self, path: str, body: bytes) -> None:
        self.account.write(path, body)

    def mkdir(self, path: str) -> None:
        self.account.mkdir(path)

    def remove(self, path: str) -> None:
        self.account.remove(path)

    def move(self, source: str, target: str) -> None:
        self.account.move(source, target)

    def read(self, path: str) -> bytes:
        return self.account.files()[path]

    def paths(self) -> set[str]:
        return set(self.account.files()) | self.account.folders()

    def lose_sessions(self, *tokens: str) -> None:
        self.account.lose_sessions()

    def void_cursors(self) -> None:
        self.account.void_cursors()

    def lose_reply(self, method: str, kind: OrderKind = OrderKind.PUT) -> None:
        self._faulty.fail(method, Offline("the reply is lost"), after=True)

    def go_down(self) -> None:
        self._inner.is_online = False

    def slow_jobs(self) -> None:
        self.account.job_polls = 3

    def close(self) -> None:
        self.backend.close()


class DeafPort:
    """A port of this machine at which nobody listens, kept from everybody else."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()


class OneToken:
    """A token that cannot be replaced."""

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self) -> str:
        return self._token

    def refused(self, token: str) -> str:
        raise NotSignedIn(f"the token {token[:4]}... is refused")


class SandboxFar(ABC):
    """A service's client on its stand-in. The stand-ins take the same edits and the same faults; a service
    has its own routes and its own words for what it forgets."""

    routes: ClassVar[Mapping[str, str]]
    """Of each call of the port whose reply can be lost."""
    launches: ClassVar[Mapping[OrderKind, str]]
    """Of ``submit``, by the kind of its orders."""

    def __init__(self, sandbox: DropboxSandbox | BoxSandbox) -> None:
        self._stand_in = sandbox
        self._deaf = DeafPort()
        self._opened: list[Backend] = []
        self.backend: Backend = self.another()

    def another(self) -> Backend:
        return self._open("sandbox", self._stand_in.base_url)

    def sign_out(self) -> Backend:
        return self._open("nobody", self._stand_in.base_url)

    def astray(self) -> Backend:
        return self._open("sandbox", self._deaf.url)

    @abstractmethod
    def _connect(self, token: str, url: str) -> Backend:
        """The service's client, with all its hosts at *url*."""

    def _open(self, token: str, url: str) -> Backend:
        self._opened.append(self._connect(token, url))
        return self._opened[-1]

    def write(self, path: str, body: bytes) -> None:
        self._stand_in.write(path, body)

    def mkdir(self, path: str) -> None:
        self._stand_in.create_folder(path)

    def remove(self, path: str) -> None:
        self._stand_in.delete(path)

    def move(self, source: str, target: str) -> None:
        self._stand_in.move(source, target)

    def read(self, path: str) -> bytes:
        return self._stand_in.read(path)

    def paths(self) -> set[str]:
        return set(self._stand_in.tree())

    def lose_reply(self, method: str, kind: OrderKind = OrderKind.PUT) -> None:
        route = self.launches[kind] if method == "submit" else self.routes[method]
        self._stand_in.set_faults([FaultRule(route=route, action=FaultKind.DROP_AFTER, count=1)])

    def go_down(self) -> None:
        self._stand_in.pause()

    def close(self) -> None:
        for backend in self._opened:
            backend.close()
        self._deaf.close()


class DropboxFar(SandboxFar):
    refused_name = "thumbs.db"
    routes = ROUTES
    launches = LAUNCHES

    def __init__(self, sandbox: DropboxSandbox) -> None:
        self.sandbox = sandbox
        super().__init__(sandbox)

    def _connect(self, token: str, url: str) -> Backend:
        settings = DropboxSettings(api_url=url, content_url=url, notify_url=url)
        return DropboxBackend(settings, OneToken(token), SystemClock(), HttpSettings(read_timeout_s=10.0))

    def lose_sessions(self, *tokens: str) -> None:
        self.sandbox.expire_sessions(*(token.partition(":")[2] for token in tokens))

    def void_cursors(self) -> None:
        self.sandbox.reset_cursors()

    def slow_jobs(self) -> None:
        self.sandbox.set_switches(job_duration_s=0.3)


def finish(backend: Backend, orders: Sequence[Order]) -> tuple[Outcome, ...]:
    """Submits and polls until it is over, in batches as large as the service takes them."""
    most = backend.limits.batch_entries[orders[0].kind]
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


def settle(backend: Backend, orders: Sequence[Order]) -> tuple[Outcome, ...]:
    """``finish``, again while a job whose reply was lost keeps the account busy."""
    outcomes: tuple[Outcome, ...] = ()

    def is_over() -> bool:
        nonlocal outcomes
        outcomes = finish(backend, orders)
        return not any(isinstance(outcome, Busy) for outcome in outcomes)

    until(is_over, "the account is busy no more")
    return outcomes


def poll_to_the_end(backend: Backend, launch: Launch, orders: Sequence[Order]) -> Done:
    """What the service says once it works on the batch no more."""

    def is_over() -> bool:
        nonlocal launch
        if isinstance(launch, Running):
            launch = backend.poll(launch.job, orders)
        return isinstance(launch, Done)

    until(is_over, "the job is over")
    assert isinstance(launch, Done)
    return launch


@contextlib.contextmanager
def waiting_for(client: HttpClient, seconds: float) -> Iterator[None]:
    """Its requests have an answer within so long, or none: for one that gets none in any time."""
    usual = client._settings
    client._settings = replace(usual, read_timeout_s=seconds)
    try:
        yield
    finally:
        client._settings = usual


def place(path: str, folder_id: str = "") -> Place:
    return Place(RemotePath(path), folder_id)


def put_order(
    path: str,
    session: str | None,
    size_bytes: int,
    base: str | None = None,
    mtime_s: int = 1000,
    folder_id: str = "",
) -> Put:
    """A commit of what was uploaded into *session*, whose hash the service computes."""
    return Put(
        place(path, folder_id),
        size_bytes=size_bytes,
        mtime_ns=mtime_s * 1_000_000_000,
        content_hash="",
        base_revision=base,
        session=session,
    )


def sent(
    backend: Backend,
    path: str,
    body: bytes,
    base: str | None = None,
    mtime_s: int = 1000,
    folder_id: str = "",
) -> Put:
    """A small file ready to be committed: its bytes are uploaded, unless they travel with the commit, and
    its folder is made, unless that happens by itself or *folder_id* names it."""
    if not folder_id:
        ensure_folder(backend, RemotePath(path).parent)
    return replace(
        put_order(path, None, len(body), base, mtime_s, folder_id),
        session=upload_whole(backend, body) if backend.limits.pack_entries else None,
        content_hash=content_hash(backend.limits.hash_kind, body),
        body=source_of(body),
    )


def put(backend: Backend, path: str, body: bytes, base: str | None = None, folder_id: str = "") -> Outcome:
    """One small file, uploaded and committed."""
    (outcome,) = finish(backend, [sent(backend, path, body, base, folder_id=folder_id)])
    return outcome


def put_file(backend: Backend, path: str, body: bytes, base: str | None = None, folder_id: str = "") -> File:
    outcome = put(backend, path, body, base, folder_id)
    assert isinstance(outcome, File), outcome
    return outcome


def mkdir_order(path: str, folder_id: str = "") -> MakeFolder:
    return MakeFolder(place(path, folder_id))


def delete_order(
    path: str, base: str | None = None, *, is_folder: bool = False, item_id: str = "", folder_id: str = ""
) -> Delete:
    return Delete(place(path, folder_id), is_folder, item_id, base)


def move_order(
    source: str, target: str, *, is_folder: bool = False, item_id: str = "", folder_id: str = ""
) -> Move:
    """*folder_id* is that of the target's folder."""
    return Move(place(target, folder_id), place(source), is_folder, item_id)


def copy_order(source: File, target: str) -> Copy:
    return Copy(place(target), source.id, source.revision)


def time_order(path: str, base: str, mtime_ns: int) -> SetTime:
    return SetTime(place(path), mtime_ns, base)


def make_folder(backend: Backend, path: str) -> Folder:
    """The folder, with those above it."""
    ensure_folder(backend, RemotePath(path).parent)
    (outcome,) = finish(backend, [mkdir_order(path)])
    assert isinstance(outcome, Folder), outcome
    return outcome


def ensure_folder(backend: Backend, path: RemotePath) -> None:
    """Makes the folder *path* and those above it, where the service makes none by itself."""
    if backend.limits.parents_implicit:
        return
    for folder in reversed([path, *path.ancestors()]):
        if not folder.is_root:
            finish(backend, [MakeFolder(Place(folder))])


def folder_at(backend: Backend, path: str) -> Folder:
    entry = backend.stat(place(path))
    assert isinstance(entry, Folder), entry
    return entry


def file_at(backend: Backend, path: str) -> File:
    entry = backend.stat(place(path))
    assert isinstance(entry, File), entry
    return entry


def names(entries: Sequence[Listed]) -> set[str]:
    return {entry.name for entry in entries}


def open_large(backend: Backend, path: str, size_bytes: int, base: str | None = None) -> str:
    """A session for one large file, whose size is told only where it must be."""
    known = size_bytes if backend.limits.size_known_at_start else None
    return backend.open_session(place(path), known, base)


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
        size_bytes = len(body) if is_last else None
        receipt = append_part(
            backend, session, offset, piece, closing=is_last, size_bytes=size_bytes, whole=body
        )
        parts.append(Part(offset, len(piece), receipt))
    if is_closed_empty:
        append_part(backend, session, len(body), b"", closing=True, size_bytes=len(body))
    return session, parts


def large_order(
    backend: Backend,
    path: str,
    body: bytes,
    session: str,
    parts: Sequence[Part] = (),
    base: str | None = None,
) -> Put:
    """The commit of a large file's session."""
    return replace(
        put_order(path, session, len(body), base),
        content_hash=content_hash(backend.limits.hash_kind, body),
        parts=tuple(parts),
    )


def pack(backend: Backend, bodies: Sequence[bytes]) -> list[Piece]:
    """Sessions for *bodies*, not yet sent."""
    sessions = backend.new_sessions(len(bodies))
    return [piece_of(body, session) for session, body in zip(sessions, bodies, strict=True)]


def undelete(backend: Backend, path: str) -> tuple[int, int]:
    """How many files and folders came back, and how many stay away."""
    undeleted = backend.undelete(place(path))
    found: list[bool] = [True] if undeleted.is_back else []
    for start in range(0, len(undeleted.rest), 3):
        part = undeleted.rest[start : start + 3]
        for is_back in backend.bring_back(part):
            if isinstance(is_back, MountfsError):
                raise is_back
            found.append(is_back)
    return found.count(True), found.count(False)
