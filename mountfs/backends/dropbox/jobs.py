"""Batches of orders as Dropbox's jobs: launched, asked after, and told apart entry by entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mountfs.backends import checked
from mountfs.backends.dropbox.api import DropboxApi, Json
from mountfs.backends.dropbox.caserename import CaseRenames
from mountfs.backends.dropbox.entries import entry_of, file_of, folder_of, time_stamp
from mountfs.backends.dropbox.errors import from_union, tags_of
from mountfs.backends.dropbox.listing import list_folder, stat
from mountfs.backends.dropbox.settings import FINISH_BATCH_V2, OVERWRITE, DropboxSettings
from mountfs.backends.dropbox.uploads import id_of
from mountfs.errors import (
    Conflict,
    InvalidArgument,
    MountfsError,
    NotSignedIn,
    NotSupported,
    ServerFault,
    SessionLost,
    Transient,
)
from mountfs.model.entry import Entry, Odd, Place
from mountfs.model.order import Copy, Delete, MakeFolder, Move, Order, OrderKind, Put, SetTime
from mountfs.ports import Clock, Done, Launch, Outcome, Running

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
ROUTES: dict[OrderKind, Routes] = {
    OrderKind.PUT: FINISH,
    OrderKind.DELETE: Routes("files/delete_batch", "files/delete_batch/check"),
    OrderKind.MOVE: Routes("files/move_batch_v2", "files/move_batch/check_v2"),
    OrderKind.COPY: Routes("files/copy_batch_v2", "files/copy_batch/check_v2"),
    OrderKind.MAKE_FOLDER: Routes("files/create_folder_batch", "files/create_folder_batch/check"),
}


_RELOCATES = frozenset({OrderKind.MOVE, OrderKind.COPY})


class DropboxJobs:
    """The committing half of the port. A job's token is its kind, a colon and the service's id.

    Items are named by id where the service takes one and we know it: what is deleted or moved is then the
    item that was meant, also after a folder above it was renamed. New places can only be named by path.
    """

    def __init__(self, api: DropboxApi, settings: DropboxSettings, clock: Clock) -> None:
        self._api = api
        self._settings = settings
        self._clock = clock
        self._case_renames = CaseRenames(api)

    def submit(self, orders: Sequence[Order]) -> Launch:
        """All of one kind. A Put whose bytes were never uploaded is SessionLost by itself."""
        kinds = {order.kind for order in orders}
        if len(kinds) > 1:
            raise InvalidArgument("a batch holds orders of one kind")
        sendable = [order for order in orders if _is_sendable(order)]
        if not sendable:
            return Done(tuple(_not_uploaded(order) for order in orders))
        kind = kinds.pop()
        if kind not in ROUTES:
            raise NotSupported(f"{kind} is no call of this service")
        is_at_once = kind is OrderKind.PUT and self._settings.commit_route == FINISH_BATCH_V2
        routes = FINISH_AT_ONCE if is_at_once else ROUTES[kind]
        timeout_s = COMMIT_TIMEOUT_S if is_at_once else None
        reply = self._api.object(routes.launch, self._argument(kind, sendable), read_timeout_s=timeout_s)
        if is_at_once:
            return Done(self._outcomes(reply, orders))
        return self._launched(kind, routes.launch, reply, orders)

    def poll(self, job: str, orders: Sequence[Order]) -> Launch:
        """SessionLost also when the service lost its own count: only the targets tell then."""
        word, _, job_id = job.partition(":")
        if word not in ROUTES or not job_id:
            raise SessionLost(f"no such job: {job}")
        kind = OrderKind(word)
        route = ROUTES[kind].check
        assert route is not None
        reply = self._api.object(route, {"async_job_id": job_id}, is_read=True)
        if reply.get(".tag") == "in_progress":
            return Running(job)
        return self._launched(kind, route, reply, orders)

    def _launched(self, kind: OrderKind, route: str, reply: Json, orders: Sequence[Order]) -> Launch:
        match reply.get(".tag"):
            case "async_job_id":
                return Running(f"{kind}:{checked.token(reply.get('async_job_id'), 'async_job_id')}")
            case "complete":
                return Done(self._outcomes(reply, orders))
            case "failed":
                return Done(tuple(from_union(reply.get("failed"), route, "job") for _ in orders))
            case tag:
                raise ServerFault(f"{route}: a job in an unknown state: {checked.brief(tag)}")

    def _outcomes(self, reply: Json, orders: Sequence[Order]) -> tuple[Outcome, ...]:
        if not orders:
            return ()
        entries = reply.get("entries")
        expected = sum(map(_is_sendable, orders))
        if not isinstance(entries, list) or len(entries) != expected:
            raise ServerFault(f"a job of {expected} entries did not give one outcome for each")
        left = iter(entries)
        outcomes = [
            self._outcome(order, next(left)) if _is_sendable(order) else _not_uploaded(order)
            for order in orders
        ]
        return self._with_what_stood_there(orders, outcomes)

    def _argument(self, kind: OrderKind, orders: Sequence[Order]) -> Json:
        if kind is OrderKind.MAKE_FOLDER:
            return {"paths": [order.place.path.text for order in orders], "autorename": False}
        entries = [self._entry(order) for order in orders]
        return {"entries": entries, "autorename": False} if kind in _RELOCATES else {"entries": entries}

    def _entry(self, order: Order) -> Json:
        match order:
            case Put():
                return self._finish_entry(order)
            case Delete():
                return _delete_entry(order)
            case Move():
                return _move_entry(order)
            case Copy():
                return {"from_path": order.item_id, "to_path": order.place.path.text}
            case MakeFolder() | SetTime():
                raise NotSupported(f"{order.kind} is no entry of a batch")

    def _finish_entry(self, order: Put) -> Json:
        settings = self._settings
        commit: Json = {
            "path": order.place.path.text,
            "mode": self._mode(order.base_revision),
            # By default ours are set beside by the mount itself, which says so (S-CONFLICT).
            "autorename": settings.autorename,
            "mute": settings.mute,
            "strict_conflict": settings.strict_conflict,
        }
        if settings.client_modified:
            commit["client_modified"] = time_stamp(order.mtime_ns, self._clock.wall_ns())
        if settings.property_groups:
            commit["property_groups"] = [
                {
                    "template_id": template,
                    "fields": [{"name": name, "value": value} for name, value in fields],
                }
                for template, fields in settings.property_groups
            ]
        cursor = {"session_id": id_of(order.session or ""), "offset": order.size_bytes}
        return {"cursor": cursor, "commit": commit}

    def _mode(self, base: str | None) -> Json:
        if self._settings.commit_mode == OVERWRITE:
            return {".tag": "overwrite"}
        return {".tag": "add"} if base is None else {".tag": "update", "update": base}

    def _outcome(self, order: Order, entry: Any) -> Outcome:
        try:
            outcome = _read_outcome(order, entry)
        except MountfsError as error:
            outcome = error
        if isinstance(order, Move) and _changes_only_case(order):
            return self._case_renames.settle(order, outcome)
        return outcome

    def _with_what_stood_there(
        self, orders: Sequence[Order], outcomes: Sequence[Outcome]
    ) -> tuple[Outcome, ...]:
        """Some refusals say that the order was carried out before. The others keep their error, and are
        looked into like any other."""
        pairs = list(zip(orders, outcomes, strict=True))
        standing = self._standing([order.place for order, outcome in pairs if _may_be_done(order, outcome)])
        return tuple(
            _done_before(order, standing.get(order.place.path.key)) or outcome
            if _may_be_done(order, outcome)
            else outcome
            for order, outcome in pairs
        )

    def _standing(self, places: Sequence[Place]) -> dict[str, Entry]:
        """What stands at *places*, by the key of their paths; whatever cannot be learned is left out."""
        found: dict[str, Entry] = {}
        per_parent = Counter(place.path.parent.key for place in places)
        listed: set[str] = set()
        for place in places:
            parent = place.path.parent
            try:
                if per_parent[parent.key] < FEW_STATS:
                    found[place.path.key] = stat(self._api, place)
                elif parent.key not in listed:
                    listed.add(parent.key)
                    # By path, as what was made or moved there was put by path.
                    for entry in list_folder(self._api, parent):
                        if not isinstance(entry, Odd):
                            found[parent.child(entry.name).key] = entry
            except (NotSignedIn, Transient):
                break  # the next ones would most likely fail as well
            except MountfsError:
                continue
        return found


class _FolderInTheWay(Conflict):
    """A folder stands where one was to be made."""


def _is_sendable(order: Order) -> bool:
    return not isinstance(order, Put) or order.session is not None


def _not_uploaded(order: Order) -> SessionLost:
    return SessionLost(f"nothing was uploaded for {order.place}")


def _may_be_done(order: Order, outcome: Outcome) -> bool:
    """Whether *outcome* may come of what *order* asks for being so already."""
    if isinstance(order, Move):
        is_by_id = bool(order.item_id) and not _changes_only_case(order)
        return is_by_id and isinstance(outcome, Conflict | InvalidArgument)
    return isinstance(outcome, _FolderInTheWay)


def _done_before(order: Order, standing: Entry | None) -> Entry | None:
    """What stands at the place of *order*, if it is what was asked for: a folder, or the item itself.

    A move whose reply was lost is refused by id, for something stands at the target, or for both paths being
    the same.
    """
    if not isinstance(order, Move) or standing is None:
        return standing
    return standing if (standing.id, standing.name) == (order.item_id, order.place.name) else None


def _changes_only_case(order: Move) -> bool:
    return order.source.path.key == order.place.path.key


def _delete_entry(order: Delete) -> Json:
    entry: Json = {"path": order.item_id or order.place.path.text}
    if order.base_revision is not None and not order.is_folder:
        entry["parent_rev"] = order.base_revision
    return entry


def _move_entry(order: Move) -> Json:
    source = order.source.path.text
    if order.item_id and not _changes_only_case(order):
        source = order.item_id
    return {"from_path": source, "to_path": order.place.path.text}


def _read_outcome(order: Order, entry: Any) -> Outcome:
    """One result by itself; raises ServerFault for metadata that makes no sense."""
    if not isinstance(entry, Mapping):
        raise ServerFault(f"{order.place}: the outcome is not an object")
    tag = entry.get(".tag")
    if tag == "failure":
        return _failure(order, entry.get("failure"))
    if tag != "success":
        raise ServerFault(f"{order.place}: an outcome of an unknown kind: {checked.brief(tag)}")
    match order:
        case Put():
            return file_of(entry)
        case Delete():
            return None
        case Move() | Copy():
            metadata = entry.get("success")
            if not isinstance(metadata, Mapping):
                raise ServerFault(f"{order.place}: made, but what stands there is not told")
            return entry_of(metadata)
        case MakeFolder():
            metadata = entry.get("metadata")
            if not isinstance(metadata, Mapping):
                raise ServerFault(f"{order.place}: made, but what is not told")
            return replace(folder_of(metadata), is_new=True)
        case SetTime():
            raise NotSupported("a time travels with the bytes only")


def _failure(order: Order, failure: Any) -> Outcome:
    error = from_union(failure, str(order.place))
    tags, _ = tags_of(failure)
    if isinstance(order, Delete) and tags[:2] == ("path_lookup", "not_found"):
        return None
    if isinstance(order, MakeFolder) and tags == ("path", "conflict", "folder"):
        return _FolderInTheWay(str(error))
    return error
