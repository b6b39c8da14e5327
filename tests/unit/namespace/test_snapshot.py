"""What is known of the remote tree, and for how long that is believed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.backends.memory_account import SIDE_BY_SIDE_LIMITS
from mountfs.errors import Offline
from mountfs.model.entry import File, Folder, Gone
from mountfs.model.path import ROOT, RemotePath
from mountfs.namespace.snapshot import RETRY_S, NotLoaded, Snapshot
from tests.fakes.clock import FakeClock
from tests.fakes.pending import Pipeline

FRESH_S = 5.0
A, B = RemotePath("/a"), RemotePath("/b")


def file(path: RemotePath, revision: str = "1") -> File:
    return File(path, id="id:1", size_bytes=1, mtime_ns=0, revision=revision, content_hash="")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def snapshot(clock: FakeClock) -> Snapshot:
    """A followed snapshot that knows the root, with the file /a."""
    snapshot = Snapshot(threading.RLock(), clock, FRESH_S)
    snapshot.note_follower(True)
    snapshot.begin(ROOT)
    snapshot.store(ROOT, [file(A)])
    return snapshot


def test_a_folder_that_others_changed_is_listed_again(snapshot: Snapshot) -> None:
    snapshot.apply_remote([file(B)])
    with pytest.raises(NotLoaded):
        snapshot.lookup(A)
    snapshot.begin(ROOT)
    snapshot.store(ROOT, [file(A), file(B)])
    assert snapshot.lookup(B) == file(B)


def test_our_own_echo_changes_nothing(snapshot: Snapshot) -> None:
    snapshot.put(file(B))
    snapshot.apply_remote([file(B)])
    assert snapshot.lookup(B) == file(B)


def test_while_it_cannot_be_listed_again_what_was_known_serves_on(
    snapshot: Snapshot, clock: FakeClock
) -> None:
    snapshot.apply_remote([file(B)])
    snapshot.note_follower(False)
    snapshot.begin(ROOT)
    assert snapshot.give_up(ROOT)
    clock.advance(FRESH_S - 1.0)
    assert snapshot.lookup(A) == file(A)
    clock.advance(1.0)
    with pytest.raises(NotLoaded):
        snapshot.lookup(A)


def test_while_changes_are_reported_a_listing_that_failed_is_tried_again_soon(
    snapshot: Snapshot, clock: FakeClock
) -> None:
    snapshot.apply_remote([file(B)])
    snapshot.asked_at(clock.now_s())
    snapshot.begin(ROOT)
    assert snapshot.give_up(ROOT)
    assert snapshot.lookup(A) == file(A)
    clock.advance(RETRY_S)
    snapshot.asked_at(clock.now_s())
    with pytest.raises(NotLoaded):
        snapshot.lookup(A)


def test_what_was_in_a_folder_that_others_removed_is_not_in_the_next_one_of_its_name(
    snapshot: Snapshot,
) -> None:
    folder = RemotePath("/d")
    snapshot.begin(folder)
    snapshot.store(folder, [file(RemotePath("/d/x"))])
    snapshot.apply_remote([Gone(folder)])  # the root was listed when it was gone already
    snapshot.made(Folder(folder, "id:2"))
    with pytest.raises(NotLoaded):
        snapshot.listing(folder)


def test_what_is_known_to_be_out_of_date_is_not_trusted_once_changes_are_followed_again(
    snapshot: Snapshot,
) -> None:
    snapshot.apply_remote([Gone(A)])
    snapshot.note_follower(False)
    snapshot.begin(ROOT)
    assert snapshot.give_up(ROOT)
    snapshot.note_follower(True)
    with pytest.raises(NotLoaded):
        snapshot.lookup(A)


def test_a_folder_that_never_rests_is_listed_once_for_each_question(
    snapshot: Snapshot, clock: FakeClock
) -> None:
    folder = RemotePath("/d")
    for revision in ("1", "2"):
        snapshot.asked_at(clock.now_s())
        with pytest.raises(NotLoaded):
            snapshot.listing(folder)
        snapshot.begin(folder)
        snapshot.apply_remote([file(RemotePath("/d/x"), revision)])
        clock.advance(1.0)
        snapshot.store(folder, [file(RemotePath("/d/y"))])
        assert list(snapshot.listing(folder) or {}) == ["y"]
        clock.advance(1.0)


def test_a_folder_we_made_shows_what_we_put_there_while_it_cannot_be_listed(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path)
    pipeline.mkdir("/d")
    pipeline.write("/d/x", b"1")
    pipeline.settle()
    assert pipeline.states() == []
    pipeline.memory.is_online = False
    assert [node.path.text for node in pipeline.view.children(RemotePath("/d"))] == ["/d/x"]
    pipeline.memory.is_online = True
    pipeline.account.write("/d/y", b"2")
    pipeline.clock.advance(2e9)  # what could not be listed again is shown for as long as it is trusted
    assert {node.path.text for node in pipeline.view.children(RemotePath("/d"))} == {"/d/x", "/d/y"}
    pipeline.close()


def listed(pipeline: Pipeline) -> int:
    return pipeline.memory.calls().get("list_folder", 0)


@pytest.fixture
def side_by_side(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    yield made
    made.close()


def test_folders_the_service_has_just_made_are_not_listed(side_by_side: Pipeline) -> None:
    side_by_side.view.children(ROOT)
    before = listed(side_by_side)
    for number in range(5):
        side_by_side.mkdir(f"/d{number}")
    side_by_side.settle()
    for number in range(5):
        side_by_side.write(f"/d{number}/x", b"1")
    side_by_side.settle()
    for number in range(5):
        children = side_by_side.view.children(RemotePath(f"/d{number}"))
        assert [node.path.text for node in children] == [f"/d{number}/x"]
    assert listed(side_by_side) == before


def test_a_folder_that_stood_there_already_is_listed(side_by_side: Pipeline) -> None:
    side_by_side.mkdir("/d")
    side_by_side.account.mkdir("/d")
    side_by_side.account.write("/d/theirs", b"1")
    side_by_side.settle()
    assert [node.path.text for node in side_by_side.view.children(RemotePath("/d"))] == ["/d/theirs"]


def test_a_folder_whose_making_was_not_heard_of_is_listed(side_by_side: Pipeline) -> None:
    side_by_side.mkdir("/d")
    side_by_side.backend.fail("submit", Offline("lost"), after=True)
    side_by_side.committer.step(side_by_side.clock.now_s())
    side_by_side.clock.advance(1.0)
    side_by_side.committer.step(side_by_side.clock.now_s())
    side_by_side.account.write("/d/theirs", b"1")
    side_by_side.settle()
    assert side_by_side.backend.is_spent()
    assert [node.path.text for node in side_by_side.view.children(RemotePath("/d"))] == ["/d/theirs"]


def test_a_folder_in_which_others_were_seen_before_we_heard_that_it_is_made_is_listed(
    snapshot: Snapshot,
) -> None:
    folder = Folder(RemotePath("/d"), "id:d", is_new=True)
    snapshot.apply_remote([folder, file(RemotePath("/d/theirs"))])
    snapshot.made(folder)
    with pytest.raises(NotLoaded):
        snapshot.listing(folder.path)


def test_what_others_put_into_a_folder_just_made_makes_it_be_listed(snapshot: Snapshot) -> None:
    folder = Folder(RemotePath("/d"), "id:d", is_new=True)
    snapshot.made(folder)
    assert snapshot.listing(folder.path) == {}
    snapshot.apply_remote([folder, file(RemotePath("/d/theirs"))])
    with pytest.raises(NotLoaded):
        snapshot.listing(folder.path)
