"""The calls about attributes of what stands at a path: modes, owners, times, extended ones."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import TypeVar

from mountfs.attributes import Caller, FileSystemOptions, Moment
from mountfs.errors import NoAttribute, NotADirectory, NotFound, NotSupported, ReadOnly
from mountfs.files.handles import OpenFiles
from mountfs.files.openfile import OpenFile
from mountfs.files.services import Services
from mountfs.published import PublishedLinks
from mountfs.tree.attributing import Attributing
from mountfs.tree.kept import NOTHING_KEPT, Kept
from mountfs.tree.node import Node
from mountfs.tree.view import View, names_of
from mountfs.xattrs import PREFIX, Xattrs, check_name, with_attribute, without_attribute

T = TypeVar("T")

SET_IDS = stat.S_ISUID | stat.S_ISGID


class Metadata:
    """Named as the system calls; paths are the kernel's, which has checked who may do this."""

    def __init__(
        self,
        view: View,
        files: OpenFiles,
        services: Services,
        options: FileSystemOptions,
        published: PublishedLinks,
    ) -> None:
        self._view = view
        self._published = published
        self._files = files
        self._services = services
        self._options = options
        self._nodes = Attributing(view.tree)
        self._xattrs = Xattrs(view, options.socket)

    def chmod(self, path: str, mode: int) -> None:
        """Keeps the permissions of *mode*; nothing where the mount keeps no attributes."""
        self._change(path, lambda node: self._nodes.set_mode(node, mode))

    def drop_set_ids(self, node: Node, caller: Caller) -> None:
        """*caller* emptied the file by open(2), or wrote to it past the kernel's pages: its set-id bits go.
        The kernel sees to that in all other calls."""
        with self._services.lock:
            kept = node.state.kept
            bits = dropped(kept.mode or 0, kept.gid == caller.gid) if kept is not None and caller.uid else 0
            if kept is not None and bits and self._options.keeps_attributes:
                self._nodes.set_mode(node, (kept.mode or 0) & ~bits)

    def chown(self, path: str, uid: int | None, gid: int | None) -> None:
        """None: as it is. Likewise."""
        self._change(path, lambda node: self._nodes.set_owner(node, uid, gid))

    def utimens(self, path: str, mtime: int | Moment, atime: int | Moment = Moment.OMIT) -> None:
        """The times of the last modification and access, in ns."""
        self._check_writable()
        if mtime is Moment.OMIT and atime is Moment.OMIT:
            return
        now_ns = self._services.clock.wall_ns()
        mtime_ns, atime_ns = _meant(mtime, now_ns), _meant(atime, now_ns)
        hidden = self._files.hidden(path)
        file, is_draft = hidden, False
        while True:
            if hidden is None:
                file, is_draft = self._at(path, lambda node: self._set_times(path, node, mtime_ns, atime_ns))
            if file is None or mtime_ns is None or file.set_mtime(mtime_ns) or not is_draft:
                return
            # `rsync -a` closes a file and sets its time: the close ended the draft between the two steps.

    def note_read(self, file: OpenFile) -> None:
        """*file* was read, and is closed now: its access time may move."""
        file.was_read = False
        if self._options.keeps_attributes and not self._options.is_read_only:
            with self._services.lock:
                self._nodes.note_read(file.node, file.mtime_ns)

    def getxattr(self, path: str, name: str) -> bytes:
        """NoAttribute."""
        if name.startswith(PREFIX):
            return self._xattrs.told(names_of(path), name)
        for each, value in self._looked_at(path).xattrs:
            if each == name:
                return value
        raise NoAttribute(f"no such extended attribute: {name}")

    def listxattr(self, path: str) -> list[str]:
        """Those that programs gave it."""
        return [name for name, _ in self._looked_at(path).xattrs]

    def setxattr(self, path: str, name: str, value: bytes, flags: int = 0) -> None:
        """*flags*: of setxattr(2). NotSupported for other names than ``user.*``, and where the mount keeps no
        attributes; AlreadyExists, NoAttribute, AttributeTooLarge."""
        self._change_xattrs(path, name, lambda kept: with_attribute(kept, name, value, flags))

    def removexattr(self, path: str, name: str) -> None:
        """NoAttribute; NotSupported as ``setxattr``."""
        self._change_xattrs(path, name, lambda kept: without_attribute(kept, name))

    # Inside

    def _change(self, path: str, change: Callable[[Node], None]) -> None:
        self._check_writable()

        def decide(node: Node) -> None:
            if self._options.keeps_attributes:
                change(node)

        self._at(path, decide)

    def _looked_at(self, path: str) -> Kept:
        """What is kept of what stands at *path*."""
        kept = self._at(path, lambda node: node.state.kept or NOTHING_KEPT)
        return kept if self._options.keeps_attributes else NOTHING_KEPT

    def _change_xattrs(self, path: str, name: str, changed: Callable[[Kept], dict[str, bytes]]) -> None:
        check_name(name)
        if not self._options.keeps_attributes:
            raise NotSupported("this mount keeps no extended attributes")
        self._change(
            path, lambda node: self._nodes.set_xattrs(node, changed(node.state.kept or NOTHING_KEPT))
        )

    def _set_times(
        self, path: str, node: Node, mtime_ns: int | None, atime_ns: int | None
    ) -> tuple[OpenFile | None, bool]:
        """Gives a node its times; the open file that tells them as well, and whether it is being written: the
        modification time is then still to be set, by that file."""
        file = self._files.writing(node)
        if file is not None:
            self._nodes.set_times_of_draft(node, atime_ns)
            return file, True
        self._nodes.set_times(node, mtime_ns, atime_ns)
        file, first = self._files.showing(node), self._files.first_of(path)
        if file is None and first is not None and first.node is node:
            file = first  # it lost its name to others; of another node, only the path was the same
        return file, False

    def _at(self, path: str, decide: Callable[[Node], T]) -> T:
        """Decides under the lock what becomes of what stands at *path*, also of a file that lost its name
        while it was open. libfuse knows that by the path it was opened by, whoever removed or moved it."""
        hidden = self._files.hidden(path)
        if hidden is not None:
            return self._view.listings.loaded(lambda: decide(hidden.node))
        names = names_of(path)
        try:
            return self._view.listings.loaded(lambda: decide(self._published.node(names)))
        except (NotFound, NotADirectory):
            with self._services.lock:
                file = self._files.first_of(path)
                if file is None:
                    raise
                return decide(file.node)

    def _check_writable(self) -> None:
        if self._options.is_read_only:
            raise ReadOnly("the mount is read-only")


def dropped(mode: int, is_member: bool) -> int:
    """Which bits of *mode* a change of the file's bytes takes: a setgid bit without the right to execute
    stays for a member of the group. As the kernel's setattr_should_drop_suidgid()."""
    takes_group = mode & stat.S_IXGRP or not is_member
    return mode & stat.S_ISUID | (mode & stat.S_ISGID if takes_group else 0)


def _meant(time: int | Moment, now_ns: int) -> int | None:
    """In ns; None: it stays as it is."""
    if isinstance(time, Moment):
        return now_ns if time is Moment.NOW else None
    return time
