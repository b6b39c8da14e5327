"""What two mounts of an account know of one thing that the service has: one of them takes over the other."""

from __future__ import annotations

from dataclasses import replace

from mountfs.model.entry import Entry, File
from mountfs.tree.node import Node, State, has_moved


def is_one(ours: Entry | None, theirs: Entry | None) -> bool:
    """Whether both are what the service has by one id."""
    return ours is not None and theirs is not None and ours.id == theirs.id


def with_kept(ours: State, theirs: State) -> State:
    """*ours*, with what *theirs* keeps of it where ours keeps nothing: its time, its mode and owner."""
    mtime_ns = theirs.mtime_ns if ours.mtime_ns is None else ours.mtime_ns
    return replace(ours, mtime_ns=mtime_ns, kept=ours.kept or theirs.kept)


def moved_by_others(ours: State, parent: Node | None, theirs: State) -> tuple[Node | None, State]:
    """*theirs*, shown in *parent*, where the service has it as far as *ours* knows: our news goes on from
    there, and does not tell once more of a move that they had not heard of."""
    assert ours.base is not None
    assert theirs.base is not None
    base = replace(theirs.base, name=ours.base.name)
    if parent is not None and not has_moved(theirs):
        return ours.parent, replace(theirs, name=ours.name, base=base)
    return parent, replace(theirs, base=base)


def is_same(ours: Entry | None, theirs: Entry) -> bool:
    """Whether the service still has what they knew, as far as we know."""
    if isinstance(theirs, File):
        return isinstance(ours, File) and ours.revision == theirs.revision
    return ours is not None
