"""What is pinned is fetched, stays here, and follows what others change."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.upkeep.pinner import LONGEST_S, LOOK_S, PASS_S, Pinner
from daemon.upkeep.pins import Pins
from mountfs.errors import DiskFull, Forbidden, Unreachable
from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from mountfs.spool.disk import RealDisk
from mountfs.tree import chunks
from tests.doubles.counting_lock import counted, longest_hold
from tests.doubles.world import World

MIB = 1024 * 1024


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, settings={"cache_bytes": 4 * MIB})
    for number in range(10):
        made.account.write(f"/kept/d{number % 3}/f{number}", bytes([number]) * 1000)
    made.account.write("/kept/big", bytes(range(256)) * (12 * MIB // 256))
    made.account.write("/other", b"o" * MIB)
    made.follow()
    yield made
    made.close()


def pinner_of(world: World) -> Pinner:
    core = world.core
    return Pinner(core.view, core.blocks, core.reader, world.clock)


def run(world: World, pinner: Pinner) -> None:
    """Until there is nothing to do for a while."""
    for _ in range(1000):
        if pinner.step(world.clock.now_s()) > world.clock.now_s():
            return
    raise AssertionError("the pinner does not come to an end")


def all_here(world: World, pinner: Pinner) -> bool:
    return all(kept.cached_bytes == kept.size_bytes and kept.files for kept in pinner.kept())


def test_without_a_pin_nothing_is_ever_due(world: World) -> None:
    pinner = pinner_of(world)
    assert pinner.step(world.clock.now_s()) == math.inf
    assert world.memory.calls().get("read", 0) == 0


def test_a_pinned_folder_is_fetched_and_read_without_the_service(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    (kept,) = pinner.kept()
    assert (kept.files, kept.size_bytes, kept.cached_bytes) == (11, 10_000 + 12 * MIB, 10_000 + 12 * MIB)
    assert pinner.wanted_bytes == kept.size_bytes == world.core.blocks.pinned_bytes
    world.memory.is_online = False
    assert world.get("/kept/d1/f4") == bytes([4]) * 1000
    assert len(world.get("/kept/big")) == 12 * MIB


def test_a_document_without_bytes_is_no_part_of_what_is_to_be_here(world: World) -> None:
    """`mountfs pin` would tell for ever that some of the folder is missing."""
    document = world.account.write("/kept/d1/doc.paper", b"p" * 500)
    world.account.tree._entries[document.id] = replace(document, is_downloadable=False)
    world.follow()
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    (kept,) = pinner.kept()
    assert (kept.files, kept.size_bytes, kept.cached_bytes) == (11, 10_000 + 12 * MIB, 10_000 + 12 * MIB)


def test_what_is_pinned_stays_though_much_else_is_read(world: World) -> None:
    """It is three times what the cache keeps of others."""
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    for number in range(8):
        world.account.write(f"/read{number}", bytes([number]) * MIB)
    world.follow()
    for number in range(8):
        world.get(f"/read{number}")
    assert all_here(world, pinner)
    reads = world.memory.calls()["read"]
    world.get("/kept/big")
    assert world.memory.calls()["read"] == reads
    assert world.core.blocks.used_bytes <= 4 * MIB + 12 * MIB + 10_000


def test_what_others_change_is_fetched_too(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    world.account.write("/kept/d1/f4", b"theirs")
    world.account.write("/kept/new/deep", b"new")
    world.follow()
    assert pinner.step(world.clock.now_s()) <= world.clock.now_s()
    run(world, pinner)
    world.memory.is_online = False
    assert world.get("/kept/d1/f4") == b"theirs"
    assert world.get("/kept/new/deep") == b"new"


def test_what_is_in_a_folder_that_cannot_be_looked_into_stays_pinned(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    pinned_bytes = world.core.blocks.pinned_bytes
    world.theirs("/kept/d1/more", b"more")
    world.backend.fail("list_folder", Forbidden("no"), times=9)
    world.advance(LONGEST_S)
    run(world, pinner)
    world.advance(LONGEST_S)
    run(world, pinner)
    assert world.core.blocks.pinned_bytes == pinned_bytes


def test_what_a_bug_kept_from_being_looked_into_stays_pinned(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    pinned_bytes = world.core.blocks.pinned_bytes
    world.theirs("/kept/d1/more", b"more")
    world.advance(LONGEST_S)
    with monkeypatch.context() as patched:
        patched.setattr(pinner, "_in", lambda _folder_id: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(world, pinner)
    assert world.core.blocks.pinned_bytes == pinned_bytes
    run(world, pinner)
    assert world.core.blocks.pinned_bytes == pinned_bytes + len(b"more")


def test_where_nothing_changes_nothing_is_looked_at_again(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    before = world.memory.calls()
    assert pinner.step(world.clock.now_s()) == world.clock.now_s() + LOOK_S
    assert world.memory.calls() == before


def test_what_a_cleaner_removed_or_cut_is_fetched_though_nobody_changes_or_reads_anything(
    world: World, tmp_path: Path
) -> None:
    """It counted as being here, and could not be read once the service was away."""
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    cached = [each for each in tmp_path.rglob("cache/*") if each.suffix != ".sums"]
    assert len(cached) == 11
    for number, each in enumerate(sorted(cached)):
        if number % 2:
            each.unlink()
        else:
            os.truncate(each, 0)
    world.advance(PASS_S)
    run(world, pinner)
    world.memory.is_online = False
    assert world.get("/kept/d1/f4") == bytes([4]) * 1000
    assert world.get("/kept/big") == bytes(range(256)) * (12 * MIB // 256)
    assert all_here(world, pinner)


def test_to_pin_again_fetches_what_a_cleaner_removed(world: World, tmp_path: Path) -> None:
    """Who misses it does not wait for an hour."""
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    for each in tmp_path.rglob("cache/*"):
        each.unlink()
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    world.memory.is_online = False
    assert world.get("/kept/d1/f4") == bytes([4]) * 1000
    assert all_here(world, pinner)


def test_a_pin_outlives_the_process_and_a_rename(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    world.rename("/kept", "/renamed")
    world.settle()
    world.restart()
    again = pinner_of(world)
    world.get("/other")  # evicts nothing of a former process before it is known what is pinned
    world.follow()
    reads = world.memory.calls()["read"]
    run(world, again)
    assert world.memory.calls()["read"] == reads
    assert [kept.node for kept in again.kept()] == [world.node("/renamed")]
    assert all_here(world, again)


def test_what_is_unpinned_goes_as_other_files_do(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    pinner.pin(world.node("/kept/d1"))
    run(world, pinner)
    assert pinner.unpin(RemotePath("/kept"))
    assert not pinner.unpin(RemotePath("/kept"))
    run(world, pinner)
    assert world.core.blocks.used_bytes <= 4 * MIB + 4_000
    assert [kept.node for kept in pinner.kept()] == [world.node("/kept/d1")]
    assert all_here(world, pinner)


def test_while_the_service_is_away_it_is_tried_again_later(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    world.backend.fail("read", Unreachable("away"), times=3)
    for _ in range(200):
        due_s = pinner.step(world.clock.now_s())
        if due_s > world.clock.now_s() + LOOK_S / 2:
            break
        world.advance(max(0.0, due_s - world.clock.now_s()))
    run(world, pinner)
    assert all_here(world, pinner)


def test_former_versions_and_what_went_elsewhere_make_room(world: World) -> None:
    """A file that is written each day would fill the disk with all its versions."""
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    for number in range(5):
        world.account.write("/kept/d1/f4", bytes([number]) * MIB)
        world.follow()
        run(world, pinner)
    (kept,) = pinner.kept()
    assert world.core.blocks.pinned_bytes == kept.cached_bytes == kept.size_bytes == 13 * MIB + 9_000
    world.account.remove("/kept/d1/f4")
    world.rename("/kept/big", "/elsewhere")
    world.settle()
    world.follow()
    run(world, pinner)
    assert world.core.blocks.pinned_bytes == 9_000
    assert world.core.blocks.used_bytes <= 4 * MIB + 9_000
    world.account.remove("/kept")
    world.follow()
    run(world, pinner)
    assert world.core.blocks.pinned_bytes == 0


def test_what_is_pinned_is_here_however_small_the_cache_is(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"cache_bytes": 1000})
    world.account.write("/kept/big", bytes(range(256)) * (9 * MIB // 256))
    world.account.write("/kept/small", b"s" * 2000)
    world.follow()
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    assert all_here(world, pinner)
    world.close()


def test_who_saves_by_a_rename_keeps_the_pin(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/other"))
    run(world, pinner)
    world.put("/.other.tmp", b"saved")
    world.rename("/.other.tmp", "/other")
    world.settle()
    world.follow()
    run(world, pinner)
    (kept,) = pinner.kept()
    assert (kept.node, kept.files, kept.cached_bytes) == (world.node("/other"), 1, 5)


def test_what_was_moved_aside_and_made_anew_keeps_the_pin(world: World) -> None:
    """Vim, where it keeps a backup."""
    pinner = pinner_of(world)
    pinner.pin(world.node("/other"))
    run(world, pinner)
    world.rename("/other", "/other~")
    world.put("/other", b"saved")
    pinner.pin(world.node("/kept/d1"))  # a pass in between
    run(world, pinner)
    world.fs.unlink("/other~")
    world.settle()
    world.follow()
    run(world, pinner)
    assert [(kept.path.text, kept.files) for kept in pinner.kept()] == [("/other", 1), ("/kept/d1", 3)]
    assert all_here(world, pinner)


def test_what_others_remove_stays_pinned_for_when_it_is_there_again(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    world.account.remove("/kept")
    world.follow()
    run(world, pinner)
    assert [(kept.path.text, kept.node) for kept in pinner.kept()] == [("/kept", None)]
    world.account.write("/kept/again", b"again")
    world.follow()
    run(world, pinner)
    world.memory.is_online = False
    assert world.get("/kept/again") == b"again"
    assert pinner.unpin(RemotePath("/kept"))


def test_what_is_unpinned_is_fetched_no_further(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    while not world.memory.calls().get("read"):
        pinner.step(world.clock.now_s())
    reads = world.memory.calls()["read"]
    assert pinner.unpin(RemotePath("/kept"))
    run(world, pinner)
    assert world.memory.calls()["read"] == reads


def test_what_is_unpinned_before_it_was_looked_at_is_not_fetched(world: World) -> None:
    pinner = pinner_of(world)
    run(world, pinner)
    for path in ("/other", "/kept"):
        pinner.pin(world.node(path))
        assert pinner.unpin(RemotePath(path))
        run(world, pinner)
    assert not world.memory.calls().get("read")
    assert not world.core.blocks.pinned_bytes


def test_a_large_file_that_is_unpinned_while_it_is_fetched_is_fetched_no_further(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinner, read, reads = pinner_of(world), world.core.reader.read, list[int]()

    def unpinning(file: File, offset: int, length: int, *, ahead: bool = True) -> bytes:
        reads.append(offset)
        assert pinner.unpin(RemotePath("/kept/big")) is (len(reads) == 1)
        return read(file, offset, length, ahead=ahead)

    monkeypatch.setattr(world.core.reader, "read", unpinning)
    pinner.pin(world.node("/kept/big"))
    run(world, pinner)
    assert reads == [0]
    assert pinner.wanted_bytes == 0


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_large_file_that_others_replace_while_it_is_fetched_is_fetched_no_further(
    world: World, monkeypatch: pytest.MonkeyPatch, *, is_removed: bool
) -> None:
    pinner, read = pinner_of(world), world.core.reader.read
    old, reads = world.account.files()["/kept/big"], list[tuple[str, int]]()

    def replacing(file: File, offset: int, length: int, *, ahead: bool = True) -> bytes:
        data = read(file, offset, length, ahead=ahead)
        reads.append((file.revision, offset))
        if len(reads) == 1:
            if is_removed:
                world.account.remove("/kept/big")
            else:
                world.account.write("/kept/big", old[::-1])
            world.follow()
        return data

    pinner.pin(world.node("/kept/big"))
    monkeypatch.setattr(world.core.reader, "read", replacing)
    run(world, pinner)
    first = reads[0][0]
    assert [offset for revision, offset in reads if revision == first] == [0]
    assert len(reads) == (1 if is_removed else 4)
    if not is_removed:
        world.memory.is_online = False
        assert world.get("/kept/big") == old[::-1]


def test_a_large_file_is_fetched_to_its_end_though_its_folder_may_not_be_listed_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is pinned and still to be fetched would wait for it."""
    pinner, read = pinner_of(world), world.core.reader.read
    pinner.pin(world.node("/kept/big"))

    def refused(file: File, offset: int, length: int, *, ahead: bool = True) -> bytes:
        if not offset:
            world.theirs("/kept/more", b"more")
            world.advance(LONGEST_S)
            world.backend.fail("list_folder", Forbidden("no"), times=9)
        return read(file, offset, length, ahead=ahead)

    monkeypatch.setattr(world.core.reader, "read", refused)
    run(world, pinner)
    assert all_here(world, pinner)


