"""The plan: which nodes are ready to be told to the service, kept up to date as nodes change.

Nothing here is computed anew from all that is pending: a node that changed is looked at again, and so are
those that waited for it. It is then in one of these:

    settling   its name or bytes changed just now
    held       an attempt failed, and the next one has its time
    waiting    something else must take effect first
    ready      in the queue of what it wants
"""

from __future__ import annotations

import heapq
import logging
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from mountfs.errors import Internal
from mountfs.model.order import OrderKind
from mountfs.model.settling import SETTLE_S
from mountfs.ports import BackendLimits
from mountfs.tree import tally
from mountfs.tree.bases import is_attached
from mountfs.tree.circles import circle_of, open_circle
from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.lockedfiles import LockedFiles
from mountfs.tree.node import Node, Pending, path_of
from mountfs.tree.order import Blocked, blocked, is_lost, new_folders_above, next_step
from mountfs.tree.remote import lose
from mountfs.tree.settling import SettlingTime
from mountfs.tree.takeover import needs_base, replaced_by, take_over
from mountfs.tree.tree import Planner, Tree
from mountfs.tree.twins import is_at_service
from mountfs.tree.vanishing import lose_within
from mountfs.tree.waits import Waits
from mountfs.tree.word import is_refused, keeps_here

LOG = logging.getLogger(__name__)

HELD_S = 30.0
"""When a node is tried again at which a bug showed."""
LOOKED_AT_ONCE = 25
"""Nodes looked at in one step: nobody waits for the lock longer than that takes (0.5 ms)."""
EXPIRED_AT_ONCE = 200
"""Nodes that have settled, or may be tried again, taken up in one step, likewise."""
RELEASED_AT_ONCE = 2_000
"""Nodes whose wait ended, taken up in one step, likewise."""


class Uploads(Protocol):
    """The part of ``upload.uploader`` that is needed here."""

    def want(self, node: Node) -> None:
        """The bytes of *node* are to go up, if they are not on their way already. Under the lock."""


class NoUploads:
    """Nobody sends bytes."""

    def want(self, node: Node) -> None:
        """Nothing comes of it."""


class Unsendable(Exception):
    """A bug, raised as *error* while *node* was looked at or made an order of. It concerns that node
    alone."""

    def __init__(self, node: Node, error: Exception) -> None:
        super().__init__(f"{path_of(node)} cannot be sent: {error!r}")
        self.node = node
        self.error = error


