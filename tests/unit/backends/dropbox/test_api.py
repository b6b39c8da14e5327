"""What goes over the wire: headers, namespaces, tokens, waiting."""

from __future__ import annotations

import json

import pytest

from mountfs.backends.dropbox.oauth import refresh_access_token
from mountfs.backends.http import HttpClient
from mountfs.clock import SystemClock
from mountfs.errors import (
    Conflict,
    Forbidden,
    InvalidArgument,
    MountfsError,
    NotSignedIn,
    Offline,
    ServerFault,
    Throttled,
)
from mountfs.model.entry import Doubted, File, Folder, Gone, Place
from mountfs.model.path import ROOT, RemotePath
from tests.doubles.sources import piece_of
from tests.fakes.clock import FakeClock
from tests.unit.backends.dropbox.conftest import Connect
from tests.unit.backends.scripted import Reply, Script, answer, error_answer, hang_up, json_answer, stall

EMPTY = json_answer({"entries": [], "cursor": "c", "has_more": False})
FILE = File("id:1", "x", "015f00000001", 10, 0, None)


def account(root: str = "7", home: str = "1") -> Reply:
    return json_answer(
        {
            "account_id": "dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc",
            "name": {"display_name": "Franz F"},
            "email": "franz@example.com",
            "root_info": {".tag": "team", "root_namespace_id": root, "home_namespace_id": home},
        }
    )


def test_a_call_is_a_post_with_token_and_json(connect: Connect) -> None:
    with Script(EMPTY) as server:
        connect(server.url).list_folder(ROOT)
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/2/files/list_folder")
    assert seen.headers["authorization"] == "Bearer first"
    assert seen.headers["content-type"] == "application/json"
    assert seen.json == {"path": "", "recursive": False, "limit": 2000}
    assert "dropbox-api-path-root" not in seen.headers


def test_no_argument_is_null(connect: Connect) -> None:
    with Script(json_answer({"used": 1, "allocation": {".tag": "individual", "allocated": 2}})) as server:
        connect(server.url).space()
    assert server.seen[0].body == b"null"


def test_an_argument_in_a_header_is_plain_ascii(connect: Connect) -> None:
    with Script(json_answer({"session_id": "s"})) as server:
        connect(server.url).upload_whole(piece_of("ü€".encode()))
    argument = server.seen[0].headers["dropbox-api-arg"]
    assert argument.isascii() and argument.isprintable()
    assert json.loads(argument)["close"] is True
    assert server.seen[0].headers["content-type"] == "application/octet-stream"


def test_members_and_admins_are_selected_by_header(connect: Connect) -> None:
    with Script(EMPTY) as server:
        connect(server.url, select_user="dbmid:1").list_folder(ROOT)
        connect(server.url, select_admin="dbmid:2").list_folder(ROOT)
    assert server.seen[0].headers["dropbox-api-select-user"] == "dbmid:1"
    assert server.seen[1].headers["dropbox-api-select-admin"] == "dbmid:2"


def test_a_namespace_is_named_in_every_call(connect: Connect) -> None:
    with Script(EMPTY) as server:
        connect(server.url, path_root="42").list_folder(ROOT)
    root = json.loads(server.seen[0].headers["dropbox-api-path-root"])
    assert root == {".tag": "namespace_id", "namespace_id": "42"}


def test_the_root_is_looked_up_once(connect: Connect) -> None:
    with Script(account(), EMPTY) as server:
        backend = connect(server.url, path_root="root")
        backend.list_folder(ROOT)
        backend.list_folder(ROOT)
    assert [seen.path for seen in server.seen] == [
        "/2/users/get_current_account",
        "/2/files/list_folder",
        "/2/files/list_folder",
    ]
    assert json.loads(server.seen[1].headers["dropbox-api-path-root"]) == {".tag": "root", "root": "7"}


def test_a_root_that_changed_is_looked_up_again_once(connect: Connect) -> None:
    void = error_answer({".tag": "invalid_root", "invalid_root": {".tag": "team"}}, 422)
    with Script(account("7"), void, account("8"), EMPTY) as server:
        connect(server.url, path_root="root").list_folder(ROOT)
    assert json.loads(server.seen[3].headers["dropbox-api-path-root"])["root"] == "8"
    with Script(account("7"), void, account("8"), void) as server, pytest.raises(Forbidden):
        connect(server.url, path_root="root").list_folder(ROOT)


def test_a_namespace_without_access_is_forbidden(connect: Connect) -> None:
    with (
        Script(error_answer({".tag": "no_permission"}, 422)) as server,
        pytest.raises(Forbidden),
    ):
        connect(server.url, path_root="42").list_folder(ROOT)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("path_root", "suffix"), [("home", ""), ("1", ""), ("root", "-ns7"), ("7", "-ns7"), ("9", "-ns9")]
)
def test_every_root_has_an_account_key_of_its_own(connect: Connect, path_root: str, suffix: str) -> None:
    with Script(account()) as server:
        found = connect(server.url, path_root=path_root).account()
    assert found.key == f"dropbox-AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc{suffix}"
    assert found.display_name == "Franz F"


