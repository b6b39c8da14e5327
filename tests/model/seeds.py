"""Which seeds random runs take."""

from __future__ import annotations

import os
from collections.abc import Sequence


def span(told: str) -> range:
    """Of ``FIRST-LAST``, both included, or of one number."""
    first, _, last = told.partition("-")
    return range(int(first), int(last or first) + 1)


def asked(usual: Sequence[int]) -> Sequence[int]:
    """Those that SEEDS in the environment asks for, as ``SEEDS=100-200``; else the *usual* ones."""
    told = os.environ.get("SEEDS")
    return usual if told is None else span(told)
