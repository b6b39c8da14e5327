"""What the account has is not sent again: the service makes a copy of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.errors import Forbidden, MountfsError, NotFound, Offline, ServerFault, Unreachable
from mountfs.model.entry import NS_PER_S
from mountfs.model.order import Copy, OrderKind
from mountfs.ports import BackendLimits
from tests.doubles.memory_account import EDITED_NS, MIB
from tests.doubles.world import NotSettled, World
from tests.unit.commit.scenarios import check_nothing_is_left, ready, sent, step_until_running

UPLOADS = ("append_pack", "upload_whole", "open_session", "append")
BODY = b"what the account has" * 100
OLD_NS = 1_234_567_890 * NS_PER_S
LARGE = bytes(range(256)) * 4096 * 20
"""20 MiB."""


@pytest.fixture(params=[BODY, LARGE], ids=["small", "large"])
def body(request: pytest.FixtureRequest) -> bytes:
    assert isinstance(request.param, bytes)
    return request.param


def known(world: World, path: str, body: bytes) -> None:
    """The service has the file, as the mount knows."""
    world.theirs(path, body)
    assert world.names() >= {path.strip("/")}


def went_up(world: World) -> bool:
    """Whether any bytes did."""
    calls = world.memory.calls()
    return any(calls.get(route) for route in UPLOADS) or OrderKind.PUT in {kind for kind, _ in sent(world)}


def copies(world: World) -> list[str]:
    return [path for kind, path in sent(world) if kind is OrderKind.COPY]


def check_done(world: World, files: dict[str, bytes]) -> None:
    assert world.account.files() == files
    assert {path: each for path, each in world.tree().items() if each is not None} == files
    check_nothing_is_left(world)
    assert world.core.tree.copying.count == world.core.tree.copying.size_bytes == 0
    assert list((world.directory / "spool").iterdir()) == []


def test_of_bytes_that_the_account_has_none_goes_up(world: World, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.settle()
    assert copies(world) == ["/b"]
    assert not went_up(world)
    assert world.file("/b").id != world.file("/a").id
    assert world.revisions_of("/b") == (2 if world.core.backend.limits.carries_times else 1)
    check_done(world, {"/a": body, "/b": body})
    assert world.notices() == []


def test_what_was_uploaded_a_moment_ago_is_copied(world: World, body: bytes) -> None:
    world.put("/a", body)
    world.settle()
    world.put("/b", body)
    world.settle()
    assert copies(world) == ["/b"]
    check_done(world, {"/a": body, "/b": body})


def test_a_tree_is_copied_with_its_folders(world: World) -> None:
    bodies = {f"{number % 3}/{number}": b"%d" % number * 300 for number in range(150)}
    for name, each in bodies.items():
        world.account.write(f"/from/{name}", each)
    world.follow()
    world.tree()
    world.mkdir("/to")
    for number in range(3):
        world.mkdir(f"/to/{number}")
    for name, each in bodies.items():
        world.put(f"/to/{name}", each)
    world.settle()
    assert len(copies(world)) == 150
    assert not went_up(world)
    folders = ("/from", "/to")
    check_done(world, {f"{folder}/{name}": each for folder in folders for name, each in bodies.items()})


def test_the_mount_shows_the_time_that_was_set_here(world: World, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    later_ns = world.clock.wall_ns() // NS_PER_S * NS_PER_S + NS_PER_S
    world.touch("/b", later_ns)
    world.put("/c", body)
    world.touch("/c", EDITED_NS)
    world.settle()
    for _ in range(2):
        assert world.fs.getattr("/b").mtime_ns == later_ns
        assert world.fs.getattr("/c").mtime_ns == EDITED_NS
        world.restart()
    assert sorted(copies(world)) == ["/b", "/c"]
    carries_times = world.core.backend.limits.carries_times
    assert world.file("/b").mtime_ns == (later_ns if carries_times else EDITED_NS)
    assert world.file("/c").mtime_ns == EDITED_NS


@pytest.mark.parametrize("is_set_late", [True, False])
def test_a_time_that_only_the_bytes_can_carry_is_sent_with_them(batches: World, is_set_late: bool) -> None:
    known(batches, "/a", BODY)
    known(batches, "/large", LARGE)
    for path, body in (("/b", BODY), ("/c", LARGE)):
        batches.put(path, body)
        if is_set_late:
            batches.upload_all()
            assert batches.core.tree.copying.count
        batches.touch(path, OLD_NS)
    batches.settle()
    assert copies(batches) == ["/c"]
    assert batches.file("/b").mtime_ns == OLD_NS
    assert batches.file("/c").mtime_ns == EDITED_NS  # nobody sends 20 MiB for that
    assert batches.fs.getattr("/c").mtime_ns == OLD_NS
    batches.put("/d", BODY)
    batches.touch("/d", OLD_NS)
    batches.settle()
    assert copies(batches) == ["/c", "/d"]
    assert batches.file("/d").mtime_ns == OLD_NS


def test_an_empty_file_and_one_of_other_bytes_are_not_copied(world: World) -> None:
    known(world, "/a", b"")
    known(world, "/b", b"1234")
    world.put("/c", b"")
    world.put("/d", b"5678")
    world.settle()
    assert copies(world) == []
    check_done(world, {"/a": b"", "/b": b"1234", "/c": b"", "/d": b"5678"})


def test_a_file_of_another_size_is_not_even_hashed(batches: World, monkeypatch: pytest.MonkeyPatch) -> None:
    known(batches, "/a", BODY)
    hashed: list[int] = []
    monkeypatch.setattr(batches.backend, "content_hashes", lambda pieces: hashed.append(len(pieces)))
    batches.put("/b", BODY + b"more")
    batches.settle()
    assert hashed == []


def test_what_replaces_a_file_goes_up(world: World) -> None:
    """A copy replaces nothing."""
    known(world, "/a", BODY)
    known(world, "/b", b"before")
    world.put("/b", BODY)
    world.settle()
    assert copies(world) == []
    assert world.file("/b").id == "id:00000002"
    check_done(world, {"/a": BODY, "/b": BODY})


def test_a_copy_that_is_moved_over_a_file_becomes_a_version_of_it(world: World, body: bytes) -> None:
    known(world, "/a", body)
    known(world, "/b", b"before")
    world.put("/new", body)
    world.upload_all()
    world.rename("/new", "/b")
    world.settle()
    assert copies(world) == []
    assert world.file("/b").id == "id:00000002"
    check_done(world, {"/a": body, "/b": body})


def test_two_copies_of_a_tree_are_a_batch_each(batches: World) -> None:
    for number in range(150):
        batches.account.write(f"/a/{number}", b"%d" % number * 100)
    batches.follow()
    batches.tree()
    for folder in ("/b", "/c"):
        batches.mkdir(folder)
        for number in range(150):
            batches.put(f"{folder}/{number}", b"%d" % number * 100)
    batches.settle()
    assert not went_up(batches)
    assert [len(batch) for batch in batches.account.submits] == [150, 150]
    check_nothing_is_left(batches)


def test_files_of_the_same_bytes_are_copies_of_different_files_where_there_are_some(world: World) -> None:
    for number in range(3):
        known(world, f"/a{number}", BODY)
    for number in range(3):
        world.put(f"/b{number}", BODY)
    world.settle()
    orders = [order for batch in world.account.submits for order in batch if isinstance(order, Copy)]
    assert sorted(order.item_id for order in orders) == [f"id:0000000{number}" for number in (1, 2, 3)]
    assert not went_up(world)


def test_of_many_small_files_with_the_same_bytes_most_go_up(batches: World) -> None:
    known(batches, "/a", BODY)
    names = [f"/b{number}" for number in range(10)]
    for name in names:
        batches.put(name, BODY)
    batches.settle()
    assert sorted(kind for kind, _ in sent(batches)) == [OrderKind.COPY] * 4 + [OrderKind.PUT] * 6
    check_done(batches, dict.fromkeys(["/a", *names], BODY))


def test_large_files_are_copied_from_one_file_in_a_batch_each(batches: World) -> None:
    known(batches, "/a", LARGE)
    for name in ("/b", "/c", "/d"):
        batches.put(name, LARGE)
    batches.settle()
    assert [len(batch) for batch in batches.account.submits] == [1, 1, 1]
    assert not went_up(batches)
    check_done(batches, dict.fromkeys(("/a", "/b", "/c", "/d"), LARGE))


def test_a_file_of_which_half_went_up_while_it_was_written_goes_up_to_its_end(batches: World) -> None:
    known(batches, "/a", LARGE)
    number = batches.begin("/b", LARGE[: 17 * MIB])
    batches.upload_all()
    assert batches.memory.calls()["append"] == 2
    batches.fs.write(number, 17 * MIB, LARGE[17 * MIB :])
    batches.close_file(number)
    batches.settle()
    assert copies(batches) == []
    check_done(batches, {"/a": LARGE, "/b": LARGE})


def test_a_file_that_is_written_within_a_moment_has_not_begun_to_go_up(batches: World) -> None:
    """Where the account has any large file: else nothing is waited for."""
    number = batches.begin("/b", LARGE[: 9 * MIB])
    batches.core.uploader.step(batches.clock.now_s())
    assert batches.memory.calls()["open_session"] == 1
    batches.close_file(number)
    batches.settle()
    number = batches.begin("/c", LARGE[: 9 * MIB])
    due_s = batches.core.uploader.step(batches.clock.now_s())
    assert 0.0 < due_s - batches.clock.now_s() <= 0.5
    batches.close_file(number)
    batches.settle()
    assert batches.memory.calls()["open_session"] == 1
    assert copies(batches) == ["/c"]


def test_of_a_file_that_has_just_begun_to_go_up_nothing_more_does(batches: World) -> None:
    known(batches, "/a", LARGE)
    number = batches.begin("/b", LARGE[: 9 * MIB])
    batches.upload_all()
    assert batches.memory.calls()["append"] == 1
    batches.fs.write(number, 9 * MIB, LARGE[9 * MIB :])
    batches.close_file(number)
    batches.settle()
    assert batches.memory.calls()["append"] == 1
    assert copies(batches) == ["/b"]
    check_done(batches, {"/a": LARGE, "/b": LARGE})


# What goes wrong


def test_where_the_other_file_is_gone_the_bytes_go_up(world: World, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.upload_all()
    world.account.remove("/a")
    world.settle()
    assert copies(world) == ["/b"]
    assert went_up(world)
    assert world.account.files() == {"/b": body}
    world.follow()
    check_done(world, {"/b": body})
    assert world.notices() == []


def test_where_the_other_file_is_removed_here_first_the_bytes_go_up(world: World, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.upload_all()
    world.fs.unlink("/a")
    world.settle()
    assert copies(world) == []
    check_done(world, {"/b": body})


def test_where_the_other_file_has_other_bytes_by_now_ours_replace_those(world: World, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.upload_all()
    world.account.write("/a", b"others were faster")
    world.settle()
    world.follow()
    check_done(world, {"/a": b"others were faster", "/b": body})
    assert world.notices() == []


@pytest.mark.parametrize("act", ["write", "remove", "rename"])
def test_what_was_done_to_it_before_a_wrong_copy_was_heard_of_comes_after_that(
    batches: World, act: str
) -> None:
    batches.account.job_polls = 2
    known(batches, "/a", BODY)
    batches.put("/b", BODY)
    batches.upload_all()
    batches.account.write("/a", b"others were faster")
    step_until_running(batches)
    match act:
        case "write":
            batches.put("/b", b"newer")
        case "remove":
            batches.fs.unlink("/b")
        case "rename":
            batches.rename("/b", "/c")
    batches.settle()
    batches.follow()
    wanted = {"write": {"/b": b"newer"}, "remove": {}, "rename": {"/c": BODY}}[act]
    check_done(batches, {"/a": b"others were faster", **wanted})
    assert batches.notices() == []


def test_what_others_put_there_keeps_the_name_and_the_copy_lands_beside(world: World) -> None:
    known(world, "/a", BODY)
    world.put("/b", BODY)
    world.upload_all()
    world.account.write("/b", b"theirs")
    world.settle()
    files = world.account.files()
    assert files.pop("/a") == BODY
    assert files.pop("/b") == b"theirs"
    [(name, ours)] = files.items()
    assert "conflicted copy" in name
    assert ours == BODY
    assert not went_up(world)


def test_what_others_put_there_with_the_same_bytes_is_as_good(world: World) -> None:
    known(world, "/a", BODY)
    world.put("/b", BODY)
    world.upload_all()
    world.account.write("/b", BODY)
    world.settle()
    check_done(world, {"/a": BODY, "/b": BODY})
    assert world.revisions_of("/b") == (2 if world.core.backend.limits.carries_times else 1)


@pytest.mark.parametrize("error", [Offline("the connection was cut"), ServerFault("500")])
def test_a_copy_whose_reply_was_lost_is_made_once(world: World, error: MountfsError, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.touch("/b", EDITED_NS)
    world.upload_all()
    world.backend.fail("submit", error, after=True)
    world.settle()
    assert copies(world) == ["/b"]
    assert not went_up(world)
    assert world.revisions_of("/b") == 1
    check_done(world, {"/a": body, "/b": body})


def test_a_copy_whose_reply_was_lost_and_that_was_replaced_since_is_no_conflict(world: World) -> None:
    known(world, "/a", BODY)
    world.put("/b", BODY)
    world.upload_all()
    world.backend.fail("submit", Offline("the connection was cut"), after=True)
    step = world.core.committer.step
    while not copies(world):
        world.advance(max(0.0, step(world.clock.now_s()) - world.clock.now_s()))
    world.account.write("/b", b"theirs")
    world.settle()
    world.follow()
    check_done(world, {"/a": BODY, "/b": b"theirs"})


@pytest.mark.parametrize(
    "error", [Forbidden("no"), NotFound("no"), MountfsError("what is this?")], ids=["403", "404", "unknown"]
)
def test_a_copy_that_is_refused_goes_up(world: World, error: MountfsError, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.upload_all()
    world.backend.refuse("/b", error)
    world.settle()
    check_done(world, {"/a": body, "/b": body})
    assert world.notices() == []


def test_where_all_copies_are_refused_the_service_is_asked_once(batches: World) -> None:
    for number in range(20):
        known(batches, f"/a{number}", b"%d" % number * 100)
        batches.put(f"/b{number}", b"%d" % number * 100)
    batches.upload_all()
    batches.backend.fail("submit", Forbidden("this app makes no copies"))
    batches.settle()
    assert copies(batches) == []
    assert len([path for kind, path in sent(batches) if kind is OrderKind.PUT]) == 20
    check_nothing_is_left(batches)


def test_a_service_that_fails_at_copies_gets_the_bytes(world: World, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.upload_all()
    world.backend.fail("submit", ServerFault("500"), times=3)
    world.settle()
    assert copies(world) == []
    check_done(world, {"/a": body, "/b": body})


def test_one_entry_at_which_the_service_fails_each_time_goes_up(batches: World) -> None:
    for number in range(3):
        known(batches, f"/a{number}", b"%d" % number * 100)
        batches.put(f"/b{number}", b"%d" % number * 100)
    batches.upload_all()
    batches.backend.refuse("/b1", ServerFault("internal_error"), times=3)
    batches.settle()
    assert sorted(copies(batches)) == ["/b0", "/b2"]
    check_nothing_is_left(batches)
    assert batches.account.files()["/b1"] == b"1" * 100


@pytest.mark.parametrize("error", [Unreachable("nobody there"), Offline("cut")])
def test_a_service_that_is_away_is_waited_for(world: World, error: MountfsError, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.upload_all()
    world.backend.fail("submit", error, times=6)
    world.settle()
    assert copies(world) == ["/b"]
    assert not went_up(world)
    check_done(world, {"/a": body, "/b": body})


def test_a_full_account_holds_copies_up_and_fails_none(world: World) -> None:
    known(world, "/a", BODY)
    world.put("/b", BODY)
    world.upload_all()
    world.account.tree.quota_bytes = len(BODY) + 10
    with pytest.raises(NotSettled):
        world.settle(60.0)
    assert world.word("/b") == "uploaded"
    asked = len(copies(world))
    world.account.tree.quota_bytes = None
    world.settle()
    assert asked <= 2
    assert not went_up(world)
    check_done(world, {"/a": BODY, "/b": BODY})


# Restarts


def test_what_is_to_be_copied_outlives_the_process(world: World, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.upload_all()
    assert world.word("/b") == "uploaded"
    world.restart()
    assert (world.core.tree.copying.count, world.core.tree.copying.size_bytes) == (1, len(body))
    assert world.get("/b") == body
    world.settle()
    assert copies(world) == ["/b"]
    assert not went_up(world)
    check_done(world, {"/a": body, "/b": body})


def test_of_a_copy_whose_pending_bytes_are_lost_the_service_has_them(world: World, body: bytes) -> None:
    known(world, "/a", body)
    world.put("/b", body)
    world.upload_all()
    [spool_file] = (world.directory / "spool").iterdir()
    spool_file.unlink()
    world.restart()
    world.settle()
    assert copies(world) == ["/b"]
    check_done(world, {"/a": body, "/b": body})


@pytest.mark.parametrize("is_same_boot", [True, False])
def test_a_copy_that_was_on_its_way_when_the_process_died_is_made_once(
    tmp_path: Path, limits: BackendLimits, is_same_boot: bool
) -> None:
    world = World(tmp_path, limits=limits)
    world.account.job_polls = 2
    known(world, "/a", BODY)
    world.put("/b", BODY)
    world.touch("/b", EDITED_NS)
    step_until_running(world)
    world.restart(None if is_same_boot else "another boot")
    world.settle()
    world.follow()
    assert copies(world) == ["/b"]
    assert not went_up(world)
    check_done(world, {"/a": BODY, "/b": BODY})
    world.close()


def test_a_copy_that_a_crash_kept_from_being_sent_is_sent_by_the_next_process(world: World) -> None:
    known(world, "/a", BODY)
    world.put("/b", BODY)
    ready(world)
    world.backend.fail("submit", Offline("the process died"))
    while "committing" not in [word for _, word in world.pending()]:
        world.core.committer.step(world.clock.now_s())
        world.advance(0.1)
    world.restart()
    world.settle()
    assert copies(world) == ["/b"]
    check_done(world, {"/a": BODY, "/b": BODY})


def test_a_service_that_makes_no_copies_gets_the_bytes(tmp_path: Path, limits: BackendLimits) -> None:
    entries = dict(limits.batch_entries)
    del entries[OrderKind.COPY]
    world = World(tmp_path, limits=replace(limits, batch_entries=entries))
    known(world, "/a", BODY)
    world.put("/b", BODY)
    world.settle()
    check_done(world, {"/a": BODY, "/b": BODY})
    world.close()


# Before it is sent


def test_a_copy_that_is_written_to_or_removed_is_not_made(world: World) -> None:
    known(world, "/a", BODY)
    for name in ("/b", "/c"):
        world.put(name, BODY)
    world.upload_all()
    world.put("/b", b"others")
    world.fs.unlink("/c")
    world.settle()
    assert copies(world) == []
    check_done(world, {"/a": BODY, "/b": b"others"})


def test_a_copy_that_is_renamed_is_made_there(world: World) -> None:
    known(world, "/a", BODY)
    world.put("/b", BODY)
    world.upload_all()
    world.rename("/b", "/c")
    world.rename("/a", "/d")
    world.settle()
    assert not went_up(world)
    check_done(world, {"/d": BODY, "/c": BODY})
