"""Versions of ours that arrive at the service after their commit was given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mountfs.errors import Busy, Offline, Throttled
from mountfs.model.entry import NS_PER_S, News
from mountfs.model.order import Order, OrderKind
from mountfs.ports import Launch
from mountfs.tree.late import KEPT_S
from mountfs.tree.treewalk import TreeWalk
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.fakes.clock import FakeClock


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """What is put into /f on a service whose work on a commit takes five seconds."""
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.account.clock = world.clock
    world.theirs("/f", b"old")
    world.names()
    yield world
    world.close()


def _give_up_first_version(world: World) -> None:
    """Its connection is cut, and the look finds nothing: the service is still at work on it."""
    world.put("/f", b"first")
    world.upload_all()
    world.advance(1.0)
    world.account.job_s = 5.0
    world.backend.fail("submit", Offline("lost"), after=True)
    world.core.committer.step(world.clock.now_s())
    world.advance(1.5)
    world.core.committer.step(world.clock.now_s())
    assert world.core.committer.current == ()
    world.account.job_s = 0.0


@pytest.mark.parametrize("is_listed", [True, False], ids=["listed before", "met by the removal"])
def test_a_file_that_was_removed_here_is_not_brought_back_by_its_own_late_version(
    world: World, *, is_listed: bool
) -> None:
    _give_up_first_version(world)
    world.fs.unlink("/f")
    world.advance(5.0)
    if is_listed:
        world.follow()
        assert world.names() == set()
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {}
    assert world.notices() == []


def _written_anew(world: World) -> None:
    world.fs.unlink("/f")
    world.put("/f", b"anew")


def _replaced(world: World) -> None:
    world.put("/f.new", b"anew")
    world.rename("/f.new", "/f")


def _rewritten(world: World) -> None:
    world.put("/f", b"anew")


@pytest.mark.parametrize("kill", ["none", "after the change", "before it", "after it arrived"])
@pytest.mark.parametrize("is_heard", [True, False])
@pytest.mark.parametrize("change", [_written_anew, _replaced, _rewritten])
def test_what_is_saved_after_a_version_that_arrives_late_replaces_it(
    world: World, change: Callable[[World], None], kill: str, *, is_heard: bool
) -> None:
    _give_up_first_version(world)
    if kill == "before it":
        world.restart()
    change(world)
    if kill == "after the change":
        world.restart()
    world.advance(5.0)
    if is_heard:
        world.follow()
        assert world.names() == {"f"}
    if kill == "after it arrived":
        world.restart()
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {"/f": b"anew"}
    assert world.notices() == []


@pytest.mark.parametrize("change", ["removed", "renamed"])
def test_a_kill_does_not_bring_back_a_late_version_of_what_was_removed_or_renamed(
    world: World, change: str
) -> None:
    _give_up_first_version(world)
    if change == "removed":
        world.fs.unlink("/f")
    else:
        world.rename("/f", "/g")
    world.restart()
    world.advance(5.0)
    for _ in range(2):
        world.settle()
        world.follow()
    assert world.tree() == world.remote() == ({} if change == "removed" else {"/g": b"first"})
    assert world.notices() == []


@pytest.mark.parametrize("is_saved_again", [True, False])
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_late_version_of_what_was_renamed_over_another_file_does_not_come_back(
    world: World, *, is_killed: bool, is_saved_again: bool
) -> None:
    """`mv f b` over b: the new version of b is that of f, and f is to be removed."""
    world.theirs("/b", b"b")
    world.follow()
    world.names()
    _give_up_first_version(world)
    if is_saved_again:
        world.put("/f", b"second")
    world.rename("/f", "/b")
    if is_killed:
        world.restart()
    world.advance(5.0)
    for _ in range(2):
        world.settle()
        world.follow()
    assert world.tree() == world.remote() == {"/b": b"second" if is_saved_again else b"first"}
    assert world.notices() == []


def test_what_others_restored_after_a_newer_version_of_ours_is_not_taken_for_a_late_one(
    world: World,
) -> None:
    _give_up_first_version(world)
    world.advance(5.0)
    world.put("/f", b"second")
    number = world.begin("/f", b"third")
    world.settle()
    assert world.remote() == {"/f": b"second"}
    world.account.write("/f", b"first")
    world.close_file(number)
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    assert sorted(world.account.files().values()) == [b"first", b"third"]


def test_a_late_version_that_was_listed_is_replaced_and_removed_as_ours(world: World) -> None:
    _give_up_first_version(world)
    world.put("/f", b"second")
    world.advance(5.0)
    world.follow()
    assert world.tree() == {"/f": b"second"}
    world.fs.unlink("/f")
    world.settle()
    assert world.tree() == world.remote() == {}
    assert world.notices() == []


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["dropbox", "box"])
def account(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Of a service whose work on a commit takes half a minute."""
    world = World(tmp_path, limits=request.param)
    world.account.clock = world.clock
    world.theirs("/theirs", b"theirs")
    world.names()
    yield world
    world.close()