class BoundedDisk(RealDisk):
    """Has room for so many bytes of the cache and of others."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self.size_bytes = size_bytes
        self.others_bytes = 0

    def free_bytes(self, directory: str) -> int:
        stored = sum(512 * found.stat().st_blocks for found in os.scandir(directory))
        return self.size_bytes - self.others_bytes - stored


def test_what_gave_way_is_fetched_once_the_disk_has_room_again_and_not_before(tmp_path: Path) -> None:
    disk = BoundedDisk(500 * MIB)
    world = World(tmp_path, disk=disk, settings={"cache_bytes": 8 * MIB, "cache_min_free_bytes": MIB})
    for number in range(20):
        world.account.write(f"/kept/f{number}", bytes([number]) * 5 * MIB)
    world.account.write("/other", b"o" * 8 * MIB)
    world.follow()
    world.get("/other")
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    run(world, pinner)
    assert all_here(world, pinner)
    disk.others_bytes = 430 * MIB
    world.core.blocks.make_room()
    world.advance(LONGEST_S)
    with pytest.raises(DiskFull):
        run(world, pinner)
    reads = world.memory.calls()["read"]
    world.advance(LONGEST_S)
    with pytest.raises(DiskFull):
        run(world, pinner)
    assert not all_here(world, pinner)
    assert world.memory.calls()["read"] == reads
    disk.others_bytes = 0
    run(world, pinner)
    assert all_here(world, pinner)
    world.close()


@pytest.mark.parametrize("at", [0, 4 * MIB])
def test_what_a_quota_did_not_take_is_fetched_once_it_does_though_nobody_changes_anything(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The free room of the disk does not tell of a quota, and only what had been lost was fetched again."""
    pinner, pwrite = pinner_of(world), os.pwrite
    pinner.pin(world.node("/kept/big"))

    def refuse(fd: int, data: bytes, offset: int) -> int:
        if data and offset >= at:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return pwrite(fd, data, offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", refuse)
        run(world, pinner)
    assert not all_here(world, pinner)
    reads = world.memory.calls()["read"]
    run(world, pinner)
    assert world.memory.calls()["read"] == reads
    world.advance(LONGEST_S)
    run(world, pinner)
    assert all_here(world, pinner)


def test_what_is_pinned_after_a_quota_is_raised_is_fetched_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinner = pinner_of(world)

    def refuse(_fd: int, _data: bytes, _offset: int) -> int:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    pinner.pin(world.node("/kept/big"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", refuse)
        run(world, pinner)
    assert not all_here(world, pinner)
    pinner.pin(world.node("/other"))
    run(world, pinner)
    assert all_here(world, pinner)


def test_what_is_pinned_twice_or_has_the_same_bytes_is_wanted_once(world: World) -> None:
    """Else `mountfs status` says for ever that not all of it is here."""
    world.account.write("/kept/copy", bytes([4]) * 1000)
    world.follow()
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    pinner.pin(world.node("/kept/d1"))
    run(world, pinner)
    assert pinner.wanted_bytes == world.core.blocks.pinned_bytes == 12 * MIB + 10_000


def test_what_is_unpinned_gives_way_though_a_pinned_folder_cannot_be_looked_into(world: World) -> None:
    pinner = pinner_of(world)
    pinner.pin(world.node("/kept"))
    pinner.pin(world.node("/other"))
    run(world, pinner)
    pinned_bytes = world.core.blocks.pinned_bytes
    world.theirs("/kept/d1/more", b"more")
    world.backend.fail("list_folder", Forbidden("no"), times=99)
    pinner.unpin(RemotePath("/other"))
    for _ in range(3):
        world.advance(LONGEST_S)
        run(world, pinner)
    assert world.core.blocks.pinned_bytes == pinned_bytes - MIB


def looks_of_pins(directory: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> int:
    """Contents looked at while *count* files are pinned one by one, each when all before it are here."""
    world = World(directory)
    for number in range(count):
        world.account.write(f"/d/{number}", bytes([number]) * 100)
    world.follow()
    world.names("/d")
    pinner, pin, looks = pinner_of(world), world.core.blocks.pin, list[str]()

    def looking(file: File) -> bool:
        looks.append(file.name)
        return pin(file)

    with monkeypatch.context() as patch:
        patch.setattr(world.core.blocks, "pin", looking)
        run(world, pinner)
        for number in range(count):
            pinner.pin(world.node(f"/d/{number}"))
            run(world, pinner)
            assert pinner.wanted_bytes == world.core.blocks.pinned_bytes == 100 * (number + 1)
    assert all_here(world, pinner)
    world.close()
    return len(looks)


def test_to_pin_one_thing_more_looks_at_that_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each began a pass over all that was pinned: 5,000 by command line looked at 12 million."""
    few = looks_of_pins(tmp_path / "few", monkeypatch, 10)
    assert looks_of_pins(tmp_path / "many", monkeypatch, 50) == 5 * few


def test_what_is_pinned_while_another_is_fetched_is_fetched_by_the_same_pass(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinner, begin, passes = pinner_of(world), world.core.blocks.begin_pins, list[float]()

    def counted_begin() -> None:
        passes.append(world.clock.now_s())
        begin()

    monkeypatch.setattr(world.core.blocks, "begin_pins", counted_begin)
    pinner.pin(world.node("/kept"))
    while not world.memory.calls().get("read"):
        pinner.step(world.clock.now_s())
    pinner.pin(world.node("/other"))
    run(world, pinner)
    assert all_here(world, pinner)
    assert len(passes) == 1


def hold_of_pins(directory: Path, count: int) -> int:
    """The nodes of what is pinned are looked for, as in each pass."""
    world, lock = counted(directory)
    for number in range(count):
        world.account.write(f"/d/{number}", b"")
    world.follow()
    world.names("/d")
    pins = Pins(world.core.view)
    for number in range(count):
        pins.add(world.node(f"/d/{number}"))
    found = longest_hold(lock, pins.nodes)
    assert [str(path) for path, _ in pins.nodes()] == [f"/d/{number}" for number in range(count)]
    world.close()
    return found


def holds_of_changed_pins(directory: Path, count: int) -> dict[str, int]:
    """One thing more is pinned, a pin ends, and all have to know that their folder was renamed."""
    world, lock = counted(directory)
    names = [*map(str, range(count)), "last"]  # the same last one, since folded names are remembered
    for name in names:
        world.account.write(f"/d/{name}", b"")
    world.follow()
    world.names("/d")
    pins = Pins(world.core.view)
    for name in names[:-1]:
        pins.add(world.node(f"/d/{name}"))
    node = world.node("/d/last")
    found = {"pin": longest_hold(lock, lambda: pins.add(node))}
    found["unpin"] = longest_hold(lock, lambda: pins.remove(RemotePath.parse("/d/7")))
    world.rename("/d", "/e")
    world.settle()
    found["rename"] = longest_hold(lock, pins.refresh)
    assert [str(pin.path) for pin in pins.all()] == [f"/e/{name}" for name in names if name != "7"]
    world.close()
    return found


def test_to_pin_and_to_unpin_take_as_much_however_much_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pins were read, and written anew, under the lock: 30 ms for each of 2,000, and for each again after
    their folder was renamed."""
    monkeypatch.setattr(chunks, "CHUNK", 20)
    small = holds_of_changed_pins(tmp_path / "small", 40)
    large = holds_of_changed_pins(tmp_path / "large", 200)
    assert {what: hold > small[what] * 1.2 for what, hold in large.items()} == dict.fromkeys(small, False)


def test_what_is_pinned_is_looked_for_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 20)
    small = hold_of_pins(tmp_path / "small", 40)
    assert hold_of_pins(tmp_path / "large", 200) <= small * 1.2
