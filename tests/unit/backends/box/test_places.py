"""Places by id and by path: what is asked for each, and what orders ask for that name them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mountfs.backends.box.backend import BoxBackend
from mountfs.errors import (
    Conflict,
    MountfsError,
    NameNotAllowed,
    NotADirectory,
    NotFound,
    Offline,
    ServerFault,
    Unreachable,
)
from mountfs.model.entry import File, Folder, Odd, Place
from mountfs.model.order import Delete, MakeFolder, Move, Order, Put
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Done, Outcome
from tests.doubles.sources import source_of
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Reply, Script, answer, json_answer

BY_PATH = Place(RemotePath("/A/b/x"))
BY_ID = Place(RemotePath("/A/b/x"), "2")


def item(item_id: str, name: str, parent: str, kind: str = "file") -> dict[str, Any]:
    found = {"type": kind, "id": item_id, "etag": "0", "name": name, "parent": {"id": parent}}
    return found | ({"size": 1, "file_version": {"id": "9"}} if kind == "file" else {})


A, B, X = item("1", "a", "0", "folder"), item("2", "B", "1", "folder"), item("3", "X", "2")
GONE = json_answer({"type": "error", "status": 404, "code": "not_found"}, 404)


def listing(*items: Any, marker: str = "") -> Reply:
    return json_answer({"entries": items, "next_marker": marker})


def lookups(server: Script) -> list[str]:
    """What was asked for, without the parameters."""
    return [f"{seen.method} {seen.path.partition('?')[0].removeprefix('/2.0/')}" for seen in server.seen]


def carried_out(backend: BoxBackend, order: Order) -> Outcome:
    launch = backend.submit([order])
    assert isinstance(launch, Done)
    return launch.outcomes[0]


def test_a_path_is_walked_from_the_root_in_whatever_case(connect: Connect) -> None:
    with Script(listing(A), listing(B), listing(X)) as server:
        entry = connect(server.url).stat(BY_PATH)
    assert entry == File("3", "X", "3:0:9", 1, 0, None)
    assert lookups(server) == [f"GET folders/{folder_id}/items" for folder_id in "012"]


def test_a_place_whose_folder_is_known_costs_one_listing(connect: Connect) -> None:
    with Script(listing(X)) as server:
        assert connect(server.url).stat(BY_ID).id == "3"
    assert lookups(server) == ["GET folders/2/items"]


def test_a_listing_whose_marker_is_void_begins_anew(connect: Connect) -> None:
    void = json_answer({"code": "bad_request", "message": "Invalid marker"}, 400)
    half = listing(item("4", "gone", "2"), marker="m")
    with Script(half, void, half, listing(X), half, void, listing(X)) as server:
        backend = connect(server.url)
        assert [entry.name for entry in backend.list_folder(RemotePath("/A/B"), "2")] == ["gone", "X"]
        assert backend.stat(BY_ID).id == "3"
    with Script(half, void, half, void, half, void) as server, pytest.raises(ServerFault):
        connect(server.url).list_folder(RemotePath("/A/B"), "2")


def test_of_names_that_are_one_name_here_the_oldest_is_shown_and_the_others_are_told_of(
    connect: Connect,
) -> None:
    composed, taken_apart = item("10", "\u00e9", "2"), item("9", "e\u0301", "2")
    with Script(listing(composed, X, marker="m"), listing(taken_apart)) as server:
        listed = connect(server.url).list_folder(RemotePath("/A/B"), "2")
    odd, *shown = listed
    assert isinstance(odd, Odd)
    assert (odd.name, "in other letters" in odd.reason) == ("\u00e9", True)
    assert [entry.id for entry in shown if isinstance(entry, File)] == ["3", "9"]


@pytest.mark.parametrize(
    ("name", "found"), [("\u1ec7", "10"), ("\u1ec6", "10"), ("\u1eb9\u0302", "9"), ("e\u0323\u0302", "9")]
)
def test_of_names_that_are_one_name_here_the_one_composed_alike_is_found_or_the_oldest(
    connect: Connect, name: str, found: str
) -> None:
    link = {**item("1", "\u00ea\u0323", "2"), "type": "web_link"}
    with Script(listing(link, item("10", "\u1ec7", "2"), item("9", "\u1eb9\u0302", "2"))) as server:
        assert connect(server.url).stat(Place(RemotePath(f"/A/B/{name}"), "2")).id == found


def test_a_long_listing_is_read_as_far_as_it_must_be(connect: Connect) -> None:
    other = item("4", "y", "2")
    with Script(listing(other, marker="m1"), listing(X, marker="m2"), answer(500)) as server:
        assert connect(server.url).stat(BY_ID).id == "3"
    assert len(server.seen) == 2


def test_nothing_is_remembered_of_a_walk(connect: Connect) -> None:
    with Script(listing(A), listing(B), listing(X), listing(A), listing(), answer(500)) as server:
        backend = connect(server.url)
        backend.stat(BY_PATH)
        with pytest.raises(NotFound):
            backend.stat(BY_PATH)


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ((listing(),), NotFound),
        ((listing(A), listing(B), listing()), NotFound),
        ((listing(A), GONE), NotFound),
        ((listing(A), listing(item("2", "b", "1")), answer(500)), NotADirectory),
        ((listing(A), listing(item("2", "b", "1", "web_link")), answer(500)), NotADirectory),
        ((listing(A), listing(B), listing(item("3", "x", "2", "web_link"))), NotFound),
    ],
)
def test_a_walk_ends_where_nothing_more_is(
    connect: Connect, replies: tuple[Reply, ...], kind: type[MountfsError]
) -> None:
    with Script(*replies) as server, pytest.raises(kind):
        connect(server.url).stat(BY_PATH)


def test_the_root_is_the_folder_that_was_chosen(connect: Connect) -> None:
    with Script(listing()) as server:
        backend = connect(server.url, root_folder_id="77")
        assert backend.root_id == "77"
        assert backend.list_folder(ROOT) == []
        assert backend.list_folder(RemotePath("/A/b"), "2") == []
    assert lookups(server) == ["GET folders/77/items", "GET folders/2/items"]


def test_what_is_made_in_a_known_folder_is_one_request(connect: Connect) -> None:
    with Script(json_answer(item("5", "x", "2", "folder"), 201)) as server:
        outcome = carried_out(connect(server.url), MakeFolder(BY_ID))
    assert outcome == Folder("5", "x")
    assert isinstance(outcome, Folder)
    assert outcome.is_new
    (request,) = server.seen
    assert request.json == {"name": "x", "parent": {"id": "2"}}


def test_a_folder_that_is_gone_is_told_as_gone(connect: Connect) -> None:
    with Script(GONE) as server:
        outcome = carried_out(connect(server.url), MakeFolder(BY_ID))
    assert isinstance(outcome, NotFound)
    assert str(outcome) == "/A/b/x: the folder that it is to stand in is gone"


SOURCE = Place(RemotePath("/A/b/x"), "2")
MOVES = [
    (Place(RemotePath("/A/b/y"), "2"), {"name": "y"}, ("y", "2")),
    (Place(RemotePath("/C/x"), "5"), {"parent": {"id": "5"}}, ("x", "5")),
    (Place(RemotePath("/C/y"), "5"), {"name": "y", "parent": {"id": "5"}}, ("y", "5")),
    # The folder is the same one, whatever the paths say of it.
    (Place(RemotePath("/renamed/y"), "2"), {"name": "y"}, ("y", "2")),
]


@pytest.mark.parametrize(("target", "asked", "moved"), MOVES)
def test_a_move_asks_for_no_more_than_changes(
    connect: Connect, target: Place, asked: dict[str, Any], moved: tuple[str, str]
) -> None:
    name, parent = moved
    with Script(json_answer(item("3", name, parent))) as server:
        outcome = carried_out(connect(server.url), Move(target, SOURCE, is_folder=False, item_id="3"))
    assert isinstance(outcome, File)
    assert outcome.name == name
    assert [seen.json for seen in server.seen] == [asked]


def test_an_item_that_was_elsewhere_is_moved_all_the_way(connect: Connect) -> None:
    with Script(json_answer(item("3", "y", "8")), json_answer(item("3", "y", "2"))) as server:
        target = Place(RemotePath("/A/b/y"), "2")
        assert isinstance(carried_out(connect(server.url), Move(target, SOURCE, False, "3")), File)
    assert [seen.json for seen in server.seen] == [{"name": "y"}, {"name": "y", "parent": {"id": "2"}}]


def test_an_item_that_was_half_moved_is_not_told_to_be_where_it_was(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Script(json_answer(item("3", "y", "8"))) as server:
        backend = connect(server.url)
        exchange = backend._api.exchange

        def once(*args: Any, **kwargs: Any) -> Any:
            if server.seen:
                raise Unreachable("nobody there")
            return exchange(*args, **kwargs)

        monkeypatch.setattr(backend._api, "exchange", once)
        with pytest.raises(Offline) as caught:
            backend.submit([Move(Place(RemotePath("/A/b/y"), "2"), SOURCE, False, "3")])
    assert not isinstance(caught.value, Unreachable)


def test_a_move_is_told_what_is_gone_the_item_or_the_folder(connect: Connect) -> None:
    order = Move(Place(RemotePath("/C/x"), "5"), SOURCE, is_folder=False, item_id="3")
    with Script(GONE, json_answer(X)) as server:
        assert "the folder that it is to stand in is gone" in str(carried_out(connect(server.url), order))
    with Script(GONE) as server:
        outcome = carried_out(connect(server.url), order)
        assert isinstance(outcome, NotFound)
        assert "nothing is at /A/b/x" in str(outcome)


def test_a_source_that_is_known_by_path_alone_is_looked_up(connect: Connect) -> None:
    with Script(listing(A), listing(B), listing(X), json_answer(item("3", "y", "2"))) as server:
        target = Place(RemotePath("/A/b/y"), "2")
        carried_out(connect(server.url), Move(target, BY_PATH, is_folder=False))
    assert lookups(server)[3:] == ["PUT files/3"]


@pytest.mark.parametrize(
    ("order", "asked"),
    [
        (Delete(BY_ID, is_folder=False, item_id="3"), "DELETE files/3"),
        (Delete(BY_ID, is_folder=False, item_id="3", base_revision="3:0:9"), "DELETE files/3"),
        (Delete(BY_ID, is_folder=True, item_id="4"), "DELETE folders/4"),
    ],
)
def test_what_is_known_by_id_is_removed_in_one_request(connect: Connect, order: Delete, asked: str) -> None:
    with Script(answer(204)) as server:
        assert carried_out(connect(server.url), order) is None
    assert lookups(server) == [asked]
    assert server.seen[0].headers.get("if-match") == ("0" if order.base_revision else None)


def test_sessions_are_opened_by_folder_id(connect: Connect) -> None:
    endpoints = dict.fromkeys(("upload_part", "list_parts", "commit", "abort"), "https://upload.box.com/x")
    session = {"id": "F97", "part_size": 4, "session_endpoints": endpoints}
    with Script(json_answer(session, 201)) as server:
        token = connect(server.url).open_session(BY_ID, 8, None)
    assert json.loads(token)["folder"] == "2"
    assert [seen.json for seen in server.seen] == [{"folder_id": "2", "file_size": 8, "file_name": "x"}]


def test_a_session_that_was_certainly_not_opened_is_never_ended(connect: Connect) -> None:
    """Another one that is in the way is then somebody else's."""
    backend = connect("http://127.0.0.1:1")
    with pytest.raises(Unreachable):
        backend.open_session(BY_ID, 8, None)
    assert backend._uploads._unheard == {}


