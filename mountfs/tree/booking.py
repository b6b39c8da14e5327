"""Outcomes, written onto the nodes whose orders they are: success makes the base what the flight said,
failure changes nothing but that the node is free to want it again."""

from __future__ import annotations

from dataclasses import replace

from mountfs.errors import AlreadyExists, Conflict, MountfsError, NotFound, Transient
from mountfs.model.advice import advised
from mountfs.model.entry import Entry, File, Folder
from mountfs.model.order import OrderKind
from mountfs.model.path import fold
from mountfs.model.pausing import is_full
from mountfs.tree.beside import KEPT_AS, is_copy_name
from mountfs.tree.content import Content, Over
from mountfs.tree.copies import Copies
from mountfs.tree.listings import Listings
from mountfs.tree.node import FORGOTTEN, Flight, Node, Refusal, State, has_moved, path_of, whole_seconds
from mountfs.tree.remote import load_children, stands
from mountfs.tree.reversal import moved_back, shown_again
from mountfs.tree.tree import Tree


class Books:
    """Ends flights. Every method belongs into a transaction of the tree, and ends one flight."""

    def __init__(self, tree: Tree, listings: Listings, copies: Copies, *, places_bind: bool) -> None:
        """*places_bind*: whether an upload session is for one place, and of no use for another."""
        self._tree = tree
        self._listings = listings
        self._copies = copies
        self._places_bind = places_bind

    # It took effect

    def acknowledge(self, flight: Flight, entry: Entry | None) -> None:
        """*entry* stands at the flight's place; None after a removal."""
        node, state = flight.node, flight.node.state
        self._land(flight)
        match flight.kind:
            case OrderKind.PUT:
                assert isinstance(entry, File)
                after = self._after_put(flight, state, entry)
            case OrderKind.MAKE_FOLDER:
                folder = entry if isinstance(entry, Folder) else Folder("", flight.name)
                if not folder.id and flight.heard:
                    entry = folder = Folder(flight.heard, folder.name)
                after = replace(_named(state, flight, folder.name), base_parent=flight.parent, base=folder)
                after = replace(after, refusal=None)
            case OrderKind.DELETE:
                after = state.based(None, None)
            case OrderKind.MOVE:
                assert entry is not None
                after = _after_same_bytes(state, flight, entry)
                after = replace(_named(after, flight, entry.name), base_parent=flight.parent, base=entry)
                after = replace(after, refusal=state.set_aside)
            case OrderKind.SET_TIME:
                assert isinstance(entry, File)
                after = _after_same_bytes(state, flight, entry).based(state.base_parent, entry)
                if after.mtime_ns is not None and whole_seconds(after.mtime_ns) == entry.mtime_ns:
                    after = replace(after, mtime_ns=None)
        if node.pending is not None:
            node.pending.attempts = node.pending.refusals = 0
            node.pending.is_relaxed = False
        self._tree.note_error(node, None)
        twin = self._twin(node, entry)
        self._finish(flight, after, is_done=True)
        if flight.kind is OrderKind.MOVE and node.folder is not None and flight.heard == "":
            self._listings.doubt_below(node)
        if flight.kind is OrderKind.MAKE_FOLDER and node.folder is not None and not after.is_forgotten:
            is_empty = isinstance(entry, Folder) and entry.is_new and flight.heard in (None, entry.id)
            self._listings.made(node, is_empty=is_empty, since=flight.id)
        if twin is not None and twin.state.base_parent is not None:
            self._listings.doubt(twin.state.base_parent)
        if flight.parent is not None and (
            twin is not None or self._is_in_doubt(flight, flight.parent, entry)
        ):
            self._listings.doubt(flight.parent)

    def _twin(self, node: Node, entry: Entry | None) -> Node | None:
        """The node that *entry* is known as already: somebody moved on what *node* made, and it was seen
        there before we heard that it had been made."""
        twin = None if entry is None else self._tree.by_remote_id(entry.id)
        return None if twin is node else twin

    def _is_in_doubt(self, flight: Flight, folder: Node, entry: Entry | None) -> bool:
        """Whether something else was seen or heard of at the flight's place, before or since."""
        shadows = folder.part.listing.shadows
        key = fold(flight.name)
        if shadows and key in shadows:
            shadows.discard(key)
            return True
        if entry is not None and entry.id in self._listings.strangers:
            return True
        token = entry.revision if isinstance(entry, File) else entry.id if entry is not None else ""
        return flight.heard is not None and flight.heard != token

    def _after_put(self, flight: Flight, state: State, entry: File) -> State:
        """The time that the mount shows stays the one it was given where the service kept another: identical
        bytes keep the service's, and it takes none from the future."""
        sent = flight.content
        assert sent is not None
        over = Over(entry.revision, entry.content_hash)
        content, mtime_ns = state.content, state.mtime_ns
        if content is not None and content.id == sent.id:
            shown_ns = content.mtime_ns
            mtime_ns = None if whole_seconds(shown_ns) == whole_seconds(entry.mtime_ns) else shown_ns
            content = None
        after = replace(
            _named(state, flight, entry.name),
            base_parent=flight.parent,
            base=entry,
            content=_made_from(content, flight.over, over),
            draft=_made_from(state.draft, flight.over, over),
            mtime_ns=mtime_ns,
            refusal=state.set_aside,
        )
        return after if after.parent is not None else replace(after, content=None, draft=None, mtime_ns=None)

    # It did not

    def again(self, flight: Flight, error: MountfsError) -> None:
        """It is to be sent again, when it has its time. What is only slow or away is tried for ever: just
        answers count towards giving up."""
        self._count(flight, error)
        self._land(flight)
        self._finish(flight, flight.node.state)

    def again_over(self, flight: Flight, error: MountfsError, standing: Entry | None) -> None:
        """The same, with what stands there now as its base: the service gave it another token, or nothing is
        there any more."""
        self._count(flight, error)
        self._land(flight)
        node, state = flight.node, flight.node.state
        if isinstance(standing, File):
            over: Over | None = Over(standing.revision, standing.content_hash)
            state = state.based(flight.parent or state.base_parent, standing)
        else:
            over = None
            state = state.based(None, None) if node.folder is None else state
        state = state.holding(
            _made_from(state.content, flight.over, over), _made_from(state.draft, flight.over, over)
        )
        self._finish(flight, state)

    def resend(self, flight: Flight, error: MountfsError, standing: Entry | None = None) -> None:
        """Its bytes must go up again. *standing*: wrong bytes that the service has at its place, which the
        right ones replace."""
        self._count(flight, error)
        self._land(flight)
        state = flight.node.state
        content = state.content
        if content is not None and flight.content is not None and content.id == flight.content.id:
            content = self._unsent(content)
            if isinstance(standing, File):
                content = replace(content, over=Over(standing.revision, standing.content_hash))
                state = state.based(flight.parent, standing)
            state = state.holding(content, state.draft)
        self._finish(flight, state)

    def set_beside(self, flight: Flight, standing: Entry) -> None:
        """Somebody else was first, and *standing* has the name: ours gets another one beside it, unless it
        was renamed or removed meanwhile, and is a file of its own."""
        node, state = flight.node, flight.node.state
        folder = flight.parent
        assert folder is not None
        self._land(flight)
        load_children(self._tree, folder)
        after = state.based(None, None)
        if state.parent is folder and fold(state.name) == fold(flight.name):
            copy = self._copies.name(folder, state.name, "conflicted")
            after = after.at(folder, copy)
            self._tree.notice(path_of(node), f"somebody else changed it first: this version {KEPT_AS}{copy}")
        content = _made_from(state.content, flight.over, None)
        if content is not None and content.session is not None and self._places_bind:
            content = self._unsent(content)
        after = after.holding(content, _made_from(state.draft, flight.over, None))
        self._tree.touch(node)
        self._finish(flight, after)
        stands(self._tree, folder, standing)

    def refuse(self, flight: Flight, error: MountfsError) -> None:
        """The service refuses it for good. Bytes and new folders are kept until the user decides; a rename or
        a removal has no effect here either. What was changed meanwhile is another wish, and is tried."""
        node, state = flight.node, flight.node.state
        self._land(flight)
        if isinstance(error, Conflict | AlreadyExists | NotFound):
            self._doubt_places(flight)  # something else stands there than is known here
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
                if _is_wanted_still(flight, state):
                    self._not_renamed(flight, refusal)
                    return
            case OrderKind.PUT | OrderKind.MAKE_FOLDER:
                if _is_wanted_still(flight, state):
                    self._tree.notice(path_of(node), f"not committed: {error}")
                    if state.content is not None:
                        # Nobody knows when it is tried again: no session stays open for that.
                        state = state.holding(self._unsent(state.content), state.draft)
                    self._finish(flight, replace(state, refusal=replace(refusal, reason=advised(error))))
                    return
        self._finish(flight, state)

    def _not_renamed(self, flight: Flight, refusal: Refusal) -> None:
        """Where something else has the old name by now, it is to be renamed to one beside; once, for that may
        be refused as well."""
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

    def give_up_removal(self, flight: Flight, standing: Entry | None) -> None:
        """What stands there is not what was to be removed: it stays. *standing*: what it is, None if nobody
        looked."""
        node, state = flight.node, flight.node.state
        self._tree.notice(path_of(node), "not removed: somebody else changed it meanwhile")
        self._land(flight)
        is_same_kind = standing is not None and isinstance(standing, Folder) is (node.folder is not None)
        if state.base_parent is not None:
            self._listings.doubt(state.base_parent)
        if node.folder is not None:
            self._listings.doubt(node)
        if standing is not None and is_same_kind:
            state = state.based(state.base_parent, standing)
        self._finish(flight, shown_again(self._tree, state, None))

    def drop_time(self, flight: Flight, reason: str) -> None:
        """The service does not take the time: what it has is shown."""
        self._land(flight)
        self._doubt_places(flight)
        self._tree.notice(path_of(flight.node), f"its new time is not sent: {reason}")
        self._finish(flight, replace(flight.node.state, mtime_ns=None))

    def unsent(self, flight: Flight) -> None:
        """It was not sent after all."""
        self._finish(flight, flight.node.state)

    # Inside

    def _finish(self, flight: Flight, after: State, *, is_done: bool = False) -> None:
        left = flight.node.state.base_parent
        after = replace(after, flight=None)
        self._tree.store.delete_flight(flight)
        if after.is_forgotten:
            after = FORGOTTEN
        self._tree.change((flight.node, after), committed=flight.content if is_done else None)
        if flight.is_doubted and left is not None:
            self._listings.doubt(left)
        if flight.heard is not None and flight.parent is not None and not is_done:
            self._listings.doubt(flight.parent)

    def _land(self, flight: Flight) -> None:
        """A listing that was asked for before now does not know what stands at the flight's places."""
        self._note_lost_news(flight)
        self._listings.landed(flight.parent, flight.name)
        state = flight.node.state
        if state.base is not None:
            self._listings.landed(state.base_parent, state.base.name)

    def _note_lost_news(self, flight: Flight) -> None:
        """Has the flight's folders listed anew where the position in the changes was lost while it was on its
        way. What others did there after it took effect is then never told: `echo x >f` is sent, somebody
        removes f, the position is lost, and only then comes the reply that f was made."""
        for folder in (flight.parent, flight.node.state.base_parent):
            if folder is None:
                continue
            doubted_at = max(self._listings.doubt_above(folder), folder.part.listing.doubted_below_at)
            if doubted_at > flight.id:
                flight.heard, flight.is_doubted = "", True

    def _doubt_places(self, flight: Flight) -> None:
        """The folders that the order leaves and enters are listed anew when somebody looks."""
        for folder in (flight.node.state.base_parent, flight.parent):
            if folder is not None:
                self._listings.doubt(folder)

    def _count(self, flight: Flight, error: MountfsError) -> None:
        pending = flight.node.pending
        if pending is not None:
            pending.attempts += 1
            pending.refusals += not (isinstance(error, Transient) or is_full(error))
        self._tree.note_error(flight.node, str(error))

    def _unsent(self, content: Content) -> Content:
        """Its bytes are not at the service (any more)."""
        self._tree.add_orphan(content.session)
        self._tree.store.clear_parts(content.id)
        return replace(content, content_hash=None, session=None)


