"""Books a recursive listing: what is below a folder becomes rows, and its folders count as listed at the end.

Only folders that were never listed are *filled*. The pages come in any order, so that none of them is known
to be whole before the last page; then all are, at once. They get rows, and no nodes in memory: a look at one
reads its rows, as after a start. That takes a tenth of the time that nodes take, and some 200 bytes of memory
for a folder and 16 for a file.

A folder is left out, and listed by itself when somebody looks, where anything about it is not plain: somebody
has looked into it meanwhile, or an entry of it is known elsewhere, makes no sense, or came twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence, Set

from mountfs.model.entry import Entry, Folder, Odd, Placed
from mountfs.model.path import fold
from mountfs.tree.bases import base_child, is_attached
from mountfs.tree.chunks import CHUNK, chunks
from mountfs.tree.listing import Listing
from mountfs.tree.node import ROOT_ID, Node, remote_id
from mountfs.tree.place import remote_path
from mountfs.tree.tree import Tree
from mountfs.tree.walkrows import Known, New

PARTS = 64
"""The paths of a million entries are compared in so many parts: a set of all would take 100 MB."""

MOST_ASIDE = 20_000
"""Entries that came before the folder they are in."""


class Unfollowable(Exception):
    """The pages of a service come in an order that would take too much memory."""


FEWEST_FILLED = CHUNK
"""Nodes of fewer entries are made directly."""


def is_new(tree: Tree, folder: Node) -> bool:
    """Whether nothing is known of what is in *folder*, so that ``fill`` may be used."""
    part = folder.part
    with tree.lock:
        is_known = part.listing.listed_at or part.children is not None or part.arrivals is not None
        return not is_known and not tree.store.walked.has_any(folder.id)


def fill(tree: Tree, folder: Node, entries: Sequence[Entry], asked_at: int) -> bool:
    """Books the listing of *folder*, of which nothing was known, as a walk would; whether that was done. The
    folders in it stay what they are: not listed."""
    if len(entries) < FEWEST_FILLED or folder.part.children is not None:
        return False
    walk = TreeWalk(tree, folder, asked_at, is_deep=False)
    try:
        walk.book((f"/{fold(entry.name)}", "", entry) for entry in entries)
        walk.finish(frozenset())
    finally:
        walk.end()
    return folder.part.listing.listed_at == asked_at


class Paths:
    """Finds the folders in which a path came twice: it has two rows then, and nobody knows which is right."""

    def __init__(self) -> None:
        self._parts = [(array("q"), array("q")) for _ in range(PARTS)]
        """The hash of a path, and the id of the folder it is in; by the end of the hash."""

    def note(self, path: str, folder_id: int) -> None:
        number = hash(path)
        hashes, owners = self._parts[number % PARTS]
        hashes.append(number)
        owners.append(folder_id)

    def doubled(self) -> set[int]:
        found: set[int] = set()
        for hashes, owners in self._parts:
            if len(set(hashes)) == len(hashes):
                continue
            seen: set[int] = set()
            for number, owner in zip(hashes, owners, strict=True):
                if number in seen:
                    found.add(owner)
                seen.add(number)
        return found


class TreeWalk:
    """One recursive listing. For one thread at a time, which does not hold the lock."""

    def __init__(self, tree: Tree, top: Node, asked_at: int, *, is_deep: bool = True) -> None:
        """Lists *top* and all below it; if not *is_deep*, what is in *top* alone: nobody else fills it then
        until ``end``. *asked_at*: a serial number from before the first page was asked for."""
        self._is_deep = is_deep
        self.entries = 0
        """How many entries were on the pages."""
        self._tree = tree
        self._top_remote_id = remote_id(top)
        self._top = top
        self._asked_at = asked_at
        self._folders: dict[str, Node] = {}
        """The folders that were met, by the service's paths. One that is not in memory has a node of which
        nothing but the id is used."""
        self._filled: dict[int, None] = {}
        """Ids of the folders that are filled, each after the folder it is in."""
        self._aside: dict[str, list[Placed]] = {}
        """Entries whose folder was not met yet, by its path."""
        self._aside_count = 0
        self._paths = Paths()
        """Of the rows that were written."""
        self._above = ""
        """The folded path that the service's paths begin below."""
        if top.id == ROOT_ID or not is_deep:
            with tree.transaction():
                self._above = remote_path(top).key
                if not is_deep:
                    tree.store.walked.filled_alone[top.id] = self
                self._meet("", top, {}, [])

    @property
    def folders(self) -> int:
        """How many folders were met so far."""
        return len(self._folders)

    @property
    def fills_top(self) -> bool:
        """Whether the folder that is listed may count as listed at the end, as far as was booked."""
        return self._top.id in self._filled

    def book(self, placed: Iterable[Placed]) -> None:
        """Takes the entries of a page. Unfollowable."""
        tree = self._tree
        for chunk in chunks(placed):
            self.entries += len(chunk)
            with tree.transaction():
                rows: list[New] = []
                known = tree.store.walked.known([_id_of(each) for each in chunk])
                for each in chunk:
                    self._take(each, known, rows)
                tree.store.reserve_ids()
                tree.store.walked.add(rows)

    def finish(self, heard: Set[str]) -> None:
        """There is no further page: what was filled counts as listed. *heard*: folded paths of folders in
        which something changed since the first page was asked for; more may be added meanwhile."""
        tree = self._tree
        for folder_id in self._paths.doubled():
            self._filled.pop(folder_id, None)
            self._empty(folder_id)
        by_key = {fold(path): folder.id for path, folder in self._folders.items()}
        names: dict[int, dict[str, int]] = {}
        for chunk in chunks(list(self._filled)):
            with tree.transaction():
                doubted = {by_key.get(path) for path in heard} | {self._now_at(path, names) for path in heard}
                known = tree.store.walked.listings_of(chunk)
                listings = [
                    (each, self._listing(each, known.get(each), each in doubted))
                    for each in chunk
                    if self._is_free(each) and (each not in known or not known[each].listed_at)
                ]
                tree.store.reserve_ids()
                tree.store.walked.save_listings(listings)

    def give_up(self) -> None:
        """Removes what was booked, so that the same folders can be filled another time."""
        for folder_id in reversed(self._filled):
            self._empty(folder_id)

    def end(self) -> None:
        """Others may fill *top*, where that was listed alone."""
        with self._tree.lock:
            self._tree.store.walked.filled_alone.pop(self._top.id, None)

    # Inside, in a transaction

    def _take(self, placed: Placed, known: Known, rows: list[New]) -> None:
        path, folder_path, entry = placed
        folder = self._folders.get(folder_path)
        if isinstance(entry, Folder) and entry.id and entry.id == self._top_remote_id:
            self._meet(path, self._top, known, rows)
        elif folder is None:
            self._put_aside(placed)
        elif entry is None or isinstance(entry, Odd):
            self._filled.pop(folder.id, None)
        elif self._is_deep and isinstance(entry, Folder) and entry.id in known:
            self._take_known(path, folder, entry, known, rows)
        elif folder.id in self._filled:
            is_new = bool(entry.id) and entry.id not in known and not self._is_late(path, entry)
            is_told = self._tree.store.walked.told_ids.has_since(entry.id, self._asked_at)
            if is_told or not is_new or not self._is_free(folder.id):
                del self._filled[folder.id]
            else:
                self._add(path, folder, entry, known, rows)

    def _is_late(self, path: str, entry: Entry) -> bool:
        """Whether *entry* is one that goes (``LateFiles``): the folder is listed by itself then."""
        late = self._tree.late
        return late.has_any and late.is_one_at(self._above + fold(path), entry)

    def _take_known(self, path: str, folder: Node, entry: Folder, known: Known, rows: list[New]) -> None:
        node = self._tree.by_remote_id(entry.id)
        if node is not None and node.is_folder and known[entry.id][0][2] == folder.id:
            self._meet(path, node, known, rows)
        else:
            self._filled.pop(folder.id, None)

    def _add(self, path: str, folder: Node, entry: Entry, known: Known, rows: list[New]) -> None:
        node_id, is_folder = self._tree.store.next_id(), isinstance(entry, Folder)
        rows.append((node_id, folder.id, entry))
        known[entry.id] = [(node_id, is_folder, folder.id)]
        self._paths.note(path, folder.id)
        if is_folder and self._is_deep:
            self._filled[node_id] = None
            self._meet(path, Node(node_id, is_folder=False), known, rows)

    def _meet(self, path: str, folder: Node, known: Known, rows: list[New]) -> None:
        """Notes that *folder* is at *path*, and books the entries in it that came before it."""
        if path in self._folders:
            return
        self._folders[path] = folder
        if folder.is_folder and self._is_free(folder.id) and not self._tree.store.walked.has_any(folder.id):
            self._filled[folder.id] = None
        aside = self._aside.pop(path, None)
        if aside is not None:
            self._aside_count -= len(aside)
            known.update(self._tree.store.walked.known([_id_of(each) for each in aside]))
            for each in aside:
                self._take(each, known, rows)

    def _put_aside(self, placed: Placed) -> None:
        self._aside_count += 1
        if self._aside_count > MOST_ASIDE:
            raise Unfollowable(f"{MOST_ASIDE} entries of a listing came before the folders they are in")
        self._aside.setdefault(placed[1], []).append(placed)

    def _is_free(self, folder_id: int) -> bool:
        """Whether nobody has looked into the folder, and nothing is under way in it."""
        if self._tree.store.walked.filled_alone.get(folder_id, self) is not self:
            return False
        node = self._tree.nodes.get(folder_id)
        if node is None:
            return True
        part = node.part
        is_idle = part.children is None and part.arrivals is None and part.tally is None
        return (
            is_idle
            and not (part.listing.listed_at or part.flights_below or part.gone or part.claims)
            and is_attached(node)
        )

    def _listing(self, folder_id: int, known: Listing | None, is_doubted: bool) -> Listing:
        """What is known of a filled folder from here on. *known*: what its row says, if it is not in
        memory."""
        node = self._tree.nodes.get(folder_id)
        listing = (known or Listing()) if node is None else node.part.listing
        listing.listed_at = self._asked_at
        listing.checked_s = self._tree.clock.now_s()
        if is_doubted:
            listing.doubted_at = self._tree.store.next_id()
        return listing

    def _now_at(self, path: str, names: dict[int, dict[str, int]]) -> int | None:
        """The id of the folder that is at a folded *path* by now: the page that told of it may have come
        before we renamed it. *names*: ids of folders by folded name, of each folder that was asked for."""
        tree, folder_id = self._tree, ROOT_ID
        for key in path.split("/")[1:]:
            node = tree.nodes.get(folder_id)
            child = None if node is None or node.folder is None else base_child(node, key)
            if child is None and folder_id not in names:
                names[folder_id] = {fold(name): each for each, name in tree.store.folders_in(folder_id)}
            below = names[folder_id].get(key) if child is None else child.id
            if below is None:
                return None
            folder_id = below
        return folder_id

    def _empty(self, folder_id: int) -> None:
        """Removes what is in a filled folder, unless somebody looked at any of it."""
        tree = self._tree
        while True:
            with tree.transaction():
                ids = tree.store.walked.ids_in(folder_id, most=CHUNK) if self._is_free(folder_id) else []
                if any(each in tree.nodes for each in ids):
                    return
                tree.store.delete_nodes(ids)
            if len(ids) < CHUNK:
                return


def _id_of(placed: Placed) -> str:
    entry = placed[2]
    return "" if entry is None or isinstance(entry, Odd) else entry.id
