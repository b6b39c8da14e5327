"""What stands at a path as the mount shows it."""

from __future__ import annotations

from dataclasses import dataclass

from mountfs.model.change import Change, ChangeKind
from mountfs.model.entry import NS_PER_S, Entry, File, Folder
from mountfs.model.path import ROOT, RemotePath


def whole_seconds(mtime_ns: int) -> int:
    """The services keep whole seconds; showing the same before and after the commit keeps tools calm."""
    return mtime_ns - mtime_ns % NS_PER_S


@dataclass(frozen=True, slots=True)
class Node:
    """A file or folder of the merged tree.

    ``path`` has the stored spelling of the last component. ``entry`` is the remote entry it shows, whose
    own path may still differ (a rename on its way); None when it is ours alone. ``change`` is the live PUT
    or MKDIR behind it. ``size_bytes`` of an OPEN change is the last journaled one: ask the open files.
    """

    path: RemotePath
    entry: Entry | None
    change: Change | None
    mtime_ns: int

    @property
    def is_folder(self) -> bool:
        if self.change is not None:
            return self.change.kind is ChangeKind.MKDIR
        return isinstance(self.entry, Folder)

    @property
    def size_bytes(self) -> int:
        if self.change is not None:
            return self.change.size_bytes
        return self.entry.size_bytes if isinstance(self.entry, File) else 0


ROOT_NODE = Node(ROOT, Folder(ROOT, ""), None, 0)
