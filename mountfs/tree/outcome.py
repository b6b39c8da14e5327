"""What the outcome of an order makes of a node's state. Pure."""

from __future__ import annotations

from dataclasses import replace

from mountfs.model.entry import Entry, File
from mountfs.model.order import OrderKind
from mountfs.model.path import fold
from mountfs.tree.content import Content, Over
from mountfs.tree.node import Flight, State


def named(state: State, flight: Flight, name: str) -> State:
    """*state* with the service's spelling of its name, unless the node was renamed meanwhile."""
    if state.name == name or state.parent is not flight.parent or state.name != flight.name:
        return state
    return state.at(state.parent, name) if fold(name) == fold(state.name) else state


def rebased(content: Content | None, before: Over | None, after: Over | None) -> Content | None:
    """*content*, which replaces *after* from here on if it was made from *before*."""
    if content is None or _revision(content.over) != _revision(before):
        return content
    return replace(content, over=after)


def with_rebased_bytes(state: State, before: Over | None, after: Over | None) -> State:
    """*state*, whose bytes of ours that were made from *before* replace *after* from here on."""
    return state.holding(rebased(state.content, before, after), rebased(state.draft, before, after))


def _revision(over: Over | None) -> str | None:
    return None if over is None else over.revision


def after_put(state: State, flight: Flight, entry: File) -> State:
    """*state* after the upload. The mount goes on showing the time that was set here where the service kept
    another: it keeps whole seconds, takes none from the future, keeps its own for bytes that it has already,
    and gives a copy the time of the file that it copied."""
    sent = flight.content
    assert sent is not None
    content, mtime_ns = state.content, state.mtime_ns
    if content is not None and content.id == sent.id:
        shown_ns = content.mtime_ns
        mtime_ns = None if shown_ns == entry.mtime_ns else shown_ns
        content = None
    is_gone = state.parent is None
    after = State(
        state.parent,
        named(state, flight, entry.name).name,
        flight.parent,
        entry,
        None if is_gone else content,
        None if is_gone else state.draft,
        None if is_gone else mtime_ns,
        state.set_aside,
        state.flight,
        state.kept,
    )
    return with_rebased_bytes(after, flight.over, Over.of(entry))


def after_same_bytes(state: State, flight: Flight, entry: Entry) -> State:
    """*state* after a move or a new time gave the file another revision. If its bytes are those the order was
    about, what was written here meanwhile replaces the new revision; if not, it will be a conflict."""
    before = flight.over
    if before is None or not isinstance(entry, File):
        return state
    if entry.content_hash is None or entry.content_hash != before.content_hash:
        return state
    return with_rebased_bytes(state, before, Over.of(entry))


def is_wanted_still(flight: Flight, state: State) -> bool:
    """Whether the node still wants just what *flight* asked for. Not after `mv a b; mv b a` meanwhile: that
    is a new request for the same."""
    pending = flight.node.pending
    if pending is not None and pending.is_renamed:
        return False
    if state.parent is not flight.parent or state.name != flight.name:
        return False
    if flight.content is None:
        return True
    return state.content is not None and state.content.id == flight.content.id


def was_unseen(flight: Flight, state: State) -> bool:
    """Whether a file was removed here while *flight* was on its way, and the service has other bytes of it
    than those that the flight is about: somebody wrote a before `mv a b` took effect, and b was removed; or
    bytes of ours, which were to replace an older version than is known by now, were removed."""
    is_seen = isinstance(state.base, File) and flight.over is not None and flight.over.is_of(state.base)
    return state.parent is None and not is_seen


def is_beside(flight: Flight, entry: Entry | None) -> bool:
    """Whether the service gave a file another name than was asked for."""
    if flight.kind is not OrderKind.PUT or entry is None or entry.name == flight.name:
        return False
    return fold(entry.name) != fold(flight.name)
