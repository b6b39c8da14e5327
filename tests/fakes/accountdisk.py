"""What one run of the file system has of an account on this machine, without anything that works on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.core import Places, Settings, lay
from mountfs.model.entry import Entry
from mountfs.ports import BackendLimits, Disk
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import Quota
from mountfs.tree.content import Content
from mountfs.tree.node import FORGOTTEN, Node, State
from mountfs.tree.tree import Tree
from tests.doubles.memory import MemoryBackend
from tests.doubles.memory_account import MEMORY_LIMITS, MemoryAccount
from tests.fakes.clock import FakeClock

HOST = "box"


class AccountDisk:
    """A tree on its store, and a spool, in one directory, as a start leaves them; opened again at will."""

    def __init__(
        self,
        directory: Path,
        disk: Disk | None = None,
        *,
        boot_id: str = "boot-1",
        limits: BackendLimits = MEMORY_LIMITS,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.disk = disk or RealDisk()
        self.clock = FakeClock()
        self.limits = limits
        self.boot_id = boot_id
        self.start()

    def start(self) -> None:
        at = self.directory
        places = Places(at / "journal.db", at / "spool", at / "cache", at / "commit.lock")
        settings = Settings(boot_id=self.boot_id, host=HOST, quota=Quota(reserve_bytes=0), ballast_bytes=0)
        backend = MemoryBackend(MemoryAccount(self.limits))
        self._foundation = lay(places, backend, self.clock, self.disk, settings)
        self.tree: Tree = self._foundation.tree
        self.spool = self._foundation.spool
        self.recovery = self._foundation.recovery
        if self.tree.root.part.children is None and not self.tree.store.children(self.tree.root.id):
            self.tree.residents.publish(self.tree.root)

    def restart(self, boot_id: str | None = None) -> None:
        """As after kill -9; *boot_id*: of another run of the machine."""
        self.close()
        self.boot_id = boot_id or self.boot_id
        self.start()

    def close(self) -> None:
        self._foundation.close()

    # Making

    def put(
        self,
        name: str,
        data: bytes,
        *,
        folder: Node | None = None,
        base: Entry | None = None,
        is_open: bool = False,
        **fields: Any,
    ) -> Node:
        """A file as a writer leaves it: closed, or *is_open*; *fields*: of its content. *base*: what the
        service has under the name."""
        file = self.spool.create()
        file.pwrite(0, data)
        file.close()
        size_bytes = 0 if is_open else len(data)
        content = Content(
            self.tree.store.next_id(), file.name, size_bytes, self.clock.wall_ns(), is_flushed=not is_open
        )
        content = replace(content, **fields)
        node = self.tree.new_node(is_folder=False)
        folder = folder or self.tree.root
        state = State(folder, name, None if base is None else folder, base)
        with self.tree.transaction():
            self.tree.touch(node)
            self.tree.change((node, state.holding(*((None, content) if is_open else (content, None)))))
        return node

    def put_row(self, name: str, spool: str, folder: Node, **fields: Any) -> Node:
        """A file that was written to the spool file *spool*, as one transaction."""
        draft = Content(self.tree.store.next_id(), spool, 0, self.clock.wall_ns())
        draft = replace(draft, **fields)
        node = self.tree.new_node(is_folder=False)
        with self.tree.transaction():
            self.tree.touch(node)
            self.tree.change((node, State(folder, name, draft=draft)))
        return node

    def write_over(self, node: Node, data: bytes, **fields: Any) -> None:
        """A version that is being written while an earlier one is still to be sent."""
        file = self.spool.create()
        file.pwrite(0, data)
        file.close()
        draft = Content(self.tree.store.next_id(), file.name, 0, self.clock.wall_ns())
        self.tree.change((node, node.state.holding(node.state.content, replace(draft, **fields))))

    def make_folder(self, name: str) -> Node:
        node = self.tree.new_node(is_folder=True)
        with self.tree.transaction():
            self.tree.touch(node)
            self.tree.change((node, State(self.tree.root, name)))
            self.tree.residents.publish(node)
        return node

    def amend(self, node: Node, **fields: Any) -> Content:
        """Other facts about the bytes of *node*."""
        content = replace(self.content(node), **fields)
        state = node.state
        is_draft = state.draft is not None
        after = state.holding(state.content, content) if is_draft else state.holding(content, None)
        self.tree.change((node, after))
        return content

    def remove(self, node: Node) -> None:
        """As if it had never been there."""
        self.tree.change((node, FORGOTTEN))

    # Looking

    def node(self, node_id: int) -> Node:
        found = self.tree.node(node_id)
        assert found is not None
        return found

    def nodes(self) -> dict[str, Node]:
        """What is not clean, by name."""
        return {node.state.name: node for node in self.tree.dirty.values()}

    def content(self, node: Node) -> Content:
        """The bytes of *node* that are newest, as they are now."""
        found = node.state.draft or node.state.content
        assert found is not None
        return found

    def body(self, node: Node) -> bytes:
        content = self.content(node)
        return self.spool.read(content.spool, 0, content.size_bytes if content.is_flushed else 100_000)

    def notices(self) -> list[str]:
        return [notice.text for notice in self.tree.store.notices.all()]


@contextmanager
def account_in(directory: Path, disk: Disk | None = None, **options: Any) -> Iterator[AccountDisk]:
    account = AccountDisk(directory, disk, **options)
    try:
        yield account
    finally:
        account.close()
