"""Introduces everything to each other; the only module that sees it all."""

from __future__ import annotations

import contextlib
import logging
import os
import socket as sockets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.adoption import adopt, identify
from daemon.commit.committer import Committer
from daemon.failure import Failure
from daemon.follow import Follower
from daemon.mounted import CommitWaiter, Parts, RunningAccount, Waiting
from daemon.options import MountOptions
from daemon.process import MountPlan
from daemon.remotes import connect, identity_mark
from daemon.settings import AccountRemote
from daemon.statedir import Slot, StateDir
from daemon.status import Stray
from daemon.sweeper import Sweeper
from daemon.worker import Worker
from mountfs.attributes import FileSystemOptions, Promise
from mountfs.clock import SystemClock
from mountfs.errors import MountfsError, NotFound, Refused, Transient
from mountfs.files.handles import OpenFiles
from mountfs.files.services import Services
from mountfs.filesystem import FileSystem
from mountfs.fuse.mount import FuseOptions
from mountfs.journal.journal import Journal
from mountfs.journal.recovery import recover
from mountfs.journal.sync import Durability
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.entry import Account, Folder
from mountfs.model.path import RemotePath
from mountfs.namespace.edits import Namespace
from mountfs.namespace.settlement import Settlement
from mountfs.namespace.snapshot import Snapshot
from mountfs.namespace.view import View
from mountfs.ports import Backend, Clock, Disk
from mountfs.reading.blocks import Blocks
from mountfs.reading.reader import Reader
from mountfs.space import SpaceGauge
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import Quota
from mountfs.spool.spool import Spool
from mountfs.upload.uploader import Uploader
from mountfs.upload.urgency import Urgency

LOG = logging.getLogger(__name__)

UPLOAD_WORKERS = 4
"""Enough to fill a line with 8 MiB requests at 100 ms; each may hold one such body in memory."""

LISTING_FRESH_S = 60.0
"""How long a listing is trusted while nobody reports remote changes."""

CACHE_BYTES = 2 * 1024**3
"""Most bytes of remote files kept on the local disk for reading."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def assemble(plan: MountPlan, remote: AccountRemote, socket: Path) -> RunningAccount:
    """A mount of *remote* ready to run. Failure, MountfsError."""
    clock = SystemClock()
    backend = connect(remote, clock, plan.options.state_dir)
    state = StateDir(plan.options.state_dir)
    try:
        introduction = _Introduction(backend)
        account = state.identify(plan.spec.name, identity_mark(remote), introduction.ask)
        _check_root(backend, plan)
        slot = state.take_slot(account)
        return _Assembly(plan, backend, clock, RealDisk(), state, account, slot, introduction).build(socket)
    except BaseException:
        backend.close()
        raise


@dataclass(slots=True)
class _Introduction:
    """The backend is told of its account: whose it is, and what that may do. A mount that starts while
    the service is away makes up for it."""

    backend: Backend
    is_made: bool = False

    def ask(self) -> Account:
        account = self.backend.account()
        self.is_made = True
        return account

    def make_up(self) -> None:
        if not self.is_made:
            with contextlib.suppress(
                Refused
            ):  # what the account is refused for good keeps nobody from following
                self.ask()


@dataclass(frozen=True, slots=True)
class _Core:
    """What an account is on this machine, without anything that works on it."""

    journal: Journal
    spool: Spool
    view: View
    namespace: Namespace

    def list_folder(self, folder: RemotePath) -> None:
        """Has *folder* listed, if it is one."""
        with contextlib.suppress(Refused):
            self.view.children(folder)


@dataclass(frozen=True, slots=True)
class _Assembly:
    """The makings of one mount."""

    plan: MountPlan
    backend: Backend
    clock: Clock
    disk: Disk
    state: StateDir
    account: Account
    slot: Slot
    introduction: _Introduction

    def build(self, socket: Path) -> RunningAccount:
        core = self._core()
        journal, spool = core.journal, core.spool
        durability = Durability(journal, spool, self.disk)
        waiting = Waiting(journal)
        urgency = Urgency(self.clock)
        uploader = self._uploader(core, urgency)
        committer = self._committer(core, urgency)
        blocks = Blocks(self.slot.cache, CACHE_BYTES)
        reader = Reader(self.backend, blocks, self.clock)
        sweeper = Sweeper(journal, spool, blocks, self.backend, self.clock)

        def begin() -> None:
            self.introduction.make_up()
            # A folder that was listed takes new files while the far side is away.
            core.list_folder(self.plan.spec.subdir)

        follower = Follower(self.backend, core.view.snapshot, self.clock, on_begin=begin)
        space = SpaceGauge(self.backend, self.clock, lambda: _uncounted_bytes(journal))
        services = Services(
            changes=core.namespace,
            journal=journal,
            spool=spool,
            reader=reader,
            uploads=uploader,
            durable=durability,
            waiter=CommitWaiter(journal, waiting, urgency, self.clock),
            room=space,
            ask_limits=lambda: self.backend.limits,
            clock=self.clock,
        )

        def release() -> None:
            committer.close()
            reader.close()
            durability.close()
            journal.close()
            self.slot.release()

        return RunningAccount(
            Parts(
                display_name=self.account.display_name,
                root=self.plan.spec.subdir,
                journal=journal,
                backend=self.backend,
                clock=self.clock,
                file_system=self._file_system(core, services, space, socket),
                fuse=_fuse_options(self.plan),
                uploader=uploader,
                committer=committer,
                follower=follower,
                durability=durability,
                urgency=urgency,
                waiting=waiting,
                workers=self._workers(journal, uploader, committer, follower, sweeper, durability),
                end_waits=reader.end_waits,
                strays=self._strays,
                release=release,
            )
        )

    def _core(self) -> _Core:
        """Journal and spool, repaired and with all that was left of this account; the tree over them."""
        host = sockets.gethostname()
        spool = Spool(self.slot.spool, self.disk, Quota())
        journal = self._journal(self.slot, spool, host)
        identify(journal)
        for abandoned in self.state.abandoned_slots(self.account, self.slot):
            theirs = self._journal(abandoned, Spool(abandoned.spool, self.disk, Quota()), host)
            adopt(journal, spool.directory, theirs, abandoned.directory)
        snapshot = Snapshot(journal.lock, self.clock, LISTING_FRESH_S)
        view = View(journal, snapshot, self.backend, self.plan.spec.subdir)
        limits = self.backend.limits
        namespace = Namespace(view, journal, limits.names, self.clock, carries_times=limits.carries_times)
        return _Core(journal, spool, view, namespace)

    def _uploader(self, core: _Core, urgency: Urgency) -> Uploader:
        return Uploader(
            core.journal,
            core.spool,
            self.backend,
            self.clock,
            urgency,
            is_blocked=core.namespace.is_blocked,
            settle_s=self.plan.options.settle_s,
        )

    def _committer(self, core: _Core, urgency: Urgency) -> Committer:
        return Committer(
            core.journal,
            Settlement(core.journal, core.view.snapshot),
            self.backend,
            core.spool,
            clock=self.clock,
            urgency=urgency,
            lock_path=self.state.account_dir(self.account) / "commit.lock",
            host=sockets.gethostname(),
            settle_s=self.plan.options.settle_s,
        )

    def _file_system(self, core: _Core, services: Services, space: SpaceGauge, socket: Path) -> FileSystem:
        return FileSystem(
            view=core.view,
            namespace=core.namespace,
            files=OpenFiles(services, core.journal),
            services=services,
            space=space,
            options=_file_system_options(self.plan, socket),
        )

    def _journal(self, slot: Slot, spool: Spool, host: str) -> Journal:
        """The slot's journal, repaired."""
        journal = Journal(slot.journal, self.clock, ends_sessions=self.backend.limits.ends_sessions)
        recover(
            journal,
            spool,
            boot_id=BOOT_ID.read_text().strip(),
            host=host,
            clock=self.clock,
            hash_kind=self.backend.limits.hash_kind,
        )
        return journal

    def _workers(
        self,
        journal: Journal,
        uploader: Uploader,
        committer: Committer,
        follower: Follower,
        sweeper: Sweeper,
        durability: Durability,
    ) -> list[Worker]:
        """The threads behind the mount; each part's bell wakes its own."""
        uploaders = [Worker(f"upload-{n}", uploader.step, self.clock) for n in range(UPLOAD_WORKERS)]
        uploader.bell = _bell_of(*uploaders)
        lanes = range(self.backend.limits.batches_at_once)
        commits = [Worker(f"commit-{n}", committer.step, self.clock) for n in lanes]
        committer.bell = _bell_of(*commits)
        sweeps = Worker("sweep", sweeper.step, self.clock)
        sweeper.bell = _bell_of(sweeps)
        follows = Worker("follow", follower.step, self.clock)

        def tell_follower(_: Change | None, after: Change | None) -> None:
            if follower.is_offline and after is not None and after.state is ChangeState.COMMITTED:
                follower.nudge()
                follows.wake()

        journal.watch(tell_follower)
        syncs = Worker("sync", durability.step, self.clock)
        return [*uploaders, *commits, sweeps, follows, syncs]

    def _strays(self) -> tuple[Stray, ...]:
        return tuple(
            Stray(key, held.count, held.size_bytes) for key, held in self.state.others(self.account).items()
        )


