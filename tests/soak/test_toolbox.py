"""Steps do in one folder what they do in another."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.soak.toolbox import Toolbox, ToolFailed, run
from tests.soak.trees import tree_below

STEPS = 80


def test_each_tool_makes_the_same_of_two_folders(tmp_path: Path) -> None:
    here, there, sources = (tmp_path / name for name in ("here", "there", "sources"))
    for folder in (here, there, sources):
        folder.mkdir()
    toolbox = Toolbox(Random(1), there, sources)
    used = set()
    for _ in range(STEPS):
        step = toolbox.next()
        used.add(step.tool)
        before = tree_below(there)
        if not step.is_odd:  # what git made the mirror takes over
            step.do(here)
            step.do(there)
        changed = {path for path, body in tree_below(there).items() ^ before.items()}
        assert all(step.reach.has(path) for path in changed), step
        toolbox.forget()
        assert tree_below(here) == tree_below(there), step
    assert used >= {"cp", "cp -r", "mv", "rm", "rsync", "tar", "save", "append", "dd", "sqlite3"}


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="No such file or directory"):
        run(["cp", "none", "other"], tmp_path)
