"""``mountfs`` whose mounts the kernel asks each time: ``python -m tests.exerciser.process ARGUMENTS...``.

The kernel knows each spelling of a name by itself, and for a second answers of one what was true before it
was changed by another.
"""

from __future__ import annotations

import sys

from daemon.cli import run
from mountfs.fuse import mount


def main() -> int:
    usual = mount.fuse_options
    mount.fuse_options = lambda options: usual(options) | {"attr_timeout": 0.0, "entry_timeout": 0.0}
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
