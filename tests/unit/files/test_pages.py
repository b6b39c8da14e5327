"""The kernel keeps pages of a file only while they are the bytes that the file has."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from mountfs.errors import Stale
from mountfs.fuse.kernel import drops_pages
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.files.kernel import Kernel

RW = os.O_RDWR
RO = os.O_RDONLY


@pytest.fixture
def kernel(world: World) -> Kernel:
    return Kernel(world.fs)


def keeps(world: World, path: str) -> bool:
    """Whether an open lets the kernel keep its pages, and share them with this handle."""
    opened = world.fs.open(path, RO)
    world.close_file(opened.number)
    return opened.keep_cache and not opened.is_direct


# Sizes


@pytest.mark.parametrize("body", [b"longer than that", b"."], ids=["longer", "shorter"])
def test_what_somebody_else_wrote_is_read_whole_though_the_kernel_knows_the_old_size(
    world: World, body: bytes
) -> None:
    kernel = Kernel(world.fs, knows=True)
    world.theirs("/f", b"old")
    assert kernel.get("/f") == b"old"
    world.theirs("/f", body)
    assert kernel.get("/f") == body


def test_a_size_that_the_kernel_knows_goes_along_with_a_rename(world: World) -> None:
    kernel = Kernel(world.fs, knows=True)
    world.theirs("/f", b"old")
    assert kernel.get("/f") == b"old"
    kernel.rename("/f", "/g")
    world.settle()
    world.theirs("/g", b"longer than that")
    assert kernel.get("/g") == b"longer than that"


def test_a_size_that_the_kernel_knows_goes_along_with_the_rename_of_a_folder(world: World) -> None:
    kernel = Kernel(world.fs, knows=True)
    world.theirs("/d/f", b"old")
    assert kernel.get("/d/f") == b"old"
    kernel.rename("/d", "/e")
    world.settle()
    world.theirs("/e/f", b"longer than that")
    with pytest.raises(Stale):
        world.fs.open("/e/f", RO)


def test_a_size_that_the_kernel_asked_for_by_a_handle_is_noted_too(world: World) -> None:
    """libfuse says no path with that question."""
    world.theirs("/f", b"old")
    number = world.fs.open("/f", RO).number
    world.rename("/f", "/g")
    world.settle()
    world.advance(60.0)
    world.fs.fgetattr(number)
    world.close_file(number)
    world.theirs("/g", b"longer than that")
    with pytest.raises(Stale):
        world.fs.open("/g", RO)


def test_pending_bytes_are_read_whole_where_the_kernel_knows_the_size_of_another_file_there(
    world: World,
) -> None:
    """Others give the name of a folder to another one, in which a file of that name waits to be sent."""
    kernel = Kernel(world.fs, knows=True)
    world.theirs("/d/f", b"old")
    world.theirs("/e/k", b"k")
    assert kernel.get("/d/f") == b"old"
    assert world.names("/e") == {"k"}
    world.put("/e/f", b"longer than that")
    world.account.move("/d", "/x")
    world.account.move("/e", "/d")
    world.follow()
    assert world.names("/d") == {"f", "k"}
    assert kernel.get("/d/f") == b"longer than that"


def test_an_open_is_told_to_look_again_once_and_while_the_kernel_answers_by_itself(world: World) -> None:
    world.theirs("/f", b"old")
    world.fs.getattr("/f")
    world.theirs("/f", b"longer")
    with pytest.raises(Stale):
        world.fs.open("/f", RO)
    world.close_file(world.fs.open("/f", RO).number)
    world.fs.getattr("/f")
    world.theirs("/f", b"longer than that")
    world.advance(60.0)
    world.close_file(world.fs.open("/f", RO).number)


# Kept


def test_the_kernel_keeps_its_pages_while_the_bytes_are_the_same(world: World) -> None:
    world.theirs("/f", b"old")
    assert [keeps(world, "/f"), keeps(world, "/f")] == [False, True]
    world.theirs("/f", b"new")
    assert [keeps(world, "/f"), keeps(world, "/f")] == [False, True]


def test_the_kernel_keeps_the_pages_that_it_wrote_also_through_the_commit(world: World) -> None:
    kernel = Kernel(world.fs)
    writer = kernel.open("/g", RW | os.O_CREAT)
    kernel.write(writer, 0, b"mine")
    kernel.close(writer)
    world.fs.getattr("/g")
    assert keeps(world, "/g")
    world.settle()
    assert keeps(world, "/g"), "its commit changed no byte"
    world.rename("/g", "/h")
    assert keeps(world, "/h")


def test_the_kernel_keeps_the_pages_of_every_spelling_that_it_has_read(world: World) -> None:
    world.theirs("/f", b"bytes")
    assert [keeps(world, "/f"), keeps(world, "/F")] == [False, False]
    assert [keeps(world, "/f"), keeps(world, "/F")] == [True, True]


# Filled


@pytest.mark.parametrize("is_new", [True, False])
def test_who_only_writes_a_file_from_its_beginning_bypasses_the_pages_and_so_do_all_meanwhile(
    world: World, kernel: Kernel, is_new: bool
) -> None:
    if not is_new:
        kernel.put("/f", b"before")
        assert kernel.get("/f") == b"before"
    writer = kernel.open("/f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    kernel.write(writer, 0, b"one")
    reader = kernel.open("/f")
    assert (writer.is_direct, reader.is_direct) == (True, True)
    assert kernel.read(reader) == b"one"
    kernel.write(writer, 3, b"two")
    assert (kernel.read(reader), kernel.get("/f")) == (b"onetwo", b"onetwo")
    kernel.close(writer)
    assert [keeps(world, "/f"), keeps(world, "/f")] == [False, True]
    assert kernel.get("/f") == b"onetwo"


def test_who_may_read_what_is_written_or_is_not_alone_uses_the_pages(kernel: Kernel) -> None:
    assert not kernel.open("/f", RW | os.O_CREAT | os.O_TRUNC).is_direct  # it may map them
    assert not kernel.open("/f", os.O_WRONLY | os.O_TRUNC).is_direct
    assert not kernel.open("/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND).is_direct  # may stay open for long
    kernel.put("/g", b"old")
    assert not kernel.open("/g", os.O_WRONLY).is_direct  # what is left of the old bytes stays in the pages


@pytest.mark.parametrize("flags", [RO, RW, os.O_WRONLY | os.O_APPEND])
def test_what_was_filled_is_opened_with_pages_once_it_is_closed_also_before_that_is_released(
    kernel: Kernel, flags: int
) -> None:
    """Or `open(f, "wb")...; mmap(open(f))` would fail now and then."""
    writer = kernel.open("/f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    kernel.fs.flush(writer.number)  # `> f` in a shell: it closes one of two descriptors before all
    assert kernel.open("/f").is_direct
    kernel.write(writer, 0, b"one")
    kernel.fs.flush(writer.number)
    kernel.write(writer, 3, b"two")
    assert kernel.open("/f").is_direct
    kernel.fs.flush(writer.number)
    assert [kernel.open("/f", flags).is_direct, kernel.open("/f").is_direct] == [False, False]
    kernel.fs.release(writer.number)
    assert kernel.get("/f") == b"onetwo"


@pytest.mark.parametrize("flags", [RW, os.O_WRONLY, os.O_WRONLY | os.O_APPEND])
def test_who_writes_beside_the_one_that_fills_goes_on_past_the_pages_after_it(
    kernel: Kernel, flags: int
) -> None:
    first = kernel.open("/f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    second = kernel.open("/f", flags)
    kernel.write(first, 0, b"one")
    kernel.close(first)
    reader = kernel.open("/f")
    assert kernel.read(reader) == b"one"
    kernel.write(second, 3, b"two")
    assert kernel.read(reader) == b"onetwo"
    kernel.close(second)
    assert not kernel.open("/f").is_direct
    assert kernel.get("/f") == b"onetwo"


# Two versions at once


def test_a_file_that_is_opened_while_an_older_version_is_does_not_share_its_pages(
    world: World, kernel: Kernel
) -> None:
    world.theirs("/f", b"old")
    old = kernel.open("/f")
    world.theirs("/f", b"newer")
    new = kernel.open("/f")
    assert new.is_direct
    assert (kernel.read(old), kernel.read(new), kernel.read(old)) == (b"old", b"newer", b"old")


def test_a_file_that_took_the_place_of_one_that_is_open_does_not_share_its_pages(
    world: World, kernel: Kernel
) -> None:
    """To the kernel both are what has this path: others removed the one, and made the other."""
    world.theirs("/f", b"old")
    old = kernel.open("/f")
    world.account.remove("/f")
    world.theirs("/f", b"newer")
    new = kernel.open("/f")
    assert (kernel.read(old), kernel.read(new), kernel.read(old)) == (b"old", b"newer", b"old")
    assert world.fs.getattr("/f").inode == world.fs.fgetattr(new.number).inode


def test_what_is_renamed_over_another_spelling_of_an_open_file_does_not_share_its_pages(
    world: World, kernel: Kernel
) -> None:
    """libfuse hides what is open under the very path that is taken; of other spellings it knows nothing."""
    world.put("/f", b"old")
    old = kernel.open("/f")
    assert kernel.read(old) == b"old"
    kernel.put("/g", b"newer")
    kernel.rename("/g", "/F")
    assert kernel.get("/f") == b"newer"
    assert kernel.read(old) == b"old"


# Spellings


@pytest.mark.parametrize("is_settled", [True, False])
def test_what_was_read_is_read_anew_once_it_was_written_under_another_spelling(
    world: World, kernel: Kernel, is_settled: bool
) -> None:
    world.theirs("/x", b"old")
    assert (kernel.get("/X"), kernel.get("/x")) == (b"old", b"old")
    kernel.put("/x", b"NEW")
    if is_settled:
        world.settle()
    assert kernel.get("/X") == b"NEW"
    kernel.put("/X", b"two")
    if is_settled:
        world.settle()
    assert (kernel.get("/x"), kernel.get("/X")) == (b"two", b"two")


def test_what_is_being_written_under_another_spelling_is_read_as_it_is(kernel: Kernel) -> None:
    kernel.put("/x", b"old")
    assert kernel.get("/X") == b"old"
    writer = kernel.open("/x", RW)
    for body in (b"one", b"two"):
        kernel.write(writer, 0, body)
        assert (kernel.get("/X"), kernel.get("/x")) == (body, body)
    kernel.close(writer)
    assert (kernel.get("/X"), kernel.get("/x")) == (b"two", b"two")


def test_what_is_written_by_turns_under_two_spellings_is_read_as_it_is_under_each(kernel: Kernel) -> None:
    kernel.put("/x", b"old")
    writers = [kernel.open("/x", RW), kernel.open("/X", RW)]
    for count in range(4):
        body = f"{count}!!".encode()
        kernel.write(writers[count % 2], 0, body)
        assert (kernel.get("/x"), kernel.get("/X")) == (body, body)
    for writer in writers:
        kernel.close(writer)
    assert (kernel.get("/x"), kernel.get("/X")) == (b"3!!", b"3!!")


def test_what_is_written_past_the_pages_is_read_anew_once_the_older_version_is_closed(
    world: World, kernel: Kernel
) -> None:
    world.theirs("/f", b"old")
    old = kernel.open("/f")
    assert kernel.read(old) == b"old"
    world.theirs("/f", b"theirs")
    writer = kernel.open("/f", RW)
    kernel.close(old)
    assert kernel.get("/f") == b"theirs"
    kernel.write(writer, 0, b"OURS")
    assert kernel.get("/f") == b"OURSrs"
    kernel.close(writer)


def test_a_file_whose_name_was_taken_by_another_spelling_of_it_is_read_as_it_is(kernel: Kernel) -> None:
    kernel.put("/x", b"old")
    writer = kernel.open("/X", RW)
    assert kernel.get("/x") == b"old"
    kernel.rename("/x", "/X")
    kernel.write(writer, 0, b"NEW")
    assert kernel.get("/X") == b"NEW"
    kernel.write(writer, 0, b"two")
    assert kernel.get("/X") == b"two"
    kernel.close(writer)


@pytest.mark.parametrize("source", ["/d", "/other"])
def test_who_reads_an_older_version_is_not_cut_off_after_a_folder_was_renamed(
    world: World, source: str
) -> None:
    """stat(2) of the path tells the older version's size while that is open, whatever folder is renamed."""
    for folder in ("/d", "/other"):
        world.mkdir(folder)
    world.settle()
    world.theirs("/d/f", b"the older version")
    number = world.open("/d/f", RO)
    world.rename(source, "/new")
    world.settle()
    path = "/new/f" if source == "/d" else "/d/f"
    world.theirs(path, b"short")
    assert world.fs.getattr(path).size_bytes == len(b"the older version")
    world.close_file(number)
    assert world.fs.getattr(path).size_bytes == len(b"short")


