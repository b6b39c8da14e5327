"""The service's changes: up to which position they were read, and which listings they make doubtful.

What a change says of a file itself is not used: nothing orders it against our own commits, and it may be
older than what is known. Changes at a place that an order on its way leads to are noted with that order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from mountfs.errors import MountfsError
from mountfs.model.entry import Doubted, Entry, File, Folder, Gone, News, Seen
from mountfs.model.order import OrderKind
from mountfs.model.path import RemotePath, fold
from mountfs.tree.bases import claimant, is_below
from mountfs.tree.childrows import load_children
from mountfs.tree.chunks import chunks
from mountfs.tree.folderpaths import FolderPaths
from mountfs.tree.listings import Listings
from mountfs.tree.node import Node
from mountfs.tree.remote import hear, rebase, stands, take_late
from mountfs.tree.tree import Tree
from mountfs.tree.ways import Way, Ways, folders_of

NOTED_AT_ONCE = 100
"""Changes noted in one transaction: nobody waits for the lock longer than that takes (5 ms)."""
IDS_KEPT = 1_000
"""Ids of folders that wait for the last page: so many are kept."""
CURSOR = "cursor"
"""The store's fact with the position in the service's changes up to which all listings are true."""


class Feed:
    """What others change, page by page.

    After a start the mount shows what it knows, also while it is not known yet whether the changes can be
    read on from its position.
    """

    def __init__(self, tree: Tree, listings: Listings, top: Node | None = None) -> None:
        """*top*: the folder that is mounted. Nobody looks above it, where its removal would be seen."""
        self._tree = tree
        self._listings = listings
        self._asked_at = 0
        """The serial number from before the page was asked for."""
        self._latest: dict[str, News] = {}
        """The last change at each path that the page tells of, by the path's key."""
        self._has_more = False
        """Whether the service has told that another page follows."""
        self._ids: dict[int, tuple[Folder, int]] = {}
        """Folders that a page told of, by node, and when asked for: later ones may tell of another."""
        self._paths = FolderPaths(tree, listings.former_places)
        self._ways = Ways(tree, listings, self._paths)
        self._late: dict[str, Way] = {}
        """Folders that are not known, by their keys, in which a file of ours arrived late."""
        self._top = top
        self._lost_top: Node | None = None
        """The top, to be looked for: it, or a folder above it, was told of as gone or replaced."""
        listings.is_followed = self.cursor is not None

    @property
    def cursor(self) -> str | None:
        """The position from which on the changes are to be read; None: there is none."""
        with self._tree.lock:
            return self._tree.store.fact(CURSOR)

    def begin(self, cursor: str | None) -> None:
        """Changes will be read from *cursor* on. Folders that were listed before it may have changed in
        between, so all are doubted. None: no changes are read."""
        with self._tree.transaction():
            self._tree.store.set_fact(CURSOR, cursor)
            self._listings.former_places.clear()
            self._ids.clear()
            self._listings.doubt_all()

    def asks(self) -> int:
        """A serial number for ``note``; call it before the changes are asked for."""
        with self._tree.lock:
            return self._tree.store.next_id()

    def note(self, news: Sequence[News], cursor: str, asked_at: int, *, has_more: bool = False) -> None:
        """Notes the changes *news*, which were asked for at *asked_at* and lead up to *cursor*; *has_more*:
        more of them follow. One that says only what is known is the echo of a commit of ours."""
        tree = self._tree
        latest: dict[str, News] = {
            one.path.key: one for one in news if isinstance(one, Seen | Gone) and one.path is not None
        }
        self._latest, self._asked_at, self._has_more = latest, asked_at, has_more
        with tree.lock:
            self._paths.clear()
        self._ways.look_first(news)
        for part in chunks(news, NOTED_AT_ONCE):
            self._paths.read_names(folders_of(part))
            with tree.transaction():
                self._note_part(part)
        # Should the process die before the last of this, the same changes are read again.
        while not has_more and (part_of_ids := list(self._ids.items())[:NOTED_AT_ONCE]):
            with tree.transaction():
                self._note_ids(part_of_ids)
            self._ids = dict(list(self._ids.items())[len(part_of_ids) :])  # not where that failed
        with tree.transaction():
            self._paths.clear()
            tree.store.set_fact(CURSOR, cursor)
        # Not before the echo of what was sent: told of a folder that is not in memory, it would doubt it.
        tree.shrink()
        lost, self._lost_top = self._lost_top, None
        if lost is not None:
            with suppress(MountfsError):
                self._listings.load(lost)
        late, self._late = self._late, {}
        # A late file goes once its folder is listed, though nobody looks there.
        for key, way in late.items():
            with suppress(MountfsError):
                if not self._ways.look_along(way, set()) and self._tree.late.has_any:
                    self._late[key] = way  # with the next changes

    def _note_part(self, news: Sequence[News]) -> None:
        self._paths.begin_part()
        doubted: dict[int, Node] = {}
        for one in news:
            if one.path is None:
                self._listings.former_places.clear()  # this service names folders by their ids
                self._tree.store.walked.told_ids.note(one, self._tree.store.next_id())
            else:
                self._listings.walks.heard(one.path if isinstance(one, Doubted) else one.path.parent)
            for folder in self._doubted_by(one):
                doubted[folder.id] = folder
        for folder in doubted.values():
            self._listings.doubt(folder)

    def note_follower(self, *, is_healthy: bool, is_away: bool) -> None:
        """Whether all remote changes are being reported from here on, and whether the service answers."""
        with self._tree.lock:
            self._listings.is_followed = is_healthy
            self._listings.is_away = is_away

    # Inside

    def _doubted_by(self, news: News) -> Iterator[Node]:
        match news:
            case Seen():
                yield from self._seen(news)
            case Gone():
                yield from self._gone(news)
            case Doubted(path, folder_id):
                folder = self._folder(path, folder_id)
                if folder is not None:
                    yield folder
                yield from self._paths.formerly_at(path)

    def _seen(self, news: Seen) -> Iterator[Node]:
        entry = news.entry
        folder = self._folder(news.path.parent if news.path is not None else None, news.folder_id)
        former = [] if news.path is None else self._paths.formerly_at(news.path.parent)
        if any(self._is_known_in(each, entry) for each in former):
            return
        yield from former
        node = self._tree.by_remote_id(entry.id)
        if folder is not None:
            key = fold(entry.name)
            self._note_taken(folder, key, entry)
            if self._is_claimed(folder, key, entry):
                return
            known = self._tree.base_child(folder, key)
            yield from self._lost(known, entry)
            if known is not None and self._is_echo(known, news):
                return
            if known is None and self._takes_late(folder, key, entry, node):
                return
            yield folder
        elif node is None and news.path is not None and self._tree.late.has_any:
            self._note_late(news.path, entry)
        if node is None:
            self._listings.unknown_ids.note(entry.id)
        elif node.state.flight is not None:
            hear(node, None)  # it was seen elsewhere than its order puts it
        else:
            before = node.state.base_parent
            if before is not None and before is not folder:
                yield before

    def _gone(self, news: Gone) -> Iterator[Node]:
        if news.path is not None:
            for each in self._paths.formerly_at(news.path.parent):
                self._listings.former_places.left(each, news.path.name_key)
                yield each
            folder = self._folder(news.path.parent, "")
            if folder is None:
                return
            self._listings.former_places.left(folder, news.path.name_key)
            if self._is_claimed(folder, news.path.name_key, None):
                return
            known = self._tree.base_child(folder, news.path.name_key)
            if known is None and folder.part.children is None:
                yield folder
            yield from self._without_id(known)
        else:
            known = self._tree.by_remote_id(news.item_id)
            if known is None:
                self._listings.unknown_ids.note(news.item_id)
        if known is None or known.state.base_parent is None:
            return
        yield from self._lost(known, None)
        flight = known.state.flight
        if flight is None or flight.kind not in (OrderKind.DELETE, OrderKind.MOVE):
            yield known.state.base_parent
        elif flight.kind is OrderKind.MOVE and news.path is None:
            hear(known, None)  # also from the place to which the order leads
        else:
            flight.is_left = True

    def _lost(self, known: Node | None, entry: Entry | None) -> Iterator[Node]:
        """The top, where *known* is it or above it, and is gone, or *entry* is in its place."""
        if known is None or self._top is None or not is_below(self._top, known):
            return
        if entry is None or known.state.base is None or known.state.base.id != entry.id:
            self._lost_top = self._top
            yield self._top

    def _without_id(self, gone: Node | None) -> Iterator[Node]:
        """*gone*, of which the service reports that it is gone, where its id is not known: if somebody makes
        it anew, no id tells that it is another one, and it is to be listed."""
        if gone is not None:
            self._ids.pop(gone.id, None)
            if isinstance(gone.state.base, Folder) and not gone.state.base.id:
                yield gone

    def _is_echo(self, known: Node, news: Seen) -> bool:
        """Whether *news* say only what is known of *known*. The id of a folder that was made by the way is
        not known before the changes tell it: it is noted here.

        Not from changes that were asked for before the folder was made, nor from those that tell later ones
        at its path: they may be of a folder that had the name before. Example: d is made, the changes are
        asked for, `rm -r d; mkdir d; touch d/f` takes effect, and only then comes the reply, with the id of
        the first d. By that id the second d would be found nowhere, and taken for removed with all in it.
        """
        base, entry = known.state.base, news.entry
        if isinstance(entry, File):
            token = (entry.id, entry.revision, entry.name)
            return isinstance(base, File) and (base.id, base.revision, base.name) == token
        if not isinstance(base, Folder) or base.name != entry.name:
            return False
        if base.id or known.state.flight is not None or known.state.base_parent is None:
            return base.id == entry.id
        is_latest = news.path is not None and self._latest[news.path.key] is news
        if not is_latest or self._asked_at < known.part.listing.listed_at or len(self._ids) >= IDS_KEPT:
            return False
        self._ids[known.id] = (Folder(entry.id, base.name), self._asked_at)
        return True

    def _note_ids(self, part: Sequence[tuple[int, tuple[Folder, int]]]) -> None:
        """Notes what was told of some folders, now that no page follows that may tell of others there."""
        for node_id, (entry, asked_at) in part:
            node = self._tree.node(node_id)
            if node is None:
                continue
            state = node.state
            if state.flight is not None and state.flight.id <= asked_at:
                hear(node, entry)  # the order that makes it is still on its way
            if state.flight is not None or state.base_parent is None:
                continue
            is_it = isinstance(state.base, Folder) and not state.base.id and state.base.name == entry.name
            if is_it and asked_at >= node.part.listing.listed_at:
                rebase(self._tree, node, state.base_parent, entry)

    def _is_claimed(self, folder: Node, key: str, entry: Entry | None) -> bool:
        """Whether an order on its way gives that name to a node: its outcome is compared with what was noted.
        A folder that was seen before the order was sent is not the one that the order makes."""
        node = claimant(folder, key)
        if node is None:
            return False
        flight = node.state.flight
        self._ids.pop(node.id, None)
        is_older = flight is not None and flight.id > self._asked_at
        if isinstance(entry, Folder) and self._has_more and not is_older and len(self._ids) < IDS_KEPT:
            self._ids[node.id] = entry, self._asked_at  # heard with the last page
        else:
            is_unsure = isinstance(entry, Folder) and (is_older or self._has_more)
            hear(node, None if is_unsure else entry)
        return True

    def _folder(self, path: RemotePath | None, folder_id: str) -> Node | None:
        """The node of a folder that a change is about; None for one that was never listed: nothing known of
        it can be wrong. If an order on its way makes the folder, the change is noted with it."""
        if path is None:
            node = self._tree.by_remote_id(folder_id)
            if node is None:
                self._listings.unknown_ids.note(folder_id)
            return node if node is not None and node.folder is not None else None
        return self._paths.at(path)

    def _is_known_in(self, folder: Node, entry: Entry) -> bool:
        """Whether what is known in *folder* is just *entry*, as far as ids are known."""
        known = self._tree.base_child(folder, fold(entry.name))
        base = None if known is None else known.state.base
        if isinstance(entry, Folder):
            return isinstance(base, Folder) and base.name == entry.name and base.id in ("", entry.id)
        return isinstance(base, File) and (base.id, base.revision) == (entry.id, entry.revision)

    def _takes_late(self, folder: Node, key: str, entry: Entry, node: Node | None) -> bool:
        """Whether *entry*, which *node* is of, is there by an order of ours that takes effect late: a new
        file goes, and what was moved is moved back. Nobody need look for that.

        If it is older than what stands there by now, the service says so to the order that undoes it.
        """
        late = self._tree.late
        if node is not None:
            is_late = node.state.flight is None and late.is_moved(folder, entry)
            if is_late:
                load_children(self._tree, folder)
                stands(self._tree, folder, entry)
            return is_late
        if not late.is_one(folder, entry):
            return False
        load_children(self._tree, folder)
        return self._tree.child(folder, key) is None and take_late(self._tree, folder, entry)

    def _note_late(self, path: RemotePath, entry: Entry) -> None:
        """*entry* is at *path*, in a folder that is not known."""
        if self._tree.late.is_one_at(path.key, entry):
            self._late[path.parent.key] = self._ways.to(path.parent)

    def _note_taken(self, folder: Node, key: str, entry: Entry) -> None:
        """*entry* has that place: where that is not the folder that had it, this one has left it."""
        node = self._paths.moved_from(folder, key)
        base = None if node is None else node.state.base
        if base is not None and base.id not in ("", entry.id):
            self._listings.former_places.left(folder, key)
