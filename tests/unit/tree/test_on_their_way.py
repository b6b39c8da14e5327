"""An order that took effect at the service, before its reply is here: nobody misses what it is about."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mountfs.errors import NotFound, Offline
from mountfs.model.entry import NS_PER_S
from mountfs.ports import BackendLimits
from mountfs.tree.node import whole_seconds
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

TOUCHED_NS, TOUCHED_AGAIN_NS = 1_500_000_000 * NS_PER_S, 1_500_000_001 * NS_PER_S


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Everything is listed."""
    made = World(tmp_path)
    made.account.write("/f", b"x")
    made.account.mkdir("/d")
    shown(made)
    yield made
    made.close()


def send(world: World, path: str) -> None:
    """What is pending at *path* takes effect; the reply is due in an hour."""
    world.account.job_polls, world.account.poll_after_s = 1, 3600.0
    while not world.core.committer.current:
        world.commit_steps(1)
    assert (path, "committing") in world.pending()


def send_rename(world: World, source: str, target: str) -> None:
    world.rename(source, target)
    send(world, target)


def shown(world: World, folder: str = "") -> set[str]:
    found: set[str] = set()
    for name in world.names(folder or "/"):
        path = f"{folder}/{name}"
        found |= {path} | (shown(world, path) if world.node(path).is_folder else set())
    return found


def list_anew(world: World, folder: str) -> None:
    """The listing of *folder* alone is out of date."""
    with world.core.tree.transaction():
        world.core.listings.doubt(world.node(folder))


def listed(world: World) -> int:
    return world.memory.calls().get("list_folder", 0)


# Renames


@pytest.mark.parametrize("anew", [["/"], ["/d"], ["/", "/d"], ["/d", "/"]])
def test_a_renamed_file_is_shown_whichever_folder_is_listed_anew(world: World, anew: list[str]) -> None:
    send_rename(world, "/f", "/d/f")
    for folder in anew:
        list_anew(world, folder)
        assert shown(world) == {"/d", "/d/f"}


def test_a_renamed_folder_and_what_is_in_it_are_shown_though_the_new_name_was_looked_at_before(
    world: World,
) -> None:
    world.account.write("/d/e", b"e")
    world.follow()
    for path in ("/new/e", "/d/e"):
        try:
            world.node(path)
        except NotFound:
            assert path == "/new/e"
    send_rename(world, "/d", "/new")
    for folder in ("/new", "/"):
        list_anew(world, folder)
        assert shown(world) == {"/f", "/new", "/new/e"}


def test_what_somebody_else_removed_before_the_reply_is_gone_once_that_is_here(world: World) -> None:
    send_rename(world, "/f", "/d/f")
    world.account.remove("/d/f")
    list_anew(world, "/")
    before = listed(world)
    assert [shown(world) for _ in range(3)] == [{"/d", "/d/f"}] * 3
    assert listed(world) == before + 1
    world.follow()
    world.settle(most_s=4000.0)
    assert [shown(world) for _ in range(3)] == [{"/d"}] * 3
    assert world.pending() == []


def test_it_is_no_missing_file_while_nobody_can_tell_whether_it_arrived(world: World) -> None:
    send_rename(world, "/f", "/d/f")
    list_anew(world, "/")
    world.memory.is_online = False
    assert world.node("/d/f").state.base is not None
    with pytest.raises(NotFound):
        world.node("/d/other")
    world.memory.is_online = True
    assert shown(world) == {"/d", "/d/f"}


@pytest.mark.parametrize("anew", [[], ["/", "/d"]])
def test_it_keeps_the_time_that_was_set_before_and_meanwhile(world: World, anew: list[str]) -> None:
    world.touch("/f", TOUCHED_NS)
    send_rename(world, "/f", "/d/f")
    for folder in anew:
        list_anew(world, folder)
    assert world.fs.getattr("/d/f").mtime_ns == TOUCHED_NS
    world.touch("/d/f", TOUCHED_AGAIN_NS)
    assert world.fs.getattr("/d/f").mtime_ns == TOUCHED_AGAIN_NS
    world.settle(most_s=4000.0)
    assert world.fs.getattr("/d/f").mtime_ns == TOUCHED_AGAIN_NS


@pytest.mark.parametrize("names", [["/g"], ["/f", "/d/f", "/g"]])
def test_it_keeps_its_time_when_it_is_renamed_again_meanwhile(world: World, names: list[str]) -> None:
    """Each of the moves gives it another revision."""
    world.touch("/f", TOUCHED_NS)
    send_rename(world, "/f", "/d/f")
    for source, target in zip(["/d/f", *names], names, strict=False):
        world.rename(source, target)
    assert world.fs.getattr("/g").mtime_ns == TOUCHED_NS
    world.settle(most_s=4000.0 * len(names))
    assert world.account.files() == {"/g": b"x"}
    assert world.fs.getattr("/g").mtime_ns == TOUCHED_NS


