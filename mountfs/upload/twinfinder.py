"""Spares uploads: finds out which pending files the service has the bytes of, and can copy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mountfs.errors import MountfsError
from mountfs.ports import Piece
from mountfs.tree.content import Content, Twin
from mountfs.tree.node import Node
from mountfs.tree.twins import find_twin, may_be_copied
from mountfs.upload.context import UploadContext

HELD_BACK_S = 0.5
"""A large file that is being written begins to go up so much later, where the account has any large file: by
then a program that copies 100 MB has closed its copy, and not a byte of it need go up."""


class TwinFinder:
    """``*_locked``: the caller holds the tree's lock."""

    def __init__(self, context: UploadContext) -> None:
        self._context = context

    def begins_s_locked(self, node: Node, content: Content) -> float:
        """When the large file *node*, which is being written as *content*, may begin to go up, before it is
        known whether the service has its bytes. A new version of a file is never a copy of one."""
        limits = self._context.limits
        if node.state.base is not None or content.over is not None:
            return -math.inf
        known_files = self._context.tree.store.known_files
        if not limits.copies_files or not known_files.has_size_from(limits.session_min_bytes):
            return -math.inf
        return self._context.clock.now_s() + HELD_BACK_S

    def may_find_locked(self, content: Content, known_sizes: dict[int, bool] | None = None) -> bool:
        """Whether *content*, which is whole, is worth hashing: the service has a file of its size, and would
        make another one of it. *known_sizes*: remembers for a few files whether it has one of a size."""
        if not self._context.limits.copies_files:
            return False
        found = self._context.sealed_locked(content.id)
        if found is None or not may_be_copied(*found):
            return False
        size_bytes, known = content.size_bytes, {} if known_sizes is None else known_sizes
        if size_bytes not in known:
            known[size_bytes] = self._context.tree.store.known_files.has_size(size_bytes)
        return known[size_bytes]

    def find_locked(self, content: Content, content_hash: str) -> Twin | None:
        """The file of the service's that *content* is to be a copy of, by their hash; None: there is none."""
        found = self._context.sealed_locked(content.id)
        if found is None or not self.may_find_locked(content):
            return None
        return find_twin(self._context.tree, self._context.limits, *found, content_hash)

    def note_found(self, contents: Sequence[Content]) -> list[Content]:
        """Notes of those of *contents* whose bytes the service has that they need not go up, and returns the
        others. Reads, without the lock, the files that may be among them. One that cannot be read is not."""
        context, known_sizes = self._context, dict[int, bool]()
        with context.tree.lock:
            worth = [content for content in contents if self.may_find_locked(content, known_sizes)]
        if not worth:
            return list(contents)
        try:
            hashes = context.backend.content_hashes(
                [Piece(context.source(content), content.size_bytes) for content in worth]
            )
        except MountfsError:
            return list(contents)
        noted: set[int] = set()
        with context.tree.transaction():
            for content, found in zip(worth, hashes, strict=True):
                twin = None if isinstance(found, MountfsError) else self.find_locked(content, found)
                if twin is not None and context.uploaded_locked(content, str(found), None, twin):
                    noted.add(content.id)
        return [content for content in contents if content.id not in noted]
