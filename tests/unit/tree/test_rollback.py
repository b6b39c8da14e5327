"""A call that fails, at any point of its writing, has not happened: neither in memory nor in the database."""

from __future__ import annotations

import resource
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.errors import MountfsError, NoSpace
from mountfs.model.entry import NS_PER_S, File
from mountfs.tree.attributing import Attributing
from mountfs.tree.content import Content, Over
from mountfs.tree.node import ROOT_ID, Node, State
from mountfs.tree.rows import NodeRow
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_dirty, word_of
from tests.doubles.world import World

PATHS = [["a"], ["b"], ["B"], ["d"], ["d", "a"], ["d", "e"], ["theirs"], ["folder"], ["folder", "x"]]
VERBS = [
    "create",
    "begin",
    "flush",
    "unflush",
    "seal",
    "set_time",
    "mkdir",
    "unlink",
    "rmdir",
    "rename",
    "work",
]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(VERBS),
        st.sampled_from(PATHS),
        st.sampled_from(PATHS),
        st.none() | st.just(0) | st.integers(1, 150),
    ),
    max_size=25,
)
"""What is called, with what, and after how many instructions of the database it fails. 0: the disk is full
when it is to be committed; None: all goes well."""


class ListenerFailed(Exception):
    """Raised by a listener."""


