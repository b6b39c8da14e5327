"""Things by the numbers under which the kernel knows them."""

from __future__ import annotations

import itertools
from typing import Generic, TypeVar

from mountfs.errors import BadHandle

T = TypeVar("T")


class Numbered(Generic[T]):
    """Numbers for things, never reused, as the kernel keeps them in ``fi->fh``; thread-safe."""

    def __init__(self) -> None:
        self._next = itertools.count(1)
        self._things: dict[int, T] = {}

    def add(self, thing: T) -> int:
        number = next(self._next)
        self._things[number] = thing
        return number

    def __getitem__(self, number: int) -> T:
        try:
            return self._things[number]
        except KeyError:
            raise BadHandle(f"no such handle: {number}") from None

    def pop(self, number: int) -> T:
        try:
            return self._things.pop(number)
        except KeyError:
            raise BadHandle(f"no such handle: {number}") from None
