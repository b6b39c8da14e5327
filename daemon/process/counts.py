"""What is pending at or below a node, from the counters that the tree keeps."""

from __future__ import annotations

from collections.abc import Iterable

from mountfs.tree import tally
from mountfs.tree.node import Node
from mountfs.tree.word import Word, word_of


def count_of(node: Node, words: Iterable[Word]) -> int:
    """How many nodes at or below *node* are at one of *words*. Under the lock."""
    words = tuple(words)
    own = int(word_of(node) in words)
    return own + (tally.count_of(node, words) if node.is_folder else 0)


def bytes_of(node: Node, word: Word) -> int:
    """The bytes they carry. Under the lock."""
    own = node.counted[1] if node.counted is not None and node.counted[0] is word else 0
    return own + (tally.bytes_of(node, (word,)) if node.is_folder else 0)
