"""A program whose mounts the kernel asks each time: ``python -m tests.exerciser.process MODULE ARGUMENT...``.

The kernel knows each spelling of a name by itself, and for a second answers of one what was true before it
was changed by another.
"""

from __future__ import annotations

import runpy
import sys

from mountfs.fuse import mount


def main() -> None:
    usual = mount.fuse_options
    mount.fuse_options = lambda options: usual(options) | {"attr_timeout": 0.0, "entry_timeout": 0.0}
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
