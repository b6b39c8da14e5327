"""Somebody else was first."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mountfs.errors import Conflict, ServerFault
from mountfs.model.order import Order, OrderKind
from mountfs.ports import Done, Launch
from tests.doubles.world import HOST, MIB, World
from tests.unit.commit.scenarios import check_nothing_is_left, step_until_running

DAY = "2023-11-1"  # the 14th or 15th, by the machine's time zone


def test_a_foreign_edit_keeps_both(world: World) -> None:
    world.account.mkdir("/d")
    world.account.write("/d/a.txt", b"0")
    world.put("/d/a.txt", b"ours")
    world.account.write("/d/a.txt", b"theirs")
    world.settle()
    files = world.account.files()
    assert files.pop("/d/a.txt") == b"theirs"
    (copy,) = files
    assert copy.startswith(f"/d/a (conflicted copy {HOST} {DAY}") and copy.endswith(").txt")
    assert files[copy] == b"ours"
    assert "somebody else changed it first" in world.notices()[0]


def test_a_new_file_that_somebody_else_made_in_other_case_keeps_both(world: World) -> None:
    world.put("/a.txt", b"ours")
    world.account.write("/A.txt", b"theirs")
    world.settle()
    files = world.account.files()
    assert files.pop("/A.txt") == b"theirs"
    ((copy, body),) = files.items()
    assert copy.startswith(f"/a (conflicted copy {HOST} {DAY}")
    assert body == b"ours"


def test_the_same_edit_by_somebody_else_is_no_conflict(world: World) -> None:
    world.put("/a", b"same")
    world.account.write("/a", b"same")
    world.settle()
    assert world.account.files() == {"/a": b"same"}
    assert world.notices() == []


def test_a_new_revision_of_the_same_bytes_is_no_conflict(world: World) -> None:
    world.account.write("/a", b"0")
    world.put("/a", b"1")
    world.account.write("/a", b"x")
    world.account.write("/a", b"0")
    world.settle()
    assert world.account.files() == {"/a": b"1"}
    assert world.notices() == []


def test_a_folder_in_the_way_moves_the_file_beside(world: World) -> None:
    world.put("/a", b"1")
    world.account.mkdir("/a")
    world.settle()
    assert world.account.folders() == {"/a"}
    assert list(world.account.files().values()) == [b"1"]


def test_a_delete_of_what_somebody_changed_is_dropped(world: World) -> None:
    world.account.write("/a", b"0")
    world.fs.unlink("/a")
    world.account.write("/a", b"theirs")
    world.settle()
    assert world.account.files() == {"/a": b"theirs"}
    assert "not removed" in world.notices()[0]
    assert world.fs.getattr("/a").size_bytes == 6


def test_a_move_never_replaces_what_somebody_put_there(world: World) -> None:
    world.account.write("/a", b"a")
    world.rename("/a", "/b")
    world.account.write("/b", b"theirs")
    world.settle()
    assert world.account.files() == {"/a": b"a", "/b": b"theirs"}
    assert world.pending() == []
    refusal = world.state("/a").refusal
    assert refusal is not None and refusal.kind is OrderKind.MOVE
    assert "not renamed" in world.notices()[0]
    assert world.tree() == {"/a": b"a", "/b": b"theirs"}


def test_a_move_whose_source_is_gone_is_void_and_says_so(world: World) -> None:
    world.account.write("/a", b"a")
    world.rename("/a", "/b")
    world.account.remove("/a")
    world.settle()
    assert world.tree() == world.account.files() == {}
    assert "by somebody else" in world.notices()[0]
    check_nothing_is_left(world)


def test_later_calls_follow_a_version_that_had_to_step_beside(world: World) -> None:
    world.account.write("/a", b"0")
    world.put("/a", b"ours")
    world.upload_all()
    world.account.write("/a", b"theirs")
    world.account.job_polls = 2
    step_until_running(world)
    world.fs.unlink("/a")
    world.settle()
    assert world.account.files() == {"/a": b"theirs"}


def test_an_edit_of_a_version_that_had_to_step_beside_steps_beside_in_its_place(world: World) -> None:
    world.account.write("/a", b"0")
    world.put("/a", b"ours")
    world.upload_all()
    world.account.write("/a", b"theirs")
    world.account.job_polls = 2
    step_until_running(world)
    world.put("/a", b"ours, again")
    world.settle()
    files = world.account.files()
    assert files.pop("/a") == b"theirs"
    ((copy, body),) = files.items()
    assert "conflicted copy" in copy and body == b"ours, again"
    assert world.file("/a").size_bytes == 6


def test_no_session_stays_open_of_what_somebody_else_did_too(side_by_side: World) -> None:
    side_by_side.put("/a", b"same")
    side_by_side.upload_all()
    side_by_side.account.write("/a", b"same")
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"same"}
    assert side_by_side.account.sessions == {}
    assert side_by_side.core.tree.store.orphans.all() == []


def test_a_rename_that_is_refused_for_nothing_is_sent_again(world: World) -> None:
    world.account.write("/a", b"a")
    world.rename("/a", "/b")
    world.backend.refuse("/b", Conflict("412"), times=2)
    world.settle()
    assert world.account.files() == {"/b": b"a"}
    assert world.notices() == []
    check_nothing_is_left(world)


def test_a_rename_that_is_refused_for_nothing_for_ever_is_given_up(world: World) -> None:
    world.account.write("/a", b"a")
    world.rename("/a", "/b")
    world.backend.refuse("/b", Conflict("412"), times=100)
    world.settle()
    assert world.account.files() == world.tree() == {"/a": b"a"}
    assert world.notices() == ["not renamed: 412"]


@pytest.mark.parametrize("body", [b"new", b"x" * (9 * MIB)], ids=["small", "large"])
def test_bytes_that_were_not_up_when_a_rename_was_refused_are_sent(world: World, body: bytes) -> None:
    world.account.write("/a", b"a")
    world.names()
    world.rename("/a", "/b")
    world.put("/b", body)
    world.account.write("/b", b"theirs")
    world.run([world.core.committer.step], 60.0)
    assert "not renamed" in world.notices()[0]
    assert world.word("/a") == "sealed"
    world.settle()
    assert world.account.files() == {"/a": body, "/b": b"theirs"}
    assert world.pending() == []
    assert world.word("/a") == "clean"


@pytest.mark.parametrize("body", [b"new", b"x" * (9 * MIB)], ids=["small", "large"])
def test_a_file_whose_rename_was_refused_takes_other_bytes(world: World, body: bytes) -> None:
    world.account.write("/a", b"a")
    world.rename("/a", "/b")
    world.account.write("/b", b"theirs")
    world.settle()
    assert world.state("/a").refusal is not None
    world.put("/a", body)
    world.settle()
    assert world.account.files() == {"/a": body, "/b": b"theirs"}
    assert world.pending() == []


@pytest.mark.parametrize("kind", ["put", "mkdir", "move"])
def test_what_is_in_a_folder_that_others_removed_waits_until_that_can_be_looked_into(
    side_by_side: World, kind: str
) -> None:
    world = side_by_side
    world.account.write("/d/x", b"x")
    world.account.write("/y", b"y")
    world.names("/d")
    if kind == "put":
        world.put("/d/new", b"n")
    elif kind == "mkdir":
        world.mkdir("/d/new")
    else:
        world.rename("/y", "/d/new")
    world.account.remove("/d")
    world.backend.fail("list_folder", ServerFault("500"), times=30)
    world.settle()
    assert "/d/new" in world.remote()
    assert world.pending() == []
    assert world.notices() == []


def test_a_copy_that_the_service_names_is_shown_under_that_name(world: World) -> None:
    """As with `autorename` of a Dropbox: no conflict is told, but another name."""
    world.account.write("/f", b"0")
    world.put("/f", b"ours")
    theirs = world.account.write("/f", b"theirs")
    submit = world.memory.submit

    def submit_and_rename(orders: Sequence[Order]) -> Launch:
        launch = submit(orders)
        assert isinstance(launch, Done)
        if isinstance(launch.outcomes[0], Conflict):
            return Done((world.account.write("/f (1)", b"ours"),))
        return launch

    world.memory.submit = submit_and_rename  # type: ignore[method-assign]
    world.settle()
    assert world.account.files() == {"/f": b"theirs", "/f (1)": b"ours"}
    assert world.tree() == {"/f": b"theirs", "/f (1)": b"ours"}
    assert world.word("/f (1)") == "clean"
    assert world.file("/f").revision == theirs.revision
    assert world.notices() == ["somebody else changed it first: this version is kept as f (1)"]


def test_a_removal_that_is_refused_again_and_again_is_not_told_as_another_s_change(world: World) -> None:
    world.account.write("/a", b"theirs")
    assert world.names() == {"a"}
    world.backend.refuse("/a", Conflict("refused again and again"), times=1000)
    world.fs.unlink("/a")
    world.settle(most_s=4000.0)
    assert world.notices() == ["not removed: refused again and again"]
    assert world.names() == {"a"}
