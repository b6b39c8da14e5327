"""The file system: POSIX verbs on paths and handles, without a kernel."""

from __future__ import annotations

import contextlib
import math
import os
import stat

from mountfs.attributes import (
    UNLIMITED_BYTES,
    Attributes,
    FileSystemOptions,
    Opened,
    OpenFolder,
    Promise,
    Volume,
)
from mountfs.errors import (
    AlreadyExists,
    BadHandle,
    InvalidArgument,
    IsADirectory,
    MountfsError,
    NotADirectory,
    NotFound,
    NotPermitted,
    ReadOnly,
    ShuttingDown,
    Transient,
)
from mountfs.files.handles import Handle, Numbered, OpenFiles
from mountfs.files.openfile import OpenFile
from mountfs.files.services import Services
from mountfs.model.entry import NS_PER_S, File
from mountfs.model.names import is_unlinked
from mountfs.model.path import RemotePath
from mountfs.namespace.edits import Namespace
from mountfs.namespace.node import Node
from mountfs.namespace.view import View
from mountfs.space import SpaceGauge
from mountfs.xattrs import Xattrs

LOOKS_FOR_S = 5.0
"""How long an open looks again when what it saw changes under its eyes; twice is rare."""


class FileSystem:
    """Verbs named as the system calls; paths are the kernel's, "/" being the top of the mount.

    Any thread may call. Raises only MountfsError (and OSError of the local disk).
    """

    def __init__(
        self,
        *,
        view: View,
        namespace: Namespace,
        files: OpenFiles,
        services: Services,
        space: SpaceGauge,
        options: FileSystemOptions,
    ) -> None:
        self._view = view
        self._namespace = namespace
        self._files = files
        self._services = services
        self._space = space
        self._options = options
        self._xattrs = Xattrs(view, options.root, options.socket)
        self._handles: Numbered[Handle] = Numbered()
        self._folders: Numbered[OpenFolder] = Numbered()
        self._is_draining = False
        self._started_ns = services.clock.wall_ns() // NS_PER_S * NS_PER_S
        self._file_mode = stat.S_IFREG | (0o666 & ~options.umask)
        self._folder_mode = stat.S_IFDIR | (0o777 & ~options.umask)

    def stop_taking_writes(self) -> None:
        """From here on nothing new begins (ShuttingDown); what is open for writing may be finished, and
        goes out with every close, as if it were the last."""
        self._is_draining = True
        for file in self._files.all():
            file.seal_if_flushed()

    # Looking

    def getattr(self, path: str) -> Attributes:
        node = self._view.stat(self._at(path))
        if node.is_folder:
            return self._attributes(self._folder_mode, 0, node.mtime_ns or self._started_ns)
        file = self._writer_of(node) or self._files.read_at(node)
        if file is not None:
            return self._attributes(self._file_mode, file.size_bytes, file.mtime_ns)
        return self._attributes(self._file_mode, node.size_bytes, node.mtime_ns)

    def fgetattr(self, number: int) -> Attributes:
        """Of an open file, whether it still has a name or not."""
        file = self._handles[number].file
        return self._attributes(self._file_mode, file.size_bytes, file.mtime_ns)

    def access(self, path: str, mode: int) -> None:
        """The kernel checks permissions (default_permissions); this knows of read-only mounts."""
        self._view.stat(self._at(path))
        if mode & os.W_OK and self._options.is_read_only:
            raise ReadOnly("the mount is read-only")

    def opendir(self, path: str) -> int:
        node = self._view.stat(self._at(path))
        if not node.is_folder:
            raise NotADirectory(f"{path} is a file")
        return self._folders.add(OpenFolder(self._at(path)))

    def readdir(self, number: int) -> list[tuple[str, int]]:
        """Names and modes of all children; without the two dots."""
        nodes = self._view.children(self._folders[number].path)
        return [(node.path.name, self._folder_mode if node.is_folder else self._file_mode) for node in nodes]

    def releasedir(self, number: int) -> None:
        self._folders.pop(number)

    def statfs(self) -> Volume:
        """The quota as last known."""
        space = self._space.current()
        if space is None:
            return Volume(UNLIMITED_BYTES, UNLIMITED_BYTES)
        if space.total_bytes is None:
            return Volume(UNLIMITED_BYTES, max(0, UNLIMITED_BYTES - space.used_bytes))
        return Volume(space.total_bytes, space.free_bytes or 0)

    # Open files

    def open(self, path: str, flags: int) -> Opened:
        """O_CREAT goes to ``create``. As open(2): ReadOnly, IsADirectory, NotPermitted."""
        is_writer = flags & os.O_ACCMODE != os.O_RDONLY
        if is_writer or flags & os.O_TRUNC:
            self._check_writable()
        handle = self._opened(self._at(path), flags)
        if flags & os.O_TRUNC and is_writer:
            try:
                handle.file.truncate(0)
            except BaseException:
                self._files.release(handle)
                raise
        return Opened(self._handles.add(handle), handle.keep_cache, handle.is_direct)

    def create(self, path: str, flags: int) -> Opened:
        """A new file, open; with O_EXCL AlreadyExists, otherwise what exists is opened."""
        self._check_writable()
        while True:
            spool_file = self._services.spool.create()
            try:
                with self._files.beginning(spool_file.name):
                    change = self._namespace.begin_put(self._at(path), spool_file.name, exclusive=True)
                    handle = self._files.created(change, spool_file, flags)
            except BaseException as error:
                spool_file.close()
                self._services.spool.remove(spool_file.name)
                if flags & os.O_EXCL or not isinstance(error, AlreadyExists):
                    raise
            else:
                return Opened(self._handles.add(handle), handle.keep_cache, handle.is_direct)
            try:
                return self.open(path, flags)
            except NotFound:
                continue  # removed in between

    def mknod(self, path: str, mode: int) -> None:
        """An empty regular file; NotPermitted for anything else."""
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise NotPermitted("only files and folders can be made here")
        self.release(self.create(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY).number)

    def read(self, number: int, offset: int, length: int) -> bytes:
        handle = self._handles[number]
        if not handle.can_read:
            raise BadHandle("not open for reading")
        return handle.file.read(offset, length)

    def write(self, number: int, offset: int, data: bytes, *, is_page: bool = False) -> int:
        """*is_page*: the kernel writes a page of a mapping back, at its own place even under O_APPEND."""
        handle = self._handles[number]
        if not handle.can_write:
            raise BadHandle("not open for writing")
        return handle.file.write(offset, data, append=handle.is_append and not is_page)

    def truncate(self, path: str, size_bytes: int) -> None:
        """Of a file by name; what is pending of it becomes whole at once, unless it is open."""
        if size_bytes < 0:
            raise InvalidArgument("a size cannot be negative")
        self._check_writable()
        handle = self._opened(self._at(path), os.O_WRONLY)
        try:
            handle.file.truncate(size_bytes)
            handle.file.flush()
        finally:
            self._files.release(handle)

    def ftruncate(self, number: int, size_bytes: int) -> None:
        handle = self._handles[number]
        if size_bytes < 0 or not handle.can_write:
            raise InvalidArgument("not open for writing")
        handle.file.truncate(size_bytes)

    def flush(self, number: int) -> None:
        """close() was called on one descriptor; whatever can still fail fails here."""
        handle = self._handles[number]
        if not handle.can_write:
            return
        handle.file.flush()
        self._keep(self._options.close, handle.file)
        if self._is_draining:
            handle.file.seal_if_flushed()

    def fsync(self, number: int) -> None:
        """The bytes so far survive power loss, or are on the service, as the mount promises."""
        promise = self._options.fsync
        self._keep(Promise.FSYNC if promise is Promise.LOCAL else promise, self._handles[number].file)

    def fsyncdir(self, number: int) -> None:
        """Changes of names below it survive power loss."""
        for change in self._view.pending(self._folders[number].path):
            if change.is_whole and not change.is_synced:
                self._services.durable.sync_change(change.id)
        self._services.durable.sync_journal()

    def release(self, number: int) -> None:
        """The last descriptor of a handle is closed; errors here reach nobody."""
        handle = self._handles.pop(number)
        self._files.release(handle)
        self._end_unlinked(handle.file.path)

    # Names

    def mkdir(self, path: str) -> None:
        self._check_writable()
        self._namespace.mkdir(self._at(path))

    def rmdir(self, path: str) -> None:
        self._check_writable()
        self._check_not_top(path)
        self._namespace.rmdir(self._at(path))

    def unlink(self, path: str) -> None:
        self._check_writable()
        at = self._at(path)
        with self._files.renaming(at):
            self._namespace.unlink(at)
            self._files.unlinked(at)

    def rename(self, source: str, target: str) -> None:
        """Open files follow; what was open at *target* keeps its bytes without a name."""
        self._check_writable()
        self._check_not_top(source)
        self._check_not_top(target)
        old, new = self._at(source), self._at(target)
        with self._files.renaming(old, new):
            self._namespace.rename(old, new)
            self._files.moved(old, new)
            if is_unlinked(new.name) and not self._is_pending(new):
                self._files.unlinked(new)
        for folder in self._folders.values():
            if folder.path.key == old.key or folder.path.is_below(old):
                folder.path = folder.path.moved(old, new)
        self._end_unlinked(new)

    # Attributes

    def utimens(self, path: str, mtime_ns: int | None) -> None:
        """The modification time, kept to the second; None is the present."""
        if self._options.is_read_only:
            raise ReadOnly("the mount is read-only")
        at = self._at(path)
        if mtime_ns is None:
            mtime_ns = self._services.clock.wall_ns()
        node = self._view.stat(at)
        file = None if node.is_folder else self._files.showing(node)
        if file is None or not file.set_mtime(mtime_ns):
            self._namespace.set_mtime(at, mtime_ns)

    def chmod(self, path: str) -> None:
        """Succeeds and keeps nothing: the services have no modes and no owners."""
        self.access(path, os.W_OK)

    def getxattr(self, path: str, name: str) -> bytes:
        """Of our own names; NotSupported for others."""
        return self._xattrs.get(self._at(path), name)

    def listxattr(self, path: str) -> list[str]:
        return self._xattrs.names(self._at(path))

    # Inside

    def _at(self, path: str) -> RemotePath:
        root = self._options.root.text
        return RemotePath.parse(root + path if root else path)

    def _opened(self, at: RemotePath, flags: int) -> Handle:
        ends_s = math.inf
        while self._services.clock.now_s() < ends_s:
            renames = self._files.renames
            node = self._view.stat(at)
            if node.is_folder:
                raise IsADirectory(f"{at} is a folder")
            if isinstance(node.entry, File) and node.change is None and not node.entry.is_downloadable:
                raise NotPermitted(f"{at} is a document without bytes of its own")
            with contextlib.suppress(FileNotFoundError):
                handle = self._files.open(node, flags, renames)
                if handle is not None:
                    return handle
            ends_s = min(ends_s, self._services.clock.now_s() + LOOKS_FOR_S)
        raise Transient(f"{at} keeps changing")

    def _keep(self, promise: Promise, file: OpenFile) -> None:
        match promise:
            case Promise.LOCAL:
                return
            case Promise.FSYNC:
                file.sync()
            case Promise.REMOTE:
                file.publish(self._options.commit_timeout_s)

    def _writer_of(self, node: Node) -> OpenFile | None:
        if node.change is not None:
            return self._files.writing(node.change.id)
        return self._files.nameless_at(node.path) if is_unlinked(node.path.name) else None

    def _end_unlinked(self, at: RemotePath) -> None:
        """Once nobody has it open. libfuse removes it too, unless the last release overtakes its rename."""
        if is_unlinked(at.name) and not self._files.is_open(at):
            with contextlib.suppress(MountfsError):
                self._namespace.unlink(at)

    def _is_pending(self, at: RemotePath) -> bool:
        """Whether bytes of ours really have the name *at*, as those of an open file do that nobody sent."""
        change = self._view.stat(at).change
        return change is not None and change.path.key == at.key

    def _attributes(self, mode: int, size_bytes: int, mtime_ns: int) -> Attributes:
        return Attributes(mode, size_bytes, mtime_ns, self._options.uid, self._options.gid)

    def _check_writable(self) -> None:
        if self._options.is_read_only:
            raise ReadOnly("the mount is read-only")
        if self._is_draining:
            raise ShuttingDown("the mount is being stopped and takes no new changes")

    def _check_not_top(self, path: str) -> None:
        if self._at(path).key == self._options.root.key:
            raise NotPermitted("the top of the mount cannot be renamed or removed")
