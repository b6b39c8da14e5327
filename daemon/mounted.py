"""A mounted account at work: what the process may ask of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition

from daemon.account import Backlog
from daemon.commit.committer import Committer
from daemon.commit.flight import Current
from daemon.follow import Follower
from daemon.protocol import FailedChange
from daemon.status import AccountStatus, FarSide, Stray, Tally, Trouble
from daemon.worker import Worker
from mountfs.errors import MountfsError, Offline, Refused
from mountfs.filesystem import FileSystem
from mountfs.fuse.mount import FuseMount, FuseOptions
from mountfs.journal.journal import Journal
from mountfs.journal.sync import Durability
from mountfs.model.change import FINAL_STATES, PENDING_STATES, Change, ChangeKind, ChangeState
from mountfs.model.entry import NS_PER_S
from mountfs.model.names import is_local_only
from mountfs.model.path import RemotePath
from mountfs.ports import Backend, Clock
from mountfs.upload.uploader import Uploader
from mountfs.upload.urgency import Urgency

LOG = logging.getLogger(__name__)

TROUBLES_SHOWN = 20
LAST_STEPS_S = 5.0
"""For a step that is under way at the end; its connections are cut, so it has no reason to take long."""
STRAYS_EVERY_S = 10.0
"""Other accounts' journals are files of other processes; looking into them costs an open each."""

RELEASE_S = 2.0
"""The kernel releases a file after close() has returned; one closed for longer than this is held open by
somebody else."""


class Waiting:
    """Lets threads wait for changes to get on; rung by the journal, under its lock."""

    def __init__(self, journal: Journal) -> None:
        self._moved = Condition()
        self._moves = 0
        journal.watch(self._note)

    def wait(self, timeout_s: float) -> None:
        """Returns when any change moved, or after *timeout_s*."""
        with self._moved:
            seen = self._moves
            self._moved.wait_for(lambda: self._moves != seen, timeout_s)

    def _note(self, before: Change | None, after: Change | None) -> None:
        if before is None or after is None or before.state is not after.state:
            with self._moved:
                self._moves += 1
                self._moved.notify_all()