class Plan(Planner):
    """Everything under the tree's lock. ``wake`` is set by the assembly. It is called, under the lock, at the
    first change after a look."""

    def __init__(self, tree: Tree, limits: BackendLimits, usual_settle_s: float = SETTLE_S) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.uploads: Uploads = NoUploads()
        self.is_hurried: Callable[[], bool] = lambda: False
        self.rescue: Callable[[Node], None] = lambda _node: None
        """Called, under the lock, with what a bug left in a folder that has vanished."""
        self._tree = tree
        self._locked_files = LockedFiles(tree)
        self.heard = self._locked_files.heard  # to be told of the service's changes, without the lock
        self._limits = limits
        self._settling_time = SettlingTime(tree, limits, usual_settle_s)
        self._stale: OrderedDict[int, Node] = OrderedDict()
        self._waits = Waits()
        self._ready: dict[OrderKind, OrderedDict[int, Node]] = {kind: OrderedDict() for kind in OrderKind}
        self._timers: list[tuple[float, int, Node]] = []
        self._settling: dict[int, Node] = {}
        self._is_woken = False
        self._bugs: deque[tuple[str, Exception]] = deque()
        """What ``tell`` is to tell: paths, and what was raised there."""
        self._lost: dict[int, Node] = {}
        """Folders that have vanished, with something of ours in them: for ``lose_folders``."""
        self.looks = 0
        """How many nodes were looked at so far: a measure of work that does not depend on the machine."""
        self._left_pending: list[Node] = []
        """Nodes that a former process left pending and that were not looked at yet, the newest first."""
        tree.planner = self

    # Told by the tree

    def touch(self, node: Node) -> None:
        if node.pending is not None:
            self._stale[node.id] = node
            self._rouse()
        self._free(node)

    def take_up(self, nodes: Iterable[Node]) -> None:
        """*nodes*, which a former process left pending, are to be looked at, after all that changes
        meanwhile."""
        with self._tree.lock:
            self._left_pending = list(nodes)
            self._left_pending.reverse()

    def forget(self, node: Node) -> None:
        self._leave(node)
        self._stale.pop(node.id, None)
        self._locked_files.forget(node)
        if not self._stale:
            self._is_woken = False  # there is nothing to look at: the next change wakes again

    def hurry(self) -> None:
        """Names that are still settling need not: somebody waits for the commit."""
        with self._tree.lock:
            self._stale.update(self._settling)
            self._settling.clear()

    # Looking

    def look(self, now_s: float) -> float:
        """Brings a part of the plan up to date; when to look again: *now_s* if there is more to do."""
        with self._tree.lock:
            self._is_woken = False
            for _ in range(EXPIRED_AT_ONCE):
                if not self._timers or (
                    self._timers[0][0] > now_s and self._timers[0][2].pending is not None
                ):
                    break
                _, _, node = heapq.heappop(self._timers)
                if node.pending is not None:
                    self._stale[node.id] = node
            for _ in range(LOOKED_AT_ONCE):
                if self._waits.has_ended:
                    for each in self._waits.take_up(RELEASED_AT_ONCE):
                        self._stale[each.id] = each
                    if self._waits.has_ended:
                        return now_s
                if self._stale:
                    _, node = self._stale.popitem(last=False)
                elif self._left_pending:
                    node = self._left_pending.pop()
                else:
                    self._is_woken = False  # also of what changed while it was looked at
                    return self.due_s
                try:
                    self._look_at(node, now_s)
                except Unsendable as bug:
                    self.hold(bug, now_s)
            return now_s

    @property
    def due_s(self) -> float:
        """When something will have settled, or is to be tried again."""
        return self._timers[0][0] if self._timers else math.inf

    @property
    def has_changed(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._stale or self._waits.has_ended or self._left_pending)

    @property
    def has_lost(self) -> bool:
        """Whether ``lose_folders`` has something to do."""
        return bool(self._lost)

    def ready(self, kind: OrderKind) -> int:
        """How many nodes are ready for an order of *kind*."""
        return len(self._ready[kind])

    def oldest_s(self, kind: OrderKind) -> float:
        """Since when the oldest of these nodes is ready; ``math.inf``: there is none."""
        first = next(iter(self._ready[kind].values()), None)
        return math.inf if first is None or first.pending is None else first.pending.ready_since_s

    def take(self, kind: OrderKind, now_s: float, together: Collection[Node]) -> Iterator[Node]:
        """Gives the nodes that are ready for *kind*, the oldest first. Each is looked at once more, since
        those before it go *together* with it. Ends early where many turn out to have to wait. Unsendable."""
        queue = self._ready[kind]
        looks = LOOKED_AT_ONCE
        while queue and looks:
            node = next(iter(queue.values()))
            self._look_at(node, now_s, together)
            if node.pending is None or node.pending.queue is not kind:
                looks -= 1
                continue
            self._leave(node)
            yield node

    @contextmanager
    def concerning(self, node: Node) -> Iterator[None]:
        """Whatever fails inside is done again later. After MACHINE_TROUBLE *node* is looked at once more. Any
        other exception is a bug, and raised as Unsendable: the caller undoes its transaction and calls
        ``hold``."""
        try:
            yield
        except MACHINE_TROUBLE:
            self._stale[node.id] = node
            raise
        except Exception as error:
            raise Unsendable(node, error) from error

    def hold(self, bug: Unsendable, now_s: float) -> None:
        """Tries the node of *bug* again in HELD_S; meanwhile no other waits for it. Call it after the
        transaction in which the bug showed is undone, or half of what was decided would stay."""
        node, error = bug.node, bug.error
        self._bugs.append((path_of(node), error))
        self._stale.pop(node.id, None)  # the roll-back touched it
        if node.state.flight is None and not is_attached(node):
            self.rescue(node)
            return
        if node.pending is not None:
            self._tree.note_error(node, str(Internal.of(error)))
            node.pending.held_until_s = now_s + HELD_S
            heapq.heappush(self._timers, (now_s + HELD_S, self._tree.store.next_id(), node))

    def lose_folders(self, now_s: float) -> None:
        """Loses the folders that were found to have vanished, with what is in them, a part at a time. Without
        the lock."""
        while self._lost:
            with self._tree.lock:
                node = self._lost.popitem()[1] if self._lost else None
            if node is None:
                return
            try:
                with self.concerning(node):
                    lose_within(self._tree, node)
                    with self._tree.transaction():
                        if node.state.flight is None and is_lost(node):
                            lose(self._tree, node)
            except Unsendable as bug:
                with self._tree.lock:
                    self.hold(bug, now_s)

    def tell(self) -> None:
        """Writes the bugs since the last call to the log. Without the lock: a disk may be slow."""
        while self._bugs:
            path, error = self._bugs.popleft()
            LOG.error("%s cannot be sent, and is tried again later", path, exc_info=error)

    def waiting_for(self, node: Node) -> list[Node]:
        """What waits for *node*, and for those that do."""
        return self._waits.all_on(node)

    def may_begin(self, node: Node) -> float | None:
        """Seconds until an upload session that is for one place only may begin for *node*: until its name has
        settled. None: something else has to take effect first, or its name keeps it on this machine."""
        pending = node.pending
        step = next_step(node, self._limits)
        if pending is None or step is not OrderKind.PUT or keeps_here(node) or is_refused(node):
            return None
        if replaced_by(self._tree, node, step) is not None:
            return max(0.0, self._left_s(node, step))
        found = blocked(self._tree, node, step, self._limits)
        if found is None:
            return max(0.0, self._left_s(node, step))
        if pending.blocked_on is None:
            # At the last look nothing blocked it: without another one it would not be noted as waiting.
            self.touch(node)
        return None

    # Inside

    def _look_at(self, node: Node, now_s: float, together: Collection[Node] = ()) -> None:
        self.looks += 1
        self._leave(node)
        if node.pending is None:
            return
        with self.concerning(node):
            self._decide(node, node.pending, now_s, together)

    def _decide(self, node: Node, pending: Pending, now_s: float, together: Collection[Node]) -> None:
        if node.state.flight is None and is_lost(node):
            if node.folder is not None and node.state.parent is not None and tally.has_any(node):
                self._lost[node.id] = node
                return
            with self._tree.transaction():
                lose(self._tree, node)
            return
        if is_refused(node):
            self._reconsider(node, pending)
            due_s = self._locked_files.try_again(node, now_s)
            if due_s < math.inf:
                heapq.heappush(self._timers, (due_s, self._tree.store.next_id(), node))
        is_stuck = False
        step = next_step(node, self._limits)
        if step is not None and not is_refused(node) and not keeps_here(node):
            wait_s = max(self._left_s(node, step), pending.held_until_s - now_s)
            if wait_s > 0:
                self._settling[node.id] = node
                heapq.heappush(self._timers, (now_s + wait_s, self._tree.store.next_id(), node))
            else:
                is_stuck = self._place(node, step, now_s, together)
        if node.pending is not None and is_stuck is not pending.is_stuck:
            pending.is_stuck = is_stuck
            self._tree.recount(node)
            self._free(node)

    def _reconsider(self, node: Node, pending: Pending) -> None:
        """A refused new folder is tried again under another name, with all that was refused in it: `mkdir d;
        touch d/x`, both refused; after `mv d e` e and e/x are sent. A recovered copy in d is not."""
        above = new_folders_above(node)
        if not above or node.state.set_aside is not None:
            return
        refused = next((folder for folder in reversed(above) if is_refused(folder)), None)
        if refused is not None:
            pending.fails_with = refused
        elif pending.fails_with in above and _is_renamed(pending.fails_with):
            pending.fails_with = None
            self._tree.change((node, replace(node.state, refusal=None)))
            return
        by = refused or above[-1]
        self._waits.begin(node, by)

    def _place(self, node: Node, step: OrderKind, now_s: float, together: Collection[Node]) -> bool:
        """Queues a settled node, or has it wait. Returns whether it waits for something that was refused."""
        pending = node.pending
        assert pending is not None
        before = replaced_by(self._tree, node, step)
        if before is not None:
            if not needs_base(node):
                take_over(self._tree, node, before, places_bind=self._limits.sessions_have_places)
            return False  # it is looked at again, also once its bytes are here
        found = blocked(self._tree, node, step, self._limits, together)
        if found is not None:
            return self._wait(node, step, found)
        if not is_at_service(self._tree, self._limits, node, step):
            self.uploads.want(node)
            return False
        pending.queue = step
        if not together:
            pending.ready_since_s = now_s
        self._ready[step][node.id] = node
        return False

    def _wait(self, node: Node, step: OrderKind, found: Blocked) -> bool:
        by = found.by
        if by is None:
            return False
        assert node.pending is not None
        circle = circle_of(node, by)
        self._waits.begin(node, by)
        if by.pending is None:
            # A clean node has the name: somebody else put it there meanwhile.
            return is_refused(by)
        opened = open_circle(self._tree, self._limits, circle) if circle else None
        if opened is not None:
            self._stale[opened.id] = opened
        if (step is OrderKind.MOVE or node.pending.refusals) and not by.pending.is_wanted:
            by.pending.is_wanted = True
            self._stale[by.id] = by
        return is_refused(by) or by.pending.is_stuck

    def _leave(self, node: Node) -> None:
        pending = node.pending
        if pending is None:
            for queue in self._ready.values():
                queue.pop(node.id, None)
            return
        if pending.queue is not None:
            self._ready[pending.queue].pop(node.id, None)
            pending.queue = None
        self._waits.leave(node)
        self._settling.pop(node.id, None)

    def _free(self, node: Node) -> None:
        """Has those that wait for *node* looked at again, a part of them at a time."""
        if self._waits.end(node):
            self._rouse()

    def _rouse(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self.wake()

    def _left_s(self, node: Node, step: OrderKind) -> float:
        return self._settling_time.left_s(node, step, is_hurried=self.is_hurried())


def _is_renamed(node: Node) -> bool:
    return node.pending is not None and node.pending.is_renamed