def _give_up_new_file(world: World, path: str = "/f", body: bytes = b"new") -> None:
    """Its connection is cut, and the looks find nothing: the service is still at work on it."""
    world.put(path, body)
    world.lose_reply()
    world.give_up()
    assert path not in world.remote()


def _arrives(world: World) -> None:
    world.advance(30.0)
    assert world.remote() == {"/theirs": b"theirs", "/f": b"new"}
    world.account.job_s = 0.0


@pytest.mark.parametrize("how", ["told by the news", "listed", "after a kill", "removed on its way"])
def test_a_new_file_that_was_removed_before_it_arrives_does_not_come_back(account: World, how: str) -> None:
    world = account
    if how == "removed on its way":
        world.put("/f", b"new")
        world.lose_reply()
        world.fs.unlink("/f")
        world.give_up()
    else:
        _give_up_new_file(world)
        world.fs.unlink("/f")
    if how == "after a kill":
        world.restart()
    _arrives(world)
    if how == "listed":
        with world.core.tree.transaction():
            world.core.listings.doubt_all()
        assert world.names() == {"theirs"}
    else:
        world.follow()
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {"/theirs": b"theirs"}
    assert world.notices() == []


@pytest.mark.parametrize("is_killed", [True, False])
@pytest.mark.parametrize("by_s", [-120, -86_400, 3_600, 56 * 365 * 86_400])
def test_a_clock_that_is_set_ends_no_wait_for_what_arrives_late(
    account: World, *, by_s: int, is_killed: bool
) -> None:
    """It was wrong when the machine started, by the years since 1970 even, and is corrected."""
    world, clock = account, account.clock
    assert isinstance(clock, FakeClock)
    _give_up_new_file(world)
    world.fs.unlink("/f")
    clock.set_wall_ns(clock.wall_ns() + by_s * NS_PER_S)
    if is_killed:
        world.restart()
    _arrives(world)
    world.follow()
    world.settle()
    assert world.tree() == world.remote() == {"/theirs": b"theirs"}


def test_what_was_given_up_before_a_start_of_the_machine_in_1970_is_waited_for(account: World) -> None:
    world, clock = account, account.clock
    assert isinstance(clock, FakeClock)
    _give_up_new_file(world)
    world.fs.unlink("/f")
    clock.set_wall_ns(30 * NS_PER_S)
    world.restart("another boot")
    world.advance(30.0)
    world.account.job_s = 0.0
    world.follow()
    world.settle()
    assert world.tree() == world.remote() == {"/theirs": b"theirs"}


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_clock_that_is_set_back_does_not_make_a_wait_longer(account: World, *, is_killed: bool) -> None:
    world, clock = account, account.clock
    assert isinstance(clock, FakeClock)
    _give_up_new_file(world)
    world.fs.unlink("/f")
    clock.set_wall_ns(clock.wall_ns() - 86_400 * NS_PER_S)
    if is_killed:
        world.restart()
    clock.advance(KEPT_S + 1)
    _arrives(world)
    world.follow()
    world.settle()
    assert "/f" in world.tree()


