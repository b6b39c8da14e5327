"""An account at work, laid and built from its ports."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.core import Settings, is_acknowledged, lay, uncounted_bytes
from mountfs.errors import Forbidden, MountfsError, NoSpace, NotFound, ReadOnly, ServerFault
from mountfs.model.path import RemotePath
from mountfs.tree.database import StoreUnusable
from mountfs.tree.doubt import LOST, TORN
from mountfs.tree.recovery import Recovery
from tests.doubles.memory_account import MemoryAccount
from tests.doubles.world import World
from tests.fakes.clock import EPOCH_NS, FakeClock
from tests.unit.commit.scenarios import step_until_running

MIB = 1024 * 1024

HOUR_NS = 3600 * 10**9


def descriptors() -> set[str]:
    """The files that this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return found


# Laying


def test_idle_caches_give_way_where_the_disk_is_short_alone(tmp_path: Path) -> None:
    dropped: list[str] = []
    world = World(tmp_path)
    world.places = replace(world.places, drop_idle_caches=lambda: dropped.append(world.boot_id))
    for world.settings, expected in (({}, []), ({"cache_min_free_bytes": 1 << 60}, ["boot-1"])):
        world.restart()
        world.core.blocks.others.step(world.clock.now_s())
        assert dropped == expected
    world.close()


def test_a_new_account_has_nothing_to_be_repaired(world: World) -> None:
    assert world.core.recovery == Recovery(0, ())
    assert world.pending() == []
    assert world.notices() == []


def test_the_service_is_asked_nothing_before_somebody_looks(world: World) -> None:
    world.account.job_polls = 9
    for stage in (step_until_running, World.upload_all, World.names):
        for number in range(100):
            world.put(f"/{stage.__name__} {number}", b"x")
        stage(world)
    assert {word for _, word in world.pending()} == {"sealed", "uploaded", "committing"}
    calls = world.memory.calls()
    world.restart()
    assert len(world.pending()) == 300
    assert world.memory.calls() == calls


def test_an_unusable_store_is_told_and_left_as_it_is(world: World) -> None:
    world.put("/f", b"x")
    world.close()
    good = world.places.store.read_bytes()
    world.places.store.write_bytes(b"what is this? " * 1000)
    with pytest.raises(StoreUnusable, match=str(world.places.store)):
        lay(world.places, world.backend, world.clock, world.disk, Settings())
    assert world.places.store.read_bytes() == b"what is this? " * 1000
    assert not {str(world.places.store)} & descriptors()
    world.places.store.write_bytes(good)
    world.start()
    assert world.tree() == {"/f": b"x"}


def test_without_its_store_nothing_is_lost_but_the_order_to_send_it(world: World) -> None:
    world.put("/f", b"precious")
    world.close()
    for path in world.directory.glob("journal.db*"):
        path.unlink()
    world.start()
    shown = [body for body in world.tree().values() if body is not None]
    assert [*set_aside(world.directory), *shown] == [b"precious"]
    assert len(world.notices()) == 1
    world.settle()
    assert world.remote() == {}


def test_a_journal_that_is_cut_anywhere_costs_no_bytes_and_publishes_nothing_torn(tmp_path: Path) -> None:
    bodies = {f"/f{number}": bytes([number]) * (number + 1) for number in range(30)}
    left = World(tmp_path / "left")
    for path, body in bodies.items():
        left.put(path, body)
        number = left.fs.open(path, os.O_RDONLY).number
        left.fs.fsync(number)
        left.close_file(number)
    left.close()
    journal = left.places.store.read_bytes()
    refused = 0
    for cut in range(0, len(journal), 2048):
        directory = tmp_path / "cut"
        shutil.copytree(left.directory, directory)
        os.truncate(directory / left.places.store.name, cut)
        try:
            world = World(directory, boot_id="boot-2")
        except StoreUnusable:
            refused += 1
            assert spooled(directory) == sorted(bodies.values())
        else:
            shown = [body for body in world.tree().values() if body is not None]
            assert sorted([*shown, *set_aside(directory)]) == sorted(bodies.values())
            world.settle()
            assert world.account.files().items() <= bodies.items()
            world.close()
        shutil.rmtree(directory)
    assert refused > 5


