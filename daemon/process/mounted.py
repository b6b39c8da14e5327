"""A mounted account at work: what the process may ask of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event

from daemon.commit.batch import Current
from daemon.control.account import Backlog
from daemon.control.changes import PendingChange
from daemon.control.parked import Parked
from daemon.control.protocol import Discarded, FailedChange, Retried
from daemon.control.status import AccountStatus, FarSide, Stray, Tally, Transfer, Trouble, far_side
from daemon.core import Core
from daemon.places.holders import holder_of
from daemon.process.counts import bytes_of, count_of
from daemon.process.fleetwork import FleetWork
from daemon.process.justclosed import JustClosed
from daemon.process.keeping import copies_kept
from daemon.process.ping import Ping
from daemon.process.progress import Progress
from daemon.process.worker import Worker
from mountfs.errors import MountfsError
from mountfs.filesystem import FileSystem
from mountfs.fuse.mount import FuseMount, FuseOptions
from mountfs.model.advice import advised
from mountfs.model.entry import NS_PER_S
from mountfs.model.order import OrderKind
from mountfs.model.path import RemotePath
from mountfs.tree.bases import is_below
from mountfs.tree.node import Node, path_of
from mountfs.tree.view import reason_of
from mountfs.tree.word import PENDING, Word, word_of

LOG = logging.getLogger(__name__)

TROUBLES_SHOWN = 20
TOLD_AT_ONCE = 100
"""Failed changes in one hold of the lock."""
LAST_STEPS_S = 5.0
"""For a step that is under way at the end; its connections are cut, so it has no reason to take long."""
STRAYS_EVERY_S = 10.0
"""Other accounts' stores are files of other processes; looking into them costs an open each."""

FIRST_LOOK_S = 1.0
"""So long a mount waits at its start to hear what others changed since the last one. One that has not heard
it by then shows what it knows."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a mounted account is made of, introduced to each other by the assembly. *first_workers*
    begin before the mount stands, *workers* then; the threads of all are there before, or there is no mount.
    *set_aside*: the files of lost rows that a start kept. *end_connection*: nothing is asked of the service
    from then on."""

    display_name: str
    root: RemotePath
    core: Core
    file_system: FileSystem
    fuse: FuseOptions
    first_workers: Sequence[Worker]
    workers: Sequence[Worker]
    strays: Callable[[], tuple[Stray, ...]]
    set_aside: Callable[[], Trouble | None]
    end_connection: Callable[[], None]
    release: Callable[[], None]
    fleet: FleetWork | None = None


