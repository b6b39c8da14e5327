"""How far what is pending has got, how fast it goes, and what is on its way just now."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from daemon.control.status import Tally, Transfer, UnderWay
from daemon.core import Core, is_acknowledged
from daemon.process.counts import bytes_of, count_of
from mountfs.model.order import OrderKind
from mountfs.tree.node import Node, State, path_of
from mountfs.tree.word import PENDING, Word

RATE_OVER_S = 15.0
"""Long enough to even out parts of 8 MiB and batches of 1,000 files."""
SAMPLE_S = 0.5
MOST_FILES = 10
"""Files under way that are named."""


class _Sample(NamedTuple):
    at_s: float
    sent_bytes: int
    committed: int
    traffic_bytes: int


class Progress:
    """Told by the tree, under its lock, and asked by any thread. It works on counters: nothing takes longer
    the more is pending."""

    def __init__(
        self, core: Core, shown: Callable[[str], str], traffic: Callable[[], tuple[int, int]]
    ) -> None:
        """*shown*: how a path of the account is told to the user of the mount. *traffic*: bytes that were
        sent and received, also of requests that have no reply yet."""
        self._traffic = traffic
        self._core = core
        self._shown = shown
        self._samples: deque[_Sample] = deque(maxlen=int(RATE_OVER_S / SAMPLE_S) + 1)
        self._committed = 0
        self._with_commits = 0
        """Bytes that travelled with their commit."""
        self._begin = _Sample(core.clock.now_s(), 0, 0, 0)
        """When there was last nothing pending."""
        core.tree.watch(self._note, of_outcomes=True)
        self.sample()

    @property
    def committed(self) -> int:
        """Changes that the service has acknowledged since this process began."""
        return self._committed

    def sample(self) -> None:
        """Notes how far things are: to be called about every SAMPLE_S."""
        with self._core.tree.lock:
            now = self._now()
            if not self._samples or now.at_s - self._samples[-1].at_s >= SAMPLE_S * 0.9:
                self._samples.append(now)
            if not count_of(self._core.tree.root, PENDING):
                self._begin = now

    def tell(self) -> Transfer:
        """How far it is now."""
        core = self._core
        with core.tree.lock:
            now, root = self._now(), core.tree.root
            words = [Word.OPEN, Word.SEALED]
            if not core.backend.limits.pack_entries:
                words += [Word.UPLOADED, Word.COMMITTING]
            waiting_bytes = sum(bytes_of(root, word) for word in words)
            left = Tally(count_of(root, PENDING), max(0, waiting_bytes - core.uploader.meter.stored_bytes))
            done = Tally(now.committed - self._begin.committed, now.sent_bytes - self._begin.sent_bytes)
            files = self._under_way()
            others = max(0, left.count - len(files))
            is_paused = core.prober.pause.is_held or core.standstill() is not None
        bytes_per_s, changes_per_s = self._rates(now)
        # What moves while nothing is sent are questions to the service.
        eta_s = None if is_paused and left.count else _eta_s(left, bytes_per_s, changes_per_s)
        return Transfer(done, left, bytes_per_s, changes_per_s, eta_s, tuple(files), others)

    # Inside

    def _now(self) -> _Sample:
        sent_bytes = self._core.uploader.meter.sent_bytes + self._with_commits
        return _Sample(self._core.clock.now_s(), sent_bytes, self._committed, self._traffic()[0])

    def _rates(self, now: _Sample) -> tuple[float, float]:
        oldest = next((each for each in self._samples if now.at_s - each.at_s <= RATE_OVER_S), None)
        oldest = oldest or self._begin
        passed_s = now.at_s - max(oldest.at_s, self._begin.at_s)
        if passed_s <= 0:
            return 0.0, 0.0
        since = oldest if oldest.at_s >= self._begin.at_s else self._begin
        # On a slow line a part of 8 MiB is acknowledged once in a while, and bytes leave all the time.
        moved_bytes = max(now.sent_bytes - since.sent_bytes, now.traffic_bytes - since.traffic_bytes)
        return moved_bytes / passed_s, (now.committed - since.committed) / passed_s

    def _under_way(self) -> list[UnderWay]:
        core = self._core
        found: list[UnderWay] = []
        for content_id, stored_bytes in core.uploader.meter.latest(MOST_FILES):
            self._add(found, content_id, stored_bytes)
        for content_id in core.uploader.small_under_way(MOST_FILES - len(found)):
            self._add(found, content_id, 0)
        for job in core.committer.current:
            if job.kind is OrderKind.PUT and not core.backend.limits.pack_entries:
                found += [UnderWay(self._shown(path), 0, 0) for path in job.paths]
        known: dict[str, UnderWay] = {}
        for each in found:
            known.setdefault(each.path, each)
        return list(known.values())[:MOST_FILES]

    def _add(self, found: list[UnderWay], content_id: int, sent_bytes: int) -> None:
        held = self._core.tree.content(content_id)
        if held is not None:
            node, content = held
            size_bytes = max(content.size_bytes, sent_bytes)
            found.append(UnderWay(self._shown(path_of(node)), size_bytes, sent_bytes))

    def _note(self, node: Node, before: State, after: State) -> None:  # noqa: ARG002 - the tree's
        """The tree's listener."""
        flight = before.flight
        if flight is None or not is_acknowledged(before, after):
            return
        self._committed += 1
        if flight.content is not None and flight.content.session is None:
            self._with_commits += flight.content.size_bytes


def _eta_s(left: Tally, bytes_per_s: float, changes_per_s: float) -> float | None:
    """Until all is committed, by the bytes that are left; once there are none, by the changes, which are
    committed a thousand at a time: before the first batch is through, their rate says nothing."""
    if not left.count:
        return 0.0
    if left.size_bytes:
        return left.size_bytes / bytes_per_s if bytes_per_s > 0 else None
    return left.count / changes_per_s if changes_per_s > 0 else None
