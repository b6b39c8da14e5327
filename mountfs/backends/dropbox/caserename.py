"""Renames that change nothing but the case, which Dropbox's moves do not promise to carry out."""

from __future__ import annotations

import hashlib

from mountfs.backends.dropbox.api import DropboxApi
from mountfs.backends.dropbox.entries import entry_of
from mountfs.backends.dropbox.listing import stat
from mountfs.backends.effects import after_an_effect
from mountfs.errors import Conflict, InvalidArgument, MountfsError, NotFound, Refused, ServerFault
from mountfs.model.entry import Entry, Place
from mountfs.model.order import Move
from mountfs.model.path import RemotePath
from mountfs.ports import Outcome

MOVE = "files/move_v2"
_KEPT_CHARS = 200


def aside(target: RemotePath) -> RemotePath:
    """The name in between; the same for every try, so that a cut-off rename can be finished."""
    digest = hashlib.sha256(target.text.encode()).hexdigest()[:12]
    return target.parent.child(f"{target.name[:_KEPT_CHARS]}.{digest}.renaming")


class CaseRenames:
    """Finishes such a rename in two moves where one did not do it; all by path."""

    def __init__(self, api: DropboxApi) -> None:
        self._api = api

    def settle(self, order: Move, outcome: Outcome) -> Outcome:
        """What became of *order*, given what its plain move gave."""
        if isinstance(outcome, MountfsError):
            if not isinstance(outcome, Conflict | NotFound | InvalidArgument):
                return outcome
        elif outcome is None or outcome.name == order.place.name:
            return outcome
        try:
            with after_an_effect():
                return self._rename(order.place)
        except MountfsError as error:
            return error

    def _rename(self, place: Place) -> Entry:
        target, between = place.path, aside(place.path)
        try:
            standing = stat(self._api, place)
        except NotFound:
            return self._move(between, target)  # cut off after the first move
        if standing.name == place.name:
            return standing
        self._move(target, between)
        try:
            return self._move(between, target)
        except (Refused, Conflict):
            self._move(between, target.parent.child(standing.name))
            raise

    def _move(self, source: RemotePath, target: RemotePath) -> Entry:
        reply = self._api.object(MOVE, {"from_path": source.text, "to_path": target.text})
        metadata = reply.get("metadata")
        if not isinstance(metadata, dict):
            raise ServerFault(f"{MOVE}: the reply has no metadata")
        return entry_of(metadata)