UNCONDITIONAL: list[Order] = [
    Move(Place(RemotePath("/A/b/y"), "2"), SOURCE, is_folder=False, item_id="3"),
    Move(Place(RemotePath("/C/y"), "5"), SOURCE, is_folder=True, item_id="3"),
    MakeFolder(BY_ID),
    Delete(BY_ID, is_folder=True, item_id="4"),
    Delete(BY_ID, is_folder=False, item_id="4"),
]


@pytest.mark.parametrize("order", UNCONDITIONAL)
def test_a_failed_condition_that_nobody_stated_is_a_fault_and_no_conflict(
    connect: Connect, order: Order
) -> None:
    with Script(json_answer({"code": "precondition_failed"}, 412)) as server:
        with pytest.raises(ServerFault):
            connect(server.url).submit([order])
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend: backend.list_folder(ROOT),
        lambda backend: backend.stat(BY_ID),
        lambda backend: backend.account(),
        lambda backend: backend.read(File("3", "x", "3:0:9", 1, 0, None), 0, 1),
    ],
)
def test_a_question_states_no_condition(connect: Connect, ask: Callable[[BoxBackend], object]) -> None:
    with Script(json_answer({"code": "precondition_failed"}, 412)) as server, pytest.raises(ServerFault):
        ask(connect(server.url))


