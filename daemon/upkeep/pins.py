"""What is pinned: a fact of the store, by node and by path."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace

from mountfs.errors import MountfsError, Transient
from mountfs.model.path import RemotePath
from mountfs.tree.bases import is_below
from mountfs.tree.node import Node, has_moved, path_of
from mountfs.tree.view import View

PINS = "pins"
"""The fact: for each pin the id of its node and its path, as a list in JSON."""


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
        with self._tree.lock:
            found = self._tree.store.fact(PINS)
            with suppress(ValueError, TypeError, AttributeError):
                pins = [self._read(each) for each in json.loads(found or "[]")]
                return [each for each in pins if each is not None]
        return []

    def add(self, node: Node) -> None:
        with self._tree.transaction():
            self._write([*(each for each in self.all() if each.node_id != node.id), _pin_of(node)])

    def remove(self, path: RemotePath) -> bool:
        """Whether *path*, from the top of the account, was pinned itself."""
        with self._tree.transaction():
            before = self.all()
            after = [each for each in before if self._path(each).key != path.key]
            self._write(after)
        return len(after) < len(before)

    def nodes(self) -> list[tuple[RemotePath, Node | None]]:
        """The path and the node of each; None where nothing stands there, as far as is known."""
        with self._tree.lock:
            return [(self._path(each), self._shown(each.node_id)) for each in self.all()]

    def refresh(self) -> None:
        """Has the folders above them listed if others changed these, and each pin know where it stands.

        Transient: the service is away.
        """
        for pin in self.all():
            found = self._standing_at(self._path(pin))
            with self._tree.transaction():
                node = self._shown(pin.node_id) or found
                # A program may move a file aside while it writes a new one, and nobody hears of that.
                if node is None or (node.id == pin.node_id and has_moved(node.state)):
                    continue
                renewed = replace(pin, node_id=node.id, path=shown_at(node))
                if renewed != pin:
                    self._write([renewed if each == pin else each for each in self.all()])

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

    def _read(self, row: int | tuple[int, str]) -> Pin | None:
        """Pins once had ids alone: such a one is about its node, if that is still there."""
        if isinstance(row, int):
            node = self._shown(row)
            return None if node is None else _pin_of(node)
        node_id, path = row
        return Pin(int(node_id), RemotePath.parse(path))

    def _path(self, pin: Pin) -> RemotePath:
        node = self._shown(pin.node_id)
        return pin.path if node is None else shown_at(node)

    def _shown(self, node_id: int) -> Node | None:
        with self._tree.lock:
            node = self._tree.node(node_id)
            if node is None or not is_below(node, self._tree.root):
                return None
            return node if node is self._tree.root or node.state.parent is not None else None

    def _write(self, pins: list[Pin]) -> None:
        rows = [(each.node_id, each.path.text) for each in pins]
        self._tree.store.set_fact(PINS, json.dumps(rows) if rows else None)


def shown_at(node: Node) -> RemotePath:
    """Where the mount shows *node*, from the top of the account. Under the lock."""
    return RemotePath.parse(path_of(node))


def _pin_of(node: Node) -> Pin:
    return Pin(node.id, shown_at(node))