class CommitWaiter:
    """Waits for the service's word on one change: what close and fsync do where they promise it."""

    def __init__(self, journal: Journal, waiting: Waiting, urgency: Urgency, clock: Clock) -> None:
        self._journal = journal
        self._waiting = waiting
        self._urgency = urgency
        self._clock = clock

    def wait_committed(self, change_id: int, timeout_s: float) -> None:
        """Returns once it is committed, or superseded. Refused with its error; Offline when time is up."""
        deadline_s = self._clock.now_s() + timeout_s
        with self._urgency.pressed():
            while True:
                change = self._journal.get(change_id)
                if change is None or change.state in FINAL_STATES:
                    return
                if change.state is ChangeState.FAILED:
                    raise Refused(change.error or f"{change.path} was refused")
                left_s = deadline_s - self._clock.now_s()
                if left_s <= 0:
                    raise Offline(f"{change.path} is not committed after {timeout_s:.0f} s")
                self._waiting.wait(min(left_s, 1.0))


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a mounted account is made of, introduced to each other by the assembly."""

    display_name: str
    root: RemotePath
    journal: Journal
    backend: Backend
    clock: Clock
    file_system: FileSystem
    fuse: FuseOptions
    uploader: Uploader
    committer: Committer
    follower: Follower
    durability: Durability
    urgency: Urgency
    waiting: Waiting
    workers: Sequence[Worker]
    end_waits: Callable[[], None]
    strays: Callable[[], tuple[Stray, ...]]
    release: Callable[[], None]


class RunningAccount:
    """``daemon.account.MountedAccount`` on the real parts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._strays: tuple[Stray, ...] = ()
        self._strays_s = -math.inf
        self._closed_s: dict[int, float] = {}

    def start(self) -> None:
        for worker in self._parts.workers:
            worker.start()

    def serve(self, mountpoint: Path) -> None:
        FuseMount(self._parts.file_system, mountpoint, self._parts.fuse).run()

    def refuse_writes(self) -> None:
        self._parts.file_system.stop_taking_writes()

    def end_waits(self) -> None:
        self._parts.end_waits()

    def hurry(self, path: RemotePath) -> None:  # noqa: ARG002 - the process's; all travel together
        self._parts.urgency.hurry()

    def relax(self) -> None:
        self._parts.urgency.relax()

    def backlog(self, path: RemotePath) -> Backlog:
        at = self._absolute(path)
        pending = size_bytes = open_files = 0
        failed: list[FailedChange] = []
        live = self._parts.journal.live()
        held = self._held_open(live)
        for change in live:
            if not _touches(change, at) or _stays_here(change):
                continue
            if change.state is ChangeState.FAILED:
                failed.append(FailedChange(self._shown(change.path), change.error or "refused"))
            elif change.id in held:
                open_files += 1
            else:
                pending += 1
                size_bytes += change.size_bytes
        return Backlog(pending, size_bytes, open_files, tuple(failed), self._parts.journal.orphans.count())

    def await_change(self, timeout_s: float) -> None:
        self._parts.waiting.wait(timeout_s)

    def sync(self) -> None:
        self._parts.durability.sync_journal()

    def status(self) -> AccountStatus:
        parts = self._parts
        wall_ns = parts.clock.wall_ns()
        live = [change for change in parts.journal.live() if not _stays_here(change)]
        tallies: dict[str, Tally] = {}
        for change in live:
            tally = tallies.get(change.state, Tally())
            tallies[change.state.value] = Tally(tally.count + 1, tally.size_bytes + change.size_bytes)
        pending = [change for change in live if change.state in PENDING_STATES]
        oldest_ns = min((change.touched_ns for change in pending), default=None)
        return AccountStatus(
            account=parts.display_name,
            states=tallies,
            pending=Tally(len(pending), sum(change.size_bytes for change in pending)),
            oldest_pending_age_s=None if oldest_ns is None else max(0.0, (wall_ns - oldest_ns) / NS_PER_S),
            current_job=jobs_in_words(parts.committer.current),
            calls=parts.backend.calls(),
            troubles=self._troubles(live, wall_ns),
            far_side=self._far_side(),
            strays=self._look_for_strays(),
        )

    def close(self) -> None:
        parts = self._parts
        parts.backend.close()
        for worker in parts.workers:
            worker.stop()
        deadline_s = parts.clock.now_s() + LAST_STEPS_S
        ended = [worker.join(max(0.0, deadline_s - parts.clock.now_s())) for worker in parts.workers]
        if all(ended):
            parts.release()
        else:
            # Closing the journal under a running step would only make it fail; the process ends anyway.
            LOG.warning("%d background threads did not end in %.0f s", ended.count(False), LAST_STEPS_S)

    def _held_open(self, live: Sequence[Change]) -> set[int]:
        """Those of *live* that are being written, or were closed and are still open for somebody."""
        now_s = self._parts.clock.now_s()
        opened = [change for change in live if change.state is ChangeState.OPEN]
        with self._parts.journal.lock:
            seen = self._closed_s
            self._closed_s = {change.id: seen.get(change.id, now_s) for change in opened if change.is_flushed}
            return {
                change.id
                for change in opened
                if now_s - self._closed_s.get(change.id, -math.inf) >= RELEASE_S
            }

    def _absolute(self, path: RemotePath) -> RemotePath:
        return RemotePath(self._parts.root.text + path.text)

    def _shown(self, path: RemotePath) -> str:
        """As the user of the mount sees it; whole where it lies outside of what is mounted."""
        root = self._parts.root
        return str(path.moved(root, RemotePath(""))) if root.is_root or path.is_below(root) else str(path)

    def _troubles(self, live: Sequence[Change], wall_ns: int) -> tuple[Trouble, ...]:
        """What failed or is being retried, and then the latest notices, newest first."""

        def age_s(since_ns: int) -> float:
            return max(0.0, (wall_ns - since_ns) / NS_PER_S)

        found = [
            Trouble(self._shown(change.path), change.state.value, change.error, age_s(change.touched_ns))
            for change in live
            if change.error is not None
        ]
        found += [
            Trouble(notice.path, "notice", notice.text, age_s(notice.wall_ns))
            for notice in reversed(self._parts.journal.notices())
        ]
        return tuple(found[:TROUBLES_SHOWN])

    def _far_side(self) -> FarSide:
        parts = self._parts
        trouble = parts.uploader.last_error or parts.committer.last_error or parts.follower.last_error
        is_away = parts.uploader.is_offline or parts.committer.is_offline or parts.follower.is_offline
        return FarSide(is_reachable=not is_away, detail=trouble or "")

    def _look_for_strays(self) -> tuple[Stray, ...]:
        now_s = self._parts.clock.now_s()
        if now_s - self._strays_s >= STRAYS_EVERY_S:
            self._strays_s = now_s
            try:
                self._strays = self._parts.strays()
            except (OSError, MountfsError):
                LOG.warning("cannot look for other accounts' pending changes", exc_info=True)
        return self._strays


def jobs_in_words(running: Sequence[Current]) -> str | None:
    """By kind: ``put of 1000``, or ``put of 3 in 3 jobs, move of 1``."""
    kinds: dict[ChangeKind, list[int]] = {}
    for job in running:
        kinds.setdefault(job.kind, []).append(job.entries)
    words = (
        f"{kind} of {sum(entries)}" + (f" in {len(entries)} jobs" if len(entries) > 1 else "")
        for kind, entries in kinds.items()
    )
    return ", ".join(words) or None


def _touches(change: Change, at: RemotePath) -> bool:
    return at.is_root or any(path.key == at.key or path.is_below(at) for path in change.paths)


def _stays_here(change: Change) -> bool:
    return is_local_only(change.path)
