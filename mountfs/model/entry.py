"""What a service says of the items in an account, and of changes to them."""

from __future__ import annotations

from dataclasses import dataclass, field

from mountfs.model.path import RemotePath
from mountfs.model.value import value

NS_PER_S = 1_000_000_000


@value
class File:
    """One revision of a file.

    ``name`` is the last component of its path, as the service spells it. ``id`` stays the same when the
    file is renamed or gets another revision. ``revision`` is the service's token for exactly these bytes
    (Dropbox ``rev``; Box: the file's id, its ``etag`` and the version's id). ``content_hash`` is in the
    service's own algorithm; None for a document without bytes of its own, which is not ``is_downloadable``.
    """

    id: str
    name: str
    revision: str
    size_bytes: int
    mtime_ns: int
    content_hash: str | None
    is_downloadable: bool = True


@value
class Folder:
    """A folder; the services keep no times for it. ``id`` is "" where the service did not tell it."""

    id: str
    name: str
    is_new: bool = field(default=False, compare=False)
    """In the outcome of a ``MakeFolder``: the service has just made it, so nothing is in it. False for one
    that stood there already, or that an earlier call may have made."""


Entry = File | Folder


@dataclass(frozen=True, slots=True)
class Odd:
    """Something in a folder that cannot be shown: what the service says of it makes no sense.

    ``name`` is "" where not even that can be told; *reason* is one line for people.
    """

    name: str
    reason: str


Listed = Entry | Odd

Placed = tuple[str, str, Listed | None]
"""An entry of a recursive listing, with its path and that of the folder it is in, as the service compares
paths: the folder's own entry has exactly the latter. None: nothing stands at that path any more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, or is to stand: its path in the account, and the id of the folder it is in.

    A service that addresses items by id uses ``folder_id``, and looks the folder up by its path where that
    is "". The path is the one the service has, which may differ from the one the mount shows.
    """

    path: RemotePath
    folder_id: str = ""

    @property
    def name(self) -> str:
        """The last component of the path."""
        return self.path.name

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class Seen:
    """News: *entry* stands at *path*, or in the folder *folder_id*, whichever of both the service tells."""

    entry: Entry
    path: RemotePath | None = None
    folder_id: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """News: nothing stands at *path* any more, nor below it; or the item *item_id* is gone."""

    path: RemotePath | None = None
    item_id: str = ""


@dataclass(frozen=True, slots=True)
class Doubted:
    """News: something changed in a folder, the service did not say what: the folder must be listed anew."""

    path: RemotePath | None = None
    folder_id: str = ""


News = Seen | Gone | Doubted


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
    """Who we are signed in as; ``key`` is stable, unique and fit for a file name. ``user_key``, too: the
    service counts the calls of all accounts with the same one together; "": of this one alone."""

    key: str
    display_name: str
    user_key: str = field(default="", compare=False)

    @property
    def counted_as(self) -> str:
        """The key under which its calls are counted."""
        return self.user_key or self.key