def test_who_opens_a_newer_version_to_write_is_told_its_size_though_an_older_one_is_open(
    world: World,
) -> None:
    """`zip -u` appends where lseek(2) says that the file ends: there were zeros in between."""
    world.theirs("/f", b"the older version")
    older = world.open("/f", RO)
    assert world.fs.getattr("/f").size_bytes == len(b"the older version")
    world.theirs("/f", b"short")
    assert world.fs.getattr("/f").size_bytes == len(b"the older version")
    world.close_file(world.fs.open("/f", RO).number)
    with pytest.raises(Stale):
        world.fs.open("/f", RW)
    assert world.fs.getattr("/f").size_bytes == len(b"short")
    writer = world.fs.open("/f", RW)
    assert writer.is_direct
    assert world.fs.getattr("/f").size_bytes == len(b"short")
    assert world.fs.read(older, 0, 100) == b"the older version"
    world.close_file(writer.number)
    world.close_file(older)


# Calls that open nothing


@pytest.mark.parametrize("size_bytes", [2, 6])
def test_a_file_that_is_cut_by_name_after_somebody_else_changed_it_is_read_anew(
    world: World, kernel: Kernel, size_bytes: int
) -> None:
    world.theirs("/f", b"old!")
    assert kernel.get("/f") == b"old!"
    world.theirs("/f", b"THEM")
    kernel.truncate("/f", size_bytes)
    assert kernel.get("/f") == b"THEM"[:size_bytes].ljust(size_bytes, b"\0")


