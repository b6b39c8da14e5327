"""Where the service has something, or is to have it: paths for orders. People see ``node.path_of``."""

from __future__ import annotations

from mountfs.model.entry import Place
from mountfs.model.path import RemotePath, fold
from mountfs.tree.bases import based_above
from mountfs.tree.node import ROOT_ID, Node, remote_id

NAME_KEPT = 200
"""Characters of a name that a third one keeps; with its mark it is below the 255 that services take."""


def remote_path(folder: Node) -> RemotePath:
    """The path of *folder* at the service: where it has the folder or, of one that it is still to make,
    where that will be. A rename on its way, or still to be sent, is not in it."""
    names: list[str] = []
    at = folder
    while at.id != ROOT_ID:
        state = at.state
        if state.base is not None and state.base_parent is not None:
            names.append(state.base.name)
            at = state.base_parent
        elif state.parent is not None:
            names.append(state.name)
            at = state.parent
        else:
            break
    return RemotePath("".join(f"/{name}" for name in reversed(names)))


def is_on_its_way(folder: Node) -> bool:
    """Whether an order that was sent may give *folder* another path than ``remote_path`` by now."""
    return any(each.state.flight is not None for each in based_above(folder))


def place_in(folder: Node, name: str) -> Place:
    """*name* in *folder*, for an order."""
    return Place(remote_path(folder).child(name), remote_id(folder) if folder.id != ROOT_ID else "")


def base_place(node: Node) -> Place:
    """Where the service has *node*, which is not the root."""
    state = node.state
    assert state.base is not None
    assert state.base_parent is not None
    return place_in(state.base_parent, state.base.name)


def third_name(node: Node) -> str:
    """A name that nothing has but *node*, while it changes names with others: always the same."""
    return f".{fold(node.state.name)[:NAME_KEPT]}.{node.id:x}.renaming"
