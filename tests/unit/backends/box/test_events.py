"""Waiting for news at a server of its own, and what incomplete news are good for."""

from __future__ import annotations

from typing import Any

import pytest

from mountfs.backends.box import index as index_module
from mountfs.backends.box.backend import BoxBackend
from mountfs.errors import Conflict, Offline, ServerFault
from mountfs.model.entry import File, Gone
from mountfs.model.path import ROOT, RemotePath
from tests.fakes.clock import FakeClock
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Reply, Script, answer, hang_up, json_answer


def page(*entries: Any, position: object = 7) -> Reply:
    return json_answer({"chunk_size": len(entries), "next_stream_position": position, "entries": entries})


def realtime(server: Script, **stated: str) -> Reply:
    entry = {"type": "realtime_server", "url": f"{server.url}/subscribe?channel=cc80", **stated}
    return json_answer({"chunk_size": 1, "entries": [entry]})


def word(message: str) -> Reply:
    return json_answer({"message": message})


def event(event_id: str, **source: object) -> dict[str, Any]:
    item = {"type": "file", "id": "12", "name": "x", "parent": {"id": "0"}, **source}
    return {"type": "event", "event_id": event_id, "event_type": "ITEM_UPLOAD", "source": item}


def play(server: Script, *replies: Reply) -> None:
    server._replies.clear()
    server._replies.extend(replies)


def paths(server: Script) -> list[str]:
    return [f"{seen.method} {seen.path.partition('?')[0]}" for seen in server.seen]


def test_news_are_waited_for_where_the_service_says(connect: Connect, clock: FakeClock) -> None:
    with Script(answer(500)) as server:
        play(server, realtime(server), word("new_change"))
        assert connect(server.url).wait_for_changes("1152922976252290886", 30.0)
        assert paths(server) == ["OPTIONS /2.0/events", "GET /subscribe"]
        assert server.seen[1].path == "/subscribe?channel=cc80&stream_position=1152922976252290886"
        assert "authorization" not in server.seen[1].headers


def test_a_server_is_asked_until_its_time_or_its_tries_are_up(connect: Connect, clock: FakeClock) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        play(server, realtime(server, max_retries="2"), word("new_change"), word("new_change"))
        assert backend.wait_for_changes("1", 30.0)
        assert backend.wait_for_changes("1", 30.0)
        play(server, realtime(server, retry_timeout="610"), word("new_change"))
        assert backend.wait_for_changes("1", 30.0)
        clock.advance(611.0)
        play(server, realtime(server), word("new_change"))
        assert backend.wait_for_changes("1", 30.0)
    assert paths(server).count("OPTIONS /2.0/events") == 3


def test_sent_away_it_comes_back(connect: Connect) -> None:
    with Script(answer(500)) as server:
        play(server, realtime(server), word("reconnect"), word("new_change"))
        assert connect(server.url).wait_for_changes("1", 0.2)
        assert paths(server)[1:] == ["GET /subscribe", "GET /subscribe"]


def test_a_server_that_breaks_down_is_not_asked_again(connect: Connect) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        play(server, realtime(server), hang_up, hang_up)
        with pytest.raises(Offline):
            backend.wait_for_changes("1", 30.0)
        play(server, realtime(server), word("new_change"))
        assert backend.wait_for_changes("1", 30.0)


@pytest.mark.parametrize(("reply", "kind"), [(page(), ServerFault), (answer(400), Conflict)])
def test_a_refused_wait_is_told_from_a_refused_position(
    connect: Connect, reply: Reply, kind: type[Exception]
) -> None:
    with Script(answer(500)) as server:
        play(server, realtime(server), answer(400), reply)
        with pytest.raises(kind):
            connect(server.url).wait_for_changes("1", 30.0)


def test_positions_are_opaque(connect: Connect) -> None:
    with Script(page(position="AbC-1/2=")) as server:
        assert connect(server.url).latest_cursor() == "AbC-1/2="
    with Script(answer(500)) as server, pytest.raises(Conflict):
        connect(server.url).changes("1&stream_type=admin_logs")


