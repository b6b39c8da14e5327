"""Sends large files: each in an upload session, with several parts at a time, also while it is written."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial

from mountfs.errors import DiskTrouble, Internal, MountfsError, NotFound, Offline
from mountfs.model.order import Part
from mountfs.model.pendingbytes import Unreadable
from mountfs.tree.content import Content
from mountfs.tree.node import Node
from mountfs.tree.place import place_in
from mountfs.tree.word import is_refused, keeper_of
from mountfs.upload.context import UploadContext, Work
from mountfs.upload.largefile import LargeFile, Opening, Sending, place_of
from mountfs.upload.session import Append, SessionPlan
from mountfs.upload.setbacks import (
    broke_off_locked,
    follow_place_locked,
    put_off_locked,
    restart_locked,
    spoil_locked,
    succeeded_locked,
)
from mountfs.upload.twinfinder import TwinFinder


class SessionSender:
    """Sends large files. A worker sends one part at a time, which the backend reads from the spool file."""

    def __init__(self, context: UploadContext, twins: TwinFinder) -> None:
        self._context = context
        self._twins = twins
        self.opening = 0
        """How many sessions the service is being asked for. Under the lock."""
        self._files: OrderedDict[int, LargeFile] = OrderedDict()
        """By the content's id; the file that a worker served last is the last one."""

    @property
    def trouble(self) -> MountfsError | None:
        """What one of the files fails by; None: none fails."""
        return next((file.pacer.error for file in self._files.values() if file.pacer.error), None)

    # What happens to files

    def wrote_locked(self, content_id: int, start: int, stop: int) -> bool:
        """Bytes [start, stop) of a draft were written. True: wake a worker, there is a request to make."""
        file = self._files.get(content_id) or self._open_draft(content_id)
        if file is None:
            return False
        had_work = file.has_work
        if not file.wrote(start, stop):
            spoil_locked(self._context, file)
        return file.has_work and not had_work

    def truncated_locked(self, content_id: int, size_bytes: int) -> None:
        file = self._files.get(content_id)
        if file is not None and not file.truncate(size_bytes):
            spoil_locked(self._context, file)

    def add_locked(self, node: Node, content: Content) -> bool:
        """A large file is whole, or was renamed after that. True: wake a worker.

        A Box session is for one place. `mv big other` while big goes up: the session is given up, and another
        one begins for the new name.
        """
        file = self._files.get(content.id)
        if file is None:
            parts = self._context.tree.store.parts.of(content.id)
            file = self._files[content.id] = LargeFile(content, parts, is_streamable=False)
            file.place = place_of(node.state, content)
        if file.size_bytes is None:
            self._context.meter.seal(content.id, content.size_bytes)
            if not file.seal(content.size_bytes):
                spoil_locked(self._context, file)
            file.wants_twin = not file.is_half_sent and self._twins.may_find_locked(content)
        follow_place_locked(self._context, file, node, content)
        return file.has_work

    def expect_locked(self, node: Node, content: Content) -> bool:
        """A large file was closed, some of whose bytes are still to be fetched: its size is known, and what
        is here may go up meanwhile. True: wake a worker.

        Not that of a former process: which bytes its session has is looked at once all are here.
        """
        file = self._files.get(content.id)
        if file is None:
            if content.overlay is None or content.session is not None:
                return False
            file = self._files[content.id] = LargeFile(content, (), is_streamable=True)
            for start, stop in content.overlay.missing.gaps(0, content.size_bytes):
                file.wrote(start, stop)
        follow_place_locked(self._context, file, node, content)
        return file.has_work

    def remove_locked(self, content_id: int) -> None:
        """Forgets a file whose bytes are up, or not wanted any more. Its row keeps the session."""
        self._files.pop(content_id, None)

    def give_up_locked(self, content_id: int) -> None:
        """Ends with a file that is small, now that it is whole: its session becomes an orphan, also one that
        a former process opened."""
        file = self._files.pop(content_id, None)
        if file is not None:
            file.restart()
            self._context.meter.drop(content_id)
        self._context.note_session_locked(content_id, None)

    def is_begun_locked(self, content_id: int) -> bool:
        """Whether the service has a part of the file."""
        file = self._files.get(content_id)
        return file is not None and file.plan is not None and bool(file.plan.parts)

    def _open_draft(self, content_id: int) -> LargeFile | None:
        """Begins to keep account of a draft that has just become large; None: the content is no draft."""
        found = self._context.tree.content(content_id)
        if found is None or found[0].state.draft is not found[1]:
            return None
        file = LargeFile(found[1], (), is_streamable=not self._context.limits.size_known_at_start)
        file.begins_s = self._twins.begins_s_locked(*found)
        self._files[content_id] = file
        return file

    # Work

    def claim_locked(self, now_s: float) -> Work | None:
        for file in self._files.values():
            found = self._wanted(file) if file.has_work else None
            if found is None or self._ready_s(file, found[0], now_s) > now_s:
                continue
            node, content = found
            self._files.move_to_end(file.content_id)
            if file.finish is not None:
                finish, file.finish = file.finish, None
                return finish
            if file.wants_twin:
                file.wants_twin, file.is_hashing = False, True
                return partial(self._look_for_twin, file, content)
            if file.plan is None:
                state = node.state
                assert state.parent is not None
                place = place_in(state.parent, state.name)
                size_bytes = content.size_bytes if state.content is content else None
                opening = Opening(file, node, content, place, size_bytes, file.epoch)
                work = partial(self._open, opening)
                file.is_opening = True
                self.opening += 1
                return work
            assert file.session is not None
            append = file.plan.claim()
            assert append is not None
            return partial(self._append, Sending(file, content, append, file.session, file.epoch))
        return None

    def due_locked(self, now_s: float) -> float:
        due_s = math.inf
        for file in self._files.values():
            found = self._wanted(file) if file.has_work else None
            if found is not None:
                due_s = min(due_s, self._ready_s(file, found[0], now_s))
                if due_s <= now_s:
                    break
        return due_s

    def _ready_s(self, file: LargeFile, node: Node, now_s: float) -> float:
        """When the file's next request may be made; ``math.inf``: when another order has taken effect."""
        if file.wants_twin:
            return now_s
        if file.pacer.failures and file.plan is not None and file.plan.is_sending:
            return math.inf  # after a failure one part alone tries whether it works again
        is_settled = file.pacer.ready_s > now_s or file.session is not None
        if is_settled or not self._context.limits.sessions_have_places:
            return max(file.pacer.ready_s, file.begins_s)
        # A session for one place begins only when the commit could follow at once. An order that comes first
        # may move or remove that place, and every byte would travel twice.
        wait_s = self._context.may_begin(node)
        return math.inf if wait_s is None else now_s + wait_s

    def _wanted(self, file: LargeFile) -> tuple[Node, Content] | None:
        """The file's node and content, while its bytes have to go up; those of a draft, too."""
        found = self._context.tree.content(file.content_id)
        if found is None:
            return None
        node, content = found
        is_over = content.is_uploaded or is_refused(node) or node.state.parent is None
        return None if is_over or keeper_of(node) is not None else found

    def _look_for_twin(self, file: LargeFile, content: Content) -> None:
        """If the service has the bytes of *file*, they need not go up, or no further."""
        is_found = False
        try:
            is_found = not self._twins.note_found([content])
        finally:
            with self._context.tree.lock:
                file.is_hashing = False
                if is_found:
                    file.restart()

    def _open(self, opening: Opening) -> None:
        """Opens the session of a file, or resumes the one that a former process opened."""
        file, content = opening.file, opening.content
        context, tree = self._context, self._context.tree
        session, parts = file.session, file.known_parts
        is_new = session is None
        started_s = -math.inf
        try:
            try:
                started_s = context.clock.now_s()
                if session is None:
                    over = content.over.revision if content.over is not None else None
                    session = context.backend.open_session(opening.place, opening.size_bytes, over)
                    parts = ()
                part_bytes = context.backend.part_bytes(session)
                can_go_on = SessionPlan.can_resume(parts, part_bytes)
                if parts and can_go_on:
                    source = context.source(content)
                    can_go_on = context.backend.resume(session, source, content.size_bytes, parts)
            except BaseException as error:
                with tree.lock:
                    if is_new:
                        tree.add_orphan(session)
                    broke_off_locked(self._context, file, error, started_s, opening.epoch)
                if isinstance(error, NotFound) and self._context.folder_lost(opening.node):
                    with tree.lock:
                        file.lost_folders += 1
                return
            with tree.lock:
                succeeded_locked(self._context, file, started_s)
                found = self._wanted(file)
                is_current = self._files.get(file.content_id) is file and file.epoch == opening.epoch
                if found is None or not is_current or not can_go_on:
                    if is_new:
                        tree.add_orphan(session)
                    if is_current and not can_go_on:
                        restart_locked(self._context, file)
                    return
                # Before the row, which fails on a full disk: the next try then resumes this session.
                file.session, file.known_parts = session, tuple(parts)
                self._context.note_session_locked(file.content_id, session)
                file.begin(session, part_bytes, parts)
                stored_bytes = sum(part.length for part in parts)
                self._context.meter.begin(file.content_id, file.size_bytes, stored_bytes)
        finally:
            with tree.lock:
                file.is_opening = False
                self.opening -= 1

    def _append(self, sending: Sending) -> None:
        file, append, epoch = sending.file, sending.append, sending.epoch
        started_s = -math.inf
        try:
            started_s = self._context.clock.now_s()
            receipt = self._send(sending)
        except BaseException as error:
            with self._context.tree.lock:
                if file.epoch == epoch and file.plan is not None:
                    file.plan.release(append)
                broke_off_locked(self._context, file, error, started_s, epoch)
            return
        parts = self._acknowledge(file, append, receipt, epoch, started_s)
        if parts is not None:
            self._finish(sending, parts)

    def _send(self, sending: Sending) -> str:
        """Sends a part; its receipt."""
        append = sending.append
        with self._context.timed(append.length):
            return self._context.backend.append(
                sending.session,
                self._context.source(sending.content),
                append.offset,
                append.length,
                closing=append.is_closing,
                size_bytes=sending.file.size_bytes,
            )

    def _acknowledge(
        self, file: LargeFile, append: Append, receipt: str, epoch: int, started_s: float
    ) -> tuple[Part, ...] | None:
        """Notes a part that the service stored. Returns all parts if it was the closing one, else None."""
        tree = self._context.tree
        with tree.lock:
            if file.epoch != epoch or file.plan is None:
                return None
            # The closing part's row comes with the hash of the whole, in ``_finish``. After a crash in
            # between the part is sent again.
            if not append.is_closing and tree.content(file.content_id) is not None:
                try:
                    with tree.transaction():
                        tree.store.parts.add(file.content_id, Part(append.offset, append.length, receipt))
                except BaseException as error:
                    file.plan.release(append)
                    put_off_locked(self._context, file, Internal.of(error), started_s)
                    raise
            succeeded_locked(self._context, file, started_s)
            file.plan.acknowledge(append, receipt)
            self._context.meter.stored(file.content_id, append.length)
            return file.plan.parts if append.is_closing else None

    def _finish(self, sending: Sending, parts: tuple[Part, ...]) -> None:
        """All bytes are up and the session is closed: hashes the whole, and notes that it is uploaded."""
        tree, file, content = self._context.tree, sending.file, sending.content
        try:
            source = self._context.source(content)
            hexdigest = self._context.backend.whole_hash(sending.session, source, content.size_bytes, parts)
            with tree.transaction():
                # Also if the file was renamed to a name that stays here: no session can be closed twice.
                is_kept = tree.content(file.content_id) is not None
                if file.epoch == sending.epoch and is_kept and file.session is not None:
                    if parts:
                        tree.store.parts.add(file.content_id, parts[-1])
                    self._context.uploaded_locked(content, hexdigest, file.session)
            file.pacer.succeeded()
        except Unreadable as error:
            with tree.lock:
                restart_locked(self._context, file)
                self._context.refuse_locked(file.content_id, error)
        except BaseException as error:
            # The service was not asked, so this step alone is tried again, and no byte is sent.
            with tree.lock:
                file.finish = partial(self._finish, sending, parts)
                put_off_locked(
                    self._context, file, Internal(str(Internal.of(error))), self._context.clock.now_s()
                )
            if not isinstance(error, DiskTrouble | Offline):
                raise