def spooled(directory: Path) -> list[bytes]:
    """The pending bytes, by no name."""
    return sorted(filter(None, (path.read_bytes() for path in (directory / "spool").iterdir())))


def set_aside(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in (directory / "spool-set-aside").glob("*")]


def test_everything_is_let_go_of_at_the_end(tmp_path: Path) -> None:
    before = descriptors()
    world = World(tmp_path)
    world.put("/f", b"x")
    world.get("/f")
    world.settle()
    world.close()
    assert {path for path in descriptors() - before if path.startswith(str(tmp_path))} == set()


# Building


def test_what_the_last_process_left_is_sent_though_nobody_touches_it(world: World) -> None:
    world.account.write("/old", b"1")
    world.mkdir("/d")
    world.put("/d/f", b"2")
    world.rename("/old", "/new")
    world.restart()
    world.settle()
    assert world.remote() == {"/d": None, "/d/f": b"2", "/new": b"1"}


def test_what_the_last_process_had_sent_is_followed_to_its_outcome(world: World) -> None:
    world.put("/f", b"1")
    world.account.job_polls = 100
    while not world.core.committer.current:
        world.commit_steps(1)
    world.restart()
    assert [current.entries for current in world.core.committer.current] == [1]
    world.account.job_polls = 0
    world.settle(3600.0)
    assert world.revisions_of("/f") == 1
    assert len(world.account.submits) == 1


def test_file_systems_of_one_account_share_what_is_open(world: World) -> None:
    other = world.file_system(is_read_only=True)
    number = world.begin("/f", b"being written")
    reading = other.open("/f", os.O_RDONLY).number
    assert other.read(reading, 0, 100) == b"being written"
    with pytest.raises(ReadOnly):
        other.unlink("/f")
    other.release(reading)
    world.close_file(number)


def test_of_an_account_only_the_folder_that_is_mounted_is_shown(tmp_path: Path) -> None:
    account = MemoryAccount()
    account.write("/scans/a", b"1")
    account.write("/secret", b"2")
    top = RemotePath("/scans")
    world = World(tmp_path, account, settings={"top": top, "top_entry": account.get("/scans")})
    assert world.tree() == {"/a": b"1"}
    with pytest.raises(NotFound):
        world.get("/secret")
    world.put("/b", b"3")
    world.restart()
    world.settle()
    assert world.remote() == {"/scans": None, "/scans/a": b"1", "/scans/b": b"3", "/secret": b"2"}
    world.close()


def test_a_folder_is_mounted_unseen_while_the_service_is_away(tmp_path: Path) -> None:
    account = MemoryAccount()
    account.write("/scans/a", b"1")
    world = World(tmp_path, account, settings={"top": RemotePath("/scans")})
    world.memory.is_online = True
    assert world.tree() == {"/a": b"1"}
    world.close()


# What else it tells


def test_bytes_on_their_way_are_counted_against_the_quota_until_they_are_there(world: World) -> None:
    world.backend.refuse("/refused", Forbidden("not here"), times=20)
    world.put("/refused", b"1")
    world.settle()
    world.put("/~$local", b"12")
    world.put("/f", b"123")
    number = world.begin("/open", b"1234")
    world.fs.flush(number)
    assert uncounted_bytes(world.core.tree) == 7
    world.fs.release(number)
    world.settle()
    assert uncounted_bytes(world.core.tree) == 0


def test_an_order_is_acknowledged_by_what_the_service_has_from_then_on(world: World) -> None:
    acknowledged: list[str] = []

    def note(node: object, before: object, after: object) -> None:
        if is_acknowledged(before, after):  # type: ignore[arg-type]
            acknowledged.append(repr(node))

    world.core.tree.watch(note)
    world.backend.refuse("/refused", Forbidden("not here"), times=20)
    world.put("/f", b"x")
    world.put("/refused", b"x")
    world.settle()
    assert len(acknowledged) == 1
    assert "/f" in acknowledged[0]


# What was being written at a crash


