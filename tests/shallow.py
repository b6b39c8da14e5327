"""What lies deeper than Python calls itself, without the thousand levels that it takes of its own accord."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CALLS = 250
"""Three times what a call of the core takes by itself."""
DEEP = 300
"""So many levels are more than can be gone down by recursion in ``shallow_stack``."""


@contextmanager
def shallow_stack() -> Iterator[None]:
    """In the block functions call each other ``CALLS`` deep at most, on every thread."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + CALLS)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
