"""What open files need of the rest, in part as narrow contracts; the assembly fills it in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from mountfs.model.entry import File
from mountfs.model.lent import Lent
from mountfs.ports import BackendLimits, Clock
from mountfs.spool.spool import Spool
from mountfs.spool.spoolfile import SpoolFile
from mountfs.tree.content import Content
from mountfs.tree.gaps import Gaps
from mountfs.tree.node import Node
from mountfs.tree.sync import Durability
from mountfs.tree.verbs import Verbs


class Reads(Protocol):
    """Remote bytes; see ``reading.reader.Reader``."""

    def read(self, file: File, offset: int, length: int, *, ahead: bool = True) -> bytes: ...

    def read_into(self, file: File, offset: int, room: memoryview, *, ahead: bool = True) -> int: ...

    def lend(self, file: File, offset: int, length: int) -> Lent | None: ...

    def left(self, file: File) -> None:
        """No program has *file* open any more."""

    def is_small(self, length: int) -> bool:
        """Whether so many bytes are fetched rather than left for later."""

    def copy_into(self, file: File, target: SpoolFile, length: int | None = None) -> None: ...


class Uploads(Protocol):
    """Sends bytes of files that are still being written; see ``upload.uploader.Uploader``."""

    def wrote(self, content_id: int, start: int, stop: int) -> None: ...

    def truncated(self, content_id: int, size_bytes: int) -> None: ...


class Waiter(Protocol):
    """Waits for the service's answer about a version."""

    def wait_committed(self, content: Content, timeout_s: float) -> None:
        """Returns once *content* is committed. Raises why it is not, or Offline after *timeout_s*."""


class Room(Protocol):
    """The account's quota as far as it is known."""

    def take(self, growth_bytes: int) -> None:
        """NoSpace when the account is known to have no room for *growth_bytes* more."""

    def give_back(self, freed_bytes: int) -> None:
        """So many of the bytes that were taken are not written after all."""


def pause(seconds: float) -> None:
    """Holds a writer back."""
    threading.Event().wait(seconds)


@dataclass(frozen=True, slots=True)
class Services:
    """All that open files of one account share. ``lock`` is the account's."""

    lock: AbstractContextManager[Any]
    changes: Verbs
    gaps: Gaps
    spool: Spool
    reader: Reads
    uploads: Uploads
    durable: Durability
    waiter: Waiter
    room: Room
    ask_limits: Callable[[], BackendLimits]
    clock: Clock
    pause: Callable[[float], None] = pause
    on_read: Callable[[Node, File, int], None] = lambda _node, _file, _offset: None
    """Called before each read of a revision."""

    @property
    def limits(self) -> BackendLimits:
        """As they are now: how large a file may be is learned from the account, perhaps after the mount
        began."""
        return self.ask_limits()
