"""Keeps pinned files and folders on this machine: lists them, and has all their bytes cached."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from daemon.upkeep.pins import Pins
from mountfs.errors import DiskFull, MountfsError, NotADirectory, NotFound, Transient
from mountfs.model.entry import File
from mountfs.model.loggedpacer import LoggedPacer
from mountfs.model.pacing import Pace, Pacer, grown_s
from mountfs.model.path import RemotePath
from mountfs.ports import Clock
from mountfs.reading.blocks import Blocks
from mountfs.reading.reader import Reader
from mountfs.tree.chunks import CHUNK
from mountfs.tree.feed import CURSOR
from mountfs.tree.node import Node
from mountfs.tree.view import View

LOG = logging.getLogger(__name__)

LOOK_S = 3.0
"""How often it is looked whether others changed anything: the service's position tells."""
RESTS = 20
"""After a pass the next look comes after so many times the pass: 100,000 files take it a second."""
LONGEST_S = 30.0
PASS_S = 3600.0
"""Between two passes however little changes: a cleaner may have removed some of the cache's files."""
PIECE_BYTES = 4 * 1024 * 1024
RECOVER = Pace(first_s=30.0, longest_s=3600.0)
"""Passes because pinned bytes had to give way to others: what is fetched may have to give way again."""
NO_ROOM = "the disk has no room for more of what is pinned"
TOGETHER = 32
"""Small files that are fetched side by side."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How far a pinned file or folder is here. *path*: from the top of the account; *node*: None where
    nothing stands there."""

    path: RemotePath
    node: Node | None
    files: int
    size_bytes: int
    cached_bytes: int


