"""What a mount had given up and what may still arrive is known to the one that takes it over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.model.entry import NS_PER_S
from mountfs.tree.late import MOVES_FACT, REMOVALS_FACT, VERSIONS_FACT, LateFiles
from mountfs.tree.node import ROOT_ID
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS, MemoryAccount
from tests.doubles.world import World
from tests.fakes.clock import FakeClock
from tests.unit.commit.test_late_removals import settle_before_it
from tests.unit.daemon.test_adoption import Estate


class SlowEstate(Estate):
    """On a machine with one clock, and of a service whose work on a commit takes half a minute."""

    def __init__(self, directory: Path, account: MemoryAccount) -> None:
        self.clock = account.clock = FakeClock()
        super().__init__(directory, account)

    def _world(self, name: str) -> World:
        (self.directory / name).mkdir()
        return World(self.directory / name, self.account, clock=self.clock)


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["dropbox", "box"])
def estate(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SlowEstate]:
    made = SlowEstate(tmp_path, MemoryAccount(request.param))
    made.account.write("/f", b"old")
    made.account.write("/d/in", b"in")
    for world in (made.theirs, made.ours):
        world.follow()
        world.tree()
    yield made
    made.close()


def give_up(world: World) -> None:
    """The reply to the next batch is lost, and the looks find nothing: the service is still at work on it."""
    world.lose_reply()
    world.give_up()


def taken_over(estate: SlowEstate, *, is_listed: bool = False) -> World:
    """The mount that takes over, after what was given up has taken effect and all has settled."""
    ours = estate.take_over()
    ours.advance(31.0)
    estate.account.files()
    estate.account.job_s = 0.0
    if is_listed:
        with ours.core.tree.transaction():
            ours.core.listings.doubt_all()
        ours.tree()
    for _ in range(3):
        ours.follow()
        ours.settle()
    assert ours.notices() == []
    return ours


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_new_file_that_they_removed_before_it_arrives_does_not_come_back(
    estate: SlowEstate, *, is_listed: bool
) -> None:
    estate.theirs.put("/new", b"new")
    give_up(estate.theirs)
    estate.theirs.fs.unlink("/new")
    ours = taken_over(estate, is_listed=is_listed)
    assert ours.tree() == ours.remote() == {"/f": b"old", "/d": None, "/d/in": b"in"}


@pytest.mark.parametrize("change", ["removed", "renamed", "written anew"])
def test_a_late_version_of_what_they_changed_since_is_ours(estate: SlowEstate, change: str) -> None:
    theirs = estate.theirs
    theirs.put("/f", b"first")
    give_up(theirs)
    if change == "removed":
        theirs.fs.unlink("/f")
    elif change == "renamed":
        theirs.rename("/f", "/g")
    else:
        theirs.put("/f", b"second")
    ours = taken_over(estate)
    after = {"removed": {}, "renamed": {"/g": b"first"}, "written anew": {"/f": b"second"}}[change]
    assert ours.tree() == ours.remote() == {"/d": None, "/d/in": b"in", **after}


@pytest.mark.parametrize(
    ("source", "target", "is_listed"), [("/f", "/g", False), ("/d", "/e", False), ("/d/in", "/g", True)]
)
def test_a_rename_that_they_undid_before_it_takes_effect_is_undone_there(
    estate: SlowEstate, source: str, target: str, *, is_listed: bool
) -> None:
    theirs, before = estate.theirs, estate.theirs.remote()
    theirs.rename(source, target)
    give_up(theirs)
    theirs.rename(target, source)
    ours = taken_over(estate, is_listed=is_listed)
    assert ours.tree() == ours.remote() == before


def test_what_both_wait_for_is_kept_of_both(estate: SlowEstate) -> None:
    estate.ours.put("/our new", b"ours")
    give_up(estate.ours)
    estate.ours.fs.unlink("/our new")
    estate.theirs.put("/their new", b"theirs")
    give_up(estate.theirs)
    estate.theirs.fs.unlink("/their new")
    ours = taken_over(estate)
    assert ours.tree() == ours.remote() == {"/f": b"old", "/d": None, "/d/in": b"in"}


@pytest.mark.parametrize("is_known", [True, False])
def test_a_removal_that_they_gave_up_does_not_take_the_same_bytes_that_they_wrote_anew(
    estate: SlowEstate, *, is_known: bool
) -> None:
    """Also where nobody here has heard of the file."""
    theirs, before = estate.theirs, estate.theirs.remote()
    if not is_known:
        estate.account.write("/x", b"x")
        theirs.follow()
        before |= {"/x": b"x"}
    path, body = ("/f", b"old") if is_known else ("/x", b"x")
    theirs.fs.unlink(path)
    give_up(theirs)
    theirs.put(path, body)
    ours = estate.take_over()
    settle_before_it(ours)
    assert ours.tree() == ours.remote() == before
    assert ours.notices() == []


@pytest.mark.parametrize("is_empty", [True, False])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_removal_of_a_folder_that_they_gave_up_does_not_take_the_one_that_they_made_anew(
    estate: SlowEstate, *, is_known: bool, is_empty: bool
) -> None:
    """Also where it is shown here as it was."""
    theirs = estate.theirs
    estate.account.mkdir("/e")
    for world in (theirs, estate.ours) if is_known else (theirs,):
        world.follow()
        world.tree()
    before = theirs.remote()
    theirs.fs.rmdir("/e")
    give_up(theirs)
    theirs.mkdir("/e")
    if not is_empty:
        theirs.put("/e/new", b"new")
    ours = estate.take_over()
    settle_before_it(ours)
    ours.settle()
    assert ours.tree() == ours.remote() == (before if is_empty else {**before, "/e/new": b"new"})
    assert ours.notices() == []


@pytest.mark.parametrize(("our_s", "their_s"), [(590, 0), (0, 590)])
def test_what_both_gave_up_is_waited_for_since_the_later(
    estate: SlowEstate, our_s: int, their_s: int
) -> None:
    """And a rename leads to where the later one was to."""
    begun_s = estate.clock.wall_ns() // NS_PER_S
    ours, theirs = estate.ours.core.tree, estate.theirs.core.tree
    for tree, after_s, goal in ((ours, our_s, "ours"), (theirs, their_s, "theirs")):
        noted_s = begun_s + after_s
        with tree.transaction():
            tree.store.set_fact(REMOVALS_FACT, json.dumps([("id:f", noted_s)]))
            tree.store.set_fact(VERSIONS_FACT, json.dumps([("id:f", "hash", noted_s)]))
            tree.store.set_fact(MOVES_FACT, json.dumps([("id:f", "/g", noted_s, None, ROOT_ID, goal)]))
    late = LateFiles(ours.store, estate.clock)
    with ours.transaction():
        late.take_over(theirs.store, lambda folder_id: folder_id)
    estate.clock.advance(700)
    assert late.may_remove("id:f")
    assert late.versions() == {"id:f": ("hash",)}
    assert late.goal("id:f") == (ROOT_ID, "ours" if our_s else "theirs")
