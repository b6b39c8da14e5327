"""The calls about attributes of what stands at a path: modes, owners, times, extended ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mountfs.attributes import FileSystemOptions, Moment
from mountfs.errors import ReadOnly
from mountfs.files.handles import OpenFiles
from mountfs.files.openfile import OpenFile
from mountfs.files.services import Services
from mountfs.model.names import is_unlinked
from mountfs.tree.attributing import Attributing
from mountfs.tree.node import Node
from mountfs.tree.view import Names, View, names_of
from mountfs.xattrs import Xattrs

T = TypeVar("T")


class Metadata:
    """Named as the system calls; paths are the kernel's, which has checked who may do this."""

    def __init__(self, view: View, files: OpenFiles, services: Services, options: FileSystemOptions) -> None:
        self._view = view
        self._files = files
        self._services = services
        self._options = options
        self._nodes = Attributing(view.tree)
        self._xattrs = Xattrs(view, options.socket)

    def chmod(self, path: str, mode: int) -> None:
        """Keeps the permissions of *mode*; nothing where the mount keeps no attributes."""
        self._change(path, lambda node: self._nodes.set_mode(node, mode))

    def chown(self, path: str, uid: int | None, gid: int | None) -> None:
        """None: as it is. Likewise."""
        self._change(path, lambda node: self._nodes.set_owner(node, uid, gid))

    def utimens(self, path: str, mtime: int | Moment) -> None:
        """The modification time in ns, kept to the second."""
        self._check_writable()
        if mtime is Moment.OMIT:
            return
        names = names_of(path)
        mtime_ns = self._services.clock.wall_ns() if isinstance(mtime, Moment) else mtime
        file = self._hidden(names) or self._do(lambda: self._set_time(names, mtime_ns))
        if file is not None:
            file.set_mtime(mtime_ns)

    def getxattr(self, path: str, name: str) -> bytes:
        """Of our own names; NotSupported for others."""
        return self._xattrs.get(names_of(path), name)

    def listxattr(self, path: str) -> list[str]:
        return self._xattrs.names(names_of(path))

    # Inside

    def _change(self, path: str, change: Callable[[Node], None]) -> None:
        self._check_writable()
        names = names_of(path)

        def decide() -> None:
            hidden = self._hidden(names)
            node = self._view.node(names) if hidden is None else hidden.node
            if self._options.keeps_attributes:
                change(node)

        self._do(decide)

    def _set_time(self, names: Names, mtime_ns: int) -> OpenFile | None:
        """Gives a node its time, unless it is being written; the open file that tells the time as well."""
        node = self._view.node(names)
        file = self._files.writing(node)
        if file is not None:
            return file
        self._nodes.set_time(node, mtime_ns)
        return self._files.showing(node)

    def _hidden(self, names: Names) -> OpenFile | None:
        """A file that was removed while it was open, by the name the kernel has for it."""
        if names and is_unlinked(names[-1]):
            with self._services.lock:
                return self._files.hidden(names[-1])
        return None

    def _do(self, decide: Callable[[], T]) -> T:
        return self._view.listings.loaded(decide)

    def _check_writable(self) -> None:
        if self._options.is_read_only:
            raise ReadOnly("the mount is read-only")
