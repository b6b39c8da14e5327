"""When a writer is slowed, and when it is told that there is no room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.errors import NoSpace
from mountfs.spool.quota import MIB, RESERVE_BYTES, SLOW_ZONE_BYTES, SLOWEST_S_PER_MIB, Quota

PLENTY = RESERVE_BYTES + 100 * SLOW_ZONE_BYTES


def test_with_room_a_writer_goes_at_full_speed() -> None:
    assert Quota().may_write(pending_bytes=10**15, free_bytes=PLENTY) == 0.0
    assert Quota(limit_bytes=1000 * MIB).may_write(0, PLENTY) == 0.0


def test_the_reserve_of_the_disk_is_not_touched() -> None:
    with pytest.raises(NoSpace, match="free some space"):
        Quota().may_write(0, RESERVE_BYTES)
    assert Quota(reserve_bytes=0).may_write(0, 1) > 0


def test_the_limit_is_told_apart_from_the_disk() -> None:
    with pytest.raises(NoSpace, match="raise the limit"):
        Quota(limit_bytes=8 * MIB).may_write(8 * MIB, PLENTY)
    with pytest.raises(NoSpace, match="free some space"):
        Quota(limit_bytes=8 * MIB).may_write(0, 0)


def test_half_into_the_zone_a_quarter_of_the_slowest_pace() -> None:
    free_bytes = RESERVE_BYTES + SLOW_ZONE_BYTES // 2
    assert Quota().may_write(0, free_bytes) == pytest.approx(SLOWEST_S_PER_MIB / 4)


def test_a_small_limit_is_mostly_full_speed() -> None:
    quota = Quota(limit_bytes=100 * MIB)
    assert quota.may_write(75 * MIB, PLENTY) == 0.0
    assert 0 < quota.may_write(76 * MIB, PLENTY) < 0.01
    assert 0.9 < quota.may_write(100 * MIB - 1, PLENTY) <= SLOWEST_S_PER_MIB


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.none() | st.integers(4, 2**40))
def test_less_room_is_never_faster(pending_bytes: int, free_bytes: int, limit_bytes: int | None) -> None:
    quota = Quota(limit_bytes=limit_bytes)

    def pace(pending: int) -> float:
        try:
            return quota.may_write(pending, free_bytes)
        except NoSpace:
            return 1e9

    assert 0 <= pace(pending_bytes) <= pace(pending_bytes + MIB)
