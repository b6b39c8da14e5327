"""Removed files that are still open, by the names under which libfuse keeps them."""

from __future__ import annotations

from mountfs.files.openfile import OpenFile


class Hidden:
    """libfuse renames an open file that is removed to ``.fuse_hidden...``, and removes that name after the
    last handle. No such name is in the tree. Guarded by the account's lock."""

    __slots__ = ("_files",)

    def __init__(self) -> None:
        self._files: dict[str, OpenFile] = {}

    def add(self, path: str, file: OpenFile | None) -> None:
        """libfuse calls *file* by *path* from here on; None: what it renamed is not open here."""
        if file is not None:
            self._files[path.rpartition("/")[2]] = file

    def named(self, name: str) -> OpenFile | None:
        return self._files.get(name)

    def forget(self, name: str) -> bool:
        """Whether there was one of that name."""
        return self._files.pop(name, None) is not None

    def closed(self, file: OpenFile) -> None:
        for name in [name for name, hidden in self._files.items() if hidden is file]:
            del self._files[name]
