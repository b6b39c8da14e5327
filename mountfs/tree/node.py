"""A node of the tree: where the mount shows it, what the service has of it, and the bytes that are ours.

    Node     who it is, for ever: ``id`` is its inode number
    State    what is stored of it: replaced as a whole, never changed
    Content  bytes of ours in a spool file: a version on its way to the service
    Flight   an order that was sent: frozen, with the base that it will leave behind

A node has two places. *Now* is where the mount shows it (``parent`` and ``name``; a node whose ``parent``
is None was removed here). *Base* is where the service has it (``base_parent`` and ``base.name``), with
the revision that was last listed or acknowledged; a node whose ``base`` is None was never sent.

    now is base, no bytes of ours    clean: the node is nothing but cache
    now is None                      the service is to remove it
    base is None                     the service is to be given it
    now is not base                  the service is to move it
    content is not None              the service is to be given its bytes, which replace ``content.over``
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from mountfs.model.entry import NS_PER_S, Entry, File, Place
from mountfs.model.names import is_local_name
from mountfs.model.order import OrderKind
from mountfs.model.path import fold
from mountfs.model.value import value
from mountfs.tree.content import Content, Over
from mountfs.tree.kept import Kept
from mountfs.tree.listing import Listing
from mountfs.tree.refusal import Refusal

ROOT_ID = 1
ANY_BATCH_SIZE = 1 << 30


@dataclass(slots=True, eq=False)
class Flight:
    """What was asked of the service for *node*, and where that puts it.

    ``parent`` and ``name``: where the service will have the node (None after a removal). ``over``: the
    revision the order is about. ``mtime_ns``: the time that goes with it. ``is_carried``: a new folder that
    the files of its batch make by the way. What is done to the node meanwhile does not change the flight.
    """

    id: int
    kind: OrderKind
    node: Node
    parent: Node | None
    name: str
    place: Place
    source: Place | None = None
    item_id: str = ""
    over: Over | None = None
    content: Content | None = None
    mtime_ns: int | None = None
    is_carried: bool = False
    batch: int = 0
    """The id of the batch that it is sent in."""
    heard: str | None = None
    """The revision (of a folder: the id) that news reported at the flight's place before its outcome was
    known; "" if something else happened there."""
    is_doubted: bool = False
    """Whether the folder that it leaves is to be listed again once the outcome is known: something else was
    seen there, or the node was seen elsewhere."""
    is_left: bool = False
    """Whether news told that the node is gone from the place that the order takes it from."""
    above: list[Node] = field(default_factory=list)
    """The folders that count it among their ``flights_below``."""


@value
class State:
    """What is stored of a node. ``draft``: bytes that are being written, and are nobody's version yet.
    ``mtime_ns``: a time that is kept here because the service does not have it. ``kept``: what only this
    machine keeps.

    ``at``, ``based``, ``holding``, ``flying``, ``sealed`` and ``removed`` are ``dataclasses.replace`` at a
    fifth of its cost: a call makes a few.
    """

    parent: Node | None
    name: str
    base_parent: Node | None = None
    base: Entry | None = None
    content: Content | None = None
    draft: Content | None = None
    mtime_ns: int | None = None
    refusal: Refusal | None = None
    flight: Flight | None = None
    kept: Kept | None = None

    def at(self, parent: Node | None, name: str) -> State:
        """Shown elsewhere; None: removed."""
        return State(
            parent,
            name,
            self.base_parent,
            self.base,
            self.content,
            self.draft,
            self.mtime_ns,
            self.refusal,
            self.flight,
            self.kept,
        )

    def based(self, base_parent: Node | None, base: Entry | None) -> State:
        """The service has it there, as *base*."""
        return State(
            self.parent,
            self.name,
            base_parent,
            base,
            self.content,
            self.draft,
            self.mtime_ns,
            self.refusal,
            self.flight,
            self.kept,
        )

    def holding(self, content: Content | None, draft: Content | None) -> State:
        """Other bytes of ours."""
        return State(
            self.parent,
            self.name,
            self.base_parent,
            self.base,
            content,
            draft,
            self.mtime_ns,
            self.refusal,
            self.flight,
            self.kept,
        )

    def flying(self, flight: Flight | None) -> State:
        """On its way by *flight*; None: not any more."""
        return State(
            self.parent,
            self.name,
            self.base_parent,
            self.base,
            self.content,
            self.draft,
            self.mtime_ns,
            self.refusal,
            flight,
            self.kept,
        )

    def sealed(self, content: Content) -> State:
        """*content* is its version, in place of what was kept here, being written or refused."""
        return State(
            self.parent, self.name, self.base_parent, self.base, content, flight=self.flight, kept=self.kept
        )

    def removed(self) -> State:
        """Removed here, with the bytes of ours that it had."""
        return State(None, self.name, self.base_parent, self.base, flight=self.flight, kept=self.kept)

    @property
    def set_aside(self) -> Refusal | None:
        """Why a start keeps its bytes from being sent: nothing that the service answers ends that."""
        refusal = self.refusal
        return refusal if refusal is not None and refusal.kind is None else None

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing is left of the node: neither here nor at the service, nor on its way there."""
        return self.parent is None and self.base is None and self.flight is None


