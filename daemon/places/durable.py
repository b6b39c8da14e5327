"""Small files that are whole or as they were, also after a power loss."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PRIVATE = 0o600
"""The mode of a file for this user alone."""


def sync(path: Path) -> None:
    """The bytes of a file, or the names in a folder, survive a power loss. OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_synced(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Whole or not at all, and on the disk when it returns. OSError. A new file is this user's alone; one
    that was there keeps its owner and gets *mode*."""
    _put(path, text, mode)
    sync(path.parent)


def write_whole(path: Path, text: str) -> None:
    """As ``write_synced``, for this user alone. Of a folder that cannot be synced no OSError is raised: what
    is in the file is there, and who took it for unwritten would add it again."""
    _put(path, text, PRIVATE)
    with suppress(OSError):
        sync(path.parent)


def _put(path: Path, text: str, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(draft, flags, PRIVATE), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if path.exists():
                owner = path.stat()
                # Where it cannot be given to the old owner it is ours, and private.
                with suppress(OSError):
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                    os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