def test_an_expired_token_is_replaced_and_the_call_repeated(connect: Connect) -> None:
    with Script(error_answer({".tag": "expired_access_token"}, 401), EMPTY) as server:
        assert connect(server.url).list_folder(ROOT) == []
    assert [seen.headers["authorization"] for seen in server.seen] == ["Bearer first", "Bearer second"]


def test_a_token_refused_for_good_is_told(connect: Connect) -> None:
    with Script(error_answer({".tag": "expired_access_token"}, 401)) as server, pytest.raises(NotSignedIn):
        connect(server.url).list_folder(ROOT)
    assert len(server.seen) == 2


def test_a_missing_scope_does_not_cost_a_new_token(connect: Connect) -> None:
    missing = error_answer({".tag": "missing_scope", "required_scope": "files.metadata.read"}, 401)
    with Script(missing) as server, pytest.raises(Forbidden, match=r"files\.metadata\.read"):
        connect(server.url).list_folder(ROOT)
    assert len(server.seen) == 1


def test_no_call_leaves_before_the_service_s_time(connect: Connect, clock: FakeClock) -> None:
    with Script(answer(429, b"", Retry_After="15"), EMPTY) as server:
        backend = connect(server.url)
        for _ in range(5):
            with pytest.raises(Throttled) as caught:
                backend.list_folder(ROOT)
            assert caught.value.retry_after_s == 15.0
        assert len(server.seen) == 1
        clock.advance(15.0)
        backend.list_folder(ROOT)
    assert len(server.seen) == 2


def test_a_service_that_is_overloaded_is_left_alone(connect: Connect, clock: FakeClock) -> None:
    with Script(answer(503, b"", Retry_After="15"), EMPTY) as server:
        backend = connect(server.url)
        with pytest.raises(ServerFault):
            backend.list_folder(ROOT)
        with pytest.raises(Throttled):
            backend.list_folder(ROOT)
        assert len(server.seen) == 1


def test_a_busy_namespace_does_not_hold_back_readers(connect: Connect) -> None:
    busy = json_answer(
        {"error": {"reason": {".tag": "too_many_write_operations"}, "retry_after": 60}}, 429, Retry_After="60"
    )
    with Script(busy, EMPTY) as server:
        backend = connect(server.url)
        with pytest.raises(MountfsError):
            backend.list_folder(ROOT)
        backend.list_folder(ROOT)


def test_a_listing_whose_cursor_is_void_begins_anew(connect: Connect) -> None:
    half = json_answer({"entries": [], "cursor": "c", "has_more": True})
    with Script(half, error_answer({".tag": "reset"}), half, EMPTY) as server:
        assert connect(server.url).list_folder(ROOT) == []
    void = error_answer({".tag": "reset"})
    with Script(half, void, half, void, half, void) as server, pytest.raises(ServerFault):
        connect(server.url).list_folder(ROOT)


def test_an_empty_page_is_not_the_end(connect: Connect) -> None:
    folder = {".tag": "folder", "name": "A", "id": "id:2", "path_lower": "/a", "path_display": "/A"}
    gone = {".tag": "deleted", "name": "a", "path_lower": "/a"}
    page = json_answer({"entries": [folder], "cursor": "c1", "has_more": True})
    empty = json_answer({"entries": [], "cursor": "c2", "has_more": True})
    last = json_answer({"entries": [{**folder, "name": "B"}, gone], "cursor": "c3", "has_more": False})
    with Script(page, empty, last) as server:
        (entry,) = connect(server.url).list_folder(ROOT)
    assert entry.name == "B"
    assert [seen.json.get("cursor") for seen in server.seen] == [None, "c1", "c2"]


def test_a_folder_is_listed_by_its_id_where_that_is_known(connect: Connect) -> None:
    with Script(EMPTY) as server:
        connect(server.url).list_folder(RemotePath("/A"), "id:2")
        connect(server.url).list_folder(RemotePath("/A"))
    assert [seen.json["path"] for seen in server.seen] == ["id:2", "/A"]


def test_what_stands_at_a_place_is_asked_by_path(connect: Connect) -> None:
    folder = {".tag": "folder", "name": "X", "id": "id:2", "path_lower": "/a/x", "path_display": "/a/X"}
    with Script(json_answer(folder)) as server:
        assert connect(server.url).stat(Place(RemotePath("/A/x"), "id:1")) == Folder("id:2", "X")
        with pytest.raises(InvalidArgument):
            connect(server.url).stat(Place(ROOT))
    assert [seen.json for seen in server.seen] == [{"path": "/A/x"}]


