"""Listings of remote folders: how long each is trusted, and who waits for which to be loaded.

A folder that was listed once is shown from then on, also by the next mount. It is listed again when

* a change was reported in it (see ``feed``);
* no changes are being reported just now, and its listing is older than FRESH_S;
* the position in the service's changes was lost.

A node that is known by its name stays as it is. While the service is away every listing is trusted, however
old.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from mountfs.errors import MountfsError, Offline, Transient
from mountfs.model.path import fold
from mountfs.ports import Backend
from mountfs.tree.childrows import read_children
from mountfs.tree.formerplaces import FormerPlaces
from mountfs.tree.lister import Lister
from mountfs.tree.load import Asker, Load
from mountfs.tree.node import Node, remote_id
from mountfs.tree.patience import Patience
from mountfs.tree.place import remote_path
from mountfs.tree.refusedlistings import RefusedListings
from mountfs.tree.remote import in_memory
from mountfs.tree.residents import NotLoaded
from mountfs.tree.tree import Tree
from mountfs.tree.treewalk import is_new
from mountfs.tree.unknownids import UnknownIds
from mountfs.tree.walkport import Walks

LOG = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_S = 1.0
"""How long a doubted listing serves after it could not be listed anew, while changes are being reported."""
FRESH_S = 60.0
"""How long a listing is trusted while nobody reports remote changes."""


class Listings:
    """Loads folders from the store and the service, which is never asked under the lock."""

    def __init__(self, tree: Tree, backend: Backend, fresh_s: float = FRESH_S) -> None:
        self._tree = tree
        self._fresh_s = fresh_s
        self._loads: dict[int, Load] = {}
        self.unknown_ids = UnknownIds()
        self.former_places = FormerPlaces(tree.store)
        self.walks = Walks()
        self.refusals = RefusedListings()
        self.patience = Patience(tree.clock)
        self._lister = Lister(tree, backend, self.patience, self.doubt)
        self._asked_at = 0
        self.is_followed = False
        """Whether every remote change is being reported; set by ``feed``."""
        self.is_away = False
        """Whether the service did not answer the last time; set by ``feed``."""

    # Asking, under the lock

    def loaded(self, decide: Callable[[], T]) -> T:
        """Calls *decide* under the lock until it raises NotLoaded no more, loading the folder that it named
        each time.

        *decide* must look before it writes: it is called again after each NotLoaded.
        """
        asked_at = 0
        kept: list[Node] = []
        try:
            while True:
                with self._tree.lock:
                    self._asked_at = asked_at
                    try:
                        return decide()
                    except NotLoaded as error:
                        missing = error.folder
                    asked_at = asked_at or self._tree.store.next_id()
                    # Where nothing else can be evicted, loading one folder would evict the one before.
                    self._tree.residents.keep(missing)
                    kept.append(missing)
                self.load(missing, asked_at, asker=Asker.PROGRAM)
        finally:
            if kept:
                with self._tree.lock:
                    self._tree.residents.let_go(kept)

    def if_loaded(self, decide: Callable[[], T]) -> T | None:
        """What *decide* finds with the folders that are loaded; None where another one would be needed. Under
        the lock."""
        self._asked_at = 0
        try:
            return decide()
        except NotLoaded:
            return None

    def children(self, folder: Node, doubt: int = 0) -> dict[str, Node]:
        """What the mount shows in *folder*, by folded name. *doubt*: since when a folder above is out of date
        with all that is below it. NotLoaded."""
        part = folder.part
        is_ours = folder.state.base is None  # so is all that is in it
        if part.children is None or not (
            is_ours or self._serves(folder, doubt, self._asked_at, self.is_away)
        ):
            raise NotLoaded(folder)
        self._tree.residents.used(folder)
        return part.children

    def doubt_above(self, folder: Node) -> int:
        """Since when *folder*, with all below it, is out of date because a folder above it is."""
        doubt = 0
        at = folder.state.parent or folder.state.base_parent
        while at is not None:
            doubt = max(doubt, at.part.listing.doubted_below_at)
            at = at.state.parent or at.state.base_parent
        return doubt

    def is_stale(self, folder: Node, asked_at: int = 0, *, is_told: bool = False) -> bool:
        """Whether the service would have to be asked for what is in *folder*. *is_told*: as in ``load``."""
        is_away = self.is_away and not is_told
        return not self._serves(folder, self.doubt_above(folder), asked_at, is_away)

    def _serves(self, folder: Node, doubt: int, asked_at: int, is_away: bool) -> bool:
        listing = folder.part.listing
        if folder.state.base is None:
            return True  # all that is in it is ours
        if not listing.listed_at:
            return False
        if is_away:
            return True
        doubted_at = max(listing.doubted_at, listing.doubted_below_at, doubt)
        is_doubted = doubted_at > listing.listed_at
        if self.is_followed and not is_doubted:
            return True
        if asked_at and listing.listed_at > asked_at:
            # It was listed since the question was asked: in a busy folder there is no other end.
            return True
        good_s = RETRY_S if is_doubted and self.is_followed else self._fresh_s
        is_young = self._tree.clock.now_s() - listing.checked_s < good_s
        return is_young and (not is_doubted or listing.was_tried)

    # Loading

    def load(
        self,
        folder: Node,
        asked_at: int = 0,
        *,
        needs_nodes: bool = True,
        asker: Asker = Asker.WORKER,
        is_told: bool = False,
    ) -> None:
        """Has the children of *folder* in memory, and lists them at the service if they must be; once for all
        callers that wait for it. *needs_nodes*: else rows may be all that there is of them. *is_told*: the
        service answers, though it may have been away the last time that it was asked for changes.

        NotFound, NotADirectory: the service has no such folder any more. Transient when it cannot be listed
        and never was.
        """
        while True:
            with self._tree.lock:
                folder = in_memory(self._tree, folder)
                under_way = self._loads.get(folder.id)
                if under_way is None:
                    mine = self._loads[folder.id] = Load(self._tree.store.next_id(), asker)
                    self._tree.residents.keep(folder)
                    break
                under_way.asker = max(under_way.asker, asker)
            error = under_way.outcome(asker)
            if error is None:
                return
            is_pause = isinstance(error, Transient) and not isinstance(error, Offline)
            if not is_pause or asker <= under_way.beginner:
                raise error
            # The worker that began it does not wait until the service may be asked again: a program does.
        try:
            if not folder.part.listing.listed_at:
                self.walks.await_walk(folder)
            with self._tree.lock:
                is_needed = self.is_stale(folder, asked_at, is_told=is_told)
            if (needs_nodes or is_needed) and not is_new(self._tree, folder):
                read_children(self._tree, folder)
            if is_needed:
                self._list(folder, mine)
            if needs_nodes:
                read_children(self._tree, folder)
        except MountfsError as error:
            mine.error = error
            with self._tree.lock:
                now_s = self._tree.clock.now_s()
                told = self.refusals.refused(folder.id, str(remote_path(folder)), error, now_s)
            if told is not None:
                LOG.warning(told)
            raise
        finally:
            with self._tree.lock:
                if mine.error is None and not folder.part.listing.was_tried:
                    self.refusals.listed(folder.id)
                del self._loads[folder.id]
                self._tree.residents.let_go([folder])
            mine.end()

    def load_for_walk(self, folder: Node) -> None:
        """As ``load``, for a program that will open *folder* soon."""
        self.walks.opened(folder)
        self.load(folder, asker=Asker.PROGRAM)

    def relist(self, folder: Node) -> Node:
        """Lists *folder* whatever is known of it, and returns its node in memory. As ``load``."""
        with self._tree.transaction():
            folder = in_memory(self._tree, folder)
            self.doubt(folder)
            asked_at = self._tree.store.next_id()
        self.load(folder, asked_at, is_told=True)
        return folder

    def try_relist(self, folder: Node) -> bool:
        """As ``relist``; False: the folder could not be listed, and what was known of it is shown."""
        with suppress(MountfsError):
            return not self.relist(folder).part.listing.was_tried
        return False

    def relist_above(self, node: Node) -> bool:
        """Lists the folder above that of *node*, which the service says is gone; whether that told what
        became of it."""
        with self._tree.lock:
            folder = node.state.parent
            above = None if folder is None else folder.state.base_parent
        return above is not None and self.try_relist(above)

    def _list(self, folder: Node, load: Load) -> None:
        count = self._lister.ask(folder, load)
        if count is not None:
            self.walks.listed(folder, count)

    # Outcomes of ours, and what is doubted

    def landed(self, folder: Node | None, name: str) -> None:
        """An order of ours had its outcome at *name* in *folder*: a listing that was asked for before does
        not know of it."""
        load = None if folder is None else self._loads.get(folder.id)
        if load is not None:
            load.landed[fold(name)] = self._tree.store.next_id()

    def made(self, folder: Node, *, is_empty: bool, since: int) -> None:
        """We made *folder* at the service; *since*: when that was asked for.

        Unless *is_empty* is certain, somebody may have made it before, and filled it: it is listed at the
        next look. Changes that were missed after *since* make it doubted too.
        """
        listing = folder.part.listing
        listing.listed_at = since
        if not is_empty or listing.doubted_at or remote_id(folder) in self.unknown_ids:
            listing.doubted_at = self._tree.store.next_id()
        self._tree.store.save_listing(folder.id, listing)

    def doubt(self, folder: Node) -> None:
        """*folder* is to be listed anew. Inside a transaction."""
        listing = folder.part.listing
        # Also of one that is just being listed for the first time.
        listing.doubted_at = self._tree.store.next_id()
        listing.checked_s = -math.inf
        listing.was_tried = False
        if listing.listed_at:
            self._tree.store.save_listing(folder.id, listing)

    def doubt_below(self, folder: Node) -> None:
        """*folder*, and every folder below it, is to be listed anew. Inside a transaction."""
        listing = folder.part.listing
        listing.doubted_below_at = self._tree.store.next_id()
        self._tree.store.save_listing(folder.id, listing)

    def doubt_all(self) -> None:
        """Every folder is to be listed anew. Inside a transaction."""
        self.doubt_below(self._tree.root)
