"""Long sequences in parts that are worked on in one hold of the account's lock each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

CHUNK = 500
"""Entries brought into the tree in one step: nobody waits for the lock longer than that takes (5 ms)."""


def chunks(things: Iterable[T], most: int | None = None) -> Iterator[list[T]]:
    """All of *things*, *most* at a time; None: CHUNK."""
    rest = iter(things)
    while chunk := list(islice(rest, CHUNK if most is None else most)):
        yield chunk
