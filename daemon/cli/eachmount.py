"""What a command does with several mounts, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from daemon.cli.context import say
from daemon.control.client import Elsewhere
from daemon.failure import Failure


def in_each(mountpoints: Sequence[Path], do: Callable[[Path], int]) -> int:
    """The highest exit code of *do*. A mount at which it fails is told of and counts as 1, and the others are
    asked all the same. Those of other containers are none of these. Failure where there is no other."""
    if not mountpoints:
        raise Failure("nothing is mounted; mountfs status tells what is journaled")
    codes: list[int] = []
    elsewhere: Elsewhere | None = None
    for mountpoint in mountpoints:
        try:
            codes.append(do(mountpoint))
        except Elsewhere as failure:
            elsewhere = failure
        except Failure as failure:
            say(str(failure))
            codes.append(1)
    if elsewhere is not None and not codes:
        raise elsewhere
    return max(codes)
