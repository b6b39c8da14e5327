"""Lists one folder at the service, and writes what it tells onto the nodes, a part at a time.

An entry that makes no sense is left out, and a notice says so. A place at which an order of ours had its
outcome since the listing was asked for is left as it is. So is an entry that another folder has by a listing
that was asked for later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from mountfs.errors import Busy, NotADirectory, NotFound, Transient
from mountfs.model.entry import Entry, Odd
from mountfs.model.path import fold
from mountfs.ports import Backend
from mountfs.tree.bases import claimant, is_attached
from mountfs.tree.childrows import read_children
from mountfs.tree.chunks import chunks
from mountfs.tree.listing import Listing
from mountfs.tree.load import Load
from mountfs.tree.node import ROOT_ID, Node, remote_id
from mountfs.tree.oddities import tell_of
from mountfs.tree.outdated import is_outdated, outdate
from mountfs.tree.paging import PagedListing
from mountfs.tree.patience import Patience
from mountfs.tree.place import is_on_its_way, remote_path, third_name
from mountfs.tree.remote import lose, stands
from mountfs.tree.tree import Tree
from mountfs.tree.treewalk import fill
from mountfs.tree.vanishing import follow_late, lose_within


class Lister:
    """Called by one thread for each folder, and by many for different ones. The lock is never held while the
    service is asked."""

    def __init__(
        self, tree: Tree, backend: Backend, patience: Patience, doubt: Callable[[Node], None]
    ) -> None:
        """*doubt*: has a folder listed anew at the next look into it. Inside a transaction."""
        self._tree = tree
        self._backend = backend
        self._patience = patience
        self._doubt = doubt
        self._last_asked_at = 0
        """When a listing was last asked for: that one cannot be older than what another one told."""

    def ask(self, folder: Node, load: Load) -> int | None:
        """Asks the service what is in *folder*, and writes that onto the nodes. Returns how many entries it
        told of; None: *folder* could not be listed, and what was known of it is trusted for a while more.

        NotFound, NotADirectory: the service has no such folder any more. Transient when it cannot be listed
        and never was.
        """
        tree, listing = self._tree, folder.part.listing
        with tree.lock:
            if not is_attached(folder):
                raise NotFound(f"{remote_path(folder)} does not exist any more")
            path, item_id = remote_path(folder), remote_id(folder)
            was_on_its_way = is_on_its_way(folder)
            load.asked_at = self._last_asked_at = tree.store.next_id()
        try:
            asked = PagedListing(tree, self._backend, folder, path, item_id, load, self._patience)
            entries = asked.entries()
        except (NotFound, NotADirectory) as error:
            with tree.lock:
                if folder.id == ROOT_ID:
                    raise
                is_elsewhere = was_on_its_way or is_on_its_way(folder) or remote_path(folder) != path
                if is_elsewhere and not item_id:
                    # A rename of ours took it from that path: it is there, and can be listed later.
                    self._not_listed(listing, Busy(f"{path} is being renamed: {error}"))
                    return None
            lose_within(tree, folder)
            with tree.lock:
                with tree.transaction():
                    self._vanished(folder)
                if folder.state.flight is not None and listing.listed_at:
                    # What becomes of it, its outcome tells.
                    self._not_listed(listing, Busy(f"{path}: {error}"))
                    return None
                if folder.state.base is None and folder.state.parent is not None and is_attached(folder):
                    return None  # something of ours is in it: it is made again, and shown meanwhile
            raise
        except Transient as error:
            with tree.lock:
                self._not_listed(listing, error)
            return None
        with tree.lock:
            if entries is not None and not item_id and remote_path(folder) != path:
                # It was renamed meanwhile, and something else may have had that path by then.
                self._not_listed(listing, Busy(f"{path} was renamed while it was listed"))
                return None
        odd = [entry for entry in entries or () if isinstance(entry, Odd)]
        if entries is not None:
            plain = [entry for entry in entries if not isinstance(entry, Odd)]
            if odd or load.landed or not fill(tree, folder, plain, load.asked_at):
                read_children(tree, folder)
                self._apply(folder, plain, odd, load)
        tell_of(tree, folder, odd)
        return asked.count

    def _not_listed(self, listing: Listing, error: Transient) -> None:
        """The listing of a folder failed: what is known of it is trusted for a while more. Raises *error* if
        nothing is."""
        if not listing.listed_at:
            raise error
        listing.checked_s = self._tree.clock.now_s()
        listing.was_tried = True

    def _apply(self, folder: Node, entries: Sequence[Entry], odd: Sequence[Odd], load: Load) -> None:
        """Writes the listing of *load* onto the tree. A place at which an order of ours had its outcome since
        it was asked for is left as it is."""
        tree, listing = self._tree, folder.part.listing
        seen = {fold(entry.name) for each in (odd, entries) for entry in each}
        left, followed = self._moved_within(folder, entries, load)
        is_late = self._stand(folder, left, load) if left else False
        rest = [entry for entry in entries if entry.id not in followed] if followed else entries
        taken = self._replaced(folder, rest, load) if tree.late.has_moves else []
        kept = follow_late(tree, self._backend, folder, [node for _, node in taken], entries)
        if kept:
            is_late = True
            spared = {fold(entry.name) for entry, node in taken if node.id in kept}
            rest = [entry for entry in rest if fold(entry.name) not in spared]
        is_late |= self._stand(folder, rest, load)
        with tree.lock:
            part = folder.part
            known = [*(part.children or {}).values(), *(part.gone or {}).values()]
        lacking = [node for node in known if _lacks(seen, folder, node)]
        ids = {entry.id for entry in entries if entry.id} if lacking else set()
        missing = [node for node in lacking if remote_id(node) not in ids]
        # The others are there by another name, which an order on its way keeps them from taking.
        is_late |= len(missing) < len(lacking)
        unknown = follow_late(tree, self._backend, folder, missing, entries)
        for nodes in chunks(node for node in missing if node.id not in unknown):
            for node in nodes:
                if node.folder is not None and load.misses(node, folder):
                    lose_within(tree, node)
            with tree.transaction():
                for node in nodes:
                    if load.misses(node, folder):
                        lose(tree, node)
        with tree.transaction():
            listing.listed_at = load.asked_at
            listing.checked_s = tree.clock.now_s()
            listing.was_tried = False
            tree.store.save_listing(folder.id, listing)
            if is_late or unknown:
                self._doubt(folder)

    def _stand(self, folder: Node, entries: Sequence[Entry], load: Load) -> bool:
        """Writes *entries* onto the nodes. Whether *folder* is to be listed once more."""
        tree, is_late = self._tree, False
        for chunk in chunks(entries):
            ids = {entry.id for entry in chunk}
            for _, node in self._replaced(folder, chunk, load):
                if node.folder is not None and remote_id(node) not in ids:
                    lose_within(tree, node)
            with tree.transaction():
                for entry in chunk:
                    key = fold(entry.name)
                    if self._last_asked_at > load.asked_at and is_outdated(
                        tree, folder, entry, load.asked_at
                    ):
                        is_late = True
                    elif load.is_believed_at(key):
                        is_told = tree.store.walked.told_ids.has_since(entry.id, load.asked_at)
                        is_late |= is_told and tree.base_child(folder, key) is None
                        stands(tree, folder, entry)
        return is_late

    def _moved_within(
        self, folder: Node, entries: Sequence[Entry], load: Load
    ) -> tuple[list[Entry], Set[str]]:
        """Those of *entries* that give another name to something whose own name another one of them has, in
        an order in which each name has been left before it is taken; and the ids of them all. Of names that
        go round one is taken by a third name first; where an order on its way keeps one of them from being
        taken, all stay as they are, and *folder* is listed once more.

        `rm d/in` here, while somebody does `mv d e; mkdir d`: with d, as listed, written first, the old d
        would be lost with what was done in it, and e/in come back.
        """
        replaced = self._replaced(folder, entries, load)
        listed = {entry.id: entry for entry in entries if entry.id} if replaced else {}
        found: list[Entry] = []
        ids: set[str] = set()
        go_round = False
        for _, node in replaced:
            way: list[tuple[Entry, Node]] = []
            at: Node | None = node
            with self._tree.lock:
                while at is not None and (entry := listed.get(remote_id(at))) is not None:
                    if entry.id in ids:
                        break
                    ids.add(entry.id)
                    way.append((entry, at))
                    before = self._tree.base_child(folder, fold(entry.name))
                    at = None if before is at else before
                if way and at is node and node.state.base is not None:
                    go_round = True
                    if not all(_can_take(load, folder, entry.name, each) for entry, each in way):
                        continue
                    way.append((replace(node.state.base, name=third_name(node)), node))
            found += [entry for entry, _ in reversed(way)]
        if go_round:
            with self._tree.transaction():
                outdate(self._tree, folder)  # in case that the process dies before it has the true name
        return found, ids

    def _replaced(self, folder: Node, entries: Sequence[Entry], load: Load) -> list[tuple[Entry, Node]]:
        """What others replaced by *entries*, where those are believed, each with the entry: in a folder with
        anything of ours."""
        tree = self._tree
        replaced: list[tuple[Entry, Node]] = []
        for chunk in chunks(entries if folder.part.tally is not None else ()):
            with tree.lock:
                found = [(entry, tree.base_child(folder, fold(entry.name))) for entry in chunk]
                replaced += [
                    (entry, node)
                    for entry, node in found
                    if node is not None
                    and remote_id(node) not in ("", entry.id)
                    and load.is_believed_at(fold(entry.name))
                    and not is_outdated(tree, folder, entry, load.asked_at)
                    and claimant(folder, fold(entry.name)) is None
                ]
        return replaced

    def _vanished(self, folder: Node) -> None:
        """The service says that *folder* is not there."""
        above = folder.state.base_parent
        if above is not None:
            self._doubt(above)
        lose(self._tree, folder)


def _can_take(load: Load, folder: Node, name: str, node: Node) -> bool:
    """Whether nothing that is on its way keeps *node* from having *name* in *folder*."""
    key = fold(name)
    return node.state.flight is None and claimant(folder, key) is None and load.is_believed_at(key)


def _lacks(seen: Set[str], folder: Node, node: Node) -> bool:
    """Whether a listing of *folder*, which has the folded names *seen*, does not have *node* where that was.
    Not under the lock: an order of ours may have its outcome meanwhile."""
    state = node.state
    return state.base_parent is folder and state.base is not None and fold(state.base.name) not in seen
