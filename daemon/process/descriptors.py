"""How many files this process may have open at a time: setrlimit(2), RLIMIT_NOFILE."""

from __future__ import annotations

import contextlib
import resource

from daemon.failure import BadSettings

MOST_DESCRIPTORS = 65_536
"""As many as the unit allows."""
FEWEST_DESCRIPTORS = 64
"""A mount that serves nobody yet takes half of them."""


def raise_limit() -> None:
    """As many descriptors as the process may have: each file that is open for writing takes one, and the
    usual 1,024 are there for programs that use select(2), which sees no more.

    BadSettings where these are too few to load all modules: what fails then names anything but the cause."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft != resource.RLIM_INFINITY and soft < FEWEST_DESCRIPTORS:
        raise BadSettings(
            f"at most {soft} files may be open at a time, and a mount needs {FEWEST_DESCRIPTORS} or more; "
            "allow it more: ulimit -Hn, LimitNOFILE= of a unit"
        )


def part_of_limit(most: int) -> int:
    """How many of *most* descriptors may be set aside for what is merely quicker with them: an eighth of what
    the process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else min(most, soft // 8)
