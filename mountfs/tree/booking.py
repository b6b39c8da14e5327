"""Books the outcome of an order onto its node, and ends the flight.

the service did it         the node's base is what the flight said
it failed, for now         the node is as before, and the plan decides anew what it wants
somebody else was first    our file gets a name beside theirs
the service refused it     a file or new folder is kept with the reason; a rename or removal is taken back
"""

from __future__ import annotations

from dataclasses import replace

from mountfs.errors import AlreadyExists, Conflict, Locked, MountfsError, NotFound, Transient
from mountfs.model.advice import advised
from mountfs.model.entry import Entry, File, Folder
from mountfs.model.order import OrderKind
from mountfs.model.path import fold
from mountfs.model.pausing import is_full
from mountfs.tree.beside import KEPT_AS, is_copy_name
from mountfs.tree.childrows import load_children
from mountfs.tree.content import Over
from mountfs.tree.copynames import CopyNames
from mountfs.tree.landing import doubt_places, is_in_doubt, land, note_made, note_move
from mountfs.tree.listings import Listings
from mountfs.tree.node import Flight, Node, State, forgotten, has_moved, path_of, whole_seconds
from mountfs.tree.order import is_lost
from mountfs.tree.outcome import (
    after_put,
    after_same_bytes,
    is_beside,
    is_wanted_still,
    named,
    was_unseen,
    with_rebased_bytes,
)
from mountfs.tree.refusal import Refusal
from mountfs.tree.remote import is_late, lose_shown, stands, take_late, unite
from mountfs.tree.reversal import moved_back, shown_again
from mountfs.tree.showing import spare
from mountfs.tree.tree import Tree
from mountfs.tree.unsent import as_unsent
from mountfs.tree.word import wants_time


