"""Large files: a session each, parts side by side, also while the file is being written."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial

from mountfs.errors import Corrupt, DiskTrouble, Internal, MountfsError, NotFound, Offline, Resend
from mountfs.model.order import Part
from mountfs.model.pausing import is_passing
from mountfs.model.pendingbytes import Unreadable
from mountfs.tree.content import Content
from mountfs.tree.node import Node
from mountfs.tree.place import place_in
from mountfs.tree.word import is_refused, keeper_of
from mountfs.upload.context import UploadContext, Work
from mountfs.upload.largefile import LOST_FOLDERS, LargeFile, Opening, Sending, place_of
from mountfs.upload.session import Append, SessionPlan


class SessionSender:
    """Sends large files. At most one part per worker is in memory."""

    def __init__(self, context: UploadContext) -> None:
        self._context = context
        self._files: OrderedDict[int, LargeFile] = OrderedDict()
        """By the id of the content; the one served last comes last."""

    @property
    def trouble(self) -> MountfsError | None:
        """What went wrong last, while it does."""
        return next((file.pacer.error for file in self._files.values() if file.pacer.error), None)

    # What happens to files

    def wrote_locked(self, content_id: int, start: int, stop: int) -> bool:
        """Bytes of a draft were written; whether a worker should look."""
        file = self._files.get(content_id) or self._open_draft(content_id)
        if file is None:
            return False
        had_work = file.has_work
        if not file.wrote(start, stop):
            self._spoil(file)
        return file.has_work and not had_work

    def truncated_locked(self, content_id: int, size_bytes: int) -> None:
        file = self._files.get(content_id)
        if file is not None and not file.truncate(size_bytes):
            self._spoil(file)

    def add_locked(self, node: Node, content: Content) -> bool:
        """A large file is whole, or was renamed; whether a worker should look."""
        file = self._files.get(content.id)
        if file is None:
            parts = self._context.tree.store.parts(content.id)
            file = self._files[content.id] = LargeFile(content, parts, is_streamable=False)
            file.place = place_of(node.state, content)
        if file.size_bytes is None and not file.seal(content.size_bytes):
            self._spoil(file)
        if self._context.limits.sessions_have_places and file.place != place_of(node.state, content):
            file.place = place_of(node.state, content)
            if file.session is not None or file.is_opening:
                self._restart(file)
        return file.has_work

    def remove_locked(self, content_id: int) -> None:
        """Its bytes are up, or are not wanted any more; its row has the session."""
        self._files.pop(content_id, None)

    def give_up_locked(self, content_id: int) -> None:
        """It turned out to be a small file: its session is let go of, also one of a former process."""
        file = self._files.pop(content_id, None)
        if file is not None:
            file.restart()
        self._context.note_session_locked(content_id, None)

    def is_begun_locked(self, content_id: int) -> bool:
        """Whether some of the file was sent already."""
        file = self._files.get(content_id)
        return file is not None and file.plan is not None and bool(file.plan.parts)

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
            if file.plan is None:
                state = node.state
                assert state.parent is not None
                place = place_in(state.parent, state.name)
                work = partial(self._open, Opening(file, node, content, place, file.epoch))
                file.is_opening = True
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
        """When there is work to be done for it; ``math.inf``: when something is out of its way."""
        if file.pacer.ready_s > now_s or file.session is not None:
            return file.pacer.ready_s
        if not self._context.limits.sessions_have_places:
            return file.pacer.ready_s
        # A session for one place begins only when its commit could follow at once: else what comes first may
        # make, move or remove what it was begun for, and every byte would travel twice.
        wait_s = self._context.may_begin(node)
        return math.inf if wait_s is None else now_s + wait_s

    def _wanted(self, file: LargeFile) -> tuple[Node, Content] | None:
        """Whose it is, and its content, while its bytes are wanted at the service."""
        found = self._context.tree.content(file.content_id)
        if found is None:
            return None
        node, content = found
        is_over = content.is_uploaded or is_refused(node) or node.state.parent is None
        return None if is_over or keeper_of(node) is not None else found

    def _open(self, opening: Opening) -> None:
        """Opens the session of a file, or takes up the one of a former process again."""
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
                    session = context.backend.open_session(opening.place, file.size_bytes, over)
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
                    self._broke_off(file, error, started_s, opening.epoch)
                if isinstance(error, NotFound) and self._context.folder_lost(opening.node):
                    with tree.lock:
                        file.lost_folders += 1
                return
            with tree.lock:
                self._succeeded(file, started_s)
                found = self._wanted(file)
                is_current = self._files.get(file.content_id) is file and file.epoch == opening.epoch
                if found is None or not is_current or not can_go_on:
                    if is_new:
                        tree.add_orphan(session)
                    if is_current and not can_go_on:
                        self._restart(file)
                    return
                # Should the disk be full, the session is not lost: the next try takes it up.
                file.session, file.known_parts = session, tuple(parts)
                self._context.note_session_locked(file.content_id, session)
                file.begin(session, part_bytes, parts)
        finally:
            with tree.lock:
                file.is_opening = False

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
                self._broke_off(file, error, started_s, epoch)
            return
        parts = self._acknowledge(file, append, receipt, epoch, started_s)
        if parts is not None:
            self._finish(sending, parts)

    def _send(self, sending: Sending) -> str:
        """The receipt of a part."""
        append = sending.append
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
        """The part is stored; all parts when it was the closing one."""
        tree = self._context.tree
        with tree.lock:
            if file.epoch != epoch or file.plan is None:
                return None
            # The closing part is written down with what it completes: after a crash it is simply sent again.
            if not append.is_closing and tree.content(file.content_id) is not None:
                try:
                    with tree.transaction():
                        tree.store.add_part(file.content_id, Part(append.offset, append.length, receipt))
                except BaseException as error:
                    file.plan.release(append)
                    self._put_off(file, Internal.of(error), started_s)
                    raise
            self._succeeded(file, started_s)
            file.plan.acknowledge(append, receipt)
            return file.plan.parts if append.is_closing else None

    def _finish(self, sending: Sending, parts: tuple[Part, ...]) -> None:
        """Everything is up and the session is closed."""
        tree, file, content = self._context.tree, sending.file, sending.content
        try:
            source = self._context.source(content)
            hexdigest = self._context.backend.whole_hash(sending.session, source, content.size_bytes, parts)
            with tree.transaction():
                # Also under a name that stays here by now: a closed session cannot be closed again later.
                is_kept = tree.content(file.content_id) is not None
                if file.epoch == sending.epoch and is_kept and file.session is not None:
                    if parts:
                        tree.store.add_part(file.content_id, parts[-1])
                    self._context.uploaded_locked(content, hexdigest, file.session)
            file.pacer.succeeded()
        except Unreadable as error:
            with tree.lock:
                self._restart(file)
                self._context.refuse_locked(file.content_id, error)
        except BaseException as error:
            # Nothing was asked of the service: the end is tried again, and no byte sent.
            with tree.lock:
                file.finish = partial(self._finish, sending, parts)
                self._put_off(file, Internal(str(Internal.of(error))), self._context.clock.now_s())
            if not isinstance(error, DiskTrouble | Offline):
                raise

    # Trouble

    def _broke_off(self, file: LargeFile, error: BaseException, started_s: float, epoch: int) -> None:
        """Something was raised while *file* was being sent. What is no word of the service's, nor about the
        pending bytes, is raised on, to be logged; the others go first meanwhile."""
        if isinstance(error, MountfsError):
            self._failed(file, error, started_s, epoch)
            return
        self._put_off(file, Internal.of(error), started_s)
        raise error

    def _failed(self, file: LargeFile, error: MountfsError, started_s: float, epoch: int) -> None:
        if isinstance(error, Resend) or is_passing(error):
            self._put_off(file, error, started_s)
            if isinstance(error, Resend) and not isinstance(error, Corrupt) and file.epoch == epoch:
                self._restart(file)
        elif isinstance(error, NotFound) and file.lost_folders < LOST_FOLDERS:
            self._put_off(file, error, started_s)
        elif file.size_bytes is None:
            # While it is being written there is nobody to tell; the next try is made once it is whole.
            file.is_streamable = False
            if file.epoch == epoch:
                self._restart(file)
        else:
            # Nobody knows when it is tried again: no session stays open for that.
            if file.epoch == epoch:
                self._restart(file)
            self._context.refuse_locked(file.content_id, error)

    def _put_off(self, file: LargeFile, error: MountfsError, started_s: float) -> None:
        """It failed, for now."""
        self._context.tell_locked(file.content_id, error)
        if not file.pacer.failures:
            file.pacer = self._context.pacer_locked(file.content_id)
        self._context.failed_locked(file.pacer, error, started_s, file.size_bytes or 0)

    def _succeeded(self, file: LargeFile, started_s: float) -> None:
        if file.pacer.failures:
            self._context.tell_locked(file.content_id, None)
        file.pacer.succeeded(started_s)
        self._context.account_pacer.succeeded(started_s)

    def _spoil(self, file: LargeFile) -> None:
        """Bytes that were sent already were written over: the session cannot become this file."""
        file.spoils += 1
        self._restart(file)

    def _restart(self, file: LargeFile) -> None:
        """Its row lets go of the session at once: a process that dies from here on must not resume it."""
        file.restart()
        found = self._context.tree.content(file.content_id)
        if found is not None and not found[1].is_uploaded:
            self._context.note_session_locked(file.content_id, None)

    def _open_draft(self, content_id: int) -> LargeFile | None:
        """The tracker of a version that is being written and just became large."""
        found = self._context.tree.content(content_id)
        if found is None or found[0].state.draft is not found[1]:
            return None
        file = LargeFile(found[1], (), is_streamable=not self._context.limits.size_known_at_start)
        self._files[content_id] = file
        return file
