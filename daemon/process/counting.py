"""Counts what happens behind a mount, for metrics."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from daemon.commit.batch import Current
from daemon.control.figures import Figures
from daemon.core import Core
from daemon.process.progress import Progress
from mountfs.fuse.timing import BOUNDS_S, Timing
from mountfs.model.logevent import LogEvent

LOG = logging.getLogger(__name__)


class Counted:
    """Any thread."""

    def __init__(
        self,
        core: Core,
        progress: Progress,
        traffic: Callable[[], tuple[int, int]],
        timing: Timing | None,
    ) -> None:
        self._core = core
        self._progress = progress
        self._traffic = traffic
        self._timing = timing
        self._batches: dict[str, Counter[int]] = {}
        core.committer.on_batch = self._batch

    def figures(self) -> Figures:
        sent_bytes, received_bytes = self._traffic()
        with self._core.tree.lock:
            batches = {kind: dict(sizes) for kind, sizes in self._batches.items()}
        return Figures(
            outcomes=self._core.backend.outcomes(),
            bounds_s=BOUNDS_S,
            latencies=self._timing.told() if self._timing is not None else {},
            batches=batches,
            sent_bytes=sent_bytes,
            received_bytes=received_bytes,
            committed=self._progress.committed,
        )

    def _batch(self, current: Current) -> None:
        """A batch is about to be launched."""
        # A service that takes one order at a time would fill the log with them.
        level = logging.INFO if current.entries > 1 else logging.DEBUG
        first = next(iter(current.paths), "")
        told = LogEvent("batch", batch=current.id, kind=current.kind, entries=current.entries, first=first)
        LOG.log(level, told)
        with self._core.tree.lock:
            self._batches.setdefault(str(current.kind), Counter())[current.entries] += 1
