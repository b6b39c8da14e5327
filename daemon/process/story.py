"""What happened to each file since the mount began, as far as there is room to remember it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from daemon.control.changes import StoryEvent
from daemon.control.status import in_bytes
from mountfs.model.entry import NS_PER_S, File
from mountfs.model.order import OrderKind
from mountfs.tree.node import Node, State, path_of
from mountfs.tree.tree import Tree

MOST_EVENTS = 20_000
"""Changes of all files together: some 5 MB. Six make the story of a file that is copied in."""
MOST_OF_ONE = 100
"""Of one file, the latest: a log that is appended to all day leaves room for the others."""

Telling = Callable[[], str]
"""Puts an event into words."""


class Stories:
    """Told by the tree, under its lock. What was changed least recently is forgotten first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._stories: OrderedDict[int, list[tuple[int, State, State]]] = OrderedDict()
        """By the node's id: when, and from what to what. States are shared and never change; what happened
        is worked out when somebody asks."""
        self._count = 0
        tree.watch(self._note)

    def of(self, node: Node) -> tuple[StoryEvent, ...]:
        """The events of *node*, the oldest first."""
        with self._tree.lock:
            events = tuple(self._stories.get(node.id, ()))
            return tuple(
                StoryEvent(wall_ns / NS_PER_S, telling())
                for wall_ns, before, after in events
                for telling in _events(before, after)
            )

    def left(self, folder: Node, name: str) -> bool:
        """Whether something that had *name* in *folder* was removed or renamed, as far as is remembered.
        Looks through all events: some 2 ms, for who asks of a path where nothing is."""
        with self._tree.lock:
            return any(
                before.name == name and before.parent is not None and before.parent.id == folder.id
                for events in self._stories.values()
                for _, before, after in events
                if after.parent is not before.parent or after.name != before.name
            )

    @property
    def count(self) -> int:
        """How many changes are remembered."""
        return self._count

    def _note(self, node: Node, before: State, after: State) -> None:
        """The tree's listener."""
        story = self._stories.get(node.id)
        if story is None:
            story = self._stories[node.id] = []  # a deque takes 0.6 KB for its first event
        else:
            self._stories.move_to_end(node.id)
        story.append((self._tree.clock.wall_ns(), before, after))
        if len(story) > MOST_OF_ONE:
            del story[0]
        else:
            self._count += 1
        while self._count > MOST_EVENTS:
            _, forgotten = self._stories.popitem(last=False)
            self._count -= len(forgotten)


def _events(before: State, after: State) -> Iterator[Telling]:
    if after.flight is not None and before.flight is None:
        yield _sent(after)
    if before.flight is not None and after.flight is None:
        yield _outcome(before, after)
    elif before.base is not after.base:
        yield _seen(after)
    if after.parent is not before.parent or after.name != before.name:
        yield _moved(before, after)
    yield from _bytes(before, after)
    if after.refusal is not None and after.refusal is not before.refusal:
        reason = after.refusal.reason
        yield lambda: f"refused: {reason}"


def _bytes(before: State, after: State) -> Iterator[Telling]:
    draft, content = after.draft, after.content
    known = {each.id for each in (before.draft, before.content) if each is not None}
    if draft is not None and draft.id not in known:
        yield lambda: "written to"
    if content is None:
        return
    was = before.content
    if was is None or was.id != content.id:
        size_bytes = content.size_bytes
        yield lambda: f"closed with {in_bytes(size_bytes)}"
        was = None
    is_same = was is not None and was.id == content.id
    if content.session is not None and (was is None or was.session is None) and not content.is_uploaded:
        yield lambda: "an upload session is open for it"
    if content.is_uploaded and is_same and was is not None and not was.is_uploaded:
        # Where small files travel with their commit (Box), there is no session.
        is_there = content.session is not None
        yield lambda: "all its bytes are at the service" if is_there else "hashed, to travel with its commit"


def _sent(after: State) -> Telling:
    flight = after.flight
    assert flight is not None
    return lambda: f"{flight.kind} ordered as {flight.place}, order {flight.id} in batch {flight.batch}"


def _outcome(before: State, after: State) -> Telling:
    flight, base = before.flight, after.base
    assert flight is not None
    if base is before.base:
        return lambda: f"order {flight.id} was not carried out"
    if base is None:
        return lambda: f"order {flight.id}: removed at the service"
    if isinstance(base, File) and flight.kind is not OrderKind.MOVE:
        return lambda: f"order {flight.id}: committed as revision {base.revision}"
    return lambda: f"order {flight.id}: done"


def _seen(after: State) -> Telling:
    base = after.base
    if base is None:
        return lambda: "removed at the service by somebody else"
    if isinstance(base, File):
        return lambda: f"seen at the service: revision {base.revision}"
    return lambda: "seen at the service"


def _moved(before: State, after: State) -> Telling:
    parent, name = before.parent, before.name
    if after.parent is None:
        return lambda: "removed here"
    if parent is None:
        return lambda: "new here"
    return lambda: f"renamed from {path_of(parent).rstrip('/')}/{name}"
