"""How far a node is on its way to the service."""

from __future__ import annotations

from enum import IntEnum

from mountfs.model.entry import NS_PER_S, File
from mountfs.model.order import MAKES_A_FILE, OrderKind
from mountfs.tree.node import Node, State, has_moved, whole_seconds

_BLOCKING = MAKES_A_FILE | {OrderKind.MAKE_FOLDER, OrderKind.SET_TIME}

LATEST_NS = 253_402_300_799 * NS_PER_S
"""The last second of the year 9999."""


class Word(IntEnum):
    """How far a node is on its way, in the words of ``mountfs status``; indexes of a tally."""

    OPEN = 0
    """Being written; published by nobody."""
    SEALED = 1
    """Whole; its bytes are not all at the service."""
    UPLOADED = 2
    """Its bytes are at the service, or it has none to send; the order is still to be given."""
    COMMITTING = 3
    """The order was given; its outcome is not known."""
    FAILED = 4
    """Refused for good, or waiting for something that is; kept until the user decides."""
    LOCAL = 5
    """Stays on this machine, by its name or its kind. What is in such a folder counts as such for the folders
    above."""

    @property
    def text(self) -> str:
        return self.name.lower()


PENDING = (Word.OPEN, Word.SEALED, Word.UPLOADED, Word.COMMITTING)
"""What ``mountfs wait`` waits for."""


def keeps_here(node: Node) -> bool:
    """Whether *node* stays on this machine, with all that is in it: the service does not have it, and it is a
    symbolic link, fifo, socket or device, or its name is one that is never sent (``~$report.docx``)."""
    return node.is_local and node.state.base is None


def keeper_of(node: Node) -> Node | None:
    """The node that keeps *node* on this machine: itself or a folder above it; None: there is none."""
    at: Node | None = node
    while at is not None and at.state.base is None:
        if at.is_local:
            return at
        at = at.state.parent
    return None


def is_refused(node: Node) -> bool:
    """Whether what *node* wants was refused, or a start set its bytes aside. A refused rename or removal was
    taken back and does not count: after a refused `mv a b` the new bytes of a are still sent. It counts where
    the old name was given to something else, so that the rename is wanted still."""
    refusal = node.state.refusal
    if refusal is None:
        return False
    if refusal.kind is OrderKind.MOVE:
        return has_moved(node.state)
    return refusal.kind is None or refusal.kind in _BLOCKING


def is_leaving(state: State) -> bool:
    """Whether a folder is shown, and another mount that died was to remove it: it goes if nothing is in it at
    the service."""
    refusal = state.refusal
    if refusal is None or state.parent is None or state.base is None:
        return False
    return refusal.is_left_to_the_service


def word_of(node: Node) -> Word | None:
    """How far *node* is on its way; None: it is clean. One whose rename was refused is FAILED, too, once
    nothing else of it is to be sent."""
    state, pending = node.state, node.pending
    if state.flight is not None:
        return Word.COMMITTING
    if is_refused(node) or (pending is not None and pending.is_stuck):
        return Word.FAILED
    if pending is None:
        return None if state.refusal is None else Word.FAILED
    if keeps_here(node):
        return Word.LOCAL
    if state.content is None:
        return Word.OPEN if state.draft is not None else Word.UPLOADED
    # A closed version is sent, and waited for, though the next one is being written.
    return Word.UPLOADED if state.content.is_uploaded else Word.SEALED


def is_dirty(state: State, *, carries_times: bool) -> bool:
    """Whether the service is to be told anything about a node in *state*, or bytes of ours depend on it."""
    if state.flight is not None or state.content is not None or state.draft is not None:
        return True
    if state.base is None:
        return state.parent is not None and (state.kept is None or not state.kept.is_special)
    if state.parent is not state.base_parent or state.name != state.base.name:
        return True
    return is_leaving(state) or (carries_times and wants_time(state))


def wants_time(state: State) -> bool:
    """Whether a time was set here that the service has not, and can have."""
    return (
        state.mtime_ns is not None
        and isinstance(state.base, File)
        and state.content is None
        and state.draft is None
        and not is_kept_as(state.mtime_ns, state.base.mtime_ns)
    )


def is_kept_as(mtime_ns: int, theirs_ns: int) -> bool:
    """Whether a service that was given the time *mtime_ns* may have *theirs_ns* of it."""
    return _sendable(mtime_ns) == _sendable(theirs_ns)


def _sendable(mtime_ns: int) -> int:
    """The nearest time that a service keeps: whole seconds of the years that RFC 3339 can write, and none
    before 1970."""
    return whole_seconds(min(max(mtime_ns, 0), LATEST_NS))
