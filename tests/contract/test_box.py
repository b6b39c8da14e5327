"""What only Box does: ids, versions, redirects, events, rates, and what goes wrong on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.faults import FaultKind, FaultRule
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.sessionparts import LIST_PARTS
from mountfs.backends.box.settings import ROOT_FOLDER_ID
from mountfs.errors import (
    Busy,
    Conflict,
    Forbidden,
    MountfsError,
    NotADirectory,
    NotFound,
    Offline,
    ServerFault,
    SessionLost,
    Throttled,
    Transient,
)
from mountfs.model.entry import File, Folder, Gone, Seen
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Backend, Done, Outcome
from tests.contract.boxes import BODY, connect, statuses
from tests.contract.far import (
    delete_order,
    file_at,
    finish,
    folder_at,
    large_order,
    make_folder,
    mkdir_order,
    move_order,
    names,
    place,
    put,
    put_file,
    sent,
    time_order,
    undelete,
    upload_parts,
    waiting_for,
)
from tests.doubles.sources import append_part


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


@pytest.mark.parametrize("action", [FaultKind.REPLY, FaultKind.DROP_BEFORE, FaultKind.CUT_BODY])
@pytest.mark.parametrize("has_base", [False, True])
def test_a_refusal_stays_one_where_what_is_in_the_way_cannot_be_looked_at(
    sandbox: BoxSandbox, box: BoxBackend, has_base: bool, action: FaultKind
) -> None:
    """Else the order would be sent again, with its bytes."""
    base = put_file(box, "/x", b"one").revision if has_base else None
    order = sent(box, "/x", b"two", base)
    sandbox.write("/x", b"two" if not has_base else b"theirs")
    sandbox.log.reset()
    sandbox.set_faults([FaultRule(route="files/get", action=action)])
    launch = box.submit([order])
    assert isinstance(launch, Done)
    assert isinstance(launch.outcomes[0], Conflict)
    assert len(sandbox.log.records("files/upload")) + len(sandbox.log.records("files/upload_version")) == 1


def test_a_file_whose_time_alone_changed_takes_a_new_version(sandbox: BoxSandbox, box: BoxBackend) -> None:
    first = put_file(box, "/x", b"one")
    (dated,) = finish(box, [time_order("/x", first.revision, 5 * 10**17)])
    assert isinstance(dated, File)
    assert dated.revision != first.revision
    assert put_file(box, "/x", b"two", first.revision).id == first.id


def test_times_are_set_without_sending_the_bytes(sandbox: BoxSandbox, box: BoxBackend) -> None:
    first = put_file(box, "/x", b"one")
    order = time_order("/x", first.revision, 10**18)
    (dated,) = finish(box, [order])
    assert isinstance(dated, File)
    assert (dated.mtime_ns, dated.content_hash) == (10**18, first.content_hash)
    # Sent again after a lost reply: the etag is another, the bytes are the same.
    assert isinstance(finish(box, [order])[0], File)
    sandbox.write("/x", b"theirs")
    assert isinstance(finish(box, [order])[0], Conflict)


def test_no_time_is_set_on_what_others_moved_away(sandbox: BoxSandbox, box: BoxBackend) -> None:
    first = put_file(box, "/x", b"one")
    sandbox.move("/x", "/theirs")
    (outcome,) = finish(box, [time_order("/x", first.revision, 10**18)])
    assert isinstance(outcome, NotFound)


def calls_since(box: BoxBackend, before: dict[str, int]) -> dict[str, int]:
    return {
        route: count - before.get(route, 0)
        for route, count in box.calls().items()
        if count != before.get(route)
    }


def test_new_files_cost_one_request_each(sandbox: BoxSandbox, box: BoxBackend) -> None:
    folder = make_folder(box, "/A")
    before = box.calls()
    for number in range(20):
        put_file(box, f"/A/{number}", b"x", folder_id=folder.id)
    assert calls_since(box, before) == {"POST files/content": 20}


def test_what_is_named_by_id_costs_no_listing(sandbox: BoxSandbox, box: BoxBackend) -> None:
    file = put_file(box, "/A/b/x", b"one")
    (moved,) = finish(box, [move_order("/A", "/Z", is_folder=True)])
    assert isinstance(moved, Folder)
    inner = folder_at(box, "/Z/b")
    before = box.calls()
    second = put_file(box, "/Z/b/x", b"two", file.revision, folder_id=inner.id)
    third = file_of(finish(box, [time_order("/Z/b/x", second.revision, 10**18)]))
    to_root = replace(move_order("/Z/b/x", "/x", item_id=file.id), source=place("/Z/b/x", inner.id))
    finish(box, [to_root])
    finish(box, [delete_order("/x", item_id=file.id)])
    finish(box, [delete_order("/Z/b", is_folder=True, item_id=inner.id)])
    assert file.id == second.id == third.id
    assert calls_since(box, before) == {
        "POST files/:id/content": 1,
        "PUT files/:id": 2,
        "DELETE files/:id": 1,
        "DELETE folders/:id": 1,
    }


def file_of(outcomes: tuple[Outcome, ...]) -> File:
    (file,) = outcomes
    assert isinstance(file, File), file
    return file


def test_a_path_costs_a_listing_for_each_component_and_is_always_true(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.write("/a/b/c/old", b"x")
    assert names(box.list_folder(RemotePath("/A/B/C"))) == {"old"}
    assert box.calls() == {"GET folders/:id/items": 4}
    sandbox.delete("/a/b")
    sandbox.write("/a/b/c/new", b"x")
    assert names(box.list_folder(RemotePath("/A/B/C"))) == {"new"}
    sandbox.write("/a/file", b"x")
    for path in ("/a/file", "/a/file/below"):
        with pytest.raises(NotADirectory):
            box.list_folder(RemotePath(path))


def test_an_item_others_moved_is_still_moved_to_where_we_want_it(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    file = put_file(box, "/A/x", b"x")
    make_folder(box, "/C")
    sandbox.move("/A/x", "/theirs")
    outcome = file_of(finish(box, [move_order("/A/x", "/A/y", item_id=file.id)]))
    assert (outcome.id, outcome.name) == (file.id, "y")
    assert set(sandbox.tree()) == {"/A", "/A/y", "/C"}
    sandbox.move("/A/y", "/C/z")
    finish(box, [move_order("/A/y", "/y", item_id=file.id)])
    assert set(sandbox.tree()) == {"/A", "/C", "/y"}


def test_a_folder_that_is_not_moved_and_renamed_at_once_is_so_one_after_the_other(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.set_switches(moves_alone=True)
    put_file(box, "/a/x/file", b"1")
    folder = folder_at(box, "/a/x")
    sandbox.create_folder("/b")
    order = move_order("/a/x", "/b/y", is_folder=True, item_id=folder.id)
    (moved,) = finish(box, [order])
    assert moved == Folder(folder.id, "y")
    assert set(sandbox.tree()) == {"/a", "/b", "/b/y", "/b/y/file"}
    # Both names it could have in between are taken.
    for path in ("/a/x", "/a/y"):
        sandbox.create_folder(path)
    back = move_order("/b/y", "/a/z", is_folder=True, item_id=folder.id)
    (moved,) = finish(box, [back])
    assert moved == Folder(folder.id, "z")
    assert set(sandbox.tree()) == {"/a", "/a/x", "/a/y", "/a/z", "/a/z/file", "/b"}


def test_a_folder_is_not_half_moved_to_a_name_that_is_taken(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.set_switches(moves_alone=True)
    for path in ("/a/x", "/b/y"):
        sandbox.create_folder(path)
    folder = folder_at(box, "/a/x")
    (outcome,) = finish(box, [move_order("/a/x", "/b/y", is_folder=True, item_id=folder.id)])
    assert isinstance(outcome, Conflict)
    assert set(sandbox.tree()) == {"/a", "/a/x", "/b", "/b/y"}


IN_THE_WAY = {"/a/y", "/b/x"}
"""Both names that a folder on its way from /a/x to /b/y could have in between."""


@pytest.mark.parametrize(
    ("others", "expected"), [(set(), [403, 200, 403, 200]), (IN_THE_WAY, [403, 409, 409, 200, 403, 200])]
)
def test_a_folder_whose_move_is_refused_keeps_its_name(
    sandbox: BoxSandbox, box: BoxBackend, others: set[str], expected: list[int]
) -> None:
    sandbox.set_switches(moves_alone=True)
    for path in ("/a/x", "/b", *others):
        sandbox.create_folder(path)
    folder = folder_at(box, "/a/x")
    nth = len(expected) - 1
    no = {"type": "error", "status": 403, "code": "access_denied_insufficient_permissions"}
    sandbox.set_faults([FaultRule(route="folders/update", status=403, body=no, nth=nth)])
    (outcome,) = finish(box, [move_order("/a/x", "/b/y", is_folder=True, item_id=folder.id)])
    assert isinstance(outcome, Forbidden)
    assert statuses(sandbox, "folders/update") == expected
    assert set(sandbox.tree()) == {"/a", "/a/x", "/b", *others}


def test_a_folder_that_is_half_moved_is_in_the_folder_that_it_leaves(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    """Who lists that one meanwhile would take it for removed, and its rename for void."""
    sandbox.set_switches(moves_alone=True)
    for path in ("/a/x", "/b"):
        sandbox.create_folder(path)
    folder = folder_at(box, "/a/x")
    sandbox.set_faults([FaultRule(route="folders/update", status=503, nth=3)])
    order = move_order("/a/x", "/b/y", is_folder=True, item_id=folder.id)
    with pytest.raises(ServerFault):
        finish(box, [order])
    assert set(sandbox.tree()) == {"/a", "/a/y", "/b"}
    finish(box, [order])
    assert set(sandbox.tree()) == {"/a", "/b", "/b/y"}


@pytest.mark.parametrize(
    ("others", "nth"), [(set(), 2), (set(), 3), *((IN_THE_WAY, nth) for nth in (4, 5, 6))]
)
def test_a_folder_that_is_half_moved_is_moved_by_the_same_order(
    sandbox: BoxSandbox, box: BoxBackend, others: set[str], nth: int
) -> None:
    sandbox.set_switches(moves_alone=True)
    for path in ("/a/x", "/b", *others):
        sandbox.create_folder(path)
    folder = folder_at(box, "/a/x")
    order = move_order("/a/x", "/b/y", is_folder=True, item_id=folder.id)
    sandbox.set_faults([FaultRule(route="folders/update", action=FaultKind.DROP_AFTER, nth=nth)])
    with pytest.raises(Offline):
        finish(box, [order])
    (moved,) = finish(box, [order])
    assert moved == Folder(folder.id, "y")
    assert set(sandbox.tree()) == {"/a", "/b", "/b/y", *others}


def test_a_folder_that_is_shared_no_more_is_told_as_gone(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.write("/shared/x", b"x")
    folder = folder_at(box, "/shared")
    cursor = box.latest_cursor()
    sandbox.edit({"op": "unshare", "path": "/shared"})
    assert Gone(item_id=folder.id) in box.changes(cursor).entries
    assert box.list_folder(ROOT) == []


def test_what_is_of_another_kind_is_not_removed(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.create_folder("/folder")
    sandbox.write("/file", b"x")
    outcomes = finish(box, [delete_order("/folder"), delete_order("/file", is_folder=True)])
    assert [type(outcome) for outcome in outcomes] == [Conflict, Conflict]
    assert set(sandbox.tree()) == {"/file", "/folder"}


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
def test_repeated_and_disordered_events_are_told_once(
    sandbox: BoxSandbox, box: BoxBackend, is_text: bool
) -> None:
    sandbox.set_switches(repeated_events=5, disordered_events=True, string_positions=is_text)
    sandbox.write("/keep", b"x")
    cursor = box.latest_cursor()
    sandbox.write("/a", b"1")
    sandbox.write("/a", b"22")
    page = box.changes(cursor)
    keep, a = file_at(box, "/keep"), file_at(box, "/a")
    assert {Seen(keep, folder_id=ROOT_FOLDER_ID), Seen(a, folder_id=ROOT_FOLDER_ID)} < set(page.entries)
    sandbox.delete("/a")
    assert box.changes(page.cursor).entries == (Gone(item_id=a.id),)


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
    cursor = backend.latest_cursor()
    put_file(backend, "/b/y", b"y")
    file = put_file(backend, "/z", b"z")
    assert sandbox.read("/A/b/y") == b"y"
    assert backend.root_id == sandbox.tree()["/A"]["id"]
    assert backend.account().key.endswith(f"-f{backend.root_id}")
    whole = connect(sandbox)
    # Box counts the calls of a user, whichever folder is the root.
    assert backend.account().counted_as == whole.account().counted_as == whole.account().key
    whole.close()
    assert Seen(file, folder_id=backend.root_id) in backend.changes(cursor).entries
    backend.close()


def test_nothing_is_kept_of_a_session_that_was_committed(sandbox: BoxSandbox, box: BoxBackend) -> None:
    body = bytes(range(256)) * 98
    session, parts = upload_parts(box, "/film", body)
    finish(box, [large_order(box, "/film", body, session, parts)])
    assert sandbox.read("/film") == body
    assert LIST_PARTS not in box.calls()
    # What were still known of the session would be taken for it: it is asked after instead.
    with pytest.raises(SessionLost):
        append_part(box, session, 0, body[: box.part_bytes(session)], closing=False, size_bytes=len(body))
    assert box.calls()[LIST_PARTS] == 1


def open_session(backend: Backend) -> object:
    return backend.open_session(place("/s"), 10, None)


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
    sandbox.set_faults([FaultRule(route="folders/items", action=FaultKind.STALL, stall_s=60.0, count=1)])
    with waiting_for(box._http, 0.5), pytest.raises(Offline):
        box.list_folder(ROOT)
    box.account()  # its answer ends the silence
    assert box.list_folder(ROOT) == []


def test_what_was_removed_one_by_one_comes_back_one_by_one(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.write("/d/sub/x", b"x")
    for path in ("/d/sub/x", "/d/sub", "/d"):
        sandbox.delete(path)
    undelete(box, "/d")
    assert sandbox.read("/d/sub/x") == b"x"
