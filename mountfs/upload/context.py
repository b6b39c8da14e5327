"""What every lane of the uploader works with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from mountfs.errors import MountfsError
from mountfs.model.advice import advised
from mountfs.model.hashing import hasher
from mountfs.model.order import OrderKind, Part
from mountfs.model.pacing import USUAL, Pace, Pacer, is_account_wide
from mountfs.model.pausing import Pause, is_full
from mountfs.model.pendingbytes import Unreadable, read_pending
from mountfs.model.toldpacer import ToldPacer
from mountfs.ports import Backend, BackendLimits, Clock
from mountfs.tree.content import Content
from mountfs.tree.node import Node, Refusal, path_of
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_refused, keeper_of
from mountfs.upload.urgency import Urgency
from mountfs.upload.wholehash import READ_BYTES, WholeHash

Work = Callable[[], None]
"""One request and what follows from it; run without any lock."""


class SpoolBytes(Protocol):
    """The part of the spool that is needed here."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Fewer bytes than *length* only at the end of the file. OSError."""


class Lane(Protocol):
    """One way for bytes to go up. ``*_locked``: the caller holds the tree's lock."""

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
    account_pacer: Pacer = field(default_factory=lambda: ToldPacer("uploads"))

    @property
    def limits(self) -> BackendLimits:
        return self.backend.limits

    def read(self, content: Content, offset: int, length: int) -> bytes:
        """Exactly *length* bytes of a content. Unreadable, DiskTrouble."""
        body = read_pending(self.spool.read, content.spool, offset, length)
        if len(body) != length:
            raise Unreadable(f"the pending bytes end at {offset + len(body)}")
        return body

    def hash(self, content: Content) -> str:
        """The service's hash of all bytes of a content, in one pass over them. Unreadable, DiskTrouble."""
        return self._whole_hash(content).hexdigest(content.size_bytes)

    def hash_of_parts(self, content: Content, sent: Iterable[Part]) -> WholeHash | None:
        """To be fed with the parts of a content while they are read, all but those *sent* already; None
        where the service's receipts tell the hash in the end."""
        if self.limits.hash_kind.comes_from_parts:
            return None
        return self._whole_hash(content, ((part.offset, part.offset + part.length) for part in sent))

    def holds(self, content: Content, sent: Iterable[Part]) -> bool:
        """Whether a content has the bytes that a former process sent. Unreadable.

        One that died while it wrote over them may have left both the new bytes and the old session. Where the
        receipts tell no hash, no session begins before the file is whole, and nothing writes to it then.
        """
        if not self.limits.hash_kind.comes_from_parts:
            return True
        return all(self._has_part(content, part) for part in sent)

    def _has_part(self, content: Content, part: Part) -> bool:
        if part.offset + part.length > content.size_bytes:
            return False
        state = hasher(self.limits.hash_kind)
        for at in range(0, part.length, READ_BYTES):
            state.update(self.read(content, part.offset + at, min(READ_BYTES, part.length - at)))
        return state.hexdigest() == self.backend.whole_hash((replace(part, offset=0),))

    def _whole_hash(self, content: Content, sent: Iterable[tuple[int, int]] = ()) -> WholeHash:
        return WholeHash(self.limits.hash_kind, partial(self.read, content), sent)

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
        return ToldPacer(f"upload of {'a file' if node is None else path_of(node)}", pace)

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
