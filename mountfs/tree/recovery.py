"""What a start makes of the store and the spool that the last run left behind.

A process that died leaves every row and every byte it wrote in the page cache: only what was still being
written is in doubt. A machine that died leaves what had been synced, and of the rest anything: rows of a
prefix of its transactions, files shorter than written or with holes. The kernel's boot id, kept in the
store, tells the two apart.

``doubt.doubt`` decides, on values; ``recover`` looks and acts. Running it again finds nothing to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from mountfs.model.hashing import HashKind, hasher
from mountfs.spool.disk import DAMAGE
from mountfs.spool.spool import Spool
from mountfs.tree.content import Content
from mountfs.tree.contents import roles
from mountfs.tree.copynames import CopyNames
from mountfs.tree.doubt import LOST, UNPROVEN, doubt
from mountfs.tree.node import FORGOTTEN, Node, State, path_of
from mountfs.tree.recovered import RecoveredCopies
from mountfs.tree.refusal import Refusal
from mountfs.tree.replaced import has_revision, replaced_under, show_replaced
from mountfs.tree.rescue import VANISHED
from mountfs.tree.strays import Strays, is_never_shared
from mountfs.tree.tree import Tree
from mountfs.tree.unsent import as_unsent

LOG = logging.getLogger(__name__)

READ_BYTES = 4 * 1024 * 1024
BOOT_FACT = "boot_id"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start did: how many versions it set aside or gave up, and which files without a row it found."""

    repairs: int
    strays: tuple[str, ...]


def recover(
    tree: Tree,
    spool: Spool,
    copies: CopyNames,
    *,
    boot_id: str,
    hash_kind: HashKind,
    trusts_disk: bool = True,
    is_shared: Callable[[str], bool] = is_never_shared,
) -> Recovery:
    """Repairs an account's tree and spool before anything else uses them.

    Interrupted, it is done again from the start: the new boot id is written with the last repair.
    *trusts_disk*: what a process of this run of the machine wrote is taken to be there; else it is looked at.
    *is_shared*: whether a spool file that no row names is also another slot's, whose journal names it.
    """
    last_boot_id = tree.store.fact(BOOT_FACT)
    is_same_boot = last_boot_id == boot_id
    recovered = RecoveredCopies(tree, spool, copies, hash_kind)
    strays = Strays(tree, spool, recovered, is_same_boot=is_same_boot, is_shared=is_shared)
    repairs = _Repairs(
        tree,
        spool,
        recovered,
        strays,
        hash_kind,
        is_same_boot=is_same_boot,
        trusts_sizes=is_same_boot and trusts_disk,
    )
    if not is_same_boot:
        repairs.remove_spent()
    with tree.transaction():
        if not is_same_boot:
            repairs.doubt_what_was_fetched()
        count = sum(map(repairs.repair, repairs.doubtful()))
        kept = strays.keep(repairs.unnamed())
        tree.store.set_fact(BOOT_FACT, boot_id)
    # After the notices are stored: a start that is killed in between tells people twice, not never.
    strays.clear(kept)
    if count or kept:
        LOG.info("repaired %d versions, found %d files of nobody", count, len(kept))
    return Recovery(count, tuple(kept))


