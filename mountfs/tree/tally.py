"""Counters of what is not clean: kept for every folder and all that is below it, never computed by a scan.

A tally is a list of numbers: how many nodes are at each ``Word``, how many bytes they carry, how many
nodes that is in all, and how many of them are files whose bytes are about to be put, or are being
written. What is below a folder that stays on this machine counts as ``Word.LOCAL`` for the folders above it.

A node counts in its *home*: the folder that shows it, or the one that the service has it in once it was
removed here. The tally of the root is that of the whole account.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mountfs.tree.node import Node, home_of
from mountfs.tree.word import PENDING, Word, keeps_here, word_of

_PUT_WORDS = (Word.OPEN, Word.SEALED, Word.UPLOADED)
_WORDS = len(Word)
_BYTES = _WORDS
_ALL = 2 * _WORDS
_PUTS = _ALL + 1
_LENGTH = _PUTS + 1

Delta = list[tuple[int, int]]
"""Which number of a tally changes by how much."""


def count_of(folder: Node, words: Iterable[Word]) -> int:
    """How many nodes below *folder* are at one of *words*."""
    tally = folder.part.tally
    return 0 if tally is None else sum(tally[word] for word in words)


def bytes_of(folder: Node, words: Iterable[Word]) -> int:
    """How many bytes they carry."""
    tally = folder.part.tally
    return 0 if tally is None else sum(tally[_BYTES + word] for word in words)


def pending_of(folder: Node) -> int:
    """How many nodes below *folder* are on their way to the service."""
    return count_of(folder, PENDING)


def has_any(folder: Node) -> bool:
    """Whether anything below *folder* is not clean."""
    return folder.part.tally is not None


def has_put(folder: Node) -> bool:
    """Whether a file below *folder* is about to be put, or being written: it makes the folders above it by
    the way."""
    tally = folder.part.tally
    return tally is not None and tally[_PUTS] > 0


def outward(node: Node) -> Delta:
    """What *node*, with all below it, adds to the tallies above it."""
    delta: Delta = []
    if node.counted is not None:
        word, size_bytes, puts, _ = node.counted
        delta = [(word, 1), (_ALL, 1)]
        if size_bytes:
            delta.append((_BYTES + word, size_bytes))
        if puts:
            delta.append((_PUTS, puts))
    if node.folder is not None and node.folder.tally is not None:
        below: Delta = [(at, amount) for at, amount in enumerate(node.folder.tally) if amount]
        delta += _as_local(below) if keeps_here(node) else below
    return delta


def recount(node: Node, before: Delta, before_home: Node | None) -> list[Node]:
    """Brings the tallies above *node* up to date after it changed; *before*: what it added to *before_home*.

    The folders below which no file is about to be put any more: they need not wait for one.
    """
    home = home_of(node)
    node.counted = _counted(node, home)
    if node.folder is None and home is before_home and before and node.counted is not None:
        return _add(home, _change(before, node.counted))
    after = outward(node)
    if home is before_home:
        if after == before:
            return []
        return _add(home, [*((at, -amount) for at, amount in before), *after])
    return [*_add(before_home, [(at, -amount) for at, amount in before]), *_add(home, after)]


def count_all(nodes: Iterable[Node]) -> Iterator[Node]:
    """Counts *nodes*, none of which was counted before: each folder above them is looked at once, not once
    for each of them. Those that are on their way to the service."""
    sums: dict[int, tuple[Node, list[int]]] = {}
    last: Node | None = None
    own: list[int] = []
    for node in nodes:
        counted = node.counted = _counted(node, home_of(node))
        if counted is None:
            continue
        word, size_bytes, puts, home = counted
        if home is not last:
            last, own = home, sums.setdefault(home.id, (home, [0] * _LENGTH))[1]
        own[word] += 1
        own[_BYTES + word] += size_bytes
        own[_ALL] += 1
        own[_PUTS] += puts
        if word in PENDING:
            yield node
    for home, own in sums.values():
        _add(home, [(at, amount) for at, amount in enumerate(own) if amount])


def _counted(node: Node, home: Node | None) -> tuple[int, int, int, Node] | None:
    """What *node* itself adds to the tally of *home*."""
    word = word_of(node)
    if word is None or home is None:
        return None
    content = node.state.content or node.state.draft
    size_bytes = content.size_bytes if content is not None else 0
    is_put = node.folder is None and word in _PUT_WORDS and content is not None
    return (word, size_bytes, int(is_put), home)


def _change(before: Delta, counted: tuple[int, int, int, Node]) -> Delta:
    """The difference between *before*, what a file added to the tallies, and *counted*, what it adds now."""
    word, size_bytes, puts, _ = counted
    amounts = dict(before)
    was = before[0][0]
    bytes_before, puts_before = amounts.get(_BYTES + was, 0), amounts.get(_PUTS, 0)
    delta: Delta = []
    if word != was:
        delta += [(was, -1), (word, 1)]
    if word != was or size_bytes != bytes_before:
        delta += [(_BYTES + was, -bytes_before), (_BYTES + word, size_bytes)]
    if puts != puts_before:
        delta.append((_PUTS, puts - puts_before))
    return delta


def _add(folder: Node | None, delta: Delta) -> list[Node]:
    emptied: list[Node] = []
    while folder is not None and delta:
        part = folder.part
        tally = part.tally
        if tally is None:
            tally = part.tally = [0] * _LENGTH
        had_puts = tally[_PUTS] > 0
        for at, amount in delta:
            tally[at] += amount
        if had_puts and not tally[_PUTS]:
            emptied.append(folder)
        if folder.is_local and keeps_here(folder):
            delta = _as_local(delta)
        if not tally[_ALL]:
            part.tally = None
        folder = home_of(folder)
    return emptied


def _as_local(delta: Delta) -> Delta:
    """*delta* as it counts in the folders above one that stays on this machine: all at ``Word.LOCAL``."""
    nodes = sum(amount for at, amount in delta if at == _ALL)
    size_bytes = sum(amount for at, amount in delta if _BYTES <= at < _ALL)
    return [(Word.LOCAL, nodes), (_ALL, nodes), (_BYTES + Word.LOCAL, size_bytes)]
