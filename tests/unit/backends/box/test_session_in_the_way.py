"""A session that stands in the way of one that is to be opened: whose it is decides what becomes of it."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest

from mountfs.backends.box.intheway import IDLE_S, IDLE_TRIES, InTheWay, Way
from mountfs.backends.wire import Response
from mountfs.errors import Busy, Offline
from mountfs.model.entry import Place
from mountfs.model.path import RemotePath
from tests.fakes.clock import FakeClock
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Reply, Script, answer, hang_up

BIG = Place(RemotePath("/big"))
PART_BYTES = 8 * 1024 * 1024
OURS_BYTES = 50_000_000
OURS_PARTS = 6
LATER_BYTES = 60_000_000


def in_the_way(total_parts: int, sent_parts: int = 0) -> Reply:
    """409 ``session_conflict`` with a session of so many parts."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        host, port = handler.connection.getsockname()
        session = {
            "id": "S",
            "part_size": PART_BYTES,
            "total_parts": total_parts,
            "num_parts_processed": sent_parts,
            "session_endpoints": {"abort": f"http://{host}:{port}/api/2.0/files/upload_sessions/S"},
        }
        body = {
            "type": "error",
            "status": 409,
            "code": "session_conflict",
            "context_info": {"session": session},
        }
        answer(409, json.dumps(body).encode(), Content_Type="application/json")(handler)

    return reply


def opened_in_vain(connect: Connect, conflict: Reply, then_bytes: int) -> list[str]:
    """The methods of the calls: the reply to an opening is lost, and the next one meets *conflict*."""
    with Script(hang_up, conflict, answer(204)) as server:
        backend = connect(server.url)
        with pytest.raises(Offline):
            backend.open_session(BIG, OURS_BYTES, None)
        with pytest.raises(Busy):
            backend.open_session(BIG, then_bytes, None)
        return [request.method for request in server.seen]


def test_the_one_whose_opening_was_never_answered_is_ended(connect: Connect) -> None:
    assert opened_in_vain(connect, in_the_way(OURS_PARTS), OURS_BYTES) == ["POST", "POST", "DELETE"]


def test_so_it_is_when_the_file_has_another_size_by_now(connect: Connect) -> None:
    assert opened_in_vain(connect, in_the_way(OURS_PARTS), LATER_BYTES) == ["POST", "POST", "DELETE"]


def test_one_for_a_file_of_another_size_is_somebody_else_s(connect: Connect) -> None:
    assert opened_in_vain(connect, in_the_way(900), OURS_BYTES) == ["POST", "POST"]


def test_one_that_has_parts_is_somebody_else_s(connect: Connect) -> None:
    assert opened_in_vain(connect, in_the_way(OURS_PARTS, 1), OURS_BYTES) == ["POST", "POST"]


@pytest.mark.parametrize("part_mib", [8, 64])
def test_a_long_part_is_given_the_time_that_it_takes(part_mib: int) -> None:
    """With parts of 64 MB four of them, side by side, take more than eight minutes at 4 Mbit/s."""
    clock = FakeClock()
    in_the_way = InTheWay(clock)
    session = {"id": "S", "part_size": part_mib * 2**20, "total_parts": 2, "num_parts_processed": 1}
    body = {"code": "session_conflict", "context_info": {"session": session}}
    conflict = Response(409, {}, json.dumps(body).encode(), None)

    def ways() -> set[Way]:
        return {in_the_way.way(("", "0", "big"), OURS_BYTES, conflict) for _ in range(IDLE_TRIES)}

    assert ways() == {Way.WAIT}
    clock.advance(IDLE_S * part_mib / 8 - 1)
    assert ways() == {Way.WAIT}
    clock.advance(1)
    assert Way.WAIT not in ways()


def test_a_large_file_goes_around_a_session_of_which_nothing_is_told() -> None:
    clock = FakeClock()
    in_the_way = InTheWay(clock)
    conflict = Response(409, {}, b'{"code": "session_conflict"}', None)
    for _ in range(IDLE_TRIES):
        assert in_the_way.way(("", "0", "big"), OURS_BYTES, conflict) is Way.WAIT
    clock.advance(IDLE_S)
    assert in_the_way.way(("", "0", "big"), OURS_BYTES, conflict) is Way.AROUND
