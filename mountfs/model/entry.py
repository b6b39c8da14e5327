"""What stands at a path on the far side."""

from __future__ import annotations

from dataclasses import dataclass, field

from mountfs.model.path import RemotePath

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class File:
    """One revision of a file.

    ``revision`` is the service's token for exactly these bytes at this place (Dropbox ``rev``, Box
    ``etag`` with the version's id); ``content_hash`` is in the service's own algorithm, None when it
    tells none (a document without bytes of its own). ``is_downloadable`` is False for those.
    """

    path: RemotePath
    id: str
    revision: str
    size_bytes: int
    mtime_ns: int
    content_hash: str | None
    is_downloadable: bool = True


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder; the services keep no times for it."""

    path: RemotePath
    id: str
    is_new: bool = field(default=False, compare=False)
    """In the outcome of a MKDIR: the service has just made it, so nothing is in it. Not so of one that stood
    there already, or that an earlier call may have made."""


Entry = File | Folder


@dataclass(frozen=True, slots=True)
class Gone:
    """In a list of remote changes: nothing stands at *path* any more, nor below it."""

    path: RemotePath


@dataclass(frozen=True, slots=True)
class Space:
    """The account's quota; ``total_bytes`` is None when there is no limit."""

    used_bytes: int
    total_bytes: int | None

    @property
    def free_bytes(self) -> int | None:
        return None if self.total_bytes is None else max(0, self.total_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are signed in as; ``key`` is stable, unique and fit for a file name."""

    key: str
    display_name: str
