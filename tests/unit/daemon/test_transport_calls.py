"""Calls that the service counts by the month: kept over restarts, warned of, and not gone beyond."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.control.status import Transport
from daemon.places.monthledger import KEPT_MONTHS, MonthLedger
from daemon.process.transportcalls import EVERY_S, TransportCalls
from mountfs.backends.box.limits import BOX_LIMITS
from mountfs.backends.dropbox.limits import DROPBOX_LIMITS
from mountfs.errors import TransferLimit
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.world import World
from tests.fakes.clock import FakeClock
from tests.unit.daemon.test_mounted import account_of

LIMITS = replace(MEMORY_LIMITS, transport_routes=frozenset({"upload_whole"}))
MONTH_S = 32 * 86400.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, limits=LIMITS)
    yield world
    world.close()


def counting(world: World, tmp_path: Path, limit: int | None = None) -> TransportCalls:
    travelled = iter(range(10**6))
    return TransportCalls(
        world.core.tree,
        world.backend,
        world.core.prober.pause,
        MonthLedger(tmp_path / "transport.json"),
        world.clock,
        limit=limit,
        traffic=lambda: (next(travelled), 0),
    )


def made(world: World) -> int:
    return sum(count for route, count in world.backend.calls().items() if route in LIMITS.transport_routes)


def send(world: World, name: str) -> None:
    world.put(name, name.encode())  # bytes of its own: else the service would copy it, without such a call
    world.settle()


def test_only_dropbox_counts_calls_and_looking_after_a_job_is_none() -> None:
    assert not BOX_LIMITS.transport_routes
    assert "files/upload_session/finish_batch" in DROPBOX_LIMITS.transport_routes
    assert not [route for route in DROPBOX_LIMITS.transport_routes if route.endswith("/check")]


def test_calls_are_added_up_over_mounts_and_restarts(world: World, tmp_path: Path) -> None:
    first, second = counting(world, tmp_path), counting(world, tmp_path)
    send(world, "/a")
    assert first.step(10.0) == 10.0 + EVERY_S
    assert first.told.calls == made(world) > 0
    first.step(20.0)
    assert first.told.calls == made(world)  # none is counted twice
    second.step(20.0)
    assert second.told.calls == 2 * made(world)  # as another process, with calls of its own
    assert counting(world, tmp_path).told == Transport()


def test_calls_made_since_the_last_step_are_told_though_not_yet_kept(world: World, tmp_path: Path) -> None:
    """``status`` would tell of 0 calls beside the uploads that it lists."""
    calls = counting(world, tmp_path)
    calls.step(0.0)
    send(world, "/a")
    assert calls.told.calls == made(world) > 0
    calls.step(10.0)
    assert calls.told.calls == made(world)


def test_a_service_that_counts_none_costs_no_step(tmp_path: Path) -> None:
    world = World(tmp_path)
    calls = counting(world, tmp_path)
    assert calls.step(0.0) == float("inf")
    assert not (tmp_path / "transport.json").exists()
    world.close()


def test_while_nothing_travels_nobody_is_asked(world: World, tmp_path: Path) -> None:
    asked: list[str] = []
    calls = counting(world, tmp_path)
    calls._traffic = lambda: (5, 5)
    calls.step(0.0)
    ask: Callable[[], dict[str, int]] = world.backend.calls
    world.backend.calls = lambda: asked.append("calls") or ask()  # type: ignore[method-assign,func-returns-value]
    for _ in range(5):
        calls.step(0.0)
    assert asked == []


def test_at_the_limit_files_wait_for_the_next_month_and_all_else_goes_on(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    account = account_of(world)
    send(world, "/old")
    calls = counting(world, tmp_path, limit=made(world))
    calls.step(0.0)
    assert isinstance(world.core.standstill(), TransferLimit)
    assert "transport calls" in account.status().paused
    before = made(world)
    world.put("/new", b"2")
    world.settle()
    assert made(world) == before
    world.rename("/old", "/moved")
    world.settle()
    assert set(world.account.files()) == {"/moved"}
    assert [record.levelno for record in caplog.records if "uploads pause" in record.message] == [
        logging.WARNING
    ]
    assert isinstance(world.clock, FakeClock)
    world.advance(MONTH_S)
    calls.step(0.0)
    assert account.status().paused == ""
    world.settle()
    assert set(world.account.files()) == {"/moved", "/new"}


def test_four_fifths_are_warned_of_once_a_month(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abcd":
        send(world, f"/{name}")
    calls = counting(world, tmp_path, limit=made(world) * 5 // 4)
    calls.step(0.0)
    calls.step(0.0)
    [line] = [record.message for record in caplog.records if "transport calls" in record.message]
    assert line.startswith(f"{made(world)} of {made(world) * 5 // 4} transport calls of 20")
    assert world.core.standstill() is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"2026-11": "x"}', '{"now": 3}', '{"2026-11": -1}'])
def test_a_file_that_makes_no_sense_begins_anew(text: str, tmp_path: Path) -> None:
    path = tmp_path / "transport.json"
    path.write_text(text)
    assert MonthLedger(path).add("2026-11", 2) == 2
    assert MonthLedger(path).months() == {"2026-11": 2}


def test_a_year_is_kept_and_no_more(tmp_path: Path) -> None:
    ledger = MonthLedger(tmp_path / "transport.json")
    for number in range(30):
        ledger.add(f"{2020 + number // 12}-{number % 12 + 1:02}", 1)
    assert len(ledger.months()) == KEPT_MONTHS
    assert list(ledger.months())[-1] == "2022-06"
    assert json.loads((tmp_path / "transport.json").read_text())["2022-06"] == 1


def test_months_that_cannot_be_read_just_now_are_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = MonthLedger(tmp_path / "calls")
    ledger.add("2026-11", 1000)

    def fail(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", fail)
        with pytest.raises(OSError, match="Too many open files"):
            ledger.add("2026-11", 1)
    assert ledger.add("2026-11", 1) == 1001


def test_months_survive_a_full_disk_and_a_power_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = MonthLedger(tmp_path / "calls")
    synced: list[int] = []

    def sync(fd: int) -> None:
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        synced.append(os.fstat(fd).st_ino)

    monkeypatch.setattr(os, "fsync", sync)
    ledger.add("2026-11", 1000)
    assert synced == [(tmp_path / "calls").stat().st_ino, tmp_path.stat().st_ino]
    with pytest.raises(OSError, match="No space left"):
        ledger.add("2026-11", 1)
    assert ledger.months() == {"2026-11": 1000}
    assert {path.name for path in tmp_path.iterdir()} == {"calls", "calls.lock"}


@pytest.mark.parametrize("cannot", [errno.EINVAL, errno.EIO])
def test_calls_count_once_where_the_folder_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cannot: int
) -> None:
    ledger = MonthLedger(tmp_path / "calls")
    sync = os.fsync

    def fail_for_folders(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(cannot, os.strerror(cannot))
        sync(fd)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    assert ledger.add("2026-11", 1000) == 1000
    assert ledger.months() == {"2026-11": 1000}
