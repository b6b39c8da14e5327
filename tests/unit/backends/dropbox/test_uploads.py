"""Packs and parts: what a refusal means, and when a refused resend is a success."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mountfs.backends.dropbox.limits import CHUNK_BYTES, DROPBOX_LIMITS
from mountfs.errors import (
    BatchRefused,
    Corrupt,
    InvalidArgument,
    MountfsError,
    NotPassedOn,
    RequestTooBig,
    Resend,
    ServerFault,
    SessionLost,
    Throttled,
)
from mountfs.model.hashing import BLOCK_BYTES, HashKind, content_hash
from mountfs.ports import Backend
from tests.contract.far import put_order
from tests.doubles.sources import append_pack, append_part, piece_of
from tests.fakes.clock import FakeClock
from tests.unit.backends.dropbox.conftest import Connect
from tests.unit.backends.scripted import Reply, Script, answer, error_answer, json_answer

TWO = [piece_of(b"one", "0:a"), piece_of(b"three", "0:b")]
OFFSET_5 = {".tag": "incorrect_offset", "correct_offset": 5}


def failed(error: dict[str, Any]) -> dict[str, Any]:
    return {".tag": "failure", "failure": error}


def own_400(text: bytes) -> Reply:
    """With the header by which a reply is the service's."""
    return answer(400, text, X_Dropbox_Request_Id="0a1b")


def test_the_limits_are_within_the_service_s() -> None:
    assert DROPBOX_LIMITS.chunk_bytes % BLOCK_BYTES == 0
    assert DROPBOX_LIMITS.pack_bytes <= 150 * 1024 * 1024
    assert set(DROPBOX_LIMITS.batch_entries.values()) == {1000}
    assert not DROPBOX_LIMITS.carries_times
    assert DROPBOX_LIMITS.session_min_bytes <= DROPBOX_LIMITS.pack_bytes


def test_a_pack_is_its_pieces_one_after_the_other(connect: Connect) -> None:
    with Script(json_answer({"entries": [{".tag": "success"}, {".tag": "success"}]})) as server:
        assert append_pack(connect(server.url), TWO) == [None, None]
    assert server.seen[0].body == b"onethree"
    assert json.loads(server.seen[0].headers["dropbox-api-arg"]) == {
        "entries": [
            {"cursor": {"session_id": "a", "offset": 0}, "length": 3, "close": True},
            {"cursor": {"session_id": "b", "offset": 0}, "length": 5, "close": True},
        ],
        "content_hash": content_hash(HashKind.DROPBOX, b"onethree"),
    }


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({".tag": "closed"}, None),
        (OFFSET_5, None),
        ({".tag": "incorrect_offset", "correct_offset": 3}, Resend),
        ({".tag": "not_found"}, SessionLost),
        ({".tag": "concurrent_session_invalid_offset"}, InvalidArgument),
    ],
)
def test_a_piece_that_is_there_already_is_a_success(
    connect: Connect, error: dict[str, Any], kind: type[MountfsError] | None
) -> None:
    with Script(json_answer({"entries": [{".tag": "success"}, failed(error)]})) as server:
        first, second = append_pack(connect(server.url), TWO)
    assert first is None
    assert second is None if kind is None else type(second) is kind


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (own_400(b'Unknown API function: "files/upload_session/append_batch"'), BatchRefused),
        (answer(403, b"no"), BatchRefused),
        (answer(404, b"no"), BatchRefused),
        (answer(501, b"no"), BatchRefused),
        (own_400(b"Error in call: header too large"), RequestTooBig),
        (answer(400, b"Error in call: header too large"), NotPassedOn),
        (answer(413, b""), NotPassedOn),
        (answer(431, b""), NotPassedOn),
        (error_answer({".tag": "payload_too_large"}), RequestTooBig),
        (error_answer({".tag": "content_hash_mismatch"}), Corrupt),
        (error_answer({".tag": "length_mismatch"}), Corrupt),
        (answer(429, b"", Retry_After="9"), Throttled),
        (answer(500, b""), ServerFault),
        (json_answer({"entries": [{".tag": "success"}]}), ServerFault),
        (json_answer([]), ServerFault),
    ],
)
def test_a_refused_pack_says_what_to_do(connect: Connect, reply: Reply, kind: type[MountfsError]) -> None:
    with Script(reply) as server, pytest.raises(MountfsError) as caught:
        append_pack(connect(server.url), TWO)
    assert type(caught.value) is kind


