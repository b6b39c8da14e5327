"""What a start does with files of the spool that no row names.

They may be all that is left of somebody's work: they were just being written, or their rows were in a lost
tail of the log, or in a lost store.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mountfs.model.path import fold
from mountfs.spool.spool import Spool, is_name
from mountfs.tree.bases import is_attached
from mountfs.tree.childrows import load_children
from mountfs.tree.content import Content
from mountfs.tree.doubt import TORN, UNPROVEN, doubt
from mountfs.tree.label import NOBODYS, Label, read_label
from mountfs.tree.node import ROOT_ID, Node, State, path_of
from mountfs.tree.recovered import RecoveredCopies
from mountfs.tree.tree import Tree


def set_aside_directory(spool: Path) -> Path:
    """Where files go that no row of the store names."""
    return spool.with_name(f"{spool.name}-set-aside")


def is_never_shared(_name: str) -> bool:
    """For a spool that no other slot shares files with."""
    return False


class Strays:
    """Shows those whose label says which file they are, and sets the others aside. Inside one transaction of
    the tree, but for ``clear``.

    *torn*: further files, of versions whose whole bytes only the service has; *unneeded*: further files that
    nobody needs.
    """

    def __init__(
        self,
        tree: Tree,
        spool: Spool,
        recovered: RecoveredCopies,
        *,
        is_same_boot: bool,
        is_shared: Callable[[str], bool],
    ) -> None:
        self._tree = tree
        self._spool = spool
        self._recovered = recovered
        self._is_same_boot = is_same_boot
        self._is_shared = is_shared
        self._first_id = 0
        """The first number that a stray was given; those of former processes are below it."""
        self.torn: list[str] = []
        self.unneeded: list[str] = []

    def keep(self, names: set[str]) -> list[str]:
        """Those of *names*, and of the torn ones, that could only be set aside. A file that another slot's
        journal names as well is left in place: whoever takes that slot over uses it."""
        kept = self.torn
        for name in sorted(each for each in names if not self._is_shared(each)):
            text = self._spool.label_of(name)
            label = read_label(text) if text else None
            is_whole = self._is_same_boot and label is not None and label.size_bytes is not None
            is_empty = not self._spool.size(name) and not is_whole
            if is_empty or text == NOBODYS:
                self.unneeded.append(name)
            elif label is None or not self._show(name, label):
                kept.append(name)
        if kept:
            directory = set_aside_directory(self._spool.directory)
            self._tree.notice(
                "/", f"{len(kept)} pending files that nothing names any more are kept in {directory}"
            )
        return kept

    def clear(self, kept: list[str]) -> None:
        """Moves what was *kept* out of the spool, and removes what nobody needs. After the transaction."""
        directory = set_aside_directory(self._spool.directory)
        for name in kept:
            self._spool.move_out(name, directory / name)
        for name in self.unneeded:
            self._spool.remove(name)

    def _show(self, name: str, label: Label) -> bool:
        """Shows a stray as the new file that its label says was closed, or as a recovered copy. False when
        its folder is gone."""
        folder = self._tree.node(label.folder_id)
        if folder is None or folder.folder is None or not is_attached(folder) or not is_name(label.name):
            return False
        content = Content(self._tree.store.next_id(), name, 0, self._tree.clock.wall_ns())
        self._first_id = self._first_id or content.id
        reason: str | None = TORN if self._is_same_boot else UNPROVEN
        if label.size_bytes is not None:
            content = content.closed(label.size_bytes, label.mtime_ns)
            reason = doubt(content, self._spool.size(name), is_proven=self._is_same_boot)
        if reason is None:
            self._show_closed(folder, label, content)
            return True
        self._recovered.keep(folder, label.name, content, reason, label.kept)
        return True

    def _show_closed(self, folder: Node, label: Label, content: Content) -> None:
        """A new file that was closed, and has no row yet."""
        name = label.name
        load_children(self._tree, folder)
        if self._tree.child(folder, fold(name)) is not None:
            copy = self._recovered.free_name(folder, name)
            self._tree.notice(
                path_of(folder), f"{name} was closed when mountfs stopped, and is kept as {copy}"
            )
            name = copy
        if self._spool.size(content.spool) > content.size_bytes:
            self._spool.truncate(content.spool, content.size_bytes)
        node = self._tree.new_node(is_folder=False, node_id=self._free_id(label.node_id))
        self._tree.touch(node)
        has_changed = self._tree.folder_times.of(folder) is not None
        self._tree.change((node, State(folder, name, content=content, kept=label.kept)))
        if not has_changed:
            self._tree.folder_times.forget(folder)  # it came into the folder before the last process died

    def _free_id(self, node_id: int | None) -> int | None:
        """*node_id*, the inode number that a file had, if no other can have it."""
        if node_id is None or not ROOT_ID < node_id < self._first_id:
            return None
        is_taken = node_id in self._tree.nodes or self._tree.store.node(node_id) is not None
        return None if is_taken else node_id
