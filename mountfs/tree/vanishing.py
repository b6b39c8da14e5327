"""Folders with something of ours in them that the service does not have any more, and what seems so.

What is ours in such a folder is kept, and all else in it goes. ``lose`` does both in one transaction: a
second under the account's lock where the folder has 30,000 entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from mountfs.errors import MountfsError, NotADirectory, NotFound
from mountfs.model.entry import Entry, Odd
from mountfs.ports import Backend
from mountfs.tree import tally
from mountfs.tree.childrows import held
from mountfs.tree.chunks import chunks
from mountfs.tree.node import Node, remote_id
from mountfs.tree.outdated import outdate
from mountfs.tree.place import place_in
from mountfs.tree.remote import lose, stands
from mountfs.tree.tree import Tree

LISTED_FROM = 4
"""So many questions in one folder are cheaper as one listing."""


def lose_within(tree: Tree, top: Node) -> None:
    """Loses what is in *top*, and below, a part at a time: ``lose`` of *top* itself is to follow, and then
    takes few steps. Without the lock.

    Until then the folders are known to be out of date: if the process dies in between, they are listed again.
    """
    way = [top]
    removed: list[tuple[Node, Node | None]] = []
    """Folders that were removed here, each with the one that it was in."""
    while way:
        folder = way.pop()
        if not _has_ours(folder):
            continue
        with held(tree, [folder]):
            with tree.transaction():
                if not _may_be_lost(folder):
                    continue
                if folder.state.parent is None and folder is not top:
                    removed.append((folder, folder.state.base_parent))
                outdate(tree, folder)
                known = [*(folder.part.children or {}).values(), *(folder.part.gone or {}).values()]
            for part in chunks(known):
                with tree.transaction():
                    for child in part:
                        if child.state.base is None or child.state.base_parent is not folder:
                            continue
                        if child.folder is not None and _has_ours(child):
                            way.append(child)
                        else:
                            lose(tree, child)
    for pairs in chunks(reversed(removed)):  # those that are in others first
        with tree.transaction():
            for each, holder in pairs:
                if each.state.parent is None and each.state.base_parent is holder:
                    lose(tree, each)


def follow_late(
    tree: Tree, backend: Backend, left: Node, missing: Iterable[Node], listed: Iterable[Entry]
) -> set[int]:
    """Looks for those of *missing*, which a listing of *left*, *listed*, does not have where they were, where
    a rename of ours that was given up may have taken them; the ids of those of which that cannot be told now,
    or whose name there an order on its way is to give to another.

    `mv d/f g`, given up; `mv g h`; then it takes effect, and d is listed before anything tells of g. Without
    this the second rename would be lost with f, and g shown. Without the lock.
    """
    goals: dict[int, tuple[Node, dict[str, list[Node]]]] = {}
    unknown: set[int] = set()
    ids = {entry.id for entry in listed} if tree.late.has_moves else set()
    for part in chunks(missing if tree.late.has_moves else ()):
        with tree.lock:
            for node in part:
                goal = tree.late.goal(remote_id(node))
                into = None if goal is None else tree.node(goal[0])
                if into is left and remote_id(node) in ids:
                    unknown.add(node.id)
                if goal is not None and into is not None and into is not left:
                    goals.setdefault(into.id, (into, {}))[1].setdefault(goal[1], []).append(node)
    for folder, names in goals.values():
        try:
            entries = _entries(tree, backend, folder, names)
        except MountfsError:
            unknown.update(node.id for nodes in names.values() for node in nodes)
            continue
        sought = {remote_id(node) for nodes in names.values() for node in nodes}
        for found in chunks(entry for entry in entries if entry.id in sought):
            with held(tree, [folder]), tree.transaction():
                for entry in found:
                    known = tree.by_remote_id(entry.id)
                    if known is not None and known.state.base_parent is left:
                        stands(tree, folder, entry)
                        unknown.update({known.id} if known.state.base_parent is left else ())
    return unknown


def _entries(tree: Tree, backend: Backend, folder: Node, names: Iterable[str]) -> list[Entry]:
    """What the service has in *folder* under *names*: of many it lists all. None where it has no folder."""
    with tree.lock:
        places = [place_in(folder, name) for name in names]
    found: list[Entry] = []
    try:
        if len(places) >= LISTED_FROM:
            listed = backend.list_folder(places[0].path.parent, places[0].folder_id)
            return [entry for entry in listed if not isinstance(entry, Odd)]
        for place in places:
            with suppress(NotFound):
                found.append(backend.stat(place))
    except (NotFound, NotADirectory):
        return []
    return found


def _may_be_lost(folder: Node) -> bool:
    """Whether ``lose`` would lose *folder*, were it asked to: `rm -r d` here and there makes all that is in d
    be removed twice."""
    state = folder.state
    return state.base is not None and state.base_parent is not None and state.flight is None


def _has_ours(folder: Node) -> bool:
    return tally.has_any(folder) or folder.part.gone is not None
