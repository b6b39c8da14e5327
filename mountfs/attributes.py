"""What a mount promises, and what the verbs of the file system answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import NamedTuple

UNLIMITED_BYTES = 1 << 50
"""What an account without a limit shows in `df`: 1 PiB, far from what overflows in 32-bit tools."""
BLOCK_BYTES = 4096
MOST_FILES = 1 << 32
"""Inodes that `df -i` shows: neither service says how many it takes."""


class Promise(StrEnum):
    """What a successful close() or fsync() has waited for. An fsync() of LOCAL is one of FSYNC: fsync(2)."""

    LOCAL = "local"
    """Bytes and row survive the process."""
    FSYNC = "fsync"
    """They survive a power loss."""
    REMOTE = "remote"
    """The service has committed them."""


class Links(StrEnum):
    """What becomes of symbolic links."""

    LOCAL = "local"
    """They stay on this machine."""
    RCLONE = "rclone"
    """The service keeps each as a small file that rclone takes for a link (`--links`)."""
    REFUSE = "refuse"
    """None can be made."""


class HardLinks(StrEnum):
    """What link(2) does: neither service has a second name for a file."""

    REFUSE = "refuse"
    COPY = "copy"
    """It makes a second file with the same bytes."""


@dataclass(frozen=True, slots=True)
class FileSystemOptions:
    """How one mount shows the account."""

    uid: int
    gid: int
    umask: int = 0o022
    """What ``file_mode`` and ``folder_mode`` lack where they are not given."""
    file_mode: int | None = None
    """Of files for which no mode is kept."""
    folder_mode: int | None = None
    keeps_attributes: bool = True
    """Whether modes, owners and extended attributes are kept on this machine."""
    links: Links = Links.LOCAL
    contains_links: bool = True
    """Whether links at the service that others made, and that may lead out of the mount, are not followed."""
    hard_links: HardLinks = HardLinks.REFUSE
    is_read_only: bool = False
    close: Promise = Promise.LOCAL
    fsync: Promise = Promise.LOCAL
    commit_timeout_s: float = 600.0
    """How long close() or fsync() waits for the service, where they do."""
    socket: str = ""


class Caller(NamedTuple):
    """Whose process makes a call: what it creates belongs to them."""

    uid: int
    gid: int


class Moment(Enum):
    """A time of utimensat(2) that is no number."""

    NOW = auto()
    OMIT = auto()


class Attributes(NamedTuple):
    """What stat(2) tells; ``mode`` has the type. ``inode`` is the same for all spellings of a name."""

    inode: int
    mode: int
    size_bytes: int
    mtime_ns: int
    uid: int
    gid: int
    atime_ns: int
    ctime_ns: int
    links: int
    device: int
    """Of a device node: its number."""


@dataclass(frozen=True, slots=True)
class Volume:
    """What statfs(2) tells."""

    total_bytes: int
    free_bytes: int
    free_files: int = MOST_FILES
    """Of MOST_FILES."""
    block_bytes: int = BLOCK_BYTES
    name_max: int = 255


class Opened(NamedTuple):
    """The number of a new handle, and what the kernel may do with the pages it has of the file."""

    number: int
    keep_cache: bool
    is_direct: bool
