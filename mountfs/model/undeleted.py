"""What came of bringing back what was removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mountfs.model.entry import Entry

GoesOn = Callable[[int, int], bool]
"""Is told how many files and folders are back, and of how many; whether to go on. Any thread."""


def always(_done: int, _total: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Undeleted:
    """*entry* stands at the place by now; *count* files and folders came back, itself among them unless it
    stood there before. What went along with a folder that came back whole is not counted. *left*: so many
    more stay away: something else has their places by now, or nothing is kept of them any more."""

    entry: Entry
    count: int = 1
    left: int = 0
