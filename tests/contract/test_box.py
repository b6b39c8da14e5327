"""What only Box does: ids, versions, redirects, events, rates, and what goes wrong on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.uploads import LIST_PARTS
from mountfs.errors import Busy, Conflict, MountfsError, NotFound, Offline, SessionLost, Throttled, Transient
from mountfs.model.change import ChangeKind
from mountfs.model.entry import File, Folder, Gone
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Backend, Done, Order
from mountfs.sandbox.box import BoxSandbox
from mountfs.sandbox.faults import FaultKind, FaultRule
from tests.contract.boxes import BODY, connect
from tests.contract.far import (
    delete_order,
    finish,
    large_order,
    make_folder,
    mkdir_order,
    move_order,
    put,
    put_file,
    sent,
    upload_parts,
)


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("same_bytes", ["keep", "new_version"])
def test_a_lost_version_is_written_once(
    sandbox: BoxSandbox, box: BoxBackend, status: int, same_bytes: str
) -> None:
    sandbox.set_switches(new_version_status=status, same_bytes=same_bytes)
    first = put_file(box, "/x", b"one")
    order = sent(box, "/x", b"two", first.revision)
    sandbox.set_faults([FaultRule(route="files/upload*", action=FaultKind.DROP_AFTER, count=1)])
    with pytest.raises(Offline):
        box.submit([order])
    (file,) = finish(box, [order])
    assert isinstance(file, File)
    assert sandbox.tree()["/x"]["versions"] == 2


def test_a_file_whose_time_alone_changed_takes_a_new_version(sandbox: BoxSandbox, box: BoxBackend) -> None:
    first = put_file(box, "/x", b"one")
    dated = box.set_mtime(first, 5 * 10**17)
    assert dated.mtime_ns == 5 * 10**17
    assert dated.content_hash == first.content_hash
    assert dated.revision != first.revision
    assert put_file(box, "/x", b"two", first.revision).id == first.id
    with pytest.raises(Conflict):
        box.set_mtime(first, 0)


def test_a_file_somebody_moved_away_is_written_anew(sandbox: BoxSandbox, box: BoxBackend) -> None:
    first = put_file(box, "/x", b"one")
    sandbox.move("/x", "/theirs")
    second = put_file(box, "/x", b"two", first.revision)
    assert second.id != first.id
    assert (sandbox.read("/x"), sandbox.read("/theirs")) == (b"two", b"one")
    assert finish(box, [delete_order("/x", first.revision)]) == (None,)
    assert sandbox.read("/theirs") == b"one"


def test_times_are_set_without_sending_the_bytes(sandbox: BoxSandbox, box: BoxBackend) -> None:
    first = put_file(box, "/x", b"one")
    order = Order(ChangeKind.SET_TIME, RemotePath("/x"), base_revision=first.revision, mtime_ns=10**18)
    (dated,) = finish(box, [order])
    assert isinstance(dated, File)
    assert dated.mtime_ns == 10**18
    # Sent again after a lost reply: the etag is another, the bytes are the same.
    assert isinstance(finish(box, [order])[0], File)
    sandbox.write("/x", b"theirs")
    assert isinstance(finish(box, [order])[0], Conflict)


def test_new_files_cost_one_request_each(sandbox: BoxSandbox, box: BoxBackend) -> None:
    make_folder(box, "/A")
    before = box.calls()
    for number in range(20):
        put_file(box, f"/A/{number}", b"x")
    after = box.calls()
    assert {route: after[route] - before.get(route, 0) for route in after} == {
        **dict.fromkeys(before, 0),
        "POST files/content": 20,
    }


def test_paths_cost_no_request_once_their_folders_are_listed(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.create_folder("/a/b/c/d/e")
    for folder in ("", "/a", "/a/b", "/a/b/c", "/a/b/c/d"):
        box.list_folder(RemotePath(folder))
    listings = box.calls()["GET folders/:id/items"]
    assert listings == 5
    box.list_folder(RemotePath("/A/B/C/D/E"))
    put_file(box, "/a/b/c/d/e/f", b"x")
    assert box.calls()["GET folders/:id/items"] == 6


def test_a_folder_that_was_replaced_is_found_again(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.create_folder("/A")
    box.list_folder(ROOT)
    sandbox.delete("/A")
    sandbox.write("/A/new", b"x")
    assert [entry.path.text for entry in box.list_folder(RemotePath("/A"))] == ["/A/new"]
    sandbox.delete("/A")
    put_file(box, "/A/mine", b"y")
    assert sandbox.read("/A/mine") == b"y"


def test_ids_survive_renames(sandbox: BoxSandbox, box: BoxBackend) -> None:
    file = put_file(box, "/A/b/x", b"one")
    (moved,) = finish(box, [move_order("/A", "/Z", is_folder=True)])
    assert isinstance(moved, Folder)
    listings = box.calls()["GET folders/:id/items"]
    assert put_file(box, "/Z/b/x", b"two", file.revision).id == file.id
    assert box.calls()["GET folders/:id/items"] == listings


def test_a_signed_address_is_used_until_it_is_refused(sandbox: BoxSandbox, box: BoxBackend) -> None:
    file = put_file(box, "/x", BODY)
    assert box.read(file, 0, 10) == BODY[:10]
    assert box.read(file, 10, 10) == BODY[10:20]
    assert box.calls()["GET files/:id/content"] == 1
    sandbox.set_faults(
        [FaultRule(route="download", action=FaultKind.REPLY, status=403, body="expired", count=1)]
    )
    assert box.read(file, 20, 10) == BODY[20:30]
    assert box.calls()["GET files/:id/content"] == 2


def test_bytes_that_come_without_a_redirect_are_taken(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.set_switches(direct_downloads=True)
    file = put_file(box, "/x", BODY)
    assert box.read(file, 100, 50) == BODY[100:150]


def test_a_file_that_is_not_ready_is_asked_for_again(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.set_switches(unready_downloads=1, download_retry_after_s=3.0)
    file = put_file(box, "/x", BODY)
    with pytest.raises(Busy) as caught:
        box.read(file, 0, 5)
    assert caught.value.retry_after_s == 3.0
    assert box.read(file, 0, 5) == BODY[:5]


@pytest.mark.parametrize("is_text", [False, True])
def test_repeated_and_disordered_events_tell_the_same(
    sandbox: BoxSandbox, box: BoxBackend, is_text: bool
) -> None:
    sandbox.set_switches(repeated_events=5, disordered_events=True, string_positions=is_text)
    sandbox.write("/keep", b"x")
    box.list_folder(ROOT)
    cursor = box.latest_cursor()
    sandbox.write("/a", b"1")
    sandbox.write("/a", b"22")
    page = box.changes(cursor)
    assert sorted(entry.path.text for entry in page.entries) == ["/a", "/keep"]
    assert box.stat(RemotePath("/a")) in page.entries
    sandbox.delete("/a")
    assert box.changes(page.cursor).entries == (Gone(RemotePath("/a")),)


def test_a_move_by_others_is_told_at_both_ends(sandbox: BoxSandbox, box: BoxBackend) -> None:
    cursor = box.latest_cursor()
    sandbox.write("/A/x", b"x")
    sandbox.create_folder("/B")
    cursor = box.changes(cursor).cursor
    sandbox.move("/A/x", "/B/y")
    found = {entry.path.text: type(entry) for entry in box.changes(cursor).entries}
    assert found == {"/A/x": Gone, "/B/y": File}


def told(box: BoxBackend, cursor: str) -> list[tuple[str, str]]:
    """What is told since *cursor*, in order: kind and path."""
    return [(type(entry).__name__, entry.path.text) for entry in box.changes(cursor).entries]


def test_a_move_that_a_listing_showed_first_is_told_at_both_ends(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.write("/x/a", b"1")
    sandbox.write("/y/b", b"2")
    cursor = box.latest_cursor()
    box.list_folder(RemotePath("/x"))
    sandbox.move("/x/a", "/y/a")
    box.list_folder(RemotePath("/y"))
    assert told(box, cursor) == [("Gone", "/x/a"), ("File", "/y/a")]


def test_a_move_that_a_reply_showed_first_is_told_at_both_ends(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.write("/x/a", b"1")
    cursor = box.latest_cursor()
    box.list_folder(RemotePath("/x"))
    sandbox.move("/x/a", "/x/b")
    with pytest.raises(NotFound):
        box.stat(RemotePath("/x/a"))
    assert told(box, cursor) == [("Gone", "/x/a"), ("File", "/x/b")]


def test_what_a_listing_showed_to_be_gone_is_told_wherever_it_went(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.write("/x/a", b"1")
    sandbox.create_folder("/P/q")
    cursor = box.latest_cursor()
    box.list_folder(RemotePath("/x"))
    sandbox.move("/x/a", "/P/q/a")
    box.list_folder(RemotePath("/x"))
    assert told(box, cursor) == [("Gone", "/x/a")]


def test_our_own_move_is_told_where_it_went_alone(sandbox: BoxSandbox, box: BoxBackend) -> None:
    put_file(box, "/x", b"1")
    make_folder(box, "/d")
    cursor = box.latest_cursor()
    box.list_folder(ROOT)
    finish(box, [move_order("/x", "/y"), move_order("/d", "/e", is_folder=True), mkdir_order("/d")])
    assert told(box, cursor) == [("File", "/y"), ("Folder", "/e"), ("Folder", "/d")]


def test_a_place_that_another_file_has_by_now_is_not_told_as_gone(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.write("/x/a", b"1")
    cursor = box.latest_cursor()
    box.list_folder(RemotePath("/x"))
    sandbox.move("/x/a", "/x/b")
    sandbox.write("/x/a", b"2")
    box.list_folder(RemotePath("/x"))
    assert told(box, cursor) == [("File", "/x/b"), ("File", "/x/a")]


def test_a_folder_in_another_one_s_place_is_told_as_another_one(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.write("/x/d/old", b"1")
    cursor = box.latest_cursor()
    box.list_folder(RemotePath("/x/d"))
    sandbox.delete("/x/d")
    sandbox.create_folder("/x/d")
    box.list_folder(RemotePath("/x"))
    assert told(box, cursor) == [("Gone", "/x/d"), ("Folder", "/x/d"), ("Folder", "/x/d")]


def test_what_went_where_nobody_looked_is_found_there_later(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.write("/x/d/file", b"1")
    sandbox.create_folder("/P/q")
    cursor = box.latest_cursor()
    box.list_folder(RemotePath("/x"))
    sandbox.move("/x/d", "/P/q/d")
    assert told(box, cursor) == [("Gone", "/x/d")]
    assert [entry.path.text for entry in box.list_folder(RemotePath("/P/q/d"))] == ["/P/q/d/file"]


def test_what_happens_where_nobody_looked_is_no_news(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.create_folder("/A/b")
    cursor = box.latest_cursor()
    sandbox.write("/A/b/x", b"x")
    page = box.changes(cursor)
    assert page.entries == ()
    assert page.cursor != cursor


def test_what_nobody_can_place_any_more_voids_the_cursor(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.create_folder("/A/b")
    sandbox.create_folder("/P/q")
    cursor = box.latest_cursor()
    box.list_folder(RemotePath("/A/b"))
    sandbox.delete("/A")
    with pytest.raises(NotFound):
        box.list_folder(RemotePath("/A/b"))
    sandbox.write("/P/q/x", b"x")
    with pytest.raises(Conflict):
        box.changes(cursor)
    assert box.changes(box.latest_cursor()).entries == ()


def test_everybody_waits_while_uploads_are_throttled(sandbox: BoxSandbox, box: BoxBackend) -> None:
    box.list_folder(ROOT)
    sandbox.set_faults(
        [FaultRule(route="files/upload*", action=FaultKind.REPLY, status=429, retry_after_s=1.0, count=1)]
    )
    with pytest.raises(Throttled) as caught:
        put(box, "/x", b"x")
    assert caught.value.retry_after_s == 1.0
    began_s = time.monotonic()
    box.list_folder(ROOT)
    assert time.monotonic() - began_s > 0.9


def test_a_root_that_is_not_there_is_told_at_once(sandbox: BoxSandbox) -> None:
    with pytest.raises(NotFound, match="root_folder_id 4711"):
        connect(sandbox, root_folder_id="4711").account()


def test_the_root_may_be_any_folder(sandbox: BoxSandbox) -> None:
    sandbox.write("/A/b/x", b"x")
    backend = connect(sandbox, root_folder_id=sandbox.tree()["/A"]["id"])
    put_file(backend, "/b/y", b"y")
    assert sandbox.read("/A/b/y") == b"y"
    assert backend.account().key.endswith(f"-f{sandbox.tree()['/A']['id']}")
    backend.close()


def test_nothing_is_kept_of_a_session_that_was_committed(sandbox: BoxSandbox, box: BoxBackend) -> None:
    body = bytes(range(256)) * 98
    session, parts = upload_parts(box, "/film", body)
    finish(box, [large_order(box, "/film", body, session, parts)])
    assert sandbox.read("/film") == body
    assert LIST_PARTS not in box.calls()
    # What were still known of the session would be taken for it: it is asked after instead.
    with pytest.raises(SessionLost):
        box.append(session, 0, body[: box.part_bytes(session)], closing=False, size_bytes=len(body))
    assert box.calls()[LIST_PARTS] == 1


def open_session(backend: Backend) -> object:
    return backend.open_session(RemotePath("/s"), 10, None)


CALLS: list[tuple[str, Callable[[Backend], object]]] = [
    ("users/me", lambda backend: backend.account()),
    ("users/me", lambda backend: backend.space()),
    ("folders/items", lambda backend: backend.list_folder(ROOT)),
    ("events/get", lambda backend: backend.latest_cursor()),
    ("sessions/create", open_session),
    ("folders/create", lambda backend: backend.submit([mkdir_order("/A")])),
    ("files/upload", lambda backend: backend.submit([sent(backend, "/f", b"x")])),
]
FAULTS = {
    "500": FaultRule(action=FaultKind.REPLY, status=500),
    "503": FaultRule(action=FaultKind.REPLY, status=503, body="down"),
    "429": FaultRule(action=FaultKind.REPLY, status=429, body="slow down", retry_after_s=0.0),
    "cut": FaultRule(action=FaultKind.CUT_BODY, cut_bytes=3),
    "dropped before": FaultRule(action=FaultKind.DROP_BEFORE),
    "dropped after": FaultRule(action=FaultKind.DROP_AFTER),
}


@pytest.mark.parametrize(("route", "call"), CALLS, ids=[f"{at}-{CALLS[at][0]}" for at in range(len(CALLS))])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_transient_in_every_call(
    sandbox: BoxSandbox, box: BoxBackend, route: str, call: Callable[[Backend], object], fault: str
) -> None:
    sandbox.set_faults([replace(FAULTS[fault], route=route)])
    with pytest.raises(Transient):
        call(box)
    sandbox.set_faults([])
    outcome = call(box)
    if isinstance(outcome, Done):
        assert not isinstance(outcome.outcomes[0], MountfsError)


def test_a_locked_tree_holds_one_order_back_and_nothing_else(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.set_faults([FaultRule(route="folders/create", action=FaultKind.BUSY_NAMESPACE, count=1)])
    launch = box.submit([mkdir_order("/A")])
    assert isinstance(launch, Done)
    assert isinstance(launch.outcomes[0], Busy)


def test_silence_is_offline_within_the_time_out(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.set_faults([FaultRule(route="folders/items", action=FaultKind.STALL, stall_s=5.0, count=1)])
    with pytest.raises(Offline):
        box.list_folder(ROOT)
    assert box.list_folder(ROOT) == []
