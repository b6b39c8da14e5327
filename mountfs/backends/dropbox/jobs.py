"""Batches of orders as Dropbox's jobs: launched, asked after, and told apart entry by entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mountfs.backends.dropbox.api import DropboxApi, Json
from mountfs.backends.dropbox.caserename import CaseRenames
from mountfs.backends.dropbox.entries import entry_at, file_at, folder_at, named_in, time_stamp
from mountfs.backends.dropbox.errors import from_union, tags_of
from mountfs.backends.dropbox.listing import list_folder, stat
from mountfs.backends.dropbox.settings import FINISH_BATCH_V2, DropboxSettings
from mountfs.backends.dropbox.uploads import id_of
from mountfs.errors import Conflict, InvalidArgument, MountfsError, NotSupported, ServerFault, SessionLost
from mountfs.model.change import ChangeKind
from mountfs.model.entry import Entry
from mountfs.model.path import RemotePath
from mountfs.ports import Clock, Done, Launch, Order, Outcome, Running

COMMIT_TIMEOUT_S = 300.0
"""``finish_batch_v2`` answers only when all its entries are committed."""
FEW_STATS = 3
"""From so many known children of one folder on, listing it is cheaper than asking for each."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Where a kind of order goes; *check* is None where the launch answers with the outcomes."""

    launch: str
    check: str | None


FINISH = Routes("files/upload_session/finish_batch", "files/upload_session/finish_batch/check")
FINISH_AT_ONCE = Routes("files/upload_session/finish_batch_v2", None)
ROUTES: dict[ChangeKind, Routes] = {
    ChangeKind.PUT: FINISH,
    ChangeKind.DELETE: Routes("files/delete_batch", "files/delete_batch/check"),
    ChangeKind.MOVE: Routes("files/move_batch_v2", "files/move_batch/check_v2"),
    ChangeKind.MKDIR: Routes("files/create_folder_batch", "files/create_folder_batch/check"),
}


class DropboxJobs:
    """The committing half of the port. A job's token is its kind, a colon and the service's id."""

    def __init__(self, api: DropboxApi, settings: DropboxSettings, clock: Clock) -> None:
        self._api = api
        self._settings = settings
        self._clock = clock
        self._case_renames = CaseRenames(api)

    def submit(self, orders: Sequence[Order]) -> Launch:
        """All of one kind. A PUT whose bytes were never uploaded is SessionLost by itself."""
        kinds = {order.kind for order in orders}
        if len(kinds) > 1:
            raise InvalidArgument("a batch holds orders of one kind")
        if not any(map(_is_sendable, orders)):
            return Done(tuple(_not_uploaded(order) for order in orders))
        kind = kinds.pop()
        if kind not in ROUTES:
            raise NotSupported(f"{kind} is no call of this service")
        is_at_once = kind is ChangeKind.PUT and self._settings.commit_route == FINISH_BATCH_V2
        routes = FINISH_AT_ONCE if is_at_once else ROUTES[kind]
        argument = self._argument(kind, [order for order in orders if _is_sendable(order)])
        timeout_s = COMMIT_TIMEOUT_S if is_at_once else None
        reply = self._api.object(routes.launch, argument, read_timeout_s=timeout_s)
        if is_at_once:
            return Done(self._outcomes(kind, reply, orders))
        return self._launched(kind, routes.launch, reply, orders)

    def poll(self, job: str, orders: Sequence[Order]) -> Launch:
        """SessionLost also when the service lost its own count: only the targets tell then."""
        word, _, job_id = job.partition(":")
        if word not in ROUTES or not job_id:
            raise SessionLost(f"no such job: {job}")
        kind = ChangeKind(word)
        route = ROUTES[kind].check
        assert route is not None
        reply = self._api.object(route, {"async_job_id": job_id}, is_read=True)
        if reply.get(".tag") == "in_progress":
            return Running(job)
        return self._launched(kind, route, reply, orders)

    def _launched(self, kind: ChangeKind, route: str, reply: Json, orders: Sequence[Order]) -> Launch:
        match reply.get(".tag"):
            case "async_job_id":
                return Running(f"{kind}:{reply.get('async_job_id')}")
            case "complete":
                return Done(self._outcomes(kind, reply, orders))
            case "failed":
                return Done(tuple(from_union(reply.get("failed"), route, "job") for _ in orders))
            case tag:
                raise ServerFault(f"{route}: a job in an unknown state: {tag!r}")

    def _outcomes(self, kind: ChangeKind, reply: Json, orders: Sequence[Order]) -> tuple[Outcome, ...]:
        entries = reply.get("entries")
        expected = sum(map(_is_sendable, orders))
        if not isinstance(entries, list) or len(entries) != expected:
            raise ServerFault(f"a job of {expected} entries did not give one outcome for each")
        left = iter(entries)
        outcomes = [
            self._outcome(order, next(left)) if _is_sendable(order) else _not_uploaded(order)
            for order in orders
        ]
        if kind is ChangeKind.MKDIR:
            return self._with_standing_folders(orders, outcomes)
        return tuple(outcomes)

    def _argument(self, kind: ChangeKind, orders: Sequence[Order]) -> Json:
        match kind:
            case ChangeKind.PUT:
                return {"entries": [self._finish_entry(order) for order in orders]}
            case ChangeKind.DELETE:
                return {"entries": [_delete_entry(order) for order in orders]}
            case ChangeKind.MOVE:
                return {
                    "entries": [
                        {"from_path": _source(order).text, "to_path": order.path.text} for order in orders
                    ],
                    "autorename": False,
                }
            case ChangeKind.MKDIR:
                return {"paths": [order.path.text for order in orders], "autorename": False}
            case ChangeKind.SET_TIME:
                raise NotSupported("a time travels with the bytes only")

    def _finish_entry(self, order: Order) -> Json:
        base = order.base_revision
        return {
            "cursor": {"session_id": id_of(order.session or ""), "offset": order.size_bytes},
            "commit": {
                "path": order.path.text,
                "mode": {".tag": "add"} if base is None else {".tag": "update", "update": base},
                "autorename": self._settings.autorename,
                "client_modified": time_stamp(order.mtime_ns, self._clock.wall_ns()),
                "mute": self._settings.mute,
                "strict_conflict": self._settings.strict_conflict,
            },
        }

    def _outcome(self, order: Order, entry: Any) -> Outcome:
        try:
            outcome = _read_outcome(order, entry)
        except MountfsError as error:
            outcome = error
        if order.kind is ChangeKind.MOVE and _source(order).key == order.path.key:
            return self._case_renames.settle(order, outcome)
        return outcome

    def _with_standing_folders(
        self, orders: Sequence[Order], outcomes: Sequence[Outcome]
    ) -> tuple[Outcome, ...]:
        """A folder that stood there already is what was asked for."""
        in_the_way = [
            order.path
            for order, outcome in zip(orders, outcomes, strict=True)
            if isinstance(outcome, _FolderInTheWay)
        ]
        standing = self._standing(in_the_way)
        return tuple(
            standing.get(order.path.key, outcome) if isinstance(outcome, _FolderInTheWay) else outcome
            for order, outcome in zip(orders, outcomes, strict=True)
        )

    def _standing(self, paths: Sequence[RemotePath]) -> dict[str, Entry]:
        """What stands at *paths*, by key; whatever cannot be learned is left out."""
        found: dict[str, Entry] = {}
        per_parent = Counter(path.parent.key for path in paths)
        listed: set[str] = set()
        for path in paths:
            parent = path.parent
            try:
                if per_parent[parent.key] < FEW_STATS:
                    found[path.key] = stat(self._api, path)
                elif parent.key not in listed:
                    listed.add(parent.key)
                    found |= {entry.path.key: entry for entry in list_folder(self._api, parent)}
            except MountfsError:
                continue  # the order keeps its Conflict, and is looked into like any other
        return found


