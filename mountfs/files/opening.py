"""From a path to a handle: what open(2) finds there, or makes."""

from __future__ import annotations

import os

from mountfs.errors import AlreadyExists, IsADirectory, NotFound, NotPermitted, Stale
from mountfs.files.handles import Handle, OpenFiles
from mountfs.files.services import Services
from mountfs.model.entry import File
from mountfs.model.names import is_unlinked
from mountfs.tree.node import Node
from mountfs.tree.verbs import Verbs
from mountfs.tree.view import View, names_of


class Opener:
    """Opens what stands at a path, in one step with looking what that is. That the mount takes writes is for
    the caller to check."""

    def __init__(self, view: View, verbs: Verbs, files: OpenFiles, services: Services) -> None:
        self._view = view
        self._verbs = verbs
        self._files = files
        self._services = services

    def open(self, path: str, flags: int, *, is_ours: bool = False) -> Handle:
        """O_TRUNC is obeyed, O_CREAT is not. *is_ours*: the kernel does not open it. NotFound, IsADirectory,
        NotPermitted; OSError when the local disk fails."""
        handle = self._found(path, flags, is_ours=is_ours)
        if flags & os.O_TRUNC and handle.can_write:
            try:
                handle.file.truncate(0)
            except BaseException:
                self._files.release(handle)
                raise
        return handle

    def create(self, path: str, flags: int, *, is_ours: bool = False) -> Handle:
        """A new file, open; with O_EXCL AlreadyExists, otherwise what exists is opened. *is_ours* as in
        ``open``."""
        names = names_of(path)
        while True:
            spool_file = self._services.spool.create()

            def decide() -> Handle:
                node = self._verbs.create(names, spool_file.name)  # noqa: B023 - called before the next round
                return self._files.created(node, path, spool_file, flags, is_ours=is_ours)  # noqa: B023

            try:
                return self._view.listings.loaded(decide)
            except BaseException as error:
                spool_file.close()
                self._services.spool.remove(spool_file.name)
                if flags & os.O_EXCL or not isinstance(error, AlreadyExists):
                    raise
            try:
                return self.open(path, flags)
            except NotFound:
                continue  # removed in between

    def _found(self, path: str, flags: int, *, is_ours: bool) -> Handle:
        names = names_of(path)

        def decide() -> Handle:
            if names and is_unlinked(names[-1]) and self._files.hidden(names[-1]) is not None:
                return self._files.open_hidden(names[-1], path, flags)
            node = self._view.node(names)
            if node.folder is not None:
                raise IsADirectory(f"{path} is a folder")
            state = node.state
            is_remote = state.content is None and state.draft is None
            if is_remote and isinstance(state.base, File):
                if not state.base.is_downloadable:
                    raise NotPermitted(f"{path} is a document without bytes of its own")
                if not is_ours and self._is_size_unknown(node, path, state.base):
                    raise Stale(f"{path} may have another size than the kernel knows: it has to look again")
            return self._files.open(node, path, flags, is_ours=is_ours)

        return self._view.listings.loaded(decide)

    def _is_size_unknown(self, node: Node, path: str, file: File) -> bool:
        """Whether the kernel would read no further than a version before *file* went. Of a file that was just
        written here it knows the size, but we do not know that it does: it looks once in vain. While it has
        pages of an older version it is told that one's size, and the handle passes the pages by."""
        return self._files.read_as(path, node) is None and self._files.sizes.are_other(path, file.size_bytes)