def torn(world: World) -> str:
    """A file in a new folder has been open for a while at the crash; what its copy will be called."""
    world.mkdir("/d")
    world.begin("/d/f", b"half of")
    world.advance(2.0)
    world.core.durability.step(world.clock.now_s())
    return "/d/f (recovered copy testhost 2023-11-14)"


def test_a_torn_file_is_kept_beside_and_never_published(world: World) -> None:
    copy = torn(world)
    world.restart()
    world.settle()
    assert world.word(copy) == "failed"
    refusal = world.state(copy).refusal
    assert refusal is not None
    assert refusal.reason == TORN
    assert world.remote() == {"/d": None}


def test_a_torn_file_is_not_published_though_the_clock_was_set_back(world: World) -> None:
    copy = torn(world)
    world.close()
    world.clock = FakeClock(wall_ns=EPOCH_NS - HOUR_NS)
    world.start()
    world.settle()
    copies = [path for path in world.tree() if path.startswith(copy[:20])]
    assert [world.word(path) for path in copies] == ["failed"]
    assert world.remote() == {"/d": None}


def test_a_torn_file_is_not_published_by_renaming_the_folder_it_is_in(world: World) -> None:
    torn(world)
    world.restart()
    world.advance(10.0)
    world.rename("/d", "/e")
    world.settle()
    assert world.remote() == {"/e": None}


@pytest.mark.parametrize("boot_id", ["boot-1", "boot-2"], ids=["process", "machine"])
def test_a_file_that_was_edited_in_place_and_synced_when_its_writer_died_is_no_mix_of_two_versions(
    tmp_path: Path, boot_id: str
) -> None:
    world = World(tmp_path)
    old = bytes(range(256)) * 1024
    world.theirs("/f", old)
    number = world.fs.open("/f", os.O_RDWR).number
    for offset in (0, 100_000):
        world.fs.write(number, offset, b"new")
        world.fs.fsync(number)
    edited = world.fs.read(number, 0, len(old))
    world.restart(boot_id)
    world.settle()
    assert world.account.files() == {"/f": old}
    assert world.get("/f") == old
    (copy,) = world.names() - {"f"}
    assert "(recovered copy " in copy
    assert world.get(f"/{copy}") == edited
    world.close()


def torn_in_refused_folder(world: World) -> str:
    """The same, once the service has refused the folder and a start has found the file."""
    world.backend.refuse("/d", Forbidden("no"))
    copy = torn(world)
    world.settle()
    world.restart()
    world.settle()
    assert (world.word("/d"), world.word(copy)) == ("failed", "failed")
    return copy.replace("/d/", "/e/")


def test_a_torn_file_is_not_published_by_renaming_the_refused_folder_it_is_in(world: World) -> None:
    copy = torn_in_refused_folder(world)
    world.rename("/d", "/e")
    world.settle()
    assert world.remote() == {"/e": None}
    assert world.word(copy) == "failed"
    world.restart()
    world.settle()
    assert world.remote() == {"/e": None}


def test_a_torn_file_is_sent_once_it_is_renamed_itself(world: World) -> None:
    copy = torn_in_refused_folder(world)
    world.rename("/d", "/e")
    world.rename(copy, "/e/f")
    world.settle()
    assert world.remote() == {"/e": None, "/e/f": b"half of"}


def test_a_torn_file_is_sent_once_it_is_written_anew(world: World) -> None:
    copy = torn_in_refused_folder(world)
    world.rename("/d", "/e")
    world.put(copy, b"whole")
    world.settle()
    assert world.remote() == {"/e": None, copy: b"whole"}


# Bytes that are missing at a start


def lose_bytes_behind_order(world: World, path: str) -> None:
    """An order for *path* is on its way when the process dies; the bytes written there since are missing."""
    world.account.job_polls = 2
    while not world.core.committer.current:
        world.commit_steps(1)
    world.put(path, b"newer")
    content = world.state(path).content
    assert content is not None
    world.close()
    (world.places.spool / content.spool).unlink()
    world.start()
    assert world.word(path) == "committing"
    world.settle()


def test_missing_bytes_stay_failed_though_an_earlier_version_is_acknowledged(world: World) -> None:
    world.put("/a", b"old")
    lose_bytes_behind_order(world, "/a")
    assert world.core.view.state_of(["a"]) == ("failed", LOST)
    assert world.remote() == {"/a": b"old"}