class Pinner:
    """One thread calls ``step``; the others may be called by any. Each step lists one folder, or fetches some
    of the files in one."""

    def __init__(self, view: View, cache: Blocks, reader: Reader, clock: Clock) -> None:
        self.wake: Callable[[], None] = lambda: None
        self._tree = view.tree
        self._listings = view.listings
        self._pins = Pins(view)
        self._cache = cache
        self._reader = reader
        self._clock = clock
        self._pacer: Pacer = LoggedPacer("fetching what is pinned")
        self._folders: deque[int] = deque()
        """Ids of folders that this pass has still to look into."""
        self._files: deque[File] = deque()
        self._new: deque[Node] = deque()
        """Pinned since the last step: looked into without a pass over all that was pinned before."""
        self._seen_cursor: str | None = ""
        """The service's position when the last pass began; "": another pass is due anyway."""
        self._last_pass_bytes = self._pass_bytes = 0
        self._pass_began_s = -math.inf
        self._passed_s = -math.inf
        """When the last pass began, whether it has ended or not."""
        self._rest_s = LOOK_S
        self._is_refused = False
        """Whether the cache did not keep what this pass fetched: it fetches no more, and another one will."""
        self._recoveries = 0
        """Passes in a row because pinned bytes had to give way."""
        self._recover_s = -math.inf
        self._is_unpinned = False
        """Whether what this pass has still to do may be wanted no more."""
        cache.spares_former = self._pins.has_any()

    # What is pinned

    def pin(self, node: Node) -> None:
        """Keeps *node*, and all below it, here from now on."""
        is_new = self._pins.add(node)
        if is_new and not self._is_refused:
            self._new.append(node)
            self.wake()
        else:
            self._pass_again()  # what is missing is tried again

    def unpin(self, path: RemotePath) -> bool:
        """Ends that for what is pinned at *path*, from the top of the account; whether anything is."""
        is_pinned = self._pins.remove(path)
        self._is_unpinned = True
        self._pass_again()
        return is_pinned

    @property
    def wanted_bytes(self) -> int:
        """Of all that is to be here, as the last pass found it, or this one so far: asking costs nothing."""
        return max(self._last_pass_bytes, self._pass_bytes)

    def kept(self) -> Iterator[Kept]:
        """How far everything that is pinned is here, as far as it is listed."""
        for path, node in self._pins.nodes():
            below = () if node is None else self.files_below(node)
            files = [file for file in below if file.is_downloadable]
            cached_bytes = sum(self._cache.bytes_of(file) for file in files)
            yield Kept(path, node, len(files), sum(file.size_bytes for file in files), cached_bytes)

    def files_below(self, top: Node) -> Iterator[File]:
        """The service's files at or below *top*, as far as they were ever listed."""
        if isinstance(top.state.base, File):
            yield top.state.base
        folders = [top.id] if top.is_folder else []
        while folders:
            for file, folder_id in self._in(folders.pop()):
                if file is not None:
                    yield file
                else:
                    folders.append(folder_id)

    # One step

    def step(self, now_s: float) -> float:
        """When the next is due. DiskFull: it has no room for what is pinned, and is asked again."""
        if self._pacer.ready_s > now_s:
            return self._pacer.ready_s
        if self._is_unpinned:
            self._is_unpinned = False
            self._new.clear()
            self._files.clear()
            self._folders.clear()
        try:
            while self._new:
                self._take_up(self._new.popleft())
            if self._files:
                self._fetch()
            elif self._folders:
                self._look_into(self._folders.popleft())
            elif not self._begins_pass(now_s):
                return now_s + self._rest_s if self._pins.has_any() else math.inf
        except Transient as error:
            ended_s, jitter = self._clock.now_s(), self._clock.jitter()
            self._pacer.failed(error, started_s=now_s, now_s=ended_s, jitter=jitter)
            self._seen_cursor = ""
            return self._pacer.ready_s
        except BaseException:
            self._seen_cursor = ""  # what it was about is looked at in another pass
            raise
        self._pacer.succeeded()
        return now_s

    # Inside

    def _pass_again(self) -> None:
        self._seen_cursor = ""
        self.wake()

    def _begins_pass(self, now_s: float) -> bool:
        """Whether there is anything to look at. At the end of the first pass it is known what is pinned."""
        with self._tree.lock:
            cursor = self._tree.store.fact(CURSOR)
        is_due = self._seen_cursor != cursor or self._recovers(now_s) or now_s >= self._passed_s + PASS_S
        if not is_due:
            self._end_pass(now_s)
            return False
        self._seen_cursor = cursor
        self._is_refused = False
        self._pass_bytes = 0
        self._pass_began_s = self._passed_s = now_s
        self._cache.begin_pins()
        self._pins.refresh()
        for _, node in self._pins.nodes():
            if node is not None:
                self._take_up(node)
        if not self._folders and not self._files:
            self._end_pass(now_s)
            return False
        return True

    def _take_up(self, node: Node) -> None:
        """Has *node*, which is pinned itself, looked into or fetched."""
        if node.is_folder:
            self._folders.append(node.id)
        elif isinstance(node.state.base, File):
            self._want(node.state.base)

    def _recovers(self, now_s: float) -> bool:
        """Whether it is time to fetch again what had to give way, or was not kept."""
        if now_s < self._recover_s:
            return False
        if not self._cache.has_lost_pins and not self._is_refused:
            self._recoveries = 0
            return False
        self._recoveries += 1
        self._recover_s = now_s + grown_s(self._recoveries, RECOVER)
        return True

    def _end_pass(self, now_s: float) -> None:
        self._last_pass_bytes = self._pass_bytes
        self._cache.spares_former = False
        if math.isfinite(self._pass_began_s):
            self._cache.end_pins()
            self._rest_s = min(LONGEST_S, max(LOOK_S, RESTS * (now_s - self._pass_began_s)))
            self._pass_began_s = -math.inf

    def _look_into(self, folder_id: int) -> None:
        with self._tree.lock:
            folder = self._tree.node(folder_id)
        if folder is None:
            return
        try:
            if folder.is_folder and not self._is_listed(folder):
                return
        except Transient:
            self._folders.appendleft(folder_id)
            raise
        for file, below in self._in(folder_id):
            if file is None:
                self._folders.append(below)
            else:
                self._want(file)

    def _is_listed(self, folder: Node) -> bool:
        """Lists *folder* where news made it doubtful; False: it has gone. Transient."""
        with self._tree.lock:
            is_stale = self._listings.is_stale(folder)
        try:
            if is_stale:
                self._listings.load(folder)
        except Transient:
            raise
        except (NotFound, NotADirectory):
            return False
        except MountfsError as error:
            LOG.debug("what was known of folder %d stays pinned: %s", folder.id, error)
        return True

    def _want(self, file: File) -> None:
        is_first = self._cache.pin(file)
        if is_first and file.is_downloadable and file.size_bytes:
            self._pass_bytes += file.size_bytes
            if not self._is_refused:
                self._files.append(file)

    def _fetch(self) -> None:
        """One large file, or some small ones side by side."""
        small: list[File] = []
        while self._files and len(small) < TOGETHER and self._reader.is_small(self._files[0].size_bytes):
            small.append(self._files.popleft())
        missing = [file for file in small or [self._files[0]] if self._is_missing(file)]
        if small and not self._cache.has_room_for(sum(file.size_bytes for file in missing)):
            self._files.extendleft(reversed(small))
            raise DiskFull(NO_ROOM)
        if small:
            for file in missing:
                self._reader.prefetch(file, lambda _error: None)
        for file in missing:
            for at, stop in self._pieces(file):
                if self._cache.gaps(file, at, stop):
                    if not self._cache.has_room_for(stop - at):
                        raise DiskFull(NO_ROOM)
                    try:
                        self._reader.read(file, at, stop - at)
                    except Transient:
                        raise
                    except MountfsError as error:
                        LOG.debug("%s is pinned and cannot be fetched: %s", file.name, error)
                        break
                    if self._cache.gaps(file, at, stop):  # the disk did not take it: a quota, say
                        self._is_refused = True
                        self._files.clear()
                        return
        if not small:
            self._files.popleft()

    def _pieces(self, file: File) -> Iterator[tuple[int, int]]:
        """Parts of *file*, until anything is unpinned, perhaps this file, or the service has another version
        of it: what is still pinned, and that version, is found by the next pass."""
        for at in range(0, file.size_bytes, PIECE_BYTES):
            if self._is_unpinned or (at and not self._is_present(file)):
                return
            yield at, min(at + PIECE_BYTES, file.size_bytes)

    def _is_present(self, file: File) -> bool:
        """Whether it is still this version that the service has, as far as it has told. Transient."""
        with self._tree.lock:
            node = self._tree.by_remote_id(file.id)
            folder = node.state.base_parent if node is not None else None
        if folder is not None and not self._is_listed(folder):
            return False
        with self._tree.lock:
            base = node.state.base if node is not None else None
        return isinstance(base, File) and base.revision == file.revision

    def _is_missing(self, file: File) -> bool:
        self._cache.recall(file)
        return bool(self._cache.gaps(file, 0, file.size_bytes))

    def _in(self, folder_id: int) -> Iterator[tuple[File | None, int]]:
        """The service's files in a folder, and the ids of the folders in it, as the store has them."""
        last_id = 0
        while True:
            with self._tree.lock:
                rows = self._tree.store.children(folder_id, after_id=last_id, most=CHUNK)
            for row in rows:
                if row.is_folder:
                    yield None, row.id
                elif isinstance(row.base, File):
                    yield row.base, 0
            if len(rows) < CHUNK:
                return
            last_id = rows[-1].id
