"""The calls that change the tree. Each is one transaction, made under the lock after it has looked.

A verb changes what the mount shows, and nothing else. What is to be told to the service follows from that
(``plan``); an order that is on its way is not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mountfs.errors import (
    AlreadyExists,
    CrossDevice,
    DirectoryNotEmpty,
    InvalidArgument,
    IsADirectory,
    NotADirectory,
    NotPermitted,
)
from mountfs.model.entry import File
from mountfs.model.names import NameRules, is_local_name
from mountfs.model.path import fold
from mountfs.tree.bases import is_attached, is_in
from mountfs.tree.beside import KEPT_AS
from mountfs.tree.content import Content, Over, is_made_from
from mountfs.tree.copynames import CopyNames
from mountfs.tree.gaps import change_gaps, hold_draft
from mountfs.tree.kept import NOTHING_KEPT, Kept
from mountfs.tree.label import can_be_labelled, closed_label
from mountfs.tree.node import FORGOTTEN, Node, State, forgotten, path_of, remote_id
from mountfs.tree.overlay import Overlay
from mountfs.tree.replaced import check_synced
from mountfs.tree.rowless import apply, is_found
from mountfs.tree.tree import Edit, Tree
from mountfs.tree.view import Names, View
from mountfs.tree.word import keeper_of

NewAttributes = Callable[[Node], Kept | None]
"""What is kept of something new, by the folder that it is made in."""


def no_attributes(_folder: Node) -> None:
    """Nothing: the mount's options say mode and owner."""