@pytest.mark.parametrize(("error", "name"), [(None, "b"), (Forbidden("no"), "a")])
def test_missing_bytes_stay_failed_whether_or_not_the_service_renames_the_file(
    world: World, error: MountfsError | None, name: str
) -> None:
    for path in ("/a", "/other"):
        world.account.write(path, b"old")
    world.rename("/a", "/b")
    world.rename("/other", "/another")  # the batch is not over at once though one of it is refused
    if error is not None:
        world.backend.refuse("/b", error)
    lose_bytes_behind_order(world, "/b")
    assert world.core.view.state_of([name]) == ("failed", LOST)
    assert world.remote() == {f"/{name}": b"old", "/another": b"old"}


def test_what_the_link_delivers_is_known_to_the_next_mount(world: World) -> None:
    assert world.core.reader.link.down.told_bytes_s == 0
    world.core.reader.link.down.told_bytes_s = 123_456_789.5
    world.restart()
    assert world.core.reader.link.down.told_bytes_s == 123_456_789
    world.restart()
    assert world.core.reader.link.down.told_bytes_s == 123_456_789, "though nothing was read"


@pytest.mark.parametrize("size_bytes", [MIB, 16 * MIB])
def test_what_uploads_tell_of_the_link_is_known_to_the_next_mount(
    world: World, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    """Of small files, one by one and many at once, and of large ones; what failed tells nothing."""
    calls = []

    def take_a_second(name: str) -> None:
        original = getattr(world.backend, name)

        def call(*args: Any, **named: Any) -> Any:
            calls.append(name)
            if len(calls) == 1:
                raise ServerFault("not now")
            world.advance(1.0)
            return original(*args, **named)

        monkeypatch.setattr(world.backend, name, call)

    for name in ("append", "append_pack", "upload_whole"):
        take_a_second(name)
    for path in ("/a", "/b", "/c"):
        world.put(path, bytes(size_bytes))
    world.upload_all()
    told_bytes_s = world.core.reader.link.supposed_bytes_s
    assert 0.9 * MIB < told_bytes_s < 32 * MIB
    world.restart()
    assert world.core.reader.link.down.told_bytes_s == int(told_bytes_s)


def test_the_rate_of_the_link_is_kept_now_and_then_for_a_mount_that_is_killed(world: World) -> None:
    core = world.core
    store = core.tree.store

    def kept_after(seconds: float, told_bytes_s: float) -> tuple[str | None, int]:
        core.reader.link.down.told_bytes_s = told_bytes_s
        before = store.commits
        world.advance(seconds)
        assert step(world.clock.now_s()) == math.inf
        return store.fact("link_bytes_s"), store.commits - before

    step = core.rate.beside(lambda _now_s: math.inf)
    assert kept_after(0.0, 0.0) == (None, 0), "nothing is known yet"
    assert kept_after(30.0, 1e6) == (None, 0)
    assert kept_after(60.0, 1e6) == ("1000000", 1)
    assert kept_after(60.0, 1.4e6) == ("1000000", 0)
    assert kept_after(60.0, 5e5) == ("500000", 1)
    assert kept_after(60.0, math.inf) == (str(10**12), 1)
    assert kept_after(60.0, math.inf) == (str(10**12), 0)


@pytest.mark.parametrize(("kept", "taken"), [("fast", 0.0), ("-5", 0.0), ("9" * 40, 1e12)])
def test_a_rate_that_makes_no_sense_is_none(world: World, kept: str, taken: float) -> None:
    with world.core.tree.transaction():
        world.core.tree.store.set_fact("link_bytes_s", kept)
    world.restart()
    assert world.core.reader.link.down.told_bytes_s == taken


def test_a_mount_ends_though_the_journal_does_not_take_the_rate(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: str, value: str | None) -> None:
        raise NoSpace("the disk is full")

    world.core.reader.link.down.told_bytes_s = 1e6
    monkeypatch.setattr(world.core.tree.store, "set_fact", fail)
    world.restart()
    assert world.core.reader.link.down.told_bytes_s == 0