def _named(state: State, flight: Flight, name: str) -> State:
    """The service's spelling of a name is ours, unless it was renamed meanwhile."""
    is_same = state.parent is flight.parent and state.name == flight.name and fold(name) == fold(state.name)
    return state.at(state.parent, name) if is_same else state


def _made_from(content: Content | None, before: Over | None, after: Over | None) -> Content | None:
    """*content*, made from what the flight replaced: the flight's outcome is what it replaces now."""
    if content is None or content.over != before:
        return content
    return replace(content, over=after)


def _after_same_bytes(state: State, flight: Flight, entry: Entry) -> State:
    """The file has another token: what was made from it goes on from there, if the bytes are the same. If
    not, somebody changed it before, and what is sent over the old revision is a conflict."""
    before = flight.over
    if before is None or not isinstance(entry, File):
        return state
    if entry.content_hash is None or entry.content_hash != before.content_hash:
        return state
    over = Over(entry.revision, entry.content_hash)
    return state.holding(
        _made_from(state.content, flight.over, over), _made_from(state.draft, flight.over, over)
    )


def _is_wanted_still(flight: Flight, state: State) -> bool:
    """Whether nothing was changed since the flight was sent: `mv a b; mv b a` meanwhile asks for it anew."""
    pending = flight.node.pending
    if pending is not None and pending.is_renamed:
        return False
    if state.parent is not flight.parent or state.name != flight.name:
        return False
    if flight.content is None:
        return True
    return state.content is not None and state.content.id == flight.content.id