class Account:
    """A mount whose database fails when it is told to, in the middle of whatever it does."""

    def __init__(self, directory: Path) -> None:
        self.world = World(directory)
        self.world.account.job_polls = 1
        self.world.account.write("/theirs", b"theirs")
        self.world.account.write("/folder/x", b"theirs")
        self.world.node("/folder/x")
        self.drafts: list[int] = []
        self.labels = 0
        self.before: tuple[Any, Any] = ({}, [])

    @property
    def tree(self) -> Tree:
        return self.world.core.tree

    def step(self, verb: str, path: list[str], other: list[str], fails_after: int | None) -> bool:
        """Whether it failed in the database."""
        if verb == "work":
            self.world.commit_steps(1)
            return False

        def decide() -> None:
            self.before = memory(self.tree), rows(self.tree)
            with self.failing(fails_after):
                self.call(verb, path, other)

        try:
            self.world.core.listings.loaded(decide)
        except (NoSpace, sqlite3.OperationalError):
            return True
        except MountfsError:
            return False
        return False

    @contextmanager
    def failing(self, fails_after: int | None) -> Iterator[None]:
        """The database fails while it works on a statement, or with the commit."""
        db = self.tree.store._db
        left = fails_after or 0
        is_commit = False

        def note(statement: str) -> None:
            nonlocal is_commit
            is_commit = statement == "COMMIT"

        def count() -> int:
            nonlocal left
            left -= not is_commit  # interrupted, it may have happened and say that it has not
            return int(not left and not is_commit)

        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        if fails_after:
            db.set_trace_callback(note)
            db.set_progress_handler(count, 1)
        elif fails_after == 0:
            written = Path(f"{self.tree.store.path}-wal").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (written, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            db.set_progress_handler(None, 0)
            db.set_trace_callback(None)

    def call(self, verb: str, path: list[str], other: list[str]) -> None:
        verbs, view = self.world.core.verbs, self.world.core.view
        drafts = [found for each in self.drafts if (found := self.tree.content(each)) is not None]
        match verb:
            case "create":
                draft = verbs.create(path, self.spool_file()).state.draft
                assert draft is not None
                self.drafts.append(draft.id)
            case "begin":
                node = view.node(path)
                base = node.state.base
                over = Over(base.revision, base.content_hash) if isinstance(base, File) else None
                if node.folder is None:
                    begun = verbs.begin(node, self.spool_file(), 0, over, node.state.content, None)
                    self.drafts += [] if begun is None else [begun[1].id]
            case "flush" if drafts:
                verbs.flush(drafts[-1][1], 0, self.world.clock.wall_ns(), self.keeper(drafts[-1][1]))
            case "unflush" if drafts:
                verbs.unflush(drafts[-1][1])
            case "seal" if drafts:
                verbs.seal(drafts[-1][1], 0, self.world.clock.wall_ns())
            case "set_time":
                Attributing(self.world.core.tree).set_times(view.node(path), 7 * NS_PER_S, None)
            case "mkdir":
                verbs.make_folder(path)
            case "unlink":
                verbs.unlink(path)
            case "rmdir":
                verbs.remove_folder(path)
            case "rename":
                verbs.rename(path, other)

    def keeper(self, content: Content) -> Callable[[str], bool]:
        """Labels the spool file of *content* every other time."""

        def keep(label: str) -> bool:
            self.labels += 1
            if self.labels % 2:
                return False
            file = self.world.core.spool.open(content.spool)
            try:
                return file.label(label)
            finally:
                file.close()

        return keep

    def spool_file(self) -> str:
        file = self.world.core.spool.create()
        file.close()
        return file.name


def memory(tree: Tree) -> dict[str, Any]:
    """All that is derived from nodes, and they themselves."""
    return {
        "nodes": {node.id: _memory_of(node) for node in tree.nodes.values()},
        "dirty": set(tree.dirty),
        "awaited": set(tree.awaited),
        "refused": set(tree.refused),
        "contents": {content_id: node.id for content_id, node in tree.contents.items()},
        "unsaved": dict(tree.unsaved),
        "freed": set(tree.freed),
    }


def _memory_of(node: Node) -> tuple[Any, ...]:
    part = node.folder
    folder = part and (
        _ids(part.children),
        _ids(part.gone),
        _ids(part.claims),
        part.tally and list(part.tally),
        part.flights_below,
    )
    return node.state, node.is_saved, node.key, word_of(node), node.pending is not None, folder


def _ids(nodes: dict[str, Node] | None) -> dict[str, int] | None:
    return None if nodes is None else {key: node.id for key, node in nodes.items()}


def rows(tree: Tree) -> list[tuple[Any, ...]]:
    """Everything in the database."""
    with closing(sqlite3.connect(tree.store.path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(table, *row) for table in tables for row in db.execute(f"SELECT * FROM {table}")]


def check_agreement(tree: Tree) -> None:
    """Each node in memory is as its row has it, and so are its bytes."""
    for node in tree.nodes.values():
        row = tree.store.node(node.id)
        assert (row is not None) == (node.is_saved and node.id != ROOT_ID)
        if row is not None:
            state = node.state
            if state.draft is not None and state.draft.id in tree.unsaved:
                state = state.holding(state.content, None)
            assert row == _row(node, state, row.touched_ns)
    stored = {content.id: (content, node_id) for content, node_id, _ in tree.store.contents()}
    for content_id, node in tree.contents.items():
        assert (content_id not in stored) == (content_id in tree.unsaved)
        found = tree.content(content_id)
        assert found is not None
        if content_id in stored:
            assert stored[content_id] == (found[1], node.id)


def _row(node: Node, state: State, touched_ns: int) -> NodeRow:
    return NodeRow(
        node.id,
        node.is_folder,
        None if state.parent is None else state.parent.id,
        state.name,
        None if state.base_parent is None else state.base_parent.id,
        state.base,
        state.mtime_ns,
        state.refusal,
        touched_ns,
        is_dirty(state, carries_times=False),
        state.kept,
    )


def with_account(check: Callable[[Account], None]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        account = Account(Path(directory))
        try:
            check(account)
        finally:
            account.world.close()


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_a_call_whose_write_fails_anywhere_has_not_happened(
    steps: list[tuple[str, list[str], list[str], int | None]],
) -> None:
    def walk(account: Account) -> None:
        for step in steps:
            if account.step(*step):
                assert (memory(account.tree), rows(account.tree)) == account.before
            check_agreement(account.tree)

    with_account(walk)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_a_listener_that_fails_leaves_memory_and_database_the_same(
    steps: list[tuple[str, list[str], list[str], int | None]],
) -> None:
    def fail(node: Node, before: State, after: State) -> None:
        raise ListenerFailed

    def walk(account: Account) -> None:
        account.tree.watch(fail)
        for verb, path, other, _ in steps:
            account.step(verb, path, other, None)
            check_agreement(account.tree)

    with_account(walk)


@settings(max_examples=50, deadline=None)
@given(steps=STEPS)
def test_what_failed_on_the_way_is_not_seen_by_the_next_process(
    steps: list[tuple[str, list[str], list[str], int | None]],
) -> None:
    def walk(account: Account) -> None:
        for step in steps:
            account.step(*step)
        for content_id in account.drafts:
            found = account.tree.content(content_id)
            if found is not None:
                account.world.core.verbs.seal(found[1], 0, account.world.clock.wall_ns())
        shown = account.world.tree()
        account.world.restart()
        assert account.world.tree() == shown

    with_account(walk)


def test_a_roll_back_that_the_disk_refuses_leaves_the_tree_as_it_was_and_the_next_change_goes_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.put("/a", b"a")
    store, cancel = world.core.tree.store, world.core.tree.store.cancel
    failures = [sqlite3.OperationalError("disk I/O error")] * 2

    def failing() -> None:
        if failures:
            raise failures.pop()
        cancel()

    monkeypatch.setattr(store, "cancel", failing)
    monkeypatch.setattr(store, "end", failing)
    with pytest.raises(sqlite3.OperationalError):
        world.rename("/a", "/b")
    assert world.names() == {"a"}
    monkeypatch.undo()
    world.rename("/a", "/c")
    world.settle()
    assert world.account.files() == {"/c": b"a"}
    world.restart()
    assert world.names() == {"c"}
    world.close()