@pytest.mark.parametrize("boots", [["another"], ["another", "a third"]])
def test_what_was_given_up_by_a_clock_that_was_ahead_is_waited_for_once(
    account: World, boots: list[str]
) -> None:
    """Each start would take it for given up just then, and remove what others put there for ten minutes."""
    world, clock = account, account.clock
    assert isinstance(clock, FakeClock)
    _give_up_new_file(world)
    world.fs.unlink("/f")
    _arrives(world)
    clock.set_wall_ns(clock.wall_ns() - 86_400 * NS_PER_S)
    world.restart("another")
    clock.advance(KEPT_S + 1)
    world.restart(boots[-1])
    world.follow()
    world.settle()
    assert "/f" in world.tree()


@pytest.mark.parametrize("has_file", [False, True], ids=["empty", "with a file"])
def test_a_folder_that_is_made_in_place_of_a_removed_file_that_arrives_late_keeps_its_name(
    account: World, *, has_file: bool
) -> None:
    world = account
    _give_up_new_file(world)
    world.fs.unlink("/f")
    world.mkdir("/f")
    if has_file:
        world.put("/f/x", b"x")
    _arrives(world)
    for _ in range(3):
        world.settle()
        world.follow()
    ours = {"/f/x": b"x"} if has_file else {}
    assert world.tree() == world.remote() == {"/theirs": b"theirs", "/f": None} | ours
    assert world.notices() == []


def test_a_copy_that_the_service_was_to_make_and_that_was_removed_does_not_come_back(account: World) -> None:
    """It has the time of the file that was copied."""
    world = account
    _give_up_new_file(world, body=b"theirs")
    assert world.account.submits[-1][0].kind is OrderKind.COPY
    world.fs.unlink("/f")
    world.advance(30.0)
    assert world.remote() == {"/theirs": b"theirs", "/f": b"theirs"}
    world.account.job_s = 0.0
    world.follow()
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {"/theirs": b"theirs"}


def test_a_new_file_that_was_renamed_before_it_arrives_is_there_once(account: World) -> None:
    world = account
    _give_up_new_file(world)
    world.rename("/f", "/g")
    _arrives(world)
    world.settle()
    world.follow()
    world.settle()
    assert world.tree() == world.remote() == {"/theirs": b"theirs", "/g": b"new"}
    assert world.notices() == []


@pytest.mark.parametrize("is_heard", [True, False])
@pytest.mark.parametrize("body", [b"newer", b"theirs"], ids=["sent", "copied by the service"])
def test_a_file_that_is_made_anew_replaces_the_removed_one_that_arrives_late(
    account: World, body: bytes, *, is_heard: bool
) -> None:
    world = account
    _give_up_new_file(world)
    world.fs.unlink("/f")
    world.put("/f", body)
    _arrives(world)
    if is_heard:
        world.follow()
        assert world.names() == {"theirs", "f"}
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {"/theirs": b"theirs", "/f": body}
    assert world.notices() == []


def test_what_may_arrive_is_noted_once_however_often_the_new_file_is_sent(account: World) -> None:
    """Else it would take the place of the new file's own versions that may arrive late."""
    world = account
    _give_up_new_file(world)
    world.fs.unlink("/f")
    world.account.lose_jobs(end=True)
    world.account.job_s = 0.0
    world.put("/f", b"newer")
    world.backend.fail("submit", Busy("later"), times=3)
    for _ in range(40):
        if world.backend.is_spent():
            break
        world.upload_all()
        world.advance(5.0)
        world.core.committer.step(world.clock.now_s())
    assert world.backend.is_spent()
    pending = world.node("/f").pending
    assert pending is not None
    assert len(pending.unheard) == len(set(pending.unheard)) > 0


