"""The port on an account in memory: the far side of tests that need no wire."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mountfs.backends import packs
from mountfs.backends.receipts import hash_of_parts, holds, receipt_of
from mountfs.backends.wholehash import WholeHashes, file_hash
from mountfs.errors import (
    AlreadyExists,
    BatchRefused,
    Conflict,
    InvalidArgument,
    MountfsError,
    NotFound,
    NotSignedIn,
    NotSupported,
    Offline,
    RequestTooBig,
    ServerFault,
    Unreachable,
)
from mountfs.model.entry import Account, Entry, File, Folder, Listed, Odd, Place, Space
from mountfs.model.hashing import content_hash
from mountfs.model.order import Order, Part
from mountfs.model.path import RemotePath
from mountfs.model.rates import Rates
from mountfs.model.source import Source
from mountfs.model.undeleted import Removed, Undeleted
from mountfs.ports import BackendLimits, FolderPage, Launch, Piece, RemoteChanges, Stored, Take, TreePage
from tests.doubles.memory_account import MemoryAccount


class MemoryBackend:
    """``ports.Backend`` on a ``MemoryAccount``; several may share one, as several clients do.

    Knobs: ``is_online`` False makes every call Unreachable; ``is_signed_in`` False
    makes it NotSignedIn; ``takes_packs`` False makes ``append_pack`` BatchRefused; ``page_entries``
    bounds ``changes``, and ``listing_entries`` a page of a folder; ``hold`` keeps calls of one route waiting
    until ``release``; what it says of the names in ``odd`` makes no sense, and the folders with the ids in
    ``also`` seem to hold those entries too.
    """

    def __init__(self, account: MemoryAccount | None = None, *, limits: BackendLimits | None = None) -> None:
        if account is None:
            account = MemoryAccount(limits) if limits else MemoryAccount()
        self.remote = account
        self._hashes = WholeHashes(account.limits.hash_kind)
        self.is_online = True
        self.is_signed_in = True
        self.takes_packs = True
        self.page_entries = 500
        self.listing_entries = 2000
        self.odd: set[str] = set()
        self.also: dict[str, list[Entry]] = {}
        self._is_closed = False
        self._rests: dict[str, Sequence[Listed]] = {}
        self._held: set[str] = set()
        self._waiting: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._gate = threading.Condition()

    @property
    def limits(self) -> BackendLimits:
        return self.remote.limits

    @property
    def root_id(self) -> str:
        return self.remote.root_id

    def hold(self, route: str) -> None:
        """Calls of the port's method *route* wait, before they take effect, until ``release``."""
        with self._gate:
            self._held.add(route)

    def release(self, route: str) -> None:
        with self._gate:
            self._held.discard(route)
            self._gate.notify_all()

    def wait_until_held(self, route: str, timeout_s: float = 10.0, calls: int = 1) -> bool:
        """Whether so many *calls* of *route* came to wait within *timeout_s*."""
        with self._gate:
            return self._gate.wait_for(lambda: self._waiting[route] >= calls, timeout_s)

    def account(self) -> Account:
        with self._call("account"):
            return Account(self.remote.key, "Memory")

    def space(self) -> Space:
        with self._call("space"):
            return Space(self.remote.tree.used_bytes, self.remote.tree.quota_bytes)

    def list_folder(self, path: RemotePath, folder_id: str = "") -> list[Listed]:
        with self._call("list_folder"):
            children = list(self.remote.tree.children(path, folder_id))
            children += self.also.get(folder_id, [])
            return [self._shown(each) for each in children]

    def list_page(
        self,
        path: RemotePath,
        folder_id: str,
        cursor: str | None,
        *,
        most: int | None = None,
        is_ahead: bool = False,
    ) -> FolderPage:
        """Counts as ``list_folder``; later pages are of the folder as it was at the first one."""
        if cursor is None:
            rest: Sequence[Listed] = self.list_folder(path, folder_id)
        else:
            with self._call("list_folder"):
                if cursor not in self._rests:
                    raise Conflict("reset")
                rest = self._rests.pop(cursor)
        count = most or self.listing_entries
        if len(rest) <= count:
            return FolderPage(rest, None)
        following = f"rest {len(rest)} of {folder_id or path}"
        self._rests[following] = rest[count:]
        return FolderPage(rest[:count], following)

    def list_tree(self, folder_id: str, cursor: str | None) -> TreePage:
        """Of the tree as it is at each page: children after their folder, in the order of their paths."""
        with self._call("list_tree"):
            top = self._path_of(folder_id)
            everything = [(RemotePath(""), None), *self.remote.tree.walk()]
            below = sorted(
                (path.key, entry)
                for path, entry in everything
                if entry is not None
                and (path.key == top.key or path.is_below(top))
                and path.key > (cursor or "")
            )
            page = below[: self.page_entries]
            placed = [(key, key.rpartition("/")[0], self._shown(entry)) for key, entry in page]
            return TreePage(placed, page[-1][0] if page else "", len(below) > len(page))

    def _path_of(self, folder_id: str) -> RemotePath:
        """NotFound, NotADirectory."""
        if folder_id in ("", self.root_id):
            return RemotePath("")
        self.remote.tree.children(RemotePath(""), folder_id)
        return self.remote.tree.path_of(folder_id)

    def _shown(self, entry: Entry) -> Listed:
        return Odd(entry.name, "no size") if entry.name in self.odd else entry

    def stat(self, place: Place) -> Entry:
        with self._call("stat"):
            if place.name in self.odd:
                raise ServerFault("no size")
            entry = None if place.path.is_root else self.remote.tree.at(place)
            if entry is None:
                raise NotFound(f"no such file or folder: {place}")
            return entry

    def revisions_before(self, file: File, since: str | None) -> list[File]:
        with self._call("revisions_before"):
            return self.remote.tree.revisions_before(file, since)

    def restore(self, place: Place, former: File) -> Entry:
        with self._call("restore"):
            body = self.remote.tree.body(former.revision)
            if body is None:
                raise NotFound(f"revision {former.revision} of {former.name} is gone")
            return self.remote.write(place.path.text, body, former.mtime_ns)

    def undelete(self, place: Place, *, is_recent: bool = False) -> Undeleted:
        with self._call("undelete"):
            tree = self.remote.tree
            standing = tree.at(place)
            if isinstance(standing, File):
                raise AlreadyExists(f"something stands at {place}")
            gone = tree.removed_below(place.path) if standing else tree.removed_at(place)
            rest = [
                Removed(path.text, isinstance(entry, Folder), revision=getattr(entry, "revision", ""))
                for path, entry in gone
            ]
            if not rest or any(tree.body(each.revision) is None for each in rest if not each.is_folder):
                raise (AlreadyExists if standing else NotFound)(f"nothing of {place} is kept")
            if standing is None and not rest[0].is_folder:
                self._bring_back(rest[0])
                return Undeleted(tree.at(place))
            return Undeleted(standing, is_back=False, rest=rest)

    def bring_back(self, removed: Sequence[Removed]) -> list[bool | MountfsError]:
        with self._call("bring_back"):
            return [self._bring_back(each) for each in removed]

    def _bring_back(self, removed: Removed) -> bool:
        path, tree = RemotePath(removed.id), self.remote.tree
        is_free = tree.at(Place(path)) is None
        if is_free and removed.is_folder:
            self.remote.mkdir(removed.id)
        elif is_free:
            self.remote.write(removed.id, tree.body(removed.revision) or b"")
        return is_free

    def read(self, file: File, offset: int, length: int, take: Take | None = None) -> bytes:
        with self._call("read"):
            if not file.is_downloadable:
                raise NotSupported(f"a document without bytes of its own: {file.name}")
            body = self.remote.tree.body(file.revision)
            if body is None:
                raise NotFound(f"revision {file.revision} of {file.name} is gone")
            if take is None:
                return body[offset : offset + length]
            take(body[offset : offset + length])
            return b""

    def new_sessions(self, count: int) -> list[str]:
        with self._call("new_sessions"):
            return [self.remote.start_session(is_large=False) for _ in range(count)]

    def content_hashes(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        return packs.content_hashes(pieces, self.limits.hash_kind)

    def append_pack(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        return packs.sent_together(pieces, self.limits.hash_kind, self._append_pack)

    def _append_pack(self, pieces: Sequence[packs.Loaded]) -> list[MountfsError | None]:
        with self._call("append_pack"):
            if not self.takes_packs:
                raise BatchRefused("the account takes no packs")
            total_bytes = sum(len(piece.body) for piece in pieces)
            if len(pieces) > self.limits.pack_entries or total_bytes > self.limits.pack_bytes:
                raise RequestTooBig(f"{len(pieces)} pieces of {total_bytes} bytes in one pack")
            return [self._close_with(piece) for piece in pieces]

    def _close_with(self, piece: packs.Loaded) -> MountfsError | None:
        try:
            self.remote.append(piece.session, 0, piece.body, closing=True)
        except MountfsError as error:
            return error
        return None

    def upload_whole(self, piece: Piece) -> Stored:
        body = piece.source.exactly(0, piece.length)
        with self._call("upload_whole"):
            session = self.remote.start_session(is_large=False)
            self.remote.append(session, 0, body, closing=True)
            return Stored(session, content_hash(self.limits.hash_kind, body))

    def open_session(
        self,
        place: Place,
        size_bytes: int | None,
        base_revision: str | None,
    ) -> str:
        with self._call("open_session"):
            if size_bytes is None and self.limits.size_known_at_start:
                raise InvalidArgument(f"the size of {place} must be known")
            return self.remote.start_session(is_large=True)

    def part_bytes(self, session: str) -> int:
        return self.limits.chunk_bytes

    def resume(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> bool:
        if self.limits.hash_kind.comes_from_parts:
            return holds(source, size_bytes, parts)
        self._hashes.resume(session, source, parts)
        return True

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
        body = source.exactly(offset, length)
        if self.limits.hash_kind.comes_from_parts:
            return self._append(session, offset, body, closing=closing)
        with self._hashes.fed(session, source, offset, body):
            return self._append(session, offset, body, closing=closing)

    def _append(self, session: str, offset: int, body: bytes, *, closing: bool) -> str:
        with self._call("append"):
            self.remote.append(session, offset, body, closing=closing)
            return receipt_of(body)

    def abandon(self, session: str) -> None:
        with self._call("abandon"):
            self.remote.sessions.pop(session, None)

    def whole_hash(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> str:
        if self.limits.hash_kind.comes_from_parts:
            return hash_of_parts(parts, size_bytes) or file_hash(self.limits.hash_kind, source, size_bytes)
        return self._hashes.hexdigest(session, source, size_bytes)

    def submit(self, orders: Sequence[Order]) -> Launch:
        with self._call("submit"):
            return self.remote.submit(orders)

    def poll(self, job: str, orders: Sequence[Order]) -> Launch:
        with self._call("poll"):
            return self.remote.poll(job)

    def latest_cursor(self) -> str:
        with self._call("latest_cursor"):
            return f"{self.remote.epoch}:{len(self.remote.tree.log)}"

    def changes(self, cursor: str) -> RemoteChanges:
        with self._call("changes"):
            position = self._position(cursor)
            page = self.remote.news(position, position + self.page_entries)
            reached = position + len(page)
            return RemoteChanges(page, f"{self.remote.epoch}:{reached}", reached < len(self.remote.tree.log))

    def wait_for_changes(self, cursor: str, timeout_s: float) -> bool:
        with self._call("wait_for_changes"):
            self.remote.changed.wait_for(
                lambda: self._is_closed or len(self.remote.tree.log) > self._position(cursor), timeout_s
            )
            if self._is_closed:
                raise Offline("the connection is closed")
            return len(self.remote.tree.log) > self._position(cursor)

    def calls(self) -> dict[str, int]:
        """By method of the port."""
        with self._gate:
            return dict(self._calls)

    def outcomes(self) -> dict[str, dict[str, int]]:
        """Every call is answered."""
        return {route: {"2xx": count} for route, count in self.calls().items()}

    def limit_rates(self, rates: Rates) -> None:
        """Bytes do not travel here."""

    def trouble(self) -> MountfsError | None:
        """None: whoever calls is told."""
        return None

    def close(self) -> None:
        with self._gate:
            self._is_closed = True
            self._gate.notify_all()
        with self.remote.changed:
            self.remote.changed.notify_all()

    @contextmanager
    def _call(self, route: str) -> Iterator[None]:
        """Counts, waits where held, fails where cut off, then holds the account's lock."""
        with self._gate:
            self._calls[route] += 1
            self._waiting[route] += 1
            self._gate.notify_all()
            try:
                self._gate.wait_for(lambda: route not in self._held or self._is_closed)
            finally:
                self._waiting[route] -= 1
            if self._is_closed:
                raise Offline("the connection is closed")
            if not self.is_online:
                raise Unreachable("nobody is at the memory account's address")
            if not self.is_signed_in:
                raise NotSignedIn("the memory account refuses the credentials")
        with self.remote.changed:
            self.remote.work()
            yield

    def _position(self, cursor: str) -> int:
        epoch, _, position = cursor.partition(":")
        if epoch != str(self.remote.epoch):
            raise Conflict("the cursor is void")
        return int(position)
