"""What every lane of the uploader works with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from mountfs.errors import MountfsError
from mountfs.journal.journal import Journal
from mountfs.journal.standin import stand_in
from mountfs.model.change import Change, ChangeEvent, ChangeState
from mountfs.model.pacing import Pacer, is_account_wide
from mountfs.ports import Backend, BackendLimits, Clock, Part
from mountfs.upload.turns import Turns
from mountfs.upload.urgency import Urgency
from mountfs.upload.wholehash import WholeHash

Work = Callable[[], None]
"""One request and what follows from it; run without any lock."""


class SpoolBytes(Protocol):
    """The part of the spool that is needed here."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Fewer bytes than *length* only at the end of the file. OSError."""


class Unreadable(MountfsError):
    """Pending bytes cannot be read back from the disk."""


class Lane(Protocol):
    """One way for bytes to go up. ``*_locked``: the caller holds the journal's lock."""

    def claim_locked(self, now_s: float) -> Work | None:
        """The next unit of work for the calling thread, if there is one now."""

    def due_locked(self, now_s: float) -> float:
        """When there is one at the latest; ``math.inf``: when something happens."""


@dataclass(slots=True)
class Means:
    """The journal, the bytes, the far side; ``account`` paces what would fail for every file alike."""

    journal: Journal
    spool: SpoolBytes
    backend: Backend
    clock: Clock
    urgency: Urgency
    turns: Turns
    account: Pacer = field(default_factory=Pacer)

    @property
    def limits(self) -> BackendLimits:
        return self.backend.limits

    def read(self, change: Change, offset: int, length: int) -> bytes:
        """Exactly *length* bytes of a change. Unreadable."""
        assert change.spool is not None
        try:
            body = self.spool.read(change.spool, offset, length)
        except OSError as error:
            reason = error.strerror or str(error)
            raise Unreadable(f"the pending bytes of {change.path} cannot be read: {reason}") from error
        if len(body) != length:
            raise Unreadable(f"the pending bytes of {change.path} end at {offset + len(body)}")
        return body

    def hash(self, change: Change) -> str:
        """The service's hash of all bytes of a change, in one pass over them. Unreadable."""
        return self._whole_hash(change).hexdigest(change.size_bytes)

    def hash_of_parts(self, change: Change, sent: Iterable[Part]) -> WholeHash | None:
        """To be fed with the parts of a change while they are read, all but those *sent* already; None
        where the service's receipts tell the hash in the end."""
        if self.limits.hash_kind.comes_from_parts:
            return None
        return self._whole_hash(change, ((part.offset, part.offset + part.length) for part in sent))

    def _whole_hash(self, change: Change, sent: Iterable[tuple[int, int]] = ()) -> WholeHash:
        return WholeHash(self.limits.hash_kind, partial(self.read, change), sent)

    def failed_locked(self, pacer: Pacer, error: MountfsError, started_s: float) -> None:
        """Notes a failure where it belongs: with the account, or with what *pacer* paces."""
        at = self.account if is_account_wide(error) else pacer
        at.failed(error, started_s=started_s, now_s=self.clock.now_s(), jitter=self.clock.jitter())

    def refuse_locked(self, change_id: int, error: MountfsError) -> None:
        """The change fails for good, if it still waits for its bytes to go up."""
        change = self.journal.get(change_id)
        if change is None or change.state is not ChangeState.SEALED:
            return
        with self.journal.transaction():
            failed = self.journal.advance(change, ChangeEvent.REFUSED, error=str(error))
            self.journal.notice(change.path, f"not uploaded: {error}")
            stand_in(self.journal, failed)

    def uploaded_locked(self, claimed: Change, content_hash: str, session: str | None) -> bool:
        """All bytes of *claimed* are up; False when they are no longer wanted."""
        change = self.journal.get(claimed.id)
        if change is None or change.state is not ChangeState.SEALED:
            return False
        if change.spool != claimed.spool or change.size_bytes != claimed.size_bytes:
            return False
        self.journal.advance(
            change, ChangeEvent.UPLOAD_DONE, content_hash=content_hash, session=session, error=None
        )
        return True
