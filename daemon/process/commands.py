"""What a person asks of a path beside its pending changes: what is kept of it here, what it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

from daemon.commit.verdicts import leaves_open
from daemon.control.account import GoesOn, always
from daemon.control.status import in_bytes, plural
from daemon.core import Core
from daemon.process.keeps import kept_lines
from daemon.process.undelete import Undelete
from daemon.upkeep.pinner import PIECE_BYTES, Pinner
from daemon.upkeep.pins import shown_at
from mountfs.errors import Busy, InvalidArgument, MountfsError, NotFound
from mountfs.model.entry import NS_PER_S, File
from mountfs.model.path import ROOT, RemotePath
from mountfs.tree.broughtback import BroughtBack
from mountfs.tree.node import Node, size_of, time_of
from mountfs.tree.place import base_place

PRESENT, PENDING = "now", "pending"
"""Stand where a former version has its revision."""


class Commands:
    """Any thread. Paths are relative to the top of the mount."""

    def __init__(self, core: Core, pinner: Pinner, check_writable: Callable[[], None] = lambda: None) -> None:
        """*check_writable*: raises where nothing may be changed at the service."""
        self._core = core
        self._check_writable = check_writable
        self._pinner = pinner
        self._undelete = Undelete(core)
        self._commands = {
            "pin": self._pin,
            "pinned": self._pinned,
            "unpin": self._unpin,
            "cache": self._cache,
            "clear-cache": self._clear_cache,
            "versions": self._versions,
            "restore": self._restore,
            "attributes": self._attributes,
        }

    def carry_out(
        self, command: str, path: RemotePath, argument: str, goes_on: GoesOn = always
    ) -> tuple[str, ...]:
        """The lines to tell. *goes_on*: hears how far what takes long is, and ends it. MountfsError."""
        if command == "undelete":
            self._check_writable()
            return tuple(self._undelete.run(path, goes_on))
        do = self._commands.get(command)
        if do is None:
            raise InvalidArgument(f"this mount knows no command {command}: it is of another age")
        return tuple(do(path, argument))

    # The cache for reading

    def _cache(self, path: RemotePath, _argument: str) -> Iterator[str]:
        blocks = self._core.blocks
        if path.is_root:
            yield f"{in_bytes(blocks.used_bytes)} of at most {in_bytes(blocks.limit_bytes)} are cached"
            return
        below = self._pinner.files_below(self._node(path))
        sizes = [(file.size_bytes, blocks.bytes_of(file)) for file in below]
        cached, all_bytes = sum(each for _, each in sizes), sum(each for each, _ in sizes)
        yield f"{in_bytes(cached)} of {in_bytes(all_bytes)} in {plural(len(sizes), 'file')} are cached"

    def _clear_cache(self, path: RemotePath, _argument: str) -> Iterator[str]:
        blocks = self._core.blocks
        before_bytes = blocks.used_bytes
        if path.is_root:
            blocks.clear()
            kept_bytes = blocks.used_bytes
        else:
            files = list(self._pinner.files_below(self._node(path)))
            for file in files:
                blocks.drop(file)
            kept_bytes = sum(blocks.bytes_of(file) for file in files)
        pinned = f"; {in_bytes(kept_bytes)} stay, since they are pinned" if kept_bytes else ""
        yield f"{in_bytes(max(0, before_bytes - blocks.used_bytes))} removed from the cache{pinned}"

    # What is kept here

    def _pin(self, path: RemotePath, _argument: str) -> Iterator[str]:
        self._pinner.pin(self._node(path))
        yield "is kept here from now on; mountfs pin tells how far it is"

    def _pinned(self, _path: RemotePath, _argument: str) -> Iterator[str]:
        for kept in self._pinner.kept():
            far = f"{in_bytes(kept.cached_bytes)} of {in_bytes(kept.size_bytes)}"
            told = f"{far} in {plural(kept.files, 'file')} are here"
            missing_bytes = kept.size_bytes - kept.cached_bytes
            if missing_bytes and not self._core.blocks.has_room_for(min(PIECE_BYTES, missing_bytes)):
                told += "; the disk has no room for more"
            yield f"{self._below_top(kept.path)}: {told if kept.node is not None else 'nothing is there now'}"

    def _unpin(self, path: RemotePath, _argument: str) -> Iterator[str]:
        is_ended = self._pinner.unpin(RemotePath(f"{self._top.text}{path.text}"))
        # What is told as "not in this mount: /x" has no path in the mount but this one.
        if not is_ended and (self._is_below_top(path) or not self._pinner.unpin(path)):
            raise NotFound("it is not pinned itself: mountfs pin lists what is")
        yield "is not kept here any longer than other files"

    # What a file was before

    def _versions(self, path: RemotePath, _argument: str) -> Iterator[str]:
        node = self._node(path)
        with self._core.tree.lock:
            file = _file_of(node)
            is_pending = node.state.content is not None or node.state.draft is not None
            mtime_ns, size_bytes = time_of(node) or 0, size_of(node)
        former = self._core.backend.revisions_before(file, None)
        if is_pending:
            yield _line(PENDING, mtime_ns, size_bytes)
        yield _line(PRESENT, file.mtime_ns, file.size_bytes)
        for each in former:
            yield _line(each.revision, each.mtime_ns, each.size_bytes)

    def _restore(self, path: RemotePath, revision: str) -> Iterator[str]:
        self._check_writable()
        node = self._node(path)
        with self._core.tree.lock:
            file = _file_of(node)
            if any((node.state.flight, node.state.content, node.state.draft)):
                raise Busy("it has changes that are not at the service yet: run mountfs wait first")
        known = self._core.backend.revisions_before(file, None)
        former = next((each for each in known if each.revision == revision), None)
        if former is None:
            raise NotFound(f"it has no former version {revision}: mountfs versions lists them")
        with self._core.tree.lock:
            place, folder = base_place(node), node.state.base_parent
        back = None if folder is None else BroughtBack(self._core.tree, self._core.listings, folder)
        try:
            entry = self._core.backend.restore(place, former)
        except MountfsError as error:
            is_open = leaves_open(error) and former.content_hash
            if not is_open or self._standing(path, folder) != former.content_hash:
                raise
        else:
            if back is None or not back.show(entry):
                self._standing(path, folder)
        size = in_bytes(former.size_bytes)
        yield f"the version of {_time(former.mtime_ns)} is the present one, with {size}"

    def _standing(self, path: RemotePath, folder: Node | None) -> str | None:
        """Has *folder* listed anew: the hash of the file that the service has at *path* in it by then, "" of
        what has none; None: nothing is there, or nobody knows."""
        if folder is None or not self._core.listings.try_relist(folder):
            return None
        with suppress(MountfsError):
            base = self._node(path).state.base
            return (isinstance(base, File) and base.content_hash) or ""
        return None

    # What only this machine keeps

    def _attributes(self, path: RemotePath, after: str) -> Iterator[str]:
        yield from kept_lines(self._core, self._node(path), after)

    @property
    def _top(self) -> RemotePath:
        with self._core.tree.lock:
            return shown_at(self._core.view.top)

    def _below_top(self, path: RemotePath) -> str:
        """*path*, from the top of the account, as it is seen in the mount."""
        if self._is_below_top(path):
            return str(path.moved(self._top, ROOT))
        return f"not in this mount: {path}"

    def _is_below_top(self, path: RemotePath) -> bool:
        top = self._top
        return path.key == top.key or path.is_below(top)

    def _node(self, path: RemotePath) -> Node:
        return self._core.view.stat(path.components)


def _file_of(node: Node) -> File:
    """What the service has of *node*. Under the lock. InvalidArgument, NotFound."""
    if node.is_folder:
        raise InvalidArgument("a folder has no versions: name a file")
    if not isinstance(node.state.base, File):
        raise NotFound("the service does not have it, so there are no versions of it")
    return node.state.base


def _line(revision: str, mtime_ns: int, size_bytes: int) -> str:
    return f"{_time(mtime_ns)}  {in_bytes(size_bytes):>9}  {revision}"


def _time(mtime_ns: int) -> str:
    try:
        return datetime.fromtimestamp(mtime_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return "at no known time"
