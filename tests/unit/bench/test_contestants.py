"""What the processes of a contestant take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.bench.contestants import with_children
from tests.waiting import until

STARTS_ONE = """
import os, sys
at_start = [(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)]
os.waitpid(os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=at_start), 0)
"""
"""The child waits for somebody who writes, and loads its program after that."""


def test_a_child_counts_from_when_it_has_memory_of_its_own(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", STARTS_ONE, pipe]) as parent:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        until(lambda: children.read_text() != "", "the child is started")
        before = with_children(parent.pid)
        with pipe.open("wb"):
            until(lambda: len(with_children(parent.pid)) == 2, "the child has loaded its program")
    assert before == [parent.pid]
