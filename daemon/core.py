"""One account at work on this machine: the tree and everything that works on it, put together from its ports.

The daemon, the tests' worlds and the model machines all use ``build``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from daemon.commit.committer import Committer
from daemon.commit.prober import Prober
from daemon.commit.turn import Turn
from daemon.commit.waiting import CommitWaiter, Waiting
from daemon.upkeep.filler import Filler
from daemon.upkeep.follow import WAIT_S, Follower
from daemon.upkeep.keptrate import KeptRate, recalled_rate
from daemon.upkeep.sweeper import Sweeper
from mountfs.attributes import FileSystemOptions
from mountfs.errors import DiskFull, MountfsError
from mountfs.files.handles import OpenFiles
from mountfs.files.services import Services, pause
from mountfs.files.siblings import Siblings
from mountfs.filesystem import FileSystem
from mountfs.model.entry import Entry
from mountfs.model.linkrate import Link
from mountfs.model.path import ROOT, RemotePath
from mountfs.model.pausing import Pause
from mountfs.model.settling import SETTLE_S
from mountfs.model.waits import Ending
from mountfs.ports import Backend, Clock, Disk
from mountfs.reading.blocks import Blocks
from mountfs.reading.limits import CACHE_BYTES
from mountfs.reading.othercaches import OtherCaches, no_others
from mountfs.reading.reader import SMALL_BYTES, Reader
from mountfs.space import SpaceGauge
from mountfs.spool.ballast import BALLAST_BYTES, Ballast
from mountfs.spool.quota import Quota
from mountfs.spool.spool import Spool
from mountfs.tree import tally
from mountfs.tree.copynames import CopyNames
from mountfs.tree.database import unusable
from mountfs.tree.feed import Feed
from mountfs.tree.gaps import Gaps
from mountfs.tree.launch import Sent, recall_late, stranded
from mountfs.tree.listings import FRESH_S, Listings
from mountfs.tree.node import State
from mountfs.tree.plan import Plan
from mountfs.tree.recovery import Recovery, recover
from mountfs.tree.rescue import Rescue
from mountfs.tree.store import Store
from mountfs.tree.strays import is_never_shared
from mountfs.tree.sync import Durability
from mountfs.tree.tree import Tree
from mountfs.tree.verbs import Verbs
from mountfs.tree.view import View, mounted_folder
from mountfs.tree.walks import listings_ahead
from mountfs.tree.word import PENDING
from mountfs.upload.uploader import Uploader
from mountfs.upload.urgency import Urgency


@dataclass(frozen=True, slots=True)
class Places:
    """Where one mount keeps what is its own. *is_shared*: whether the spool file of a name is also one that
    another mount left, whose journal names it. *other_caches*: of the account's other mounts here;
    *drop_idle_caches* removes those that no mount uses."""

    store: Path
    spool: Path
    cache: Path
    commit_lock: Path
    is_shared: Callable[[str], bool] = is_never_shared
    other_caches: Callable[[], Iterable[Path]] = no_others
    drop_idle_caches: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Settings:
    """How an account is worked on. *boot_id*: of the machine's run; *host*: as the names of copies have it.
    *top*: the folder that is mounted, and *top_entry* as the service has it, None if it was not asked.
    *made_ahead*: so many empty files of the spool are kept at hand. *walkers*: so many folders are listed
    ahead side by side; 0: none. *small_bytes*: the first write into a revision of up to so many bytes fetches
    it whole; over a larger one the spool file has gaps. *passes_pages*: see ``OpenFiles``.
    *ending*: what the waits of reads and listings pass by; None: they pass on the machine's clock."""

    boot_id: str = "boot"
    host: str = "host"
    settle_s: float = SETTLE_S
    fresh_s: float = FRESH_S
    top: RemotePath = ROOT
    top_entry: Entry | None = None
    ballast_bytes: int = BALLAST_BYTES
    quota: Quota = field(default_factory=Quota)
    made_ahead: int = 0
    walkers: int = 0
    passes_pages: bool = True
    small_bytes: int = SMALL_BYTES
    cache_bytes: int = CACHE_BYTES
    cache_min_free_bytes: int = 0
    pause: Callable[[float], None] = pause
    ending: Ending | None = None
    on_follow: Callable[[], None] = lambda: None
    follow_wait_s: float = WAIT_S
    turn: Turn | None = None
    """Who commits next, where the account is shared with other machines."""


