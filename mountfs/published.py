"""Symbolic links that the service keeps, as rclone writes them: `a` is the small file `a.rclonelink` there,
with the target in it. The tree has the file; the mount shows it as the link."""

from __future__ import annotations

from mountfs.errors import IsADirectory, NameTooLong, NotADirectory, NotFound
from mountfs.model.path import fold
from mountfs.tree.node import Node, size_of
from mountfs.tree.verbs import Verbs
from mountfs.tree.view import Names, View

SUFFIX = ".rclonelink"
MOST_TARGET_BYTES = 4095
"""PATH_MAX of Linux, without its end."""


class PublishedLinks:
    """Under the tree's lock; raises NotLoaded as the view does."""

    def __init__(self, view: View, *, is_on: bool) -> None:
        """*is_on*: whether the mount shows such files as links; else they are files."""
        self._view = view
        self.is_on = is_on

    def is_link(self, node: Node) -> bool:
        """Whether *node* is shown as a link: not a file that is too long for a target, and none whose name
        without the ending another node has."""
        name = node.state.name
        if not self.is_on or node.folder is not None or not name.endswith(SUFFIX) or name == SUFFIX:
            return False
        if not 0 < size_of(node) <= MOST_TARGET_BYTES or node.state.parent is None:
            return False
        children = node.state.parent.part.children
        return children is None or fold(name.removesuffix(SUFFIX)) not in children

    def shown(self, node: Node) -> str:
        """Its name in a listing."""
        return node.state.name.removesuffix(SUFFIX) if self.is_link(node) else node.state.name

    def names(self, names: Names) -> Names:
        """Where the tree has what the path *names* leads to."""
        if not self.is_on or not names or self._view.find(names) is not None:
            return names
        there = published(names)
        try:
            node = self._view.find(there)
        except NameTooLong:
            return names
        return there if node is not None and self.is_link(node) else names

    def rename(self, verbs: Verbs, source: Names, target: Names, *, may_be_lost: bool) -> Node:
        """As ``Verbs.rename``, for what is shown at *source*; what was renamed. A link takes its ending
        along; what it replaces may be a file without one, and the other way round."""
        if not self.is_on:
            return verbs.rename(source, target, may_be_lost=may_be_lost)[0]
        old, taken = self.names(source), self.names(target)
        new = published(target) if old is not source else target
        if taken is new or list(taken) == list(new) or self._view.find(taken) is None:
            return verbs.rename(old, new, may_be_lost=may_be_lost)[0]
        if self._view.node(taken).folder is not None:
            raise IsADirectory(f"{target[-1]} is a folder")
        if self._view.node(old).folder is not None:
            raise NotADirectory(f"{target[-1]} is a symbolic link")
        with self._view.tree.transaction():
            verbs.unlink(taken)
            return verbs.rename(old, new, may_be_lost=may_be_lost)[0]

    def node(self, names: Names) -> Node:
        """What is shown at a path: a link is not, under its name at the service. As ``View.node``."""
        if not self.is_on:
            return self._view.node(names)
        there = self.names(names)
        node = self._view.node(there)
        if there is names and self.is_link(node):
            raise NotFound(f"{names[-1]} is shown as a symbolic link, without its ending")
        return node


def published(names: Names) -> Names:
    """Where a link at the path *names* is kept."""
    return [*names[:-1], names[-1] + SUFFIX]


def leads_out(target: str, depth: int) -> bool:
    """Whether a link that is *depth* folders below the top of the mount may lead out of it. What follows the
    first name may be a link to somewhere higher, so that no `..` may come after one."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    climbs = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    return target.startswith("/") or climbs > depth or ".." in parts[climbs:]
