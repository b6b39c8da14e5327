"""Saved anew: a file of ours takes over the place and history of one that was removed for it."""

from __future__ import annotations

from dataclasses import replace

from mountfs.model.entry import File
from mountfs.model.order import OrderKind
from mountfs.model.path import fold
from mountfs.tree.content import Over, is_made_from
from mountfs.tree.node import FORGOTTEN, Node
from mountfs.tree.remote import spare
from mountfs.tree.tree import Tree


def replaced_by(tree: Tree, node: Node, step: OrderKind) -> Node | None:
    """The removed file whose place and history *node*, whole bytes of ours, takes over; None: there is none.

    Saving by renaming over a file, by moving it aside, or by removing it and writing anew, is a new revision
    of that file: at no moment does the service have neither.
    """
    state = node.state
    if node.folder is not None or state.content is None or state.parent is None:
        return None
    if step not in (OrderKind.PUT, OrderKind.MOVE) or (step is OrderKind.PUT and state.base is not None):
        return None
    before = tree.base_child(state.parent, fold(state.name))
    if before is None or before is node or before.folder is not None:
        return None
    is_free = before.state.parent is None and before.state.flight is None and before.state.refusal is None
    return before if is_free else None


def take_over(tree: Tree, node: Node, before: Node, *, places_bind: bool) -> None:
    """*node* becomes a new revision of the removed file *before*: its base is that one's from here on. What
    the service had of *node* itself is then to be removed. *places_bind*: whether an upload session is for
    one place, and of no use for another."""
    state, content, base = node.state, node.state.content, before.state.base
    assert content is not None
    assert isinstance(base, File)
    over = Over(base.revision, base.content_hash)
    session = None if places_bind else content.session
    after = replace(
        state,
        base_parent=before.state.base_parent,
        base=base,
        content=replace(content, over=over, session=session),
    )
    draft = state.draft
    if draft is not None and draft.over == content.over:
        after = replace(after, draft=replace(draft, over=over))
    is_left = state.base is not None
    left = before.state.based(state.base_parent, state.base) if is_left else FORGOTTEN
    with tree.transaction():
        if session is None:
            tree.add_orphan(content.session)
        tree.change((before, left), (node, after))
        if isinstance(state.base, File) and not is_made_from(content, state.base):
            assert state.base_parent is not None
            spare(tree, before, state.base_parent, state.base)
