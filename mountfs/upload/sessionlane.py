"""Large files: a session each, parts side by side, also while the file is being written."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

from mountfs.errors import Corrupt, MountfsError, NotSignedIn, Resend, Transient
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.names import is_local_only
from mountfs.ports import Part
from mountfs.upload.largefile import LargeFile
from mountfs.upload.means import Means, Work
from mountfs.upload.session import Append, SessionPlan
from mountfs.upload.wholehash import WholeHash


@dataclass(frozen=True, slots=True)
class _Sending:
    """One part on its way: of which file and session, as they were when it was claimed."""

    file: LargeFile
    change: Change
    append: Append
    session: str
    epoch: int
    whole: WholeHash | None


class SessionLane:
    """Sends large files. At most one part per worker is in memory."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._files: OrderedDict[int, LargeFile] = OrderedDict()
        """The one served last comes last."""
        self.awaits_turn = False
        """Whether a file waits until something earlier is out of its way."""

    @property
    def trouble(self) -> MountfsError | None:
        """What went wrong last, while it does."""
        return next((file.pacer.error for file in self._files.values() if file.pacer.error), None)

    # What happens to files

    def wrote_locked(self, change_id: int, start: int, stop: int) -> bool:
        """Bytes of an OPEN change were written; whether a worker should look."""
        file = self._files.get(change_id) or self._open_change(change_id)
        if file is None:
            return False
        had_work = file.has_work
        if not file.wrote(start, stop):
            self._spoil(file)
        return file.has_work and not had_work

    def truncated_locked(self, change_id: int, size_bytes: int) -> None:
        file = self._files.get(change_id)
        if file is not None and not file.truncate(size_bytes):
            self._spoil(file)

    def add_locked(self, change: Change) -> bool:
        """A large file was sealed or renamed; whether a worker should look."""
        file = self._files.get(change.id)
        if file is None:
            file = LargeFile(change, self._means.journal.parts(change.id), is_streamable=False)
            self._files[change.id] = file
        if file.size_bytes is None and not file.seal(change.size_bytes):
            self._spoil(file)
        if self._means.limits.sessions_have_places and file.place != change.path:
            file.place = change.path
            if file.session is not None or file.is_opening:
                self._restart(file)
        return file.has_work

    def remove_locked(self, change_id: int) -> None:
        """Its bytes are up, or are not wanted any more; its journal row has the session."""
        self._files.pop(change_id, None)

    def give_up_locked(self, change_id: int) -> None:
        """It turned out to be a small file: its session, if any, is let go of."""
        file = self._files.pop(change_id, None)
        if file is not None:
            self._restart(file)

    def is_begun_locked(self, change_id: int) -> bool:
        """Whether some of the file was sent already."""
        file = self._files.get(change_id)
        return file is not None and file.plan is not None and bool(file.plan.parts)

    # Work

    def claim_locked(self, now_s: float) -> Work | None:
        for file in self._files.values():
            change = self._wanted(file) if file.has_work else None
            if change is None or self._ready_s(file, change, now_s) > now_s:
                continue
            self._files.move_to_end(file.change_id)
            if file.plan is None:
                file.is_opening = True
                return partial(self._open, file, change, file.epoch)
            append = file.plan.claim()
            assert append is not None and file.session is not None
            sending = _Sending(file, change, append, file.session, file.epoch, file.whole)
            return partial(self._append, sending)
        return None

    def due_locked(self, now_s: float) -> float:
        due_s = math.inf
        self.awaits_turn = False
        for file in self._files.values():
            change = self._wanted(file) if file.has_work else None
            if change is not None:
                ready_s = self._ready_s(file, change, now_s)
                self.awaits_turn = self.awaits_turn or ready_s == math.inf
                due_s = min(due_s, ready_s)
                if due_s <= now_s:
                    # Who takes that looks again, at the others too.
                    self.awaits_turn = True
                    break
        return due_s

    def _ready_s(self, file: LargeFile, change: Change, now_s: float) -> float:
        """When there is work to be done for it; ``math.inf``: when something is out of its way."""
        if file.pacer.ready_s > now_s or file.session is not None:
            return file.pacer.ready_s
        has_place = self._means.limits.sessions_have_places
        return self._means.turns.due_s(change, now_s) if has_place else file.pacer.ready_s

    def _wanted(self, file: LargeFile) -> Change | None:
        """Its row, while its bytes are wanted on the far side."""
        change = self._means.journal.get(file.change_id)
        if change is None or change.state not in (ChangeState.OPEN, ChangeState.SEALED):
            return None
        return None if is_local_only(change.path) else change

    def _open(self, file: LargeFile, change: Change, epoch: int) -> None:
        """Opens the session of *file*, or takes up the one of a former process again."""
        started_s = self._means.clock.now_s()
        backend = self._means.backend
        session, parts = file.session, file.journaled
        is_new = session is None
        try:
            if session is None:
                session, parts = backend.open_session(change.path, file.size_bytes, change.base_revision), ()
            part_bytes = backend.part_bytes(session)
            is_cut_alike = SessionPlan.can_resume(parts, part_bytes)
            whole = self._means.hash_of_parts(change, parts)
            if whole is not None and is_cut_alike:
                whole.catch_up()
        except MountfsError as error:
            with self._means.journal.lock:
                file.is_opening = False
                if is_new and session is not None:
                    self._means.journal.orphans.add(session)
                self._failed(file, error, started_s, epoch)
            return
        with self._means.journal.lock:
            file.is_opening = False
            self._succeeded(file, started_s)
            row = self._wanted(file)
            is_current = self._files.get(file.change_id) is file and file.epoch == epoch
            if row is None or not is_current or not is_cut_alike:
                if is_new:
                    self._means.journal.orphans.add(session)
                if is_current and not is_cut_alike:
                    self._restart(file)
                return
            file.begin(session, part_bytes, parts, whole)
            if row.session != session:
                self._means.journal.amend(row, session=session)

    def _append(self, sending: _Sending) -> None:
        started_s = self._means.clock.now_s()
        file, append, epoch = sending.file, sending.append, sending.epoch
        try:
            receipt = self._send(sending)
        except BaseException as error:
            with self._means.journal.lock:
                if file.epoch == epoch and file.plan is not None:
                    file.plan.release(append)
                if isinstance(error, MountfsError):
                    self._failed(file, error, started_s, epoch)
            if not isinstance(error, MountfsError):
                raise
            return
        parts = self._acknowledge(file, append, receipt, epoch, started_s)
        if parts is not None:
            self._finish(sending, parts)

    def _send(self, sending: _Sending) -> str:
        """The receipt of a part, which is hashed for the whole file before it leaves."""
        append, whole = sending.append, sending.whole
        body = self._means.read(sending.change, append.offset, append.length)
        try:
            if whole is not None:
                whole.feed(append.offset, body)
            return self._means.backend.append(
                sending.session,
                append.offset,
                body,
                closing=append.is_closing,
                size_bytes=sending.file.size_bytes,
            )
        finally:
            if whole is not None:
                whole.let_go(append.offset)

    def _acknowledge(
        self, file: LargeFile, append: Append, receipt: str, epoch: int, started_s: float
    ) -> tuple[Part, ...] | None:
        """The part is stored; all parts when it was the closing one."""
        with self._means.journal.lock:
            if file.epoch != epoch or file.plan is None:
                return None
            part = file.plan.acknowledge(append, receipt)
            self._succeeded(file, started_s)
            if append.is_closing:
                return file.plan.parts
            # The closing part is journaled with what it completes: after a crash it is simply sent again.
            if self._means.journal.get(file.change_id) is not None:
                self._means.journal.add_part(file.change_id, part)
            return None

    def _finish(self, sending: _Sending, parts: tuple[Part, ...]) -> None:
        """Everything is up and the session is closed."""
        journal, file, change = self._means.journal, sending.file, sending.change
        try:
            hexdigest = self._hash(sending, parts)
            with journal.lock, journal.transaction():
                # Also under a name that stays here by now: a closed session cannot be closed again later.
                is_kept = journal.get(file.change_id) is not None
                if file.epoch == sending.epoch and is_kept and file.session is not None:
                    journal.add_part(file.change_id, parts[-1])
                    self._means.uploaded_locked(change, hexdigest, file.session)
        except BaseException as error:
            with journal.lock:
                self._restart(file)
                if isinstance(error, MountfsError):
                    self._means.refuse_locked(file.change_id, error)
            if not isinstance(error, MountfsError):
                raise

    def _hash(self, sending: _Sending, parts: tuple[Part, ...]) -> str:
        if sending.whole is not None:
            return sending.whole.hexdigest(sending.change.size_bytes)
        return self._means.backend.whole_hash(parts) or self._means.hash(sending.change)

    # Trouble

    def _failed(self, file: LargeFile, error: MountfsError, started_s: float, epoch: int) -> None:
        if isinstance(error, Transient | NotSignedIn | Corrupt):
            self._means.failed_locked(file.pacer, error, started_s)
        elif isinstance(error, Resend):
            self._means.failed_locked(file.pacer, error, started_s)
            if file.epoch == epoch:
                self._restart(file)
        elif file.size_bytes is None:
            # While it is being written there is nobody to tell; the next try is made once it is whole.
            file.is_streamable = False
            if file.epoch == epoch:
                self._restart(file)
        else:
            self._means.refuse_locked(file.change_id, error)

    def _succeeded(self, file: LargeFile, started_s: float) -> None:
        file.pacer.succeeded(started_s)
        self._means.account.succeeded(started_s)

    def _spoil(self, file: LargeFile) -> None:
        """Bytes that were sent already were written over: the session cannot become this file."""
        file.spoils += 1
        self._restart(file)

    def _restart(self, file: LargeFile) -> None:
        """Its row lets go of the session at once: a process that dies from here on must not resume it."""
        file.restart()
        change = self._means.journal.get(file.change_id)
        if change is not None and change.session is not None and change.state in _SENDING:
            self._means.journal.amend(change, session=None)

    def _open_change(self, change_id: int) -> LargeFile | None:
        """The tracker of a change that is being written and just became large."""
        change = self._means.journal.get(change_id)
        if change is None or change.state is not ChangeState.OPEN or change.kind is not ChangeKind.PUT:
            return None
        file = LargeFile(change, (), is_streamable=not self._means.limits.size_known_at_start)
        self._files[change_id] = file
        return file


_SENDING = frozenset({ChangeState.OPEN, ChangeState.SEALED})