@pytest.mark.parametrize("how", ["a large folder is listed", "by a recursive listing"])
def test_a_removed_file_that_arrives_in_a_removed_folder_leaves_that_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Nothing is known of the folder then, and what is in it is written down without looking at each file."""
    world = World(tmp_path)
    world.account.clock = world.clock
    world.names()
    world.mkdir("/d")
    _give_up_new_file(world, "/d/f")
    world.fs.unlink("/d/f")
    world.fs.rmdir("/d")
    world.advance(31.0)
    assert world.remote() == {"/d": None, "/d/f": b"new"}
    world.account.job_s = 0.0
    world.follow()
    if how == "a large folder is listed":
        monkeypatch.setattr("mountfs.tree.treewalk.FEWEST_FILLED", 1)
    else:
        tree, folder = world.core.tree, world.node("/d")
        with tree.lock:
            walk = TreeWalk(tree, folder, tree.store.next_id())
        walk.book(world.memory.list_tree("", None).entries)
        walk.finish(frozenset())
    assert world.tree() == {"/d": None}
    world.settle()
    assert world.tree() == world.remote() == {"/d": None}
    world.close()


@pytest.mark.parametrize("is_before", [True, False], ids=["arrives before", "arrives after"])
def test_a_removed_file_that_arrives_in_a_renamed_folder_does_not_come_back(
    account: World, *, is_before: bool
) -> None:
    world = account
    world.theirs("/d/theirs", b"x")
    world.tree()
    _give_up_new_file(world, "/d/f")
    world.fs.unlink("/d/f")
    world.account.job_s = 0.0
    if is_before:
        world.advance(31.0)
        assert "/d/f" in world.remote()
    world.rename("/d", "/e")
    world.settle()
    world.follow()
    world.tree()
    world.advance(31.0)
    world.follow()
    world.tree()
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    assert not {"/d/f", "/e/f"} & set(world.remote())


@pytest.mark.parametrize("what", ["other bytes", "another time", "much later", "after ours"])
def test_what_others_make_where_a_file_of_ours_may_still_arrive_is_shown(account: World, what: str) -> None:
    world = account
    _give_up_new_file(world)
    mtime_ns = world.fs.getattr("/f").mtime_ns
    world.account.lose_jobs(end=True)
    world.account.job_s = 0.0
    if what == "after ours":
        world.settle()
        assert world.remote() == {"/theirs": b"theirs", "/f": b"new"}
    world.fs.unlink("/f")
    world.settle()
    if what == "much later":
        world.advance(3600.0)
    body = b"old" if what == "other bytes" else b"new"
    world.account.write("/f", body, mtime_ns + (what == "another time") * NS_PER_S)
    world.follow()
    assert world.names() == {"theirs", "f"}
    world.settle()
    assert world.tree() == world.remote() == {"/theirs": b"theirs", "/f": body}


@pytest.mark.parametrize("how", ["removed", "overtaken"])
def test_what_others_bring_back_after_it_arrived_late_is_shown(account: World, how: str) -> None:
    """It arrives once: who makes the same file again, with the same time, is somebody else."""
    world = account
    _give_up_new_file(world)
    mtime_ns = world.fs.getattr("/f").mtime_ns
    if how == "removed":
        world.fs.unlink("/f")
    _arrives(world)
    if how == "removed":
        world.follow()
        world.settle()
    else:
        world.account.write("/f", b"theirs, newer")
        world.settle()
        assert world.remote() == {"/theirs": b"theirs", "/f": b"theirs, newer"}
        world.account.remove("/f")
    world.follow()
    assert world.tree() == world.remote() == {"/theirs": b"theirs"}
    world.account.write("/f", b"new", mtime_ns)
    world.follow()
    world.settle()
    assert world.tree() == world.remote() == {"/theirs": b"theirs", "/f": b"new"}


# Renames


@pytest.fixture
def moving(account: World) -> World:
    """A file and a folder were renamed, the orders given up, and both got their old names again."""
    account.theirs("/f", b"f")
    account.theirs("/d/in", b"in")
    account.tree()
    return account


UNMOVED = {"/theirs": b"theirs", "/f": b"f", "/d": None, "/d/in": b"in"}


def _give_up_rename(world: World, source: str, target: str) -> None:
    world.rename(source, target)
    _give_up(world)


def _ends(world: World, how: str = "told by the news") -> None:
    world.advance(31.0)
    world.account.files()
    world.account.job_s = 0.0
    if how == "after a kill":
        world.restart()
    if how == "listed":
        with world.core.tree.transaction():
            world.core.listings.doubt_all()
        world.tree()
    else:
        world.follow()
    world.settle()
    world.follow()


@pytest.mark.parametrize("how", ["told by the news", "listed", "after a kill"])
@pytest.mark.parametrize(("source", "target"), [("/f", "/g"), ("/d", "/e")], ids=["file", "folder"])
def test_a_rename_that_was_undone_before_it_takes_effect_is_undone_there(
    moving: World, how: str, source: str, target: str
) -> None:
    world = moving
    _give_up_rename(world, source, target)
    world.rename(target, source)
    number = world.node(source).id
    world.advance(31.0)
    assert target in world.remote()
    _ends(world, how)
    assert world.tree() == world.remote() == UNMOVED
    assert world.node(source).id == number
    assert world.notices() == []


def test_a_new_file_at_the_place_of_a_rename_that_was_undone_takes_no_other_file_s_place(
    moving: World,
) -> None:
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.rename("/g", "/f")
    world.put("/g", b"new")
    _ends(world)
    world.settle()
    assert world.tree() == world.remote() == {**UNMOVED, "/g": b"new"}
    assert world.notices() == []


def test_a_file_that_was_removed_before_its_rename_takes_effect_does_not_come_back(moving: World) -> None:
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.fs.unlink("/g")
    world.settle()
    _ends(world)
    expected = {path: body for path, body in UNMOVED.items() if path != "/f"}
    assert world.tree() == world.remote() == expected
    assert world.notices() == []


def test_a_late_rename_that_is_told_while_the_file_s_removal_is_on_its_way_brings_nothing_back(
    moving: World,
) -> None:
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.fs.unlink("/g")
    world.advance(31.0)
    assert "/g" in world.remote()
    world.core.committer.step(world.clock.now_s())
    assert world.core.committer.current
    world.follow()
    world.advance(31.0)
    world.account.job_s = 0.0
    world.settle()
    assert "/g" not in world.remote()
    assert "/g" not in world.tree()


def _saved_over(world: World) -> None:
    world.put("/g.new", b"saved")
    world.rename("/g.new", "/g")


def _renamed_over(world: World) -> None:
    world.rename("/other", "/g")


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize(("change", "body"), [(_saved_over, b"saved"), (_renamed_over, b"other")])
def test_what_replaces_a_renamed_file_is_no_conflict_with_the_rename_that_takes_effect_late(
    moving: World, change: Callable[[World], None], body: bytes, *, is_told: bool
) -> None:
    world = moving
    world.theirs("/other", b"other")
    _give_up_rename(world, "/f", "/g")
    change(world)
    world.account.job_s = 0.0
    if not is_told:
        world.account.files()
    for _ in range(3):
        world.settle()
        world.follow()
    left = {} if body == b"other" else {"/other": b"other"}
    expected = {path: each for path, each in UNMOVED.items() if path != "/f"} | left
    assert world.tree() == world.remote() == {**expected, "/g": body}
    assert world.notices() == []


def test_what_others_write_to_a_removed_file_after_its_late_rename_is_a_conflict_at_once(
    moving: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = moving
    _give_up_rename(world, "/f", "/g")
    _saved_over(world)
    world.advance(31.0)
    world.account.job_s = 0.0
    assert "/g" in world.remote()
    submit = world.backend.submit

    def submit_and_write(orders: Sequence[Order]) -> Launch:
        launched = submit(orders)
        if orders[0].kind is OrderKind.DELETE:
            world.account.write("/g", b"theirs, newer")
        return launched

    monkeypatch.setattr(world.backend, "submit", submit_and_write)
    world.backend.refuse("/g", Busy("later"))  # so that the removal comes first
    world.settle(120.0)
    world.follow()
    world.settle(120.0)
    assert world.tree() == world.remote()
    assert world.remote()["/g"] == b"theirs, newer"
    assert b"saved" in world.remote().values()


@pytest.mark.parametrize("is_told", [True, False])
def test_a_file_that_is_saved_after_its_rename_was_undone_is_not_there_twice(
    moving: World, *, is_told: bool
) -> None:
    """The rename takes effect before the new version is sent, which so is another file."""
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.rename("/g", "/f")
    world.put("/f", b"saved")
    world.advance(31.0)
    world.account.job_s = 0.0
    assert "/g" in world.remote()
    if is_told:
        world.follow()
    for _ in range(3):
        world.settle()
        world.follow()
    assert world.tree() == world.remote() == {**UNMOVED, "/f": b"saved"}
    assert world.notices() == []


def test_a_copy_of_a_file_does_not_end_the_wait_for_its_late_rename(moving: World) -> None:
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.rename("/g", "/f")
    world.put("/copy", b"f")
    job_s, world.account.job_s = world.account.job_s, 0.0
    held, world.account._at_work = world.account._at_work, []
    world.account.lose_jobs()
    world.settle()
    world.account._at_work = held
    world.account.job_s = job_s
    _ends(world)
    assert world.tree() == world.remote() == {**UNMOVED, "/copy": b"f"}
    assert world.notices() == []


def test_a_new_file_of_the_same_bytes_is_not_taken_for_a_rename_that_takes_effect_late(
    moving: World,
) -> None:
    """`mv f g`, given up; `mv g h; cp h g`: there are two files in the end."""
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.rename("/g", "/h")
    world.put("/g", b"f")
    for _ in range(3):
        world.settle()
        world.follow()
    expected = {path: body for path, body in UNMOVED.items() if path != "/f"}
    assert world.tree() == world.remote() == {**expected, "/g": b"f", "/h": b"f"}
    assert world.notices() == []


@pytest.mark.parametrize("is_killed", [True, False])
@pytest.mark.parametrize("then", ["/h", "/d/k", "/d/in", "", "/g"])
def test_a_late_rename_is_followed_where_the_former_folder_is_listed_first(
    moving: World, then: str, *, is_killed: bool
) -> None:
    """The listing misses the file, which others have not removed: what was done with it since has effect."""
    world = moving
    _give_up_rename(world, "/d/in", "/g")
    if then == "":
        world.fs.unlink("/g")
    elif then != "/g":
        world.rename("/g", then)
    world.advance(31.0)
    assert "/g" in world.remote()
    world.account.job_s = 0.0
    if is_killed:
        world.restart()
    with world.core.tree.transaction():
        world.core.listings.doubt(world.node("/d"))
    world.names("/d")
    for _ in range(3):
        world.settle()
        world.follow()
    others = {path: body for path, body in UNMOVED.items() if path != "/d/in"}
    assert world.tree() == world.remote() == others | ({then: b"in"} if then else {})
    assert world.notices() == []


def test_many_late_renames_are_followed_with_one_listing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.account.clock = world.clock
    numbers = range(5)
    for number in numbers:
        world.account.write(f"/d/{number}", b"x")
    world.follow()
    world.tree()
    for number in numbers[1:]:
        world.rename(f"/d/{number}", f"/{number}")
    _give_up_rename(world, "/d/0", "/0")
    world.rename("/0", "/h")
    world.advance(31.0)
    world.account.job_s = 0.0
    moved = {"/d": None} | {f"/{number}": b"x" for number in numbers}
    assert world.remote() == moved
    with world.core.tree.transaction():
        world.core.listings.doubt(world.node("/d"))
    asked = world.backend.calls()
    world.names("/d")
    assert world.backend.calls()["stat"] == asked["stat"]
    for _ in range(3):
        world.settle()
        world.follow()
    del moved["/0"]
    assert world.tree() == world.remote() == {**moved, "/h": b"x"}
    assert world.notices() == []
    world.close()


def test_what_a_late_rename_may_have_moved_is_kept_while_that_cannot_be_told(moving: World) -> None:
    world = moving
    _give_up_rename(world, "/d/in", "/g")
    world.rename("/g", "/h")
    world.advance(31.0)
    assert "/g" in world.remote()
    world.account.job_s = 0.0
    with world.core.tree.transaction():
        world.core.listings.doubt(world.node("/d"))
    world.backend.fail("stat", Offline("away"))
    world.names("/d")
    assert "/h" in world.tree()
    for _ in range(3):
        world.settle()
        world.follow()
    others = {path: body for path, body in UNMOVED.items() if path != "/d/in"}
    assert world.tree() == world.remote() == {**others, "/h": b"in"}
    assert world.notices() == []


def test_what_others_removed_after_a_lost_rename_is_gone(moving: World) -> None:
    world = moving
    _give_up_rename(world, "/d/in", "/g")
    world.account.lose_jobs(end=True)
    world.account.job_s = 0.0
    world.account.remove("/d/in")
    with world.core.tree.transaction():
        world.core.listings.doubt(world.node("/d"))
    world.names("/d")
    assert "g" not in world.names()
    world.follow()
    world.settle()
    assert world.tree() == world.remote()


@pytest.mark.parametrize(("source", "target"), [("/f", "/g"), ("/d/in", "/g"), ("/f", "/d/g")])
def test_what_was_saved_over_a_late_rename_is_no_conflict_where_both_folders_are_listed_meanwhile(
    moving: World, source: str, target: str
) -> None:
    """The name that the late one has is being given to the new one."""
    world = moving
    _give_up_rename(world, source, target)
    world.put(f"{target}.new", b"saved")
    world.rename(f"{target}.new", target)
    world.upload_all()
    world.advance(31.0)
    assert target in world.remote()
    world.account.job_s = 0.0
    world.backend.fail("submit", Offline("lost"), after=True, times=9)
    for _ in range(30):
        world.core.committer.step(world.clock.now_s())
        flight = world.state(target).flight
        if flight is not None and flight.kind is OrderKind.PUT:
            break
        world.advance(0.5)
    assert flight is not None
    world.backend.forgive()
    with world.core.tree.transaction():
        world.core.listings.doubt_all()
    assert world.tree()[target] == b"saved"
    for _ in range(3):
        world.settle()
        world.follow()
    others = {path: body for path, body in UNMOVED.items() if path != source}
    assert world.tree() == world.remote() == {**others, target: b"saved"}
    assert world.notices() == []


def _give_up(world: World) -> None:
    world.lose_reply()
    world.give_up()


@pytest.mark.parametrize("is_on_its_way", [True, False])
def test_what_was_removed_after_a_lost_version_and_a_lost_rename_does_not_come_back(
    moving: World, *, is_on_its_way: bool
) -> None:
    """It has the bytes of that version, and not those that it had."""
    world = moving
    world.put("/f", b"version")
    _give_up(world)
    world.advance(31.0)
    assert world.remote()["/f"] == b"version"
    world.rename("/f", "/d/f")
    if is_on_its_way:
        world.upload_all()
        world.advance(1.0)
        world.core.committer.step(world.clock.now_s())
    else:
        _give_up(world)
    world.fs.unlink("/d/f")
    for _ in range(3):
        world.settle()
        world.account.job_s = 0.0
        world.advance(31.0)
        world.follow()
    assert world.tree() == world.remote() == {path: body for path, body in UNMOVED.items() if path != "/f"}
    assert world.notices() == []


def test_no_folder_is_listed_for_a_late_rename_that_nobody_told_of(moving: World) -> None:
    """Else `rm` of a thousand files in a folder of as many would list it a thousand times."""
    world = moving
    _give_up_rename(world, "/f", "/d/f")
    world.fs.unlink("/d/f")
    world.account.lose_jobs(end=True)
    world.account.job_s = 0.0
    listed = world.backend.calls()["list_folder"]
    world.settle()
    assert "/f" not in world.remote()
    assert world.backend.calls()["list_folder"] == listed


def test_a_removed_file_is_removed_once_at_its_late_rename_s_place(moving: World) -> None:
    """Others may bring it back there under the same id, as from Box's trash."""
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.fs.unlink("/g")
    world.settle()
    world.advance(31.0)
    entry, tree = world.account.get("/g"), world.core.tree
    assert entry is not None
    assert tree.late.is_one(tree.root, entry)
    _ends(world)
    assert "/g" not in world.remote()
    assert not tree.late.is_one(tree.root, entry)


