"""Introduces everything to each other; the only module that sees it all."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket as sockets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from daemon.config.settings import AccountRemote
from daemon.control.status import Stray, Trouble, in_bytes, plural
from daemon.core import Core, Foundation, Places, Settings, build, is_acknowledged, lay
from daemon.failure import Failure
from daemon.places.monthledger import MonthLedger
from daemon.places.statedir import Slot, StateDir
from daemon.process.adoption import adopt
from daemon.process.briefly import briefly
from daemon.process.connection import Connection, connect
from daemon.process.copied import tell_of_original
from daemon.process.descriptors import part_of_limit
from daemon.process.fleetwork import FleetWork, join
from daemon.process.mounted import Parts, RunningAccount
from daemon.process.options import file_system_options, fuse_options
from daemon.process.otherversion import is_spent, take_slot
from daemon.process.run import MountPlan
from daemon.process.topfolder import look_at_top
from daemon.process.transportcalls import TransportCalls
from daemon.process.worker import Worker, waker_of
from daemon.signin.identity import identity_mark
from daemon.upkeep.pinner import Pinner
from mountfs.clock import SystemClock, boot_id
from mountfs.errors import Internal, MountfsError, NoSpace, Refused
from mountfs.fuse.kernel import drops_pages
from mountfs.fuse.timing import Timing
from mountfs.model.entry import NS_PER_S, Account, Entry
from mountfs.model.logevent import LogEvent
from mountfs.ports import Backend, Clock, Disk
from mountfs.reading.inherited import take_cache
from mountfs.spool.ahead import AHEAD_FILES
from mountfs.spool.disk import RealDisk
from mountfs.transport.link import Child
from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.foreign import PROGRAM
from mountfs.tree.node import Node, State
from mountfs.tree.peek import has_pins
from mountfs.tree.strays import set_aside_directory
from mountfs.tree.walks import THREADS

LOG = logging.getLogger(__name__)

UPLOAD_WORKERS = 4
"""Enough to fill a line with 8 MiB requests at 100 ms; each may hold one such body in memory."""

FILL_WORKERS = 4

IDLE_CACHE_S = 7 * 86400
"""A slot's cache in which nothing came or went for so long belongs to a mount that is no more."""

PATIENCE_S = 1.0
"""So long a service is asked about an account that was mounted before, and about its top. A mount that has no
answer by then shows what it knows, and makes up for it as soon as the service answers."""


def assemble(
    plan: MountPlan, remote: AccountRemote, socket: Path, process: Child | None = None
) -> RunningAccount:
    """A mount of *remote* ready to run. *process*: a network process that was started already. Failure,
    MountfsError."""
    clock = SystemClock()
    state = StateDir(plan.options.state_dir)
    connection = connect(plan, remote, clock, process)
    backend = connection.backend
    try:
        mark = identity_mark(remote)
        patience_s = None if state.known(plan.spec.name, mark) is None else PATIENCE_S
        _ = backend.limits  # it is up then: the service alone is what is asked briefly
        introduction = _Introduction(plan.spec.name, backend, patience_s)
        account = state.identify(plan.spec.name, mark, introduction.ask_briefly)
        connection.mounted(account)
        top: Entry | None = None
        if introduction.is_made:
            top = look_at_top(backend, plan.spec, patience_s, lambda: state.pending(account.key).count > 0)
        else:
            LOG.warning("%s: the service does not answer; what is known of it is mounted", plan.spec.name)
        slot = take_slot(state, account)
        return _Assembly(plan, connection, clock, RealDisk(), state, account, slot, introduction, top).build(
            socket
        )
    except BaseException:
        backend.close()
        connection.end()
        raise


@dataclass(slots=True)
class _Introduction:
    """The backend is told of its account: whose it is, and what that may do. A mount that starts while
    the service is away makes up for it."""

    remote: str
    backend: Backend
    patience_s: float | None
    """None: who it is must be known before anything can be mounted."""
    is_made: bool = False

    def ask_briefly(self) -> Account:
        return self.ask() if self.patience_s is None else briefly(self.ask, self.patience_s)

    def ask(self) -> Account:
        account = self.backend.account()
        if not self.is_made:
            self.is_made = True
            LOG.info(LogEvent("signed-in", remote=self.remote, account=account.display_name))
        return account

    def make_up(self) -> None:
        if not self.is_made:
            with contextlib.suppress(Refused):  # what the account may not do keeps nobody from following
                self.ask()