def test_what_is_written_over_it_replaces_the_revision_it_then_has(world: World) -> None:
    send_rename(world, "/f", "/d/f")
    world.put("/d/f", b"new")
    world.rename("/d/f", "/g")
    world.settle(most_s=12000.0)
    assert world.account.files() == {"/g": b"new"}
    assert [len(batch) for batch in world.account.submits] == [1, 1, 1]


def test_a_move_of_what_others_wrote_meanwhile_does_not_put_ours_over_theirs(world: World) -> None:
    """`mv f d/f; > d/f`: the file that arrives at the new place has bytes that ours were not made from."""
    world.get("/f")
    world.account.write("/f", b"theirs, before the move took effect")
    send_rename(world, "/f", "/d/f")
    world.put("/d/f", b"ours")
    world.settle(most_s=12000.0)
    world.follow()
    assert set(world.remote().values()) == {b"ours", b"theirs, before the move took effect", None}
    assert world.tree() == world.remote()
    assert any("somebody else changed it first" in notice for notice in world.notices())


@pytest.mark.parametrize("is_removed", [True, False])
def test_a_renamed_file_keeps_its_time_though_a_new_folder_has_its_old_name(
    world: World, is_removed: bool
) -> None:
    world.touch("/f", TOUCHED_NS)
    world.rename("/f", "/g")
    world.mkdir("/f")
    world.touch("/f", TOUCHED_AGAIN_NS)
    if is_removed:
        world.fs.rmdir("/f")
        world.mkdir("/f")
    for _ in range(2):
        assert (world.fs.getattr("/f").mtime_ns == TOUCHED_AGAIN_NS) is not is_removed
        assert world.fs.getattr("/g").mtime_ns == TOUCHED_NS
        world.settle()


def test_a_new_folder_keeps_its_time_though_the_file_that_had_its_name_is_removed_later(
    world: World,
) -> None:
    world.fs.unlink("/f")
    world.mkdir("/f")
    world.touch("/f", TOUCHED_NS)
    world.settle()
    assert world.fs.getattr("/f").mtime_ns == TOUCHED_NS


# New versions


@pytest.mark.parametrize("names", [["/g"], ["/g", "/d/f", "/g"]])
def test_a_file_renamed_while_it_is_committed_keeps_its_time(world: World, names: list[str]) -> None:
    """The service keeps the old time with identical bytes."""
    world.put("/f", b"x")
    written_ns = whole_seconds(world.fs.getattr("/f").mtime_ns)
    send(world, "/f")
    for source, target in zip(["/f", *names], names, strict=False):
        world.rename(source, target)
    world.settle(most_s=4000.0 * (len(names) + 1))
    assert world.file("/g").mtime_ns != written_ns
    assert whole_seconds(world.fs.getattr("/g").mtime_ns) == written_ns


def test_what_is_written_over_a_file_renamed_while_it_is_committed_is_no_conflict(world: World) -> None:
    world.put("/f", b"new")
    send(world, "/f")
    world.put("/f", b"newer")
    world.rename("/f", "/g")
    world.settle(most_s=12000.0)
    assert world.account.files() == {"/g": b"newer"}
    assert len(world.account.submits) == 3


# What is heard of an order on its way


def test_news_of_what_an_order_on_its_way_did_are_our_own_echo(world: World) -> None:
    world.follow()
    shown(world)
    world.put("/d/new", b"new")
    send(world, "/d/new")
    world.follow()
    before = listed(world)
    world.settle(most_s=4000.0)
    assert shown(world) == {"/f", "/d", "/d/new"}
    assert listed(world) == before


def test_news_heard_for_an_order_on_its_way_lead_to_a_fresh_listing(world: World) -> None:
    """Others replace what we have just put there before we hear that it arrived."""
    world.follow()
    shown(world)
    world.put("/d/new", b"ours")
    send(world, "/d/new")
    world.account.write("/d/new", b"theirs, made from ours")
    world.follow()
    before = listed(world)
    world.settle(most_s=4000.0)
    assert world.get("/d/new") == b"theirs, made from ours"
    assert listed(world) == before + 1


ELSEWHERE = [
    lambda world, path: world.rename("/f", path),
    lambda world, path: world.put(path, b"new"),
]


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])
@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize("act", ELSEWHERE, ids=["move", "put"])
@pytest.mark.parametrize("target", [None, "/other/g", "/d/g"])
def test_what_others_move_on_or_remove_before_the_reply_is_not_shown_where_the_order_put_it(
    tmp_path: Path,
    limits: BackendLimits,
    is_listed: bool,
    act: Callable[[World, str], None],
    target: str | None,
) -> None:
    world = World(tmp_path, limits=limits)
    world.account.write("/f", b"x")
    world.account.mkdir("/d")
    world.account.mkdir("/other")
    world.follow()
    assert world.names("/d") == set()
    if is_listed:
        world.tree()
    act(world, "/d/f")
    send(world, "/d/f")
    if target is None:
        world.account.remove("/d/f")
    else:
        world.account.move("/d/f", target)
    world.follow()
    world.settle(most_s=8000.0)
    assert world.names("/d") == {
        path.removeprefix("/d/") for path in world.remote() if path.startswith("/d/")
    }
    assert world.tree() == world.remote()
    assert world.pending() == []
    world.close()


