"""Fetches what closed files lack of the revision they were made from, so that they can be sent."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from daemon.upkeep.filling import Filling, Span
from mountfs.errors import Internal, MountfsError, NoSpace, Refused
from mountfs.model.comeback import Comeback
from mountfs.model.loggedpacer import LoggedPacer
from mountfs.model.order import OrderKind
from mountfs.model.pacing import Pacer, is_account_wide
from mountfs.model.pausing import is_passing
from mountfs.ports import Backend, Clock
from mountfs.reading.reader import Reader
from mountfs.spool.spool import Spool
from mountfs.tree.content import Content
from mountfs.tree.gaps import Gaps
from mountfs.tree.node import Node, State, path_of
from mountfs.tree.refusal import Refusal
from mountfs.tree.sync import Durability
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_refused
from mountfs.upload.uploader import Uploader

LOG = logging.getLogger(__name__)

ADVICE = (
    "mountfs retry asks for them again, for instance once the file is restored there; "
    "writing the file anew, or mountfs discard, gives them up"
)


@dataclass(frozen=True, slots=True)
class _Claim:
    """One request: the bytes [start, stop) of a content's revision. At least one gap is in it."""

    filling: Filling
    content: Content
    start: int
    stop: int


def _silence() -> None:
    """Stands for ``wake`` until the assembly sets it."""


