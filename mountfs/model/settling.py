"""For how long a name must have been quiet before it is given to the service."""

from __future__ import annotations

import math

from mountfs.model.entry import NS_PER_S
from mountfs.model.names import looks_temporary

SETTLE_S = 0.25
"""Editors and rsync rename within milliseconds of writing."""
TEMPORARY_SETTLE_S = 2.0
"""For names programs rename away from in a moment: rsync and editors do so after syncing the file."""


def age_s(touched_ns: int, wall_ns: int) -> float:
    """Seconds since a name or its bytes changed; a clock that was set back makes it old."""
    age = (wall_ns - touched_ns) / NS_PER_S
    return age if age >= 0 else math.inf


def settle_s(name: str, usual_s: float, *, is_hurried: bool) -> float:
    """For how long *name* must have been quiet, where *usual_s* is what it takes most names."""
    if looks_temporary(name):
        return TEMPORARY_SETTLE_S
    return 0.0 if is_hurried else usual_s
