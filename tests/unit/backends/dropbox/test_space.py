"""Quota, alone and in a team."""

from __future__ import annotations

import pytest

from mountfs.backends.dropbox.backend import space_of
from mountfs.model.entry import Space


def team(used: int, allocated: int, own_limit: int, kind: str, own_used: int) -> dict[str, object]:
    return {
        "used": own_used,
        "allocation": {
            ".tag": "team",
            "used": used,
            "allocated": allocated,
            "user_within_team_space_allocated": own_limit,
            "user_within_team_space_limit_type": {".tag": kind},
            "user_within_team_space_used_cached": own_used,
        },
    }


@pytest.mark.parametrize(
    ("usage", "space"),
    [
        ({"used": 3, "allocation": {".tag": "individual", "allocated": 10}}, Space(3, 10)),
        ({"used": 3, "allocation": {".tag": "individual", "allocated": 0}}, Space(3, None)),
        ({"used": 3, "allocation": {".tag": "other"}}, Space(3, None)),
        (team(60, 100, 0, "off", 5), Space(60, 100)),
        (team(60, 100, 10, "alert_only", 5), Space(60, 100)),
        (team(60, 100, 10, "stop_sync", 5), Space(5, 10)),
        (team(98, 100, 10, "stop_sync", 5), Space(98, 100)),
        (team(60, 0, 10, "stop_sync", 5), Space(5, 10)),
    ],
)
def test_space_is_what_can_still_be_written(usage: dict[str, object], space: Space) -> None:
    assert space_of(usage) == space
