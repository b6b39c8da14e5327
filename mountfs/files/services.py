"""What an open file needs of its siblings: narrow contracts, filled in by the assembly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mountfs.model.change import Change
from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from mountfs.ports import BackendLimits, Clock
from mountfs.spool.spool import Spool
from mountfs.spool.spoolfile import SpoolFile


class Changes(Protocol):
    """The life of a PUT while it is open; see ``namespace.edits.Namespace``."""

    def begin_put(self, path: RemotePath, spool: str, *, exclusive: bool = False) -> Change: ...

    def flush(self, change_id: int, size_bytes: int, mtime_ns: int) -> None: ...

    def unflush(self, change_id: int) -> bool: ...

    def seal(self, change_id: int, size_bytes: int, mtime_ns: int) -> Change: ...


class Journaled(Protocol):
    """The one edit of a row that an open file makes itself; see ``journal.Journal``."""

    def get(self, change_id: int) -> Change | None: ...

    def amend(self, seen: Change, *, base_revision: str | None, base_hash: str | None) -> Change: ...


class Reads(Protocol):
    """Remote bytes; see ``reading.reader.Reader``."""

    def read(self, file: File, offset: int, length: int) -> bytes: ...

    def copy_into(self, file: File, target: SpoolFile, length: int | None = None) -> None: ...


class Uploads(Protocol):
    """Whoever sends bytes of files that are still being written; see ``upload.uploader.Uploader``."""

    def wrote(self, change_id: int, start: int, stop: int) -> None: ...

    def truncated(self, change_id: int, size_bytes: int) -> None: ...


class Durable(Protocol):
    """What makes a change survive power loss; see ``journal.sync.Durability``."""

    def sync_change(self, change_id: int) -> None: ...

    def sync_journal(self) -> None: ...


class Waiter(Protocol):
    """Waits for the service's word on a change."""

    def wait_committed(self, change_id: int, timeout_s: float) -> None:
        """Returns once it is committed; raises its error, or Offline when *timeout_s* passed."""


class Room(Protocol):
    """The account's quota as far as it is known."""

    def take(self, growth_bytes: int) -> None:
        """NoSpace when the account is known to have no room for *growth_bytes* more."""


def pause(seconds: float) -> None:
    """Holds a writer back."""
    threading.Event().wait(seconds)


@dataclass(frozen=True, slots=True)
class Services:
    """All that open files of one account share."""

    changes: Changes
    journal: Journaled
    spool: Spool
    reader: Reads
    uploads: Uploads
    durable: Durable
    waiter: Waiter
    room: Room
    ask_limits: Callable[[], BackendLimits]
    clock: Clock
    pause: Callable[[float], None] = pause

    @property
    def limits(self) -> BackendLimits:
        """As known at this moment: how large a file may be is learned from the account, perhaps late."""
        return self.ask_limits()
