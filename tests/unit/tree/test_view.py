"""What people are told of a path: what stands there, how far it is on its way, and why it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mountfs.errors import Busy, Forbidden, NotADirectory, NotFound, Offline, Transient
from mountfs.model.advice import advised
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World


def told(world: World, path: str) -> tuple[str, str]:
    return world.core.view.state_of([name for name in path.split("/") if name])


def test_a_path_leads_through_folders_only(world: World) -> None:
    world.account.write("/d/x", b"x")
    assert not world.node("/D/X").is_folder
    with pytest.raises(NotFound):
        world.node("/d/y")
    with pytest.raises(NotADirectory):
        world.node("/d/x/y")
    assert world.node("/") is world.core.tree.root


def test_a_folder_that_was_never_listed_and_cannot_be_is_not_taken_for_empty(world: World) -> None:
    world.account.write("/d/x", b"x")
    assert world.node("/d").is_folder
    world.memory.is_online = False
    for path in ("/d/x", "/d/y"):
        with pytest.raises(Transient):
            world.node(path)


def test_what_is_in_memory_is_told_without_asking_the_service(world: World) -> None:
    world.account.write("/d/x", b"x")
    view = world.core.view
    assert view.known(["d"]) is None
    world.names("/d")
    calls = world.memory.calls()
    assert view.known(["D", "x"]) is world.node("/d/x")
    assert view.known(["d", "x", "y"]) is None
    assert world.memory.calls() == calls


def test_a_file_is_told_to_be_on_its_way_until_the_service_has_it(world: World) -> None:
    number = world.begin("/a", b"a")
    assert told(world, "/a") == ("pending", "")
    world.close_file(number)
    assert told(world, "/a") == ("uploading", "")
    world.upload_all()
    world.advance(1.0)
    assert world.core.plan.look(world.clock.now_s()) > world.clock.now_s()
    world.upload_all()
    assert told(world, "/a") == ("pending", "")
    world.account.job_polls = 1
    while not world.core.committer.current:
        world.commit_steps(1)
    assert told(world, "/a") == ("committing", "")
    world.settle()
    assert told(world, "/a") == ("clean", "")


def test_a_file_that_stays_here_is_told_to_be_local(world: World) -> None:
    world.put("/~$a", b"a")
    world.settle()
    assert told(world, "/~$a") == ("local", "")
    assert told(world, "/") == ("clean", "")


def test_a_folder_is_told_to_be_pending_while_anything_below_it_is(world: World) -> None:
    world.account.mkdir("/d/sub")
    world.put("/d/sub/x", b"x")
    assert [told(world, path)[0] for path in ("/d/sub", "/d", "/")] == ["pending"] * 3
    world.settle()
    assert [told(world, path)[0] for path in ("/d/sub", "/d", "/")] == ["clean"] * 3


def test_a_folder_is_told_to_have_failed_when_anything_below_it_has(world: World) -> None:
    world.account.mkdir("/d/sub")
    world.names("/d/sub")
    world.backend.refuse("/d/sub/x", Forbidden("no"))
    world.put("/d/sub/x", b"x")
    world.put("/d/y", b"y")
    world.settle()
    assert told(world, "/d/sub/x") == ("failed", advised(Forbidden("no")))
    assert [told(world, path)[0] for path in ("/d/sub", "/d", "/")] == ["failed"] * 3


def test_what_waits_for_something_refused_says_for_what_and_why(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.account.write("/a", b"a")
    world.names()
    world.backend.refuse("/d", Forbidden("no"))
    world.mkdir("/d")
    world.settle()
    world.rename("/a", "/d/a")
    world.settle()
    assert told(world, "/d/a") == ("failed", f"it waits for /d: {advised(Forbidden('no'))}")
    world.close()


def test_what_waits_deep_below_a_refused_folder_says_so_in_one_look_at_each_level(tmp_path: Path) -> None:
    """Twice as many for each level would hold the lock for hours."""
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.backend.refuse("/d", Forbidden("no"))
    path = ""
    for name in "d" * 40:
        path += f"/{name}"
        world.mkdir(path)
    world.settle()
    assert told(world, path) == ("failed", f"it waits for /d: {advised(Forbidden('no'))}")
    world.close()


@pytest.mark.parametrize("error", [Busy("locked"), Offline("cut")])
def test_what_the_last_attempt_met_is_told_until_one_goes_well(world: World, error: Exception) -> None:
    world.backend.refuse("/a", error)  # type: ignore[arg-type]
    world.put("/a", b"a")
    world.upload_all()
    while world.core.plan.looks < 50 and told(world, "/a")[1] == "":
        world.commit_steps(1)
    assert told(world, "/a")[1] == str(error)
    world.settle()
    assert told(world, "/a") == ("clean", "")