FORGOTTEN = State(None, "")


def forgotten(state: State) -> State:
    """FORGOTTEN, but for what is kept: who has the removed file open is still told its mode."""
    return FORGOTTEN if state.kept is None else State(None, "", kept=state.kept)


class FolderPart:
    """What a folder has beside its state."""

    __slots__ = (
        "arrivals",
        "children",
        "claims",
        "flights_below",
        "folders",
        "gone",
        "has_some",
        "listing",
        "loose",
        "tally",
    )

    def __init__(self) -> None:
        self.children: dict[str, Node] | None = None
        """What the mount shows in it, by folded name; None: not loaded from the store."""
        self.folders = 0
        """How many of ``children``, or of ``arrivals``, are folders."""
        self.has_some = False
        """Whether nodes in it are, or were, in memory though ``children`` are not: they came into it. They
        know this node, which must not give way to another one."""
        self.loose = 0
        """How many more are, which were found by their ids and may be let go of."""
        self.arrivals: dict[str, Node] | None = None
        """While ``children`` are being loaded: those that were, and what came into the folder meanwhile."""
        self.gone: dict[str, Node] | None = None
        """Nodes that the service has in it and the mount elsewhere or nowhere, by their folded name there."""
        self.claims: dict[str, Node] | None = None
        """Names in it that orders on their way will give to a node."""
        self.flights_below = 0
        """Orders on their way that touch something below it, as the service has it."""
        self.listing = Listing()
        self.tally: list[int] | None = None
        """Counts and bytes of what is not clean below it: see ``tree.tally``."""


class Pending:
    """What the planner knows of a node that is not clean; not stored.

    Of most nodes nothing is said but their times, what they wait for, and their queue. The rest has defaults,
    and takes memory only where it was set: 100,000 may be pending.
    """

    __slots__ = ("__dict__", "blocked_on", "queue", "ready_since_s", "since_ns", "touched_ns")

    is_relaxed: bool = False
    """Whether it need not wait for the folders above it to reach their places: they wait for it."""
    is_detoured: bool = False
    """Whether it takes another name for a moment, because its own is free only after it has left the one it
    has."""
    is_stuck: bool = False
    """Whether it waits for something that was refused."""
    is_renamed: bool = False
    """Whether it got another name since it was last sent, even if it has the old one again."""
    is_wanted: bool = False
    """Whether something is to be moved into this new folder: it cannot wait for a file to make it."""
    attempts: int = 0
    refusals: int = 0
    """Answers with a no in a row: so many make it refused."""
    error: str | None = None
    """What the last attempt met."""
    most_together: int = ANY_BATCH_SIZE
    """It goes in no larger batch: the last one it was in failed as a whole, and nobody knows for whom."""
    held_until_s: float = -math.inf
    fails_with: Node | None = None
    """The refused new folder that it was refused in, too."""
    unheard: tuple[str, ...] = ()
    """Hashes of versions that were sent, and of which nothing was heard or seen: they may still arrive."""
    sent_time: tuple[str, int] | None = None
    """An upload session with such a commit, and the time in it: it is repeated as it was."""

    def __init__(self, wall_ns: int) -> None:
        self.since_ns = wall_ns
        """Since when it is not clean."""
        self.touched_ns = wall_ns
        """When its name or bytes last changed: the start of its settling."""
        self.blocked_on: Node | None = None
        """What must take effect first."""
        self.queue: OrderKind | None = None
        """Whose queue of ready nodes it is in."""
        self.ready_since_s = 0.0

    def touch(self, wall_ns: int) -> None:
        """Its name or bytes changed just now: what was met before is void."""
        self.touched_ns = wall_ns
        self.forgive()
        if self.held_until_s != Pending.held_until_s:
            self.held_until_s = Pending.held_until_s

    def forgive(self) -> None:
        """Its next attempt is the first."""
        if self.attempts or self.refusals or self.is_relaxed:
            self.attempts = self.refusals = 0
            self.is_relaxed = False

    def sent(self) -> None:
        """What was planned for its next order, such as a detour, went into the flight that was just made."""
        if self.is_detoured or self.is_wanted or self.is_renamed:
            self.is_detoured = self.is_wanted = self.is_renamed = False


