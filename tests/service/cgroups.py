"""Control groups of its own for a booted machine: a cgroup name space only hides where in the tree they are.

Two machines that were booted from one group would take each other's services for their own: each kills and
waits for all that is in ``system.slice/NAME.service``, whoever started it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOVE = 'while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs"; shift; done; shift; exec "$@"'
"""A script of sh: goes into the groups given before ``--``, and becomes the command behind it."""


def new_groups() -> list[Path]:
    """An empty group in each tree by which systemd follows services, below this process's own ones. None
    where this process may make none."""
    made: list[Path] = []
    for parent in _own_groups():
        with suppress(OSError):
            made.append(Path(tempfile.mkdtemp(prefix="machine-", dir=parent)))
            made[-1].chmod(0o755)  # a user's own systemd works somewhere below
    return made


def inside(groups: list[Path], order: list[str]) -> list[str]:
    """The command that runs *order* in *groups*."""
    return ["sh", "-c", MOVE, "sh", *map(str, groups), "--", *order]


def remove(groups: list[Path]) -> None:
    """With all below them; one that still has a process stays."""
    for group in groups:
        for path, _folders, _files in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(path).rmdir()


def _own_groups() -> Iterator[Path]:
    """cgroups(7): version 2, and the tree of version 1 that has no controller but systemd's name."""
    paths = dict(_tree_and_path(line) for line in Path("/proc/self/cgroup").read_text().splitlines())
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted, _, source = line.partition(" - ")
        root, mountpoint = mounted.split()[3:5]
        kind, _, options = source.split(maxsplit=2)
        tree = "" if kind == "cgroup2" else "name=systemd"
        is_followed = kind == "cgroup2" or (kind == "cgroup" and tree in options.split(","))
        if is_followed and tree in paths:
            yield Path(mountpoint) / os.path.relpath(paths[tree], root)


def _tree_and_path(line: str) -> tuple[str, str]:
    _number, tree, path = line.split(":", 2)
    return tree, path
