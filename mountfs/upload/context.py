"""What both senders of the uploader work with: tree, spool, service, and how failures are noted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from mountfs.errors import MountfsError
from mountfs.model.advice import advised
from mountfs.model.loggedpacer import LoggedPacer
from mountfs.model.order import OrderKind
from mountfs.model.pacing import USUAL, Pace, Pacer, is_account_wide
from mountfs.model.pausing import Pause, is_full
from mountfs.model.source import Source
from mountfs.ports import Backend, BackendLimits, Clock
from mountfs.tree.content import Content
from mountfs.tree.node import Node, Refusal, path_of
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_refused, keeper_of
from mountfs.upload.urgency import Urgency

Work = Callable[[], None]
"""One request and what follows from it; run without any lock."""


class SpoolBytes(Protocol):
    """The part of the spool that is needed here."""

    def source(self, name: str) -> Source:
        """The file of that name, for whoever sends it."""


class WorkSource(Protocol):
    """Gives worker threads something to do. ``*_locked``: the caller holds the tree's lock."""

    def claim_locked(self, now_s: float) -> Work | None:
        """The next unit of work for the calling thread, if there is one now."""

    def due_locked(self, now_s: float) -> float:
        """When there is one at the latest; ``math.inf``: when something happens."""


@dataclass(slots=True)
class UploadContext:
    """The tree, the bytes, the service. ``account_pacer`` paces what would fail for every file alike.
    ``pause``: while the account is full, no file goes up.
    ``may_begin``: in how many seconds a session that is bound to a node's place may begin; None: not before
    something else has taken effect. ``folder_lost``: the service has not the folder that a node is to stand
    in; called without the lock, asks the service what became of it, and says whether that was told."""

    tree: Tree
    spool: SpoolBytes
    backend: Backend
    clock: Clock
    urgency: Urgency
    may_begin: Callable[[Node], float | None]
    folder_lost: Callable[[Node], bool]
    pause: Pause
    account_pacer: Pacer = field(default_factory=lambda: LoggedPacer("uploads"))

    @property
    def limits(self) -> BackendLimits:
        return self.backend.limits

    def source(self, content: Content) -> Source:
        """Where the bytes of a content are."""
        return self.spool.source(content.spool)

    def failed_locked(self, pacer: Pacer, error: MountfsError, started_s: float, size_bytes: int = 0) -> None:
        """Notes a failure where it belongs: with the account, or with what *pacer* paces.
        *size_bytes*: of the smallest file that it befell."""
        if is_full(error):
            self.pause.begin(error, size_bytes, started_s=started_s, now_s=self.clock.now_s())
            return
        at = self.account_pacer if is_account_wide(error) else pacer
        at.failed(error, started_s=started_s, now_s=self.clock.now_s(), jitter=self.clock.jitter())

    def pacer_locked(self, content_id: int, pace: Pace = USUAL) -> Pacer:
        """Of one content alone, for as long as it fails."""
        node = self.tree.contents.get(content_id)
        return LoggedPacer(f"upload of {'a file' if node is None else path_of(node)}", pace)

    def tell_locked(self, content_id: int, error: MountfsError | None) -> None:
        """Whose content it is says what the last attempt met, until there is another one."""
        node = self.tree.contents.get(content_id)
        if node is not None:
            self.tree.note_error(node, None if error is None else str(error))

    def sealed_locked(self, content_id: int) -> tuple[Node, Content] | None:
        """Whose the content is, and it as it is now, while it waits for its bytes to go up."""
        found = self.tree.content(content_id)
        if found is None:
            return None
        node, content = found
        is_wanted = node.state.content is content and not content.is_uploaded and not is_refused(node)
        return found if is_wanted and keeper_of(node) is None else None

    def refuse_locked(self, content_id: int, error: MountfsError) -> None:
        """The version fails for good, if it still waits for its bytes to go up."""
        found = self.sealed_locked(content_id)
        if found is None:
            return
        node, _ = found
        with self.tree.transaction():
            refusal = Refusal(OrderKind.PUT, advised(error), self.clock.wall_ns(), type(error))
            self.tree.notice(path_of(node), f"not uploaded: {error}")
            self.tree.change((node, replace(node.state, refusal=refusal)))

    def note_session_locked(self, content_id: int, session: str | None) -> None:
        """The row of a content names its session, so that a restart can go on with it."""
        found = self.tree.content(content_id)
        if found is None or found[1].session == session:
            return
        node, content = found
        state, after = node.state, replace(found[1], session=session)
        tree = self.tree
        with tree.transaction():
            if content.session is not None:
                tree.add_orphan(content.session)
                tree.store.clear_parts(content_id)
            if state.content is content:
                after_state = state.holding(after, state.draft)
            else:
                after_state = state.holding(state.content, after)
            if content_id in tree.unsaved:
                tree.change((node, after_state))
            else:
                tree.change_bytes(node, after_state)

    def uploaded_locked(self, claimed: Content, content_hash: str, session: str | None) -> bool:
        """All bytes of *claimed* are up; False when they are no longer wanted. Inside a transaction."""
        found = self.tree.content(claimed.id)
        if found is None:
            return False
        node, content = found
        state = node.state
        if state.content is not content or content.is_uploaded:
            return False
        if content.spool != claimed.spool or content.size_bytes != claimed.size_bytes:
            return False
        self.tree.note_error(node, None)
        sent = replace(content, content_hash=content_hash, session=session)
        self.tree.change_bytes(node, state.holding(sent, state.draft))
        return True