class _Repairs:
    """Repairs the versions that rows name. Inside one transaction."""

    def __init__(
        self,
        tree: Tree,
        spool: Spool,
        recovered: RecoveredCopies,
        strays: Strays,
        hash_kind: HashKind,
        *,
        is_same_boot: bool,
        trusts_sizes: bool,
    ) -> None:
        self._tree = tree
        self._spool = spool
        self._recovered = recovered
        self._strays = strays
        self._hash_kind = hash_kind
        self._is_same_boot = is_same_boot
        # What a process wrote outlives it; after a reboot the sizes are asked for in one go.
        self._trusts_sizes = trusts_sizes
        self._sizes = {} if trusts_sizes else spool.sizes()
        self._names = set(spool.names() if trusts_sizes else self._sizes)
        """Files of the spool; later on those of versions that are certain to be whole are taken out."""

    def remove_spent(self) -> None:
        """Bytes that no node has any more become read cache, by their hash; not where they may be torn."""
        for content in self._tree.freed.values():
            if not content.is_synced or content.overlay is not None:
                self._spool.remove(content.spool)
                self._names.discard(content.spool)

    def doubt_what_was_fetched(self) -> None:
        """What nobody had synced of the bytes in gaps is fetched again."""
        for node in self._tree.dirty.values():
            for content, _ in roles(node.state):
                if content.overlay is not None:
                    edits = content.overlay.lost()
                    self._tree.store.gaps.apply(content.id, edits)
                    content.overlay.apply(edits)

    def doubtful(self) -> list[Node]:
        """The nodes whose bytes are to be looked at: all but those with one version, closed and certain to be
        whole. Mostly there are few."""
        found: list[Node] = []
        for node in self._tree.dirty.values():
            state = node.state
            content = state.content
            if content is None or state.draft is not None or state.parent is None:
                found.append(node)
            elif content.is_flushed and self._is_certain(content):
                self._names.discard(content.spool)
            else:
                found.append(node)
        return found

    def _is_certain(self, content: Content) -> bool:
        """Whether ``doubt`` would find nothing wrong with a closed version."""
        if self._trusts_sizes:
            return content.spool in self._names
        is_proven = self._is_same_boot or content.is_synced
        return is_proven and self._sizes.get(content.spool, -1) >= content.size_bytes

    def repair(self, node: Node) -> bool:
        """Repairs the versions of *node*, each as ``doubt`` says of it; whether anything was wrong."""
        state = node.state
        if state.flight is None and state.is_forgotten:
            return self._repair_vanished(node)
        is_repaired = False
        if state.content is not None and not self._is_sent(state, state.content):
            is_repaired = self._repair_content(node, state.content)
        elif state.content is not None:
            is_repaired = self._hide_torn(state.content)
        draft = node.state.draft
        if draft is not None:
            is_repaired = self._repair_draft(node, draft) or is_repaired
        return is_repaired

    def unnamed(self) -> set[str]:
        """Files of the spool that no row names."""
        # Mostly there are none, and the rows need not be asked.
        return self._names and self._names - self._tree.store.spool_names()

    # Inside

    def _is_sent(self, state: State, content: Content) -> bool:
        """Whether a flight sends *content*: then the committer asks the service how that ended."""
        return state.flight is not None and state.flight.content is content

    def _repair_vanished(self, node: Node) -> bool:
        """Nothing says where *node* is, since its folder has no row. Its bytes are kept at the top of the
        account."""
        root, draft = self._tree.root, node.state.draft
        is_closed = draft is not None and draft.is_flushed and draft.spool in self._names
        content = draft if is_closed else node.state.content or draft  # what was closed last
        if content is None or content.spool not in self._names:
            self._tree.change((node, FORGOTTEN))
            return False
        state = node.state
        self._recovered.keep(root, state.name, content, VANISHED, state.kept, (node, FORGOTTEN))
        return True

    def _repair_content(self, node: Node, content: Content) -> bool:
        if node.state.refusal is not None:
            return False
        reason = self._reason(content)
        if reason is None:
            return self._hide_torn(content)
        if reason is LOST:
            self._refuse(node, content, reason)
        else:
            self._move_aside(node, content, reason)
        return True

    def _hide_torn(self, content: Content) -> bool:
        """The service has all bytes of *content*, and those in the spool may be torn: they are not shown,
        cached or sent again, unless their hash proves them."""
        if self._is_same_boot or content.is_synced or not content.content_hash or not content.size_bytes:
            return False
        size_bytes = self._size(content)
        if size_bytes is None:
            return False
        if size_bytes >= content.size_bytes and self._hash(content) == content.content_hash:
            return False
        self._names.discard(content.spool)
        (self._strays.torn if size_bytes else self._strays.unneeded).append(content.spool)
        return True

    def _repair_draft(self, node: Node, draft: Content) -> bool:
        """A version that was open when the process ended. If it had been closed before, and not written to
        since, it is whole and may be sent."""
        reason = self._reason(draft)
        if reason is None:
            size_bytes = self._size(draft)
            if size_bytes is not None and size_bytes > draft.size_bytes:
                self._spool.truncate(draft.spool, draft.size_bytes)
            self._tree.change((node, node.state.sealed(draft)))
            return False
        if reason is LOST:
            if draft.is_flushed or draft.size_bytes:  # as of the last close
                self._tree.notice(path_of(node), LOST)
            self._drop(node)
        else:
            self._move_aside(node, draft, reason)
        return True

    def _reason(self, content: Content) -> str | None:
        size_bytes = self._size(content)
        is_proven = self._is_same_boot or content.is_synced
        reason = doubt(content, size_bytes, is_proven=is_proven)
        if reason is UNPROVEN and content.content_hash and self._hash(content) == content.content_hash:
            return None
        return reason

    def _size(self, content: Content) -> int | None:
        if content.spool not in self._names:
            return None
        if not self._trusts_sizes:
            return self._sizes[content.spool]
        return content.size_bytes if content.is_flushed else self._spool.size(content.spool)

    def _hash(self, content: Content) -> str:
        """Empty where the disk cannot read them: nothing proves such bytes. OSError of everything else."""
        state = hasher(self._hash_kind)
        for offset in range(0, content.size_bytes, READ_BYTES):
            length = min(READ_BYTES, content.size_bytes - offset)
            try:
                state.update(self._spool.read(content.spool, offset, length))
            except OSError as error:
                if error.errno not in DAMAGE:
                    raise
                LOG.error("cannot read the pending bytes in %s: %s", self._spool.path(content.spool), error)
                return ""
        return state.hexdigest()

    def _refuse(self, node: Node, content: Content, reason: str) -> None:
        """There are no bytes to send. The service's version is shown, if it has one; else the node stays
        listed with the reason until the user removes it."""
        self._tree.notice(path_of(node), reason)
        state = node.state
        # Without a power loss somebody took the bytes away, and that stays listed.
        if not self._is_same_boot and has_revision(state):
            self._tree.change((node, replace(state, content=None)))
            return
        is_all = not self._is_same_boot and state.flight is None and state.draft is None
        # Looked for first: forgetting a node frees its content, which it cannot have back.
        if is_all and state.parent and replaced_under(self._tree, state.parent, state.name):
            self._tree.change((node, FORGOTTEN))
            show_replaced(self._tree, state.parent, state.name)
            return
        if content.spool in self._names:
            self._strays.unneeded.append(content.spool)  # else it would be shown as an empty file
            self._names.discard(content.spool)
        refusal = Refusal(None, reason, self._tree.clock.wall_ns())
        self._tree.change((node, replace(state, content=as_unsent(self._tree, content), refusal=refusal)))

    def _drop(self, node: Node) -> None:
        """As if the version that was open had not been begun."""
        self._tree.change((node, _or_forgotten(replace(node.state, draft=None))))

    def _move_aside(self, node: Node, content: Content, reason: str) -> None:
        """Its bytes are kept as a recovered copy beside, published by nobody, until somebody renames it."""
        state = node.state
        assert state.parent is not None
        is_draft = state.draft is not None and state.draft.id == content.id
        left = _or_forgotten(replace(state, draft=None) if is_draft else replace(state, content=None))
        self._recovered.keep(state.parent, state.name, content, reason, state.kept, (node, left))
        if left is FORGOTTEN:
            show_replaced(self._tree, state.parent, state.name)


def _or_forgotten(left: State) -> State:
    """*left*, or FORGOTTEN where the service has nothing of the node, and there are no bytes of ours."""
    is_nothing = left.base is None and left.content is None and left.draft is None and left.flight is None
    return FORGOTTEN if is_nothing else left
