"""Which folders have their children in memory, and which of them can be let go of."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

from mountfs.tree.node import FolderPart, Node, path_of

ENTRIES_KEPT = 50_000
"""Clean nodes kept in memory, of about 0.8 KB each; whole folders beyond that come from the store again."""
FEW_FOLDERS = 8
"""So many folders that are in use, be they large, are not read from the store in turns."""
ENTRIES_OF_FEW = 150_000
"""Clean nodes kept where they are in a few folders."""
FORGOTTEN_AT_ONCE = 1_000
"""Nodes of a folder with more are let go of one by one, as those that were found by their ids are."""
LOOSE_KEPT = 10_000
"""Clean nodes kept that were found by their ids, in folders that are not in memory themselves."""
EVICTION_TRIES = 64
"""So many folders are looked at when one more was loaded: what cannot be let go of must cost no scan."""


class NotLoaded(Exception):
    """The answer needs the children of *folder*, which are not in memory, or not known (well enough)."""

    def __init__(self, folder: Node) -> None:
        super().__init__(path_of(folder))
        self.folder = folder


class Residents:
    """Folders whose children are in memory, in the order of their last use. Under the tree's lock."""

    def __init__(self, forget: Callable[[Node], None]) -> None:
        """*forget*: removes a clean node from memory."""
        self.count = 0
        """Children in memory, of all folders."""
        self._forget = forget
        self._folders: OrderedDict[int, Node] = OrderedDict()
        self._kept: Counter[int] = Counter()
        """For how many callers the children of a folder must stay in memory, by its id."""
        self._detached: list[Node] = []
        self._loose: OrderedDict[int, Node] = OrderedDict()
        """Nodes that were read from the store, and were clean, in folders whose children are not in memory.
        News of the service find them by their ids; those of a month would take as much memory as all entries
        of the account. So are those of a large folder that is let go of, until they are."""

    def begin(self, folder: Node) -> None:
        """The children of *folder* are being read from the store: what comes and goes meanwhile is noted."""
        part = folder.part
        if part.arrivals is None:
            part.arrivals, part.folders = {}, 0

    def take(self, folder: Node, node: Node) -> None:
        """*node* was read among the children of *folder*, or was in memory already, and is shown there."""
        part = folder.part
        if self._loose.pop(node.id, None) is not None:
            part.loose -= 1
        if part.arrivals is not None:
            self._arrive(part, part.arrivals, node)

    def publish(self, folder: Node) -> None:
        """The children of *folder* are all in memory from here on: those that were taken, and what came; none
        where nothing was read. This takes no longer where they are many."""
        part = folder.part
        if part.children is not None:
            return
        self.begin(folder)
        part.children, part.arrivals = part.arrivals or {}, None
        part.has_some = False
        self.count += len(part.children)
        if folder.state.is_forgotten:
            self.detach(folder)  # it vanished while somebody waited for what is in it
            return
        self._folders[folder.id] = folder
        self.keep(folder)
        self.shrink()
        self.let_go([folder])

    def enter(self, folder: Node, node: Node, *, is_found: bool = False) -> None:
        """*folder* shows *node* from here on. *is_found*: it was read from the store, and is clean."""
        part = folder.part
        if part.children is not None:
            part.children[node.key] = node
            part.folders += node.folder is not None
            self.count += 1
        elif part.arrivals is not None:
            self._arrive(part, part.arrivals, node)
        elif is_found:
            part.loose += node.id not in self._loose
            self._loose[node.id] = node
        else:
            part.has_some = True

    def leave(self, folder: Node, node: Node) -> bool:
        """*folder* does not show *node* any more; False where it did not, or is not in memory."""
        part, children = folder.part, folder.part.children
        if self._loose.pop(node.id, None) is not None:
            part.loose -= 1
            part.has_some = children is None
        known = part.arrivals if children is None else children
        if known is None or known.get(node.key) is not node:
            return False
        del known[node.key]
        part.folders -= node.folder is not None
        self.count -= children is not None
        return children is not None

    def keep(self, folder: Node) -> None:
        """The children of *folder* are not evicted until ``let_go`` of it, nor is *folder* itself: somebody
        is loading it, and a second node of it would lack what is loaded into the first."""
        self._kept[folder.id] += 1

    def let_go(self, folders: Sequence[Node]) -> None:
        """Ends as many calls of ``keep``."""
        for folder in folders:
            self._kept[folder.id] -= 1
            if not self._kept[folder.id]:
                del self._kept[folder.id]

    def used(self, folder: Node) -> None:
        """*folder* was looked into: it is evicted after those that were not."""
        if folder.id in self._folders:
            self._folders.move_to_end(folder.id)

    def shrink(self) -> None:
        """Lets go of whole folders of clean nodes, least recently used first, while there are too many."""
        for _ in range(min(EVICTION_TRIES, len(self._folders))):  # each once
            most = ENTRIES_KEPT if len(self._folders) > FEW_FOLDERS else ENTRIES_OF_FEW
            if self.count <= most:
                return
            folder = next(iter(self._folders.values()))
            if self._can_evict(folder):
                self._evict(folder)
            else:
                self._folders.move_to_end(folder.id)

    @property
    def has_many_loose(self) -> bool:
        """Whether ``shrink_loose`` has something to do."""
        return len(self._loose) > LOOSE_KEPT

    def shrink_loose(self, most_nodes: int) -> bool:
        """Lets go of nodes in folders that are not in memory, of those found first, while there are too many;
        looks at *most_nodes* at most, at a folder after what is in it. Whether it is to be called again."""
        gone = 0
        for _ in range(min(most_nodes, len(self._loose) - LOOSE_KEPT)):
            node = next(iter(self._loose.values()))
            folder = node.state.parent
            if folder is not None and self._can_forget(node, folder):
                del self._loose[node.id]
                folder.part.loose -= 1
                self._forget(node)
                gone += 1
            else:
                self._loose.move_to_end(node.id)
        return gone > 0 and self.has_many_loose

    # Folders that vanished

    def detach(self, folder: Node) -> None:
        """*folder* is gone, with all that is in it."""
        if folder.part.children:
            self._detached.append(folder)
        else:
            self._folders.pop(folder.id, None)

    def attach(self, folder: Node) -> None:
        """*folder* is there after all."""
        if folder in self._detached:
            self._detached.remove(folder)
        if folder.part.children is not None:
            self._folders[folder.id] = folder

    def sweep(self, most_nodes: int) -> bool:
        """Lets go of nodes below folders that are gone, at most about *most_nodes*; whether more are left."""
        for _ in range(most_nodes):
            if not self._detached:
                break
            children = self._detached[-1].part.children
            if not children:
                self._folders.pop(self._detached.pop().id, None)
                continue
            _, child = children.popitem()
            self.count -= 1
            self._forget(child)
            if child.folder is not None:
                self._detached.append(child)
        return bool(self._detached)

    # Inside

    def _arrive(self, part: FolderPart, arrivals: dict[str, Node], node: Node) -> None:
        before = arrivals.get(node.key)
        if before is node:
            return
        arrivals[node.key] = node
        part.folders += node.folder is not None
        if before is not None:
            part.folders -= before.folder is not None
            self._loose[before.id] = before  # another one has its name
            part.loose += 1

    def _can_evict(self, folder: Node) -> bool:
        part = folder.part
        if folder.id in self._kept:
            return False
        if part.tally is not None or part.gone or part.claims or part.flights_below or part.children is None:
            return False
        return not any(
            child.pins
            or child.pending is not None
            or (child.folder is not None and (child.id in self._kept or not _is_bare(child.folder)))
            for child in part.children.values()
        )

    def _can_forget(self, node: Node, folder: Node) -> bool:
        """*node* is in *folder*, whose children are not in memory."""
        if node.pins or node.pending is not None or node.counted is not None or node.id in self._kept:
            return False
        part = node.folder
        is_free = part is None or (_is_bare(part) and part.tally is None)
        return is_free and folder.part.arrivals is None

    def _evict(self, folder: Node) -> None:
        children = folder.part.children or {}
        folder.part.children = None
        del self._folders[folder.id]
        self.count -= len(children)
        if len(children) <= FORGOTTEN_AT_ONCE:
            for child in children.values():
                self._forget(child)
            return
        before = len(self._loose)
        self._loose.update(zip([child.id for child in children.values()], children.values(), strict=True))
        folder.part.loose += len(self._loose) - before


def _is_bare(part: FolderPart) -> bool:
    is_empty = part.children is None and part.arrivals is None and not (part.has_some or part.loose)
    return is_empty and part.gone is None and part.claims is None and not part.flights_below