@dataclass(frozen=True, slots=True)
class _Assembly:
    """The makings of one mount."""

    plan: MountPlan
    connection: Connection
    clock: Clock
    disk: Disk
    state: StateDir
    account: Account
    slot: Slot
    introduction: _Introduction
    top: Entry | None

    def build(self, socket: Path) -> RunningAccount:
        places, settings = self._places(self.slot), self._settings()
        backend = self.connection.backend
        with _nothing_is_garbage():
            foundation = _signed(lay(places, backend, self.clock, self.disk, settings), self.slot)
        self._take_over(foundation, settings)
        cores: list[Core] = []

        def begin() -> None:
            self.introduction.make_up()
            # A folder that was listed takes new files while the far side is away.
            with contextlib.suppress(Refused):
                cores[0].view.children(cores[0].view.top)

        fleet = self._fleet(places)
        settings = replace(settings, on_follow=begin, turn=None if fleet is None else fleet.turn)
        core = build(foundation, places, backend, self.clock, self.disk, settings)
        cores.append(core)
        workers = _workers(core, self.clock, follows := Worker("follow", core.follower.step, self.clock))
        self.connection.hear(partial(_answered, core, follows))
        if fleet is not None:
            fleet.turn.granted = lambda: core.committer.wake()  # noqa: PLW0108 - it is set later
            workers.append(fleet.worker)
        self._tell_of_shortage(core)
        transport = self._transport_calls(core)
        counts = [Worker("transport", transport.step, self.clock)] if transport.counts else []
        pinner, pins = self._pinner(core)

        def release() -> None:
            with contextlib.suppress(OSError):
                transport.step(self.clock.now_s())  # the calls of the last seconds
            with contextlib.suppress(MountfsError, OSError, sqlite3.Error):
                core.durability.save()  # else the labels of the files tell it
            core.close()
            if fleet is not None:
                fleet.turn.close()
            self.slot.release()

        return RunningAccount(
            Parts(
                display_name=self.account.display_name,
                root=self.plan.spec.subdir,
                core=core,
                pinner=pinner,
                file_system=core.file_system(file_system_options(self.plan, socket)),
                fuse=fuse_options(self.plan),
                first_workers=[follows],
                workers=[*workers, *counts, pins],
                transport=lambda: transport.told,
                strays=self._strays,
                set_aside=self._set_aside,
                end_connection=self.connection.end,
                release=release,
                fleet=fleet,
                limit_rates=self.connection.limit_rates,
                traffic=self.connection.traffic,
                timing=Timing(self.clock.now_s) if self.plan.options.http is not None else None,
                rates=self.plan.options.bwlimit,
            )
        )

    def _pinner(self, core: Core) -> tuple[Pinner, Worker]:
        pinner = Pinner(core.view, core.blocks, core.reader, self.clock)
        worker = Worker("pin", pinner.step, self.clock)
        pinner.wake = waker_of(worker)
        return pinner, worker

    def _tell_of_shortage(self, core: Core) -> None:
        if (shortage := core.spool.shortage()) is not None:
            LOG.warning("%s: nothing can be written to the mount: %s", self.plan.options.state_dir, shortage)

    def _transport_calls(self, core: Core) -> TransportCalls:
        return TransportCalls(
            core.tree,
            self.connection.backend,
            core.prober.pause,
            MonthLedger(self.state.account_dir(self.account) / "transport.json"),
            self.clock,
            limit=getattr(self.plan.remote, "transport_calls_per_month", None),
            traffic=self.connection.traffic,
        )

    def _fleet(self, places: Places) -> FleetWork | None:
        """This mount among the machines that share the account; None: there are no others."""
        fleet, backend = self.plan.fleet, self.connection.backend
        return None if fleet is None else join(fleet, self.account, backend, self.clock, places.commit_lock)

    def _places(self, slot: Slot) -> Places:
        lock = self.state.account_dir(self.account) / "commit.lock"
        return Places(
            slot.journal,
            slot.spool,
            slot.cache,
            lock,
            slot.is_shared,
            slot.other_caches,
            partial(self.state.drop_idle_caches, slot, has_pins),
        )

    def _settings(self) -> Settings:
        return Settings(
            boot_id=boot_id(),
            host=sockets.gethostname(),
            settle_s=self.plan.options.settle_s,
            top=self.plan.spec.subdir,
            top_entry=self.top,
            made_ahead=part_of_limit(AHEAD_FILES),
            walkers=THREADS,
            passes_pages=drops_pages(os.uname().release),
            cache_bytes=self.plan.options.cache_max_bytes,
            cache_min_free_bytes=self.plan.options.cache_min_free_bytes,
        )

    def _take_over(self, foundation: Foundation, settings: Settings) -> None:
        """All that mounts which no longer run left of this account. What cannot be taken, whatever it fails
        by, stays where it is: what is pending here does not wait for it."""
        for directory in self.state.other_slots(self.account, self.slot):
            try:
                self._take_over_from(directory, foundation, settings)
            except Exception as error:
                is_told = isinstance(error, Failure | MountfsError | OSError | sqlite3.Error)
                why = error if is_told else Internal.of(error)
                text = f"what another mount left pending in {directory} cannot be taken over: {why}"
                LOG.error("%s", text, exc_info=None if is_told else error)
                with contextlib.suppress(NoSpace, sqlite3.Error):
                    foundation.tree.notice("/", text)

    def _take_over_from(self, directory: Path, foundation: Foundation, settings: Settings) -> None:
        """Nothing from a slot that a mount uses."""
        abandoned = self.state.lock_slot(directory)
        if abandoned is None:
            return
        try:
            if abandoned.journal.exists() and not is_spent(abandoned):
                places = self._places(abandoned)
                theirs = lay(places, self.connection.backend, self.clock, self.disk, settings)
                adopt(foundation, theirs, directory)
            self._take_cache(abandoned)
        finally:
            abandoned.release()

    def _take_cache(self, abandoned: Slot) -> None:
        """What nobody has added to for long: nobody would ever let go of it. What a second mount left that
        runs now and then stays there for the next one."""
        with contextlib.suppress(FileNotFoundError):
            idle_ns = self.clock.wall_ns() - abandoned.cache.stat().st_mtime_ns
            if idle_ns >= IDLE_CACHE_S * NS_PER_S:
                take_cache(abandoned.cache, self.slot.cache)

    def _strays(self) -> tuple[Stray, ...]:
        return tuple(
            Stray(key, held.count, held.size_bytes) for key, held in self.state.others(self.account).items()
        )

    def _set_aside(self) -> Trouble | None:
        """Files that a start found, and nothing named any more."""
        directory = set_aside_directory(self.slot.spool)
        if not directory.is_dir():
            return None
        sizes = [each.stat().st_size for each in directory.iterdir()]
        if not sizes:
            return None
        files = plural(len(sizes), "file")
        what = f"{files} of lost changes, {in_bytes(sum(sizes))}: look at them, then remove them"
        return Trouble(str(directory), "set aside", what, 0.0)


