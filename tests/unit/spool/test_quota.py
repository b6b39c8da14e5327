"""When a writer is slowed, and when it is told that there is no room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.errors import DiskFull
from mountfs.spool.quota import RESERVE_BYTES, SLOW_ZONE_BYTES, SLOWEST_S_PER_MIB, Quota


def test_with_room_a_writer_goes_at_full_speed() -> None:
    assert Quota().may_write(RESERVE_BYTES + 100 * SLOW_ZONE_BYTES) == 0.0
    assert Quota().may_write(Quota().spare_bytes()) == 0.0


def test_the_reserve_of_the_disk_is_not_touched() -> None:
    with pytest.raises(DiskFull, match="free some space"):
        Quota().may_write(RESERVE_BYTES)
    assert Quota(reserve_bytes=0).may_write(1) > 0


def test_half_into_the_zone_a_quarter_of_the_slowest_pace() -> None:
    free_bytes = RESERVE_BYTES + SLOW_ZONE_BYTES // 2
    assert Quota().may_write(free_bytes) == pytest.approx(SLOWEST_S_PER_MIB / 4)


def test_just_before_the_end_it_is_the_slowest_pace() -> None:
    assert Quota().may_write(RESERVE_BYTES + 1) == pytest.approx(SLOWEST_S_PER_MIB)


@given(st.integers(RESERVE_BYTES + 1, 2**40), st.integers(0, 2**40))
def test_less_room_is_never_faster(free_bytes: int, more_bytes: int) -> None:
    pace = Quota().may_write(free_bytes)
    assert 0 <= Quota().may_write(free_bytes + more_bytes) <= pace <= SLOWEST_S_PER_MIB
