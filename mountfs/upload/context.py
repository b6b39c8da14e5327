"""What both senders of the uploader work with: tree, spool, service, and how failures are noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from mountfs.errors import MountfsError
from mountfs.model.advice import advised
from mountfs.model.linkrate import LinkRate
from mountfs.model.loggedpacer import LoggedPacer
from mountfs.model.order import OrderKind
from mountfs.model.pacing import USUAL, Pace, Pacer, is_account_wide
from mountfs.model.pausing import Pause, is_full
from mountfs.model.source import Source
from mountfs.ports import Backend, BackendLimits, Clock
from mountfs.tree.content import Content, Twin
from mountfs.tree.node import Node, path_of
from mountfs.tree.refusal import Refusal
from mountfs.tree.tree import Edit, Tree
from mountfs.tree.word import is_refused, keeper_of
from mountfs.upload.meter import Meter
from mountfs.upload.urgency import Urgency

Work = Callable[[], None]
"""One request and what follows from it; run without any lock."""


class SpoolBytes(Protocol):
    """The part of the spool that is needed here."""

    def source(self, name: str) -> Source:
        """The spool file *name*, as the backend reads it."""


class WorkSource(Protocol):
    """Gives worker threads something to do. ``*_locked``: the caller holds the tree's lock."""

    def claim_locked(self, now_s: float) -> Work | None:
        """The next unit of work for the calling thread; None: nothing can be done now."""

    def due_locked(self, now_s: float) -> float:
        """When the next unit of work can be claimed, in seconds of the clock; may be past. ``math.inf``: not
        before a file or the service changes something."""


@dataclass(slots=True)
class UploadContext:
    """The tree, the bytes, the service, and what both senders note there.

    ``may_begin``: in how many seconds a session for a node's place may begin. None: another order has to take
    effect before. ``folder_lost``: called without the lock once the service has said that a node's folder is
    gone. It asks the service what became of the folder; True: the service told. ``pause``: no file goes up
    while the account is full. ``rate``: how fast bytes go. ``account_pacer``: holds every upload back after
    an error that would befall any file, such as a 429.
    """

    tree: Tree
    spool: SpoolBytes
    backend: Backend
    clock: Clock
    urgency: Urgency
    may_begin: Callable[[Node], float | None]
    folder_lost: Callable[[Node], bool]
    pause: Pause
    rate: LinkRate
    account_pacer: Pacer = field(default_factory=lambda: LoggedPacer("uploads"))
    meter: Meter = field(default_factory=Meter)

    @property
    def limits(self) -> BackendLimits:
        return self.backend.limits

    def source(self, content: Content) -> Source:
        """The spool file of *content*, as the backend reads it."""
        return self.spool.source(content.spool)

    @contextmanager
    def timed(self, size_bytes: int) -> Iterator[None]:
        """Around a request with so many bytes, which counts for ``rate`` unless it fails."""
        started_s, gone_bytes = self.clock.now_s(), 0
        with self.tree.lock:
            self.rate.began(started_s)
        try:
            yield
            gone_bytes = size_bytes
        finally:
            with self.tree.lock:
                self.rate.ended(started_s, self.clock.now_s(), gone_bytes)

    def failed_locked(self, pacer: Pacer, error: MountfsError, started_s: float, size_bytes: int = 0) -> None:
        """Has the next try wait. A full account begins the pause, an error that would befall any file delays
        all of them, any other delays what *pacer* paces. *size_bytes*: of the smallest file in the
        request."""
        now_s = self.clock.now_s()
        if is_full(error) and self.pause.begin(error, size_bytes, started_s=started_s, now_s=now_s):
            return
        at = self.account_pacer if is_account_wide(error) else pacer
        at.failed(error, started_s=started_s, now_s=now_s, jitter=self.clock.jitter())

    def pacer_locked(self, content_id: int, pace: Pace = USUAL) -> Pacer:
        """A new pacer for the content alone; the log names its file."""
        node = self.tree.contents.get(content_id)
        return LoggedPacer(f"upload of {'a file' if node is None else path_of(node)}", pace)

    def tell_locked(self, content_id: int, error: MountfsError | None) -> None:
        """Notes on the content's node what its last attempt failed by; None: it did not fail."""
        node = self.tree.contents.get(content_id)
        if node is not None:
            self.tree.note_error(node, None if error is None else str(error))

    def sealed_locked(self, content_id: int) -> tuple[Node, Content] | None:
        """The content and its node, if its bytes still have to go up. None, for instance: it is gone, is
        uploaded, was refused, or is the version of a file whose name stays on this machine."""
        found = self.tree.content(content_id)
        if found is None:
            return None
        node, content = found
        is_wanted = node.state.content is content and not content.is_uploaded and not is_refused(node)
        return found if is_wanted and keeper_of(node) is None else None

    def refuse_locked(self, content_id: int, error: MountfsError) -> None:
        """Marks the node as refused until a user changes something, if the content still has to go up."""
        found = self.sealed_locked(content_id)
        if found is None:
            return
        node, _ = found
        with self.tree.transaction():
            refusal = Refusal(OrderKind.PUT, advised(error), self.clock.wall_ns(), type(error))
            self.tree.notice(path_of(node), f"not uploaded: {error}")
            self.tree.change((node, replace(node.state, refusal=refusal)))

    def note_session_locked(self, content_id: int, session: str | None) -> None:
        """Writes *session* into the content's row, so that a restart resumes it. The session that stood there
        becomes an orphan, and the rows of its parts go."""
        found = self.tree.content(content_id)
        if found is None or found[1].session == session:
            return
        node, content = found
        state, after = node.state, replace(found[1], session=session)
        tree = self.tree
        with tree.transaction():
            if content.session is not None:
                tree.add_orphan(content.session)
                tree.store.parts.clear(content_id)
            if state.content is content:
                after_state = state.holding(after, state.draft)
            else:
                after_state = state.holding(state.content, after)
            if content_id in tree.unsaved:
                tree.change((node, after_state))
            else:
                tree.change_bytes((node, after_state))

    def uploaded_locked(
        self, claimed: Content, content_hash: str, session: str | None, twin: Twin | None = None
    ) -> bool:
        """Notes that all bytes of *claimed* are at the service, in *session* or as its file *twin*. False:
        they are no longer wanted, for instance because the content is gone, or has other bytes or another
        size. Inside a transaction."""
        edit = self.arrival_locked(claimed, content_hash, session, twin)
        if edit is not None:
            self.tree.change_bytes(edit)
        return edit is not None

    def arrival_locked(
        self, claimed: Content, content_hash: str, session: str | None, twin: Twin | None = None
    ) -> Edit | None:
        """What ``uploaded_locked`` changes, for those who change many nodes at once; None: nothing."""
        found = self.tree.content(claimed.id)
        if found is None:
            return None
        node, content = found
        state = node.state
        if state.content is not content or content.is_uploaded:
            return None
        if content.spool != claimed.spool or content.size_bytes != claimed.size_bytes:
            return None
        self.tree.note_error(node, None)
        if twin is not None and content.session is not None:
            self.tree.add_orphan(content.session)
            self.tree.store.parts.clear(content.id)
        return node, state.holding(content.uploaded(content_hash, session, twin), state.draft)