def _signed(foundation: Foundation, slot: Slot) -> Foundation:
    """The same; a mountfs of another version can say from here on which one can send what is pending, and
    one that starts on a copy, what that was made of."""
    tell_of_original(foundation.tree, slot.directory)
    with contextlib.suppress(PackageNotFoundError, *MACHINE_TROUBLE):
        program = version("mountfs")
        if foundation.tree.store.fact(PROGRAM) != program:
            with foundation.tree.transaction():
                foundation.tree.store.set_fact(PROGRAM, program)
    return foundation


@contextlib.contextmanager
def _nothing_is_garbage() -> Iterator[None]:
    """What is made here is there to stay. Python's collector of cycles would go through all of it again and
    again while it grows, which takes a third of the time, and later on at moments when somebody waits."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _workers(core: Core, clock: Clock, follows: Worker) -> list[Worker]:
    """The threads behind the mount, but for *follows*; each part wakes its own."""
    uploaders = [Worker(f"upload-{n}", core.uploader.step, clock) for n in range(UPLOAD_WORKERS)]
    core.uploader.wake = waker_of(*uploaders)
    batches = range(core.backend.limits.batches_at_once)
    commits = [Worker(f"commit-{n}", core.committer.step, clock) for n in batches]
    core.committer.wake = waker_of(*commits)
    fills = [Worker(f"fill-{n}", core.filler.step, clock) for n in range(FILL_WORKERS)]
    core.filler.wake = waker_of(*fills)
    sweeps = Worker("sweep", core.sweeper.step, clock)
    core.sweeper.wake = waker_of(sweeps)
    makes = Worker("make-ahead", core.spool.ahead.step, clock)
    core.spool.ahead.wake = waker_of(makes)
    probes = Worker("probe-room", core.prober.step, clock)
    core.prober.wake = waker_of(probes)

    def tell_follower(_: Node, before: State, after: State) -> None:
        if core.follower.is_offline and is_acknowledged(before, after):
            core.follower.nudge()
            follows.wake()

    core.tree.watch(tell_follower, of_outcomes=True)
    syncs = Worker("sync", core.rate.beside(core.durability.step), clock)
    looks = Worker("other-caches", core.blocks.others.step, clock)
    core.blocks.others.wake = waker_of(looks)
    return [*uploaders, *commits, *fills, sweeps, makes, probes, syncs, looks]


def _answered(core: Core, follows: Worker) -> None:
    """The service is there: what waits because it was not, is tried."""
    core.uploader.answered()
    core.committer.answered()
    core.filler.answered()
    if core.follower.answered():
        follows.wake()
