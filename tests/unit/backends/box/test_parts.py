"""Parts whose reply says nothing of use: the session is looked into before any byte travels again."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler

import pytest

from mountfs.backends.box.sessionparts import PART_TRIES
from mountfs.errors import ServerFault, SessionLost
from mountfs.model.entry import Place
from mountfs.model.path import RemotePath
from tests.doubles.sources import append_part
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Reply, Script, answer, json_answer

BODY = b"1234"
STORED = {"part_id": "P1", "offset": 0, "size": 4, "sha1": hashlib.sha1(BODY).hexdigest()}


def session(handler: BaseHTTPRequestHandler) -> None:
    host, port = handler.connection.getsockname()
    url = f"http://{host}:{port}/api/2.0/files/upload_sessions/S"
    endpoints = {"upload_part": url, "list_parts": f"{url}/parts", "commit": f"{url}/commit", "abort": url}
    json_answer({"id": "S", "part_size": 4, "session_endpoints": endpoints}, 201)(handler)


USELESS = {
    "no JSON": answer(200, b"<html>"),
    "no part": json_answer({}),
    "no digest": json_answer({"part": {**STORED, "sha1": None}}),
    "412 to no condition": answer(412, json.dumps({"code": "precondition_failed"}).encode()),
    "500": answer(500),
}


@pytest.mark.parametrize("reply", USELESS.values(), ids=USELESS.keys())
def test_a_part_that_may_be_stored_is_looked_for_before_it_is_sent_again(
    connect: Connect, reply: Reply
) -> None:
    parts = json_answer({"entries": [STORED], "total_count": 1})
    with Script(session, reply, parts, answer(500)) as server:
        backend = connect(server.url)
        token = backend.open_session(Place(RemotePath("/x"), "2"), 8, None)
        with pytest.raises(ServerFault):
            append_part(backend, token, 0, BODY, closing=False, size_bytes=8)
        assert json.loads(append_part(backend, token, 0, BODY, closing=False, size_bytes=8)) == STORED
    assert [seen.method for seen in server.seen] == ["POST", "PUT", "GET"]


FAILED_CONDITION = USELESS["412 to no condition"]
NOTHING_STORED = json_answer({"entries": [], "total_count": 0})
OVERLAP = json_answer({"code": "range_overlaps_existing_part"}, 409)


@pytest.mark.parametrize(
    "refused",
    [(FAILED_CONDITION, NOTHING_STORED), (OVERLAP, NOTHING_STORED, NOTHING_STORED)],
    ids=["412", "overlaps a part that is not listed"],
)
def test_a_session_that_never_takes_a_part_is_given_up_in_the_end(
    connect: Connect, refused: tuple[Reply, ...]
) -> None:
    with Script(session, *refused * PART_TRIES) as server:
        backend = connect(server.url)
        token = backend.open_session(Place(RemotePath("/x"), "2"), 8, None)
        for _ in range(PART_TRIES - 1):
            with pytest.raises(ServerFault):
                append_part(backend, token, 0, BODY, closing=False, size_bytes=8)
        with pytest.raises(SessionLost):
            append_part(backend, token, 0, BODY, closing=False, size_bytes=8)


def test_a_listing_that_is_never_given_has_its_session_given_up_too(connect: Connect) -> None:
    with Script(session, FAILED_CONDITION) as server:
        backend = connect(server.url)
        token = backend.open_session(Place(RemotePath("/x"), "2"), 8, None)
        for _ in range(PART_TRIES - 1):
            with pytest.raises(ServerFault):
                append_part(backend, token, 0, BODY, closing=False, size_bytes=8)
        with pytest.raises(SessionLost):
            append_part(backend, token, 0, BODY, closing=False, size_bytes=8)


def test_other_parts_and_other_faults_do_not_count(connect: Connect) -> None:
    stored = json_answer({"part": STORED})
    refused = (FAILED_CONDITION, NOTHING_STORED, answer(500), NOTHING_STORED)
    with Script(session, *refused * (PART_TRIES - 1), stored, FAILED_CONDITION) as server:
        backend = connect(server.url)
        token = backend.open_session(Place(RemotePath("/x"), "2"), 8, None)
        for _ in range(2 * (PART_TRIES - 1)):
            with pytest.raises(ServerFault):
                append_part(backend, token, 0, BODY, closing=False, size_bytes=8)
        append_part(backend, token, 0, BODY, closing=False, size_bytes=8)
        with pytest.raises(ServerFault):
            append_part(backend, token, 4, BODY, closing=True, size_bytes=8)


def test_a_part_that_is_being_stored_while_it_is_sent_again_is_no_other_part(connect: Connect) -> None:
    """Its first request ran into the time-out here and went on there: the session refuses the second one
    before it lists the first."""
    seen = json_answer({"entries": [STORED], "total_count": 1})
    with Script(session, answer(500), NOTHING_STORED, OVERLAP, NOTHING_STORED, seen) as server:
        backend = connect(server.url)
        token = backend.open_session(Place(RemotePath("/x"), "2"), 8, None)
        for _ in range(2):
            with pytest.raises(ServerFault):
                append_part(backend, token, 0, BODY, closing=False, size_bytes=8)
        assert json.loads(append_part(backend, token, 0, BODY, closing=False, size_bytes=8)) == STORED
    assert [seen.method for seen in server.seen] == ["POST", "PUT", "GET", "PUT", "GET", "GET"]
