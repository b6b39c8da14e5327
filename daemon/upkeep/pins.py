"""What is pinned: by node and by path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from mountfs.errors import MountfsError, Transient
from mountfs.model.path import RemotePath
from mountfs.tree import chunks
from mountfs.tree.bases import is_below
from mountfs.tree.node import Node, has_moved, path_of
from mountfs.tree.pinrows import NO_NODE, Pin
from mountfs.tree.tree import Tree
from mountfs.tree.view import View


class Pins:
    """Any thread. A pin follows its node, so that what is renamed stays pinned. Where the node is gone it is
    about what stands at the path: `mv new pinned` makes another node, as does somebody who removes a file
    and makes it again."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._tree = view.tree
        self._rows = view.tree.store.pins

    def all(self) -> list[Pin]:
        """The ones that were pinned first come first."""
        return [pin for part in parts_of(self._tree) for pin in part]

    def has_any(self) -> bool:
        with self._tree.lock:
            return self._rows.has_any()

    def add(self, node: Node) -> bool:
        """Whether *node* was not pinned itself."""
        with self._tree.transaction():
            before = list(self._rows.of_node(node.id))
            for former in before:
                self._rows.remove(former)
            self._rows.add(node.id, shown_at(node))
        return not before

    def remove(self, path: RemotePath) -> bool:
        """Whether *path*, from the top of the account, was pinned itself."""
        node = self._known(path)
        with self._tree.lock:
            likely = {*self._rows.at(path), *(self._rows.of_node(node.id) if node is not None else ())}
        # What was renamed a moment ago, and is not in memory, is neither.
        ended = self._at(path, likely) or self._at(path, self.all())
        if ended:
            with self._tree.transaction():
                for pin in ended:
                    self._rows.remove(pin)
        return bool(ended)

    def nodes(self) -> list[tuple[RemotePath, Node | None]]:
        """The path and the node of each; None where nothing stands there, as far as is known."""
        found: list[tuple[RemotePath, Node | None]] = []
        for part in parts_of(self._tree):
            with self._tree.lock:
                found += [(self._path(each), _shown(self._tree, each.node_id)) for each in part]
        return found

    def refresh(self) -> None:
        """Has the folders above them listed if others changed these, and each pin know where it stands.

        Transient: the service is away.
        """
        for pin in self.all():
            found = self._standing_at(self._path(pin))
            with self._tree.lock:
                node = _shown(self._tree, pin.node_id) or found
                # A program may move a file aside while it writes a new one, and nobody hears of that.
                if node is None or (node.id == pin.node_id and has_moved(node.state)):
                    continue
                renewed = replace(pin, node_id=node.id, path=shown_at(node))
                if renewed != pin:
                    with self._tree.transaction():
                        self._rows.move(renewed)

    def _standing_at(self, path: RemotePath) -> Node | None:
        """Only below the mounted folder: nothing else is asked about."""
        names = self._names(path)
        if names is None:
            return None
        try:
            return self._view.stat(names)
        except Transient:
            raise
        except MountfsError:
            return None

    def _known(self, path: RemotePath) -> Node | None:
        """What stands there, as far as that is in memory."""
        names = self._names(path)
        return None if names is None else self._view.known(names)

    def _names(self, path: RemotePath) -> tuple[str, ...] | None:
        """*path* below the mounted folder; None: it is elsewhere."""
        with self._tree.lock:
            top = shown_at(self._view.top)
        is_in_top = path.key == top.key or path.is_below(top)
        return path.components[len(top.components) :] if is_in_top else None

    def _at(self, path: RemotePath, pins: Iterable[Pin]) -> list[Pin]:
        return [pin for pin in pins if self._path(pin).key == path.key]

    def _path(self, pin: Pin) -> RemotePath:
        with self._tree.lock:
            node = _shown(self._tree, pin.node_id)
            return pin.path if node is None else shown_at(node)


def parts_of(tree: Tree) -> Iterator[list[Pin]]:
    """All that is pinned, the ones first that were pinned first."""
    last_id = 0
    while True:
        with tree.lock:
            part = tree.store.pins.page(after_id=last_id, most=chunks.CHUNK)
        yield part
        if len(part) < chunks.CHUNK:
            return
        last_id = part[-1].id


def take_pins(ours: Tree, theirs: Tree, counterpart: Callable[[Node], Node | None]) -> int:
    """Pins in *ours* what is pinned in *theirs*, the tree of another mount of the account, and not in *ours*;
    how much that is. *counterpart*: our node of one of theirs, None if there is none: then the pin is about
    its path. Inside a transaction of *ours*."""
    pins = ours.store.pins
    taken = 0
    for pin in (each for part in parts_of(theirs) for each in part):
        their_node = _shown(theirs, pin.node_id)
        node = None if their_node is None else counterpart(their_node)
        if node is not None and _shown(ours, node.id) is None:
            node = None
        path = pin.path if node is None else shown_at(node)
        if pins.at(path) or (node is not None and pins.of_node(node.id)):
            continue
        pins.add(NO_NODE if node is None else node.id, path)
        taken += 1
    return taken


def _shown(tree: Tree, node_id: int) -> Node | None:
    with tree.lock:
        node = tree.node(node_id)
        if node is None or not is_below(node, tree.root):
            return None
        return node if node is tree.root or node.state.parent is not None else None


def shown_at(node: Node) -> RemotePath:
    """Where the mount shows *node*, from the top of the account. Under the lock."""
    return RemotePath.parse(path_of(node))