@dataclass(frozen=True, slots=True)
class Foundation:
    """A tree on its store and spool, repaired, before anything works on it."""

    tree: Tree
    spool: Spool
    copies: CopyNames
    stranded: list[Sent]
    recovery: Recovery
    ballast: Ballast
    link: Link

    def close(self) -> None:
        self.ballast.release()
        self.spool.close()
        self.tree.store.close()


@dataclass(frozen=True, slots=True)
class Core:
    """Everything behind one mount, introduced to each other; no thread runs yet."""

    tree: Tree
    spool: Spool
    backend: Backend
    clock: Clock
    plan: Plan
    listings: Listings
    feed: Feed
    view: View
    verbs: Verbs
    urgency: Urgency
    uploader: Uploader
    committer: Committer
    follower: Follower
    filler: Filler
    sweeper: Sweeper
    prober: Prober
    durability: Durability
    reader: Reader
    rate: KeptRate
    blocks: Blocks
    space: SpaceGauge
    waiting: Waiting
    services: Services
    files: OpenFiles
    copies: CopyNames
    standstill: Callable[[], MountfsError | None]
    recovery: Recovery
    ballast: Ballast

    def file_system(self, options: FileSystemOptions) -> FileSystem:
        """The account as a file system; several, with different options, may stand side by side."""
        return FileSystem(
            view=self.view,
            verbs=self.verbs,
            files=self.files,
            services=self.services,
            space=self.space,
            options=options,
        )

    def close(self) -> None:
        """Ends what has an end; no step may be running. What is pending stays in the store."""
        self.committer.close()
        self.listings.walks.close()
        self.reader.close()
        self.rate.keep()
        self.durability.close()
        self.ballast.release()
        self.spool.close()
        self.tree.store.close()


def lay(places: Places, backend: Backend, clock: Clock, disk: Disk, settings: Settings) -> Foundation:
    """Opens, or makes, what a mount keeps of an account, and repairs it. StoreUnusable."""
    limits = backend.limits
    spool = Spool(places.spool, disk, settings.quota, settings.made_ahead)
    ballast = Ballast(places.store.parent, disk, settings.ballast_bytes)
    store = Store(places.store, ends_sessions=limits.ends_sessions, boot_id=settings.boot_id)
    try:
        tree = Tree(store, clock, root_id=backend.root_id, carries_times=limits.carries_times)
        sent_contents = tree.restore()
        recall_late(tree)
        sent = stranded(tree, sent_contents)
        copies = CopyNames(tree, settings.host, limits.names.max_chars)
        recovery = recover(
            tree,
            spool,
            copies,
            boot_id=settings.boot_id,
            hash_kind=limits.hash_kind,
            is_shared=places.is_shared,
        )
    except (sqlite3.Error, DiskFull, ValueError, KeyError, TypeError) as error:  # its values make no sense
        store.close()
        raise unusable(places.store, error) from error
    except BaseException:
        store.close()
        raise
    store.on_full = ballast.release
    ballast.hold()
    return Foundation(tree, spool, copies, sent, recovery, ballast, Link(recalled_rate(store)))


def build(
    foundation: Foundation, places: Places, backend: Backend, clock: Clock, disk: Disk, settings: Settings
) -> Core:
    """Everything that works on *foundation*."""
    tree, spool, limits = foundation.tree, foundation.spool, backend.limits
    plan, listings = Plan(tree, limits, settings.settle_s), _listings(tree, backend, settings)
    view = View(tree, listings, mounted_folder(tree, settings.top, settings.top_entry))
    feed = Feed(tree, listings, view.top)
    verbs = Verbs(tree, view, limits.names, foundation.copies)
    urgency = Urgency(clock)
    senders = _senders(foundation, places, backend, clock, settings, plan, listings, urgency)
    blocks, reader, gaps = _reading(foundation, places, backend, clock, disk, settings, listings)
    durability, waiting = Durability(tree, spool, disk), Waiting(tree)
    space = SpaceGauge(backend, clock, lambda: uncounted_bytes(tree))
    services = Services(
        lock=tree.lock,
        changes=verbs,
        gaps=gaps,
        spool=spool,
        reader=reader,
        uploads=senders.uploader,
        durable=durability,
        waiter=CommitWaiter(tree, waiting, urgency, clock, senders.standstill),
        room=space,
        ask_limits=lambda: backend.limits,
        clock=clock,
        pause=settings.pause,
        on_read=Siblings(tree.lock, clock, reader, listings.load_for_walk).reads,
    )
    files = OpenFiles(services, partial(tree.watch, of_outcomes=True), passes_pages=settings.passes_pages)
    return Core(
        tree=tree,
        spool=spool,
        backend=backend,
        clock=clock,
        plan=plan,
        listings=listings,
        feed=feed,
        view=view,
        verbs=verbs,
        urgency=urgency,
        uploader=senders.uploader,
        committer=senders.committer,
        follower=Follower(backend, feed, clock, settings.follow_wait_s, settings.on_follow, plan.heard),
        filler=Filler(tree, spool, reader, gaps, senders.uploader, durability, backend, clock),
        sweeper=Sweeper(tree, spool, blocks, backend, clock, foundation.ballast, durability, files),
        prober=senders.prober,
        durability=durability,
        reader=reader,
        rate=KeptRate(tree, foundation.link),
        blocks=blocks,
        space=space,
        waiting=waiting,
        services=services,
        files=files,
        copies=foundation.copies,
        standstill=senders.standstill,
        recovery=foundation.recovery,
        ballast=foundation.ballast,
    )


