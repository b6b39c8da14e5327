"""Writes what the service turns out to have onto the nodes: a clean node follows it, one with changes of ours
keeps them."""

from __future__ import annotations

from dataclasses import replace

from mountfs.errors import NotFound
from mountfs.model.entry import Entry, File, Folder
from mountfs.model.order import OrderKind
from mountfs.model.path import fold
from mountfs.tree import tally
from mountfs.tree.bases import claimant, is_attached, is_below
from mountfs.tree.childrows import load_children
from mountfs.tree.content import Over
from mountfs.tree.kept import Kept
from mountfs.tree.node import FORGOTTEN, Node, State, forgotten, has_moved, path_of
from mountfs.tree.outcome import with_rebased_bytes
from mountfs.tree.outdated import doubt_circle, doubt_former, outdate
from mountfs.tree.showing import shadow, show, spare
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_kept_as


def stands(tree: Tree, folder: Node, entry: Entry) -> None:
    """Writes onto the nodes that the service has *entry* in *folder*. Inside a transaction; the children of
    *folder* are in memory.

    A name that a node of ours has stays ours: what the service has there is shown once ours has left the
    name.
    """
    key = fold(entry.name)
    node = _known(tree, folder, entry, key)
    if node is not None and node.state.base_parent is folder and node.state.base == entry:
        return
    if node is not None and node.folder is not None and _stands_in(folder, node):
        doubt_circle(tree, folder)
        return
    claiming = claimant(folder, key)
    if claiming is not None and claiming is not node:
        hear(claiming, entry)  # an order on its way gives the name to one of ours
        return
    kept: Kept | None = None
    before = tree.base_child(folder, key)
    if before is not None and before is not node:
        if before.state.flight is not None:
            before.state.flight.is_doubted = True
            return
        kept = before.state.kept if before.state.parent is folder else None
        if node is None and isinstance(entry, Folder) and before.is_folder and _has_specials(tree, before):
            _replace(tree, before, folder, entry)
            return
        node = _left_by(tree, before, node, folder, entry)
    if node is not None:
        if node.state.flight is None:
            rebase(tree, node, folder, entry)
            return
        hear(node, entry)
        node.state.flight.is_doubted = True
        if node.state.base_parent is not folder:
            # The listing is repeated once the order is over, and shows it then.
            folder.part.listing.doubted_at = tree.store.next_id()
        return
    if _is_hidden(tree, folder, key, entry) or not show(tree, folder):
        return
    node = tree.new_node(is_folder=isinstance(entry, Folder))
    if before is not None and before.is_folder is not node.is_folder:
        kept = None
    # Many programs save by giving the name to a new file: the mode and the owner are those of the name.
    tree.change((node, State(folder, entry.name, folder, entry, kept=kept)))


def _is_hidden(tree: Tree, folder: Node, key: str, entry: Entry) -> bool:
    """Whether *entry*, of which no node is known, is not to be shown: something of ours has its name, or it
    arrives late, and goes. A late version that the new file of its name replaces is left for that."""
    named = tree.child(folder, key)
    is_replaced = named is not None and isinstance(entry, File) and is_late(named, entry)
    if not is_replaced and take_late(tree, folder, entry):
        return True
    if named is not None:
        shadow(tree, folder, key)
    return named is not None


def _left_by(tree: Tree, before: Node, node: Node | None, folder: Node, entry: Entry) -> Node | None:
    """Loses *before*, which had the name of *entry* in *folder*. Returns *node*, the node of *entry*; None if
    it went with *before*: `rm a/a` or `mv a/a g` here, and others make it `mv a/a x; rm -r a; mv x a`. Then
    what stands there is shown: to take up a node that is gone would have it removed at the service."""
    lose(tree, before)
    if node is None or not node.state.is_forgotten:
        return node
    told = f"{entry.name} was moved by somebody else meanwhile: what was done with it here has no effect"
    tree.notice(path_of(folder), told)
    return None