class Books:
    """Every method ends one flight, and is called inside a transaction of the tree."""

    def __init__(self, tree: Tree, listings: Listings, copies: CopyNames, *, places_bind: bool) -> None:
        """*places_bind*: whether an upload session is for one place, and of no use for another."""
        self._tree = tree
        self._listings = listings
        self._copies = copies
        self._places_bind = places_bind

    # It took effect

    def acknowledge(self, flight: Flight, entry: Entry | None) -> None:
        """The order took effect: the service has *entry* at the flight's place; None after a removal."""
        node, state = flight.node, flight.node.state
        land(self._listings, flight)
        match flight.kind:
            case OrderKind.PUT | OrderKind.COPY:
                assert isinstance(entry, File)
                after = self._after_put(flight, state, entry)
            case OrderKind.MAKE_FOLDER:
                folder = entry if isinstance(entry, Folder) else Folder("", flight.name)
                if not folder.id and flight.heard:
                    entry = folder = Folder(flight.heard, folder.name)
                after = replace(named(state, flight, folder.name).based(flight.parent, folder), refusal=None)
            case OrderKind.DELETE:
                is_shown = node.folder is not None and state.parent is not None
                after = replace(state, refusal=None) if is_shown else state.based(None, None)
            case OrderKind.MOVE:
                assert entry is not None
                after = after_same_bytes(state, flight, entry)
                after = replace(named(after, flight, entry.name), base_parent=flight.parent, base=entry)
                after = replace(after, refusal=state.set_aside)
            case OrderKind.SET_TIME:
                assert isinstance(entry, File)
                after = self._after_set_time(flight, state, entry)
        if node.pending is not None:
            node.pending.forgive()
        self._tree.note_error(node, None)
        twin = self._twin(node, entry)
        self._done(flight, state, after, entry)
        if twin is not None and twin.state.base_parent is not None:
            self._listings.doubt(twin.state.base_parent)
            unite(self._tree, node, twin)
        if flight.parent is not None and (
            twin is not None
            or is_in_doubt(self._listings, flight, flight.parent, entry)
            or is_beside(flight, entry)
        ):
            self._listings.doubt(flight.parent)

    def _done(self, flight: Flight, before: State, after: State, entry: Entry | None) -> None:
        node = flight.node
        self._finish(flight, after, is_done=True)
        if flight.kind is OrderKind.DELETE and after.base is not None:
            lose_shown(self._tree, node)
        if flight.kind is OrderKind.MOVE:
            self._spare_unseen(flight)
            if node.folder is not None:
                note_move(self._tree, self._listings, flight, before)
        if flight.kind is OrderKind.MAKE_FOLDER and node.folder is not None and not after.is_forgotten:
            note_made(self._listings, flight, entry)

    def acknowledge_overtaken(self, flight: Flight, ours: File, standing: File) -> None:
        """The order made the revision *ours*, and somebody else has replaced that with *standing* since.

        Bytes that were written here meanwhile were made from *ours*, and may replace nothing else. They will
        be a conflict with *standing*, which nobody here has seen.
        """
        assert flight.parent is not None
        load_children(self._tree, flight.parent)
        sent_ns = whole_seconds(flight.mtime_ns or 0)  # a history may tell other times
        self.acknowledge(flight, replace(ours, name=standing.name, mtime_ns=sent_ns))
        stands(self._tree, flight.parent, standing)

    def _twin(self, node: Node, entry: Entry | None) -> Node | None:
        """Another node that has the service's id of *entry*: see ``unite``."""
        twin = None if entry is None else self._tree.by_remote_id(entry.id)
        return None if twin is node else twin

    def _after_put(self, flight: Flight, state: State, entry: File) -> State:
        """The node's state after its upload, under the name that the service gave it."""
        pending = flight.node.pending
        if pending is not None and pending.unheard:
            pending.unheard = ()  # what these were to replace is gone: they cannot arrive
        return self._as_the_service_named(flight, after_put(state, flight, entry), entry)

    def _after_set_time(self, flight: Flight, state: State, entry: File) -> State:
        """The node's state after its new time. Where the service made another one of it, that is shown: asked
        again, it would do the same."""
        after = after_same_bytes(state, flight, entry).based(state.base_parent, entry)
        if after.mtime_ns == flight.mtime_ns and wants_time(after):
            self._tree.notice(path_of(flight.node), "its new time is not sent: the service keeps another")
            return replace(after, mtime_ns=None)
        return replace(after, mtime_ns=None) if after.mtime_ns == entry.mtime_ns else after

    def _as_the_service_named(self, flight: Flight, after: State, entry: File) -> State:
        """Our file, which the service has put beside somebody else's by itself (`autorename` of a Dropbox):
        shown under the name it has there, unless it was renamed here meanwhile, or the name is taken."""
        folder = flight.parent
        if not is_beside(flight, entry) or folder is None:
            return after
        load_children(self._tree, folder)
        is_free = self._tree.child(folder, fold(entry.name)) is None
        if after.parent is not folder or after.name != flight.name or not is_free:
            return after
        text = f"somebody else changed it first: this version {KEPT_AS}{entry.name}"
        self._tree.notice(path_of(flight.node), text)
        return after.at(folder, entry.name)

    # It did not

    def again(self, flight: Flight, error: MountfsError) -> None:
        """The order is to be sent again later. Only answers count as refusals: away or slow is tried for
        ever."""
        self._count(flight, error)
        land(self._listings, flight)
        self._finish(flight, flight.node.state)

    def again_over(self, flight: Flight, error: MountfsError, standing: Entry | None) -> None:
        """As ``again``, and *standing* is the node's base from here on: the same bytes under another
        revision, or None where the service has nothing."""
        self._count(flight, error)
        land(self._listings, flight)
        node, state = flight.node, flight.node.state
        if isinstance(standing, File):
            state = state.based(flight.parent or state.base_parent, standing)
            state = with_rebased_bytes(state, flight.over, Over.of(standing))
        elif node.folder is None:
            state = with_rebased_bytes(state.based(None, None), flight.over, None)
        self._finish(flight, state)

    def resend(self, flight: Flight, error: MountfsError, standing: Entry | None = None) -> None:
        """The bytes of the order have to go up (again): their session is lost, the service makes no copy of
        them, or it states another hash than ours.

        *standing*: the file that the service made of wrong bytes. It is the node's base from here on. So our
        bytes replace it, and so do those that were written meanwhile; if the file was removed here meanwhile,
        it is removed there.
        """
        self._count(flight, error)
        land(self._listings, flight)
        state = flight.node.state
        if isinstance(standing, File):
            state = state.based(flight.parent, standing)
            state = with_rebased_bytes(state, flight.over, Over.of(standing))
        content = state.content
        if content is not None and flight.content is not None and content.id == flight.content.id:
            state = state.holding(as_unsent(self._tree, content), state.draft)
        self._finish(flight, state)

    def set_beside(self, flight: Flight, standing: Entry) -> None:
        """Somebody else's *standing* has the name that our file was to get: ours becomes a conflicted copy
        beside it, or keeps the name that it got meanwhile (`mv f g` while f is sent), as a new file."""
        node, state = flight.node, flight.node.state
        folder = flight.parent
        assert folder is not None
        land(self._listings, flight)
        load_children(self._tree, folder)
        after = state.based(None, None)
        is_unknown = node.folder is not None and self._tree.by_remote_id(standing.id) is None
        if is_unknown and take_late(self._tree, folder, standing):
            self._finish(flight, after)  # it is made once that file of ours has gone
            return
        if state.parent is folder and fold(state.name) == fold(flight.name):
            copy = self._copies.name(folder, state.name, "conflicted")
            after = after.at(folder, copy)
            told = "somebody else changed it first: this version"
            if node.folder is not None:
                told = "a file has its name at the service: this folder"
            self._tree.notice(path_of(node), f"{told} {KEPT_AS}{copy}")
        after = with_rebased_bytes(after, flight.over, None)
        content = after.content
        if content is not None and content.session is not None and self._places_bind:
            after = after.holding(as_unsent(self._tree, content), after.draft)
        self._tree.touch(node)
        self._finish(flight, after)
        stands(self._tree, folder, standing)

    def refuse(self, flight: Flight, error: MountfsError) -> None:
        """The service refuses the order for good: a file or a new folder is kept with the reason, a rename or
        a removal is taken back. What the node wants by now, if that is something else, is still tried: `mv a
        b` is refused, and `mv b c` came meanwhile."""
        node, state = flight.node, flight.node.state
        land(self._listings, flight)
        if isinstance(error, Conflict | AlreadyExists | NotFound):
            doubt_places(self._listings, flight)  # the service has something there that is not known here
        refusal = Refusal(flight.kind, str(error), self._tree.clock.wall_ns(), type(error))
        match flight.kind:
            case OrderKind.DELETE:
                self._finish(flight, shown_again(self._tree, state, refusal))
                self._tree.notice(path_of(node), f"not removed: {error}")
                return
            case OrderKind.SET_TIME:
                self.drop_time(flight, str(error))
                return
            case OrderKind.MOVE:
                # If the folder that it left has vanished, so has the node at the service (``lose``).
                if is_wanted_still(flight, state) and not is_lost(node):
                    self._not_renamed(flight, refusal)
                    return
            case OrderKind.PUT | OrderKind.COPY | OrderKind.MAKE_FOLDER:
                if is_wanted_still(flight, state):
                    self._tree.notice(path_of(node), f"not committed: {error}")
                    if state.content is not None and not isinstance(error, Locked):
                        # It may never be sent again: its upload session is not kept open for that.
                        state = state.holding(as_unsent(self._tree, state.content), state.draft)
                    self._finish(flight, replace(state, refusal=replace(refusal, reason=advised(error))))
                    return
        self._finish(flight, state)

    def _not_renamed(self, flight: Flight, refusal: Refusal) -> None:
        """Takes a refused rename back. If the old name was given to something else meanwhile, the node is
        renamed to a conflicted copy of it; if the service refuses that as well, the node stays where it
        is."""
        node, state = flight.node, flight.node.state
        path, told = path_of(node), f"not renamed: {refusal.reason}"
        after = moved_back(self._tree, self._copies, node, state)
        if has_moved(after) and not is_copy_name(flight.name):
            told = f"{told}; it {KEPT_AS}{after.name}"
            after = replace(after, refusal=state.set_aside)
        else:
            after = replace(after, refusal=state.set_aside or refusal)
        self._tree.notice(path, told)
        self._finish(flight, after)

    def give_up_removal(self, flight: Flight, standing: Entry | None, why: str) -> None:
        """What was to be removed is not, and is shown again. *standing*: as the service has it now; None: the
        service was not asked."""
        node, state = flight.node, flight.node.state
        self._tree.notice(path_of(node), f"not removed: {why}")
        land(self._listings, flight)
        is_same_kind = standing is not None and isinstance(standing, Folder) is (node.folder is not None)
        if state.base_parent is not None:
            self._listings.doubt(state.base_parent)
        if node.folder is not None:
            self._listings.doubt(node)
        if standing is not None and is_same_kind:
            state = state.based(state.base_parent, standing)
        self._finish(flight, shown_again(self._tree, state, None))

    def drop_time(self, flight: Flight, reason: str) -> None:
        """The service does not take the time that was set here: the mount shows the service's."""
        land(self._listings, flight)
        doubt_places(self._listings, flight)
        self._tree.notice(path_of(flight.node), f"its new time is not sent: {reason}")
        self._finish(flight, replace(flight.node.state, mtime_ns=None))

    def unsent(self, flight: Flight) -> None:
        """The order was written down, and not sent after all."""
        self._finish(flight, flight.node.state)

    # Inside

    def _finish(self, flight: Flight, after: State, *, is_done: bool = False) -> None:
        before, left = flight.node.state, flight.node.state.base_parent
        after = after.flying(None)
        self._tree.store.delete_flight(flight)
        if after.is_forgotten:
            after = forgotten(after)
        self._tree.change((flight.node, after), committed=flight.content if is_done else None)
        if not is_done and after.base is before.base:
            self._spare_unseen(flight)
        if flight.is_doubted and left is not None:
            self._listings.doubt(left)
        if flight.heard is not None and flight.parent is not None and not is_done:
            self._listings.doubt(flight.parent)

    def _spare_unseen(self, flight: Flight) -> None:
        """Shows a file again that was removed here while *flight* was on its way, where the service has a
        version of it that nobody here has seen."""
        node, base, into = flight.node, flight.node.state.base, flight.node.state.base_parent
        if into and isinstance(base, File) and was_unseen(flight, node.state) and not is_late(node, base):
            spare(self._tree, node, into, base)

    def _count(self, flight: Flight, error: MountfsError) -> None:
        pending = flight.node.pending
        if pending is not None:
            pending.attempts += 1
            pending.refusals += not (isinstance(error, Transient) or is_full(error))
        self._tree.note_error(flight.node, str(error))
