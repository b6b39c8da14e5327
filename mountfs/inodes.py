"""What stat(2) tells of nodes and of open files."""

from __future__ import annotations

import stat

from mountfs.attributes import Attributes, FileSystemOptions
from mountfs.files.openfile import OpenFile
from mountfs.model.entry import NS_PER_S
from mountfs.tree.node import Node, size_of, time_of, whole_seconds


class Inodes:
    """The services have no modes and no owners: all files of a mount have the same, and so have all folders.

    A node's id is the number of its inode. Times are told in whole seconds.
    """

    def __init__(self, options: FileSystemOptions, wall_ns: int) -> None:
        """*wall_ns*: the time of folders for which the service has none."""
        self._options = options
        self._started_ns = whole_seconds(wall_ns)
        self._file_mode = stat.S_IFREG | (0o666 & ~options.umask)
        self._folder_mode = stat.S_IFDIR | (0o777 & ~options.umask)

    def mode(self, node: Node) -> int:
        return self._file_mode if node.folder is None else self._folder_mode

    def of(self, node: Node) -> Attributes:
        """As the tree has it; a file that is being written is further than that."""
        if node.folder is None:
            return self._attributes(node, self._file_mode, size_of(node), time_of(node) or 0)
        return self._attributes(node, self._folder_mode, 0, time_of(node) or self._started_ns)

    def of_open(self, node: Node, file: OpenFile) -> Attributes:
        """Of *node*, with the size and the time of *file*."""
        return self._attributes(node, self._file_mode, file.size_bytes, file.mtime_ns)

    def _attributes(self, node: Node, mode: int, size_bytes: int, mtime_ns: int) -> Attributes:
        return Attributes(
            node.id, mode, size_bytes, mtime_ns - mtime_ns % NS_PER_S, self._options.uid, self._options.gid
        )
