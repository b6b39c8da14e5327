"""link(2), symlink(2), readlink(2), and mknod(2) of what is no file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from mountfs.attributes import Caller, FileSystemOptions, HardLinks, Links
from mountfs.errors import AlreadyExists, InvalidArgument, MountfsError, NotPermitted
from mountfs.files.handles import OpenFiles
from mountfs.files.openfile import OpenFile
from mountfs.files.opening import Opener
from mountfs.inodes import Inodes
from mountfs.published import MOST_TARGET_BYTES, SUFFIX, PublishedLinks, leads_out
from mountfs.tree.kept import NOTHING_KEPT, Kept
from mountfs.tree.node import Node
from mountfs.tree.verbs import Verbs
from mountfs.tree.view import Names, View, names_of


class LinkCalls:
    """Named as the system calls; whether the mount may be written to was checked by the caller."""

    def __init__(
        self,
        view: View,
        verbs: Verbs,
        files: OpenFiles,
        opener: Opener,
        inodes: Inodes,
        published: PublishedLinks,
        options: FileSystemOptions,
    ) -> None:
        self._view = view
        self._verbs = verbs
        self._files = files
        self._opener = opener
        self._inodes = inodes
        self._published = published
        self._options = options

    def make_special(self, path: str, mode: int, kept: Kept, caller: Caller | None) -> None:
        """A symbolic link, fifo, socket or device that stays on this machine."""
        names = names_of(path)

        def decide() -> None:
            self._check_free(names)
            self._verbs.make_special(names, self._kept(mode, kept, caller))

        self._view.listings.loaded(decide)

    def symlink(self, path: str, target: str, caller: Caller | None) -> None:
        """A symbolic link at *path*. NotPermitted where the mount has none."""
        match self._options.links:
            case Links.REFUSE:
                raise NotPermitted("this mount takes no symbolic links")
            case Links.LOCAL:
                self.make_special(path, stat.S_IFLNK | 0o777, Kept(target=target), caller)
            case Links.RCLONE:
                self._publish(path, target, caller)

    def link(self, path: str, target: str) -> None:
        """Makes a second one of what stands at *path*: its bytes, time and attributes, at *target*.
        NotPermitted: it is a folder, or this mount makes none. Errors of the reader: bytes of a file that the
        service alone has are fetched, and the service then makes its copy by itself."""
        if self._options.hard_links is HardLinks.REFUSE:
            raise NotPermitted("the service has no hard links")
        names, new = names_of(path), names_of(target)
        node = self._view.listings.loaded(lambda: self._linked(names, new))
        if node.is_special:
            self._view.listings.loaded(lambda: self._link_special(node, new))
            return
        is_published = names[-1] != node.state.name and node.state.name.endswith(SUFFIX)
        ending = SUFFIX if is_published and self._published.is_on else ""
        handle = self._opener.open(path + ending, os.O_RDONLY, is_ours=True)
        try:
            self._copy(handle.file, target + ending, new)
        finally:
            self._files.release(handle)

    def readlink(self, path: str) -> str:
        """InvalidArgument: it is no symbolic link. NotPermitted: somebody else made it, and it may lead out
        of the mount. Of a link that the service keeps: the reader's errors."""
        names = names_of(path)
        node = self._view.listings.loaded(lambda: self._published.node(names))
        kept = node.state.kept or NOTHING_KEPT
        if kept.is_link:
            return kept.target
        if names and node.state.name != names[-1] and node.state.name.endswith(SUFFIX):
            return self._read(path, names, kept)
        raise InvalidArgument(f"{path} is no symbolic link")

    def _linked(self, names: Names, new: Names) -> Node:
        self._check_free(new)
        node = self._published.node(names)
        if node.folder is not None:
            raise NotPermitted(f"{names[-1] if names else '/'} is a folder")
        return node

    def _link_special(self, node: Node, new: Names) -> None:
        self._check_free(new)
        self._verbs.make_special(new, lambda _: self._kept_of(node), node.state.mtime_ns)

    def _copy(self, file: OpenFile, target: str, new: Names) -> None:
        spool_file, size_bytes, mtime_ns = file.copied()
        try:
            self._view.listings.loaded(lambda: self._check_free(new))
            handle = self._opener.adopt(
                target, spool_file, size_bytes, mtime_ns, lambda _: self._kept_of(file.node)
            )
        except BaseException:
            self._opener.discard(spool_file)
            raise
        try:
            handle.file.flush()
        except BaseException:
            with suppress(MountfsError):
                self._view.listings.loaded(lambda: self._take_back(names_of(target), handle.file.node))
            raise
        finally:
            self._files.release(handle)

    def _take_back(self, names: Names, node: Node) -> None:
        if self._view.find(names) is node:
            self._verbs.unlink(names)

    def _kept_of(self, node: Node) -> Kept:
        return replace(node.state.kept or NOTHING_KEPT, ctime_ns=self._view.tree.clock.wall_ns())

    def _read(self, path: str, names: Names, kept: Kept) -> str:
        handle = self._opener.open(path + SUFFIX, os.O_RDONLY, is_ours=True)
        try:
            body = handle.file.read(0, MOST_TARGET_BYTES + 1)
        finally:
            self._files.release(handle)
        if body == _bytes_of(kept.target):
            return kept.target
        target = body.decode(errors="surrogateescape").rstrip("\n")  # of `echo target >a.rclonelink`
        if not target or "\0" in target:
            raise InvalidArgument(f"{path}{SUFFIX} holds no target of a symbolic link")
        if self._options.contains_links and leads_out(target, len(names) - 1):
            raise NotPermitted(f"{path} leads out of the mount, and was not made on this machine")
        return target

    def _publish(self, path: str, target: str, caller: Caller | None) -> None:
        names = names_of(path)
        self._view.listings.loaded(lambda: self._check_free(names))
        attributes = self._kept(0o644, Kept(target=target), caller)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        handle = self._opener.create(path + SUFFIX, flags, attributes, is_ours=True)
        try:
            handle.file.write(0, _bytes_of(target))
            handle.file.flush()
        except BaseException:
            with suppress(MountfsError):
                self._view.listings.loaded(lambda: self._verbs.unlink([*names[:-1], names[-1] + SUFFIX]))
            raise
        finally:
            self._files.release(handle)

    def _check_free(self, names: Names) -> None:
        there = self._published.names(names)
        if there is not names or self._view.find(names) is not None:
            raise AlreadyExists(f"{names[-1] if names else '/'} exists")

    def _kept(self, mode: int, kept: Kept, caller: Caller | None) -> Callable[[Node], Kept]:
        return lambda folder: self._inodes.special(kept, folder, mode, caller)


def _bytes_of(target: str) -> bytes:
    return target.encode(errors="surrogateescape")
