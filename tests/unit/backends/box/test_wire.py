"""What leaves for Box, byte for byte where it matters."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace

import pytest

from mountfs.backends.box.errors import from_response
from mountfs.backends.box.sessiontoken import SessionToken
from mountfs.backends.http import HttpClient
from mountfs.backends.wire import Response
from mountfs.errors import BatchRefused, Corrupt, MountfsError, NotSignedIn, Offline, ServerFault, Throttled
from mountfs.model.allowance import AHEAD_S
from mountfs.model.entry import File, Place
from mountfs.model.order import Part, Put
from mountfs.model.path import ROOT, RemotePath
from mountfs.model.source import Source
from mountfs.ports import Done
from tests.doubles.sources import append_part, source_of, upload_whole
from tests.fakes.clock import FakeClock
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Script, answer, hang_up, json_answer

BODY = b"hello world\n"
SHA1 = "22596363b3de40b06f981fb85d82312e8c0ed511"
ITEM = {
    "type": "file",
    "id": "12",
    "etag": "0",
    "sequence_id": "0",
    "name": "Ünicode.txt",
    "size": len(BODY),
    "sha1": SHA1,
    "content_modified_at": "2017-04-08T00:58:08Z",
    "file_version": {"type": "file_version", "id": "99"},
    "parent": {"type": "folder", "id": "0"},
}
PUT = Put(
    Place(RemotePath("/Ünicode.txt")),
    size_bytes=len(BODY),
    mtime_ns=1_491_613_088_000_000_000,
    content_hash=SHA1,
    body=source_of(BODY),
)
FILE = File("12", "x", "12:0:99", len(BODY), 0, SHA1)
USER = {"type": "user", "id": "7", "name": "Sandy", "space_amount": 9.99999999999999e14, "space_used": 1e3}


def test_a_small_file_is_one_form_with_its_attributes_first(connect: Connect) -> None:
    with Script(json_answer({"total_count": 1, "entries": [ITEM]}, 201)) as server:
        launch = connect(server.url).submit([PUT])
    assert isinstance(launch, Done)
    (request,) = server.seen
    assert request.method == "POST"
    assert request.path.startswith("/api/2.0/files/content?fields=")
    assert request.headers["content-md5"] == SHA1 == hashlib.sha1(BODY).hexdigest()
    boundary = request.headers["content-type"].partition("boundary=")[2]
    _, attributes, file, end = request.body.split(f"--{boundary}".encode())
    assert b'name="attributes"' in attributes
    assert json.loads(attributes.split(b"\r\n\r\n")[1]) == {
        "name": "Ünicode.txt",
        "parent": {"id": "0"},
        "content_modified_at": "2017-04-08T00:58:08Z",
    }
    assert b'name="file"; filename="' in file
    assert file.split(b"\r\n\r\n")[1] == BODY + b"\r\n"
    assert end == b"--\r\n"


def test_a_new_version_is_guarded_by_its_etag(connect: Connect) -> None:
    with Script(json_answer({"total_count": 1, "entries": [{**ITEM, "etag": "4"}]})) as server:
        connect(server.url).submit([replace(PUT, base_revision="12:3:98")])
    (request,) = server.seen
    assert request.path.startswith("/api/2.0/files/12/content?")
    assert request.headers["if-match"] == "3"


def test_bytes_that_are_gone_from_the_disk_are_not_sent(connect: Connect) -> None:
    with Script(answer(500)) as server:
        launch = connect(server.url).submit([replace(PUT, size_bytes=100)])
    assert isinstance(launch, Done)
    assert isinstance(launch.outcomes[0], Corrupt)
    assert server.seen == []


def test_a_small_file_is_read_while_it_is_sent_and_never_whole(connect: Connect) -> None:
    body = random.Random(1).randbytes(3_000_000)
    sha1 = hashlib.sha1(body).hexdigest()
    reads: list[tuple[int, int]] = []

    def read(offset: int, length: int) -> bytes:
        reads.append((offset, length))
        return body[offset : offset + length]

    order = replace(PUT, size_bytes=len(body), content_hash=sha1, body=Source("", read))
    with Script(answer(401), json_answer({"total_count": 1, "entries": [ITEM]}, 201)) as server:
        connect(server.url).submit([order])
    # The second one after the token was refused: the same bytes once more.
    for request in server.seen:
        assert body in request.body
        assert request.headers["content-md5"] == sha1
        assert int(request.headers["content-length"]) == len(request.body)
    assert [request.headers["authorization"] for request in server.seen] == ["Bearer first", "Bearer second"]
    assert max(length for _, length in reads) <= 256 * 1024
    # Not for its hash, which is known: once for each request, and the last byte ahead of them.
    assert sum(length for _, length in reads) == 2 * len(body) + 1


def test_the_hash_of_a_small_file_is_computed_where_nobody_did(connect: Connect) -> None:
    with Script(json_answer({"total_count": 1, "entries": [ITEM]}, 201)) as server:
        connect(server.url).submit([replace(PUT, content_hash="")])
    assert server.seen[0].headers["content-md5"] == SHA1


def test_every_call_says_for_whom_it_is(connect: Connect) -> None:
    with Script(json_answer({"entries": [], "limit": 1000})) as server:
        connect(server.url, as_user="4711").list_folder(ROOT)
    assert server.seen[0].headers["as-user"] == "4711"
    assert server.seen[0].headers["authorization"] == "Bearer first"


def test_a_token_that_is_refused_is_replaced_once(connect: Connect) -> None:
    with Script(answer(401), json_answer(USER)) as server:
        assert connect(server.url).account().key == "box-7"
        assert [seen.headers["authorization"] for seen in server.seen] == ["Bearer first", "Bearer second"]
    with Script(answer(401)) as server, pytest.raises(NotSignedIn):
        connect(server.url).account()


def test_a_repeated_call_keeps_the_account_s_pace(
    connect: Connect, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused_s: list[float] = []
    told: list[str] = []

    def pause(_: HttpClient, seconds: float) -> None:
        paused_s.append(seconds)
        told.append(str(backend.trouble() or ""))
        clock.advance(seconds)

    monkeypatch.setattr(HttpClient, "pause", pause)
    with Script(answer(401), json_answer(USER), hang_up, json_answer(USER)) as server:
        backend = connect(server.url, calls_per_minute=4, upload_rate="fixed")
        backend.account()
        assert sum(paused_s) == 0.0
        backend.account()
        assert len(server.seen) == 4
        assert backend.trouble() is None
    waited = [text for text, wait_s in zip(told, paused_s, strict=True) if wait_s == AHEAD_S]
    assert waited[0] == "what Box allows in a minute is used up; uploads go on by themselves"
    assert sum(paused_s) == 61.0
    assert max(paused_s) <= AHEAD_S


def test_an_account_without_a_limit_is_told_by_its_size(connect: Connect) -> None:
    with Script(json_answer(USER)) as server:
        space = connect(server.url).space()
    assert (space.used_bytes, space.total_bytes) == (1000, None)


def test_the_largest_file_is_the_accounts(connect: Connect) -> None:
    with Script(json_answer({**USER, "max_upload_size": 2.5e8})) as server:
        backend = connect(server.url, small_file_bytes=30_000_000)
        assert backend.limits.max_file_bytes == 500 * 10**9
        backend.account()
    assert backend.limits.max_file_bytes == 250_000_000
    assert backend.limits.session_min_bytes == 30_000_000


def test_pages_are_asked_for_by_marker(connect: Connect) -> None:
    first = {"entries": [ITEM], "next_marker": "JV9IRG"}
    second = {"entries": [{"type": "web_link", "id": "5", "name": "link"}], "next_marker": ""}
    with Script(json_answer(first), json_answer(second)) as server:
        (entry,) = connect(server.url).list_folder(ROOT)
    assert isinstance(entry, File)
    assert entry.id == "12"
    assert "usemarker=true" in server.seen[0].path
    assert "limit=1000" in server.seen[0].path
    assert "fields=" in server.seen[0].path
    assert server.seen[1].path.endswith("&marker=JV9IRG")


def test_the_token_does_not_follow_a_redirect(connect: Connect) -> None:
    storage = answer(206, BODY[1:6], Content_Range="bytes 1-5/12")
    with Script(answer(302, Location="/signed"), storage) as server:
        assert connect(server.url).read(FILE, 1, 5) == BODY[1:6]
    asked, fetched = server.seen
    assert asked.path == "/2.0/files/12/content?version=99"
    assert "authorization" in asked.headers
    assert "authorization" not in fetched.headers
    assert fetched.headers["range"] == "bytes=1-5"


def test_a_whole_body_where_a_range_was_asked_for_is_cut(connect: Connect) -> None:
    with Script(answer(302, Location="/signed"), answer(200, BODY)) as server:
        assert connect(server.url).read(FILE, 6, 5) == b"world"


@pytest.mark.parametrize(
    "reply",
    [
        answer(206, BODY[1:6], Content_Range="bytes 0-4/12"),
        answer(206, BODY[1:3], Content_Range="bytes 1-2/12"),
        answer(416),
    ],
)
def test_other_bytes_than_those_asked_for_are_never_taken(connect: Connect, reply: object) -> None:
    with Script(answer(302, Location="/signed"), reply) as server, pytest.raises(ServerFault):  # type: ignore[arg-type]
        connect(server.url).read(FILE, 1, 5)


FOREIGN = pytest.mark.parametrize(
    "address",
    ["http://example.com/x", "https://example.com/x", "ftp://127.0.0.1/x", "http://[/", "ANOTHER/x", "5"],
)
"""ANOTHER stands for a server of this machine: somebody else's."""


