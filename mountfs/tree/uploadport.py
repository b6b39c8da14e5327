"""Who is told which bytes are to go up."""

from __future__ import annotations

from typing import Protocol

from mountfs.tree.node import Node


class Uploads(Protocol):
    """The part of ``upload.uploader`` that the plan needs."""

    def want(self, node: Node) -> None:
        """The bytes of *node* are to go up, if they are not on their way already. Under the lock."""


class NoUploads:
    """Nobody sends bytes, until the assembly puts a real one in its place."""

    def want(self, node: Node) -> None:
        """Nothing comes of it."""
