"""Looking: what stands at a path, as the mount shows it."""

from __future__ import annotations

from collections.abc import Sequence

from mountfs.errors import NameTooLong, NotADirectory, NotFound
from mountfs.model.entry import Entry, Folder
from mountfs.model.names import MAX_CHARS
from mountfs.model.path import RemotePath, fold
from mountfs.tree import tally
from mountfs.tree.bases import base_child, is_attached
from mountfs.tree.childrows import load_children
from mountfs.tree.chunks import CHUNK
from mountfs.tree.listings import Listings
from mountfs.tree.load import Asker
from mountfs.tree.node import Node, State, path_of
from mountfs.tree.remote import stands
from mountfs.tree.tree import Tree
from mountfs.tree.walkrows import FileRow, Shown
from mountfs.tree.word import Word, word_of

Names = Sequence[str]
"""The components of a path below the top of the mount; none for the top itself."""


def names_of(path: str) -> Names:
    """The components of a path as the kernel has it, "/" being the top of the mount."""
    return [name for name in path.split("/") if name]


class View:
    """Answers for paths below *top*, the mounted folder. Loads folders as needed, never under the lock."""

    def __init__(self, tree: Tree, listings: Listings, top: Node) -> None:
        self.tree = tree
        self.listings = listings
        self.top = top
        with tree.lock:
            top.pins += 1

    def stat(self, names: Names) -> Node:
        """The node at a path. NotFound, NotADirectory; Transient when a folder above it cannot be listed."""
        return self.listings.loaded(lambda: self.node(names))

    def children(self, folder: Node) -> list[Node]:
        """What is in *folder*, in no particular order. NotFound, NotADirectory; Transient as ``stat``."""

        def decide() -> list[Node]:
            return list(self.children_of(folder).values())

        return self.listings.loaded(decide)

    def rows(self, folder: Node) -> list[Shown] | None:
        """What is in *folder*, as its rows have it: nodes would take six times as long, and a KiB each. None
        where the children are in memory, or rows do not tell all. Errors as ``children``."""
        if not self.is_in_rows(folder):
            return None
        listings, last_id = self.listings, 0
        with self.tree.lock:
            asked_at = self.tree.store.next_id()
            is_stale = listings.is_stale(folder)
        if is_stale:
            listings.load(folder, asked_at, needs_nodes=False, asker=Asker.PROGRAM)
        found: list[Shown] = []
        while True:
            with self.tree.lock:
                if not self.is_in_rows(folder) or listings.is_stale(folder, asked_at):
                    return None
                part = self.tree.store.walked.shown_in(folder.id, after_id=last_id, most=CHUNK)
            if part is None:
                return None
            found += part
            if len(part) < CHUNK:
                return found or None  # an empty folder in memory costs nothing, and has its link count
            last_id = part[-1][0]

    def files(self, folder: Node) -> tuple[dict[str, FileRow], int] | None:
        """The files in *folder*, by folded name, as their rows have them; and the store's count of
        transactions up to which that is so. None as ``rows``, and where *folder* would have to be listed, or
        rows were written meanwhile."""
        tree, last_id = self.tree, 0
        commits = tree.store.commits
        found: dict[str, FileRow] = {}
        while True:
            with tree.lock:
                is_known = self.is_in_rows(folder) and not self.listings.is_stale(folder)
                if not is_known or tree.store.commits != commits:
                    return None
                part = tree.store.walked.files_in(folder.id, after_id=last_id, most=CHUNK)
            if part is None:
                return None
            rows, following = part
            found |= {fold(row[0]): row for row in rows}
            if following is None:
                return found, commits
            last_id = following

    def is_in_rows(self, folder: Node) -> bool:
        """Whether nothing of what is in *folder* is in memory, or under way."""
        part = folder.folder
        if part is None or part.children is not None or part.arrivals is not None:
            return False
        if part.has_some or part.loose:
            return False
        if folder.state.base is None or part.tally is not None:
            return False
        return not (part.gone or part.claims or part.flights_below) and is_attached(folder)

    def known(self, names: Names) -> Node | None:
        """What stands at a path, or was removed there and is still at the service, as far as that is in
        memory; never waits for the network."""
        with self.tree.lock:
            node = self.top
            for name in names:
                if node.folder is None:
                    return None
                child = (node.folder.children or {}).get(fold(name))
                if child is None:
                    child = base_child(node, fold(name))
                    if child is None or child.state.parent is not None:
                        return None
                node = child
            return node

    def is_gone(self) -> bool:
        """Whether the folder that is mounted was removed at the service. Under the lock."""
        return not is_attached(self.top)

    def state_of(self, names: Names) -> tuple[str, str]:
        """The word that tells how far the file at a path is on its way, and the last error ("" if none)."""
        node = self.stat(names)
        with self.tree.lock:
            return word_for_people(node), reason_of(node)

    # Under the lock

    def node(self, names: Names) -> Node:
        """As ``stat``; NotLoaded; NameTooLong for what no file can be called."""
        return self._walk(names)[0]

    def folder(self, names: Names) -> tuple[Node, dict[str, Node]]:
        """The folder at a path, and what it shows, by folded name. As ``node``; NotADirectory."""
        node, doubt = self._walk(names)
        if node.folder is None:
            raise NotADirectory(f"{path_of(node)} is a file")
        self._check(node)
        return node, self.listings.children(node, max(doubt, node.folder.listing.doubted_below_at))

    def _walk(self, names: Names) -> tuple[Node, int]:
        """The node at a path, and since when a folder above it is out of date with all that is below it."""
        node = self.top
        if names:
            self._check(node)
        listings = self.listings
        doubt = listings.doubt_above(node)
        for name in names:
            part = node.folder
            if part is None:
                raise NotADirectory(f"{path_of(node)} is a file")
            doubt = max(doubt, part.listing.doubted_below_at)
            child = listings.children(node, doubt).get(fold(name))
            if child is None:
                if len(name) > MAX_CHARS:
                    raise NameTooLong(f"no name has {len(name)} characters")
                raise NotFound(f"{name} does not exist in {path_of(node)}")
            node = child
        return node, doubt

    def find(self, names: Names) -> Node | None:
        """As ``node``, or None when nothing stands there."""
        try:
            return self.node(names)
        except NotFound:
            return None

    def children_of(self, folder: Node) -> dict[str, Node]:
        """What the mount shows in *folder*, by folded name. NotADirectory; NotLoaded."""
        if folder.folder is None:
            raise NotADirectory(f"{path_of(folder)} is a file")
        self._check(folder)
        return self.listings.children(folder, self.listings.doubt_above(folder))

    def _check(self, folder: Node) -> None:
        """NotFound where *folder* is the mounted one, and was removed: what is written into it would lead
        nowhere. It has its attributes all the same, or the mount could not be asked for its status."""
        if folder is self.top and self.is_gone():
            raise NotFound("the folder that is mounted was removed at the service")


