"""What stat(2) tells of nodes and of open files."""

from __future__ import annotations

import stat
from dataclasses import replace

from mountfs.attributes import Attributes, Caller, FileSystemOptions
from mountfs.files.openfile import OpenFile
from mountfs.ports import Clock
from mountfs.published import PublishedLinks
from mountfs.tree.foldertimes import FolderTimes
from mountfs.tree.kept import PERMISSIONS, Kept, kept_of, owned
from mountfs.tree.node import Node, size_of, time_of, whole_seconds
from mountfs.tree.walkrows import FileRow

LINKS_UNKNOWN = 1


class Inodes:
    """The services have no modes and no owners: what this machine keeps of them is told, and the mount's
    options where it keeps nothing.

    A node's id is the number of its inode. A folder for which nobody has a time shows when the mount started.
    """

    def __init__(
        self,
        options: FileSystemOptions,
        clock: Clock,
        folder_times: FolderTimes,
        published: PublishedLinks,
    ) -> None:
        self._published = published
        self._clock = clock
        self._folder_times = folder_times
        self._uid, self._gid = options.uid, options.gid
        self._keeps = options.keeps_attributes
        self._started_ns = whole_seconds(clock.wall_ns())
        file_mode, folder_mode = options.file_mode, options.folder_mode
        self._file_mode = stat.S_IFREG | (0o666 & ~options.umask if file_mode is None else file_mode)
        self._folder_mode = stat.S_IFDIR | (0o777 & ~options.umask if folder_mode is None else folder_mode)

    def mode(self, node: Node) -> int:
        if self._published.is_on and self._published.is_link(node):
            return stat.S_IFLNK | 0o777
        return self.mode_of(node.state.kept, is_folder=node.folder is not None)

    def mode_of(self, kept: Kept | None, *, is_folder: bool) -> int:
        """Of something that is no link of the service's, and of which *kept* is kept."""
        usual = self._folder_mode if is_folder else self._file_mode
        if kept is None or kept.mode is None or not (self._keeps or kept.is_special):
            return usual
        return kept.mode if kept.mode > PERMISSIONS else stat.S_IFMT(usual) | kept.mode

    def of(self, node: Node) -> Attributes:
        """As the tree has it; a file that is being written is further than that."""
        part = node.folder
        if part is None:
            kept = node.state.kept
            if kept is not None and kept.is_special:
                size_bytes = len(kept.target.encode(errors="surrogateescape"))
                return self._attributes(node, size_bytes, time_of(node) or 0, 1)
            return self._attributes(node, size_of(node), time_of(node) or 0, 1)
        noted_ns = self._folder_times.of(node)
        own_ns = time_of(node) if noted_ns is None else noted_ns
        mtime_ns = self._started_ns if own_ns is None else own_ns
        # 1 says that folders are not counted, and 2 would promise find(1) that it has none inside.
        links = LINKS_UNKNOWN if part.children is None else 2 + part.folders
        return self._attributes(node, 0, mtime_ns, links)

    def of_open(self, node: Node, file: OpenFile) -> Attributes:
        """Of *node*, with the size and the time of *file*."""
        return self._attributes(node, file.size_bytes, file.mtime_ns, int(node.state.parent is not None))

    def new(self, folder: Node, mode: int, caller: Caller, *, is_folder: bool = False) -> Kept | None:
        """What is to be kept of something that *caller* makes in *folder*; as on ext4, the group of a folder
        with the setgid bit is that of everything in it, and the folders in it have the bit too."""
        if not self._keeps:
            return None
        gid, above = caller.gid, folder.state.kept
        if above is not None and above.mode is not None and above.mode & stat.S_ISGID:
            gid = self._gid if above.gid is None else above.gid
            if is_folder:
                mode |= stat.S_ISGID
        return owned(stat.S_IMODE(mode), caller.uid, gid)

    def special(self, kept: Kept, folder: Node, mode: int, caller: Caller | None) -> Kept:
        """*kept*, which has what is to be kept of a special of its own, with its type, mode and owner."""
        made = None if caller is None else self.new(folder, mode, caller)
        kept = replace(kept, mode=mode)
        return kept if made is None else replace(kept, uid=made.uid, gid=made.gid)

    def of_row(self, row: FileRow) -> Attributes:
        """Of a file that has no node in memory."""
        _, node_id, size_bytes, mtime_ns, told = row
        kept = kept_of(told)
        return self._told(node_id, self.mode_of(kept, is_folder=False), kept, size_bytes, mtime_ns, 1)

    def _attributes(self, node: Node, size_bytes: int, mtime_ns: int, links: int) -> Attributes:
        return self._told(node.id, self.mode(node), node.state.kept, size_bytes, mtime_ns, links)

    def _told(
        self, inode: int, mode: int, kept: Kept | None, size_bytes: int, mtime_ns: int, links: int
    ) -> Attributes:
        if kept is None or not (self._keeps or kept.is_special):
            return Attributes(
                inode, mode, size_bytes, mtime_ns, self._uid, self._gid, mtime_ns, mtime_ns, links, 0
            )
        ctime_ns = kept.ctime_ns
        # A write sets the modification time alone; one to come was set, and is no time of a change.
        if ctime_ns is None or (ctime_ns < mtime_ns <= self._clock.wall_ns()):
            ctime_ns = mtime_ns
        return Attributes(
            inode,
            mode,
            size_bytes,
            mtime_ns,
            self._uid if kept.uid is None else kept.uid,
            self._gid if kept.gid is None else kept.gid,
            mtime_ns if kept.atime_ns is None else kept.atime_ns,
            ctime_ns,
            links,
            kept.device,
        )