@FOREIGN
def test_a_download_goes_to_the_service_s_own_hosts_only(connect: Connect, address: str) -> None:
    with Script(answer(200, BODY)) as other:
        away = answer(302, Location=address.replace("ANOTHER", other.url))
        for replies in ([away], [answer(302, Location="/y"), away]):
            with Script(*replies) as server, pytest.raises(MountfsError):
                connect(server.url).read(FILE, 0, 5)
    assert other.seen == []


@FOREIGN
@pytest.mark.parametrize("endpoint", ["upload_part", "list_parts", "commit", "abort"])
def test_a_session_that_leads_elsewhere_is_none(connect: Connect, endpoint: str, address: str) -> None:
    with Script(answer(200)) as other:
        named = address.replace("ANOTHER", other.url)
        endpoints = dict.fromkeys(
            ("upload_part", "list_parts", "commit", "abort"), "https://upload.box.com/x"
        )
        session = {"id": "F97", "part_size": 4, "session_endpoints": {**endpoints, endpoint: named}}
        with Script(json_answer(session, 201)) as server, pytest.raises(ServerFault):
            connect(server.url).open_session(Place(RemotePath("/x")), 8, None)
    assert other.seen == []


@pytest.mark.parametrize("call", ["append", "abandon"])
def test_an_address_that_was_kept_is_checked_before_a_token_goes_there(connect: Connect, call: str) -> None:
    with Script(answer(200)) as other, Script(answer(500)) as server:
        there = f"{other.url}/x"
        token = SessionToken("F97", 8, 4, "", "0", "x", there, there, there, there)
        backend = connect(server.url)
        with pytest.raises(ServerFault, match="not its own"):
            if call == "append":
                append_part(backend, token.text, 0, b"abcd", closing=False, size_bytes=8)
            else:
                backend.abandon(token.text)
    assert other.seen == []