class Verbs:
    """Every method is called under the tree's lock and raises NotLoaded, before it has changed anything,
    where a folder has to be loaded first. Names are components below the top of the mount."""

    def __init__(self, tree: Tree, view: View, rules: NameRules, copies: CopyNames) -> None:
        self._tree = tree
        self._view = view
        self._rules = rules
        self._copies = copies

    # Files

    def create(
        self,
        names: Names,
        spool: str,
        attributes: NewAttributes = no_attributes,
        *,
        size_bytes: int = 0,
        mtime_ns: int | None = None,
    ) -> Node:
        """A new file, being written in the spool file *spool*. The store learns of it when it is closed.
        *attributes*: what is kept of it, by the folder that it is made in. *mtime_ns*: None: now.

        AlreadyExists; NotFound or NotADirectory for the folder it would be in; NameNotAllowed, NameTooLong.
        """
        parent = self._free(names)
        node = self._tree.new_node(is_folder=False)
        mtime_ns = self._tree.clock.wall_ns() if mtime_ns is None else mtime_ns
        draft = Content(self._tree.store.next_id(), spool, size_bytes, mtime_ns)
        self._tree.touch(node)
        self._tree.change_unsaved(node, State(parent, names[-1], draft=draft, kept=attributes(parent)))
        return node

    def begin(
        self,
        node: Node,
        spool: str,
        size_bytes: int,
        over: Over | None,
        made_from: Content | None,
        overlay: Overlay | None,
        *,
        is_closed: bool = False,
    ) -> tuple[Node, Content] | None:
        """Begins a new version of the file *node* in the spool file *spool*. It was made from the service's
        revision *over*, or from *made_from*, a version that is still to be sent, and may replace what that
        may replace. *overlay*: what the spool file lacks. *is_closed*: its bytes are whole, as by ``flush``.

        Returns the node that has the new version: *node*, or, if *node* got other bytes of ours since, which
        this version was not made from, a new file beside it. None: the node is gone, and the bytes belong to
        no file.
        """
        with self._tree.lock:
            state = node.state
            if state.parent is None or not is_attached(node):
                return None
            if isinstance(state.base, File) and not state.base.is_downloadable:
                raise NotPermitted(f"{state.name} is a document without bytes of its own")
            wall_ns = self._tree.clock.wall_ns()
            if over is not None and isinstance(state.base, File) and over.is_of(state.base):
                # A rename since the file was opened gave the same bytes another revision.
                over = Over.of(state.base)
            number = self._tree.store.next_id()
            draft = Content(number, spool, size_bytes, wall_ns, over, is_closed, overlay=overlay)
            ours = state.draft or state.content
            if ours is None:
                hold_draft(self._tree, node, state.holding(None, draft))
            elif made_from is not None and ours.id == made_from.id:
                draft = replace(draft, over=ours.over)
                hold_draft(self._tree, node, state.holding(state.content, draft))
            else:
                return self._begin_beside(node, replace(draft, over=None))
            return node, draft

    def is_newest(self, content: Content) -> bool:
        """Whether *content* is the newest version of a node. It has its row from here on: a newer version is
        about to share its spool file, and that file's label."""
        with self._tree.lock:
            node = self._tree.contents.get(content.id)
            newest = None if node is None else node.state.draft or node.state.content
            if node is None or newest is None or newest.id != content.id:
                return False
            if content.id in self._tree.unsaved:
                self._tree.change((node, node.state))
            return True

    def _begin_beside(self, node: Node, draft: Content) -> tuple[Node, Content]:
        folder, name = node.state.parent, node.state.name
        assert folder is not None
        copy = self._copies.name(folder, name, "conflicted")
        self._tree.notice(path_of(node), f"two versions of it are being written: one {KEPT_AS}{copy}")
        beside = self._tree.new_node(is_folder=False)
        self._tree.touch(beside)
        hold_draft(self._tree, beside, State(folder, copy, draft=draft, kept=node.state.kept))
        return beside, draft

    def flush(
        self, content: Content, size_bytes: int, mtime_ns: int, keep: Callable[[str], bool] | None = None
    ) -> Content | None:
        """close() was called: a process that dies from here on leaves *size_bytes* whole bytes, which the
        next one sends. Returns the draft as it is now; None when no file has it any more.

        *keep* writes a label onto the spool file. A new file with a label needs no row at once: the rows of
        many cost a third.
        """
        with self._tree.lock:
            node, now = self._draft(content)
            if node is None or now is None:
                return None
            if not now.is_flushed or (now.size_bytes, now.mtime_ns) != (size_bytes, mtime_ns):
                if now.overlay is not None:
                    change_gaps(self._tree, now.id, now.overlay, ())  # of a cut that the store did not take
                now = now.closed(size_bytes, mtime_ns)
                self._keep_closed(node, now, keep)
            return now

    def unflush(self, content: Content) -> bool:
        """The draft is being written to again, so that a process that dies leaves it torn. Call before the
        first byte.

        Returns whether its closed bytes were marked as safe from a power loss; then the store must be synced
        before that byte.
        """
        with self._tree.lock:
            node, now = self._draft(content)
            if node is None or now is None or not now.is_flushed:
                return False
            after = replace(now, is_flushed=False, is_synced=False)
            self._tree.change((node, node.state.holding(node.state.content, after)))
            return now.is_synced

    def seal(self, content: Content, size_bytes: int, mtime_ns: int) -> Content | None:
        """The last writer has closed the file: its bytes are a version, and may be sent. Returns the version
        as it is now; None when no file has it any more."""
        with self._tree.lock:
            now = self.flush(content, size_bytes, mtime_ns)
            node = self._tree.contents.get(content.id)
            if now is None or node is None:
                return None
            self._tree.touch(node)
            state = node.state
            after = state.sealed(now)
            if state.content is None and state.mtime_ns is None and state.refusal is None:
                self._tree.change_unsaved(node, after)  # to the store a closed draft is whole
            else:
                self._tree.change((node, after))
            return now

    # Names

    def make_folder(self, names: Names, attributes: NewAttributes = no_attributes) -> Node:
        """AlreadyExists; as ``create`` for the folder above and the name.

        `rmdir d; mkdir d`, and the removal was not sent yet: the folder is the old one, shown again.
        """
        parent = self._free(names)
        now_ns, kept = self._tree.clock.wall_ns(), attributes(parent)
        removed = self._tree.base_child(parent, fold(names[-1]))
        if removed is not None and can_return(self._tree, removed):
            self._tree.touch(removed)
            self._tree.folder_times.forget(removed)
            after = removed.state.at(parent, names[-1])
            mine = (removed.state.kept or NOTHING_KEPT).changed(now_ns)
            kept = replace(kept or NOTHING_KEPT, ctime_ns=mine.ctime_ns)
            after = replace(after, mtime_ns=now_ns, refusal=None, kept=kept)
            self._tree.change((removed, after))
            return removed
        node = self._tree.new_node(is_folder=True)
        self._tree.touch(node)
        self._tree.change((node, State(parent, names[-1], mtime_ns=now_ns, kept=kept)))
        self._tree.residents.publish(node)
        return node

    def make_special(self, names: Names, attributes: NewAttributes, mtime_ns: int | None = None) -> Node:
        """A symbolic link, fifo, socket or device, as *attributes* say; it stays on this machine. Raises as
        ``make_folder``. *mtime_ns*: None: now."""
        parent = self._free(names)
        node = self._tree.new_node(is_folder=False)
        self._tree.touch(node)
        mtime_ns = self._tree.clock.wall_ns() if mtime_ns is None else mtime_ns
        after = State(parent, names[-1], mtime_ns=mtime_ns, kept=attributes(parent))
        self._tree.change((node, after))
        return node

    def unlink(self, names: Names) -> Node:
        """Removes a file. NotFound, IsADirectory."""
        node = self._view.node(names)
        if node.folder is not None:
            raise IsADirectory(f"{names[-1]} is a folder")
        self._remove(node)
        return node

    def remove_folder(self, names: Names) -> Node:
        """Removes an empty folder. NotFound, NotADirectory, DirectoryNotEmpty."""
        node = self._view.node(names)
        self._check_empty(node)
        self._remove(node)
        return node

    def rename(self, source: Names, target: Names, *, may_be_lost: bool = False) -> tuple[Node, Node | None]:
        """As rename(2); what was renamed, and what it replaced. NotFound, IsADirectory, NotADirectory,
        DirectoryNotEmpty, InvalidArgument (into itself), names as ``create``; CrossDevice when only a copy
        can do it (what the service has, into a folder that stays on this machine).

        NotSynced, before anything is changed, where power loss would take what is renamed, but not what it
        replaces; *may_be_lost*: that was seen to as far as possible.
        """
        node = self._view.node(source)
        parent = self._view.node(target[:-1])
        if parent.folder is None:
            raise NotADirectory(f"{target[-2]} is a file")
        occupant = self._view.children_of(parent).get(fold(target[-1]))
        self._check_rename(node, parent, target[-1], occupant)
        if occupant is node:
            occupant = None
        if occupant is not None and not may_be_lost:
            check_synced(node, occupant)
        if parent is not node.state.parent or target[-1] != node.state.name:
            self._tree.touch(node)
            if node.pending is not None:
                node.pending.is_renamed = True
            kept = replace(node.state.kept or NOTHING_KEPT, ctime_ns=self._tree.clock.wall_ns())
            moved = replace(node.state, parent=parent, name=target[-1], refusal=None, kept=kept)
            if occupant is not None:
                with self._tree.transaction():
                    apply(self._tree, self._removed(occupant), (node, moved))
            else:
                apply(self._tree, (node, moved))
        return node, occupant

    # Inside

    def _draft(self, content: Content) -> tuple[Node | None, Content | None]:
        """The node that has the draft *content*, and the draft as it is now."""
        node = self._tree.contents.get(content.id)
        if node is None or node.state.draft is None or node.state.draft.id != content.id:
            return None, None
        return node, node.state.draft

    def _keep_closed(self, node: Node, now: Content, keep: Callable[[str], bool] | None) -> None:
        """The draft *now* of *node* survives the process from here on: by its label, or by its row."""
        state = node.state
        after = state.holding(state.content, now)
        folder = state.parent
        is_labelled = False
        if (
            keep is not None
            and folder is not None
            and folder.is_saved
            and _is_first(node)
            and can_be_labelled(state.kept)
        ):
            is_labelled = keep(closed_label(node, folder, now.size_bytes, now.mtime_ns))
        if is_labelled:
            self._tree.change_unsaved(node, after)
        else:
            self._tree.change((node, after))

    def _remove(self, node: Node) -> None:
        if is_found(node):
            with self._tree.transaction():
                self._tree.change(self._removed(node))
        else:
            self._tree.change_unsaved(node, forgotten(node.state))

    def _removed(self, node: Node) -> Edit:
        """The edit that removes *node*: the service is told if it has the node, or is just being given it.
        Inside a transaction, unless the node has no row."""
        state = node.state
        if state.base is None and state.flight is None:
            return node, forgotten(state)
        if _hides_another_version(state):
            # Our bytes go. The other version, which nobody here has seen, is shown when the folder is listed.
            self._tree.notice(path_of(node), "not removed: somebody else changed it meanwhile")
            if state.base_parent is not None:
                self._view.listings.doubt(state.base_parent)
            return node, FORGOTTEN
        self._tree.touch(node)
        return node, state.removed()

    def _free(self, names: Names) -> Node:
        """The folder in which something new may be made at a path, where nothing stands."""
        if not names:
            raise AlreadyExists("/ exists")
        parent, children = self._view.folder(names[:-1])
        if fold(names[-1]) in children:
            raise AlreadyExists(f"{names[-1]} exists")
        if not is_local_name(names[-1]) and keeper_of(parent) is None:
            self._rules.check(names[-1])
        return parent

    def _check_rename(self, node: Node, parent: Node, name: str, occupant: Node | None) -> None:
        is_known = node.state.base is not None or node.state.flight is not None
        stays_here = keeper_of(parent) is not None or (not is_known and is_local_name(name))
        if is_in(parent, node):
            raise InvalidArgument(f"{node.state.name} cannot be moved into itself")
        if occupant is None:
            if not stays_here:
                self._rules.check(name)
        elif occupant is not node:
            if node.folder is not None:
                self._check_empty(occupant)
            elif occupant.folder is not None:
                raise IsADirectory(f"{name} is a folder")
        if stays_here and keeper_of(node) is None and (is_known or node.folder is not None):
            raise CrossDevice(f"{name} stays on this machine, {node.state.name} is on the service's")

    def _check_empty(self, node: Node) -> None:
        if node.folder is None:
            raise NotADirectory(f"{node.state.name} is a file")
        if self._view.children_of(node):
            raise DirectoryNotEmpty(f"{node.state.name} is not empty")


def _is_first(node: Node) -> bool:
    """Whether the draft of *node* is its only version, so that a label on the draft can stand for its row."""
    return not node.is_saved and node.state.content is None


def can_return(tree: Tree, removed: Node) -> bool:
    """Whether a folder that was removed here, and that the service still has, can be shown again. Not where a
    removal that was given up may still take effect: it would take what is put into the folder."""
    is_free = removed.folder is not None and removed.state.parent is None and removed.state.flight is None
    return is_free and not tree.late.may_remove(remote_id(removed))


def _hides_another_version(state: State) -> bool:
    """Whether bytes of ours stand in place of a version of somebody else's, and were not made from it."""
    ours = state.content or state.draft
    if ours is None or state.flight is not None or not isinstance(state.base, File):
        return False
    return not is_made_from(ours, state.base)