class RunningAccount:
    """``daemon.control.account.MountedAccount`` on the real parts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._core = core = parts.core
        self._is_up = Event()
        """Until then those that go through all that is pending would keep the mount from coming up."""
        self._ping = Ping(core.backend.latest_cursor, core.clock)
        self._parked = Parked(
            core.tree,
            core.view,
            core.listings,
            core.copies,
            core.clock,
            shown=self._shown,
            hurry=core.prober.pause.hurry,
        )
        self._strays: tuple[Stray, ...] = ()
        self._set_aside: Trouble | None = None
        self._strays_s = -math.inf
        self._just_closed = JustClosed(core.tree, core.clock)
        self._progress = Progress(core, self._shown)

    def start(self) -> None:
        for worker in self._parts.first_workers:
            worker.start()
        for worker in self._parts.workers:
            worker.start(self._is_up)
        self._core.follower.await_round(FIRST_LOOK_S)

    def serve(self, mountpoint: Path) -> None:
        FuseMount(self._parts.file_system, mountpoint, self._parts.fuse).run(on_ready=self._is_up.set)

    def refuse_writes(self) -> None:
        self._parts.file_system.stop_taking_writes()

    def end_waits(self) -> None:
        self._core.reader.end_waits()

    def hurry(self, path: RemotePath) -> None:  # noqa: ARG002 - the process's; all travel together
        self._core.urgency.hurry()

    def relax(self) -> None:
        self._core.urgency.relax()

    def backlog(self, path: RemotePath) -> Backlog:
        return self._backlog(self._known(path))

    def unsent(self) -> Backlog:
        return self._backlog(self._core.tree.root)

    def _backlog(self, node: Node | None) -> Backlog:
        """At or below *node*."""
        tree = self._core.tree
        with tree.lock:
            sessions = tree.store.count_orphans() + self._core.uploader.opening
            if node is None:
                return Backlog(sessions=sessions)
            counts = [count_of(node, (word,)) for word in PENDING]
            size_bytes = sum(bytes_of(node, word) for word in PENDING)
            open_files = count_of(node, (Word.OPEN,))
            just_closed, closed_bytes = self._just_closed.below(node)
            open_bytes = bytes_of(node, Word.OPEN) - closed_bytes
            pending = sum(counts) - open_files + just_closed
            return Backlog(pending, size_bytes - open_bytes, open_files - just_closed, sessions)

    def failures(self, path: RemotePath) -> tuple[FailedChange, ...]:
        top = self._known(path)
        tree, plan = self._core.tree, self._core.plan
        with tree.lock:
            refused = list(tree.refused.values()) if top is not None else []
        found: dict[int, FailedChange] = {}
        for at in range(0, len(refused), TOLD_AT_ONCE):
            with tree.lock:
                for node in refused[at : at + TOLD_AT_ONCE]:
                    for each in (node, *plan.waiting_for(node)):
                        if top is not None and is_below(each, top):
                            reason = reason_of(each) or "refused"
                            found[each.id] = FailedChange(self._shown(path_of(each)), reason)
        return tuple(found.values())

    def retry(self, path: RemotePath) -> Retried:
        found = self._parked.retry(path)
        self._core.uploader.wake()
        self._core.committer.wake()
        return found

    def pending_files(self, path: RemotePath) -> tuple[list[str], int]:
        return self._parked.pending_files(path)

    def pending_changes(self, path: RemotePath) -> tuple[list[PendingChange], int]:
        return self._parked.pending_changes(path)

    def discard(self, path: RemotePath, *, is_trial: bool) -> Discarded:
        return self._parked.discard(path, is_trial=is_trial)

    def ask_far_side(self) -> None:
        self._ping.ask()

    def held_up(self) -> str:
        with self._core.tree.lock:
            standstill = self._core.standstill()
        fleet = self._parts.fleet.held_up if self._parts.fleet is not None else ""
        return _advised_or_empty(standstill) or fleet or self._ping.trouble()

    def await_change(self, timeout_s: float) -> None:
        self._core.waiting.wait(timeout_s)

    def sync(self) -> None:
        self._core.durability.sync_below(self._core.tree.root)

    def status(self) -> AccountStatus:
        core, tree = self._core, self._core.tree
        wall_ns = core.clock.wall_ns()
        strays = self._look_for_strays()
        with tree.lock:
            root = tree.root
            words = {word: Tally(count_of(root, (word,)), bytes_of(root, word)) for word in Word}
            oldest = next(iter(tree.awaited.values()), None)
            copies = copies_kept(tree, self._shown)
            paused = _advised_or_empty(core.standstill())
            since_ns = oldest.pending.since_ns if oldest is not None and oldest.pending is not None else None
        return AccountStatus(
            account=self._parts.display_name,
            states={word.text: found for word, found in words.items() if found.count},
            pending=Tally(
                sum(words[word].count for word in PENDING), sum(words[word].size_bytes for word in PENDING)
            ),
            oldest_pending_age_s=None if since_ns is None else max(0.0, (wall_ns - since_ns) / NS_PER_S),
            current_job=jobs_in_words(core.committer.current)
            or self._other_s_job(is_pending=oldest is not None),
            calls=core.backend.calls(),
            troubles=self._troubles(wall_ns),
            far_side=self._far_side(is_pending=oldest is not None),
            workers=self._failing(),
            strays=strays,
            paused=paused,
            copies=copies,
            fleet=self._parts.fleet.status() if self._parts.fleet is not None else None,
            transfer=self._progress.tell(),
        )

    def beat(self) -> None:
        self._progress.sample()

    def transfer(self) -> Transfer:
        return self._progress.tell()

    def close(self) -> None:
        core, workers = self._core, [*self._parts.first_workers, *self._parts.workers]
        for worker in workers:
            worker.stop()
        self._is_up.set()
        core.backend.close()
        self._parts.end_connection()
        deadline_s = core.clock.now_s() + LAST_STEPS_S
        ended = [worker.join(max(0.0, deadline_s - core.clock.now_s())) for worker in workers]
        if all(ended):
            self._parts.release()
        else:
            # Closing the store under a running step would only make it fail; the process ends anyway.
            LOG.warning("%d background threads did not end in %.0f s", ended.count(False), LAST_STEPS_S)

    # Inside

    def _known(self, path: RemotePath) -> Node | None:
        return self._core.view.known(path.components)

    def _shown(self, text: str) -> str:
        """A path of the account as the user of the mount sees it; whole where it lies outside of what is
        mounted."""
        path, root = RemotePath.parse(text), self._parts.root
        return str(path.moved(root, RemotePath(""))) if root.is_root or path.is_below(root) else str(path)

    def _troubles(self, wall_ns: int) -> tuple[Trouble, ...]:
        """What failed or is being retried, and then the latest notices, newest first."""
        tree = self._core.tree

        def age_s(since_ns: int) -> float:
            return max(0.0, (wall_ns - since_ns) / NS_PER_S)

        with tree.lock:
            nodes = [
                *islice(tree.refused.values(), TROUBLES_SHOWN),
                *islice(tree.troubled.values(), TROUBLES_SHOWN),
            ]
            found = [
                Trouble(
                    self._shown(path_of(node)), _word(node), reason_of(node), age_s(_since_ns(node, wall_ns))
                )
                for node in nodes
            ]
            notices = tree.store.notices()
        found += [
            Trouble(notice.path, "notice", notice.text, age_s(notice.wall_ns)) for notice in reversed(notices)
        ]
        if self._set_aside is not None:
            found.insert(0, self._set_aside)
        return tuple(found[:TROUBLES_SHOWN])

    def _far_side(self, *, is_pending: bool) -> FarSide:
        core = self._core
        sending = core.uploader.last_error or core.committer.last_error if is_pending else None
        is_away = core.uploader.is_offline or core.committer.is_offline or core.follower.is_offline
        if not core.follower.has_looked:
            is_away, sending = True, "it has not answered yet"
        error = core.backend.trouble() or core.follower.error
        return far_side(error, detail=sending or core.follower.last_error, is_away=is_away)

    def _other_s_job(self, *, is_pending: bool) -> str | None:
        """What keeps ours from committing, by turns, or because it was stopped."""
        path = self._core.committer.awaited_lock
        if path is None or not is_pending:
            awaited = self._core.committer.awaited_turn if is_pending else ""
            return f"waits for {awaited}" if awaited else None
        who = ""
        with suppress(OSError), path.open("rb") as lock:
            who = holder_of(lock.fileno())
        return f"waits for another mount of the account{who}"

    def _failing(self) -> dict[str, str]:
        """What this machine, or a bug, keeps workers from."""
        workers = [*self._parts.first_workers, *self._parts.workers]
        found = {each.name: each.last_failure for each in workers if each.last_failure is not None}
        for name, trouble in (
            ("sync", self._core.durability.trouble),
            ("close", self._core.sweeper.trouble),
            ("write", self._core.spool.shortage()),
        ):
            if trouble is not None:
                found.setdefault(name, trouble)
        return found

    def _look_for_strays(self) -> tuple[Stray, ...]:
        now_s = self._core.clock.now_s()
        if now_s - self._strays_s >= STRAYS_EVERY_S:
            self._strays_s = now_s
            try:
                self._strays = self._parts.strays()
                self._set_aside = self._parts.set_aside()
            except (OSError, MountfsError):
                LOG.warning("cannot look for what others left pending", exc_info=True)
        return self._strays


def jobs_in_words(running: Sequence[Current]) -> str | None:
    """By kind: ``put of 1000``, or ``put of 3 in 3 jobs, move of 1``."""
    kinds: dict[OrderKind, list[int]] = {}
    for job in running:
        kinds.setdefault(job.kind, []).append(job.entries)
    words = (
        f"{kind} of {sum(entries)}" + (f" in {len(entries)} jobs" if len(entries) > 1 else "")
        for kind, entries in kinds.items()
    )
    return ", ".join(words) or None


def _advised_or_empty(error: MountfsError | None) -> str:
    return "" if error is None else advised(error)


def _word(node: Node) -> str:
    word = word_of(node)
    return "clean" if word is None else word.text


def _since_ns(node: Node, wall_ns: int) -> int:
    if node.state.refusal is not None:
        return node.state.refusal.wall_ns
    return wall_ns if node.pending is None else node.pending.touched_ns