def rebase(tree: Tree, node: Node, folder: Node, entry: Entry) -> None:
    """Gives *node* another base: the service has it in *folder*, as *entry*. Inside a transaction."""
    state = node.state
    after = replace(state, base_parent=folder, base=entry)
    if isinstance(entry, File) and isinstance(state.base, File):
        if state.base.content_hash != entry.content_hash:
            after = replace(after, mtime_ns=None)  # the time that was kept here was that of other bytes
        else:
            is_sent = state.mtime_ns is not None and is_kept_as(state.mtime_ns, state.base.mtime_ns)
            if is_sent and entry.mtime_ns != state.base.mtime_ns:
                after = replace(after, mtime_ns=None)  # somebody else gave it a time
        if state.base.content_hash == entry.content_hash or is_late(node, entry):
            after = with_rebased_bytes(after, Over.of(state.base), Over.of(entry))
    is_elsewhere = (
        folder is not state.base_parent or state.base is None or fold(state.base.name) != fold(entry.name)
    )
    if folder is not state.base_parent:
        doubt_former(tree, state.base_parent)
    if node.folder is not None and is_elsewhere:
        # News of what is below it, by its new path, found no node.
        node.folder.listing.doubted_below_at = tree.store.next_id()
        tree.store.save_listing(node.id, node.folder.listing)
    is_other = isinstance(entry, File) and _is_other_version(state.base, entry) and not is_late(node, entry)
    if state.parent is None and isinstance(entry, File) and is_other:
        spare(tree, node, folder, entry)
        return
    # A rename that was undone here, and takes effect all the same: the plan moves it back.
    is_undone = is_elsewhere and tree.late.is_moved(folder, entry)
    if is_elsewhere and state.base is not None and state.base_parent is not None:
        tree.late.left(state.base_parent, state.base)
    if state.parent is not None and not has_moved(state) and not is_undone:
        taken = tree.child(folder, fold(entry.name)) if folder.part.children is not None else None
        if taken is not None and taken is not node:
            shadow(tree, folder, fold(entry.name))
            lose(tree, node)
            return
        # It does not follow into a folder that was moved into it here meanwhile, or that cannot be shown, nor
        # into one that was removed from where it would be shown in itself: the plan moves it back.
        if not is_below(folder, node) and show(tree, folder):
            after = after.at(folder, entry.name)
    tree.change((node, after))


def _is_other_version(before: Entry | None, after: File) -> bool:
    """Whether somebody changed the bytes of a file."""
    return isinstance(before, File) and (
        before.content_hash is None
        or before.content_hash != after.content_hash
        or before.size_bytes != after.size_bytes
    )


def is_late(node: Node, file: File) -> bool:
    """Whether *file* is an older version of ours: its commit was not answered, seemed to have taken no
    effect, and took it after that. Meanwhile the file was written to again, or removed."""
    return node.pending is not None and file.content_hash in node.pending.unheard


def take_late(tree: Tree, folder: Node, entry: Entry) -> bool:
    """Whether *entry*, of which no node is known, is a new file of ours that arrives late: it was removed or
    renamed here meanwhile, and goes at the service. Inside a transaction."""
    if not tree.late.is_one(folder, entry):
        return False
    node = tree.new_node(is_folder=False)
    tree.touch(node)
    tree.change((node, State(None, entry.name, folder, entry)))
    return True


def lose(tree: Tree, node: Node) -> None:
    """The service does not have *node* any more: others removed it, or moved it out of the mounted account.
    Inside a transaction.

    A file with bytes of ours is kept and sent as a new one; so is a folder with anything of ours in it.
    Symbolic links, fifos, sockets and devices go with the folder that they are in.
    """
    state = node.state
    if state.base is None:
        return
    if state.flight is not None:
        if state.flight.kind not in (OrderKind.DELETE, OrderKind.MOVE):
            hear(node, None)  # the order itself takes the node from there
        return
    if node.folder is None:
        is_kept = state.parent is not None and (state.content is not None or state.draft is not None)
        if not is_kept:
            _tell_of_rename(tree, node)
        tree.change((node, state.based(None, None) if is_kept else forgotten(state)))
        return
    for moved in list((node.folder.gone or {}).values()):
        lose(tree, moved)
    if state.parent is None or not tally.has_any(node):
        _tell_of_rename(tree, node)
        tree.change((node, FORGOTTEN))
        return
    _make_anew(tree, node)


def lose_shown(tree: Tree, node: Node) -> None:
    """The folder *node* is shown, and was removed for another mount. As ``lose``, but what is kept here alone
    stays, and the folder is made again for that, too. Inside a transaction."""
    (_make_anew if _has_specials(tree, node) else lose)(tree, node)


def _make_anew(tree: Tree, node: Node) -> None:
    """The folder *node* is lost, and is to be made again for what is ours in it. What was refused, or left to
    the service, was about the one that is lost."""
    load_children(tree, node)
    for child in list((node.part.children or {}).values()):
        if child.state.base_parent is node:
            lose(tree, child)
    outdate(tree, node)  # when it is made again it may not be empty: what was sent into it may be there
    tree.change((node, replace(node.state.based(None, None), refusal=None)))


