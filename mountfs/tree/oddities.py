"""Notices of entries that a listing leaves out because they make no sense."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mountfs.model.entry import Odd
from mountfs.tree.node import Node, path_of
from mountfs.tree.tree import Tree

LOG = logging.getLogger(__name__)


def tell_of(tree: Tree, folder: Node, odd: Sequence[Odd]) -> None:
    """A notice about *odd* entries of *folder*; once for the same ones, since a folder is listed again and
    again."""
    if not odd:
        return
    first = min(odd, key=lambda entry: (entry.name, entry.reason))
    count = "1 entry is" if len(odd) == 1 else f"{len(odd)} entries are"
    text = f"{count} left out, for what the service says makes no sense: {first.name or '?'}: {first.reason}"
    with tree.lock:
        path = path_of(folder)
        if any((notice.path, notice.text) == (path, text) for notice in tree.store.notices.all()):
            return
        tree.notice(path, text)
    LOG.warning("%s: %s", path, text)