def test_a_kept_session_at_a_foreign_host_goes_on_at_the_upload_host(connect: Connect) -> None:
    with Script(answer(200)) as other, Script(answer(204)) as server:
        kept = f"{other.url}/api/2.0/files/upload_sessions/F97"
        token = SessionToken("F97", 8, 4, "", "0", "x", kept, kept, kept, kept)
        connect(server.url).abandon(token.text)
    assert other.seen == []
    assert [seen.path for seen in server.seen] == ["/api/2.0/files/upload_sessions/F97"]


@FOREIGN
def test_a_long_poll_goes_to_the_service_s_own_hosts_only(connect: Connect, address: str) -> None:
    with Script(json_answer({"message": "new_change"})) as other:
        named = address.replace("ANOTHER", other.url)
        with Script(json_answer({"entries": [{"url": named}]})) as server, pytest.raises(ServerFault):
            connect(server.url).wait_for_changes("1", 1.0)
    assert other.seen == []


def test_a_part_and_the_commit_carry_their_digests(connect: Connect) -> None:
    part = {"part_id": "P1", "offset": 0, "size": 12, "sha1": SHA1}
    with Script(json_answer({}, 201)) as server:
        endpoints = {
            name: f"{server.url}/far/{name}" for name in ("upload_part", "list_parts", "commit", "abort")
        }
        session = {"id": "F97", "part_size": 1000, "session_endpoints": endpoints}
        server._replies.clear()
        server._replies += [json_answer(session, 201), json_answer({"part": part}), json_answer(ITEM, 201)]
        backend = connect(server.url)
        token = backend.open_session(PUT.place, 12, None)
        receipt = append_part(backend, token, 0, BODY, closing=True, size_bytes=12)
        launch = backend.submit([replace(PUT, session=token, parts=(Part(0, 12, receipt),))])
    assert isinstance(launch, Done)
    assert isinstance(launch.outcomes[0], File)
    opened, stored, committed = server.seen
    assert opened.json == {"folder_id": "0", "file_size": 12, "file_name": "Ünicode.txt"}
    assert stored.path == "/far/upload_part"
    assert stored.headers["content-range"] == "bytes 0-11/12"
    assert stored.headers["digest"] == "sha=IlljY7PeQLBvmB+4XYIxLowO1RE="
    assert committed.headers["digest"] == "sha=IlljY7PeQLBvmB+4XYIxLowO1RE="
    assert "if-match" not in committed.headers
    assert committed.json == {
        "parts": [part],
        "attributes": {"content_modified_at": "2017-04-08T00:58:08Z"},
    }


def test_no_call_leaves_before_the_service_allows_it(connect: Connect, clock: FakeClock) -> None:
    with Script(answer(429, Retry_After="30"), json_answer(USER)) as server:
        backend = connect(server.url)
        with pytest.raises(Throttled) as caught:
            backend.submit([PUT])
        assert caught.value.retry_after_s == 30.0
        for call in (backend.account, backend.space, lambda: backend.read(FILE, 0, 1)):
            with pytest.raises(Throttled):
                call()
        assert len(server.seen) == 1
        clock.advance(30.0)
        backend.account()


def test_orders_are_carried_out_one_by_one(connect: Connect) -> None:
    with Script(answer(500)) as server:
        with pytest.raises(BatchRefused):
            connect(server.url).submit([PUT, PUT])
        with pytest.raises(BatchRefused):
            upload_whole(connect(server.url), b"x")


def test_a_portal_of_the_network_is_no_service() -> None:
    assert isinstance(from_response(Response(302, {}, b""), "x"), Offline)
