"""Who is told of every change of a node."""

from __future__ import annotations

from mountfs.tree.node import Node


class Planner:
    """The part of ``tree.plan`` that is told of every change; the assembly puts a real one in its place."""

    def touch(self, node: Node) -> None:
        """What *node* wants, or what it may wait for, has changed."""

    def forget(self, node: Node) -> None:
        """*node* wants nothing any more."""
