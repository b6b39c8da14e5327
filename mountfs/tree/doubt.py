"""What is wrong with the bytes that a start finds of a version. Pure."""

from __future__ import annotations

from mountfs.tree.content import Content

TORN = "was still being written when mountfs stopped"
CUT_SHORT = "is shorter than it was when it was closed"
UNPROVEN = "was not safely on disk yet when the machine stopped, and may be damaged"
LOST = "its pending bytes are missing from the local disk"


def doubt(content: Content, size_bytes: int | None, *, is_proven: bool) -> str | None:
    """What is wrong with the bytes of a version, or None. *size_bytes*: of its spool file, None if there is
    none; *is_proven*: whether nothing can have happened to them, or their hash says so."""
    if not content.is_flushed:
        was_never_written = not size_bytes and not content.size_bytes
        return LOST if size_bytes is None or was_never_written else TORN
    if size_bytes is None or (not size_bytes and content.size_bytes):
        # The service has all of it: it can still be published, though not be read here until then.
        is_there = content.session is not None or content.twin is not None
        return None if content.is_uploaded and is_there else LOST
    if size_bytes < content.size_bytes:
        return CUT_SHORT
    # Nothing cannot be damaged.
    return None if is_proven or not content.size_bytes else UNPROVEN
