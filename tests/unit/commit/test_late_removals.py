"""Removals of ours that take effect at the service after they were given up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import Offline, ServerFault
from mountfs.model.entry import Place
from mountfs.model.order import Delete, OrderKind
from mountfs.model.path import RemotePath
from mountfs.ports import BackendLimits
from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path, limits: BackendLimits) -> Iterator[World]:
    """Of a service whose work on an order may take half a minute."""
    world = World(tmp_path, limits=limits)
    world.account.clock = world.clock
    world.theirs("/f", b"f")
    world.names()
    yield world
    world.close()


def _give_up_removal(world: World) -> None:
    """Its connection is cut, and the looks find the file: the service is still at work on it."""
    world.fs.unlink("/f")
    world.lose_reply()
    world.give_up()
    assert world.remote() == {"/f": b"f"}


def settle_before_it(world: World) -> None:
    """All that is pending takes effect, and the removal after that."""
    account = world.account
    account.tree.moves_renew_revisions = False
    late, account._at_work = account._at_work, []
    account._jobs.clear()
    account.job_s = 0.0
    world.settle()
    for job in late:
        for order in job.orders:
            account._outcome(order)
    world.follow()


@pytest.mark.parametrize("kill", ["none", "before", "after"])
@pytest.mark.parametrize("is_renamed", [True, False], ids=["mv f.new f", "echo f >f"])
def test_a_late_removal_does_not_take_the_same_bytes_that_were_written_anew(
    world: World, kill: str, *, is_renamed: bool
) -> None:
    _give_up_removal(world)
    if kill == "before":
        world.restart()
    world.put("/f.new" if is_renamed else "/f", b"f")
    if is_renamed:
        world.rename("/f.new", "/f")
    if kill == "after":
        world.restart()
    settle_before_it(world)
    assert world.tree() == world.remote() == {"/f": b"f"}
    assert world.notices() == []


def test_other_bytes_are_a_new_revision_which_a_late_removal_leaves(world: World) -> None:
    _give_up_removal(world)
    item_id = world.file("/f").id
    world.put("/f", b"other")
    world.upload_all()
    settle_before_it(world)
    assert world.tree() == world.remote() == {"/f": b"other"}
    if world.account.limits.batches_at_once == 1:  # else the removal is on its way again by then
        assert world.file("/f").id == item_id
        assert [order.kind for batch in world.account.submits for order in batch] == [
            OrderKind.DELETE,
            OrderKind.PUT,
        ]
    assert world.notices() == []


@pytest.mark.parametrize("is_killed", [True, False])
@pytest.mark.parametrize("is_replied", [True, False])
def test_a_file_that_a_late_rename_of_its_folder_takes_along_is_removed(
    world: World, *, is_killed: bool, is_replied: bool
) -> None:
    """`mv d e; rm -r e`, and nothing is heard of either: that nothing is at d/f tells nothing of the file."""
    world.theirs("/d/in", b"in")
    world.tree()
    world.rename("/d", "/e")
    world.lose_reply()
    world.fs.unlink("/e/in")
    world.fs.rmdir("/e")
    if is_killed:
        world.restart()
    if not is_replied:
        world.give_up()
        world.backend.fail("submit", Offline("lost"), after=True)
    for _ in range(3):
        world.settle(5000.0)
        world.advance(60.0)
        world.account.files()
        world.follow()
    assert world.tree() == world.remote() == {"/f": b"f"}
    assert world.notices() == []


def test_a_removal_whose_folder_was_taken_along_does_not_take_the_same_bytes(world: World) -> None:
    """`mv d e`, of which nothing is heard, takes effect while the service fails at the removal of d/in, which
    it may still carry out; and e/in is written anew."""
    account, committer = world.account, world.core.committer
    account.tree.moves_renew_revisions = False
    world.theirs("/d/in", b"in")
    removal = Delete(
        Place(RemotePath("/d/in"), world.node("/d").state.base.id),  # type: ignore[union-attr]
        is_folder=False,
        item_id=world.file("/d/in").id,
        base_revision=world.file("/d/in").revision,
    )
    world.rename("/d", "/e")
    world.advance(1.0)
    account.job_s = 30.0
    world.backend.fail("submit", Offline("lost"), after=True)
    committer.step(world.clock.now_s())
    while committer.current:
        world.advance(0.5)
        committer.step(world.clock.now_s())
    renamed = world.node("/e").pending
    assert renamed is not None
    renamed.held_until_s = world.clock.now_s() + 60.0
    account.job_s = 0.0
    world.advance(31.0)
    assert "/e/in" in account.files()
    world.fs.unlink("/e/in")
    world.backend.refuse("/d/in", ServerFault("failed"))
    for _ in range(20):
        committer.step(world.clock.now_s())
        world.advance(0.2)
        if world.backend.is_spent():
            break
    world.put("/e/in", b"in")
    world.settle()
    account._outcome(removal)
    world.follow()
    assert world.tree() == world.remote() == {"/f": b"f", "/e": None, "/e/in": b"in"}
    assert world.notices() == []


@pytest.mark.parametrize("goal", ["/e", "/x/e"])
@pytest.mark.parametrize("is_listed", [True, False], ids=["listed first", "removed first"])
@pytest.mark.parametrize("is_undone", [True, False])
def test_what_others_put_in_the_place_of_a_folder_that_a_late_rename_took_brings_nothing_back(
    world: World, goal: str, *, is_listed: bool, is_undone: bool
) -> None:
    """`mv d e`, given up; `rm e/in`; it takes effect, and others make a d/in. It is listed before any news
    are read, or the removal of d/in is sent first."""
    world.account.mkdir("/x")
    world.theirs("/d/in", b"in")
    world.tree()
    world.rename("/d", goal)
    world.lose_reply()
    world.give_up()
    world.fs.unlink(f"{goal}/in")
    if is_undone:
        world.rename(goal, "/d")
    world.account.job_s = 0.0
    world.advance(31.0)
    assert f"{goal}/in" in world.account.files()
    world.account.write("/d/in", b"theirs")
    if is_listed:
        world.core.listings.try_relist(world.core.tree.root)
    world.settle(5000.0)
    world.account.void_cursors()
    world.follow()
    world.tree()
    world.settle(5000.0)
    expected = {"/f": b"f", "/x": None, "/d": None, "/d/in": b"theirs", goal: None}
    assert world.tree() == world.remote() == expected
    assert set(world.notices()) <= ({"not renamed: something stands at /d"} if is_undone else set())


def test_a_removal_follows_a_folder_that_others_renamed_and_put_another_in_the_place_of(world: World) -> None:
    """A listing tells of both at once, the other one first."""
    world.theirs("/d/in", b"in")
    world.theirs("/e/in", b"e")
    world.tree()
    world.fs.unlink("/d/in")
    world.fs.unlink("/e/in")
    for source, target in (("/e", "/g"), ("/d", "/e")):
        world.account.move(source, target)
    world.account.write("/d/new", b"theirs")
    world.core.listings.try_relist(world.core.tree.root)
    world.settle()
    world.follow()
    expected = {"/f": b"f", "/d": None, "/d/new": b"theirs", "/e": None, "/g": None}
    assert world.tree() == world.remote() == expected
    assert world.notices() == []


@pytest.mark.parametrize("kill", ["none", "before", "after"])
@pytest.mark.parametrize("is_empty", [True, False])
def test_a_late_removal_of_a_folder_does_not_take_the_one_that_was_made_anew(
    world: World, kill: str, *, is_empty: bool
) -> None:
    world.account.mkdir("/d")
    world.follow()
    world.tree()
    world.fs.rmdir("/d")
    world.lose_reply()
    world.give_up()
    if kill == "before":
        world.restart()
    world.mkdir("/d")
    if kill == "after":
        world.restart()
    if not is_empty:
        world.put("/d/in", b"in")
    settle_before_it(world)
    world.settle()
    expected = {"/f": b"f", "/d": None} if is_empty else {"/f": b"f", "/d": None, "/d/in": b"in"}
    assert world.tree() == world.remote() == expected
    assert world.notices() == []


@pytest.mark.parametrize("is_moved", [True, False], ids=["mv f d/", "echo x >d/new"])
@pytest.mark.parametrize("is_taken", [True, False], ids=["a file is d now", "d is gone"])
def test_a_folder_goes_though_a_file_of_ours_arrived_in_it_late(
    world: World, *, is_moved: bool, is_taken: bool
) -> None:
    world.account.mkdir("/d")
    world.follow()
    world.tree()
    if is_moved:
        world.rename("/f", "/d/f")
    else:
        world.put("/d/f", b"new")
    world.lose_reply()
    world.give_up()
    world.fs.unlink("/d/f")
    world.fs.rmdir("/d")
    if is_taken:
        world.put("/d", b"a file now")
    world.advance(31.0)
    assert "/d/f" in world.account.files()
    world.account.job_s = 0.0
    for _ in range(2):
        world.settle(5000.0)
        world.follow()
    kept = {} if is_moved else {"/f": b"f"}
    assert world.tree() == world.remote() == {**kept, **({"/d": b"a file now"} if is_taken else {})}
    assert world.notices() == []


def test_what_others_put_into_a_removed_folder_is_shown_though_something_of_ours_may_arrive_there(
    world: World,
) -> None:
    world.account.mkdir("/d")
    world.follow()
    world.tree()
    world.rename("/f", "/d/f")
    world.lose_reply()
    world.give_up()
    world.fs.unlink("/d/f")
    world.fs.rmdir("/d")
    world.account.lose_jobs(end=True)
    world.account.job_s = 0.0
    world.account.write("/d/theirs", b"theirs")
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {"/d": None, "/d/theirs": b"theirs"}
    assert len(world.notices()) == 1
