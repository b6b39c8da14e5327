"""What identifies the bytes of a revision: a renamed or copied file has the same."""

from __future__ import annotations

from mountfs.model.entry import File

Key = tuple[str, ...]


def key_of(file: File) -> Key:
    """Equal for two revisions only if their bytes are."""
    if file.content_hash:
        return (file.content_hash, str(file.size_bytes))
    return (file.id, file.revision)
