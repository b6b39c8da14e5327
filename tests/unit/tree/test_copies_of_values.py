"""Copies of values with some fields changed, which list all fields by hand: none is left out."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar, cast

from mountfs.tree.content import Content
from mountfs.tree.node import State
from mountfs.tree.noted import keeping

T = TypeVar("T")


def _filled(kind: type[T]) -> T:
    """With a value in each field that no other field has."""
    return kind(**{each.name: cast(Any, f"the {each.name}") for each in fields(cast(Any, kind))})


def _given(name: str) -> Any:
    return f"another {name}"


def test_a_state_keeps_all_that_its_copy_does_not_name() -> None:
    state, it = _filled(State), _given
    assert state.at(it("parent"), it("name")) == replace(state, parent=it("parent"), name=it("name"))
    based = replace(state, base_parent=it("base_parent"), base=it("base"))
    assert state.based(it("base_parent"), it("base")) == based
    holding = replace(state, content=it("content"), draft=it("draft"))
    assert state.holding(it("content"), it("draft")) == holding
    assert state.flying(it("flight")) == replace(state, flight=it("flight"))
    sealed = replace(state, content=it("content"), draft=None, mtime_ns=None, refusal=None)
    assert state.sealed(it("content")) == sealed
    gone: dict[str, Any] = dict.fromkeys(("parent", "content", "draft", "mtime_ns", "refusal"))
    assert state.removed() == replace(state, **gone)
    assert keeping(state, it("kept")) == replace(state, kept=it("kept"))


def test_a_content_keeps_all_that_its_copy_does_not_name() -> None:
    content = _filled(Content)
    closed = replace(content, size_bytes=1, mtime_ns=2, is_flushed=True, is_synced=False)
    assert content.closed(1, 2) == closed
    assert content.synced() == replace(content, is_synced=True)
    it = _given
    uploaded = replace(content, content_hash=it("hash"), session=it("session"), twin=it("twin"))
    assert content.uploaded(it("hash"), it("session"), it("twin")) == uploaded
