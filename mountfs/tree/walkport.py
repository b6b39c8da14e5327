"""Who is told which folders programs look at."""

from __future__ import annotations

from mountfs.model.path import RemotePath
from mountfs.tree.node import Node


class Walks:
    """The part of ``tree.walks`` that is told which folders are looked at; the assembly puts a real one in
    its place where folders are to be listed ahead."""

    def opened(self, folder: Node) -> None:
        """A program is about to list *folder*. Not under the lock."""

    def await_walk(self, folder: Node) -> None:
        """Waits while a walk that is likely to list *folder* is under way. Not under the lock."""

    def listed(self, folder: Node, entries: int) -> None:
        """The service has listed *folder*."""

    def heard(self, path: RemotePath) -> None:
        """Something changed in the folder at *path*, as the service tells. Under the lock."""

    def close(self) -> None:
        """No folder is listed ahead any more."""