def test_a_version_of_others_at_the_place_of_a_removed_file_s_late_rename_is_shown(moving: World) -> None:
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.fs.unlink("/g")
    world.settle()
    world.account.files()
    world.account.write("/g", b"theirs, newer")
    _ends(world)
    assert world.tree() == world.remote()
    assert world.remote()["/g"] == b"theirs, newer"


@pytest.mark.parametrize("when", ["after ours", "much later"])
def test_others_may_rename_as_we_did(moving: World, when: str) -> None:
    """A rename of ours was given up, and never takes effect by itself."""
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.account.lose_jobs(end=True)
    world.account.job_s = 0.0
    if when == "after ours":
        world.settle()
    world.rename("/g", "/f")
    world.settle()
    if when == "much later":
        world.advance(3600.0)
    world.account.move("/f", "/g")
    world.follow()
    world.settle()
    assert world.tree() == world.remote() == {"/g": b"f"} | {k: v for k, v in UNMOVED.items() if k != "/f"}


def test_others_may_undo_and_redo_a_rename_of_ours_that_arrived_late(moving: World) -> None:
    world = moving
    _give_up_rename(world, "/f", "/g")
    _ends(world)
    assert world.tree() == world.remote()
    for source, target in (("/g", "/f"), ("/f", "/g")):
        world.account.move(source, target)
        world.follow()
        world.settle()
        assert world.tree() == world.remote()
        assert target in world.remote()


