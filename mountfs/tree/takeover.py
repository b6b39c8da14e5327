"""A file that is saved anew is a new revision of the one that it replaces, whatever way the program takes."""

from __future__ import annotations

from dataclasses import replace

from mountfs.model.entry import File
from mountfs.model.order import MAKES_A_FILE, OrderKind
from mountfs.model.path import fold
from mountfs.tree.content import Over, is_made_from
from mountfs.tree.node import Node, forgotten
from mountfs.tree.order import may_go_with
from mountfs.tree.outcome import rebased
from mountfs.tree.showing import spare
from mountfs.tree.tree import Tree


def replaced_by(tree: Tree, node: Node, step: OrderKind) -> Node | None:
    """The removed file that *node*, which is closed, is a new revision of; None: there is none.

    `mv new f`, `mv f f~; echo x >f; rm f~` and `rm f; echo x >f` all end here: the service is given one new
    revision of f, and at no moment has neither version.
    """
    state = node.state
    if node.folder is not None or state.content is None or state.parent is None:
        return None
    is_new = step in MAKES_A_FILE and state.base is None
    if step is not OrderKind.MOVE and not is_new:
        return None
    before = tree.base_child(state.parent, fold(state.name))
    if before is None or before is node or before.folder is not None:
        return None
    is_free = before.state.parent is None and before.state.flight is None and before.state.refusal is None
    return before if is_free and not may_go_with(tree, before, node) else None


def needs_base(node: Node) -> bool:
    """Whether bytes are still to be fetched of a file that the service has as *node*. Box gives none of what
    was removed: after an edit of a, `mv a b` over b removes a at the service, so the bytes come first."""
    state = node.state
    ours = (state.content, state.draft)
    return state.base is not None and any(each is not None and not each.is_whole for each in ours)


def take_over(tree: Tree, node: Node, before: Node, *, places_bind: bool) -> None:
    """Makes *node* a new revision of the removed file *before*: the base of *before* becomes its own. If the
    service has *node* itself, too (`mv a b` over b), that is what is to be removed. *places_bind*: whether an
    upload session is for one place only."""
    state, content, base = node.state, node.state.content, before.state.base
    assert content is not None
    assert isinstance(base, File)
    over = Over.of(base)
    session = None if places_bind else content.session
    after = replace(
        state,
        base_parent=before.state.base_parent,
        base=base,
        content=replace(content, over=over, session=session),
        draft=rebased(state.draft, content.over, over),
    )
    if before.pending is not None and node.pending is not None:
        unheard = tuple(dict.fromkeys((*before.pending.unheard, *node.pending.unheard)))
        before.pending.unheard = node.pending.unheard = unheard  # of either item one may arrive
    is_left = state.base is not None
    left = before.state.based(state.base_parent, state.base) if is_left else forgotten(before.state)
    with tree.transaction():
        if session is None:
            tree.add_orphan(content.session)
            tree.store.parts.clear(content.id)
        tree.change((before, left), (node, after))
        if isinstance(state.base, File) and not is_made_from(content, state.base):
            assert state.base_parent is not None
            spare(tree, before, state.base_parent, state.base)
