"""Which node each content belongs to, which contents have a row, and which belong to no node any more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet

from mountfs.ports import Clock
from mountfs.tree.content import Content
from mountfs.tree.copying import Copying
from mountfs.tree.node import Node, State
from mountfs.tree.rows import Role
from mountfs.tree.store import Store


class Contents:
    """Guarded by the tree's lock. What a transaction changes here counts after ``settle``; ``forget`` undoes
    it."""

    def __init__(self, store: Store, clock: Clock, add_orphan: Callable[[str | None], None]) -> None:
        """*add_orphan*: is given the upload sessions that are to be ended."""
        self.owners: dict[int, Node] = {}
        """The node that has a content, by the content's id."""
        self.unsaved: OrderedDict[int, float] = OrderedDict()
        """Contents without a row yet, by id, and since when (monotonic); oldest first."""
        self.freed: OrderedDict[int, Content] = OrderedDict()
        """Contents that no node has any more; the sweeper removes their files."""
        self.copying = Copying()
        self._store = store
        self._clock = clock
        self._add_orphan = add_orphan
        self._freed_now: list[Content] = []
        self._saved_now: list[int] = []

    def find(self, content_id: int) -> tuple[Node, Content] | None:
        """The node that has the content, and the content as it is now; None when no node has it any more."""
        node = self.owners.get(content_id)
        if node is None:
            return None
        for content in (node.state.content, node.state.draft):
            if content is not None and content.id == content_id:
                return node, content
        return None

    def write(self, edits: Sequence[tuple[Node, State]], committed: Content | None = None) -> None:
        """Writes the rows of the contents that the nodes of *edits* have from here on, and frees those that
        none of them has any more.

        *committed*: the content whose session the service has just turned into a file; the sessions of other
        freed contents become orphans. Inside a transaction.
        """
        rows: list[tuple[Content, int | None, Role]] = []
        lost: list[Content] = []
        for node, after in edits:
            had, has = roles(node.state), roles(after)
            rows += [
                (content, node.id, role)
                for content, role in has
                if content.id in self.unsaved or (content, role) not in had
            ]
            kept = [content.id for content, _ in has]
            lost += [content for content, _ in had if content.id not in kept]
        if rows:
            self._store.save_contents(rows)
            self._saved_now += [content.id for content, _, _ in rows]
        if lost:
            self._free(lost, {content.id for _, after in edits for content, _ in roles(after)}, committed)

    def _free(self, lost: Iterable[Content], kept: AbstractSet[int], committed: Content | None) -> None:
        """*lost*: contents that a node has no more; *kept*: ids of those that another one has."""
        for content in lost:
            if content.id not in kept:
                if content.id in self.unsaved:
                    # The label of its file alone says whose it is, and must not bring it back.
                    self._store.save_contents([(content, None, Role.CONTENT)])
                else:
                    self._store.spend_content(content)
                self._freed_now.append(content)
                if committed is None or committed.id != content.id:
                    self._add_orphan(content.session)

    def hold(self, node: Node, after: State) -> None:
        """*node* has contents whose rows may be written later."""
        had, has = roles(node.state), roles(after)
        known = [content.id for content, _ in had]
        kept = [content.id for content, _ in has]
        if known == kept:
            return
        for content_id in kept:
            if content_id not in known:
                self.unsaved[content_id] = self._clock.now_s()
        for content, _ in had:
            if content.id not in kept:
                self.unsaved.pop(content.id, None)
                self._freed_now.append(content)

    def swap(self, node: Node, before: State, after: State) -> None:
        """Has the contents of *after* belong to *node*, and those of *before* to nobody, in memory."""
        if before.content is after.content and before.draft is after.draft:
            return
        for content in (before.content, before.draft):
            if content is not None:
                self.owners.pop(content.id, None)
                self.copying.remove(content)
        for content in (after.content, after.draft):
            if content is not None:
                self.owners[content.id] = node
                self.copying.add(content)

    def forget(self) -> None:
        """Drops what was noted for ``settle``: the transaction was rolled back."""
        self._freed_now.clear()
        self._saved_now.clear()

    def settle(self) -> bool:
        """Makes what ``write`` and ``hold`` noted count: the transaction was committed. Whether any content
        was freed."""
        freed, self._freed_now = self._freed_now, []
        saved, self._saved_now = self._saved_now, []
        for content_id in saved:
            self.unsaved.pop(content_id, None)
        for content in freed:
            self.unsaved.pop(content.id, None)
            self.freed[content.id] = content
        return bool(freed)


def roles(state: State) -> list[tuple[Content, Role]]:
    """The contents that a node holds, each with its role."""
    found: list[tuple[Content, Role]] = []
    if state.content is not None:
        found.append((state.content, Role.CONTENT))
    if state.draft is not None:
        found.append((state.draft, Role.CONTENT if state.content is None else Role.DRAFT))
    sent = state.flight.content if state.flight is not None else None
    if sent is not None and (state.content is None or state.content.id != sent.id):
        found.append((sent, Role.SENT))
    return found
