"""The contracts between the file system and the world: a cloud service, a clock, a disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mountfs.errors import MountfsError
from mountfs.model.allowance import Allowance
from mountfs.model.entry import Account, Entry, File, Listed, News, Place, Placed, Space
from mountfs.model.hashing import HashKind
from mountfs.model.names import NameRules
from mountfs.model.order import Order, OrderKind, Part
from mountfs.model.path import RemotePath
from mountfs.model.rates import Rates
from mountfs.model.source import Source
from mountfs.model.undeleted import Removed, Undeleted

Take = Callable[[bytes | memoryview], None]
"""Is given the bytes of a file, piece by piece, in order; a piece is good until it returns. DiskTrouble: it
cannot keep them."""


@dataclass(frozen=True, slots=True)
class BackendLimits:
    """How a service differs from the others, as values; nothing outside ``backends`` asks which it is."""

    hash_kind: HashKind
    names: NameRules
    max_file_bytes: int
    batch_entries: Mapping[OrderKind, int]
    """Most orders of each kind in one batch; a kind that is not named is never sent."""
    pack_entries: int
    """Most small files in one ``append_pack``; 0 where small files travel with their commit."""
    pack_bytes: int
    """Most bytes in one ``append_pack``."""
    chunk_bytes: int
    """Preferred size of one ``append`` to a session; a multiple of what the service demands."""
    session_min_bytes: int
    """Files of at least this size go through a session of their own."""
    size_known_at_start: bool
    """Whether a session can start only when the file's final size is known (no streaming while open)."""
    ends_sessions: bool
    """Whether an upload session nobody will commit can be ended; else it expires by itself, and only so."""
    parents_implicit: bool
    """Whether committing a file creates the missing folders above it."""
    sessions_have_places: bool = False
    """Whether a session is for one path and one base from its start, and of no use for another."""
    deletes_recursively: bool = True
    """Whether a ``Delete`` of a folder takes along all that is in it; False: one that is not empty is refused
    with DirectoryNotEmpty, so that nobody needs to look first."""
    lists_trees: bool = False
    """Whether all that is below a folder can be listed in pages (``list_tree``)."""
    transport_routes: frozenset[str] = frozenset()
    """Calls, as ``calls`` names them, that the service counts by the month."""
    batches_at_once: int = 1
    """How many batches may be sent side by side. 1: one runs at a time, also between the processes of a
    machine; more: batches that the service still works on (``Running``) keep none of the others waiting."""

    @property
    def carries_times(self) -> bool:
        """Whether a file's modification time can be set at the service without sending its bytes again."""
        return self.batch_entries.get(OrderKind.SET_TIME, 0) > 0

    @property
    def copies_files(self) -> bool:
        """Whether the service makes a file of the bytes of another one by itself."""
        return self.batch_entries.get(OrderKind.COPY, 0) > 0


@dataclass(frozen=True, slots=True)
class Piece:
    """One small file: its first *length* bytes are all it has; for ``append_pack`` also its own session."""

    source: Source
    length: int
    session: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A small file whose bytes are at the service: in which closed session, and their hash."""

    session: str
    content_hash: str


Outcome = Entry | MountfsError | None
"""Of one order: the entry that now stands there (None after a DELETE), or why not."""


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that is over: one outcome per order, by position."""

    outcomes: tuple[Outcome, ...]
    unused_sessions: tuple[str, ...] = ()
    """Of orders that were found done already: to be abandoned by who submitted them."""


@dataclass(frozen=True, slots=True)
class Running:
    """A batch the service works on; ask ``poll`` with *job* again, not before *retry_after_s*."""

    job: str
    retry_after_s: float | None = None


Launch = Done | Running


@dataclass(frozen=True, slots=True)
class RemoteChanges:
    """What others (and we) did since a cursor, to be applied in order."""

    entries: tuple[News, ...]
    cursor: str
    has_more: bool


@dataclass(frozen=True, slots=True)
class TreePage:
    """A part of all that is below a folder, in any order; the folder itself may be in it.

    While pages are read, something may be on two of them: it changed, and the later one is right.
    """

    entries: Sequence[Placed]
    cursor: str
    has_more: bool


@dataclass(frozen=True, slots=True)
class FolderPage:
    """A part of what is in a folder, in any order.

    While pages are read, something may be on two of them. None in place of an entry: something on a page
    before is not there any more. Which one is right, ``list_folder`` tells.
    """

    entries: Sequence[Listed | None]
    cursor: str | None
    """Of the next page; None: there is none."""