def test_a_rename_by_others_that_is_just_the_one_that_was_given_up_is_moved_back_once(moving: World) -> None:
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.rename("/g", "/f")
    world.account.lose_jobs(end=True)
    world.account.job_s = 0.0
    for place in ("/f", "/g"):
        world.account.move("/f", "/g")
        world.follow()
        world.settle()
        rest = {path: body for path, body in UNMOVED.items() if path != "/f"}
        assert world.tree() == world.remote() == {**rest, place: b"f"}
    assert world.notices() == []


@pytest.mark.parametrize("folder", ["/d", "/a/b"])
def test_a_file_that_arrives_late_in_a_folder_nobody_looks_into_is_removed(
    account: World, folder: str
) -> None:
    """Its folder was renamed here meanwhile, and is made anew by its arrival."""
    world, top = account, f"/{folder.split('/')[1]}"
    if top != folder:
        world.mkdir(top)
    world.mkdir(folder)
    world.put(f"{folder}/f", b"new")
    _give_up(world)
    world.rename(top, "/z")
    _ends(world)
    for _ in range(2):
        world.settle()
        world.follow()
    moved = f"/z{folder[len(top) :]}/f"
    assert {path for path, body in world.remote().items() if body} == {"/theirs", moved}
    assert world.tree() == world.remote()
    assert world.notices() == []


