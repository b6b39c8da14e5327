"""What is pinned: a fact of the store, by node and by path."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from mountfs.errors import MountfsError, Transient
from mountfs.model.path import RemotePath
from mountfs.tree.bases import is_below
from mountfs.tree.chunks import chunks
from mountfs.tree.node import Node, has_moved, path_of
from mountfs.tree.tree import Tree
from mountfs.tree.view import View

PINS = "pins"
"""The fact: for each pin the id of its node and its path, as a list in JSON."""
NO_NODE = 0
"""The id of none: a pin that is about whatever stands at its path."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A file or folder that is kept here. *path*: from the top of the account."""

    node_id: int
    path: RemotePath


class Pins:
    """Any thread. A pin follows its node, so that what is renamed stays pinned. Where the node is gone it is
    about what stands at the path: `mv new pinned` makes another node, as does somebody who removes a file
    and makes it again."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._tree = view.tree

    def all(self) -> list[Pin]:
        """The ones that were pinned first come first."""
        return pins_in(self._tree)

    def add(self, node: Node) -> None:
        with self._tree.transaction():
            _write(self._tree, [*(each for each in self.all() if each.node_id != node.id), _pin_of(node)])

    def remove(self, path: RemotePath) -> bool:
        """Whether *path*, from the top of the account, was pinned itself."""
        with self._tree.transaction():
            before = self.all()
            after = [each for each in before if self._path(each).key != path.key]
            _write(self._tree, after)
        return len(after) < len(before)

    def nodes(self) -> list[tuple[RemotePath, Node | None]]:
        """The path and the node of each; None where nothing stands there, as far as is known."""
        found: list[tuple[RemotePath, Node | None]] = []
        for part in chunks(self.all()):
            with self._tree.lock:
                found += [(self._path(each), _shown(self._tree, each.node_id)) for each in part]
        return found

    def refresh(self) -> None:
        """Has the folders above them listed if others changed these, and each pin know where it stands.

        Transient: the service is away.
        """
        for pin in self.all():
            found = self._standing_at(self._path(pin))
            with self._tree.transaction():
                node = _shown(self._tree, pin.node_id) or found
                # A program may move a file aside while it writes a new one, and nobody hears of that.
                if node is None or (node.id == pin.node_id and has_moved(node.state)):
                    continue
                renewed = replace(pin, node_id=node.id, path=shown_at(node))
                if renewed != pin:
                    _write(self._tree, [renewed if each == pin else each for each in self.all()])

    def _standing_at(self, path: RemotePath) -> Node | None:
        """Only below the mounted folder: nothing else is asked about."""
        top = shown_at(self._view.top)
        if path.key != top.key and not path.is_below(top):
            return None
        try:
            return self._view.stat(path.components[len(top.components) :])
        except Transient:
            raise
        except MountfsError:
            return None

    def _path(self, pin: Pin) -> RemotePath:
        with self._tree.lock:
            node = _shown(self._tree, pin.node_id)
            return pin.path if node is None else shown_at(node)


def pins_in(tree: Tree) -> list[Pin]:
    """The ones that were pinned first come first."""
    with tree.lock:
        found = tree.store.fact(PINS)
    with suppress(ValueError, TypeError, AttributeError):
        pins = [_read(tree, each) for each in json.loads(found or "[]")]
        return [each for each in pins if each is not None]
    return []


def take_pins(ours: Tree, theirs: Tree, counterpart: Callable[[Node], Node | None]) -> int:
    """Pins in *ours* what is pinned in *theirs*, the tree of another mount of the account, and not in *ours*;
    how much that is. *counterpart*: our node of one of theirs, None if there is none: then the pin is about
    its path. Inside a transaction of *ours*."""
    pins = pins_in(ours)
    known = len(pins)
    for pin in pins_in(theirs):
        their_node = _shown(theirs, pin.node_id)
        node = None if their_node is None else counterpart(their_node)
        if node is not None and _shown(ours, node.id) is None:
            node = None
        taken = replace(pin, node_id=NO_NODE) if node is None else _pin_of(node)
        if not any(_is_same(each, taken) for each in pins):
            pins.append(taken)
    if len(pins) > known:
        _write(ours, pins)
    return len(pins) - known


def _is_same(pin: Pin, other: Pin) -> bool:
    return pin.path.key == other.path.key or pin.node_id == other.node_id != NO_NODE


def _read(tree: Tree, row: int | tuple[int, str]) -> Pin | None:
    """Pins once had ids alone: such a one is about its node, if that is still there."""
    if isinstance(row, int):
        node = _shown(tree, row)
        return None if node is None else _pin_of(node)
    node_id, path = row
    return Pin(int(node_id), RemotePath.parse(path))


def _shown(tree: Tree, node_id: int) -> Node | None:
    with tree.lock:
        node = tree.node(node_id)
        if node is None or not is_below(node, tree.root):
            return None
        return node if node is tree.root or node.state.parent is not None else None


def _write(tree: Tree, pins: list[Pin]) -> None:
    rows = [(each.node_id, each.path.text) for each in pins]
    tree.store.set_fact(PINS, json.dumps(rows) if rows else None)


def shown_at(node: Node) -> RemotePath:
    """Where the mount shows *node*, from the top of the account. Under the lock."""
    return RemotePath.parse(path_of(node))


def _pin_of(node: Node) -> Pin:
    return Pin(node.id, shown_at(node))
