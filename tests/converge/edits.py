"""Edits in place by one mount that are under way, and the names by which their files were opened."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


class Edits:
    """Who opens a file under a name that it got while it is edited does not meet the editor's lock (S-LOCK),
    and may read a part of the edit."""

    def __init__(self) -> None:
        self.ended: set[int] = set()
        self._opened: dict[int, Path] = {}

    @contextmanager
    def under_way(self, edit: int, path: Path) -> Iterator[None]:
        """*path*: by which its file was opened."""
        self._opened[edit] = path
        try:
            yield
        finally:
            self.ended.add(edit)

    def elsewhere(self, path: Path, ended: Collection[int]) -> set[int]:
        """Those that are not among *ended*, and whose file was opened by another name than *path*."""
        opened = list(self._opened.items())
        return {edit for edit, name in opened if edit not in ended and name != path}