def test_what_others_removed_before_the_reply_is_gone_though_the_news_of_it_were_lost(world: World) -> None:
    """The changes are followed anew from after the removal, and a listing before the reply cannot tell."""
    world.put("/new", b"n")
    send(world, "/new")
    world.account.void_cursors()
    world.account.remove("/new")
    world.advance(40.0)
    world.follow()
    assert "/new" in world.tree()
    world.settle(most_s=8000.0)
    world.follow()
    assert world.tree() == world.remote() == {"/d": None, "/f": b"x"}


# After a crash


def test_orders_that_were_on_their_way_at_a_crash_are_looked_up_and_not_sent_again(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.account.write("/moved", b"m")
    world.account.write("/gone", b"g")
    assert world.names() == {"moved", "gone"}
    world.put("/new", b"n")
    world.rename("/moved", "/there")
    world.fs.unlink("/gone")
    world.mkdir("/folder")
    world.backend.fail("submit", Offline("cut"), after=True, times=4)
    while len(world.account.submits) < 4:
        world.commit_steps(1)
    world.restart()
    assert {word for _, word in world.pending()} == {"committing"}
    world.settle()
    assert world.tree() == world.remote() == {"/new": b"n", "/there": b"m", "/folder": None}
    assert world.pending() == []
    assert len(world.account.submits) == 4
    world.close()


def test_what_was_heard_of_an_order_on_its_way_before_a_crash_is_looked_at_after_it(world: World) -> None:
    """Others replaced what had just arrived, and the news of that are not told again."""
    world.follow()
    shown(world)
    world.put("/d/new", b"ours")
    send(world, "/d/new")
    world.account.write("/d/new", b"theirs, made from ours")
    world.follow()
    world.restart()
    world.follow()
    world.settle(most_s=4000.0)
    assert world.get("/d/new") == b"theirs, made from ours"
    assert world.tree() == world.remote()


def test_a_new_file_that_was_removed_on_its_way_stays_removed_after_a_crash(world: World) -> None:
    """Nothing but its order knows of it any more; the reply names it in its place among the others."""
    world.put("/new", b"n")
    world.put("/beside", b"b")
    send(world, "/new")
    assert ("/beside", "committing") in world.pending()
    world.fs.unlink("/new")
    world.restart()
    assert "/new" not in world.tree()
    world.settle(most_s=8000.0)
    assert world.tree() == world.remote() == {"/d": None, "/f": b"x", "/beside": b"b"}
    assert world.pending() == []


@pytest.mark.parametrize("folders", ["/new", "/new/in/it"])
def test_so_do_the_folders_that_it_makes_by_the_way_and_others_of_their_names_are_made(
    world: World, folders: str
) -> None:
    path = ""
    made = [path := f"{path}/{name}" for name in folders[1:].split("/")]
    for folder in made:
        world.mkdir(folder)
    world.put(f"{folders}/f", b"removed")
    send(world, f"{folders}/f")
    world.account.job_polls = 0
    world.fs.unlink(f"{folders}/f")
    for folder in reversed(made):
        world.fs.rmdir(folder)
    world.mkdir("/new")
    world.mkdir("/new/f")
    world.restart()
    assert faults_of(world.core.tree) == []
    world.settle(most_s=8000.0)
    shown(world)
    assert world.remote() == world.tree() == {"/d": None, "/f": b"x", "/new": None, "/new/f": None}
    assert (world.pending(), world.notices()) == ([], [])


def test_an_order_whose_file_is_missing_in_the_journal_keeps_nothing_else_waiting(world: World) -> None:
    """A damaged journal: what the reply says of each in turn is of no use, so all are looked up."""
    world.put("/lost", b"l")
    world.put("/beside", b"b")
    send(world, "/lost")
    assert ("/beside", "committing") in world.pending()
    lost = world.node("/lost").id
    world.close()
    with closing(sqlite3.connect(world.places.store)) as db, db:
        db.execute("DELETE FROM nodes WHERE id = ?", (lost,))
    world.start()
    world.settle(most_s=8000.0)
    assert world.remote()["/beside"] == b"b"
    assert world.pending() == []


def test_an_order_cut_by_a_crash_that_never_arrived_is_sent_again(world: World) -> None:
    world.rename("/f", "/d/f")
    world.backend.fail("submit", Offline("cut"))
    while not world.core.committer.current:
        world.commit_steps(1)
    world.restart()
    assert world.pending() == [("/d/f", "committing")]
    world.settle()
    assert world.tree() == world.remote() == {"/d": None, "/d/f": b"x"}
    assert world.pending() == []