def test_news_that_nobody_understands_have_their_folder_listed(connect: Connect) -> None:
    odd = {".tag": "hologram", "name": "x", "path_lower": "/a/x", "path_display": "/A/x"}
    gone = {".tag": "deleted", "name": "y", "path_lower": "/y", "path_display": "/Y"}
    page = {"entries": [odd, gone, {**odd, "path_lower": None, "path_display": None}], "cursor": "c"}
    with Script(json_answer(page)) as server:
        changes = connect(server.url).changes("b")
    assert changes.entries == (Doubted(RemotePath("/A")), Gone(RemotePath("/Y")))
    assert (changes.cursor, changes.has_more) == ("c", False)


@pytest.mark.parametrize("page", [[], {"cursor": "c"}, {"entries": {}}, {"entries": [], "has_more": True}])
def test_a_page_that_makes_no_sense_is_a_fault(connect: Connect, page: object) -> None:
    with Script(json_answer(page)) as server, pytest.raises(ServerFault):
        connect(server.url).list_folder(ROOT)


def test_a_range_is_asked_for_by_revision(connect: Connect) -> None:
    with Script(answer(206, b"2345", Content_Range="bytes 2-5/10")) as server:
        assert connect(server.url).read(FILE, 2, 4) == b"2345"
    assert server.seen[0].headers["range"] == "bytes=2-5"
    assert json.loads(server.seen[0].headers["dropbox-api-arg"]) == {"path": "rev:015f00000001"}


def test_a_range_is_found_in_a_whole_body(connect: Connect) -> None:
    with Script(answer(200, b"0123456789")) as server:
        assert connect(server.url).read(FILE, 2, 4) == b"2345"


@pytest.mark.parametrize(
    "reply",
    [
        answer(206, b"2345", Content_Range="bytes 0-3/10"),
        answer(206, b"2345"),
        answer(206, b"23", Content_Range="bytes 2-3/10"),
        answer(200, b"0123"),
        answer(416, b""),
    ],
)
def test_other_bytes_than_asked_for_are_never_taken(connect: Connect, reply: Reply) -> None:
    with Script(reply) as server, pytest.raises(ServerFault):
        connect(server.url).read(FILE, 2, 4)


def test_a_long_poll_has_no_token_and_waits_by_the_service_s_rules(connect: Connect) -> None:
    with Script(json_answer({"changes": True})) as server:
        backend = connect(server.url)
        assert backend.wait_for_changes("c", 60.0)
        assert backend.wait_for_changes("c", 9999.0)
    assert "authorization" not in server.seen[0].headers
    assert [seen.json for seen in server.seen] == [
        {"cursor": "c", "timeout": 60},
        {"cursor": "c", "timeout": 480},
    ]


def test_a_short_wait_hangs_up_by_itself(connect: Connect) -> None:
    server = Script(answer(500))
    server._replies[0] = stall(server.release)
    with server:
        assert not connect(server.url).wait_for_changes("c", 0.2)


def test_a_backoff_is_waited_before_the_next_long_poll(connect: Connect, clock: FakeClock) -> None:
    with Script(json_answer({"changes": False, "backoff": 60}), json_answer({"changes": True})) as server:
        backend = connect(server.url)
        assert not backend.wait_for_changes("c", 30.0)
        assert not backend.wait_for_changes("c", 0.05)
        assert len(server.seen) == 1
        clock.advance(60.0)
        assert backend.wait_for_changes("c", 30.0)


def test_a_void_cursor_ends_the_wait(connect: Connect) -> None:
    with Script(error_answer({".tag": "reset"})) as server, pytest.raises(Conflict):
        connect(server.url).wait_for_changes("c", 30.0)


def refresh(server: Script, secret: str | None = None) -> tuple[str, float]:
    http = HttpClient(SystemClock())
    try:
        return refresh_access_token(http, server.url, "r", "key", secret)
    finally:
        http.close()


def test_a_refresh_token_gives_an_access_token() -> None:
    grant = json_answer({"access_token": "sl.x", "token_type": "bearer", "expires_in": 14400})
    with Script(grant) as server:
        assert refresh(server) == ("sl.x", 14400.0)
        assert refresh(server, "hush") == ("sl.x", 14400.0)
    assert server.seen[0].path == "/oauth2/token"
    assert server.seen[0].body == b"grant_type=refresh_token&refresh_token=r&client_id=key"
    assert server.seen[1].body.endswith(b"&client_secret=hush")
    assert "authorization" not in server.seen[0].headers


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (json_answer({"error": "invalid_grant", "error_description": "revoked"}, 400), NotSignedIn),
        (json_answer({"error": "invalid_client"}, 400), NotSignedIn),
        (answer(400, b"what?"), ServerFault),
        (answer(503, b""), ServerFault),
        (answer(200, b"<html>"), ServerFault),
        (json_answer({}), ServerFault),
        (hang_up, Offline),
    ],
)
def test_a_refresh_that_fails_says_why(reply: Reply, kind: type[MountfsError]) -> None:
    with Script(reply) as server, pytest.raises(kind):
        refresh(server)
