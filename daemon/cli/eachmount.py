"""What a command does with several mounts, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from daemon.cli.context import say
from daemon.failure import Failure


def in_each(mountpoints: Sequence[Path], do: Callable[[Path], int]) -> int:
    """The highest exit code of *do*. A mount at which it fails is told of and counts as 1, and the others are
    asked all the same. Failure where nothing is mounted."""
    if not mountpoints:
        raise Failure("nothing is mounted; mountfs status tells what is journaled")
    codes: list[int] = []
    for mountpoint in mountpoints:
        try:
            codes.append(do(mountpoint))
        except Failure as failure:
            say(str(failure))
            codes.append(1)
    return max(codes)
