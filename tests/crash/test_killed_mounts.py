"""A real mount killed at named points, then the next one: the points where most is at stake.

All points that any scenario reaches, and random ones, are swept by ``python -m tests.crash.sweep``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.sweep import Kill, sweep

POINTS = {
    "dropbox": (
        ("small", "disk.pwrite:middle"),
        ("small", "disk.label:after"),
        ("small", "http.files/upload_session/append_batch:before"),
        ("small", "http.files/upload_session/append_batch:after"),
        ("small", "store.launch.fill:after"),
        ("small", "http.files/upload_session/finish_batch:after"),
        ("small", "http.files/copy_batch_v2:after"),
        ("large", "http.files/upload_session/append_v2:after"),
    ),
    "box": (
        ("small", "http.POST files/content:before"),
        ("small", "http.POST files/content:after"),
        ("small", "store.batchbooks._book_step:before"),
        ("small", "http.POST files/:id/copy:after"),
        ("large", "http.POST files/upload_sessions/:id/commit:after"),
        ("large", "store.sessionsender._finish:before"),
    ),
}


@pytest.mark.parametrize("service", POINTS)
def test_a_mount_killed_where_most_is_at_stake_keeps_its_promises(tmp_path: Path, service: str) -> None:
    result = sweep(tmp_path, [Kill(service, scenario, point) for scenario, point in POINTS[service]])
    assert result.faults == []
    assert result.never == []
