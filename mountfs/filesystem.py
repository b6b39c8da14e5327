"""The file system: POSIX verbs on paths and handles, without a kernel."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from mountfs.attributes import (
    MOST_FILES,
    UNLIMITED_BYTES,
    Attributes,
    Caller,
    FileSystemOptions,
    Links,
    Opened,
    Promise,
    Volume,
)
from mountfs.errors import (
    BadHandle,
    InvalidArgument,
    NotADirectory,
    NotExecutable,
    NotPermitted,
    ReadOnly,
    ShuttingDown,
)
from mountfs.files.handle import Handle
from mountfs.files.handles import OpenFiles
from mountfs.files.numbered import Numbered
from mountfs.files.openfile import OpenFile
from mountfs.files.opening import Opener
from mountfs.files.services import Services
from mountfs.inodes import Inodes
from mountfs.links import LinkCalls
from mountfs.metadata import SET_IDS, Metadata
from mountfs.model.lent import Lent
from mountfs.model.names import is_unlinked
from mountfs.ports import Clock
from mountfs.published import PublishedLinks
from mountfs.space import SpaceGauge
from mountfs.stats import StatCalls
from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.kept import Kept, kept_of
from mountfs.tree.node import Node
from mountfs.tree.replaced import NotSynced
from mountfs.tree.verbs import NewAttributes, Verbs, no_attributes
from mountfs.tree.view import Names, View, names_of

T = TypeVar("T")


class FileSystem:
    """Verbs named as the system calls; paths are the kernel's, "/" being the top of the mount.

    Any thread may call. Raises only MountfsError (and OSError of the local disk). Looking at a path and doing
    something with what is there is one step under the account's lock: nobody renames it in between.
    """

    def __init__(
        self,
        *,
        view: View,
        verbs: Verbs,
        files: OpenFiles,
        services: Services,
        space: SpaceGauge,
        options: FileSystemOptions,
    ) -> None:
        self._view = view
        self._verbs = verbs
        self._files = files
        self._services = services
        self._space = space
        self._options = options
        self._links = links = PublishedLinks(view, is_on=options.links is Links.RCLONE)
        self._inodes = inodes = Inodes(options, services.clock, view.tree.folder_times, links)
        self._stats = StatCalls(view, files, services, inodes, links)
        self._opener = Opener(view, verbs, files, services)
        self._link_calls = LinkCalls(view, verbs, files, self._opener, inodes, links, options)
        self.metadata = Metadata(view, files, services, options, links)
        self._handles: Numbered[Handle] = Numbered()
        self._folders: Numbered[Node] = Numbered()
        self._is_draining = False

    def stop_taking_writes(self) -> None:
        """From here on nothing new begins (ShuttingDown); what is open for writing may be finished, and
        goes out with every close, as if it were the last."""
        self._is_draining = True
        for file in self._files.all():
            with suppress(*MACHINE_TROUBLE):  # of this file alone: it is sealed when it is closed
                file.seal_if_flushed()

    # Looking

    def getattr(self, path: str, *, may_be_gone: bool = False) -> Attributes:
        """*may_be_gone*: also of what is open by that path, and lost its name to others."""
        return self._stats.getattr(path, may_be_gone=may_be_gone)

    def fgetattr(self, number: int, path: str | None = None) -> Attributes:
        """Of an open file, whether it still has a name or not; *path*: the one it has, if libfuse tells."""
        file = self._handles[number].file
        self._files.told_size(file, path)
        return self._inodes.of_open(file.node, file)

    def access(self, path: str, mode: int) -> None:
        """For whom modes are not checked by the kernel, root: nobody executes what is a program to nobody."""
        names = names_of(path)
        if self._files.hidden(path) is None:
            node = self._do(lambda: self._links.node(names))
            if mode & os.X_OK and not self._inodes.mode(node) & 0o111:
                raise NotExecutable(f"{path} is no program")
        if mode & os.W_OK and self._options.is_read_only:
            raise ReadOnly("the mount is read-only")

    @property
    def clock(self) -> Clock:
        return self._services.clock

    def is_open(self, path: str) -> bool:
        """Whether a file is open by that path. It may be closed, or opened, at any moment."""
        return self._files.is_open(path)

    def opendir(self, path: str, *, is_walk: bool = True) -> int:
        """*is_walk*: whether further folders may be listed ahead for it."""
        names = names_of(path)

        def decide() -> Node:
            node = self._view.node(names)
            if node.folder is None:
                raise NotADirectory(f"{path} is a file")
            node.pins += 1
            self._stats.opened(path, node)
            return node

        node = self._do(decide)
        if is_walk:
            self._view.listings.walks.opened(node)
        return self._folders.add(node)

    def readdir(self, number: int) -> list[tuple[str, int, int]]:
        """Names, modes and inode numbers of all children; without the two dots."""
        folder = self._folders[number]
        rows = None if self._links.is_on else self._view.rows(folder)
        if rows is not None:
            of = self._inodes.mode_of
            usual = {True: of(None, is_folder=True), False: of(None, is_folder=False)}
            return [
                (
                    name,
                    of(kept_of(told), is_folder=kind == "folder") if told else usual[kind == "folder"],
                    inode,
                )
                for inode, kind, name, told in rows
            ]
        children = self._view.children(folder)
        return [(self._links.shown(child), self._inodes.mode(child), child.id) for child in children]

    def inode(self, number: int) -> int:
        """Of an open folder."""
        return self._folders[number].id

    def releasedir(self, number: int) -> None:
        node = self._folders.pop(number)
        with self._services.lock:
            node.pins -= 1

    def statfs(self) -> Volume:
        """The quota as last known; of files, those that are in memory count."""
        space, free_files = self._space.current(), MOST_FILES - len(self._view.tree.nodes)
        if space is None:
            return Volume(UNLIMITED_BYTES, UNLIMITED_BYTES, free_files)
        if space.total_bytes is None:
            return Volume(UNLIMITED_BYTES, max(0, UNLIMITED_BYTES - space.used_bytes), free_files)
        return Volume(space.total_bytes, space.free_bytes or 0, free_files)

    # Open files

    def open(
        self, path: str, flags: int, caller: Caller | None = None, *, reads_ahead: bool = True
    ) -> Opened:
        """O_CREAT goes to ``create``. As open(2): ReadOnly, IsADirectory, NotPermitted. *caller*: whose
        process it is; None: one that may do anything."""
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
            self.check_writable()

        def drop_set_ids(node: Node) -> None:
            if caller is not None:
                self.metadata.drop_set_ids(node, caller)

        handle = self._opener.open(path, flags, before_cut=drop_set_ids)
        return self._numbered(replace(handle, reads_ahead=reads_ahead))

    def create(self, path: str, flags: int, mode: int = 0, caller: Caller | None = None) -> Opened:
        """A new file, open; with O_EXCL AlreadyExists, otherwise what exists is opened. *mode*: its
        permissions. *caller*: whose it is; None: nothing is kept of either."""
        self.check_writable()
        return self._numbered(self._opener.create(path, flags, self._new(mode, caller)))

    def mknod(self, path: str, mode: int, device: int = 0, caller: Caller | None = None) -> None:
        """An empty regular file, or a fifo, socket or device, which stays on this machine. The rest as
        ``create``."""
        self.check_writable()
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            self._link_calls.make_special(path, mode, Kept(device=device), caller)
            return
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        self._files.release(self._opener.create(path, flags, self._new(mode, caller), is_ours=True))

    def read(self, number: int, offset: int, length: int) -> bytes:
        room = memoryview(bytearray(length))
        return bytes(room[: self.read_into(number, offset, room)])

    def read_into(self, number: int, offset: int, room: memoryview) -> int:
        """As many bytes as *room* has, fewer only at the end of the file; how many these are."""
        handle = self._handles[number]
        if not handle.can_read:
            raise BadHandle("not open for reading")
        return handle.file.read_into(offset, room, reads_ahead=handle.reads_ahead)

    def lend(self, number: int, offset: int, length: int) -> Lent | None:
        """As ``OpenFiles.lend``."""
        return self._files.lend(self._handles[number], offset, length)

    def write(
        self,
        number: int,
        offset: int,
        data: bytes,
        *,
        is_placed: bool = False,
        caller: Callable[[], Caller | None] = lambda: None,
    ) -> int:
        """*is_placed*: at *offset* even by a handle that was opened to append: the kernel writes a page of a
        mapping back, or the program appends no more.
        *caller*: tells whose process it is; None: one that may do anything."""
        handle = self._handles[number]
        if not handle.can_write:
            raise BadHandle("not open for writing")
        if handle.is_direct:
            kept = handle.file.node.state.kept
            if kept is not None and (kept.mode or 0) & SET_IDS and (writer := caller()) is not None:
                self.metadata.drop_set_ids(handle.file.node, writer)
        return handle.file.write(offset, data, append=handle.is_append and not is_placed)

    def truncate(self, path: str, size_bytes: int) -> None:
        """Of a file by name; what is pending of it becomes whole at once, unless it is open. One that is
        empty already stays as it is, as on tmpfs."""
        if size_bytes < 0:
            raise InvalidArgument("a size cannot be negative")
        self.check_writable()
        self._opener.truncate(path, size_bytes)

    def ftruncate(self, number: int, size_bytes: int) -> None:
        handle = self._handles[number]
        if size_bytes < 0 or not handle.can_write:
            raise InvalidArgument("not open for writing")
        handle.file.truncate(size_bytes)

    def flush(self, number: int) -> None:
        """close() was called on one descriptor; whatever can still fail fails here."""
        handle = self._handles[number]
        if not handle.is_writer:
            return
        file = handle.file
        file.flush()
        self._keep(self._options.close, file)
        if self._is_draining:
            file.seal_if_flushed()

    def fsync(self, number: int) -> None:
        """The bytes so far survive power loss, or are on the service, as the mount promises."""
        promise = self._options.fsync
        self._keep(Promise.FSYNC if promise is Promise.LOCAL else promise, self._handles[number].file)

    def fsyncdir(self, number: int) -> None:
        """Changes of names below it survive power loss, and so do the closed files there."""
        self._services.durable.sync_below(self._folders[number])

    def release(self, number: int) -> None:
        """The last descriptor of a handle is closed; errors here reach nobody."""
        handle = self._handles.pop(number)
        if handle.file.was_read:
            self.metadata.note_read(handle.file)
        self._files.release(handle)

    # Names

    def mkdir(self, path: str, mode: int = 0, caller: Caller | None = None) -> None:
        """*mode*, *caller*: as ``create``."""
        self.check_writable()
        names, attributes = names_of(path), self._new(mode, caller, is_folder=True)
        self._do(lambda: self._verbs.make_folder(names, attributes))

    def symlink(self, path: str, target: str, caller: Caller | None = None) -> None:
        """A symbolic link at *path*. NotPermitted where the mount has none."""
        self.check_writable()
        self._link_calls.symlink(path, target, caller)

    def link(self, source: str, target: str) -> None:
        """As link(2), as far as the mount's option goes: NotPermitted, or a second file at *target*, which is
        independent of the one at *source*."""
        self.check_writable()
        self._link_calls.link(source, target)

    def readlink(self, path: str) -> str:
        """InvalidArgument: it is no symbolic link. NotPermitted: it leads out of the mount."""
        return self._link_calls.readlink(path)

    def rmdir(self, path: str) -> None:
        self.check_writable()
        names = self._not_top(path)
        self._do(lambda: self._verbs.remove_folder(names))

    def unlink(self, path: str) -> None:
        self.check_writable()
        names = names_of(path)
        if names and is_unlinked(names[-1]) and self._files.forget_hidden(names[-1]):
            return

        def decide() -> None:
            self._files.removed(self._verbs.unlink(self._links.names(names)), path)

        self._do(decide)

    def rename(self, source: str, target: str) -> None:
        """Open files follow; what was open at *target* keeps its bytes without a name."""
        self.check_writable()
        old, new = self._not_top(source), self._not_top(target)

        def decide() -> None:
            # libfuse's way to remove a file that is open: the kernel goes on to call it by that name.
            is_hiding = is_unlinked(new[-1])
            found = self._view.find(old) if is_hiding else None
            if found is not None and found.folder is None:
                node = self._verbs.unlink(old)
                self._files.hide(node, source, target)
            elif is_hiding and (found is None or self._files.is_open(source)):
                # It was removed by others, who may have made a folder there, or by another spelling.
                self._files.hide_gone(source, target)
                return
            else:
                node = self._links.rename(self._verbs, old, new, may_be_lost=is_synced)
            self._files.renamed(node, source, target)

        is_synced = False
        try:
            self._do(decide)
        except NotSynced as error:
            self._services.durable.sync_content(error.content)
            is_synced = True
            self._do(decide)

    # Inside

    def _do(self, decide: Callable[[], T]) -> T:
        """Decides under the account's lock, with the folders it needs."""
        return self._view.listings.loaded(decide)

    def _new(self, mode: int, caller: Caller | None, *, is_folder: bool = False) -> NewAttributes:
        if caller is None:
            return no_attributes
        return lambda folder: self._inodes.new(folder, mode, caller, is_folder=is_folder)

    def _numbered(self, handle: Handle) -> Opened:
        return Opened(self._handles.add(handle), handle.keep_cache, handle.is_direct)

    def _keep(self, promise: Promise, file: OpenFile) -> None:
        if promise is Promise.FSYNC:
            file.sync()
        elif promise is Promise.REMOTE:
            file.publish(self._options.commit_timeout_s)

    def check_writable(self) -> None:
        """ReadOnly, ShuttingDown."""
        if self._options.is_read_only:
            raise ReadOnly("the mount is read-only")
        if self._is_draining:
            raise ShuttingDown("the mount is being stopped and takes no new changes")

    def _not_top(self, path: str) -> Names:
        names = names_of(path)
        if not names:
            raise NotPermitted("the top of the mount cannot be renamed or removed")
        return names