class Backend(Protocol):
    """A cloud account. Every method may be called from any thread, blocks for at most its time-outs
    and raises only ``MountfsError``; Offline and ServerFault leave open whether the call took effect.

    Bytes of pending files are read by whoever implements this: a call that is given a ``Source`` raises
    Unreadable and DiskTrouble as well. Hashes of contents are in the service's algorithm.
    """

    @property
    def limits(self) -> BackendLimits: ...

    @property
    def root_id(self) -> str:
        """The id by which the service's news name the folder that is the root here; "" where it has none."""

    def account(self) -> Account:
        """Who the credentials belong to. NotSignedIn when they are refused."""

    def space(self) -> Space:
        """Used and total bytes, uncached."""

    def list_folder(self, path: RemotePath, folder_id: str = "") -> Sequence[Listed]:
        """All children with their attributes, in any order, of the folder *folder_id*, or of the one at
        *path* where that is "". A child that makes no sense is Odd, and costs nobody the others. NotFound,
        NotADirectory."""

    def list_page(
        self,
        path: RemotePath,
        folder_id: str,
        cursor: str | None,
        *,
        most: int | None = None,
        is_ahead: bool = False,
    ) -> FolderPage:
        """A page of what ``list_folder`` lists; *cursor*: None for the first page, else that of the page
        before. *most*: about so many entries; None: as many as the service gives at once. *is_ahead*: nobody
        waits for it yet. NotFound, NotADirectory; Conflict: the cursor is void."""

    def list_tree(self, folder_id: str, cursor: str | None) -> TreePage:
        """A page of all that is below a folder (its id; ``root_id`` for the root); *cursor*: None for the
        first page, else that of the page before. Called where ``lists_trees``. NotFound, NotADirectory;
        Conflict: the cursor is void, the listing has to begin anew."""

    def stat(self, place: Place) -> Entry:
        """What stands at *place*, which is not the root. NotFound."""

    def revisions_before(self, file: File, since: str | None) -> Sequence[File]:
        """The revisions that the item *file* had before this one and after the revision *since* (None: all
        that one call looks into), the newest first. They can be read; a change that names one as its base is
        a Conflict.

        NotFound, Forbidden or another Refused: that cannot be told. The account keeps no history, say, or
        *since* is not in the part of it that one call looks into: the newest hundred at least."""

    def restore(self, place: Place, former: File) -> Entry:
        """Gives the file at *place*, of which *former* is a former revision, the bytes of that one, as a new
        revision, and tells what stands there by then. NotFound: the service does not keep it any more."""

    def undelete(self, place: Place, *, is_recent: bool = False) -> Undeleted:
        """Begins to bring back what stood at *place* and was removed last, at that place; a folder with what
        was in it, and one that stands there with what was removed last below it, with *is_recent* only if
        that was just now. NotFound: the service has nothing to bring back. AlreadyExists."""

    def bring_back(self, removed: Sequence[Removed]) -> list[bool | MountfsError]:
        """By position whether it is back; False: something else stands there, or it is not kept any more. A
        failure is the last, and ends it."""

    def read(self, file: File, offset: int, length: int, take: Take | None = None) -> bytes:
        """Bytes of exactly this revision, fewer only at its end. NotFound when the revision is gone.

        *take* is given them in order, as they come, and none are returned then. They are right only once the
        call has returned.
        """

    def new_sessions(self, count: int) -> list[str]:
        """Tokens of *count* empty sessions for ``append_pack``; unused ones expire by themselves."""

    def content_hashes(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        """Of small files that travel with their commit, by position; why not, where one cannot be read. Asks
        nobody."""

    def append_pack(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        """Writes and closes many small sessions in one request; by position the file's hash where it
        succeeded. One that cannot be read keeps none of the others.

        A piece whose session is found closed with exactly its bytes counts as a success (a lost reply).
        BatchRefused: this account cannot; use ``upload_whole``. RequestTooBig: send fewer at once.
        """

    def upload_whole(self, piece: Piece) -> Stored:
        """One small file into a closed session of its own, which it gets now."""

    def open_session(self, place: Place, size_bytes: int | None, base_revision: str | None) -> str:
        """The token of a session for one large file; *size_bytes* is None while it is being written."""

    def part_bytes(self, session: str) -> int:
        """The exact length of every part but the last that this session demands."""

    def resume(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> bool:
        """Takes up a session that a former process sent *parts* to: whether the file, of *size_bytes*, still
        holds their bytes. A process that died while it wrote over them may have left both the new bytes and
        the old session. Where receipts do not tell, no session begins before the file is whole, and nothing
        writes to it then. Asks nobody."""

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
        """Stores one part and gives its receipt; several may run at once. *closing*: the last to be sent,
        after all others were acknowledged; it may be empty. A part found stored already is a success.
        SessionLost: begin again with another session."""

    def abandon(self, session: str) -> None:
        """Ends a session that will not be committed; one that is gone is fine. Any error leaves it open:
        Transient and NotSignedIn for now, others until it expires. Called where ``ends_sessions``."""

    def whole_hash(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> str:
        """The hash of a file of *size_bytes* that went up in *parts*, from what was seen of it meanwhile.
        What was not is read again. Asks nobody."""

    def submit(self, orders: Sequence[Order]) -> Launch:
        """Starts a batch of orders of one kind; never while another batch of this account runs."""

    def poll(self, job: str, orders: Sequence[Order]) -> Launch:
        """Asks after a running batch; *orders* are those it was submitted with. Without them it is another
        machine's, and only whether it is over is told: Running or Done. SessionLost: unknown job."""

    def latest_cursor(self) -> str:
        """A cursor that stands for the account as it is now."""

    def changes(self, cursor: str) -> RemoteChanges:
        """What changed since *cursor*. Conflict: the cursor is void, everything cached must be forgotten."""

    def wait_for_changes(self, cursor: str, timeout_s: float) -> bool:
        """Blocks until something changed since *cursor* (True), or *timeout_s* passed (False)."""

    def calls(self) -> dict[str, int]:
        """How many requests were sent so far, by route."""

    def outcomes(self) -> dict[str, dict[str, int]]:
        """What came of them: by route, how many ended in each way. Asks nobody."""

    def limit_rates(self, rates: Rates) -> None:
        """Keeps the bytes of all requests together to *rates* from here on. Asks nobody."""

    def trouble(self) -> MountfsError | None:
        """What is wrong with the service while something is: the last such failure. Asks nobody."""

    def close(self) -> None:
        """Ends connections; blocked calls raise Offline soon."""


class CallBudget(Protocol):
    """What an account may still ask of its service this minute, shared by all who ask. Any thread. Where the
    others cannot be heard, it counts what it knows itself."""

    def take(self, wanted: tuple[Allowance, ...]) -> float:
        """Seconds until a call that counts as each of *wanted* may leave. Its places are reserved, unless
        that is longer than ``allowance.AHEAD_S``: then it has to ask again after that time. Throttled: it
        cannot be counted now, and may wait."""

    def refused(self, refused: tuple[Allowance, ...], retry_after_s: float | None) -> None:
        """The service sent such a call away (429), and named a pause or none."""


class Clock(Protocol):
    """Time and chance; a fake in tests."""

    def now_s(self) -> float:
        """Monotonic seconds: for durations and deadlines."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970: for time stamps."""

    def jitter(self) -> float:
        """A number from [0, 1)."""


class Disk(Protocol):
    """The few system calls on spool files that we allow ourselves; a power-loss double in tests.

    Raises OSError as the system does, except that a full disk is ``NoSpace``.
    """

    def create(self, path: str) -> int:
        """A descriptor of a new file, readable and writable, mode 0600."""

    def create_unnamed(self, directory: str) -> int:
        """The same of one without a name, on the disk of *directory*; gone with its last descriptor."""

    def name(self, fd: int, path: str) -> None:
        """Gives a file without a name one that is free."""

    def open(self, path: str) -> int:
        """A descriptor of an existing file, readable and writable."""

    def close(self, fd: int) -> None: ...

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Fewer bytes than *length* only at the end of the file."""

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        """All of *data*."""

    def truncate(self, fd: int, size_bytes: int) -> None: ...

    def allocate(self, fd: int, size_bytes: int) -> None:
        """The file takes up that much space from here on, whatever is written to it."""

    def size(self, fd: int) -> int: ...

    def link(self, source: str, target: str) -> None:
        """Gives a file a second name."""

    def inode(self, fd: int) -> tuple[int, int]:
        """The number of the file, which no other has while it is open, and how many names it has."""

    def exists(self, path: str) -> bool: ...

    def copy(self, source_fd: int, target_fd: int, length: int, at: int = 0) -> None:
        """*length* bytes from *at* on, by reflink where the file system can."""

    def fdatasync(self, fd: int) -> None: ...

    def sync_directory(self, path: str) -> None: ...

    def remove(self, path: str) -> None:
        """Removes a file; one that is gone already is fine."""

    def rename(self, source: str, target: str) -> None: ...

    def names(self, directory: str) -> list[str]: ...

    def sizes(self, directory: str) -> dict[str, int]:
        """Bytes of each regular file in *directory*, by name."""

    def free_bytes(self, directory: str) -> int: ...

    def label(self, fd: int, text: str) -> bool:
        """Keeps *text* with the file, in place of what was kept before; False where that cannot be done."""

    def label_of(self, path: str) -> str | None:
        """What ``label`` was given last; None: nothing, or it was not kept."""