def _bell_of(*workers: Worker) -> Callable[[], None]:
    def ring() -> None:
        for worker in workers:
            worker.wake()

    return ring


def _uncounted_bytes(journal: Journal) -> int:
    """What the service's quota will have to hold once all is committed."""
    return sum(
        change.size_bytes
        for change in journal.live()
        if change.kind is ChangeKind.PUT and change.state is not ChangeState.FAILED
    )


def _check_root(backend: Backend, plan: MountPlan) -> None:
    """What is to be the top of the mount must be a folder that we may see. Failure.

    While the service does not answer it is taken on trust: the mount after a restart needs no network.
    """
    subdir = plan.spec.subdir
    try:
        if subdir.is_root:
            backend.latest_cursor()  # the cheapest question that a wrong path_root makes fail
            return
        entry = backend.stat(subdir)
    except NotFound:
        raise Failure(f"{plan.spec.name}:{subdir} does not exist; make the folder first") from None
    except Transient as error:
        LOG.warning("%s:%s is mounted unseen: %s", plan.spec.name, subdir, error)
        return
    except MountfsError as error:
        raise Failure(f"{plan.spec.name}:{subdir} cannot be listed: {error}") from error
    if not isinstance(entry, Folder):
        raise Failure(f"{plan.spec.name}:{subdir} is a file; name a folder")


def _file_system_options(plan: MountPlan, socket: Path) -> FileSystemOptions:
    options: MountOptions = plan.options
    return FileSystemOptions(
        uid=options.uid,
        gid=options.gid,
        umask=options.umask,
        root=plan.spec.subdir,
        is_read_only=options.is_read_only,
        close=Promise(options.close.value),
        fsync=Promise(options.fsync.value),
        socket=os.fspath(socket),
    )


def _fuse_options(plan: MountPlan) -> FuseOptions:
    return FuseOptions(
        fsname=f"{plan.spec.name}:{plan.spec.subdir.text}",
        allow_other=plan.options.allow_other,
        is_read_only=plan.options.is_read_only,
    )