def _tell_of_rename(tree: Tree, node: Node) -> None:
    """*node* is lost: a rename that was still to be sent has no effect."""
    if has_moved(node.state):
        told = "it was renamed here, and removed or moved to another folder by somebody else meanwhile"
        tree.notice(path_of(node), told)


def unite(tree: Tree, node: Node, twin: Node) -> None:
    """Makes one of the folders *node*, whose order has just taken effect, and *twin*, which has the same id
    of the service's. Inside a transaction. Our `mkdir d/c` takes effect, somebody moves d, a listing shows
    what is in it as new, and only then comes the reply that c was made, with the id of what was listed.

    With both there, news of what is in it, which name the id, would be told to one of them alone. A *twin*
    with anything of ours in it is left to the next listings of the folders above.
    """
    place, base = twin.state.base_parent, twin.state.base
    if (
        not (node.is_folder and twin.is_folder)
        or place is None
        or base is None
        or twin.state.flight is not None
    ):
        return
    if tally.has_any(twin) or twin.part.gone or twin.part.flights_below or _has_specials(tree, twin):
        return
    if _stands_in(place, node):
        return
    lose(tree, twin)
    rebase(tree, node, place, base)


def is_untouched(tree: Tree, node: Node) -> bool:
    """Whether nothing was done here with *node* and with what is in it, and nothing in it stays here."""
    if node.pending is not None or node.state.flight is not None or node.state.refusal is not None:
        return False
    if node.folder is None:
        return True
    has_some = tally.has_any(node) or node.part.gone or node.part.flights_below
    return not (has_some or _has_specials(tree, node))


def _replace(tree: Tree, node: Node, folder: Node, entry: Folder) -> None:
    """Somebody removed the folder *node*, and made another one of its name. What is kept here of the old one
    is kept of the new one, and what is in that is listed. Inside a transaction."""
    rebase(tree, node, folder, entry)
    outdate(tree, node)


def _has_specials(tree: Tree, folder: Node) -> bool:
    """Whether symbolic links, fifos and such are shown in *folder*. What is in it stays out of memory."""
    children = folder.part.children
    if children is None:
        return tree.store.walked.has_special(folder.id)
    return any(child.is_special for child in children.values())


def hear(node: Node, entry: Entry | None) -> None:
    """Notes with an order on its way that *entry* was seen or reported at the place it leads to. Whether that
    was the order itself, its outcome tells. None: something happened there, and it is not known what."""
    flight = node.state.flight
    if flight is not None:
        token = token_of(entry)
        flight.heard = token if flight.heard in (None, token) else ""


def token_of(entry: Entry | None) -> str:
    """What ``Flight.heard`` has of *entry*: the revision of a file, the id of a folder; "" of None."""
    return "" if entry is None else entry.revision if isinstance(entry, File) else entry.id


def in_memory(tree: Tree, folder: Node) -> Node:
    """The node of *folder*: another one by now if *folder* was let go of since somebody found it. What is in
    it must not be shown in a node that nobody finds. NotFound: it has vanished since, with one above it."""
    node = tree.node(folder.id)
    if node is None and not folder.state.is_forgotten:
        raise NotFound(f"{path_of(folder)} has vanished")
    return node or folder


def _known(tree: Tree, folder: Node, entry: Entry, key: str) -> Node | None:
    """The node of *entry*: by the service's id, or by its place if the service had not told the id."""
    node = tree.by_remote_id(entry.id)
    if node is None:
        there = tree.base_child(folder, key)
        if there is not None and there.state.base is not None and not there.state.base.id:
            node = there
    if node is None or node.is_folder is not isinstance(entry, Folder) or not is_attached(node):
        return None
    return node


def _stands_in(folder: Node, node: Node) -> bool:
    """Whether *folder* is *node*, or below it: as the service was last known to have it, or once the orders
    on their way have taken effect. After `mv x y/x`, whose reply is still to come, others may have made that
    `mv y/x x; mv y x/y`: with y in x, and then the reply, either would be above the other."""
    seen: set[int] = set()
    left = [folder]
    while left:
        at = left.pop()
        if at is node:
            return True
        if at.id in seen:
            continue
        seen.add(at.id)
        state = at.state
        has_base = state.base is not None and state.base_parent is not None
        now_in = state.base_parent if has_base else state.parent
        then_in = state.flight.parent if state.flight is not None else None
        left += [each for each in (now_in, then_in) if each is not None]
    return False