def test_a_position_in_the_events_is_a_condition(connect: Connect) -> None:
    with Script(json_answer({"code": "precondition_failed"}, 412)) as server, pytest.raises(Conflict):
        connect(server.url).changes("7")


LINK = {"type": "web_link", "id": "8", "name": "x"}


@pytest.mark.parametrize("conflicts", [LINK, [LINK]])
@pytest.mark.parametrize(
    "order",
    [
        MakeFolder(BY_ID),
        Move(BY_ID, Place(RemotePath("/A/b/y"), "2"), is_folder=False, item_id="3"),
        Put(BY_ID, size_bytes=0, mtime_ns=0, content_hash="00" * 20, body=source_of(b"")),
    ],
)
def test_a_name_that_a_web_link_has_is_refused_with_that_reason(
    connect: Connect, order: Order, conflicts: object
) -> None:
    """No listing shows it, so that to look what is there, and to try again, would never end otherwise."""
    body = {"code": "item_name_in_use", "context_info": {"conflicts": conflicts}}
    with Script(json_answer(body, 409)) as server:
        backend = connect(server.url)
        outcome = carried_out(backend, order)
        assert isinstance(outcome, NameNotAllowed)
        assert "a web link of Box" in str(outcome)
        with pytest.raises(NameNotAllowed):
            backend.open_session(BY_ID, 50_000_000, None)
        assert len(server.seen) == 2
