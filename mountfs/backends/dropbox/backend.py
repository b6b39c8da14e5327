"""The port on a Dropbox account."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from mountfs.backends import checked, packs
from mountfs.backends.dropbox import listing
from mountfs.backends.dropbox.api import DropboxApi
from mountfs.backends.dropbox.errors import from_response, is_foreign, is_stale_token
from mountfs.backends.dropbox.jobs import DropboxJobs
from mountfs.backends.dropbox.limits import DROPBOX_LIMITS
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.dropbox.undelete import bring_back, undelete
from mountfs.backends.dropbox.uploads import DropboxUploads, part_bytes_of
from mountfs.backends.filerange import FileRange
from mountfs.backends.http import HttpClient, HttpSettings, TimedOut, Tokens
from mountfs.backends.ranges import body_of, window_of
from mountfs.backends.receipts import hash_of_parts, holds
from mountfs.backends.throttle import bounded_s
from mountfs.backends.wholehash import file_hash
from mountfs.errors import MountfsError
from mountfs.model.entry import Account, Entry, File, Listed, Place, Space
from mountfs.model.hashing import HashKind, content_hash
from mountfs.model.order import Order, Part
from mountfs.model.path import RemotePath
from mountfs.model.rates import Rates
from mountfs.model.source import Source
from mountfs.model.undeleted import Removed, Undeleted
from mountfs.model.waits import Ending
from mountfs.ports import (
    BackendLimits,
    Clock,
    FolderPage,
    Launch,
    Piece,
    RemoteChanges,
    Stored,
    Take,
    TreePage,
)

SHORTEST_LONGPOLL_S = 30
LONGEST_LONGPOLL_S = 480
BRIEFEST_WAIT_S = 0.1
"""A reply that is ready needs some time to arrive."""
LONGPOLL_JITTER_S = 90
"""The service may answer so much later than asked for (list_folder/longpoll)."""


class DropboxBackend:
    """``ports.Backend``; each concern has a module of its own beside this one."""

    def __init__(
        self,
        settings: DropboxSettings,
        tokens: Tokens,
        clock: Clock,
        http_settings: HttpSettings | None = None,
        ending: Ending | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._http = HttpClient(
            clock, tokens, http_settings, is_stale_token, from_response, ending, is_foreign
        )
        self._api = DropboxApi(self._http, settings)
        self._uploads = DropboxUploads(self._api)
        self._jobs = DropboxJobs(self._api, settings, clock)
        self._lock = threading.Lock()
        self._next_longpoll_s = 0.0

    @property
    def limits(self) -> BackendLimits:
        return DROPBOX_LIMITS

    @property
    def root_id(self) -> str:
        """The root has none that is needed: changes tell paths."""
        return ""

    def account(self) -> Account:
        """The key names the namespace as well, unless it is the user's home: another root, another tree."""
        account = self._api.account()
        with checked.reply_of(self._settings.api_url, "users/get_current_account"):
            account_id = checked.token(account.get("account_id"), "account_id", checked.MOST_ID_CHARS)
            plain_id = checked.plain(account_id.removeprefix("dbid:"))
            name = account.get("name")
            shown = name.get("display_name") if isinstance(name, Mapping) else None
            called = checked.text(shown or account.get("email") or account_id, "display_name")
        return Account(f"dropbox-{plain_id}{self._root_suffix(account)}", called)

    def _root_suffix(self, account: Mapping[str, Any]) -> str:
        chosen = self._settings.path_root
        if chosen == "root":
            chosen = self._api.root_namespace()
        root = account.get("root_info")
        home = root.get("home_namespace_id") if isinstance(root, Mapping) else None
        return "" if chosen in ("home", home) else f"-ns{checked.plain(chosen)}"

    def space(self) -> Space:
        route = "users/get_space_usage"
        usage = self._api.object(route, None, is_read=True)
        with checked.reply_of(self._settings.api_url, route):
            return space_of(usage)

    def list_folder(self, path: RemotePath, folder_id: str = "") -> list[Listed]:
        return listing.list_folder(self._api, path, folder_id)

    def list_page(
        self,
        path: RemotePath,
        folder_id: str,
        cursor: str | None,
        *,
        most: int | None = None,
        is_ahead: bool = False,
    ) -> FolderPage:
        return listing.list_page(self._api, path, folder_id, cursor, most, is_ahead=is_ahead)

    def list_tree(self, folder_id: str, cursor: str | None) -> TreePage:
        return listing.list_tree(self._api, folder_id, cursor)

    def stat(self, place: Place) -> Entry:
        return listing.stat(self._api, place)

    def revisions_before(self, file: File, since: str | None) -> list[File]:
        return listing.revisions_before(self._api, file, since)

    def restore(self, place: Place, former: File) -> Entry:
        return listing.restore(self._api, place.path, former.revision)

    def undelete(self, place: Place, *, is_recent: bool = False) -> Undeleted:
        return undelete(self._api, place.path, is_recent=is_recent)

    def bring_back(self, removed: Sequence[Removed]) -> list[bool | MountfsError]:
        return bring_back(self._api, removed)

    def read(self, file: File, offset: int, length: int, take: Take | None = None) -> bytes:
        """By revision, which stays readable when the path has gone on to another one."""
        window = window_of(file, offset, length)
        if window is None:
            return b""
        response = self._api.download("files/download", {"path": f"rev:{file.revision}"}, window, take)
        return body_of(response, file, window)

    def new_sessions(self, count: int) -> list[str]:
        return self._uploads.new_sessions(count)

    def content_hashes(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        return packs.content_hashes(pieces, HashKind.DROPBOX)

    def append_pack(self, pieces: Sequence[Piece]) -> list[str | MountfsError]:
        return packs.sent_together(pieces, HashKind.DROPBOX, self._uploads.append_pack)

    def upload_whole(self, piece: Piece) -> Stored:
        body = piece.source.exactly(0, piece.length)
        return Stored(self._uploads.upload_whole(body), content_hash(HashKind.DROPBOX, body))

    def open_session(
        self,
        place: Place,  # noqa: ARG002 - the port's; Dropbox is told at the commit
        size_bytes: int | None,  # noqa: ARG002
        base_revision: str | None,  # noqa: ARG002
    ) -> str:
        return self._uploads.open_session()

    def part_bytes(self, session: str) -> int:
        return part_bytes_of(session)

    def resume(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> bool:  # noqa: ARG002 - the port's
        return holds(source, size_bytes, parts)

    def append(
        self,
        session: str,
        source: Source,
        offset: int,
        length: int,
        *,
        closing: bool,
        size_bytes: int | None,  # noqa: ARG002 - the port's; the closing append tells the size
    ) -> str:
        return self._uploads.append(session, FileRange(source, offset, length), closing=closing)

    def abandon(self, session: str) -> None:
        """Nothing to do: sessions cannot be ended, they expire after seven days."""

    def whole_hash(self, session: str, source: Source, size_bytes: int, parts: Sequence[Part]) -> str:  # noqa: ARG002 - the port's
        """From the receipts; read again where a part has no whole number of blocks."""
        return hash_of_parts(parts, size_bytes) or file_hash(HashKind.DROPBOX, source, size_bytes)

    def submit(self, orders: Sequence[Order]) -> Launch:
        return self._jobs.submit(orders)

    def poll(self, job: str, orders: Sequence[Order]) -> Launch:
        return self._jobs.poll(job, orders)

    def latest_cursor(self) -> str:
        return listing.latest_cursor(self._api)

    def changes(self, cursor: str) -> RemoteChanges:
        return listing.changes(self._api, cursor)

    def wait_for_changes(self, cursor: str, timeout_s: float) -> bool:
        """The service's shortest wait is 30 s; for less, we hang up on it after *timeout_s*."""
        with self._lock:
            asked_to_wait_s = self._next_longpoll_s - self._clock.now_s()
        if asked_to_wait_s > 0:
            self._http.pause(min(asked_to_wait_s, timeout_s))
            timeout_s -= asked_to_wait_s
            if timeout_s <= 0:
                return False
        asked_s = int(min(max(timeout_s, SHORTEST_LONGPOLL_S), LONGEST_LONGPOLL_S))
        is_cut_short = timeout_s < SHORTEST_LONGPOLL_S
        patience_s = max(timeout_s, BRIEFEST_WAIT_S) if is_cut_short else asked_s + LONGPOLL_JITTER_S
        try:
            reply = self._api.longpoll(cursor, asked_s, patience_s)
        except TimedOut:
            if is_cut_short:
                return False
            raise
        if reply.get("backoff") is not None:
            backoff_s = checked.seconds(reply["backoff"], "backoff")
            with self._lock:
                self._next_longpoll_s = self._clock.now_s() + bounded_s(backoff_s)
        return reply.get("changes") is True

    def calls(self) -> dict[str, int]:
        """By route, without the API's version."""
        return self._http.calls()

    def outcomes(self) -> dict[str, dict[str, int]]:
        return self._http.outcomes()

    def limit_rates(self, rates: Rates) -> None:
        self._http.bandwidth.limit(rates)

    def trouble(self) -> MountfsError | None:
        return self._http.trouble()

    def close(self) -> None:
        self._http.close()


def space_of(usage: Mapping[str, Any]) -> Space:
    """Of a SpaceUsage. A team shares its space; a member's own limit counts when it stops the writing.

    An allocation of 0 stands for none.
    """
    allocation = checked.obj(usage.get("allocation"), "allocation")
    used_bytes = checked.count(usage.get("used"), "used")
    total_bytes = checked.count(allocation.get("allocated", 0), "allocated") or None
    if allocation.get(".tag") != "team":
        return Space(used_bytes, total_bytes)
    team = Space(checked.count(allocation.get("used"), "used"), total_bytes)
    limit_bytes = checked.count(allocation.get("user_within_team_space_allocated", 0), "allocated")
    limit_type = checked.obj(allocation.get("user_within_team_space_limit_type", {}), "limit_type")
    if not limit_bytes or limit_type.get(".tag") != "stop_sync":
        return team
    own_bytes = checked.count(allocation.get("user_within_team_space_used_cached", used_bytes), "used")
    own = Space(own_bytes, limit_bytes)
    if team.free_bytes is None or (own.free_bytes or 0) < team.free_bytes:
        return own
    return team