class _FolderInTheWay(Conflict):
    """A folder stands where one was to be made."""


def _is_sendable(order: Order) -> bool:
    return order.kind is not ChangeKind.PUT or order.session is not None


def _not_uploaded(order: Order) -> SessionLost:
    return SessionLost(f"nothing was uploaded for {order.path}")


def _source(order: Order) -> RemotePath:
    if order.source is None:
        raise InvalidArgument(f"move to {order.path} from nowhere")
    return order.source


def _delete_entry(order: Order) -> Json:
    entry: Json = {"path": order.path.text}
    if order.base_revision is not None and not order.is_folder:
        entry["parent_rev"] = order.base_revision
    return entry


def _read_outcome(order: Order, entry: Any) -> Outcome:
    """One result by itself; raises ServerFault for metadata that makes no sense."""
    if not isinstance(entry, Mapping):
        raise ServerFault(f"{order.path}: the outcome is not an object")
    if entry.get(".tag") != "success":
        return _failure(order, entry.get("failure"))
    match order.kind:
        case ChangeKind.PUT:
            return file_at(named_in(order.path.parent, entry), entry)
        case ChangeKind.DELETE:
            return None
        case ChangeKind.MOVE:
            metadata = entry.get("success")
            if not isinstance(metadata, Mapping):
                raise ServerFault(f"{order.path}: moved, but to where is not told")
            return entry_at(named_in(order.path.parent, metadata), metadata)
        case ChangeKind.MKDIR:
            metadata = entry.get("metadata")
            if not isinstance(metadata, Mapping):
                raise ServerFault(f"{order.path}: made, but what is not told")
            return replace(folder_at(named_in(order.path.parent, metadata), metadata), is_new=True)
        case ChangeKind.SET_TIME:
            raise NotSupported("a time travels with the bytes only")


def _failure(order: Order, failure: Any) -> Outcome:
    error = from_union(failure, str(order.path))
    tags, _ = tags_of(failure)
    if order.kind is ChangeKind.DELETE and tags[:2] == ("path_lookup", "not_found"):
        return None
    if order.kind is ChangeKind.MKDIR and tags == ("path", "conflict", "folder"):
        return _FolderInTheWay(str(error))
    return error
