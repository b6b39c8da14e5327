"""A new file that was closed a moment ago has no row: its label tells a start about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.attributes import Caller
from mountfs.model.entry import NS_PER_S
from mountfs.spool.disk import RealDisk
from mountfs.tree.kept import Kept
from mountfs.tree.label import Label, can_be_labelled, label_of, read_label
from tests.doubles.world import World

TIME_NS = 1_600_000_000 * NS_PER_S


class Labels(RealDisk):
    """A disk that keeps labels, whatever the file system of the tests can do, as long as it *may*."""

    def __init__(self) -> None:
        self.kept: dict[int, str] = {}
        self.may = True

    def label(self, fd: int, text: str) -> bool:
        if self.may:
            self.kept[os.fstat(fd).st_ino] = text
        return self.may

    def label_of(self, path: str) -> str | None:
        return self.kept.get(os.stat(path).st_ino)


@pytest.fixture
def disk() -> Labels:
    return Labels()


@pytest.fixture
def world(tmp_path: Path, disk: Labels) -> Iterator[World]:
    world = World(tmp_path, disk=disk)
    world.mkdir("/d")
    yield world
    world.close()


def has_no_row(world: World, path: str) -> bool:
    return world.core.tree.store.node(world.node(path).id) is None


def put(world: World, path: str, body: bytes) -> None:
    world.put(path, body)
    assert has_no_row(world, path)


@pytest.mark.parametrize("body", [b"whole", b""])
def test_a_start_finds_it_and_sends_it(world: World, body: bytes) -> None:
    put(world, "/d/a", body)
    world.restart()
    assert world.tree() == {"/d": None, "/d/a": body}
    world.settle()
    assert world.remote() == {"/d": None, "/d/a": body}
    assert world.core.tree.store.notices.all() == []


def test_files_keep_their_inode_numbers_whatever_their_names_in_the_spool(world: World) -> None:
    paths = [f"/d/{number}" for number in range(8)]
    for path in paths:
        put(world, path, b"whole")
    before = [world.node(path).id for path in paths]
    world.restart()
    assert [world.node(path).id for path in paths] == before
    world.put("/d/new", b"another")
    assert world.node("/d/new").id not in before


def test_an_inode_number_that_another_file_has_by_now_is_not_given_twice(world: World, disk: Labels) -> None:
    put(world, "/a", b"one")
    [label] = disk.kept.values()
    world.mkdir("/e")
    for name, number in (("folder", world.node("/e").id), ("top", 1), ("zero", 0), ("beyond", 2**63 - 1)):
        twin = world.core.spool.create()
        twin.pwrite(0, b"one")
        twin.label(label.replace(f":{world.node('/a').id} a", f":{number} {name}"))
        twin.close()
    world.restart()
    ids = {path: world.node(path).id for path in ("/a", "/d", "/e", "/folder", "/top", "/zero", "/beyond")}
    assert len(set(ids.values())) == len(ids)
    assert max(ids.values()) < 2**40
    assert min(ids.values()) > 1


def test_it_has_the_time_that_it_was_given_before_it_was_closed(world: World) -> None:
    number = world.fs.create("/a", os.O_WRONLY).number
    world.fs.write(number, 0, b"bytes")
    world.fs.metadata.utimens("/a", TIME_NS)
    world.fs.flush(number)
    world.fs.release(number)
    assert has_no_row(world, "/a")
    world.restart()
    assert world.fs.getattr("/a").mtime_ns == TIME_NS


def test_what_was_written_past_its_close_is_cut(world: World) -> None:
    put(world, "/a", b"whole")
    [name] = world.core.spool.names()
    (world.core.spool.directory / name).write_bytes(b"whole and more")
    world.restart()
    assert world.tree()["/a"] == b"whole"


def test_after_a_power_loss_its_bytes_are_in_doubt(world: World) -> None:
    put(world, "/a", b"whole")
    world.restart("another boot")
    assert "/a" not in world.tree()
    assert len(world.tree()) == 2


def test_it_is_not_back_once_it_was_removed(world: World) -> None:
    put(world, "/d/a", b"whole")
    world.fs.unlink("/d/a")
    world.restart()
    assert world.tree() == {"/d": None}
    assert world.core.tree.store.notices.all() == []


def test_it_is_not_back_once_another_took_its_name(world: World) -> None:
    put(world, "/a", b"old")
    put(world, "/b", b"new")
    world.fs.rename("/b", "/a")
    world.restart()
    assert world.tree() == {"/d": None, "/a": b"new"}


def test_it_has_the_name_it_was_given_after_its_close(world: World) -> None:
    put(world, "/a", b"whole")
    world.fs.rename("/a", "/d/b")
    world.restart()
    assert world.tree() == {"/d": None, "/d/b": b"whole"}


def test_it_follows_the_folder_it_is_in(world: World) -> None:
    put(world, "/d/a", b"whole")
    world.fs.rename("/d", "/e")
    world.restart()
    assert world.tree() == {"/e": None, "/e/a": b"whole"}


def test_it_has_the_time_it_was_given_after_its_close(world: World) -> None:
    put(world, "/a", b"whole")
    world.fs.metadata.utimens("/a", TIME_NS)
    world.restart()
    assert world.fs.getattr("/a").mtime_ns == TIME_NS


def test_the_newer_version_of_it_is_the_one_that_is_found(world: World) -> None:
    put(world, "/a", b"old")
    world.put("/a", b"newer")
    world.restart()
    assert world.tree() == {"/d": None, "/a": b"newer"}


@pytest.mark.parametrize("may", [True, False])
def test_it_is_torn_once_it_is_written_to_again(world: World, disk: Labels, may: bool) -> None:
    number = world.fs.create("/a", os.O_WRONLY).number
    world.fs.write(number, 0, b"whole")
    world.fs.flush(number)
    assert has_no_row(world, "/a")
    disk.may = may
    world.fs.write(number, 0, b"tor")
    world.restart()
    names = set(world.tree())
    assert "/a" not in names
    assert len(names) == 2


def test_where_labels_cannot_be_kept_its_row_is_written_at_once(world: World, disk: Labels) -> None:
    disk.may = False
    world.put("/a", b"whole")
    assert not has_no_row(world, "/a")
    world.restart()
    assert world.tree() == {"/d": None, "/a": b"whole"}


def test_it_is_kept_beside_where_its_name_is_taken(world: World, disk: Labels) -> None:
    put(world, "/a", b"one")
    [label] = disk.kept.values()
    twin = world.core.spool.create()
    twin.pwrite(0, b"two")
    twin.label(label)
    twin.close()
    world.restart()
    assert sorted(body for body in world.tree().values() if body is not None) == [b"one", b"two"]


def test_what_is_known_when_a_mount_is_stopped_needs_no_labels(world: World, disk: Labels) -> None:
    put(world, "/a", b"whole")
    world.core.durability.save()
    disk.kept.clear()
    world.restart("another boot")
    assert not world.core.tree.unsaved
    assert len(world.tree()) == 2


ODD_LABELS = {
    "a folder of many digits": "9" * 5000 + " x",
    "a folder beyond any number": "9" * 30 + " x",
    "a size of many digits": f"1:{'9' * 5000}:5 x",
    "a size beyond any number": f"1:{'9' * 30}:5 x",
    "a time of many digits": f"1:5:{'9' * 5000} x",
    "a time beyond any number": f"1:5:{'9' * 30} x",
    "an inode number of many digits": f"1:5:5:{'9' * 5000} x",
    "a name with a slash": "1:5:5 a/b",
    "a name with a zero": "1:5:5 a\0b",
    "the folder itself": "1:5:5 .",
    "the folder above": "1:5:5 ..",
    "no name": "1:5:5 ",
}


@pytest.mark.parametrize("label", ODD_LABELS.values(), ids=ODD_LABELS)
def test_a_label_that_makes_no_sense_says_nothing_and_keeps_no_mount_from_starting(
    tmp_path: Path, disk: Labels, label: str
) -> None:
    world = World(tmp_path, disk=disk)
    world.put("/f", b"1")
    spool = world.core.spool.create()
    spool.pwrite(0, b"hello")
    assert spool.label(label)
    spool.close()
    world.restart()
    assert world.pending() == [("/f", "sealed")]
    assert world.names() == {"f"}
    assert world.core.recovery.strays == (spool.name,)
    world.close()


@pytest.mark.parametrize("mtime_ns", [-(2**62) * 10**9, 2**62 * 10**9, 0])
def test_a_label_tells_any_time(mtime_ns: int) -> None:
    assert read_label(f"7:5:{mtime_ns} a b") == Label(7, "a b", 5, mtime_ns)
    assert read_label(f"7:5:{mtime_ns}:8 a b") == Label(7, "a b", 5, mtime_ns, node_id=8)


def test_attributes_that_do_not_fit_into_a_label_cost_a_row_and_never_the_mode(world: World) -> None:
    number = world.fs.create("/key", os.O_WRONLY | os.O_CREAT, 0o600, Caller(0, 0)).number
    world.fs.write(number, 0, b"secret")
    world.fs.metadata.setxattr("/key", "user.note", b"with spaces")
    kept = world.state("/key").kept
    assert not can_be_labelled(kept)
    told = read_label(label_of(world.core.tree.root, "key", kept))
    assert told is not None
    assert told.kept is not None
    assert told.kept.mode == 0o600
    world.fs.flush(number)
    assert world.node("/key").is_saved
    world.restart()
    assert world.fs.metadata.getxattr("/key", "user.note") == b"with spaces"


@pytest.mark.parametrize(
    "attributes",
    ["{nonsense}", '{"mode":"x"}', '{"unknown":1}', '{"mode":-1}', f'{{"uid":{2**32}}}', '{"mode":41471}'],
)
def test_a_label_with_attributes_that_make_no_sense_is_none(attributes: str) -> None:
    assert read_label(f"7{attributes} a") is None
    assert read_label("7{} a") == Label(7, "a", kept=Kept())


def test_rows_of_many_files_and_that_they_are_synced_are_one_transaction_and_no_news(world: World) -> None:
    """Beside the one for the time of their folder."""
    tree, told = world.core.tree, list[str]()
    for name in ("a", "b", "c"):
        world.put(f"/{name}", b"x")
    world.core.plan.look(world.clock.now_s())
    tree.watch(lambda node, _before, _after: told.append(node.state.name))
    commits, looks = tree.store.commits, world.core.plan.looks
    assert len(tree.unsaved) == 3
    world.core.durability.step(world.clock.now_s())
    world.core.plan.look(world.clock.now_s())
    assert (tree.store.commits, world.core.plan.looks, told) == (commits + 2, looks, [])
    assert not tree.unsaved
    rows = list(tree.store.contents())
    assert [content.is_synced for content, _, _ in rows] == [True] * 3
    assert all(world.state(f"/{name}").content in [content for content, _, _ in rows] for name in "abc")
    world.restart(boot_id="after a power loss")
    assert world.get("/b") == b"x"


def test_a_version_and_the_next_one_of_a_file_are_both_marked_as_synced(world: World) -> None:
    world.put("/f", b"x")
    number = world.fs.open("/f", os.O_WRONLY).number
    world.fs.write(number, 0, b"yy")
    world.fs.flush(number)
    world.core.durability.step(world.clock.now_s())
    state = world.state("/f")
    assert state.content is not None
    assert state.draft is not None
    assert (state.content.is_synced, state.draft.is_synced) == (True, True)
    rows = {content.id: content for content, _, _ in world.core.tree.store.contents()}
    assert rows == {each.id: each for each in (state.content, state.draft)}
    world.fs.release(number)


@pytest.mark.parametrize("is_removed", [False, True], ids=["named", "removed"])
@pytest.mark.parametrize("behind", [False, True], ids=["cut", "extended"])
def test_bytes_that_were_only_cut_when_the_process_died_are_known_for_whose_they_are(
    world: World, is_removed: bool, behind: bool
) -> None:
    world.put("/f", b"whole")
    number = world.open("/f", os.O_RDWR)
    if is_removed:
        world.rename("/f", "/.fuse_hidden0000000000000001")
    world.fs.ftruncate(number, 9 if behind else 4)
    world.restart()
    copy = "/f (recovered copy testhost 2023-11-14)"
    left = b"whole\0\0\0\0" if behind else b"whol"
    expected = {} if is_removed else {"/f": b"whole", copy: left}
    assert world.tree() == {"/d": None, **expected}
    assert not list(world.directory.glob("spool-set-aside/*"))
