"""The tree in memory: nodes, and everything that is derived from them, changed in one step with the store."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from mountfs.ports import Clock
from mountfs.tree import bases, tally
from mountfs.tree.bases import ByRemoteId, is_attached
from mountfs.tree.chunks import CHUNK
from mountfs.tree.content import Content
from mountfs.tree.contents import Contents
from mountfs.tree.foldertimes import FolderTimes
from mountfs.tree.late import LateFiles
from mountfs.tree.listeners import Listener, Listeners, Undo
from mountfs.tree.listing import Listing
from mountfs.tree.loading import Loader
from mountfs.tree.node import FORGOTTEN, Node, Pending, State, home_of
from mountfs.tree.noted import Noted
from mountfs.tree.noticerows import Notice
from mountfs.tree.planport import Planner
from mountfs.tree.residents import NotLoaded, Residents
from mountfs.tree.restoring import restore
from mountfs.tree.rows import NodeRow
from mountfs.tree.store import Store
from mountfs.tree.transaction import Transaction
from mountfs.tree.unclean import Unclean
from mountfs.tree.word import is_dirty

Edit = tuple[Node, State]
"""What a node is to be from now on."""


class Tree:
    """All nodes of one account on this machine that are not clean, and as many others as were looked at.

    ``lock`` is the account's one lock: it guards the nodes, and whatever is derived from them takes the same
    one, so that no two locks can be taken in different orders. It is never held across the network.
    """

    def __init__(self, store: Store, clock: Clock, *, root_id: str = "", carries_times: bool = False) -> None:
        """*root_id*: the service's id of the root; *carries_times*: as in the limits. Reads from the store
        what is not clean."""
        self.lock = threading.RLock()
        self.store = store
        self.clock = clock
        self.carries_times = carries_times
        self.planner = Planner()
        self.on_freed: Callable[[], None] = lambda: None
        """Called, under the lock, when something is left for the sweeper."""
        self.nodes: dict[int, Node] = {}
        self._unclean = Unclean()
        self.dirty, self.awaited = self._unclean.dirty, self._unclean.awaited
        self.refused, self.set_aside = self._unclean.refused, self._unclean.set_aside
        self.leaving = self._unclean.leaving
        self.troubled, self.note_error = self._unclean.troubled, self._unclean.note_error
        self.last_touch_ns = 0
        """When a name or bytes last changed."""
        self.residents = Residents(self._forget)
        self._contents = of_ours = Contents(store, clock, self.add_orphan)
        self.contents, self.unsaved, self.freed = of_ours.owners, of_ours.unsaved, of_ours.freed
        self.folder_times = FolderTimes(clock)
        self.noted = Noted(store.attribute_log)
        self.late = LateFiles(store, clock)
        self.copying = of_ours.copying
        self._by_remote_id = ByRemoteId()
        self._loader = Loader(store, self.nodes, self._admit)
        self._listeners = Listeners()
        self._transaction = Transaction(
            self.lock, begin=self._begin, end=self._end, cancel=self._roll_back, tell=self._tell
        )
        self._undo: list[Undo] = []
        self._fresh: list[Node] = []
        """Nodes that were made, or became pending, since the last transaction."""
        self._has_news_for_sweeper = False
        self.root = self._loader.root(root_id)
        self._by_remote_id.enter(self.root, self.root.state.base)

    def watch(self, listener: Listener, *, of_outcomes: bool = False) -> None:
        """*of_outcomes*: *listener* is told only where a flight has ended."""
        with self.lock:
            self._listeners.add(listener, of_outcomes=of_outcomes)

    # Changing

    def transaction(self) -> Transaction:
        """Everything inside happens or nothing does; may be nested, the outermost counts. NoSpace."""
        return self._transaction

    def change(self, *edits: Edit, committed: Content | None = None) -> None:
        """Gives nodes new states: in the store first, then in memory. Where one takes another's name, the one
        that leaves it comes first. *committed*: the bytes that the service just took from their session."""
        with self.transaction():
            self._write(edits, committed)
            for node, after in edits:
                before = node.state
                self._undo.append((node, before, node.is_saved))
                node.is_saved = not after.is_forgotten
                self._swap(node, after)

    def change_bytes(self, *edits: Edit) -> None:
        """As ``change``, where nothing but facts about the nodes' contents has changed, such as a session:
        of nodes that have a row the rows of the contents alone are written. Inside a transaction."""
        new = [edit for edit in edits if not edit[0].is_saved]
        if new:
            self.change(*new)
        saved = [edit for edit in edits if edit[0].is_saved] if new else edits
        self._contents.write(saved)
        for node, after in saved:
            self._undo.append((node, node.state, True))
            self._swap(node, after)

    def save(self, nodes: Iterable[Node]) -> None:
        """Writes the rows of *nodes*, and of their contents, as they are. Nothing is derived from that, so
        nobody is told."""
        with self.transaction():
            self._save([(node, node.state) for node in nodes])

    def mark_synced(self, contents: Sequence[Content]) -> None:
        """The bytes of *contents*, each of which is its node's still, survive a power loss; those without a
        row get one. Nothing is derived from that, so nobody is told. Not inside a transaction."""
        with self.lock:
            edits: dict[int, Edit] = {}
            new: set[int] = set()
            for content in contents:
                node = self.contents[content.id]
                _, state = edits.get(node.id, (node, node.state))
                kept, draft = state.content, state.draft
                if kept is content:
                    kept = content.synced()
                else:
                    draft = content.synced()
                edits[node.id] = (node, state.holding(kept, draft))
                if content.id in self.unsaved:
                    new.add(node.id)
            with self.transaction():
                self._save([edits[node_id] for node_id in new])
                self.store.mark_synced(each.id for each in contents if self.contents[each.id].id not in new)
            for node, after in edits.values():
                node.state = after

    def _save(self, edits: Sequence[Edit]) -> None:
        """Writes rows, and has memory as it is. Inside a transaction."""
        if not edits:
            return
        self._write(edits, None)
        for node, _ in edits:
            self._undo.append((node, node.state, node.is_saved))
            node.is_saved = True

    def change_unsaved(self, node: Node, after: State) -> None:
        """As ``change``, in memory alone. For what a restart need not know, or knows by a label: a new file
        that is open, or that was closed (see ``label``); a flag."""
        with self.lock:
            before = node.state
            self._contents.hold(node, after)
            self._undo.append((node, before, node.is_saved))
            self._swap(node, after)
            if not self._transaction.depth:
                self._tell()

    def recount(self, node: Node) -> None:
        """Brings the tallies up to date after the word of *node* has changed, and nothing else of it."""
        self._count(node, tally.outward(node), home_of(node))

    def _count(self, node: Node, was: tally.Delta, home: Node | None) -> None:
        for folder in tally.recount(node, was, home):
            self.planner.touch(folder)
        self._unclean.note_word(node)

    def new_node(self, *, is_folder: bool, node_id: int | None = None) -> Node:
        """A new node, which neither the mount nor the service has yet. *node_id*: one that is free."""
        node = Node(node_id or self.store.next_id(), is_folder=is_folder)
        with self.lock:
            self.nodes[node.id] = node
            self._fresh.append(node)
        return node

    def touch(self, node: Node) -> None:
        """Its name or bytes changed just now: it has to settle; what was refused or failed of it is void."""
        now_ns = self.clock.wall_ns()
        self.last_touch_ns = now_ns
        pending = node.pending
        if pending is None:
            pending = node.pending = Pending(now_ns)
            self._fresh.append(node)
        self.note_error(node, None)
        pending.touch(now_ns)

    def notice(self, path: str, text: str) -> None:
        """Tells people something about a path."""
        with self.transaction():
            self.store.notices.add(Notice(self.clock.wall_ns(), path, text))

    def add_orphan(self, session: str | None) -> None:
        """An upload session that nobody will commit is to be ended."""
        if session:
            with self.transaction():
                self.store.orphans.add(session)
                self._has_news_for_sweeper = True

    # Looking

    def child(self, folder: Node, key: str) -> Node | None:
        """What the mount shows in *folder* under a folded name. NotLoaded."""
        children = folder.part.children
        if children is None:
            raise NotLoaded(folder)
        return children.get(key)

    def base_child(self, folder: Node, key: str) -> Node | None:
        """What the service has in *folder* under a folded name, as far as that is in memory."""
        return bases.base_child(folder, key)

    def by_remote_id(self, remote_id: str) -> Node | None:
        """The node that the service knows by *remote_id*, if it is still part of the tree."""
        if not remote_id:
            return None
        node = self._by_remote_id.get(remote_id)
        if node is not None and is_attached(node):
            return node
        found = self._loader.nodes_of(self.store.by_remote_id(remote_id))
        return next(filter(is_attached, found), None)

    def content(self, content_id: int) -> tuple[Node, Content] | None:
        """Whose the content is, and it as it is now; None when it is nobody's any more."""
        return self._contents.find(content_id)

    def node(self, node_id: int) -> Node | None:
        """By its id, from the store if need be; None when there is no such node, or not any more."""
        return self._loader.node(node_id)

    # From the store, and back

    def enter_row(self, row: NodeRow, listing: Listing | None) -> Node | None:
        """The node of a row: as it is in memory, or as the row has it, with what is known of its listing.
        None when it vanished with a folder above it."""
        return self._loader.enter(row, listing)

    def restore(self) -> dict[int, Content]:
        """Reads what is not clean from the store, before anything else; the contents, by id, that only
        flights have."""
        with self.lock:
            return restore(self.store, self._loader, self.nodes, self._contents, self._unclean)

    def sweep_detached(self, most_nodes: int) -> bool:
        """Lets go of nodes and rows below vanished folders, at most about *most_nodes* of each; whether more
        may be left."""
        with self.transaction():
            has_more = self.residents.sweep(most_nodes)
            return bool(self.store.detached.sweep(most_nodes)) or has_more

    def shrink(self) -> None:
        """Lets go of folders of clean nodes while too many are in memory: what is sent becomes clean without
        anybody loading a folder."""
        with self.lock:
            self.residents.shrink()
        has_more = True
        while has_more:
            with self.lock:
                has_more = self.residents.shrink_loose(CHUNK)

    def _forget(self, node: Node) -> None:
        self.nodes.pop(node.id, None)
        self._by_remote_id.leave(node, node.state.base)

    # Inside, when something changes

    def _write(self, edits: Sequence[Edit], committed: Content | None) -> None:
        saved = [edit for edit in edits if not edit[1].is_forgotten]
        gone = [node for node, after in edits if after.is_forgotten and node.is_saved]
        if len(edits) == 1 and saved and saved[0][0].is_saved:
            [(node, after)] = saved
            has_dirt = is_dirty(after, carries_times=self.carries_times)
            self.store.update_node(node, node.state, after, is_dirty=has_dirt)
        elif saved:
            dirt = [is_dirty(after, carries_times=self.carries_times) for _, after in saved]
            self.store.save_nodes(saved, is_dirty=dirt)
        if gone:
            self.store.delete_nodes(node.id for node in gone)
            for node in gone:
                if node.folder is not None:
                    self.store.detached.add(node.id)
                    self._has_news_for_sweeper = True
        self._contents.write(edits, committed)

    def _admit(self, node: Node, after: State) -> None:
        """Gives a node that was just read from the store its state; ``restore`` counts those not clean."""
        self._replace_now(node, FORGOTTEN, after, is_found=node.pending is None)
        self._by_remote_id.enter(node, after.base)
        node.state = after
        bases.enter_gone(node, after)
        self._contents.swap(node, FORGOTTEN, after)
        self._note_dirt(node, after)

    def _swap(self, node: Node, after: State) -> None:
        """The one place that changes a node in memory, and what is derived from it."""
        before = node.state
        was = tally.outward(node)
        home = home_of(node)
        is_moved = before.parent is not after.parent or before.name != after.name
        is_rebased = before.base is not after.base or before.base_parent is not after.base_parent
        if is_moved:
            self._replace_now(node, before, after)
            self.folder_times.note(before.parent, after.parent)
        if before.base is not after.base:
            self._by_remote_id.leave(node, before.base)
            self._by_remote_id.enter(node, after.base)
        if (is_moved or is_rebased) and bases.leave_gone(node, before) and before.base_parent is not None:
            self.planner.touch(before.base_parent)
        if before.flight is not after.flight:
            for folder in bases.land(node, before):
                self.planner.touch(folder)
            bases.take_off(node, after)
            if after.flight is not None:
                self.nodes[node.id] = node  # nothing else may be left of it, as after `mkdir d; rmdir d`
        node.state = after
        if is_moved or is_rebased:
            bases.enter_gone(node, after)
        self._contents.swap(node, before, after)
        self._note_dirt(node, after)
        self._count(node, was, home)
        self.planner.touch(node)

    def _replace_now(self, node: Node, before: State, after: State, *, is_found: bool = False) -> None:
        if before.parent is not None:
            shadows = before.parent.part.listing.shadows
            if self.residents.leave(before.parent, node) and shadows and node.key in shadows:
                self.uncover(before.parent, node.key)
        node.note_name(after)
        if after.parent is not None:
            self.residents.enter(after.parent, node, is_found=is_found)
        elif after.is_forgotten:
            self.nodes.pop(node.id, None)
            if node.folder is not None:
                self.residents.detach(node)
            return
        self.nodes[node.id] = node

    def uncover(self, folder: Node, key: str) -> None:
        """Something of ours left a name under which the service has something else: it is to be listed."""
        listing = folder.part.listing
        if listing.shadows:
            listing.shadows.discard(key)
        listing.doubted_at = self.store.next_id()
        if folder.is_saved and self._transaction.depth:
            self.store.save_listing(folder.id, listing)

    def _note_dirt(self, node: Node, after: State) -> None:
        has_dirt = is_dirty(after, carries_times=self.carries_times)
        if has_dirt and node.pending is None:
            node.pending = Pending(self.clock.wall_ns())
        self._unclean.note(node, after, is_dirty=has_dirt)
        if not has_dirt and node.pending is not None:
            self.planner.forget(node)
            node.pending = None

    def _begin(self) -> None:
        self.store.begin()

    def _end(self) -> None:
        self.store.end()

    def _roll_back(self, error: BaseException) -> None:
        undo, self._undo = self._undo, []
        self._contents.forget()
        with suppress(Exception):  # the next one begins with it
            self.store.cancel()
        for node, before, was_saved in reversed(undo):
            self._swap(node, before)
            node.is_saved = was_saved
            if node.folder is not None and not before.is_forgotten:
                self.residents.attach(node)
        for node in self._fresh:
            if node.state.is_forgotten:
                self.nodes.pop(node.id, None)
            if node.pending is not None and node.id not in self.dirty:
                self.planner.forget(node)
                node.pending = None
        self._fresh.clear()
        if isinstance(error, sqlite3.Error):
            raise self.store.error_of(error) from error

    def _tell(self) -> None:
        undo, self._undo = self._undo, []
        self._fresh.clear()
        if self._contents.settle() or self._has_news_for_sweeper:
            self._has_news_for_sweeper = False
            self.on_freed()
        self._listeners.tell(undo)
