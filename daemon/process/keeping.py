"""Copies that mountfs has put beside files, and what a person should do about each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from daemon.control.status import Copy
from mountfs.model.entry import NS_PER_S
from mountfs.model.path import RemotePath, fold
from mountfs.tree.beside import copy_named_in
from mountfs.tree.node import Node, path_of
from mountfs.tree.tree import Tree

MOST_TOLD = 100

RECOVERED = "recovered copy"
CONFLICTED = "conflicted copy"
WHAT_TO_DO = {
    RECOVERED: "look at it; rename it to have it sent, remove it to give it up",
    CONFLICTED: "compare it with the file it lies beside, keep what you need, then rename or remove the copy",
}


def copies_kept(tree: Tree, shown: Callable[[str], str]) -> tuple[Copy, ...]:
    """Recovered copies, which are sent by nobody until somebody decides, then conflicted ones, newest first:
    those of the latest notices that still have their name, as far as that is in memory. *shown*: how a path
    of the account is told to the user of the mount. Under the lock."""
    wall_ns = tree.clock.wall_ns()
    found: dict[str, Copy] = {}
    for node in islice(tree.set_aside.values(), MOST_TOLD):
        refusal, path = node.state.set_aside, path_of(node)
        if refusal is not None:
            age_s = _age_s(wall_ns, refusal.wall_ns)
            found[path] = Copy(shown(path), RECOVERED, age_s, WHAT_TO_DO[RECOVERED])
    for notice in reversed(tree.store.notices.all()):
        name = copy_named_in(notice.text)
        if name is None or len(found) >= MOST_TOLD:
            continue
        path = str(RemotePath.parse(notice.path).parent.child(name))
        if path not in found and not _is_gone(tree, path):
            age_s = _age_s(wall_ns, notice.wall_ns)
            found[path] = Copy(shown(path), CONFLICTED, age_s, WHAT_TO_DO[CONFLICTED])
    return tuple(found.values())


def _is_gone(tree: Tree, path: str) -> bool:
    """Whether nothing has the name any more; False where the folder is not in memory."""
    at: Node = tree.root
    for name in RemotePath.parse(path).components:
        children = at.folder.children if at.folder is not None else {}
        if children is None:
            return False
        child = children.get(fold(name))
        if child is None:
            return True
        at = child
    return False


def _age_s(wall_ns: int, since_ns: int) -> float:
    return max(0.0, (wall_ns - since_ns) / NS_PER_S)