class Filler:
    """Several threads call ``step`` at once. ``wake`` is set by the assembly, has one of them look, and may
    be called under the lock.

    A file that is being written is left alone, since a program often writes over all of it. Each thread makes
    one request at a time. While requests fail, only one is made at a time: of the file whose requests fail,
    or of all files where the error would befall any.
    """

    def __init__(
        self,
        tree: Tree,
        spool: Spool,
        reader: Reader,
        gaps: Gaps,
        uploader: Uploader,
        durability: Durability,
        backend: Backend,
        clock: Clock,
    ) -> None:
        self.wake: Callable[[], None] = _silence
        self._tree = tree
        self._spool = spool
        self._reader = reader
        self._gaps = gaps
        self._uploader = uploader
        self._durability = durability
        self._clock = clock
        self._backend = backend
        self._account_pacer: Pacer = LoggedPacer("fetching what pending files lack")
        self._comeback = Comeback(self._account_pacer)
        self._flying = 0
        self._files: OrderedDict[int, Filling] = OrderedDict()
        self._filled: deque[Content] = deque()
        """Contents whose last gap was filled, and of which the uploader has not been told yet."""
        with tree.lock:
            for content_id in gaps.contents():
                self._look_locked(tree.contents[content_id])
            tree.watch(self._note)

    def step(self, now_s: float) -> float:
        """Makes one request and writes its bytes into the spool file. Returns when to call again, in seconds
        of the clock; ``math.inf``: after ``wake``."""
        self._pass_on()
        with self._tree.lock:
            claim = self._claim_locked(now_s)
            if claim is None:
                return self._due_locked(now_s)
            has_more = self._due_locked(now_s) <= now_s
        try:
            if has_more:
                self.wake()
        finally:
            self._fill(claim)
        return now_s

    def answered(self) -> None:
        """The service has answered somebody. Any thread."""
        self._comeback.answered(self._tree.lock, self._clock.now_s, self.wake)

    # What to fetch

    def _claim_locked(self, now_s: float) -> _Claim | None:
        if self._account_pacer.ready_s > now_s:
            return None
        for filling, content in self._waiting_locked():
            if filling.pacer.ready_s <= now_s and content.overlay is not None:
                span = filling.take(content.overlay.missing)
                if span is not None:
                    self._flying += 1
                    return _Claim(filling, content, *span)
        return None

    def _due_locked(self, now_s: float) -> float:
        due_s = math.inf
        for filling, content in self._waiting_locked():
            if content.overlay is not None and filling.look(content.overlay.missing) is not None:
                due_s = min(due_s, max(filling.pacer.ready_s, self._account_pacer.ready_s))
                if due_s <= max(now_s, self._account_pacer.ready_s):
                    break
        return due_s

    def _waiting_locked(self) -> Iterator[tuple[Filling, Content]]:
        """Files of which one more request may be made, beside the requests that run."""
        if self._account_pacer.failures and self._flying:
            return
        for filling in self._files.values():
            found = None if filling.is_held else self._tree.content(filling.content_id)
            if found is not None:
                yield filling, found[1]

    def _note(self, node: Node, before: State, after: State) -> None:
        """The tree's listener."""
        content = before.content
        if content is not None and (after.content is None or after.content.id != content.id):
            self._files.pop(content.id, None)
        self._look_locked(node)

    def _look_locked(self, node: Node) -> None:
        content = node.state.content
        if content is None or content.is_whole:
            return
        if content.is_uploaded or is_refused(node) or node.state.parent is None:
            self._files.pop(content.id, None)
        elif content.id not in self._files:
            self._files[content.id] = Filling(content.id)
            self.wake()

    # Fetching

    def _fill(self, claim: _Claim) -> None:
        started_s, failure = -math.inf, None
        try:
            started_s = self._clock.now_s()
            self._store(claim)
        except BaseException as error:
            failure = error
        with self._tree.lock:
            claim.filling.flying -= 1
            self._flying -= 1
            if failure is None:
                self._succeeded_locked(claim, started_s)
            else:
                claim.filling.again.append((claim.start, claim.stop))
                self._failed_locked(claim, Internal.of(failure), started_s)
            is_last = claim.content.is_whole and not claim.filling.flying
            if is_last and self._files.pop(claim.content.id, None) is not None:
                self._filled.append(claim.content)
        if failure is not None and not isinstance(failure, MountfsError | OSError):
            raise failure
        self._pass_on()

    def _store(self, claim: _Claim) -> None:
        """Fetches the span of *claim*, and writes the parts of it that are still missing."""
        content, start, stop = claim.content, claim.start, claim.stop
        overlay = content.overlay
        assert overlay is not None
        self._spool.admit_filling(stop - start)
        body = memoryview(self._reader.fetch(overlay.file, start, stop - start))
        try:
            file = self._spool.open(content.spool)
        except FileNotFoundError:
            with self._tree.lock:
                if self._tree.content(content.id) is None:
                    return
            raise
        with closing(file), overlay.lock:
            filled = overlay.missing.within(start, stop)
            for low, high in filled:
                file.pwrite(low, body[low - start : high - start])  # type: ignore[arg-type]
            # Both in one hold of the lock. Once no gap is left a worker may send the file; a range that the
            # uploader is told of after it was sent counts as written over, and spoils the session.
            with self._tree.lock:
                self._gaps.written(content, start, stop)
                self._tell_uploads(content, filled)

    def _tell_uploads(self, content: Content, filled: list[Span]) -> None:
        """Lets parts of a large file go up while others are fetched."""
        if content.size_bytes >= self._backend.limits.session_min_bytes:
            for low, high in filled:
                self._uploader.wrote(content.id, low, high)

    def _pass_on(self) -> None:
        """Hands files without gaps to the uploader. If that raises, the next ``step`` does it again."""
        while self._filled:
            with self._tree.lock:
                content = self._filled[0] if self._filled else None
                node = None if content is None else self._tree.contents.get(content.id)
                if node is not None:
                    self._tree.planner.touch(node)  # what it has to wait for may be over
                    self._uploader.want(node)
                if content is None:
                    return
                self._filled.popleft()
            try:
                self._durability.sync_filled(content)
            except (OSError, NoSpace) as error:
                LOG.warning("what was fetched for a pending file is not safe from power loss: %s", error)

    # What came of it

    def _succeeded_locked(self, claim: _Claim, started_s: float) -> None:
        node = self._tree.contents.get(claim.content.id)
        if node is not None and node.pending is not None and node.pending.error is not None:
            self._tree.note_error(node, None)
        claim.filling.pacer.succeeded(started_s)
        self._account_pacer.succeeded(started_s)

    def _failed_locked(self, claim: _Claim, error: MountfsError, started_s: float) -> None:
        node = self._tree.contents.get(claim.content.id)
        if node is None or claim.content.id not in self._files:
            return
        if isinstance(error, Refused) and not isinstance(error, NoSpace) and not is_passing(error):
            self._park(node, claim.content, error)
            return
        self._tree.note_error(node, str(error))
        filling = claim.filling
        if not filling.pacer.failures:
            filling.pacer = LoggedPacer(f"fetching what {path_of(node)} lacks")
        pacer = self._account_pacer if is_account_wide(error) else filling.pacer
        pacer.failed(error, started_s=started_s, now_s=self._clock.now_s(), jitter=self._clock.jitter())

    def _park(self, node: Node, content: Content, error: MountfsError) -> None:
        """Marks a file as refused whose missing bytes the service does not have, or does not give."""
        overlay = content.overlay
        assert overlay is not None
        reason = (
            f"{overlay.missing_bytes} of its {content.size_bytes} bytes are those of the service's version "
            f"that was edited, and cannot be had: {error}"
        )
        with self._tree.transaction():
            refusal = Refusal(OrderKind.PUT, f"{reason}: {ADVICE}", self._clock.wall_ns())
            self._tree.notice(path_of(node), f"not uploaded: {reason}")
            self._uploader.give_up(content.id)
            self._tree.change((node, replace(node.state, refusal=refusal)))