def test_a_file_that_is_cut_under_another_spelling_is_read_anew(kernel: Kernel) -> None:
    kernel.put("/x", b"12345")
    assert kernel.get("/X") == b"12345"
    kernel.truncate("/x", 2)
    kernel.truncate("/x", 4)
    assert (kernel.get("/X"), kernel.get("/x")) == (b"12\0\0", b"12\0\0")


def test_a_file_that_is_made_without_being_opened_has_nothing_of_what_was_there(
    world: World, kernel: Kernel
) -> None:
    world.theirs("/f", b"old")
    assert kernel.get("/f") == b"old"
    world.account.remove("/f")
    world.follow()
    world.fs.mknod("/f", 0)
    assert not keeps(world, "/f")


def test_what_is_open_below_a_folder_is_found_after_each_of_its_renames(kernel: Kernel) -> None:
    for folder in ("/a", "/b"):
        kernel.fs.mkdir(folder)
        kernel.put(f"{folder}/f", folder.encode())
    held = [kernel.open("/a/f", RW), kernel.open("/b/f", RW)]
    for source, target in (("/a", "/c"), ("/b", "/a"), ("/c", "/b")):
        kernel.fs.rename(source, target)
    kernel.write(held[0], 0, b"aa")
    kernel.write(held[1], 0, b"bb")
    for file in held:
        kernel.close(file)
    after = Kernel(kernel.fs)
    assert (after.get("/b/f"), after.get("/a/f")) == (b"aa", b"bb")


