"""A short run of the random calls, with a kill and a stop in it."""

from __future__ import annotations

import os

import pytest

from tests.exerciser.exercise import Plan, exercise


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as other users")
def test_random_calls_come_to_the_same_on_a_mount_as_on_tmpfs() -> None:
    run = exercise(Plan("memory", 1, 1500, look_every=400, end_every=600))
    assert run.differences == [], "\n".join(run.recent)
    assert (run.kills, run.stops) == (1, 1)
    done = {name for name in run.calls if not name.endswith(" failed")}
    assert done >= {
        "open",
        "pwrite",
        "map",
        "use_map",
        "rename",
        "link",
        "symlink",
        "chmod",
        "chown",
        "setxattr",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as other users")
def test_names_may_be_spelled_anew_in_each_call() -> None:
    run = exercise(Plan("memory", 3, 500, spells=True, look_every=200, end_every=400))
    assert run.differences == [], "\n".join(run.recent)
    assert {"open", "rename", "replace", "unlink"} <= run.calls.keys()
