"""What a start reads of the store: everything that is not clean, in a few statements however much that is.

Almost all of it, where there is much, are new files: closed, and nothing the service knows of. Those are
made here, without the steps that others need: nothing was under their name before, and no folder above
them has its children in memory yet.
"""

from __future__ import annotations

from mountfs.tree.content import Content
from mountfs.tree.contents import Contents
from mountfs.tree.kept import kept_of
from mountfs.tree.listing import Listing
from mountfs.tree.loading import Held, Loader
from mountfs.tree.node import Node, Pending, State
from mountfs.tree.rows import NEW_FILE, Role
from mountfs.tree.store import Store
from mountfs.tree.unclean import Unclean


def restore(
    store: Store, loader: Loader, nodes: dict[int, Node], contents: Contents, unclean: Unclean
) -> dict[int, Content]:
    """Makes all nodes that are not clean, or carry a refusal; the contents, by id, that only flights have.
    Under the tree's lock, before anything else has used the tree."""
    held: Held = {role: {} for role in Role}
    for content, node_id, role in store.contents():
        if node_id is None:
            contents.freed[content.id] = content
        else:
            held[role][node_id] = content
    whole, drafts, owners, dirty = held[Role.CONTENT], held[Role.DRAFT], contents.owners, unclean.dirty
    listings = store.listings_of_dirty()
    others = store.live_nodes(but=NEW_FILE)
    for node_id, parent_id, name, touched_ns, is_new_file, attributes in store.dirty_nodes():
        row = None if is_new_file else next(others)
        if row is None:
            own = whole.get(node_id)
            parent = nodes.get(parent_id) or loader.node(parent_id, held)
            if own is not None and own.is_flushed and node_id not in drafts and parent is not None:
                node = nodes[node_id] = dirty[node_id] = owners[own.id] = Node(node_id, is_folder=False)
                node.state = State(parent, name, None, None, own, kept=kept_of(attributes))
                node.note_name(node.state)
                node.is_saved = True
                node.pending = Pending(touched_ns)
                contents.copying.add(own)
                parent.part.has_some = True
                continue
            row = store.node(node_id)
        # What stands in a folder may come before the folder, which is there already then.
        if row is not None and node_id not in nodes:
            loader.load(row, held, listings.get(node_id) or Listing())
    for row in others:
        if row.id not in nodes:
            loader.load(row, held)
    unclean.count_all()
    return {content.id: content for content in held[Role.SENT].values()}