def _listings(tree: Tree, backend: Backend, settings: Settings) -> Listings:
    listings = listings_ahead(tree, backend, settings.fresh_s, settings.walkers)
    listings.patience.ending = settings.ending or listings.patience.ending
    return listings


def _reading(
    foundation: Foundation,
    places: Places,
    backend: Backend,
    clock: Clock,
    disk: Disk,
    settings: Settings,
    listings: Listings,
) -> tuple[Blocks, Reader, Gaps]:
    """What is cached gives way to what is written, and to what gaps will take: all are on one disk. The
    waits of reads end with those of *listings*."""
    spool, gaps = foundation.spool, Gaps(foundation.tree)

    def lacking_bytes() -> int:
        spare_bytes = max(settings.quota.spare_bytes(), settings.cache_min_free_bytes)
        try:
            free_bytes = disk.free_bytes(str(places.cache))
        except OSError:
            return 0  # somebody removed the folder: there is nothing to give
        return spare_bytes + spool.promised_bytes() - free_bytes

    hash_kind = backend.limits.hash_kind
    others = OtherCaches(places.other_caches)
    blocks = Blocks(places.cache, settings.cache_bytes, hash_kind, lacking_bytes=lacking_bytes, others=others)

    def look(now_s: float) -> None:
        if blocks.is_short:
            places.drop_idle_caches()
        blocks.look(now_s)

    spool.on_short, others.on_look = blocks.make_room, look
    spool.missing_bytes = lambda: gaps.missing_bytes
    ending = listings.patience.ending
    return blocks, Reader(backend, blocks, clock, ending, settings.small_bytes, foundation.link), gaps


class Senders(NamedTuple):
    """What takes bytes and orders to the service, and asks a full account for room."""

    uploader: Uploader
    committer: Committer
    prober: Prober

    def wake(self) -> None:
        self.uploader.wake()
        self.committer.wake()
        self.prober.wake()

    def standstill(self) -> MountfsError | None:
        """Why no file is committed until somebody makes room or signs in; None while nothing like that is
        known. Under the lock."""
        pause = self.prober.pause
        return pause.error or pause.limit or self.committer.refused_login or self.uploader.refused_login


def _senders(
    foundation: Foundation,
    places: Places,
    backend: Backend,
    clock: Clock,
    settings: Settings,
    plan: Plan,
    listings: Listings,
    urgency: Urgency,
) -> Senders:
    tree, spool, pause = foundation.tree, foundation.spool, Pause()
    uploader = Uploader(
        tree,
        spool,
        backend,
        clock,
        urgency,
        may_begin=plan.may_begin,
        folder_lost=listings.relist_above,
        pause=pause,
        rate=foundation.link.up,
    )
    plan.want_bytes, plan.rescue = uploader.want, Rescue(tree, foundation.copies)
    committer = Committer(
        tree,
        plan,
        listings,
        backend,
        spool,
        clock=clock,
        urgency=urgency,
        uploads=uploader,
        lock_path=places.commit_lock,
        copies=foundation.copies,
        settle_s=settings.settle_s,
        stranded=foundation.stranded,
        pause=pause,
        turn=settings.turn,
    )
    senders = Senders(uploader, committer, Prober(tree, pause, backend, clock))
    pause.changed = senders.wake
    uploader.when_small_are_sent(lambda: committer.wake())  # noqa: PLW0108 - it is set later
    plan.take_up(tree.dirty.values())
    return senders


def uncounted_bytes(tree: Tree) -> int:
    """What the service's quota will have to hold once all is committed."""
    with tree.lock:
        return tally.bytes_of(tree.root, PENDING)


def is_acknowledged(before: State, after: State) -> bool:
    """Whether an order was acknowledged between two states of a node."""
    return before.flight is not None and after.flight is None and after.base is not before.base
