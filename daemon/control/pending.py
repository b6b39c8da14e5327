"""What is pending, change by change: how far each is, and what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from daemon.control.changes import PendingChange
from mountfs.model.entry import NS_PER_S
from mountfs.model.order import OrderKind
from mountfs.ports import Clock
from mountfs.tree.bases import is_below
from mountfs.tree.discard import pending_within
from mountfs.tree.node import Node, State, has_moved, path_of
from mountfs.tree.tree import Tree
from mountfs.tree.view import reason_of
from mountfs.tree.word import Word, is_leaving, word_of

TOLD_AT_ONCE = 100
"""Nodes in one hold of the lock."""
_TAKEN_BACK = {OrderKind.DELETE: "not removed", OrderKind.MOVE: "not renamed"}


def pending_changes(
    tree: Tree, top: Node, shown_below: Node, clock: Clock, shown: Callable[[str], str]
) -> tuple[list[PendingChange], int]:
    """Everything at or below *top* that is pending or was refused, in the order in which it became so, and
    how many changes lie outside of *shown_below*, the folder that is mounted. Any thread, without the
    lock."""
    found: list[PendingChange] = []
    outside = 0
    wall_ns = clock.wall_ns()
    nodes = list(pending_within(tree, top))
    for at in range(0, len(nodes), TOLD_AT_ONCE):
        with tree.lock:
            for node in nodes[at : at + TOLD_AT_ONCE]:
                word = word_of(node)
                if word is None or word is Word.LOCAL:
                    continue
                if not is_below(node, shown_below):
                    outside += 1
                    continue
                found.append(_told(node, word, wall_ns, shown))
    return found, outside


def first_changes(
    tree: Tree, shown_below: Node, clock: Clock, shown: Callable[[str], str], most: int
) -> list[PendingChange]:
    """Some of what was refused, and then of what has been pending for longest: at most *most* of each are
    looked at. Any thread."""
    wall_ns = clock.wall_ns()
    with tree.lock:
        nodes = dict.fromkeys([*islice(tree.refused.values(), most), *islice(tree.awaited.values(), most)])
        pairs = ((node, word_of(node)) for node in nodes if is_below(node, shown_below))
        found = [_told(node, word, wall_ns, shown) for node, word in pairs if word is not None]
    return found[:most]


def _told(node: Node, word: Word, wall_ns: int, shown: Callable[[str], str]) -> PendingChange:
    state, pending = node.state, node.pending
    content = state.content or state.draft
    by = pending.blocked_on if pending is not None else None
    if pending is not None:
        since_ns = pending.since_ns
    else:
        since_ns = state.refusal.wall_ns if state.refusal is not None else wall_ns
    return PendingChange(
        path=shown(path_of(node)),
        change=what_changes(node),
        state=word.text,
        size_bytes=content.size_bytes if content is not None else 0,
        age_s=max(0.0, (wall_ns - since_ns) / NS_PER_S),
        waits_for=shown(path_of(by)) if by is not None else "",
        reason=reason_of(node),
    )


def what_changes(node: Node) -> str:
    """In a few words, such as ``new file``, ``new bytes, renamed``, ``removed``; ``not removed`` where a
    refusal was all that came of it."""
    return ", ".join(_changes(node, node.state)) or "sent again"


def _changes(node: Node, state: State) -> Iterator[str]:
    kind = "folder" if node.is_folder else "file"
    if state.parent is None or is_leaving(state):
        yield "removed"
        return
    if state.base is None:
        yield f"new {kind}"
        return
    has_bytes = state.content is not None or state.draft is not None
    if has_bytes:
        yield "new bytes"
    if has_moved(state):
        yield "renamed" if state.parent is state.base_parent else "moved"
    elif not has_bytes and state.refusal is not None and state.refusal.kind in _TAKEN_BACK:
        yield _TAKEN_BACK[state.refusal.kind]
    elif not has_bytes and state.mtime_ns is not None:
        yield "new time"
