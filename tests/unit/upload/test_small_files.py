"""Small files on their way up, by the port's calls on a memory account."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.errors import (
    Forbidden,
    InvalidArgument,
    MountfsError,
    NotSignedIn,
    Offline,
    RequestTooBig,
    ServerFault,
    Throttled,
)
from mountfs.model.hashing import HashKind, content_hash
from mountfs.model.settling import SETTLE_S
from mountfs.ports import Piece
from mountfs.tree import word
from mountfs.tree.node import Node
from mountfs.upload import uploader
from mountfs.upload.packsender import SINGLES_FOR_S
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.upload.bodies import assert_uploaded, body_of, content_of, words

TRANSIENT = [Offline("x"), ServerFault("x"), Throttled("x", 9.0), NotSignedIn("x")]


def test_small_files_travel_together(world: World) -> None:
    for index in range(250):
        world.put(f"/f{index}", body_of(index))
    world.upload_all()
    for index in range(250):
        assert_uploaded(world, f"/f{index}", body_of(index))
    calls = world.memory.calls()
    assert calls["append_pack"] == 3
    assert calls["new_sessions"] == 2


def test_files_that_travel_with_their_commit_are_hashed_together_while_their_names_settle(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    hashed, content_hashes = [], world.backend.content_hashes

    def counted(pieces: Sequence[Piece]) -> list[str | MountfsError]:
        hashed.append(len(pieces))
        return content_hashes(pieces)

    world.backend.content_hashes = counted  # type: ignore[method-assign]
    for index in range(50):
        world.put(f"/f{index}", body_of(index))
        world.core.uploader.step(world.clock.now_s())
    began_s = world.clock.now_s()
    world.upload_all()
    assert hashed == [50]
    assert world.clock.now_s() - began_s < SETTLE_S
    world.settle()
    assert len(world.account.files()) == 50
    world.close()


def test_what_a_former_process_left_is_looked_at_in_steps(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(25):
        world.put(f"/f{index}", body_of(index))
    monkeypatch.setattr(uploader, "LOOKED_AT_ONCE", 10)
    world.restart()
    soon_s = world.clock.now_s() + uploader.REST_S
    assert [world.core.uploader.step(world.clock.now_s()) for _ in range(2)] == [soon_s, soon_s]
    assert "append_pack" not in world.memory.calls()
    world.upload_all()
    assert world.memory.calls()["append_pack"] == 1
    for index in range(25):
        assert_uploaded(world, f"/f{index}", body_of(index))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    """The nodes that the uploader looks at, ten in one step."""
    found: list[Node] = []

    def keeper_of(node: Node) -> Node | None:
        found.append(node)
        return word.keeper_of(node)

    monkeypatch.setattr(uploader, "LOOKED_AT_ONCE", 10)
    monkeypatch.setattr(uploader, "keeper_of", keeper_of)
    return found


def left_pending(world: World, looked_at: list[Node], count: int) -> None:
    """A former process left so many small files."""
    for index in range(count):
        world.put(f"/f{index}", body_of(index))
    world.restart()
    looked_at.clear()


def test_what_a_former_process_left_is_looked_at_no_faster_when_workers_are_woken_often(
    world: World, looked_at: list[Node]
) -> None:
    left_pending(world, looked_at, 25)
    for _ in range(5):
        world.core.uploader.step(world.clock.now_s())
    assert len(looked_at) == 10
    world.advance(uploader.REST_S)
    for _ in range(5):
        world.core.uploader.step(world.clock.now_s())
    assert len(looked_at) == 20


def test_while_nothing_can_be_sent_what_a_former_process_left_is_not_looked_at(
    world: World, looked_at: list[Node]
) -> None:
    left_pending(world, looked_at, 45)
    world.backend.fail("new_sessions", Offline("x"))
    world.core.uploader.step(world.clock.now_s())
    world.advance(10.0)
    world.core.uploader.step(world.clock.now_s())
    assert world.core.uploader.is_offline
    for _ in range(5):
        assert world.core.uploader.step(world.clock.now_s()) > world.clock.now_s() + uploader.REST_S
        world.advance(uploader.REST_S)
    assert len(looked_at) == 20
    world.upload_all()
    for index in range(45):
        assert_uploaded(world, f"/f{index}", body_of(index))


def test_small_files_are_sent_before_all_that_a_former_process_left_was_looked_at(
    world: World, looked_at: list[Node]
) -> None:
    left_pending(world, looked_at, 45)
    world.core.uploader.step(world.clock.now_s())
    world.advance(10.0)
    world.core.uploader.step(world.clock.now_s())
    assert world.memory.calls()["append_pack"] == 1
    assert len(looked_at) == 20
    assert world.core.uploader.has_small


def test_a_single_file_needs_one_call(world: World) -> None:
    world.put("/a", b"x")
    world.upload_all()
    assert_uploaded(world, "/a", b"x")
    calls = world.memory.calls()
    asked_by_writing = {"list_folder", "space"}
    assert {route: calls[route] for route in calls.keys() - asked_by_writing} == {"upload_whole": 1}


def test_an_empty_file_is_a_file(world: World) -> None:
    world.put("/a", b"")
    world.upload_all()
    assert_uploaded(world, "/a", b"")


def test_files_wait_a_moment_for_company(world: World) -> None:
    world.put("/a", b"x")
    due_s = world.core.uploader.step(world.clock.now_s())
    assert due_s == pytest.approx(world.clock.now_s() + 0.25)
    assert "upload_whole" not in world.memory.calls()


def test_a_pack_has_no_more_bytes_than_a_part(small: World) -> None:
    for index in range(6):
        small.put(f"/f{index}", body_of(10, index))
    small.upload_all()
    assert small.memory.calls()["upload_whole"] == 6


def test_where_packs_are_refused_files_go_one_by_one_for_a_while(world: World) -> None:
    world.memory.takes_packs = False
    for index in range(5):
        world.put(f"/f{index}", body_of(5, index))
    world.upload_all()
    for index in range(5):
        assert_uploaded(world, f"/f{index}", body_of(5, index))
    assert world.memory.calls()["append_pack"] == 1
    world.memory.takes_packs = True
    world.advance(SINGLES_FOR_S)
    world.put("/g1", b"1")
    world.put("/g2", b"2")
    world.upload_all()
    assert world.memory.calls()["append_pack"] == 2


def test_a_pack_too_big_is_halved(world: World) -> None:
    world.backend.fail("append_pack", RequestTooBig("431"), times=2)
    for index in range(100):
        world.put(f"/f{index}", body_of(5, index))
    world.upload_all()
    assert words(world) == {"uploaded"}
    assert world.backend.is_spent()


def test_where_small_files_travel_with_their_commit_only_their_hash_is_made(tmp_path: Path) -> None:
    world = World(tmp_path, limits=replace(MEMORY_LIMITS, pack_entries=0, hash_kind=HashKind.SHA1))
    world.put("/a", b"hello")
    world.upload_all()
    content = content_of(world, "/a")
    assert world.pending() == [("/a", "uploaded")]
    assert content.session is None
    assert content.content_hash == content_hash(HashKind.SHA1, b"hello")
    world.settle()
    assert world.account.files() == {"/a": b"hello"}
    world.close()


def test_sessions_taken_ahead_that_are_gone_are_not_tried_one_after_the_other(world: World) -> None:
    world.put("/a", b"a")
    world.put("/b", b"b")
    world.upload_all()
    world.account.lose_sessions()
    world.put("/c", b"c")
    world.put("/d", b"d")
    world.upload_all()
    assert_uploaded(world, "/c", b"c")
    assert_uploaded(world, "/d", b"d")
    assert world.memory.calls()["append_pack"] == 3


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("route", ["new_sessions", "append_pack"])
@pytest.mark.parametrize("error", TRANSIENT)
def test_small_files_survive_a_failing_service(
    world: World, route: str, error: MountfsError, after: bool
) -> None:
    world.backend.fail(route, error, times=3, after=after)
    for index in range(3):
        world.put(f"/f{index}", body_of(5, index))
    world.upload_all()
    for index in range(3):
        assert_uploaded(world, f"/f{index}", body_of(5, index))


def test_status_says_why_nothing_goes_up(world: World) -> None:
    world.put("/a", b"x")
    world.memory.is_online = False
    with pytest.raises(AssertionError):
        world.upload_all(most_s=100)
    uploader = world.core.uploader
    assert uploader.is_offline
    assert uploader.last_error == "nobody is at the memory account's address"
    tries = world.memory.calls()["upload_whole"]
    assert tries < 16
    world.memory.is_online = True
    world.upload_all()
    assert not uploader.is_offline
    assert uploader.last_error is None


def test_a_refused_file_fails_alone(world: World) -> None:
    world.backend.fail("append_pack", InvalidArgument("malformed"), times=1)
    world.backend.fail("upload_whole", Forbidden("no"), times=1)
    world.put("/a", b"a")
    world.put("/b", b"b")
    world.upload_all()
    assert sorted(word for _, word in world.pending()) == ["failed", "uploaded"]
    assert world.notices() == ["not uploaded: no"]


def test_bytes_that_cannot_be_read_back_fail(world: World) -> None:
    world.put("/a", b"hello")
    world.core.spool.path(content_of(world, "/a").spool).unlink()
    world.upload_all()
    assert world.pending() == [("/a", "failed")]
    refusal = world.state("/a").refusal
    assert refusal is not None
    assert "cannot be read" in refusal.reason


def test_a_spool_file_that_is_too_short_fails(world: World) -> None:
    world.put("/a", b"hello")
    world.core.spool.truncate(content_of(world, "/a").spool, 2)
    world.upload_all()
    assert world.pending() == [("/a", "failed")]


def held_upload(world: World, path: str, body: bytes) -> threading.Thread:
    """A small file whose upload has begun, and goes on once ``upload_whole`` is released."""
    world.memory.hold("upload_whole")
    world.put(path, body)
    world.advance(1.0)
    worker = threading.Thread(target=world.core.uploader.step, args=(world.clock.now_s(),))
    worker.start()
    assert world.memory.wait_until_held("upload_whole")
    return worker


def test_a_file_removed_while_it_travels_does_no_harm(world: World) -> None:
    worker = held_upload(world, "/a", b"x")
    world.fs.unlink("/a")
    world.memory.release("upload_whole")
    worker.join()
    world.settle()
    assert world.pending() == []
    assert world.account.files() == {}


def test_a_file_renamed_while_it_travels_arrives_under_its_new_name(world: World) -> None:
    worker = held_upload(world, "/a", b"x")
    world.rename("/a", "/b")
    world.memory.release("upload_whole")
    worker.join()
    world.settle()
    assert world.account.files() == {"/b": b"x"}
    assert world.memory.calls()["upload_whole"] == 1


def test_a_local_name_holds_the_bytes_back_until_the_file_gets_a_real_one(world: World) -> None:
    world.put("/.a.swp", b"x")
    world.settle()
    assert "upload_whole" not in world.memory.calls()
    world.rename("/.a.swp", "/a")
    world.settle()
    assert world.account.files() == {"/a": b"x"}


def test_a_folder_with_a_local_name_holds_back_all_that_is_in_it(world: World) -> None:
    world.mkdir("/~$d")
    world.mkdir("/~$d/e")
    world.put("/~$d/e/a", b"x")
    world.settle()
    assert "upload_whole" not in world.memory.calls()
    assert world.remote() == {}
    world.rename("/~$d", "/d")
    world.settle()
    assert world.remote() == {"/d": None, "/d/e": None, "/d/e/a": b"x"}


def test_a_new_file_does_not_wait_for_one_that_was_put_off(world: World) -> None:
    """Whoever sleeps until that one is due is woken."""
    woken: list[None] = []
    uploader = world.core.uploader
    uploader.wake = lambda: woken.append(None)
    append_pack = world.backend.append_pack

    def put_off(pieces: Sequence[Piece]) -> list[str | MountfsError]:
        world.backend.append_pack = append_pack  # type: ignore[method-assign]
        return [ServerFault("500", retry_after_s=60.0), *append_pack(pieces[1:])]

    world.backend.append_pack = put_off  # type: ignore[method-assign]
    for name in ("a", "b"):
        world.put(f"/{name}", name.encode())
    world.advance(0.3)
    uploader.step(world.clock.now_s())
    assert uploader.step(world.clock.now_s()) == pytest.approx(world.clock.now_s() + 60.0)
    woken.clear()
    world.put("/c", b"c")
    assert woken
    world.advance(0.3)
    uploader.step(world.clock.now_s())
    assert [path for path, word in world.pending() if word == "sealed"] == ["/a"]


def test_whoever_waits_for_small_files_is_woken_when_none_is_on_its_way_any_more(world: World) -> None:
    """A batch that waits for more would else wait for the longest time that it may."""
    seen: list[bool] = []
    world.core.committer.wake = lambda: seen.append(world.core.uploader.has_small)
    worker = held_upload(world, "/a", b"x")
    world.core.plan.look(world.clock.now_s())
    del seen[:]
    world.memory.release("upload_whole")
    worker.join()
    assert seen[0] is True  # the file is ready for a commit
    assert seen[-1] is False
