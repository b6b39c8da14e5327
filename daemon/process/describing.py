"""What a mount says of its account: how much is pending, what is in trouble, how the service is."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice

from daemon.commit.batch import Current
from daemon.control.status import AccountStatus, Cache, FarSide, Stray, Tally, Transport, Trouble, far_side
from daemon.core import Core
from daemon.places.holders import holder_of
from daemon.process.counts import bytes_of, count_of
from daemon.process.fleetwork import FleetWork
from daemon.process.keeping import copies_kept
from daemon.process.progress import Progress
from daemon.process.worker import Worker
from mountfs.errors import MountfsError, NotSignedIn
from mountfs.model.advice import advised
from mountfs.model.entry import NS_PER_S
from mountfs.model.order import OrderKind
from mountfs.model.rates import Rates
from mountfs.tree.node import Node, path_of
from mountfs.tree.view import reason_of
from mountfs.tree.word import PENDING, Word, word_of

LOG = logging.getLogger(__name__)

TROUBLES_SHOWN = 20
STRAYS_EVERY_S = 10.0
"""Other accounts' stores are files of other processes; looking into them costs an open each."""
HELD = "you paused the mount; mountfs resume ends that"


class Description:
    """Asked by any thread, without the lock."""

    def __init__(
        self,
        core: Core,
        display_name: str,
        workers: Sequence[Worker],
        progress: Progress,
        shown: Callable[[str], str],
        *,
        strays: Callable[[], tuple[Stray, ...]],
        set_aside: Callable[[], Trouble | None],
        fleet: FleetWork | None,
        rates: Rates,
        transport: Callable[[], Transport],
        wanted_bytes: Callable[[], int],
    ) -> None:
        """*shown*: how a path of the account is told to the user of the mount. *wanted_bytes*: how much is to
        be here because it is pinned."""
        self.rates = rates
        self._transport = transport
        self._wanted_bytes = wanted_bytes
        self._core = core
        self._display_name = display_name
        self._workers = workers
        self._progress = progress
        self._shown = shown
        self._find_strays = strays
        self._find_set_aside = set_aside
        self._fleet = fleet
        self._strays: tuple[Stray, ...] = ()
        self._set_aside: Trouble | None = None
        self._strays_s = -math.inf

    def status(self) -> AccountStatus:
        core, tree = self._core, self._core.tree
        wall_ns = core.clock.wall_ns()
        strays = self._look_for_strays()
        with tree.lock:
            root = tree.root
            words = {word: Tally(count_of(root, (word,)), bytes_of(root, word)) for word in Word}
            local = words[Word.LOCAL]
            words[Word.LOCAL] = Tally(local.count + tree.store.count_specials(), local.size_bytes)
            retried = len(tree.troubled)
            unsent = Tally(tree.copying.count, tree.copying.size_bytes)
            oldest = next(iter(tree.awaited.values()), None)
            copies = copies_kept(tree, self._shown)
            paused = why_paused(core.standstill(), is_held=core.prober.pause.is_held)
            since_ns = oldest.pending.since_ns if oldest is not None and oldest.pending is not None else None
        return AccountStatus(
            account=self._display_name,
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
            unsent=unsent,
            retried=retried,
            fleet=self._fleet.status() if self._fleet is not None else None,
            transfer=self._progress.tell(),
            rates=self.rates,
            transport=self._transport(),
            cache=self._cache(),
        )

    # Inside

    def _cache(self) -> Cache:
        blocks, served = self._core.blocks, self._core.reader.served
        return Cache(
            blocks.used_bytes,
            blocks.limit_bytes,
            blocks.pinned_bytes,
            served.hits,
            served.misses,
            served.hit_bytes,
            served.missed_bytes,
            self._wanted_bytes(),
        )

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
            notices = tree.store.notices.all()
        found += [
            Trouble(notice.path, "notice", notice.text, age_s(notice.wall_ns)) for notice in reversed(notices)
        ]
        if self._set_aside is not None:
            found.insert(0, self._set_aside)
        return tuple(found[:TROUBLES_SHOWN])

    def _far_side(self, *, is_pending: bool) -> FarSide:
        core = self._core
        # Who sends nothing any more never hears that the service is back.
        is_uploading = is_pending and not core.prober.pause.stops_uploads
        is_committing = is_pending and not (core.prober.pause.is_held and not core.committer.current)
        sending = (is_uploading and core.uploader.last_error) or (is_committing and core.committer.last_error)
        is_away = (
            (is_uploading and core.uploader.is_offline)
            or (is_committing and core.committer.is_offline)
            or core.follower.is_offline
        )
        if not core.follower.has_looked:
            is_away, sending = True, "it has not answered yet"
        error, unseen = core.backend.trouble(), core.follower.error
        if error is None and isinstance(unseen, NotSignedIn):
            # Who is signed in again is so for all calls: that is from before, until changes are asked for.
            return far_side(None, detail=sending or None, is_away=is_away)
        return far_side(error or unseen, detail=sending or core.follower.last_error, is_away=is_away)

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
        found = {each.name: each.last_failure for each in self._workers if each.last_failure is not None}
        for name, trouble in (
            ("sync", self._core.durability.trouble),
            ("close", self._core.sweeper.trouble),
            ("write", self._core.spool.shortage()),
            ("list", self._lost()),
        ):
            if trouble is not None:
                found.setdefault(name, trouble)
        return found

    def _lost(self) -> str | None:
        """Why nothing is to be seen in the mount."""
        view = self._core.view
        with self._core.tree.lock:
            if view.is_gone():
                return (
                    "the folder that is mounted was removed at the service: make it there, and mount it again"
                )
            refused = view.listings.refusals.why(view.top.id)
        return f"the service does not show the folder that is mounted: {refused}" if refused else None

    def _look_for_strays(self) -> tuple[Stray, ...]:
        now_s = self._core.clock.now_s()
        if now_s - self._strays_s >= STRAYS_EVERY_S:
            self._strays_s = now_s
            try:
                self._strays = self._find_strays()
                self._set_aside = self._find_set_aside()
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


def why_paused(error: MountfsError | None, *, is_held: bool) -> str:
    """Why nothing is sent, in half a line; "": nothing keeps it. *error*: what the service says to all."""
    if is_held:
        return HELD
    return "" if error is None else advised(error)


def _word(node: Node) -> str:
    word = word_of(node)
    return "clean" if word is None else word.text


def _since_ns(node: Node, wall_ns: int) -> int:
    if node.state.refusal is not None:
        return node.state.refusal.wall_ns
    return wall_ns if node.pending is None else node.pending.touched_ns
