"""Sends the bytes of pending files, on as many worker threads as there are."""

from __future__ import annotations

import math
from collections.abc import Callable

from mountfs.errors import MountfsError, NotSignedIn, Offline
from mountfs.model.comeback import Comeback
from mountfs.model.linkrate import LinkRate
from mountfs.model.pausing import Pause
from mountfs.ports import Backend, Clock
from mountfs.tree.content import Content
from mountfs.tree.node import Node, State
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_refused, keeper_of
from mountfs.upload.context import SpoolBytes, UploadContext, Work, WorkSource
from mountfs.upload.meter import Meter
from mountfs.upload.packsender import PackSender
from mountfs.upload.sessionsender import SessionSender
from mountfs.upload.twinfinder import TwinFinder
from mountfs.upload.urgency import Urgency

LOOKED_AT_ONCE = 50
"""Nodes looked at in one step: nobody waits for the lock longer than that takes (0.3 ms)."""
REST_S = 0.01
"""Between two such steps, whoever wakes a worker meanwhile: calls of the kernel get lock and interpreter, and
what a former process left is still looked at ten times faster than it can be sent."""


class Uploader:
    """Sends whole contents, and large files' bytes while they are being written.

    What it knows is derived from the tree and guarded by its lock; after a restart it goes on where the store
    says. ``wake`` is set by the assembly, has a worker look, and may be called under the lock.
    """

    def __init__(
        self,
        tree: Tree,
        spool: SpoolBytes,
        backend: Backend,
        clock: Clock,
        urgency: Urgency,
        *,
        may_begin: Callable[[Node], float | None],
        folder_lost: Callable[[Node], bool],
        pause: Pause,
        rate: LinkRate,
    ) -> None:
        """*may_begin*, *folder_lost*, *pause*, *rate*: see ``UploadContext``."""
        self.wake: Callable[[], None] = lambda: None
        self._context = UploadContext(
            tree, spool, backend, clock, urgency, may_begin, folder_lost, pause, rate
        )
        self._comeback = Comeback(self._context.account_pacer)
        twins = TwinFinder(self._context)
        self._packs = PackSender(self._context, twins)
        self._sessions = SessionSender(self._context, twins)
        self._sources: list[WorkSource] = [self._packs, self._sessions]
        with tree.lock:
            self._left_pending = list(tree.dirty.values())
            self._left_pending.reverse()
            self._next_left_s = -math.inf
            tree.watch(self._changed)
        urgency.watch(self._hurry)

    # What happens to files

    def wrote(self, content_id: int, start: int, stop: int) -> None:
        """Bytes [start, stop) of a draft were written that has at least ``session_min_bytes``; the first call
        tells of everything written so far. Any thread."""
        with self._context.tree.lock:
            is_due = self._sessions.wrote_locked(content_id, start, stop)
        if is_due:
            self.wake()

    def truncated(self, content_id: int, size_bytes: int) -> None:
        """A draft was cut or extended to *size_bytes*. Any thread."""
        with self._context.tree.lock:
            self._sessions.truncated_locked(content_id, size_bytes)

    def want(self, node: Node) -> None:
        """Nothing but its bytes keeps *node* from being committed. Under the lock."""
        if self._look_locked(node):
            self.wake()

    def give_up(self, content_id: int) -> None:
        """The rest of a content, some of which may be up, may never be had: its session does not stay open
        for that. Under the lock."""
        self._sessions.give_up_locked(content_id)

    def answered(self) -> None:
        """The service has answered somebody. Any thread."""
        context = self._context
        self._comeback.answered(context.tree.lock, context.clock.now_s, self.wake)

    @property
    def has_small(self) -> bool:
        """Whether small files are on their way up, so that more nodes will be ready for a commit soon."""
        is_going = self._packs.has_any and not self._context.pause.stops_uploads
        return is_going or bool(self._left_pending)

    def when_small_are_sent(self, call: Callable[[], None]) -> None:
        """Has *call* called, under the lock, when no small file is on its way any more."""
        self._packs.on_all_sent = call

    # Working

    def step(self, now_s: float) -> float:
        """One unit of work (at most one request with a body), by any of several threads at once."""
        with self._context.tree.lock:
            next_s = self._look_at_left_locked(now_s)
            work = self._claim_locked(now_s)
            if work is None:
                return min(self._due_locked(now_s), next_s)
        try:
            self._pass_on(now_s)
        finally:
            work()  # gives back what it claimed, whatever it raises
        return now_s

    # For status

    @property
    def is_offline(self) -> bool:
        """Whether the far side did not answer the last time."""
        return isinstance(self._context.account_pacer.error, Offline)

    @property
    def refused_login(self) -> NotSignedIn | None:
        """The service's answer, while it does not take the credentials."""
        error = self._context.account_pacer.error
        return error if isinstance(error, NotSignedIn) else None

    @property
    def last_error(self) -> str | None:
        """What keeps bytes from going up, in one line, while something does."""
        with self._context.tree.lock:
            error: MountfsError | None = (
                self._context.account_pacer.error or self._packs.trouble or self._sessions.trouble
            )
        return None if error is None else str(error)

    @property
    def meter(self) -> Meter:
        """How many bytes have arrived. Under the lock."""
        return self._context.meter

    def small_under_way(self, most: int) -> list[int]:
        """The contents of some small files that are being sent just now. Under the lock."""
        return self._packs.under_way(most) if self._context.limits.pack_entries else []

    @property
    def opening(self) -> int:
        """How many sessions the service is being asked for, perhaps for files that are gone by now: those
        are to be ended once they are known. Under the lock."""
        return self._sessions.opening

    # Inside

    def _look_at_left_locked(self, now_s: float) -> float:
        """Looks at some nodes that a former process left pending, the oldest first; when to look at more.
        None is looked at while nothing can be sent."""
        rest = self._left_pending
        if not rest:
            return math.inf
        due_s = max(self._next_left_s, self._context.account_pacer.ready_s)
        if due_s > now_s:
            return due_s
        for node in rest[: -LOOKED_AT_ONCE - 1 : -1]:
            self._look_locked(node)
        del rest[-LOOKED_AT_ONCE:]
        self._next_left_s = now_s + REST_S
        return self._next_left_s if rest else math.inf

    def _claim_locked(self, now_s: float) -> Work | None:
        """From the sender that was served less recently, so that neither starves the other."""
        if self._context.account_pacer.ready_s > now_s or self._context.pause.stops_uploads:
            return None
        for source in self._sources:
            work = source.claim_locked(now_s)
            if work is not None:
                self._sources.remove(source)
                self._sources.append(source)
                return work
        return None

    def _pass_on(self, now_s: float) -> None:
        """Wakes another worker if there is more to do."""
        with self._context.tree.lock:
            has_more = self._due_locked(now_s) <= now_s
        if has_more:
            self.wake()

    def _due_locked(self, now_s: float) -> float:
        if self._context.pause.stops_uploads:
            return math.inf
        due_s = min(source.due_locked(now_s) for source in self._sources)
        return max(due_s, self._context.account_pacer.ready_s)

    def _hurry(self) -> None:
        self.wake()

    def _changed(self, node: Node, before: State, after: State) -> None:
        """The tree's listener."""
        if after.content is None and before.content is None:
            was, now = before.draft, after.draft
            is_here = before.parent is after.parent or before.parent is None
            if is_here and (was is None or (now is not None and was.id == now.id)):
                return  # it is being written: nothing of it is whole, and nothing was
        kept = {each.id for each in (after.content, after.draft) if each is not None}
        for content in (before.content, before.draft):
            if content is not None and content.id not in kept:
                self._packs.remove_locked(content.id)
                self._sessions.remove_locked(content.id)
                self._context.meter.drop(content.id)
        content = after.content
        if content is None:
            if after.draft is not None and before.parent not in (None, after.parent):
                self.wake()  # a name that kept it here may be gone
        elif content.is_uploaded:
            self._packs.remove_locked(content.id)
            self._sessions.remove_locked(content.id)
            if self._context.limits.pack_entries:
                self._context.meter.drop(content.id)
        elif self._look_locked(node):
            self.wake()

    def _look_locked(self, node: Node) -> bool:
        """Gives a whole content that is not up yet to its sender; whether a worker should look."""
        content: Content | None = node.state.content
        if content is None or content.is_uploaded or is_refused(node):
            return False
        if keeper_of(node) is not None:
            self._packs.remove_locked(content.id)
            return False
        is_large = content.size_bytes >= self._context.limits.session_min_bytes
        if not content.is_whole:
            return is_large and self._sessions.expect_locked(node, content)
        if is_large or self._sessions.is_begun_locked(content.id):
            return self._sessions.add_locked(node, content)
        self._sessions.give_up_locked(content.id)
        return self._packs.add_locked(content)