class Node:
    """One file or folder; compared by identity. Everything in it is guarded by the tree's lock."""

    __slots__ = ("counted", "folder", "id", "is_local", "is_saved", "key", "pending", "pins", "state")

    def __init__(self, node_id: int, *, is_folder: bool) -> None:
        self.id = node_id
        self.state = FORGOTTEN
        self.key = ""
        """The folded name it has now."""
        self.is_local = False
        """Whether its name, or its kind, keeps it on this machine unless the service has it."""
        self.folder: FolderPart | None = FolderPart() if is_folder else None
        self.pending: Pending | None = None
        self.counted: tuple[int, int, int, Node] | None = None
        """What it adds to the tally of the folder it counts in: its word, its bytes, 1 if it is a file to be
        put."""
        self.pins = 0
        """How many open files and handles keep it in memory."""
        self.is_saved = False
        """Whether the store has a row of it."""

    def note_name(self, state: State) -> None:
        """Its name is that of *state* from here on."""
        name, kept = state.name, state.kept
        key = fold(name)
        self.key = name if key == name else key  # one string: names are a tenth of the memory
        self.is_local = is_local_name(name) or (kept is not None and kept.is_special)

    @property
    def is_folder(self) -> bool:
        return self.folder is not None

    @property
    def is_special(self) -> bool:
        """Whether it is a symbolic link, a fifo, a socket or a device: it stays on this machine."""
        kept = self.state.kept
        return kept is not None and kept.is_special

    @property
    def part(self) -> FolderPart:
        """Its folder part; the node must be a folder."""
        assert self.folder is not None
        return self.folder

    def __repr__(self) -> str:
        return f"<{'folder' if self.is_folder else 'file'} {self.id} {path_of(self)!r}>"


def home_of(node: Node) -> Node | None:
    """The folder in which what is pending of *node* counts: where it is shown, or was before its removal."""
    state = node.state
    if state.parent is not None:
        return state.parent
    if state.base_parent is not None:
        return state.base_parent
    return state.flight.parent if state.flight is not None else None


def has_moved(state: State) -> bool:
    """Whether the mount shows a node elsewhere than the service has it."""
    return (
        state.parent is not None
        and state.base is not None
        and (state.parent is not state.base_parent or state.name != state.base.name)
    )


def whole_seconds(mtime_ns: int) -> int:
    """The services keep whole seconds; showing the same before and after the commit keeps tools calm."""
    return mtime_ns - mtime_ns % NS_PER_S


def time_of(node: Node) -> int | None:
    """The modification time in ns that the mount shows; None for a folder that has none of its own."""
    state = node.state
    if state.draft is not None:
        return state.draft.mtime_ns
    if state.content is not None:
        return state.content.mtime_ns
    if state.mtime_ns is not None:
        return state.mtime_ns
    return state.base.mtime_ns if isinstance(state.base, File) else None


def size_of(node: Node) -> int:
    """The size in bytes that the mount shows, unless an open file knows better."""
    state = node.state
    content = state.draft or state.content
    if content is not None:
        return content.size_bytes
    return state.base.size_bytes if isinstance(state.base, File) else 0


def remote_id(node: Node) -> str:
    """The service's id of it; "" where it has none, or did not tell it."""
    base = node.state.base
    return base.id if base is not None else ""


def above(node: Node) -> Iterator[Node]:
    """*node* and the folders above it, the nearest first: where they are shown, or were before a removal."""
    at: Node | None = node
    while at is not None:
        yield at
        at = at.state.parent if at.state.parent is not None else at.state.base_parent


def path_of(node: Node) -> str:
    """Where the mount shows it, "/" being the top of the account; for people, not for orders."""
    names = [each.state.name for each in above(node) if each.id != ROOT_ID]
    return "/" + "/".join(reversed(names))
