"""Versions that newer ones took the place of: a power loss must not take both.

Bytes that were not synced may be torn by a power loss. Then what they replaced is shown again: the service's
revision, or a file whose removal was not sent. A version that was synced here, and that the service does not
have, is gone once it is replaced; so the newer one is synced before it replaces it.
"""

from __future__ import annotations

from mountfs.model.entry import File
from mountfs.model.path import fold
from mountfs.tree.content import Content
from mountfs.tree.node import Node, State
from mountfs.tree.reversal import shown_again
from mountfs.tree.tree import Tree


class NotSynced(Exception):
    """*content* is to replace bytes that outlive it; sync it, then try again."""

    def __init__(self, content: Content) -> None:
        super().__init__(f"content {content.id} is not synced")
        self.content = content


def outlives_alone(old: State, new: Content) -> bool:
    """Whether a power loss now would take *new* but not *old*, which the service does not have: `echo 1 > f;
    sync f; echo 2 > f`."""
    before = old.content
    if before is None or not before.is_synced or new.is_synced:
        return False
    return old.flight is None or old.flight.content is not before


def check_synced(node: Node, occupant: Node) -> None:
    """NotSynced where power loss would take the bytes of *node*, but not those of its *occupant*."""
    newer = node.state.draft or node.state.content
    if newer is not None and outlives_alone(occupant.state, newer):
        raise NotSynced(newer)


def has_revision(state: State) -> bool:
    """Whether the service has a file that can be shown in place of bytes of ours."""
    return isinstance(state.base, File)


def removed_under(tree: Tree, folder: Node, name: str) -> Node | None:
    """The node that the service still has as *name* in *folder*, and that was removed here. Under the
    lock."""
    node = tree.base_child(folder, fold(name))
    return node if node is not None and node.state.parent is None else None


def replaced_under(tree: Tree, folder: Node, name: str) -> Node | None:
    """The node that can be shown again as *name* in *folder* when what replaced it turns out torn: after `mv
    new old` the service's old, unless its removal is on its way. Under the lock."""
    old = removed_under(tree, folder, name)
    return old if old is not None and old.state.flight is None else None


def show_replaced(tree: Tree, folder: Node, name: str) -> None:
    """Shows again what ``replaced_under`` finds, if anything. Inside a transaction, when *name* is free."""
    old = replaced_under(tree, folder, name)
    if old is not None:
        tree.change((old, shown_again(tree, old.state, None)))
