"""Modes and owners before their rows have them: lines in a file, which outlive a process, not the machine."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.tree import attributelog, attributing
from mountfs.tree.attributelog import ENDING
from mountfs.tree.store import Store
from tests.doubles.world import World
from tests.fakes.forgetfuldisk import ForgetfulDisk


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    for name in "abc":
        world.theirs(f"/{name}", b"x")
    world.names()
    yield world
    world.close()


def log_of(world: World) -> Path:
    return Path(f"{world.places.store}{ENDING}")


def modes(world: World) -> list[int]:
    return [stat.S_IMODE(world.fs.getattr(f"/{name}").mode) for name in "abc"]


def chmod(world: World, *numbers: int) -> None:
    for name, mode in zip("abc", numbers, strict=False):
        world.fs.metadata.chmod(f"/{name}", mode)


def step(world: World) -> None:
    """What the worker that syncs does once a second."""
    world.advance(1.0)
    world.core.durability.step(world.clock.now_s())


def test_no_call_makes_a_transaction_and_a_kill_leaves_all(world: World) -> None:
    commits = world.core.tree.store.commits
    chmod(world, 0o600, 0o640, 0o755)
    world.fs.metadata.chmod("/a", 0o400)
    world.fs.metadata.chown("/b", 7, 8)
    assert world.core.tree.store.commits == commits
    told = [world.fs.getattr(f"/{name}") for name in "abc"]
    world.restart()
    assert [world.fs.getattr(f"/{name}") for name in "abc"] == told
    assert modes(world) == [0o400, 0o640, 0o755]
    assert not log_of(world).exists()
    world.restart()
    assert modes(world) == [0o400, 0o640, 0o755]
    assert world.pending() == []


def test_the_rows_follow_many_in_one_transaction(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributing, "NOTED_AT_ONCE", 2)
    chmod(world, 0o600, 0o640, 0o755)
    commits = world.core.tree.store.commits
    step(world)
    assert world.core.tree.store.commits == commits + 2
    assert log_of(world).stat().st_size == 0
    log_of(world).unlink()
    world.restart("another boot")
    assert modes(world) == [0o600, 0o640, 0o755]


def test_after_a_power_loss_what_was_synced_counts(world: World) -> None:
    chmod(world, 0o600)
    kept = log_of(world).read_bytes()
    world.fs.fsyncdir(world.fs.opendir("/"))
    chmod(world, 0o640)
    step(world)
    log_of(world).write_bytes(kept)
    world.restart("another boot")
    assert modes(world)[0] == 0o640


def test_an_fsync_of_a_file_that_was_not_written_to_makes_its_mode_safe(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    world = World(tmp_path, disk=disk)
    world.theirs("/a", b"x")
    number = world.open("/a", os.O_RDONLY)
    step(world)
    syncs = disk.syncs
    world.fs.fsync(number)
    assert disk.syncs == syncs
    chmod(world, 0o600)
    world.fs.fsync(number)
    assert disk.syncs == syncs + 1
    assert log_of(world).stat().st_size == 0
    world.close()


def test_what_another_journal_left_is_not_taken(world: World) -> None:
    chmod(world, 0o600)
    left = log_of(world).read_bytes()
    step(world)
    chmod(world, 0o640)
    step(world)
    head, _, lines = left.partition(b"\n")
    log_of(world).write_bytes(head + b"0\n" + lines.replace(b" ", b" 9", 1))
    world.restart()
    assert modes(world)[0] == 0o640


def test_what_an_older_journal_left_is_not_taken_by_a_new_one(world: World) -> None:
    chmod(world, 0o600)
    store = world.places.store
    left = log_of(world).read_bytes()
    world.close()
    for each in store.parent.glob(f"{store.name}*"):
        each.unlink()
    log_of(world).write_bytes(left)
    Store(store, boot_id=world.boot_id).close()
    assert not log_of(world).exists()
    world.start()


@pytest.mark.parametrize("length", [-1, -8, -20, 3])
def test_half_of_a_line_is_none(world: World, length: int) -> None:
    chmod(world, 0o600, 0o640)
    path = log_of(world)
    text = path.read_bytes()
    path.write_bytes(text[:length] if length < 0 else text + b"12 "[:length])
    before = 0o640 if length > 0 else 0o644
    world.restart()
    assert modes(world)[:2] == [0o600, before]


def test_a_row_that_was_written_since_counts(world: World) -> None:
    chmod(world, 0o600)
    world.fs.metadata.setxattr("/a", "user.x", b"1")
    world.advance(-5.0)
    world.fs.metadata.chmod("/a", 0o640)
    left = log_of(world).read_bytes()
    world.fs.metadata.setxattr("/a", "user.x", b"2")
    ctime_ns = world.fs.getattr("/a").ctime_ns
    assert log_of(world).read_bytes() == left
    world.restart()
    assert modes(world)[0] == 0o640
    assert world.fs.metadata.getxattr("/a", "user.x") == b"2"
    assert world.fs.getattr("/a").ctime_ns == ctime_ns


def test_a_folder_that_is_made_anew_has_its_new_mode(world: World) -> None:
    world.mkdir("/d")
    world.settle()
    world.fs.metadata.chmod("/d", 0o700)
    world.fs.rmdir("/d")
    world.fs.mkdir("/d", 0o755)
    mode = stat.S_IMODE(world.fs.getattr("/d").mode)
    world.restart()
    assert stat.S_IMODE(world.fs.getattr("/d").mode) == mode == 0o755


def test_a_removed_file_leaves_nothing(world: World) -> None:
    chmod(world, 0o600)
    world.fs.unlink("/a")
    world.settle()
    step(world)
    assert world.names() == {"b", "c"}
    world.restart()
    assert world.names() == {"b", "c"}


@pytest.mark.parametrize("how", ["short", "full", "large"])
def test_what_the_log_does_not_take_has_its_row_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    chmod(world, 0o600)
    pwrite = os.pwrite

    def failing(fd: int, data: bytes, offset: int) -> int:
        if how == "full":
            raise OSError(errno.ENOSPC, "full")
        return pwrite(fd, data[:5], offset)

    if how == "large":
        monkeypatch.setattr(attributelog, "MOST_BYTES", 10)
    else:
        monkeypatch.setattr(os, "pwrite", failing)
    commits = world.core.tree.store.commits
    chmod(world, 0o640, 0o700)
    assert world.core.tree.store.commits == commits + 2
    monkeypatch.undo()
    world.restart()
    assert modes(world)[:2] == [0o640, 0o700]


def test_a_node_whose_row_is_out_of_date_stays_in_memory(world: World) -> None:
    before = world.node("/a").pins
    chmod(world, 0o600)
    chmod(world, 0o640)
    assert world.node("/a").pins == before + 1
    step(world)
    assert world.node("/a").pins == before