def test_news_without_a_size_still_have_their_folder_listed(connect: Connect) -> None:
    with Script(page(event("e1"), event("e1"))) as server:
        backend = connect(server.url)
        changes = backend.changes("1")
        assert changes.entries == (File(RemotePath("/x"), "12", "", 0, 0, None),)
        assert changes.cursor == "7"
        assert backend.changes("1").entries == ()


def test_news_of_other_things_are_nothing(connect: Connect) -> None:
    others = [
        {"event_id": "1", "event_type": "COLLAB_ADD_COLLABORATOR", "source": {"type": "user", "id": "3"}},
        {"event_id": "2", "event_type": "ITEM_CREATE", "source": {"type": "web_link", "id": "4"}},
        {"event_id": "3", "event_type": "ITEM_CREATE", "source": None},
        event("4", parent=None),
    ]
    with Script(page(*others)) as server:
        assert connect(server.url).changes("1").entries == ()


def listing(*items: Any) -> Reply:
    return json_answer({"entries": items})


def told(server: Script, backend: BoxBackend, *events: Any) -> list[tuple[str, str]]:
    play(server, page(*events))
    return [(type(entry).__name__, entry.path.text) for entry in backend.changes("1").entries]


def test_what_makes_no_sense_takes_nothing_else_along(connect: Connect) -> None:
    with Script(answer(500)) as server:
        senseless = event("2", id=None, name="odd", parent={"id": "4711"})
        assert told(server, connect(server.url), event("1"), senseless, event("3", name="y")) == [
            ("File", "/x"),
            ("Gone", "/x"),
            ("File", "/y"),
        ]


def test_what_makes_no_sense_in_a_known_folder_has_it_listed(connect: Connect) -> None:
    with Script(answer(500)) as server:
        ended = {**event("1", id=None, name="odd"), "event_type": "ITEM_TRASH"}
        assert told(server, connect(server.url), ended) == [("File", "/odd")]


@pytest.mark.parametrize("missing", ["parent", "name"])
def test_what_tells_neither_itself_nor_its_place_voids_the_position(connect: Connect, missing: str) -> None:
    with Script(answer(500)) as server:
        play(server, page(event("1", id=None, **{missing: None})))
        with pytest.raises(Conflict):
            connect(server.url).changes("1")


def test_news_of_a_page_that_fails_are_told_by_the_next(connect: Connect) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        play(server, page(event("1"), event("2", id=None, parent=None)))
        with pytest.raises(Conflict):
            backend.changes("1")
        assert told(server, backend, event("1")) == [("File", "/x")]


def test_a_page_without_a_position_is_told_when_it_has_one(connect: Connect) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        item = {"type": "file", "id": "12", "name": "w", "sequence_id": "0", "etag": "0", "size": 1}
        play(server, listing({**item, "file_version": {"id": "1"}}))
        backend.list_folder(ROOT)
        play(server, page(event("1", sequence_id="1"), position=None))
        with pytest.raises(ServerFault):
            backend.changes("1")
        assert told(server, backend, event("1", sequence_id="1")) == [("Gone", "/w"), ("File", "/x")]


def test_a_wait_that_ends_tells_of_places_that_were_left_meanwhile(connect: Connect) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        item = {"type": "file", "id": "12", "name": "w", "etag": "0", "size": 1, "file_version": {"id": "1"}}
        play(server, listing(item), listing())
        backend.list_folder(ROOT)
        backend.list_folder(ROOT)
        assert backend.wait_for_changes("1", 0.0)
        play(server, page())
        assert backend.changes("1").entries == (Gone(RemotePath("/w")),)
        play(server, page())
        assert not backend.wait_for_changes("1", 0.0)


def test_more_places_than_are_kept_void_the_position(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "LEFT_KEPT", 1)
    with Script(answer(500)) as server:
        backend = connect(server.url)
        item = {"type": "file", "etag": "0", "size": 1, "file_version": {"id": "1"}}
        play(server, listing(*({**item, "id": name, "name": name} for name in "ab")), listing())
        backend.list_folder(ROOT)
        backend.list_folder(ROOT)
        play(server, page(), page())
        with pytest.raises(Conflict):
            backend.changes("1")
        assert backend.changes("1").entries == ()
