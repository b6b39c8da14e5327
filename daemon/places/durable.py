"""Small files of the state directory that survive a power loss."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """The bytes of a file, or the names in a folder, survive a power loss. OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(path: Path, text: str) -> None:
    """For this user alone, and whole or not at all. OSError: nothing is written. Of a folder that cannot be
    synced none is raised: what is in the file is there, and who took it for unwritten would add it again."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        draft.chmod(0o600)
        draft.write_text(text)
        sync(draft)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    with suppress(OSError):
        sync(path.parent)