def test_what_is_written_to_a_file_that_others_took_away_is_not_shown_in_the_one_that_they_bring_back(
    tmp_path: Path,
) -> None:
    """By id: a folder that is moved away and back has the same revisions in it."""
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    kernel = Kernel(world.fs)
    world.account.mkdir("/elsewhere")
    before = world.theirs("/d/f", b"old")
    assert kernel.get("/d/f") == b"old"
    file = kernel.open("/d/f", RW)
    world.account.move("/d", "/elsewhere/d")
    world.follow()
    assert world.names() == {"elsewhere"}
    kernel.write(file, 0, b"new")
    world.account.move("/elsewhere/d", "/d")
    world.follow()
    assert world.names("/d") == {"f"}
    assert world.file("/d/f").revision == before.revision
    kernel.close(file)
    assert kernel.get("/d/f") == b"old"
    world.close()


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("6.18.5", True),
        ("6.6.0-1-amd64", True),
        ("6.1.0-25-amd64", False),
        ("5.15", False),
        ("7.0-rc1", True),
        ("odd", False),
    ],
)
def test_only_where_the_kernel_drops_pages_are_they_passed_by(release: str, expected: bool) -> None:
    assert drops_pages(release) is expected


def test_where_the_kernel_keeps_pages_what_fills_a_file_uses_them(tmp_path: Path) -> None:
    with closing(World(tmp_path, settings={"passes_pages": False})) as world:
        assert not world.fs.create("/f", os.O_WRONLY, 0o644).is_direct
