"""The plan: which nodes are ready to be told to the service, kept up to date as nodes change.

Nothing here is computed anew from all that is pending: a node that changed is looked at again, and so are
those that waited for it. It is then in one of these:

    settling   its name or bytes changed just now
    held       an attempt failed, and the next one has its time
    waiting    something else must take effect first
    ready      in the queue of what it wants
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from mountfs.errors import Internal
from mountfs.model.order import OrderKind
from mountfs.model.settling import SETTLE_S
from mountfs.ports import BackendLimits
from mountfs.tree import tally
from mountfs.tree.bases import is_attached
from mountfs.tree.circles import circle_of, open_circle
from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.lockedfiles import LockedFiles
from mountfs.tree.node import Node, Pending
from mountfs.tree.order import Blocked, blocked, is_lost, next_step
from mountfs.tree.planport import Planner
from mountfs.tree.readynodes import ReadyNodes
from mountfs.tree.refusedabove import reconsidered
from mountfs.tree.remote import lose
from mountfs.tree.settling import SettlingTime
from mountfs.tree.takeover import needs_base, replaced_by, take_over
from mountfs.tree.timers import Timers
from mountfs.tree.tree import Tree
from mountfs.tree.twins import is_at_service
from mountfs.tree.unsendable import Bugs, Unsendable
from mountfs.tree.vanishing import lose_within
from mountfs.tree.waits import Waits
from mountfs.tree.word import is_refused, keeps_here

HELD_S = 30.0
"""When a node is tried again at which a bug showed."""
LOOKED_AT_ONCE = 25
"""Nodes looked at in one step: nobody waits for the lock longer than that takes (0.5 ms)."""
EXPIRED_AT_ONCE = 200
"""Nodes that have settled, or may be tried again, taken up in one step, likewise."""
RELEASED_AT_ONCE = 2_000
"""Nodes whose wait ended, taken up in one step, likewise."""


class Plan(Planner):
    """Everything under the tree's lock. ``wake`` is set by the assembly. It is called, under the lock, at the
    first change after a look."""

    def __init__(self, tree: Tree, limits: BackendLimits, usual_settle_s: float = SETTLE_S) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.is_hurried: Callable[[], bool] = lambda: False
        self.want_bytes: Callable[[Node], None] = lambda _node: None
        """Called, under the lock, with what waits for nothing but its bytes to go up."""
        self.rescue: Callable[[Node], None] = lambda _node: None
        """Called, under the lock, with what a bug left in a folder that has vanished."""
        self._tree = tree
        self._locked_files = LockedFiles(tree)
        self.heard = self._locked_files.heard  # to be told of the service's changes, without the lock
        self._limits = limits
        self._settling_time = SettlingTime(tree, limits, usual_settle_s)
        self._stale: OrderedDict[int, Node] = OrderedDict()
        self._waits = Waits()
        self.ready = ReadyNodes()
        self._timers = Timers()
        self._settling: dict[int, Node] = {}
        self._is_woken = False
        self.bugs = Bugs()
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
            for each in self._timers.take_expired(now_s, EXPIRED_AT_ONCE):
                self._stale[each.id] = each
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
        return self._timers.due_s

    @property
    def has_changed(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._stale or self._waits.has_ended or self._left_pending)

    @property
    def has_lost(self) -> bool:
        """Whether ``lose_folders`` has something to do."""
        return bool(self._lost)

    def take(self, kind: OrderKind, now_s: float, together: Collection[Node]) -> Iterator[Node]:
        """Gives the nodes that are ready for *kind*, the oldest first. Each is looked at once more, since
        those before it go *together* with it. Ends early where many turn out to have to wait. Unsendable."""
        looks = LOOKED_AT_ONCE
        while looks and (node := self.ready.first(kind)) is not None:
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
        self.bugs.note(bug)
        self._stale.pop(node.id, None)  # the roll-back touched it
        if node.state.flight is None and not is_attached(node):
            self.rescue(node)
            return
        if node.pending is not None:
            self._tree.note_error(node, str(Internal.of(error)))
            node.pending.held_until_s = now_s + HELD_S
            self._timers.set(now_s + HELD_S, node)

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
            by = reconsidered(self._tree, node, pending)
            if by is not None:
                self._waits.begin(node, by)
            due_s = self._locked_files.try_again(node, now_s)
            if due_s < math.inf:
                self._timers.set(due_s, node)
        is_stuck = False
        step = next_step(node, self._limits)
        if step is not None and not is_refused(node) and not keeps_here(node):
            wait_s = max(self._left_s(node, step), pending.held_until_s - now_s)
            if wait_s > 0:
                self._settling[node.id] = node
                self._timers.set(now_s + wait_s, node)
            else:
                is_stuck = self._place(node, step, now_s, together)
        if node.pending is not None and is_stuck is not pending.is_stuck:
            pending.is_stuck = is_stuck
            self._tree.recount(node)
            self._free(node)

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
            self.want_bytes(node)
            return False
        if not together:
            pending.ready_since_s = now_s
        self.ready.enter(node, step)
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
        self.ready.leave(node)
        if node.pending is not None:
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
