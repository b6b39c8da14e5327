"""How far what is pending has got: bytes, changes, rates, and what is on its way by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.control.status import Tally, UnderWay
from daemon.process.mounted import RunningAccount
from daemon.process.progress import RATE_OVER_S
from mountfs.errors import Forbidden, Offline
from mountfs.model.path import ROOT, RemotePath
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import MIB, World
from tests.unit.daemon.test_mounted import account_of

LARGE = 40 * MIB


@pytest.fixture
def account(world: World) -> RunningAccount:
    return account_of(world)


def test_a_large_file_on_its_way_is_named_with_the_bytes_that_arrived(
    world: World, account: RunningAccount
) -> None:
    world.put("/big.iso", bytes(LARGE))
    whole = account.transfer().left.size_bytes
    world.core.uploader.step(world.clock.now_s())  # opens the session
    world.core.uploader.step(world.clock.now_s())
    told = account.transfer()
    [file] = told.files
    assert file.path == "/big.iso"
    assert 0 < file.sent_bytes < file.size_bytes == LARGE
    assert told.left.size_bytes == whole - file.sent_bytes
    assert told.done == Tally(0, file.sent_bytes)
    world.settle()
    told = account.transfer()
    assert (told.left, told.done, told.files) == (Tally(), Tally(1, LARGE), ())


def test_bytes_that_are_written_over_are_to_be_sent_again(world: World, account: RunningAccount) -> None:
    world.put("/big.iso", bytes(LARGE))
    world.core.uploader.step(world.clock.now_s())
    world.core.uploader.step(world.clock.now_s())
    world.put("/big.iso", bytes(LARGE))
    assert account.transfer().left.size_bytes == LARGE
    world.settle()
    assert account.transfer().left == Tally()


def test_small_files_count_once_they_arrived(world: World, account: RunningAccount) -> None:
    for number in range(3):
        world.put(f"/f{number}", b"12345")
    assert account.transfer().left == Tally(3, 15)
    world.upload_all()
    assert (account.transfer().done, account.transfer().left) == (Tally(0, 15), Tally(3, 0))
    world.settle()
    assert account.transfer().done == Tally(3, 15)


def test_where_bytes_travel_with_their_commit_they_count_then(tmp_path: Path) -> None:
    """Box: a small file is sent and committed by one request."""
    world = World(tmp_path, limits=replace(SIDE_BY_SIDE_LIMITS, pack_entries=0))
    account = account_of(world)
    world.put("/f", b"12345")
    world.upload_all()
    assert (account.transfer().done, account.transfer().left) == (Tally(), Tally(1, 5))
    world.settle()
    assert (account.transfer().done, account.transfer().left) == (Tally(1, 5), Tally())
    world.close()


def test_rates_are_those_of_the_last_seconds(world: World, account: RunningAccount) -> None:
    world.put("/f", bytes(1000))
    account.beat()
    world.settle()
    began_s = world.clock.now_s()
    world.put("/g", bytes(500))
    told = account.transfer()
    assert told.bytes_per_s > 0
    world.backend.refuse("/g", Offline("away"), times=1)
    for _ in range(int(2 * RATE_OVER_S)):
        world.advance(1.0)
        account.beat()
    assert world.clock.now_s() > began_s
    told = account.transfer()
    assert (told.bytes_per_s, told.changes_per_s, told.eta_s) == (0.0, 0.0, None)


def test_bytes_that_travel_give_a_rate_before_the_service_has_acknowledged_any(world: World) -> None:
    travelled = [0]
    account = account_of(world, traffic=lambda: (travelled[0], 0))
    world.put("/big.iso", bytes(LARGE))
    for _ in range(10):
        account.beat()
        world.advance(1.0)
        travelled[0] += MIB
    told = account.transfer()
    assert told.done.size_bytes == 0
    assert told.bytes_per_s == pytest.approx(MIB)
    assert told.eta_s == pytest.approx(40.0)


def test_the_time_to_go_is_that_of_the_bytes_while_there_are_any(world: World) -> None:
    """`mkdir` is committed at once, and a thousand files later together: one change in ten seconds is no
    rate for them."""
    travelled = [0]
    account = account_of(world, traffic=lambda: (travelled[0], 0))
    world.put("/big.iso", bytes(LARGE))
    world.mkdir("/d")
    world.core.committer.step(world.clock.now_s() + 1)
    for _ in range(10):
        account.beat()
        world.advance(1.0)
        travelled[0] += MIB
    assert account.transfer().eta_s == pytest.approx(account.transfer().left.size_bytes / MIB)


def test_done_begins_anew_once_nothing_is_pending(world: World, account: RunningAccount) -> None:
    world.put("/f", bytes(1000))
    world.settle()
    assert account.transfer().done == Tally(1, 1000)
    account.beat()
    assert account.transfer().done == Tally()
    world.put("/g", b"1")
    world.settle()
    assert account.transfer().done == Tally(1, 1)


def test_counting_looks_at_no_more_the_more_is_pending(world: World, account: RunningAccount) -> None:
    for number in range(300):
        world.put(f"/f{number}", b"x")
    looked = world.core.plan.looks
    told = account.transfer()
    assert told.left.count == 300
    assert len(told.files) <= 10
    assert world.core.plan.looks == looked


# Change by change


def test_each_pending_change_tells_what_it_is_and_what_it_waits_for(
    world: World, account: RunningAccount
) -> None:
    world.put("/old", b"1")
    world.put("/gone", b"1")
    world.settle()
    world.backend.refuse("/d", Forbidden("not here"), times=20)
    world.mkdir("/d")
    world.put("/old", b"22")
    world.rename("/old", "/new")
    world.fs.unlink("/gone")
    world.settle()
    world.put("/d/f", b"333")
    handle = world.begin("/open", b"4444")
    world.upload_all()
    found = {each.path: each for each in account.pending_changes(ROOT)[0]}
    assert (found["/d"].change, found["/d"].state) == ("new folder", "failed")
    assert "not here" in found["/d"].reason
    assert (found["/d/f"].change, found["/d/f"].size_bytes) == ("new file", 3)
    assert (found["/open"].change, found["/open"].state) == ("new file", "open")
    assert set(found) == {"/d", "/d/f", "/open"}
    assert [each.path for each in account.pending_changes(RemotePath("/d/f"))[0]] == ["/d/f"]
    world.close_file(handle)


def test_renames_and_removals_that_are_not_sent_yet_are_told(world: World, account: RunningAccount) -> None:
    for name in ("a", "b", "c"):
        world.put(f"/{name}", b"1")
    world.settle()
    world.rename("/a", "/a2")
    world.fs.unlink("/b")
    world.put("/c", b"22")
    found = {each.path: each.change for each in account.pending_changes(ROOT)[0]}
    assert found == {"/a2": "renamed", "/b": "removed", "/c": "new bytes"}


def test_what_was_refused_and_taken_back_is_told_as_such(world: World, account: RunningAccount) -> None:
    for name in ("a", "b"):
        world.put(f"/{name}", b"1")
    world.settle()
    for path in ("/a2", "/b"):
        world.backend.refuse(path, Forbidden("no"))
    world.rename("/a", "/a2")
    world.fs.unlink("/b")
    world.settle()
    world.advance(60.0)
    found = {each.path: (each.change, each.state) for each in account.pending_changes(ROOT)[0]}
    assert found == {"/a": ("not renamed", "failed"), "/b": ("not removed", "failed")}
    assert all(each.age_s >= 60.0 for each in account.pending_changes(ROOT)[0])


def test_only_what_is_being_sent_is_under_way(world: World, account: RunningAccount) -> None:
    world.put("/f", b"1")
    assert account.transfer().files == ()
    assert UnderWay("/f", 1, 0) not in account.status().transfer.files


def test_no_time_is_promised_while_nothing_is_sent(world: World, account: RunningAccount) -> None:
    """What is asked of the service meanwhile leaves as bytes, too."""
    sent = [0]
    account = account_of(world, traffic=lambda: (sent[0], 0))
    world.put("/big.iso", bytes(LARGE))
    account.hold(True)
    for _ in range(20):
        account.beat()
        sent[0] += 300
        world.advance(0.5)
    assert account.transfer().eta_s is None
    assert account.status().transfer.eta_s is None
    account.hold(False)
    assert account.transfer().eta_s is not None