SENDS: dict[str, Callable[[Backend], object]] = {
    "pack": lambda backend: append_pack(backend, TWO),
    "part": lambda backend: append_part(backend, f"{CHUNK_BYTES}:s", 0, b"x", closing=True, size_bytes=1),
    "commit": lambda backend: backend.submit([put_order("/f", "0:s", 1)]),
}


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_what_was_told_to_wait_is_not_sent_again_before_its_time(
    connect: Connect, clock: FakeClock, send: Callable[[Backend], object]
) -> None:
    with Script(answer(429, b"", Retry_After="15"), answer(500, b"")) as server:
        backend = connect(server.url)
        for wait_s in (0.0, 9.0):
            clock.advance(wait_s)
            with pytest.raises(Throttled):
                send(backend)
        assert len(server.seen) == 1
        clock.advance(6.0)
        with pytest.raises(ServerFault):
            send(backend)
        assert len(server.seen) == 2


@pytest.mark.parametrize("reply", [own_400(b"too large"), error_answer({".tag": "payload_too_large"})])
def test_a_single_piece_that_is_too_much_ends_packing(connect: Connect, reply: Reply) -> None:
    with Script(reply) as server, pytest.raises(BatchRefused):
        append_pack(connect(server.url), TWO[:1])


@pytest.mark.parametrize("reply", [[], {}, {"session_ids": ["a"]}, {"session_ids": "ab"}])
def test_sessions_are_as_many_as_asked_for(connect: Connect, reply: object) -> None:
    with Script(json_answer(reply)) as server, pytest.raises(ServerFault):
        connect(server.url).new_sessions(2)


@pytest.mark.parametrize(
    ("error", "closing", "kind"),
    [
        ({".tag": "closed"}, True, None),
        ({".tag": "closed"}, False, SessionLost),
        (OFFSET_5, True, None),
        ({".tag": "incorrect_offset", "correct_offset": 9}, True, Resend),
        ({".tag": "not_found"}, True, SessionLost),
        ({".tag": "content_hash_mismatch"}, True, Corrupt),
    ],
)
def test_a_part_that_is_there_already_is_a_success(
    connect: Connect, error: dict[str, Any], closing: bool, kind: type[MountfsError] | None
) -> None:
    body = b"12345" if closing else bytes(CHUNK_BYTES)
    with Script(error_answer(error)) as server:
        backend = connect(server.url)
        if kind is None:
            assert append_part(backend, f"{CHUNK_BYTES}:s", 0, body, closing=closing, size_bytes=None)
        else:
            with pytest.raises(MountfsError) as caught:
                append_part(backend, f"{CHUNK_BYTES}:s", 0, body, closing=closing, size_bytes=None)
            assert type(caught.value) is kind


def test_every_part_carries_its_own_hash(connect: Connect) -> None:
    body = bytes(range(256)) * (CHUNK_BYTES // 256)
    with Script(json_answer(None)) as server:
        append_part(
            connect(server.url), f"{CHUNK_BYTES}:s:1", CHUNK_BYTES, body, closing=False, size_bytes=None
        )
    assert json.loads(server.seen[0].headers["dropbox-api-arg"]) == {
        "cursor": {"session_id": "s:1", "offset": CHUNK_BYTES},
        "close": False,
        "content_hash": content_hash(HashKind.DROPBOX, body),
    }
    assert server.seen[0].body == body


def test_a_session_keeps_the_length_of_its_parts(connect: Connect) -> None:
    backend = connect("http://127.0.0.1:1")
    assert backend.part_bytes(f"{BLOCK_BYTES}:s") == BLOCK_BYTES
    for token in ("0:s", "s", ""):
        with pytest.raises(SessionLost):
            backend.part_bytes(token)
