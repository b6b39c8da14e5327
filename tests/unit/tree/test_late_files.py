"""What is waited for of orders that were given up, by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.model.entry import File, Place
from mountfs.model.order import OrderKind
from mountfs.model.path import RemotePath
from mountfs.tree.content import Content, Over
from mountfs.tree.late import LateFiles
from mountfs.tree.node import Flight, Node
from mountfs.tree.store import Store
from tests.fakes.clock import FakeClock

TOP = Node(1, is_folder=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "journal.db")
    yield store
    store.close()


def sent(kind: OrderKind, name: str, *, item_id: str = "", over: Over | None = None) -> Flight:
    """An order for a file that is to be called *name* in the top folder."""
    content = Content(7, "spool", 3, 0, content_hash="hash") if kind is not OrderKind.MOVE else None
    place = Place(RemotePath(f"/{name}"))
    node = Node(2, is_folder=False)
    return Flight(9, kind, node, TOP, name, place, item_id=item_id, over=over, content=content)


def test_a_copy_where_a_new_file_was_sent_to_forgets_no_rename_of_its_original(store: Store) -> None:
    late = LateFiles(store, FakeClock())
    late.note(sent(OrderKind.MOVE, "g", item_id="id:f"), None)
    late.note(sent(OrderKind.PUT, "h"), None)
    made = File("id:h", "h", "1", 3, 0, "hash")
    late.forget(sent(OrderKind.COPY, "h", item_id="id:f"), made)
    assert late.goal("id:f") == (TOP.id, "g")
    assert not late.hashes_at(RemotePath("/h"))


def test_a_rename_that_takes_effect_leaves_nothing_to_wait_for(store: Store) -> None:
    late = LateFiles(store, FakeClock())
    late.note(sent(OrderKind.MOVE, "g", item_id="id:f"), None)
    late.forget(sent(OrderKind.MOVE, "g", item_id="id:f"))
    assert (late.goal("id:f"), late.has_any, late.has_moves) == (None, False, False)
