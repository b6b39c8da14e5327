"""The calls of an account, counted by all its mounts on a machine in one file."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from daemon.places.callbudget import LOCK_TRIES, LOCK_TRY_S, AccountBudget
from mountfs.model.allowance import Allowance
from tests.fakes.clock import FakeClock

UPLOADS = Allowance("uploads", 10, 10, 40)
FIXED = Allowance("calls", 10, 10, 10)


def shared(path: Path, clock: FakeClock, *, count: int = 2) -> list[AccountBudget]:
    budgets = [AccountBudget(clock, lambda _s: None) for _ in range(count)]
    for each in budgets:
        each.share(path)
    return budgets


def test_mounts_of_one_account_have_one_budget(tmp_path: Path) -> None:
    one, other = shared(tmp_path / "calls", FakeClock())
    assert [one.take((FIXED,)) for _ in range(6)] == [0.0] * 6
    assert [other.take((FIXED,)) for _ in range(5)] == [0.0] * 4 + [61.0]


def test_before_it_is_known_whose_the_calls_are_a_mount_counts_its_own(tmp_path: Path) -> None:
    one = AccountBudget(FakeClock())
    assert [one.take((FIXED,)) for _ in range(11)] == [0.0] * 10 + [61.0]
    one.share(tmp_path / "a file" / "missing" / "calls")
    assert one.take((FIXED,)) == 61.0


def test_what_one_mount_was_told_by_the_service_holds_for_all(tmp_path: Path) -> None:
    clock = FakeClock()
    one, other = shared(tmp_path / "calls", clock)
    assert [one.take((UPLOADS,)) for _ in range(11)] == [0.0] * 11
    one.refused((UPLOADS,), 7.0)
    assert other.take((FIXED,)) == 7.0
    clock.advance(100.0)
    assert [other.take((UPLOADS,)) for _ in range(11)] == [0.0] * 10 + [61.0]


def test_the_file_outlives_the_mounts(tmp_path: Path) -> None:
    clock = FakeClock()
    (one,) = shared(tmp_path / "calls", clock, count=1)
    for _ in range(10):
        one.take((FIXED, UPLOADS))
    (next_one,) = shared(tmp_path / "calls", clock, count=1)
    assert next_one.take((FIXED,)) == 61.0


def test_where_files_cannot_be_locked_a_mount_counts_its_own_and_takes_no_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_fd: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    one, other = shared(tmp_path / "calls", FakeClock())
    opened = len(os.listdir("/proc/self/fd"))
    assert [one.take((FIXED,)) for _ in range(11)] == [0.0] * 10 + [61.0]
    assert other.take((FIXED,)) == 0.0
    assert len(os.listdir("/proc/self/fd")) == opened


@pytest.mark.parametrize("damage", [b"", b"x" * 200, b"mountfs calls 2\n" + b"\xff" * 300])
def test_a_damaged_file_counts_for_nothing(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "calls"
    (one,) = shared(path, FakeClock(), count=1)
    one.take((FIXED,))
    path.write_bytes(damage)
    assert [one.take((FIXED,)) for _ in range(11)] == [0.0] * 10 + [61.0]


def test_every_cut_of_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    (one,) = shared(path, FakeClock(), count=1)
    for _ in range(3):
        one.take((FIXED, UPLOADS))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert one.take((FIXED,)) == 0.0


def test_a_file_with_one_wrong_byte_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    (one,) = shared(path, FakeClock(), count=1)
    for _ in range(3):
        one.take((FIXED, UPLOADS))
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x7F]) + whole[at + 1 :])
        assert [one.take((FIXED,)) for _ in range(11)] == [0.0] * 10 + [61.0]


def test_a_process_that_was_stopped_with_the_lock_stops_no_other(tmp_path: Path) -> None:
    path, rests_s = tmp_path / "calls", list[float]()
    one = AccountBudget(FakeClock(), rests_s.append)
    one.share(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert [one.take((FIXED,)) for _ in range(11)] == [0.0] * 10 + [61.0]
    assert set(rests_s) == {LOCK_TRY_S}
    assert len(rests_s) == 11 * LOCK_TRIES
    os.close(fd)


def test_a_full_disk_costs_no_call(tmp_path: Path) -> None:
    (one,) = shared(Path("/dev/full"), FakeClock(), count=1)
    assert one.take((FIXED,)) == 0.0


def test_a_disk_that_cannot_be_read_costs_no_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = shared(tmp_path / "calls", FakeClock(), count=1)
    assert [one.take((FIXED,)) for _ in range(6)] == [0.0] * 6

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    assert [one.take((FIXED,)) for _ in range(5)] == [0.0] * 4 + [61.0]
