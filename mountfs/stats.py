"""stat(2) of a path: from a node, or from the rows of a folder that a program goes through."""

from __future__ import annotations

from mountfs.attributes import Attributes
from mountfs.errors import NotADirectory, NotFound
from mountfs.files.handles import OpenFiles
from mountfs.files.openfile import OpenFile
from mountfs.files.services import Services
from mountfs.inodes import Inodes
from mountfs.model.path import fold
from mountfs.published import PublishedLinks
from mountfs.tree.node import Node
from mountfs.tree.view import View, names_of
from mountfs.tree.walkrows import FileRow

FOLDERS_KEPT = 64
"""Programs look into these, at one file after another."""
NEAR_S = 1.0
"""How long the way to a folder is not walked again while the store is as it was: listings of folders above it
may become too old meanwhile. The kernel answers as long by itself."""
ROWS_KEPT = 50_000
"""Of files in such folders, at most, but for the last folder; 300 bytes each."""
UNUSED_S = 60.0
"""The last one has as many as it has while it is in use, and until so long after."""


class _Near:
    """A folder that was opened, or looked into, by a path."""

    __slots__ = ("commits", "files", "folder", "rows_at", "walked_s")

    def __init__(self, folder: Node, commits: int, now_s: float) -> None:
        self.folder = folder
        self.commits = commits
        """The store's count of transactions when the way was walked: no folder moves without one more."""
        self.walked_s = now_s
        self.files: dict[str, FileRow] | None = None
        """What its rows tell, by folded name; None: they were not asked for."""
        self.rows_at = 0
        """The store's count when they were read: no row changes without one more."""


class StatCalls:
    """`ls -l` and `du` ask for each file of a folder. The way to the folder is not walked again for each,
    while the store is as it was; and where a folder was listed from its rows, rows tell of its files as well:
    a node for each would take four times as long, and a KiB of memory."""

    def __init__(
        self, view: View, files: OpenFiles, services: Services, inodes: Inodes, links: PublishedLinks
    ) -> None:
        self._view = view
        self._files = files
        self._lock, self._clock = services.lock, services.clock
        self._inodes = inodes
        self._links = links
        self._near: dict[str, _Near] = {}
        """By the path as the kernel spelled it, the one that came last at the end. Under the lock."""
        self._rows = 0
        """How many files they have from rows."""

    def getattr(self, path: str, *, may_be_gone: bool = False) -> Attributes:
        """NotFound, NotADirectory; Transient when a folder above cannot be listed. *may_be_gone*: also of
        what is open by that path, and lost its name to others."""
        try:
            return self._getattr(path)
        except (NotFound, NotADirectory):
            file = self._open_as(path) if may_be_gone else None
            if file is None:
                raise
            return self._inodes.of_open(file.node, file)

    def _open_as(self, path: str) -> OpenFile | None:
        with self._lock:
            return self._files.first_of(path)

    def _getattr(self, path: str) -> Attributes:
        above, _, name = path.rpartition("/")
        if name and not self._links.is_on:
            near = self._near.get(above)
            if near is not None:
                if near.files is None and near.folder.part.children is None:
                    self._read_rows(above, near)
                told = self._told_near(near, above, path, name)
                if told is not None:
                    return told
        hidden = self._files.hidden(path)
        if hidden is not None:
            return self._inodes.of_open(hidden.node, hidden)
        names = names_of(path)

        def decide() -> Attributes:
            node = self._links.node(names)
            if node.folder is not None:
                return self._inodes.of(node)
            if node.state.parent is not None:
                self._note(above, node.state.parent)
            return self._of_file(path, node)

        return self._view.listings.loaded(decide)

    def opened(self, path: str, folder: Node) -> None:
        """A program is about to list *folder*. Under the lock."""
        self._note(path.rstrip("/"), folder)

    def _note(self, path: str, folder: Node) -> None:
        """The way to *folder* was just walked."""
        commits, now_s = self._view.tree.store.commits, self._clock.now_s()
        near = self._near.get(path)
        if near is not None and near.folder is folder:
            near.commits, near.walked_s = commits, now_s
            if near.files is not None and near.rows_at != commits:
                self._rows -= len(near.files)
                near.files = None
            return
        self._forget(path)
        if self._rows > ROWS_KEPT:
            for unused in [at for at, each in self._near.items() if now_s - each.walked_s >= UNUSED_S]:
                self._forget(unused)
        self._near[path] = _Near(folder, commits, now_s)
        while len(self._near) > FOLDERS_KEPT:
            self._forget(next(iter(self._near)))

    def _forget(self, path: str) -> None:
        near = self._near.pop(path, None)
        if near is not None and near.files is not None:
            self._rows -= len(near.files)

    def _read_rows(self, path: str, near: _Near) -> None:
        """Has the files of a folder from its rows, if these tell."""
        found = self._view.files(near.folder)
        with self._lock:
            if found is None or self._near.get(path) is not near:
                return
            self._forget(path)
            near.files, near.rows_at = found
            self._near[path] = near
            self._rows += len(near.files)
            while self._rows > ROWS_KEPT and len(self._near) > 1:
                self._forget(next(iter(self._near)))

    def _told_near(self, near: _Near, above: str, path: str, name: str) -> Attributes | None:
        """Of a file in a folder that was looked into before; None where the way there has to be walked."""
        view, folder = self._view, near.folder
        with self._lock:
            if not self._is_there(near, above) or view.listings.is_stale(folder):
                return None
            children = folder.part.children
            if children is not None:
                node = children.get(fold(name))
                if node is None or node.folder is not None:
                    return None
                view.tree.residents.used(folder)
                return self._of_file(path, node)
            row = near.files.get(fold(name)) if near.files is not None else None
            if row is None or near.rows_at != view.tree.store.commits:
                return None
            if not view.is_in_rows(folder) or self._files.is_open(path):
                return None
            found = self._inodes.of_row(row)
            self._files.sizes.told(path, found.inode, found.size_bytes)
            return found

    def _is_there(self, near: _Near, path: str) -> bool:
        """Whether the folder is still at *path*."""
        tree, folder = self._view.tree, near.folder
        if tree.nodes.get(folder.id) is not folder:
            return False
        now_s = self._clock.now_s()
        if near.commits != tree.store.commits or now_s - near.walked_s >= NEAR_S:
            names = names_of(path)
            if self._view.listings.if_loaded(lambda: self._view.find(names)) is not folder:
                return False
            near.commits, near.walked_s = tree.store.commits, now_s
        return True

    def _of_file(self, path: str, node: Node) -> Attributes:
        file = self._files.writing(node) or self._files.read_as(path, node)
        found = self._inodes.of(node) if file is None else self._inodes.of_open(node, file)
        self._files.sizes.told(path, found.inode, found.size_bytes)
        return found
