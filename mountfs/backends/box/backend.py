"""The port on a Box account."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from mountfs.backends import checked, packs
from mountfs.backends.box.api import BoxApi, quoted
from mountfs.backends.box.commits import Commits, UnknownJob
from mountfs.backends.box.conditions import Conditions
from mountfs.backends.box.copies import Copies
from mountfs.backends.box.downloads import Downloads
from mountfs.backends.box.edits import Edits
from mountfs.backends.box.entries import entry_of, file_of
from mountfs.backends.box.errors import FailedCondition, from_response, is_foreign
from mountfs.backends.box.events import Events
from mountfs.backends.box.history import restore, revisions_before
from mountfs.backends.box.items import Items
from mountfs.backends.box.limits import BOX_LIMITS
from mountfs.backends.box.places import Places
from mountfs.backends.box.sessionparts import SessionParts
from mountfs.backends.box.sessiontoken import SessionToken
from mountfs.backends.box.settings import ROOT_FOLDER_ID, BoxSettings
from mountfs.backends.box.smallfiles import SmallFiles
from mountfs.backends.box.undelete import Undelete
from mountfs.backends.box.uploads import BoxUploads
from mountfs.backends.filerange import FileRange
from mountfs.backends.http import HttpClient, HttpSettings, Tokens
from mountfs.backends.wholehash import WholeHashes
from mountfs.errors import (
    BatchRefused,
    InvalidArgument,
    MountfsError,
    NotFound,
    NotSignedIn,
    NotSupported,
    Offline,
    ServerFault,
    Throttled,
)
from mountfs.model.entry import Account, Entry, File, Listed, Place, Space
from mountfs.model.hashing import HashKind
from mountfs.model.order import Copy, Delete, MakeFolder, Move, Order, Part, Put, SetTime
from mountfs.model.path import RemotePath
from mountfs.model.rates import Rates
from mountfs.model.source import Source
from mountfs.model.undeleted import Removed, Undeleted
from mountfs.model.waits import Ending
from mountfs.ports import (
    BackendLimits,
    CallBudget,
    Clock,
    Done,
    FolderPage,
    Launch,
    Piece,
    RemoteChanges,
    Stored,
    Take,
    TreePage,
)

ME = "GET users/me"
ROOT_FOLDER = "GET folders/:id"
UNLIMITED_BYTES = 900 * 10**12
"""Accounts without a limit state 10^15 - 1, give or take a rounding."""

PART_IN_MEMORY_BYTES = 16 * 1024 * 1024
"""Of files beyond a gigabyte the parts are longer, and several are on their way at once: such a part is read
while it is sent."""

T = TypeVar("T", bound=Order)

OF_THE_CALL = (Offline, Throttled, ServerFault, NotSignedIn)
"""What says nothing about the order itself: it may have taken effect, or was never looked at."""


class BoxBackend:
    """``ports.Backend``; each concern has a module of its own beside this one."""

    def __init__(
        self,
        settings: BoxSettings,
        tokens: Tokens,
        clock: Clock,
        http_settings: HttpSettings | None = None,
        ending: Ending | None = None,
        budget: CallBudget | None = None,
    ) -> None:
        """*budget*: of the account's calls, where others have a part in it."""
        self._settings = settings
        self._limits = replace(BOX_LIMITS, session_min_bytes=settings.small_file_bytes)
        self._http = HttpClient(
            clock, tokens, http_settings, judge=from_response, ending=ending, is_foreign=is_foreign
        )
        self._api = BoxApi(self._http, settings, clock, budget)
        self._items = Items(self._api)
        self._places = Places(self._items, settings.root_folder_id)
        self._parts = SessionParts(self._api)
        self._uploads = BoxUploads(self._api, self._items, self._places, self._parts, clock)
        self._hashes = WholeHashes(HashKind.SHA1)
        self._small_files = SmallFiles(self._api, self._items, self._places)
        self._commits = Commits(self._api, self._items, self._places, self._small_files, self._uploads)
        self._edits = Edits(self._api, self._items, self._places)
        self._copies = Copies(self._api, self._places)
        self._downloads = Downloads(self._api, clock)
        self._events = Events(self._api, clock)
        self._conditions = Conditions()

    @property
    def limits(self) -> BackendLimits:
        """With the account's own bound of a file, once ``account`` was told it."""
        return self._limits

    @property
    def root_id(self) -> str:
        return self._settings.root_folder_id

    def account(self) -> Account:
        """The key names the root folder as well, unless it is the user's own: another root, another tree."""
        me = self._api.object(ME, self._api.api_url("users/me", fields="id,name,login,max_upload_size"))
        with checked.reply_of(self._settings.api_url, ME):
            user_id = checked.token(me.get("id"), "the user's id", checked.MOST_ID_CHARS)
            shown = checked.text(me.get("name") or me.get("login") or user_id, "the user's name")
        with contextlib.suppress(ServerFault):
            most_bytes = checked.count(me.get("max_upload_size"), "max_upload_size")
            if most_bytes:
                self._limits = replace(self._limits, max_file_bytes=most_bytes)
        root = self._settings.root_folder_id
        suffix = "" if root == ROOT_FOLDER_ID else f"-f{checked.plain(root)}"
        if suffix:
            self._check_root(root)
        user_key = f"box-{checked.plain(user_id)}"
        return Account(f"{user_key}{suffix}", shown, user_key)

    def _check_root(self, folder_id: str) -> None:
        """NotFound; a mount of nothing would be of no use."""
        try:
            self._api.object(ROOT_FOLDER, self._api.api_url(f"folders/{quoted(folder_id)}", fields="id"))
        except NotFound:
            raise NotFound(f"root_folder_id {folder_id}: no such folder, or not this user's to see") from None

    def space(self) -> Space:
        usage = self._api.object(ME, self._api.api_url("users/me", fields="space_amount,space_used"))
        with checked.reply_of(self._settings.api_url, ME):
            used_bytes = checked.count(usage.get("space_used"), "space_used")
            total_bytes = checked.count(usage.get("space_amount"), "space_amount")
        return Space(used_bytes, total_bytes if 0 < total_bytes < UNLIMITED_BYTES else None)

    def list_folder(self, path: RemotePath, folder_id: str = "") -> list[Listed]:
        """Web links, which are neither files nor folders, are left out."""
        return self._items.children(folder_id or self._places.folder(path))

    def list_page(
        self,
        path: RemotePath,
        folder_id: str,
        cursor: str | None,
        *,
        most: int | None = None,
        is_ahead: bool = False,
    ) -> FolderPage:
        """The cursor names the folder as well: no other may be at *path* by then."""
        known_id, _, marker = (cursor or "").partition(" ")
        folder_id = known_id or folder_id or self._places.folder(path)
        entries, following = self._items.page(folder_id, marker, most, is_ahead=is_ahead)
        return FolderPage(entries, f"{folder_id} {following}" if following else None)

    def list_tree(self, folder_id: str, cursor: str | None) -> TreePage:  # noqa: ARG002 - the port's
        raise NotSupported("the service lists one folder at a time")

    def stat(self, place: Place) -> Entry:
        """From the listing of its folder, as far as that must be read to find it."""
        if place.path.is_root:
            raise InvalidArgument("the root has no metadata")
        entry = entry_of(self._places.item(place))
        if entry is None:
            raise NotFound(f"no file or folder: {place}")
        return entry

    def revisions_before(self, file: File, since: str | None) -> list[File]:
        return revisions_before(self._api, file, since)

    def restore(self, place: Place, former: File) -> Entry:
        """A version is the file's own, wherever that is."""
        restore(self._api, former)
        item = self._items.get(former.id, is_folder=False)
        if item is None:
            raise NotFound(f"{place}: somebody removed it")
        return file_of(item)

    def undelete(self, place: Place, *, is_recent: bool = False) -> Undeleted:
        folder_id = self._places.folder_of(place)
        return Undelete(self._api, self._items).run(folder_id, place, is_recent=is_recent)

    def bring_back(self, removed: Sequence[Removed]) -> list[bool | MountfsError]:
        return Undelete(self._api, self._items).bring_back(removed)

    def read(self, file: File, offset: int, length: int, take: Take | None = None) -> bytes:
        """By version, which stays readable when the file has gone on to another one."""
        return self._downloads.read(file, offset, length, take)

    def new_sessions(self, count: int) -> list[str]:  # noqa: ARG002 - the port's
        raise BatchRefused("small files travel with their commit")

    def content_hashes(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        return packs.content_hashes(pieces, HashKind.SHA1)

    def append_pack(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:  # noqa: ARG002 - the port's
        raise BatchRefused("small files travel with their commit")

    def upload_whole(self, piece: Piece) -> Stored:  # noqa: ARG002 - the port's
        raise BatchRefused("small files travel with their commit")

    def open_session(self, place: Place, size_bytes: int | None, base_revision: str | None) -> str:
        """Something that stands at *place* and is not to be replaced is the commit's Conflict."""
        return self._uploads.open(place, size_bytes, base_revision)

    def part_bytes(self, session: str) -> int:
        return SessionToken.parse(session).part_bytes

    def resume(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> bool:  # noqa: ARG002 - the port's
        """Receipts do not tell. What those parts hold is hashed ahead."""
        self._hashes.resume(session, source, parts)
        return True

    def append(
        self,
        session: str,
        source: Source,
        offset: int,
        length: int,
        *,
        closing: bool,  # noqa: ARG002 - the port's; a session knows its size from the start
        size_bytes: int | None,  # noqa: ARG002
    ) -> str:
        if length > PART_IN_MEMORY_BYTES:
            if SessionToken.parse(session).id:
                self._hashes.pass_by(session, source, offset, length)
            return self._parts.append(session, offset, FileRange(source, offset, length))
        body = source.exactly(offset, length)
        if not SessionToken.parse(session).id:
            return self._parts.append(session, offset, body)
        with self._hashes.fed(session, source, offset, body):
            return self._parts.append(session, offset, body)

    def abandon(self, session: str) -> None:
        self._hashes.forget(session)
        self._uploads.abandon(session)

    def whole_hash(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> str:  # noqa: ARG002 - the port's
        """A SHA-1 cannot be put together from those of the parts: each was hashed in turn."""
        return self._hashes.hexdigest(session, source, size_bytes)

    def submit(self, orders: Sequence[Order]) -> Launch:
        """One order at a time. An error that leaves open whether it took effect is raised."""
        if len(orders) != 1:
            raise BatchRefused("the service takes one change at a time")
        return self._answered(orders[0], self._carry_out)

    def poll(self, job: str, orders: Sequence[Order]) -> Launch:
        if len(orders) != 1 or not isinstance(orders[0], Put):
            raise UnknownJob(f"no such job: {job}")
        return self._answered(orders[0], partial(self._commits.poll, job))

    def _answered(self, order: T, send: Callable[[T], Launch]) -> Launch:
        """What *send* comes to, errors of the order itself among it."""
        try:
            launch = send(order)
        except FailedCondition as error:
            conflict = self._conditions.failed(order, error)
            if conflict is None:
                raise
            return Done((conflict,))
        except (UnknownJob, *OF_THE_CALL):
            raise
        except MountfsError as error:
            launch = Done((error,))
        self._conditions.passed(order)
        return launch

    def _carry_out(self, order: Order) -> Launch:
        match order:
            case Put():
                if order.session is not None:
                    return self._commits.commit(order)
                return Done((self._small_files.put(order),))
            case MakeFolder():
                return Done((self._edits.make_folder(order),))
            case Delete():
                self._edits.delete(order)
                return Done((None,))
            case Move():
                return Done((self._edits.move(order),))
            case SetTime():
                return Done((self._edits.set_time(order),))
            case Copy():
                return Done((self._copies.make(order),))

    def latest_cursor(self) -> str:
        return self._events.latest()

    def changes(self, cursor: str) -> RemoteChanges:
        return self._events.changes(cursor)

    def wait_for_changes(self, cursor: str, timeout_s: float) -> bool:
        return self._events.wait(cursor, timeout_s)

    def calls(self) -> dict[str, int]:
        """By method and path, with ``:id`` for what varies."""
        return self._http.calls()

    def outcomes(self) -> dict[str, dict[str, int]]:
        return self._http.outcomes()

    def limit_rates(self, rates: Rates) -> None:
        self._http.bandwidth.limit(rates)

    def trouble(self) -> MountfsError | None:
        return self._http.trouble() or self._api.used_up

    def close(self) -> None:
        self._http.close()
