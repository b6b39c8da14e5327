"""Batches: what is sent, both ways a launch may end, and what each entry's outcome means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mountfs.backends.dropbox.settings import FINISH_BATCH_V2
from mountfs.errors import (
    Busy,
    Conflict,
    Forbidden,
    InvalidArgument,
    MountfsError,
    NotFound,
    NotSupported,
    RequestTooBig,
    ServerFault,
    SessionLost,
)
from mountfs.model.entry import File, Folder, Place
from mountfs.model.order import Delete, MakeFolder, Move, Order, Put, SetTime
from mountfs.model.path import RemotePath
from mountfs.ports import Done, Running
from tests.fakes.clock import EPOCH_NS
from tests.unit.backends.dropbox.conftest import Connect
from tests.unit.backends.scripted import Script, answer, error_answer, json_answer

META = {
    "name": "b.txt",
    "id": "id:1",
    "client_modified": "2015-05-12T15:50:38Z",
    "server_modified": "2015-05-12T15:50:38Z",
    "rev": "015f00000001",
    "size": 3,
    "path_lower": "/a/b.txt",
    "path_display": "/other/b.txt",
    "is_downloadable": True,
    "content_hash": "00" * 32,
}
PUT = Put(
    Place(RemotePath("/A/b.txt"), "id:A"),
    base_revision="015f00000000",
    size_bytes=3,
    mtime_ns=EPOCH_NS + 10**18,
    content_hash="",
    session="0:pid_upload_session:abc",
)
MKDIR = MakeFolder(Place(RemotePath("/A/new"), "id:A"))
DELETE = Delete(Place(RemotePath("/A/b.txt")), is_folder=False, base_revision="015f00000000")
MOVE = Move(Place(RemotePath("/B/c.txt")), source=Place(RemotePath("/A/b.txt")), is_folder=False)


def complete(*entries: Any) -> Any:
    return json_answer({".tag": "complete", "entries": list(entries)})


def failure(error: Any) -> dict[str, Any]:
    return {".tag": "failure", "failure": error}


def nested(*tags: str) -> Any:
    first, *rest = tags
    return {".tag": first, first: nested(*rest)} if rest else {".tag": first}


def only(launch: Done | Running) -> Any:
    assert isinstance(launch, Done)
    (outcome,) = launch.outcomes
    return outcome


def test_a_commit_is_conditional_and_dated_in_the_past(connect: Connect) -> None:
    with Script(json_answer({".tag": "async_job_id", "async_job_id": "j:1"})) as server:
        assert connect(server.url, mute=True).submit([PUT]) == Running("put:j:1")
    assert server.seen[0].path == "/2/files/upload_session/finish_batch"
    assert server.seen[0].json == {
        "entries": [
            {
                "cursor": {"session_id": "pid_upload_session:abc", "offset": 3},
                "commit": {
                    "path": "/A/b.txt",
                    "mode": {".tag": "update", "update": "015f00000000"},
                    "autorename": False,
                    "client_modified": "2023-11-14T22:13:20Z",
                    "mute": True,
                    "strict_conflict": False,
                },
            }
        ]
    }


FINISH = "files/upload_session/finish_batch"
KINDS: list[tuple[Order, tuple[str, str], Any, Any]] = [
    (PUT, (FINISH, f"{FINISH}/check"), {".tag": "success", **META}, None),
    (
        DELETE,
        ("files/delete_batch", "files/delete_batch/check"),
        {".tag": "success", "metadata": {".tag": "file", **META}},
        {"entries": [{"path": "/A/b.txt", "parent_rev": "015f00000000"}]},
    ),
    (
        MOVE,
        ("files/move_batch_v2", "files/move_batch/check_v2"),
        {".tag": "success", "success": {".tag": "file", **META, "name": "c.txt"}},
        {"entries": [{"from_path": "/A/b.txt", "to_path": "/B/c.txt"}], "autorename": False},
    ),
    (
        MKDIR,
        ("files/create_folder_batch", "files/create_folder_batch/check"),
        {".tag": "success", "metadata": {"name": "new", "id": "id:2", "path_lower": "/a/new"}},
        {"paths": ["/A/new"], "autorename": False},
    ),
]


@pytest.mark.parametrize(("order", "routes", "entry", "argument"), KINDS, ids=lambda each: "")
def test_a_job_is_asked_after_where_it_belongs(
    connect: Connect, order: Order, routes: tuple[str, str], entry: Any, argument: Any
) -> None:
    started = json_answer({".tag": "async_job_id", "async_job_id": "j"})
    with Script(started, json_answer({".tag": "in_progress"}), complete(entry)) as server:
        running = connect(server.url).submit([order])
        assert isinstance(running, Running)
        after_restart = connect(server.url)
        assert after_restart.poll(running.job, [order]) == running
        outcome = only(after_restart.poll(running.job, [order]))
    launch, check = routes
    assert [seen.path for seen in server.seen] == [f"/2/{launch}", f"/2/{check}", f"/2/{check}"]
    assert server.seen[1].json == {"async_job_id": "j"}
    assert argument is None or server.seen[0].json == argument
    assert outcome is None if order is DELETE else outcome.name == order.place.name


def test_a_launch_may_be_over_at_once(connect: Connect) -> None:
    with Script(complete({".tag": "success", **META})) as server:
        outcome = only(connect(server.url).submit([PUT]))
    assert isinstance(outcome, File)
    assert (outcome.name, outcome.revision) == ("b.txt", "015f00000001")


def test_the_second_version_of_the_route_answers_at_once(connect: Connect) -> None:
    with Script(json_answer({"entries": [{".tag": "success", **META}]})) as server:
        outcome = only(connect(server.url, commit_route=FINISH_BATCH_V2).submit([PUT]))
    assert isinstance(outcome, File)
    assert server.seen[0].path == "/2/files/upload_session/finish_batch_v2"


def test_a_new_file_is_added(connect: Connect) -> None:
    order = replace(PUT, base_revision=None)
    with Script(json_answer({".tag": "async_job_id", "async_job_id": "j"})) as server:
        connect(server.url).submit([order])
    assert server.seen[0].json["entries"][0]["commit"]["mode"] == {".tag": "add"}


def test_a_folder_is_removed_whatever_its_revision(connect: Connect) -> None:
    order = Delete(Place(RemotePath("/A")), is_folder=True, base_revision="015f")
    with Script(complete({".tag": "success", "metadata": {}})) as server:
        connect(server.url).submit([order])
    assert server.seen[0].json == {"entries": [{"path": "/A"}]}


@pytest.mark.parametrize(
    ("order", "error", "kind"),
    [
        (PUT, nested("path", "conflict", "file"), Conflict),
        (PUT, nested("path", "no_write_permission"), Forbidden),
        (PUT, nested("lookup_failed", "not_found"), SessionLost),
        (PUT, nested("lookup_failed", "closed"), SessionLost),
        (PUT, nested("too_many_write_operations"), Busy),
        (PUT, nested("path", "too_many_write_operations"), Busy),
        (DELETE, nested("path_write", "conflict", "file"), Conflict),
        (DELETE, nested("too_many_write_operations"), Busy),
        (MOVE, nested("relocation_error", "from_lookup", "not_found"), NotFound),
        (MOVE, nested("relocation_error", "to", "conflict", "file"), Conflict),
        (MOVE, nested("too_many_write_operations"), Busy),
        (MOVE, nested("internal_error"), ServerFault),
        (MKDIR, nested("path", "conflict", "file"), Conflict),
    ],
)
def test_an_entry_fails_by_its_tag(
    connect: Connect, order: Order, error: Any, kind: type[MountfsError]
) -> None:
    with Script(complete(failure(error))) as server:
        outcome = only(connect(server.url).submit([order]))
    assert type(outcome) is kind
    assert order.place.path.text in str(outcome)


def test_what_is_gone_already_counts_as_removed(connect: Connect) -> None:
    with Script(complete(failure(nested("path_lookup", "not_found")))) as server:
        assert only(connect(server.url).submit([DELETE])) is None


def test_a_folder_that_stands_already_is_looked_up(connect: Connect) -> None:
    stands = complete(failure(nested("path", "conflict", "folder")))
    folder = json_answer({".tag": "folder", "name": "NEW", "id": "id:9", "path_lower": "/a/new"})
    with Script(stands, folder) as server:
        assert only(connect(server.url).submit([MKDIR])) == Folder("id:9", "NEW")
    with Script(stands, answer(500)) as server:
        assert isinstance(only(connect(server.url).submit([MKDIR])), Conflict)


def test_many_that_stand_already_are_looked_up_in_one_listing(connect: Connect) -> None:
    orders = [MakeFolder(Place(RemotePath(f"/A/{at}"))) for at in range(50)]
    stands = complete(*[failure(nested("path", "conflict", "folder"))] * 50)
    entries = [{".tag": "folder", "name": f"{at}", "id": f"id:{at}"} for at in range(50)]
    listed = json_answer({"entries": entries, "cursor": "c", "has_more": False})
    with Script(stands, listed) as server:
        launch = connect(server.url).submit(orders)
    assert isinstance(launch, Done)
    assert [entry.id for entry in launch.outcomes if isinstance(entry, Folder)] == [
        f"id:{at}" for at in range(50)
    ]
    assert len(server.seen) == 2


def test_what_is_known_by_id_is_removed_and_moved_by_it(connect: Connect) -> None:
    started = json_answer({".tag": "async_job_id", "async_job_id": "j"})
    with Script(started) as server:
        backend = connect(server.url)
        backend.submit([replace(DELETE, item_id="id:1")])
        backend.submit([replace(MOVE, item_id="id:1")])
    deleted, moved = (seen.json["entries"][0] for seen in server.seen)
    assert deleted == {"path": "id:1", "parent_rev": "015f00000000"}
    assert moved == {"from_path": "id:1", "to_path": "/B/c.txt"}


def test_a_rename_that_changes_only_the_case_names_paths(connect: Connect) -> None:
    order = Move(Place(RemotePath("/a/B.txt")), Place(RemotePath("/A/b.txt")), False, item_id="id:1")
    with Script(json_answer({".tag": "async_job_id", "async_job_id": "j"})) as server:
        connect(server.url).submit([order])
    assert server.seen[0].json["entries"] == [{"from_path": "/A/b.txt", "to_path": "/a/B.txt"}]


REFUSED_MOVES = [
    nested("relocation_error", "to", "conflict", "file"),
    nested("relocation_error", "duplicated_or_nested_paths"),
]


@pytest.mark.parametrize("error", REFUSED_MOVES)
def test_a_move_by_id_that_was_done_before_is_known_by_its_target(connect: Connect, error: Any) -> None:
    standing = {".tag": "file", **META, "name": "c.txt"}
    with Script(complete(failure(error)), json_answer(standing)) as server:
        outcome = only(connect(server.url).submit([replace(MOVE, item_id="id:1")]))
    assert isinstance(outcome, File)
    assert (outcome.id, outcome.name) == ("id:1", "c.txt")
    assert server.seen[1].json == {"path": "/B/c.txt"}


@pytest.mark.parametrize("error", REFUSED_MOVES)
@pytest.mark.parametrize(
    "standing",
    [
        json_answer({".tag": "file", **META, "id": "id:2", "name": "c.txt"}),
        json_answer({".tag": "file", **META, "name": "C.txt"}),
        error_answer(nested("path", "not_found")),
        answer(500),
    ],
)
def test_a_move_by_id_onto_something_else_keeps_its_error(
    connect: Connect, error: Any, standing: Any
) -> None:
    with Script(complete(failure(error)), standing) as server:
        outcome = only(connect(server.url).submit([replace(MOVE, item_id="id:1")]))
    assert isinstance(outcome, Conflict | InvalidArgument)


@pytest.mark.parametrize(
    ("tag", "kind"), [("too_many_write_operations", Busy), ("too_many_files", RequestTooBig)]
)
def test_a_job_that_fails_as_a_whole_fails_every_entry(
    connect: Connect, tag: str, kind: type[MountfsError]
) -> None:
    with Script(json_answer({".tag": "failed", "failed": {".tag": tag}})) as server:
        launch = connect(server.url).poll("delete:j", [DELETE, DELETE])
    assert isinstance(launch, Done)
    assert [type(outcome) for outcome in launch.outcomes] == [kind, kind]


@pytest.mark.parametrize("kind", ["mkdir", "move"])
def test_a_service_that_fails_is_not_asked_after_each_refused_entry(connect: Connect, kind: str) -> None:
    places = [Place(RemotePath(f"/d{number}/x")) for number in range(20)]
    if kind == "mkdir":
        orders: list[Order] = [MakeFolder(place) for place in places]
        refused = failure(nested("path", "conflict", "folder"))
    else:
        orders = [Move(place, MOVE.source, is_folder=False, item_id="id:1") for place in places]
        refused = failure(nested("relocation_error", "to", "conflict", "file"))
    with Script(complete(*[refused] * 20), answer(500)) as server:
        launch = connect(server.url).submit(orders)
        assert len(server.seen) == 2
    assert isinstance(launch, Done)
    assert all(isinstance(outcome, Conflict) for outcome in launch.outcomes)


@pytest.mark.parametrize("tag", ["invalid_async_job_id", "internal_error"])
def test_a_job_the_service_lost_must_be_verified(connect: Connect, tag: str) -> None:
    with Script(error_answer({".tag": tag})) as server, pytest.raises(SessionLost):
        connect(server.url).poll("put:j", [PUT])


@pytest.mark.parametrize("job", ["", "put:", "elsewhere:j", "j"])
def test_a_job_that_is_none_is_not_asked_after(connect: Connect, job: str) -> None:
    with pytest.raises(SessionLost):
        connect("http://127.0.0.1:1").poll(job, [PUT])


@pytest.mark.parametrize(
    "reply",
    [
        {".tag": "complete", "entries": []},
        {".tag": "complete"},
        {".tag": "hologram"},
        {},
        [],
    ],
)
def test_a_launch_that_makes_no_sense_is_a_fault(connect: Connect, reply: Any) -> None:
    with Script(json_answer(reply)) as server, pytest.raises(ServerFault):
        connect(server.url).submit([PUT])


@pytest.mark.parametrize("entry", [5, {".tag": "success"}, {".tag": "success", "success": 5, "metadata": 5}])
@pytest.mark.parametrize("order", [PUT, MOVE, MKDIR], ids=["put", "move", "mkdir"])
def test_an_entry_that_makes_no_sense_is_a_fault_of_its_own(
    connect: Connect, order: Order, entry: Any
) -> None:
    with Script(complete(entry)) as server:
        assert isinstance(only(connect(server.url).submit([order])), ServerFault)


def test_no_orders_need_no_call(connect: Connect) -> None:
    assert connect("http://127.0.0.1:1").submit([]) == Done(())


def test_times_travel_with_bytes_alone(connect: Connect) -> None:
    with pytest.raises(NotSupported):
        connect("http://127.0.0.1:1").submit([SetTime(PUT.place, 0, "015f00000000")])
