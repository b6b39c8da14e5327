"""What others do while something of ours is on its way, or was made from what they replaced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mountfs.errors import Busy, Forbidden, MountfsError, Offline
from mountfs.model.entry import Listed
from mountfs.model.order import Order
from mountfs.model.path import RemotePath
from mountfs.ports import BackendLimits, Launch
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.soundness import faults_of
from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """On a service that names items by id."""
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    yield world
    world.close()


def test_a_folder_that_moved_on_before_its_reply_came_is_one_folder_in_its_new_place(world: World) -> None:
    world.account.job_polls = 1
    world.account.mkdir("/old")
    world.mkdir("/old/new")
    world.commit_steps(2)
    assert world.word("/old/new") == "committing"
    world.account.move("/old/new", "/elsewhere")
    world.follow()
    assert world.names() == {"old", "elsewhere"}
    assert world.names("/old") == {"new"}  # its reply is still to come
    world.settle()
    assert world.tree() == world.remote() == {"/old": None, "/elsewhere": None}
    assert world.pending() == []


@pytest.mark.parametrize("how", ["waits", "writes into it", "removes it", "writes into what was listed"])
def test_what_others_make_in_a_new_folder_that_was_listed_elsewhere_before_its_reply_came_is_shown(
    world: World, how: str
) -> None:
    world.account.mkdir("/d/x")
    world.account.mkdir("/a")
    world.follow()
    world.tree()
    world.mkdir("/d/c")
    world.advance(3.0)
    world.account.job_polls = 5
    world.core.committer.step(world.clock.now_s())
    world.account.move("/d", "/a/e")
    assert world.core.listings.try_relist(world.core.tree.root)  # before the news tell where it went
    world.follow()
    assert world.names("/a/e") == {"x", "c"}
    assert world.names("/a/e/c") == set()
    if how == "writes into it":
        world.put("/d/c/f", b"ours")
    elif how == "writes into what was listed":
        world.put("/a/e/c/f", b"ours")
    elif how == "removes it":
        world.fs.rmdir("/d/c")
    world.account.job_polls = 0
    world.settle()
    world.account.mkdir("/a/e/c/new")
    world.follow()
    if "d" in world.names():
        world.names("/d")
    for _ in range(3):
        world.tree()
        world.settle()
        world.follow()
    assert world.tree() == world.remote()
    assert "/a/e/c/new" in world.remote()
    files = {body for body in world.remote().values() if body is not None}
    assert files == ({b"ours"} if how.startswith("writes") else set())
    assert faults_of(world.core.tree) == []


def test_a_file_renamed_over_another_and_written_spares_what_others_put_at_its_old_name(world: World) -> None:
    world.account.write("/source", b"source")
    world.account.write("/target", b"target")
    assert world.get("/source") == b"source"
    world.account.write("/source", b"theirs")
    world.rename("/source", "/target")
    world.put("/target", b"ours")
    world.follow()
    world.names()
    world.settle()
    assert world.remote() == world.tree() == {"/source": b"theirs", "/target": b"ours"}
    assert world.notices() == ["not removed: somebody else changed it meanwhile"]


def test_what_others_put_into_a_new_folder_is_seen_though_its_news_are_lost_before_its_reply(
    world: World,
) -> None:
    world.account.job_polls = 1
    world.mkdir("/new")
    world.commit_steps(2)
    assert world.word("/new") == "committing"
    world.account.mkdir("/new/theirs")
    world.account.void_cursors()
    world.follow()
    world.settle()
    assert world.tree() == world.remote() == {"/new": None, "/new/theirs": None}


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
def test_a_folder_that_we_move_into_one_that_others_then_put_into_it_closes_no_circle(
    tmp_path: Path, limits: BackendLimits
) -> None:
    """Our `mv x y/x` takes effect, others make it `mv y/x z; mv y z/y`, and only then comes our reply."""
    world = World(tmp_path, limits=limits)
    world.account.job_polls = 1
    for path in ("/x", "/y"):
        world.account.mkdir(path)
        world.account.write(f"{path}/f", path.encode())
    world.follow()
    world.tree()
    moved = world.node("/x")
    world.rename("/x", "/y/x")
    world.commit_steps(2)
    assert world.word("/y/x") == "committing"
    world.account.move("/y/x", "/z")
    world.account.move("/y", "/z/y")
    world.follow()
    assert world.core.listings.try_relist(moved)
    world.settle()
    for _ in range(3):
        world.follow()
        world.tree()
        world.settle()
    assert world.tree() == world.remote()
    assert faults_of(world.core.tree) == []
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("by", ["removal", "rename", "new file"])
def test_what_others_wrote_to_a_file_that_is_just_being_moved_is_not_removed_unseen(
    tmp_path: Path, limits: BackendLimits, by: str
) -> None:
    world = World(tmp_path, limits=limits)
    world.theirs("/a", b"seen")
    world.theirs("/other", b"other")
    assert world.names() == {"a", "other"}
    world.account.job_polls = 1
    world.rename("/a", "/b")
    world.account.write("/a", b"theirs, unseen")
    world.commit_steps(2)
    assert world.remote() == {"/b": b"theirs, unseen", "/other": b"other"}  # its reply is still to come
    if by == "rename":
        world.rename("/other", "/b")
    else:
        world.fs.unlink("/b")
    if by == "new file":
        world.put("/b", b"new")
    world.settle()
    world.follow()
    world.settle()
    assert b"theirs, unseen" in world.remote().values()
    assert world.tree() == world.remote()
    if by == "rename":
        assert b"other" in world.remote().values()
    if by == "new file":
        assert b"new" in world.remote().values()
    assert "not removed: somebody else changed it meanwhile" in world.notices()
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("renews", [True, False], ids=["moves make revisions", "they make none"])
def test_what_others_removed_from_a_folder_that_we_moved_before_we_heard_of_it_is_gone(
    tmp_path: Path, limits: BackendLimits, renews: bool
) -> None:
    world = World(tmp_path, limits=limits)
    world.account.tree.moves_renew_revisions = renews
    world.memory.page_entries = 1
    for path in ("/d/f", "/d/e/g", "/d/e/h/i", "/x/y"):
        world.account.write(path, path.encode())
    world.follow()
    world.tree()
    for path in ("/d/f", "/d/e/h"):
        world.account.remove(path)
    world.rename("/d/e", "/x/e")
    world.rename("/d", "/x/d")
    world.rename("/x", "/z")
    world.settle()
    assert world.pending() == []
    world.account.remove("/z/e/g")
    world.follow()
    assert world.tree() == world.remote() == {"/z": None, "/z/e": None, "/z/d": None, "/z/y": b"/x/y"}
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("by", ["removal", "rename over another"])
def test_bytes_made_from_a_revision_that_only_a_rename_of_ours_renewed_hide_no_other_version(
    tmp_path: Path, limits: BackendLimits, by: str
) -> None:
    """A program has a log open, `mv log log.1` gives the file another revision, and the program writes on."""
    world = World(tmp_path, limits=limits)
    world.theirs("/log", b"old")
    world.theirs("/other", b"other")
    number = world.open("/log", os.O_RDWR)
    world.rename("/log", "/log.1")
    world.settle()
    world.fs.write(number, 3, b" and new")
    world.close_file(number)
    if by == "removal":
        world.fs.unlink("/log.1")
    else:
        world.rename("/log.1", "/other")
    world.settle()
    world.follow()
    expected = {"/other": b"other" if by == "removal" else b"old and new"}
    assert world.tree() == world.remote() == expected
    assert world.notices() == []
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("is_folder", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize("is_removed", [True, False], ids=["removed", "renamed"])
def test_what_left_a_folder_here_and_takes_the_folder_s_name_elsewhere_is_kept(
    tmp_path: Path, limits: BackendLimits, *, is_folder: bool, is_removed: bool
) -> None:
    """`rm a/a` or `mv a/a g`, and before it is sent others make it `mv a/a x; mv a c/a; mv x a`."""
    world = World(tmp_path, limits=limits)
    world.account.mkdir("/c")
    if is_folder:
        world.account.mkdir("/a/a")
    else:
        world.account.write("/a/a", b"theirs")
    world.follow()
    world.tree()
    if not is_removed:
        world.rename("/a/a", "/g")
    elif is_folder:
        world.fs.rmdir("/a/a")
    else:
        world.fs.unlink("/a/a")
    world.account.move("/a/a", "/x")
    world.account.move("/a", "/c/a")
    world.account.move("/x", "/a")
    world.follow()
    world.names()
    assert faults_of(world.core.tree) == []
    for _ in range(3):
        world.settle()
        world.follow()
    expected = {"/c": None, "/c/a": None, "/a": None if is_folder else b"theirs"}
    assert world.tree() == world.remote() == expected
    assert faults_of(world.core.tree) == []
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("error", [Busy("locked"), Offline("cut"), Forbidden("no")])
def test_the_version_that_ours_hid_is_not_removed_with_ours_while_that_is_on_its_way(
    tmp_path: Path, limits: BackendLimits, error: MountfsError
) -> None:
    world = World(tmp_path, limits=limits)
    world.theirs("/f", b"seen")
    world.put("/f", b"ours")
    world.theirs("/f", b"theirs, unseen")
    assert world.names() == {"f"}
    submit = world.backend.submit

    def refusing(orders: Sequence[Order]) -> Launch:
        world.backend.submit = submit  # type: ignore[method-assign]
        world.fs.unlink("/f")
        raise error

    world.backend.submit = refusing  # type: ignore[method-assign]
    for _ in range(3):
        world.settle()
        world.follow()
    assert world.tree() == world.remote() == {"/f": b"theirs, unseen"}
    assert world.pending() == []
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("is_killed", [True, False])
def test_the_version_that_ours_hid_is_not_removed_with_ours_while_it_is_being_moved(
    tmp_path: Path, limits: BackendLimits, *, is_killed: bool
) -> None:
    """`mv f g; echo ours >g`, others write f, and `rm g` while the rename is on its way."""
    world = World(tmp_path, limits=limits)
    world.theirs("/f", b"seen")
    assert world.names() == {"f"}
    world.rename("/f", "/g")
    world.account.write("/f", b"theirs, unseen")
    world.put("/g", b"ours")
    world.follow()
    assert world.names() == {"g"}
    world.account.job_polls = 1
    world.commit_steps(2)
    assert world.remote() == {"/g": b"theirs, unseen"}  # its reply is still to come
    world.fs.unlink("/g")
    if is_killed:
        world.restart()
    for _ in range(2):
        world.settle()
        world.follow()
    assert world.tree() == world.remote() == {"/g": b"theirs, unseen"}
    assert world.notices() == ["not removed: somebody else changed it meanwhile"]
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("is_folder", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize("is_moved", [True, False], ids=["moved", "not moved"])
def test_what_is_on_its_way_out_of_a_folder_that_others_remove_is_what_the_service_has_after_a_start(
    tmp_path: Path, limits: BackendLimits, *, is_folder: bool, is_moved: bool
) -> None:
    """The reply to `mv a/f b/f` is lost, others remove a, and the mount is killed before it has looked."""
    world = World(tmp_path, limits=limits)
    world.account.write("/a/f/g" if is_folder else "/a/f", b"theirs")
    world.account.mkdir("/b")
    world.follow()
    world.tree()
    world.rename("/a/f", "/b/f")
    world.backend.fail("submit", Offline("the connection was cut"), after=is_moved)
    world.commit_steps(2)
    assert world.word("/b/f") == "committing"
    world.account.remove("/a")
    world.follow()
    world.names()
    while world.core.sweeper.step(world.clock.now_s()) <= world.clock.now_s():
        pass
    world.restart()
    assert faults_of(world.core.tree) == []
    for _ in range(3):
        world.settle()
        world.follow()
        world.tree()
    there = {"/b/f": None, "/b/f/g": b"theirs"} if is_folder else {"/b/f": b"theirs"}
    assert world.tree() == world.remote() == {"/b": None} | (there if is_moved else {})
    assert world.pending() == []
    assert faults_of(world.core.tree) == []
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("is_killed", [False, True], ids=["goes on", "killed"])
@pytest.mark.parametrize("is_shown", [False, True], ids=["removed here, too", "shown here"])
@pytest.mark.parametrize("act", ["remove", "rename", "write"])
def test_what_is_done_in_a_folder_on_its_way_out_of_one_that_others_remove_has_effect(
    tmp_path: Path, limits: BackendLimits, act: str, *, is_shown: bool, is_killed: bool
) -> None:
    """`mv d/e c/e` has taken effect, and its reply is to come; `rm c/e/f`; others remove d, empty by now."""
    world = World(tmp_path, limits=limits)
    world.account.write("/d/e/f", b"f")
    world.account.mkdir("/c")
    world.follow()
    world.tree()
    world.rename("/d/e", "/c/e")
    if not is_shown:
        world.fs.rmdir("/d")
    world.account.job_polls = 5
    world.advance(3.0)
    world.core.committer.step(world.clock.now_s())
    wanted: dict[str, bytes | None] = {"/c": None, "/c/e": None}
    if act == "remove":
        world.fs.unlink("/c/e/f")
    elif act == "rename":
        world.rename("/c/e/f", "/g")
        wanted["/g"] = b"f"
    else:
        world.put("/c/e/f", b"ours")
        wanted["/c/e/f"] = b"ours"
    world.account.remove("/d")
    world.follow()
    assert world.core.listings.try_relist(world.core.tree.root)
    if is_killed:
        world.restart()
    world.upload_all()
    world.core.committer.step(world.clock.now_s())
    world.account.job_polls = 0
    for _ in range(2):
        world.settle()
        world.follow()
    assert world.tree() == world.remote() == wanted
    assert world.notices() == []
    assert faults_of(world.core.tree) == []
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])
@pytest.mark.parametrize("what", ["a folder", "a file", "a folder with ours in it"])
def test_a_listing_that_is_older_than_a_move_of_others_takes_nothing_from_where_it_is(
    tmp_path: Path, limits: BackendLimits, what: str
) -> None:
    """Its reply was on its way while the news of the move came, and the new place was listed."""
    world = World(tmp_path, limits=limits)
    world.account.write("/b/x" if what == "a file" else "/b/x/f", b"theirs")
    world.account.mkdir("/a")
    world.follow()
    world.tree()
    if what == "a folder with ours in it":
        world.put("/b/x/g", b"ours")
    world.account.mkdir("/b/new")
    world.follow()
    inner, moved = world.memory.list_folder, list[str]()

    def list_folder(path: RemotePath, folder_id: str = "") -> list[Listed]:
        entries = inner(path, folder_id)
        if path.text == "/b" and not moved:
            moved.append(path.text)
            world.account.move("/b/x", "/a/x")
            world.follow()
            assert world.names("/a") == {"x"}
        return entries

    world.memory.list_folder = list_folder  # type: ignore[method-assign]
    world.names("/b")
    assert moved
    assert world.names("/a") == {"x"}
    for _ in range(2):
        world.follow()
        world.tree()
        world.settle()
    ours = {"/a/x/g": b"ours"} if what == "a folder with ours in it" else {}
    theirs = {"/a/x": b"theirs"} if what == "a file" else {"/a/x": None, "/a/x/f": b"theirs"}
    assert world.tree() == world.remote() == {"/a": None, "/b": None, "/b/new": None} | theirs | ours
    assert world.notices() == []
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])
@pytest.mark.parametrize(("is_folder", "keeps_other"), [(False, False), (False, True), (True, False)])
def test_what_was_removed_on_its_way_into_a_folder_that_others_moved_does_not_come_back(
    tmp_path: Path, limits: BackendLimits, *, is_folder: bool, keeps_other: bool
) -> None:
    world = World(tmp_path, limits=limits)
    world.account.clock, world.account.job_s = world.clock, 3.0
    world.account.mkdir("/d/sub")
    world.follow()
    world.tree()
    if is_folder:
        world.mkdir("/d/new")
    else:
        world.put("/d/new", b"ours")
    if keeps_other:
        world.put("/d/other", b"other")
    world.upload_all()
    world.advance(3.0)
    while world.word("/d/new") != "committing":
        world.core.committer.step(world.clock.now_s())
    if is_folder:
        world.fs.rmdir("/d/new")
    else:
        world.fs.unlink("/d/new")
    world.account.move("/d", "/far/moved")
    world.follow()
    world.names()
    world.settle()
    for _ in range(3):
        world.follow()
        world.tree()
        world.settle()
    assert world.tree() == world.remote()
    assert [path for path in world.remote() if path.endswith("new")] == []
    assert sorted(body for body in world.remote().values() if body) == [b"other"] * keeps_other
    world.close()


def _exchange(world: World, *paths: str) -> None:
    """Each gets the name of the next one, and the last one that of the first."""
    world.account.move(paths[-1], "/between")
    for source, target in zip(paths[-2::-1], paths[:0:-1], strict=True):
        world.account.move(source, target)
    world.account.move("/between", paths[0])


def _remove_both(world: World) -> None:
    world.fs.unlink("/a")
    world.fs.unlink("/b")


def _exchange_here(world: World) -> None:
    for source, target in (("/a", "/x"), ("/b", "/a"), ("/x", "/b")):
        world.rename(source, target)


def _write_both(world: World) -> None:
    world.put("/a", b"new A")
    world.put("/b", b"new B")


def _remove_one_and_write_the_other(world: World) -> None:
    world.fs.unlink("/a")
    world.put("/b", b"new B")


EXCHANGED: dict[str, tuple[Callable[[World], None], dict[str, bytes]]] = {
    "one is removed": (lambda world: world.fs.unlink("/a"), {"/a": b"B"}),
    "both are removed": (_remove_both, {}),
    "one is renamed": (lambda world: world.rename("/a", "/c"), {"/a": b"B", "/c": b"A"}),
    "one is renamed over the other": (lambda world: world.rename("/a", "/b"), {"/b": b"A"}),
    "they are exchanged here as well": (_exchange_here, {"/a": b"B", "/b": b"A"}),
    "one is written": (lambda world: world.put("/a", b"new A"), {"/a": b"B", "/b": b"new A"}),
    "both are written": (_write_both, {"/a": b"new B", "/b": b"new A"}),
    "one is removed, the other written": (_remove_one_and_write_the_other, {"/a": b"new B"}),
}


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("what", EXCHANGED)
@pytest.mark.parametrize("paths", [("/a", "/b"), ("/b", "/a")], ids=["a is told first", "b is told first"])
def test_what_is_done_with_files_whose_names_others_exchange_is_done_with_these_files(
    tmp_path: Path, limits: BackendLimits, what: str, paths: Sequence[str]
) -> None:
    """One listing tells of both names."""
    world = World(tmp_path, limits=limits)
    world.account.write("/a", b"A")
    world.theirs("/b", b"B")
    world.tree()
    act, expected = EXCHANGED[what]
    act(world)
    _exchange(world, *paths)
    world.follow()
    assert world.tree() == expected
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == expected
    assert (world.notices(), world.pending(), faults_of(world.core.tree)) == ([], [], [])
    world.close()


def test_what_is_done_in_folders_whose_names_others_pass_round_is_done_there(world: World) -> None:
    """What was kept of one of them is kept of it under its new name."""
    for path in ("/a", "/b", "/c"):
        world.theirs(f"{path}/in", path[1:].encode())
    world.tree()
    numbers = {path: world.node(path).id for path in ("/a", "/b", "/c")}
    world.fs.unlink("/a/in")
    world.put("/b/new", b"new")
    world.rename("/c", "/d")
    _exchange(world, "/a", "/b", "/c")
    world.follow()
    world.tree()
    world.settle()
    world.follow()
    assert (
        world.tree()
        == world.remote()
        == {
            "/b": None,
            "/c": None,
            "/c/in": b"b",
            "/c/new": b"new",
            "/d": None,
            "/d/in": b"c",
        }
    )
    assert {path: world.node(path).id for path in ("/b", "/c", "/d")} == {
        "/b": numbers["/a"],
        "/c": numbers["/b"],
        "/d": numbers["/c"],
    }
    assert (world.notices(), world.pending(), faults_of(world.core.tree)) == ([], [], [])


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("is_folder", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize("goal", [None, "/z/away"], ids=["removed", "moved away"])
def test_that_a_rename_had_no_effect_since_others_took_the_thing_away_is_told(
    tmp_path: Path, limits: BackendLimits, goal: str | None, *, is_folder: bool
) -> None:
    """`mv a/it b/it` here, of what others remove or move out of a: a is listed before anything tells where
    it went."""
    world = World(tmp_path, limits=limits)
    world.account.mkdir("/z")
    world.account.mkdir("/b")
    world.theirs("/a/it/in" if is_folder else "/a/it", b"it")
    world.tree()
    world.rename("/a/it", "/b/it")
    if goal is None:
        world.account.remove("/a/it")
    else:
        world.account.move("/a/it", goal)
    assert world.core.listings.try_relist(world.node("/a"))
    world.follow()
    world.settle()
    world.follow()
    world.tree()
    world.settle()
    assert world.tree() == world.remote()
    assert ("/z/away" in world.tree()) is (goal is not None)
    told = "it was renamed here, and removed or moved to another folder by somebody else meanwhile"
    assert (world.notices(), world.pending(), faults_of(world.core.tree)) == ([told], [], [])
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("act", ["rename", "write"])
@pytest.mark.parametrize("paths", [("/a", "/b"), ("/b", "/a")], ids=["a is told first", "b is told first"])
def test_files_whose_names_others_exchange_keep_no_third_one_where_something_of_one_is_on_its_way(
    tmp_path: Path, limits: BackendLimits, act: str, paths: Sequence[str]
) -> None:
    """What is done with the other one meanwhile does not go to a name that nobody gave."""
    world = World(tmp_path, limits=limits)
    world.account.write("/a", b"A")
    world.theirs("/b", b"B")
    world.tree()
    world.account.job_polls = 5
    if act == "rename":
        world.rename("/a", "/c")
    else:
        world.put("/a", b"new A")
    world.commit_steps(1)
    world.put("/b", b"new B")
    _exchange(world, *paths)
    world.follow()
    assert world.names() <= {"a", "b", "c"}
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    world.settle()
    assert [order for orders in world.account.submits for order in orders if "renaming" in str(order)] == []
    assert faults_of(world.core.tree) == []
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
def test_what_others_give_a_name_to_which_an_order_is_on_its_way_is_not_lost(
    tmp_path: Path, limits: BackendLimits
) -> None:
    """Others do `mv y z; mv x y` while new bytes of y are on their way: the listing has x by its new name."""
    world = World(tmp_path, limits=limits)
    world.account.write("/x", b"X")
    world.account.mkdir("/k")
    world.theirs("/y", b"Y")
    world.tree()
    world.account.job_polls = 5
    world.put("/y", b"new Y")
    world.commit_steps(1)
    world.rename("/x", "/k/x")
    world.account.move("/y", "/z")
    world.account.move("/x", "/y")
    world.follow()
    world.names()
    world.settle()
    world.follow()
    world.tree()
    world.settle()
    assert world.tree() == world.remote() == {"/k": None, "/k/x": b"X", "/z": b"new Y"}
    assert (world.notices(), faults_of(world.core.tree)) == ([], [])
    world.close()
