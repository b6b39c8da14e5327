"""``mountfs undelete``, wherever the removal had got to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from daemon.commit.verdicts import leaves_open
from daemon.control.account import GoesOn, always
from daemon.process import undelete
from daemon.process.undelete import Undelete
from mountfs.errors import AlreadyExists, Busy, MountfsError, NoSpace, NotFound, Offline, Refused, Throttled
from mountfs.model.entry import Place
from mountfs.model.order import Order
from mountfs.model.path import RemotePath
from mountfs.model.undeleted import Removed
from mountfs.ports import Launch
from mountfs.tree.discard import Discard, GivenUp
from mountfs.tree.node import Node
from tests.doubles.memory_account import MemoryAccount
from tests.doubles.world import World
from tests.fakes.clock import FakeClock

THEIRS: dict[str, bytes | None] = {"/d": None, "/d/e": None, "/d/e/y": b"y", "/d/x": b"x", "/f": b"f"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    for path, body in THEIRS.items():
        if body is not None:
            made.account.write(path, body)
    made.follow()
    for path in ("/", "/d", "/d/e"):
        made.names(path)
    yield made
    made.close()


def told(world: World, path: str, goes_on: GoesOn = always) -> str:
    (line,) = Undelete(world.core).run(RemotePath.parse(path), goes_on)
    return line


def remove_all(world: World) -> None:
    for path in ("/d/e/y", "/d/x"):
        world.fs.unlink(path)
    for path in ("/d/e", "/d"):
        world.fs.rmdir(path)


def calls(world: World, route: str) -> int:
    return world.backend.calls().get(route, 0)


def assert_back(world: World) -> None:
    assert world.tree() == THEIRS
    world.settle()
    assert world.tree() == world.remote() == THEIRS
    assert world.pending() == []
    world.restart()
    assert world.tree() == THEIRS


def test_a_removal_that_was_not_sent_is_taken_back_without_the_service(world: World) -> None:
    world.fs.unlink("/d/x")
    assert told(world, "/d/x") == "it is back: its removal was not sent yet"
    assert calls(world, "undelete") == 0
    assert_back(world)


def test_a_folder_whose_removal_was_not_sent_is_taken_back(world: World) -> None:
    remove_all(world)
    assert "not sent yet" in told(world, "/d")
    assert_back(world)


def test_it_is_taken_back_while_the_service_is_away(world: World) -> None:
    remove_all(world)
    world.backend.fail("undelete", Offline("cut"))
    assert "stays away: cut" in told(world, "/d")
    assert_back(world)


def test_of_a_removal_that_was_sent_in_part_all_comes_back(world: World) -> None:
    for path in ("/d/e/y", "/d/x"):
        world.fs.unlink(path)
    world.settle()
    assert "/d/x" not in world.remote()
    for path in ("/d/e", "/d"):
        world.fs.rmdir(path)
    assert told(world, "/d") == "it is back: 1 removal was not sent yet, and 2 had been removed"
    assert_back(world)


def test_a_folder_that_was_removed_file_by_file_comes_back_whole(world: World) -> None:
    remove_all(world)
    world.settle()
    assert world.remote() == {"/f": b"f"}
    assert told(world, "/d") == "it is back: 4 files and folders"
    assert_back(world)


def test_a_folder_that_stands_gets_back_what_was_removed_from_it(world: World) -> None:
    world.put("/d/x", b"changed")
    world.fs.unlink("/d/e/y")
    told(world, "/d")
    assert world.tree() == {**THEIRS, "/d/x": b"changed"}
    world.settle()
    world.fs.unlink("/d/e/y")
    world.settle()
    told(world, "/d")
    assert world.tree() == world.remote() == {**THEIRS, "/d/x": b"changed"}
    with pytest.raises(AlreadyExists):
        told(world, "/d")


def test_a_removal_on_its_way_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lands while it is waited for, the service brings back."""
    world.fs.unlink("/d/x")
    world.lose_reply()
    with pytest.raises(Busy, match="still being removed"):
        told(world, "/d/x", lambda _done, _total: False)
    monkeypatch.setattr(world.core.waiting, "wait", lambda _timeout_s: world.settle())
    told(world, "/d/x")
    assert_back(world)


