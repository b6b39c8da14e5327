"""open(2) and creat(2): from a path to a handle."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from mountfs.errors import AlreadyExists, IsADirectory, NoSpace, NotFound, NotPermitted, Stale
from mountfs.files.copyup import discard
from mountfs.files.handle import Handle
from mountfs.files.handles import OpenFiles
from mountfs.files.services import Services
from mountfs.model.entry import File
from mountfs.spool.spoolfile import SpoolFile
from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.node import Node, size_of
from mountfs.tree.replaced import NotSynced
from mountfs.tree.verbs import NewAttributes, Verbs, no_attributes
from mountfs.tree.view import View, names_of


class Opener:
    """Looks a path up and opens the file that stands there, both in one hold of the account's lock. The
    caller has checked that the mount is not read-only."""

    def __init__(self, view: View, verbs: Verbs, files: OpenFiles, services: Services) -> None:
        self._view = view
        self._verbs = verbs
        self._files = files
        self._services = services

    def open(
        self,
        path: str,
        flags: int,
        *,
        is_ours: bool = False,
        before_cut: Callable[[Node], object] = lambda _node: None,
    ) -> Handle:
        """A handle on the file at *path*. Of the flags O_TRUNC is obeyed, O_CREAT is not. *is_ours*: mountfs
        opens the file for itself, for instance for ``truncate``; the kernel does not know of the handle.
        *before_cut*: what else O_TRUNC does to the node: if that fails, the file keeps its bytes.

        NotFound; IsADirectory; NotPermitted: a document without bytes; Stale: the kernel has to look the path
        up again; OSError: the local disk fails.
        """
        handle = self._found(path, flags, is_ours=is_ours)
        if flags & os.O_TRUNC:
            try:
                before_cut(handle.file.node)
                handle.file.truncate(0)
            except BaseException:
                self._files.release(handle)
                raise
        return handle

    def truncate(self, path: str, size_bytes: int) -> None:
        """Of the file at *path*: unless somebody writes to it, that is another version at once; where this
        fails, there is none. Raises as ``open``, and as ``OpenFile.write``."""
        handle = self.open(path, os.O_WRONLY, is_ours=True)
        try:
            if size_bytes or handle.file.size_bytes:
                handle.file.truncate(size_bytes, is_closed=True)
            with suppress(*MACHINE_TROUBLE):  # of a draft that was there already: its close tells it, or did
                handle.file.flush()
        finally:
            with suppress(*MACHINE_TROUBLE):  # it is closed, and is to be sent: that is tried again
                self._files.release(handle)

    def create(
        self,
        path: str,
        flags: int,
        attributes: NewAttributes = no_attributes,
        *,
        is_ours: bool = False,
    ) -> Handle:
        """A handle on a new file. A file that exists is opened instead; AlreadyExists with O_EXCL.
        *attributes*: what is kept of a new one. *is_ours* as in ``open``."""
        names = names_of(path)
        while True:
            spool_file = self._services.spool.create()

            def decide() -> Handle:
                spool = spool_file.name  # noqa: B023 - called before the next round
                node = self._verbs.create(names, spool, attributes)
                return self._files.created(node, path, spool_file, flags, is_ours=is_ours)  # noqa: B023

            try:
                return self._view.listings.loaded(decide)
            except BaseException as error:
                discard(self._services, spool_file)
                if flags & os.O_EXCL or not isinstance(error, AlreadyExists):
                    raise
            try:
                return self.open(path, flags)
            except NotFound:
                continue  # somebody removed the file that existed

    def adopt(
        self, path: str, spool_file: SpoolFile, size_bytes: int, mtime_ns: int, attributes: NewAttributes
    ) -> Handle:
        """A handle for mountfs itself on a new file, whose *size_bytes* are in *spool_file* already.

        Raises as ``create`` with O_EXCL, and leaves *spool_file* to the caller then."""

        def decide() -> Handle:
            node = self._verbs.create(
                names_of(path), spool_file.name, attributes, size_bytes=size_bytes, mtime_ns=mtime_ns
            )
            return self._files.created(node, path, spool_file, os.O_WRONLY, is_ours=True)

        return self._view.listings.loaded(decide)

    def discard(self, spool_file: SpoolFile) -> None:
        """Removes the spool file of what did not become a file."""
        discard(self._services, spool_file)

    def _found(self, path: str, flags: int, *, is_ours: bool) -> Handle:
        names = names_of(path)

        def decide() -> Handle:
            if self._files.hidden(path) is not None:
                return self._files.open_hidden(names[-1], path, flags)
            node = self._view.node(names)
            if node.folder is not None:
                raise IsADirectory(f"{path} is a folder")
            if node.is_special:
                # The kernel opens these by itself: it did not know yet that one was made here.
                raise Stale(f"{path} is no file: the kernel has to look again")
            state = node.state
            is_remote = state.content is None and state.draft is None
            if is_remote and isinstance(state.base, File) and not state.base.is_downloadable:
                raise NotPermitted(f"{path} is a document without bytes of its own")
            if flags & os.O_ACCMODE != os.O_RDONLY:
                self._files.forget_older(path, node)
            if not is_ours and self._is_size_unknown(node, path, has_ours=not is_remote):
                raise Stale(f"{path} may have another size than the kernel knows: it has to look again")
            return self._files.open(node, path, flags, is_ours=is_ours, may_be_lost=is_synced)

        is_synced = False
        try:
            return self._view.listings.loaded(decide)
        except NotSynced as error:
            # close(2) has returned already: an error of the disk is told by `mountfs status`.
            with suppress(OSError, NoSpace):
                self._services.durable.sync_content(error.content)
            is_synced = True
            return self._view.listings.loaded(decide)

    def _is_size_unknown(self, node: Node, path: str, *, has_ours: bool) -> bool:
        """Whether the kernel may read the file up to another size than it has.

        The kernel reads up to the size that it was last told of *path*. Somebody else makes `log` longer: a
        reader would miss its new end. After a write through the mount the kernel knows the size by itself,
        which is not noted here, so one open may be True in vain. Of a file that *has_ours*, bytes of ours, it
        does not where it was told of another file at *path*: others have exchanged the folders above, or a
        conflicted copy got the name. False while the kernel has pages of an older version that is open:
        stat(2) tells that version's size, and the new handle, which only reads, passes the pages by.
        """
        file = self._files.writing(node)
        size_bytes = size_of(node) if file is None else file.size_bytes
        is_other = self._files.sizes.are_other
        return self._files.read_as(path, node) is None and is_other(
            path, node.id, size_bytes, is_ours=has_ours
        )