@pytest.mark.parametrize("skip", [0, 1])
def test_a_file_that_arrives_late_is_removed_though_its_folder_cannot_be_listed_at_first(
    account: World, skip: int
) -> None:
    world = account
    world.mkdir("/d")
    world.put("/d/f", b"new")
    _give_up(world)
    world.rename("/d", "/z")
    world.advance(31.0)
    world.account.files()
    world.account.job_s = 0.0
    world.backend.fail("list_folder", Throttled("slow", 1.0), skip=skip)
    world.follow()
    world.settle()
    world.advance(10.0)
    world.follow()
    world.settle()
    world.follow()
    assert {path for path, body in world.remote().items() if body} == {"/theirs", "/z/f"}
    world.backend.forgive()
    assert world.tree() == world.remote()
    assert world.notices() == []


def test_a_file_in_the_place_of_a_new_folder_that_arrives_late_becomes_a_copy_beside_it(
    account: World,
) -> None:
    """Nothing tells it from a folder that others made."""
    world = account
    world.mkdir("/d")
    _give_up(world)
    world.fs.rmdir("/d")
    world.put("/d", b"a file now")
    _ends(world)
    world.settle()
    (copy,) = (path for path in world.remote() if "conflicted copy" in path)
    assert world.tree() == world.remote() == {"/theirs": b"theirs", "/d": None, copy: b"a file now"}
    assert [notice for notice in world.notices() if notice.endswith(copy[1:])] == world.notices()


def test_a_late_rename_is_undone_though_the_first_try_to_note_it_fails(
    moving: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: nothing of the news was written, and they are read again."""
    world = moving
    _give_up_rename(world, "/f", "/g")
    world.rename("/g", "/f")
    world.advance(31.0)
    assert "/g" in world.remote()
    tree, feed = world.core.tree, world.core.feed
    note = feed._note_part

    def fail(news: Sequence[News]) -> None:
        with tree.transaction():
            note(news)
            raise RuntimeError

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(feed, "_note_part", fail)
        world.follow()
    _ends(world)
    assert world.tree() == world.remote() == UNMOVED
