"""One file's bytes while somebody has it open: shared by all its handles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from mountfs.errors import InvalidArgument, NoSpace
from mountfs.files import overlaid
from mountfs.files.copyup import (
    admit,
    begun_behind,
    begun_for_nobody,
    begun_from_pending,
    begun_from_revision,
    check_size,
    completed,
    discard,
    discarded_on_errors,
    keep_synced,
)
from mountfs.files.keys import Key, content_key, key_of, revision_key
from mountfs.files.services import Services
from mountfs.files.written import Written
from mountfs.model.entry import File
from mountfs.spool.spoolfile import SpoolFile
from mountfs.tree.content import Content, Over
from mountfs.tree.node import Node, path_of
from mountfs.tree.overlay import Overlay
from mountfs.tree.replaced import outlives_alone


class OpenFile:
    """The bytes of one version of a node, and what its writers share; any thread may call.

    The bytes come from one of three places: a revision of the service, which stays the same one while the
    file is open; the spool file of a version that waits to be sent; the spool file of a draft. The first
    write to a revision or to a version begins a draft, under ``lock``. Where a spool file has gaps, the bytes
    of the revision below it are read.

    A file whose node was removed or replaced keeps working for its handles, and its spool file goes with the
    last of them. ``key``, ``content`` and ``file`` change under the account's lock, since those who open
    files look at them.
    """

    def __init__(
        self,
        services: Services,
        node: Node,
        *,
        file: File | None = None,
        mtime_ns: int | None = None,
        content: Content | None = None,
        spool_file: SpoolFile | None = None,
        is_draft: bool = False,
        on_rekey: Callable[[OpenFile, Key], None],
    ) -> None:
        """Shows the revision *file*, or else *content*, whose open *spool_file* it owns from here on.
        *mtime_ns*: a time of the revision that is kept here.
        *is_draft*: *content* is a draft, so writes go into that spool file. *on_rekey*: is called with the
        key before, under the account's lock, when the first write has begun a draft."""
        self.lock = threading.RLock()
        self.node = node
        self.nodes: list[Node] = []
        """Kept by the registry: the node, and those that it had before a draft was begun for another one."""
        self.handles = self.writers = self.closes = self.bypasses = self.fillers = 0
        """Counted by the registry; ``closes``: how often a writer has closed it since the last write;
        ``bypasses``: handles that may write and bypass the kernel's pages; ``fillers``: that fill it."""
        self.was_read = False
        """Whether anybody read of it since the access time was last noted."""
        self.content = content
        """The content that it shows; None: it shows a revision, or a draft whose node is gone."""
        self.file = file
        """The revision that it shows; None: it shows a spool file."""
        self.key = key_of(content, file)
        self._services = services
        self._on_rekey = on_rekey
        self._over = Over.of(file) if file else content.over if content else None
        self._spool_file = spool_file
        self._overlay = content.overlay if content is not None else None
        self._is_writing = is_draft
        self._is_flushed = is_draft and content is not None and content.is_flushed
        self._may_be_synced = self._is_flushed
        """Whether bytes of a draft may have been promised to survive power loss; never taken back."""
        self._is_labelled = False
        self._written = Written(services)
        self._strays: list[str] = []
        if file is not None:
            self.size_bytes, self.mtime_ns = file.size_bytes, file.mtime_ns if mtime_ns is None else mtime_ns
        else:
            assert content is not None
            self.size_bytes, self.mtime_ns = content.size_bytes, content.mtime_ns

    # What it is

    @property
    def is_writing(self) -> bool:
        """Whether it has a draft, and so a newer size and time than the tree."""
        return self._is_writing

    @property
    def is_left(self) -> bool:
        """Whether all writers have closed it since the last write, though not all are released."""
        return self._is_writing and self._is_flushed and self.closes >= self.writers

    @property
    def is_filled(self) -> bool:
        """Whether somebody is filling it: close(2) returns before the handle is released."""
        return self.fillers > 0 and (self.closes < self.fillers or not self.size_bytes)

    def shows(self, file: File) -> bool:
        """Whether its bytes are those of the revision *file*: by the revision, or by an equal hash."""
        is_clean = not self._is_writing and self.content is None
        return is_clean and self._over is not None and self._over.is_of(file)

    # Reading and writing

    def read(self, offset: int, length: int, *, reads_ahead: bool = True) -> bytes:
        """*length* bytes from *offset* on, fewer only at the end of the file. *reads_ahead*: more may be
        fetched than is read. Errors of the reader."""
        file, self.was_read = self.file, True
        if file is not None and self._spool_file is None:
            if reads_ahead:
                self._services.on_read(self.node, file, offset)
            # Without the lock: it may take a request.
            return self._services.reader.read(file, offset, length, ahead=reads_ahead)
        with self.lock:
            if self._spool_file is None:
                raise InvalidArgument(f"{path_of(self.node)} is closed")
            length = max(0, min(length, self.size_bytes - offset))
            if (overlay := self._overlay) is None or not overlay.missing:
                return self._spool_file.pread(offset, length)
            found = overlaid.pieces(self._spool_file, overlay, offset, length)
        return overlaid.joined(self._services, overlay.file, found)

    def read_into(self, offset: int, room: memoryview, *, reads_ahead: bool = True) -> int:
        """As ``read``, as many bytes as *room* has; how many these are."""
        file = self.file
        if file is not None and self._spool_file is None:
            self.was_read = True
            if reads_ahead:
                self._services.on_read(self.node, file, offset)
            return self._services.reader.read_into(file, offset, room, ahead=reads_ahead)
        body = self.read(offset, len(room), reads_ahead=reads_ahead)
        room[: len(body)] = body
        return len(body)

    def write(self, offset: int, data: bytes, *, append: bool = False) -> int:
        """Writes all of *data*, at *offset* or at the end. NoSpace, TooLarge; errors of the reader, since the
        first write may read a small file."""
        size_bytes, length = self.size_bytes, len(data)
        at = size_bytes if append else offset
        new = overlaid.new_bytes(self.lock, self._written.ranges, self._overlay, size_bytes, at, length)
        admit(self._services, at + length - size_bytes, new)
        with self.lock:
            size_bytes = self.size_bytes
            offset = size_bytes if append else offset
            stop = offset + length
            check_size(self._services, stop)
            spool_file = self._writable_locked(size_bytes, offset)
            if not self._is_labelled:
                self._label_locked()
            overlaid.write(self._services, self.content, spool_file, self._overlay, offset, data, size_bytes)
            self.size_bytes = max(size_bytes, stop)
            self.mtime_ns = self._services.clock.wall_ns()
            self._written.add(self.content, offset, stop, self.size_bytes)
        return length

    def truncate(self, size_bytes: int, *, is_closed: bool = False) -> None:
        """Cuts the file, or extends it with zeros. Errors as ``write``. *is_closed*: a draft that this begins
        is whole by it, and the store knows it as closed; where that fails, nothing has changed."""
        check_size(self._services, size_bytes)
        admit(self._services, size_bytes - self.size_bytes, 0)
        with self.lock:
            kept_bytes = min(size_bytes, self.size_bytes)
            spool_file = self._writable_locked(kept_bytes, size_bytes, size_bytes if is_closed else None)
            if size_bytes and not self._is_labelled:
                self._label_locked()
            if self._is_flushed:
                return
            overlaid.truncate(self._services, self.content, spool_file, self._overlay, size_bytes)
            self._written.cut(self.content, size_bytes)
            self._services.room.give_back(max(0, self.size_bytes - size_bytes))
            self.size_bytes, self.mtime_ns = size_bytes, self._services.clock.wall_ns()

    def set_mtime(self, mtime_ns: int) -> bool:
        """Sets a draft's time, until the next write. False: there is no draft, the tree has to keep it."""
        with self.lock:
            self.mtime_ns = mtime_ns
            if self._is_writing and self._is_flushed:
                self._flush_locked()
            return self._is_writing

    def copied(self) -> tuple[SpoolFile, int, int]:
        """A new spool file with all the bytes that it shows at this moment, their number, and their time.
        Errors of the reader, since what the service alone has is fetched; NoSpace."""
        with self.lock:
            file, size_bytes, mtime_ns, self.was_read = self.file, self.size_bytes, self.mtime_ns, True
            begun = None
            if self._spool_file is not None:
                begun = begun_for_nobody(self._services, self._spool_file, self._overlay, size_bytes)
        # Without the lock, for it may take requests; a write that comes meanwhile is not among the bytes.
        copy, size_bytes = completed(self._services, begun, file, size_bytes)
        return copy, size_bytes, mtime_ns

    # The end of writing

    def flush(self) -> None:
        """A writer closed the file: what was written survives the process. Free if nothing was."""
        with self.lock:
            self.closes += 1
            if self._is_writing and not self._is_flushed:
                self._flush_locked()

    def sync(self) -> None:
        """What was written survives power loss, and what was set of it: fsync(2) is about both."""
        with self.lock:
            content, self._may_be_synced = self.content, True
        if content is not None:
            self._services.durable.sync_content(content)
        else:
            self._services.durable.sync_store()

    def publish(self, timeout_s: float) -> None:
        """Returns once what was written is committed. The node's error; Offline: not within *timeout_s*.

        For that the draft is sealed, and becomes a version. A later write begins a draft with a copy of it.
        """
        with self.lock:
            self._seal_locked()
            content = self.content
        if content is not None:
            self._services.waiter.wait_committed(content, timeout_s)

    def seal_if_idle(self) -> None:
        """Seals the draft if no handle may write any more: it may be sent then."""
        with self.lock:
            if not self.writers:
                self._seal_locked()

    def seal_if_flushed(self, *, is_safe: bool = False) -> None:
        """Seals the draft if it was closed after its last write, though a handle may still be open.
        *is_safe*: it need not be synced for what it replaces.

        Does nothing while another call works on the file: the next close of the file asks again.
        """
        if not self.lock.acquire(blocking=False):
            return
        try:
            if self._is_flushed:
                self._seal_locked(is_safe=is_safe)
        finally:
            self.lock.release()

    def close(self) -> None:
        """The last handle is gone."""
        with self.lock:
            if self._spool_file is not None:
                self._spool_file.close()
                self._spool_file = None
            for stray in self._strays:
                self._services.spool.remove(stray)
            self._strays.clear()
        if self.file is not None and self.was_read:
            self._services.reader.left(self.file)

    def hide(self) -> None:
        """The file was removed: a crash takes its bytes away, too. Under the account's lock."""
        self._is_labelled = False
        # Never waits: a write that has the lock may take long, and the write after it sets the label.
        if self._is_writing and self.lock.acquire(blocking=False):
            try:
                if self._spool_file is not None:
                    self._label_locked()
            finally:
                self.lock.release()

    def committed(self, content_id: int, file: File) -> bool:
        """The content *content_id* became the revision *file*. True: it was the one shown here, and the key
        is another one. Under the account's lock."""
        if self.content is None or self.content.id != content_id or self._is_writing:
            return False
        self._over = Over.of(file)
        self.content, self.file = None, file
        self.key = revision_key(file.revision)
        return True

    # Inside

    def _writable_locked(self, kept_bytes: int, low: int, closed_bytes: int | None = None) -> SpoolFile:
        """The spool file of the draft, where the bytes from *low* on are to be changed. If there is none yet,
        or another version has such bytes too, one is begun with the first *kept_bytes*. *closed_bytes*: as
        for ``_begin_locked``."""
        before, spool = self._spool_file, self._services.spool
        if self._is_writing and before and (low >= before.own_from or not spool.is_shared(before)):
            if self._is_flushed:
                self._unflush_locked()
            return before
        if before is None:
            assert self.file is not None
            copy, overlay = begun_from_revision(self._services, self.file, kept_bytes)
        else:
            is_longer = low >= self.size_bytes and not self._is_writing
            behind = is_longer and begun_behind(
                self._services, self.node, self.content, before, self._overlay, kept_bytes
            )
            if behind and self._begin_locked(behind, None, kept_bytes, closed_bytes, is_behind=True):
                return behind
            copy, overlay = begun_from_pending(self._services, before, self._overlay, kept_bytes)
            if self._is_writing and self._may_be_synced:
                keep_synced(self._services, copy)
        self._begin_locked(copy, overlay, kept_bytes, closed_bytes)
        return copy

    def _begin_locked(
        self,
        copy: SpoolFile,
        overlay: Overlay | None,
        kept_bytes: int,
        closed_bytes: int | None,
        *,
        is_behind: bool = False,
    ) -> bool:
        """Begins a draft in *copy*, which has the first *kept_bytes*. *closed_bytes*: it is closed with so
        many. *is_behind*: the first are another version's as well; False then: that is none any more, and
        *copy* is gone."""
        before, is_stray = self._spool_file, self._is_writing and self.content is None
        size_bytes, is_closed = (kept_bytes, False) if closed_bytes is None else (closed_bytes, True)
        with discarded_on_errors(self._services, copy), self._services.lock:
            if is_behind and not (self.content and self._services.changes.is_newest(self.content)):
                discard(self._services, copy)
                return False
            if is_closed:
                copy.truncate(size_bytes)
            begin, over, content = self._services.changes.begin, self._over, self.content
            begun = None
            if not is_stray:
                begun = begin(self.node, copy.name, size_bytes, over, content, overlay, is_closed=is_closed)
            self._turn_to_locked(copy, begun)
        self._overlay = overlay
        self._written.begin(overlay, kept_bytes)
        self.size_bytes = size_bytes
        if before is not None:
            before.close()
        return True

    def _turn_to_locked(self, copy: SpoolFile, begun: tuple[Node, Content] | None) -> None:
        """Shows *copy*, and the draft *begun* for it; None: the node is gone, and *copy* goes at the
        close."""
        before_key, draft = self.key, None
        if begun is None:
            self._strays.append(copy.name)
            self.key = copy.name  # others may bring the same revision back, and these are other bytes
        else:
            self.node, draft = begun
            self.key = content_key(draft)
        self._spool_file, self.file, self.content = copy, None, draft
        self._is_writing, self._is_flushed, self.closes = True, False, 0
        if draft is not None and draft.is_flushed:
            self._is_flushed, self._may_be_synced, self.mtime_ns = True, True, draft.mtime_ns
        self._is_labelled = False
        self._on_rekey(self, before_key)

    def _label_locked(self) -> None:
        """Labels the spool file with its path: the store has no row of a new draft before the close."""
        assert self._spool_file is not None
        state = self.node.state if self.content is not None else None
        self._spool_file.label(overlaid.label(state, self._overlay))
        self._is_labelled = True

    def _flush_locked(self) -> None:
        if self.content is not None:
            assert self._spool_file is not None
            self.content = self._services.changes.flush(
                self.content, self.size_bytes, self.mtime_ns, self._spool_file.label
            )
        self._is_flushed = self._may_be_synced = self.content is not None

    def _unflush_locked(self) -> None:
        if self.content is not None and self._services.changes.unflush(self.content):
            # Else power that fails amid a write would leave a row that calls the bytes whole.
            self._services.durable.sync_store()
        self._is_flushed, self.closes = False, 0

    def _seal_locked(self, *, is_safe: bool = False) -> None:
        if not self._is_writing or self.content is None:
            return
        if not is_safe and outlives_alone(self.node.state, self.content):
            # close(2) has returned already: an error of the disk is told by `mountfs status`.
            with suppress(OSError, NoSpace):
                self._flush_locked()
                self.sync()
        with self._services.lock:
            seal, content = self._services.changes.seal, self.content
            self.content = sealed = content and seal(content, self.size_bytes, self.mtime_ns)
            if sealed is not None:
                self._is_writing = self._is_flushed = False
                self._over = sealed.over