def test_a_removal_whose_sending_fails_while_others_are_taken_back_is_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand take seconds: the first ones may be on their way when they are looked at, and wait for
    another try when the last ones are."""
    remove_all(world)
    world.upload_all()
    world.advance(1.0)
    world.backend.fail("submit", Throttled("too many"))
    submit, take_back = world.backend.submit, Discard.take_back

    def take_back_while_it_is_sent(discard: Discard, removed: Sequence[Node]) -> GivenUp:
        given_up: list[GivenUp] = []

        def submit_meanwhile(orders: Sequence[Order]) -> Launch:
            given_up.append(take_back(discard, removed))
            return submit(orders)

        monkeypatch.setattr(world.backend, "submit", submit_meanwhile)
        monkeypatch.setattr(Discard, "take_back", take_back)
        world.core.committer.step(world.clock.now_s())
        monkeypatch.setattr(world.backend, "submit", submit)
        return given_up[0]

    monkeypatch.setattr(Discard, "take_back", take_back_while_it_is_sent)
    monkeypatch.setattr(world.core.waiting, "wait", lambda _timeout_s: world.settle())
    told(world, "/d")
    assert_back(world)


def test_it_is_not_waited_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.fs.unlink("/d/x")
    world.lose_reply()
    waits: list[float] = []
    clock = world.clock
    assert isinstance(clock, FakeClock)

    def wait(timeout_s: float) -> None:
        waits.append(timeout_s)
        clock.advance(timeout_s)

    monkeypatch.setattr(world.core.waiting, "wait", wait)
    with pytest.raises(Busy, match="still being removed"):
        told(world, "/d/x")
    assert sum(waits) == undelete.WAIT_S


def test_nothing_is_brought_back_over_what_has_the_name_by_now(world: World) -> None:
    world.fs.unlink("/d/x")
    world.put("/d/x", b"new")
    with pytest.raises(AlreadyExists, match="not sent yet"):
        told(world, "/d/x")
    world.settle()
    assert world.remote()["/d/x"] == b"new"
    assert world.revisions_of("/d/x") == 2


def test_what_comes_back_is_shown_without_listing_a_large_folder(world: World) -> None:
    for path in ("/f", "/d/x"):
        world.fs.unlink(path)
    remove_all_but_x(world)
    world.settle()
    world.follow()
    world.names()
    before = calls(world, "list_folder") + calls(world, "list_page")
    told(world, "/f")
    told(world, "/d")
    assert world.names() == {"f", "d"}
    assert world.get("/f") == b"f"
    assert calls(world, "list_folder") + calls(world, "list_page") == before
    assert_back(world)


def remove_all_but_x(world: World) -> None:
    world.fs.unlink("/d/e/y")
    for path in ("/d/e", "/d"):
        world.fs.rmdir(path)


def test_what_somebody_removes_at_the_same_time_is_not_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fs.unlink("/f")
    world.settle()
    world.follow()
    undelete = world.backend.inner.undelete

    def undelete_beside_somebody(place: Place, **asked: bool) -> object:
        undeleted = undelete(place, **asked)
        world.account.remove("/f")
        world.follow()
        return undeleted

    monkeypatch.setattr(world.backend.inner, "undelete", undelete_beside_somebody)
    told(world, "/f")
    assert "f" not in world.names()


def test_what_others_removed_is_shown_before_the_service_tells_of_it(world: World) -> None:
    """The folder that comes back is another one than the one that is known, which is not there any more."""
    for path in ("/d/e/y", "/d/e"):
        world.account.remove(path)
    told(world, "/d/e")
    assert_back(world)


def test_who_is_not_waited_for_any_more_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undelete, "AT_ONCE", 1)
    remove_all(world)
    world.settle()
    with pytest.raises(Refused, match="2 of 4 files and folders came back"):
        told(world, "/d", lambda done, _total: done < 2)
    told(world, "/d")
    assert_back(world)


@pytest.mark.parametrize("error", [Offline("cut"), NoSpace("full")])
def test_who_fails_in_the_middle_says_how_many_came_back(
    world: World, monkeypatch: pytest.MonkeyPatch, error: MountfsError
) -> None:
    """Whoever looks whether the folder is back would find it, without the others."""
    monkeypatch.setattr(undelete, "AT_ONCE", 1)
    remove_all(world)
    world.settle()
    bring_back, asked = world.backend.inner.bring_back, list[Removed]()

    def fail_at_the_third(removed: Sequence[Removed]) -> list[bool | MountfsError]:
        asked.extend(removed)
        return [error] if len(asked) == 3 else bring_back(removed)

    monkeypatch.setattr(world.backend.inner, "bring_back", fail_at_the_third)
    with pytest.raises(MountfsError, match=r"2 of 4 .* undelete it once more") as failed:
        told(world, "/d")
    assert not leaves_open(failed.value)
    assert told(world, "/d") == "it is back: 2 files and folders"
    assert_back(world)


def test_what_something_else_has_the_place_of_stays_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_all(world)
    world.settle()
    bring_back = world.backend.inner.bring_back

    def bring_back_beside_somebody(removed: Sequence[Removed]) -> list[bool | MountfsError]:
        world.account.write("/d/x", b"theirs")
        return bring_back(removed)

    monkeypatch.setattr(world.backend.inner, "bring_back", bring_back_beside_somebody)
    assert "2 more stay away" in told(world, "/d")
    world.follow()
    assert world.tree() == {**THEIRS, "/d/x": b"theirs"}


def test_what_was_brought_back_in_a_mount_of_a_folder_is_there(tmp_path: Path) -> None:
    account = MemoryAccount()
    account.write("/d/e/x", b"x")
    world = World(tmp_path, account=account, settings={"top": RemotePath("/d")})
    world.names("/e")
    world.fs.unlink("/e/x")
    world.fs.rmdir("/e")
    world.settle()
    told(world, "/E")
    assert world.get("/e/x") == b"x"
    with pytest.raises(NotFound):
        told(world, "/none")
    world.close()


@pytest.mark.parametrize("path", ["/f", "/d"])
def test_a_removal_that_was_given_up_and_may_still_arrive_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It would take what is shown again, and what is put into it."""
    if path == "/d":
        remove_all(world)
        world.fs.mkdir("/d", 0o755)
        world.settle()
    world.account.clock = world.clock
    (world.fs.unlink if path == "/f" else world.fs.rmdir)(path)
    world.lose_reply()
    world.give_up()
    assert path in world.remote()
    with pytest.raises(Busy, match="still being removed"):
        told(world, path, lambda _done, _total: False)
    assert path not in world.tree()
    monkeypatch.setattr(world.core.waiting, "wait", lambda _timeout_s: world.settle())
    assert told(world, path).startswith("it is back")
    if path == "/d":
        world.put("/d/new", b"new")
    world.account.job_s = 0.0
    world.advance(60.0)
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    assert path in world.tree()
    assert path == "/f" or world.tree()["/d/new"] == b"new"