WORDS = {
    Word.OPEN: "pending",
    Word.SEALED: "uploading",
    Word.UPLOADED: "pending",
    Word.COMMITTING: "committing",
    Word.FAILED: "failed",
    Word.LOCAL: "local",
}


def word_for_people(node: Node) -> str:
    """``clean``, or how far *node* is on its way; of a folder, also whether anything below it is."""
    if node.is_special:
        return WORDS[Word.LOCAL]
    word = word_of(node)
    if node.folder is None or word is Word.FAILED:
        return "clean" if word is None else WORDS[word]
    if tally.count_of(node, (Word.FAILED,)):
        return "failed"
    if word is not None:
        return WORDS[word]
    return "pending" if tally.pending_of(node) else "clean"


def reason_of(node: Node) -> str:
    """Why *node* failed, or what the last attempt met; "" if all is well."""
    if node.state.refusal is not None:
        return node.state.refusal.reason
    at = node
    while at.pending is not None and at.pending.is_stuck and at.pending.blocked_on is not None:
        at = at.pending.blocked_on
    if at is not node:
        # What it waits for in the end alone: every folder of a deep tree waits for the one above.
        reason = reason_of(at)
        return f"it waits for {path_of(at)}: {reason}" if reason else ""
    return "" if node.pending is None else node.pending.error or ""


def mounted_folder(tree: Tree, path: RemotePath, entry: Entry | None) -> Node:
    """The node of the folder that is to be mounted: *entry*, as the service has it, None if that could not be
    asked. Folders above it that were never listed get a node without a listing, to be completed later."""
    node = tree.root
    names = path.components
    for at, name in enumerate(names):
        is_last = at == len(names) - 1
        node = _folder_in(tree, node, name, entry if is_last else None)
    return node


def _folder_in(tree: Tree, folder: Node, name: str, entry: Entry | None) -> Node:
    with tree.transaction():
        load_children(tree, folder)
        known = tree.child(folder, fold(name))
        if known is not None and isinstance(entry, Folder) and _is_other(known, folder, entry):
            stands(tree, folder, entry)
            known = tree.child(folder, fold(name))
        if known is not None:
            if known.folder is None:
                raise NotADirectory(f"{path_of(known)} is a file")
            return known
        node = tree.new_node(is_folder=True)
        base = entry if isinstance(entry, Folder) else Folder("", name)
        tree.change((node, State(folder, base.name, folder, base)))
        return node


def _is_other(known: Node, folder: Node, entry: Folder) -> bool:
    """Whether others have put *entry* in place of *known*: news of that would tell that it is gone."""
    state, base = known.state, known.state.base
    if state.flight is not None or base is None or state.base_parent is not folder:
        return False
    return fold(base.name) == fold(entry.name) and base.id not in ("", entry.id)
