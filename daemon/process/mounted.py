"""A mounted account at work: what the process may ask of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from daemon.control.account import Backlog, GoesOn, always
from daemon.control.changes import PendingChange, StoryEvent
from daemon.control.figures import Figures
from daemon.control.parked import Parked
from daemon.control.protocol import Discarded, FailedChange, Retried
from daemon.control.status import AccountStatus, Stray, Transfer, Transport, Trouble
from daemon.core import Core
from daemon.process.commands import Commands
from daemon.process.counting import Counted
from daemon.process.counts import bytes_of, count_of
from daemon.process.describing import Description, why_paused
from daemon.process.fleetwork import FleetWork
from daemon.process.headway import Headway
from daemon.process.justclosed import JustClosed
from daemon.process.ping import Ping
from daemon.process.progress import Progress
from daemon.process.story import Stories
from daemon.process.worker import Worker
from daemon.upkeep.pinner import Pinner
from mountfs.errors import NotFound, Transient
from mountfs.filesystem import FileSystem
from mountfs.fuse.mount import FuseMount, FuseOptions
from mountfs.fuse.timing import Timing
from mountfs.model.logevent import LogEvent
from mountfs.model.path import RemotePath
from mountfs.model.rates import UNLIMITED, Rates
from mountfs.tree.bases import is_below
from mountfs.tree.chunks import chunks
from mountfs.tree.node import Node, path_of
from mountfs.tree.view import reason_of
from mountfs.tree.word import PENDING, Word

LOG = logging.getLogger(__name__)

TOLD_AT_ONCE = 100
"""Failed changes in one hold of the lock."""
LAST_STEPS_S = 5.0
"""For a step that is under way at the end; its connections are cut, so it has no reason to take long."""
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
    pinner: Pinner
    file_system: FileSystem
    fuse: FuseOptions
    first_workers: Sequence[Worker]
    workers: Sequence[Worker]
    strays: Callable[[], tuple[Stray, ...]]
    set_aside: Callable[[], Trouble | None]
    end_connection: Callable[[], None]
    release: Callable[[], None]
    fleet: FleetWork | None = None
    limit_rates: Callable[[Rates], None] = lambda _rates: None
    rates: Rates = UNLIMITED
    traffic: Callable[[], tuple[int, int]] = lambda: (0, 0)
    timing: Timing | None = None
    transport: Callable[[], Transport] = Transport


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
        self._commands = Commands(core, parts.pinner, parts.file_system.check_writable)
        self._just_closed = JustClosed(core.tree, core.clock)
        self._stories = Stories(core.tree)
        self._workers = [*parts.first_workers, *parts.workers]
        self._headway = Headway(self._workers, parts.traffic, core.clock)
        self._progress = Progress(core, self._shown, parts.traffic)
        self._counted = Counted(core, self._progress, parts.traffic, parts.timing)
        self._description = Description(
            core,
            parts.display_name,
            self._workers,
            self._progress,
            self._shown,
            strays=parts.strays,
            set_aside=parts.set_aside,
            fleet=parts.fleet,
            rates=parts.rates,
            transport=parts.transport,
            wanted_bytes=lambda: parts.pinner.wanted_bytes,
        )

    def start(self) -> None:
        for worker in self._parts.first_workers:
            worker.start()
        for worker in self._parts.workers:
            worker.start(self._is_up)
        self._core.follower.await_round(FIRST_LOOK_S)

    def serve(self, mountpoint: Path) -> None:
        FuseMount(self._parts.file_system, mountpoint, self._parts.fuse, self._parts.timing).run(
            on_ready=self._is_up.set
        )

    def refuse_writes(self) -> None:
        self._parts.file_system.stop_taking_writes()

    def end_waits(self) -> None:
        self._core.reader.end_waits()

    def hurry(self, path: RemotePath) -> None:  # noqa: ARG002 - the process's; all travel together
        self._core.urgency.hurry()

    def relax(self) -> None:
        self._core.urgency.relax()

    def check_known(self, path: RemotePath) -> None:
        try:
            self._parked.find(path)
        except Transient:
            return
        except NotFound:
            folder = self._core.view.known(path.components[:-1])
            if folder is None or not self._stories.left(folder, path.name):
                raise

    def backlog(self, path: RemotePath) -> Backlog:
        return self._backlog(self._known(path))

    def unsent(self) -> Backlog:
        return self._backlog(self._core.tree.root)

    def _backlog(self, node: Node | None) -> Backlog:
        """At or below *node*."""
        tree = self._core.tree
        with tree.lock:
            sessions = tree.store.orphans.count() + self._core.uploader.opening
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
                nodes = [
                    each
                    for node in refused[at : at + TOLD_AT_ONCE]
                    for each in (node, *plan.waiting_for(node))
                ]
            for part in chunks(nodes):  # all that is in a refused folder waits for that
                with tree.lock:
                    for each in part:
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

    def first_changes(self, most: int) -> list[PendingChange]:
        return self._parked.first_changes(most)

    def discard(self, path: RemotePath, *, is_trial: bool) -> Discarded:
        return self._parked.discard(path, is_trial=is_trial)

    def carry_out(
        self, command: str, path: RemotePath, argument: str, goes_on: GoesOn = always
    ) -> tuple[str, ...]:
        return self._commands.carry_out(command, path, argument, goes_on)

    def ask_far_side(self) -> None:
        self._ping.ask()

    def held_up(self) -> str:
        pause = self._core.prober.pause
        with self._core.tree.lock:
            standstill = self._core.standstill()
            elsewhere = pause.elsewhere(self._core.clock.now_s())
        fleet = self._parts.fleet.held_up if self._parts.fleet is not None else ""
        held = why_paused(standstill, is_held=pause.is_held) or fleet or self._ping.trouble()
        return held or why_paused(elsewhere, is_held=False)

    def await_change(self, timeout_s: float) -> None:
        self._core.waiting.wait(timeout_s)

    def sync(self) -> None:
        self._core.durability.sync_below(self._core.tree.root)

    def look_around(self) -> None:
        if self._parts.fleet is not None:
            self._parts.fleet.turn.look()

    def status(self) -> AccountStatus:
        return self._description.status()

    def story(self, path: RemotePath) -> tuple[StoryEvent, ...]:
        return self._stories.of(self._parked.find(path))

    def hold(self, is_held: bool) -> None:
        LOG.info(LogEvent("paused" if is_held else "resumed", by="command"))
        with self._core.tree.lock:
            self._core.prober.pause.hold(is_held)

    def limit_rates(self, rates: Rates) -> None:
        LOG.info(LogEvent("bwlimit", rates=rates))
        self._parts.limit_rates(rates)
        self._description.rates = rates

    def stuck(self) -> str:
        return self._headway.stuck()

    def figures(self) -> Figures:
        return self._counted.figures()

    def beat(self) -> None:
        self._progress.sample()

    def transfer(self) -> Transfer:
        return self._progress.tell()

    def close(self) -> None:
        core = self._core
        for worker in self._workers:
            worker.stop()
        self._is_up.set()
        core.backend.close()
        self._parts.end_connection()
        deadline_s = core.clock.now_s() + LAST_STEPS_S
        ended = [worker.join(max(0.0, deadline_s - core.clock.now_s())) for worker in self._workers]
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
