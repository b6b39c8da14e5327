"""Waiting for news at a server of its own, and what incomplete news are good for."""

from __future__ import annotations

from typing import Any

import pytest

from mountfs.backends.box import events as events_module
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.events import CIRCLES
from mountfs.backends.http import NotReachedInTime
from mountfs.backends.wire import Request, Response
from mountfs.errors import Conflict, Offline, ServerFault, Unreachable
from mountfs.model.entry import Doubted, File, Folder, Gone, News, Seen
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


FILE = {
    "type": "file",
    "id": "12",
    "name": "x",
    "etag": "3",
    "size": 5,
    "sha1": "00" * 20,
    "file_version": {"id": "99"},
    "parent": {"id": "7"},
}


def event(event_id: str, kind: str = "ITEM_UPLOAD", **source: object) -> dict[str, Any]:
    return {"type": "event", "event_id": event_id, "event_type": kind, "source": {**FILE, **source}}


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


@pytest.mark.parametrize("reply", [word("max_retries"), answer(200, b"[]"), json_answer({"message": 7})])
def test_a_server_that_has_enough_of_us_is_not_asked_again(connect: Connect, reply: Reply) -> None:
    with Script(answer(500)) as server:
        play(server, realtime(server), reply, realtime(server), word("new_change"))
        assert connect(server.url).wait_for_changes("1", 0.2)
        assert paths(server)[2:] == ["OPTIONS /2.0/events", "GET /subscribe"]


def test_a_server_that_breaks_down_is_not_asked_again(connect: Connect) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        play(server, realtime(server), hang_up, hang_up)
        with pytest.raises(Offline):
            backend.wait_for_changes("1", 30.0)
        play(server, realtime(server), word("new_change"))
        assert backend.wait_for_changes("1", 30.0)


@pytest.mark.parametrize("passed_s", [15.0, 60.0])
def test_a_server_that_cannot_be_reached_lets_nobody_wait(
    connect: Connect, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, passed_s: float
) -> None:
    """A firewall swallows what goes to its host. Only where the whole wait passed is that no news."""
    with Script(answer(500)) as server:
        backend = connect(server.url)
        play(server, realtime(server), page())
        exchange = backend._http.exchange

        def swallowed(request: Request) -> Response:
            if request.is_longpoll:
                clock.advance(passed_s)
                raise NotReachedInTime("no answer")
            return exchange(request)

        monkeypatch.setattr(backend._http, "exchange", swallowed)
        if passed_s == 60.0:
            assert not backend.wait_for_changes("1", 60.0)
        else:
            with pytest.raises(Unreachable):
                backend.wait_for_changes("1", 60.0)


REFUSED_WAITS = {
    "400": answer(400),
    "403 with text": answer(403, b"no such channel"),
    "404": answer(404),
    "410": answer(410),
    "a page": answer(404, b"<html>", Content_Type="text/html"),
}
VOID = json_answer({"type": "error", "status": 400, "code": "bad_request"}, 400)


@pytest.mark.parametrize("refusal", REFUSED_WAITS)
@pytest.mark.parametrize(("reply", "kind"), [(page(), ServerFault), (VOID, Conflict)])
def test_a_refused_wait_is_told_from_a_refused_position(
    connect: Connect, refusal: str, reply: Reply, kind: type[Exception]
) -> None:
    """The server is not the API, and has words of its own; whatever they are, it is not asked again."""
    with Script(answer(500)) as server:
        backend = connect(server.url)
        play(server, realtime(server), REFUSED_WAITS[refusal], reply)
        with pytest.raises(kind):
            backend.wait_for_changes("1", 30.0)
        play(server, realtime(server), word("new_change"))
        assert backend.wait_for_changes("1", 30.0)


def test_positions_are_opaque(connect: Connect) -> None:
    with Script(page(position="AbC-1/2=")) as server:
        assert connect(server.url).latest_cursor() == "AbC-1/2="
    with Script(answer(500)) as server, pytest.raises(Conflict):
        connect(server.url).changes("1&stream_type=admin_logs")


def told(server: Script, backend: BoxBackend, *events: Any, cursor: str = "1") -> tuple[News, ...]:
    play(server, page(*events))
    return backend.changes(cursor).entries


X = Seen(File("12", "x", "12:3:99", 5, 0, "00" * 20), folder_id="7")


@pytest.mark.parametrize("kind", ["ITEM_UPLOAD", "ITEM_MOVE", "ITEM_RENAME", "ITEM_SOMETHING_NEW"])
def test_an_event_tells_an_item_and_its_folder(connect: Connect, kind: str) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        assert told(server, backend, event("1", kind)) == (X,)
        assert told(server, backend, event("2", kind, type="folder", name="A", id="8")) == (
            Seen(Folder("8", "A"), folder_id="7"),
        )


@pytest.mark.parametrize(
    "ended", [{"kind": "ITEM_TRASH"}, {"item_status": "trashed"}, {"item_status": "deleted"}]
)
def test_an_end_tells_which_item_is_gone(connect: Connect, ended: dict[str, str]) -> None:
    with Script(answer(500)) as server:
        assert told(server, connect(server.url), event("1", **ended)) == (Gone(item_id="12"),)


def test_an_event_is_told_once(connect: Connect) -> None:
    with Script(page(event("e1"), event("e1"))) as server:
        backend = connect(server.url)
        changes = backend.changes("1")
        assert (changes.entries, changes.cursor, changes.has_more) == ((X,), "7", False)
        assert backend.changes("7").entries == ()
        assert backend.changes("7").entries == ()


def test_a_page_that_nobody_took_note_of_is_told_again(connect: Connect) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        assert told(server, backend, event("0")) == (X,)
        assert told(server, backend, event("0"), event("1"), cursor="6") == (X,)
        assert backend.wait_for_changes("6", 0.0)
        assert told(server, backend, event("0"), event("1"), cursor="6") == (X,)
        assert not backend.wait_for_changes("7", 0.0)


def test_events_in_any_order_are_told_as_they_come(connect: Connect) -> None:
    """One that is outdated costs who hears it a listing, no more."""
    with Script(answer(500)) as server:
        newer, older = event("2", etag="4", sequence_id="4"), event("1", sequence_id="3")
        later = Seen(File("12", "x", "12:4:99", 5, 0, "00" * 20), folder_id="7")
        assert told(server, connect(server.url), newer, older) == (later, X)


@pytest.mark.parametrize("missing", ["name", "size", "etag", "file_version"])
def test_what_an_event_leaves_out_is_listed_where_it_was_and_where_it_is(
    connect: Connect, missing: str
) -> None:
    with Script(answer(500)) as server:
        incomplete = event("1")
        del incomplete["source"][missing]
        assert told(server, connect(server.url), incomplete) == (Gone(item_id="12"), Doubted(folder_id="7"))


@pytest.mark.parametrize("parent", [None, {}, {"id": None}])
def test_an_item_in_no_folder_of_ours_is_gone_from_where_it_was(connect: Connect, parent: object) -> None:
    with Script(answer(500)) as server:
        assert told(server, connect(server.url), event("1", parent=parent)) == (Gone(item_id="12"),)


def test_news_of_other_things_are_nothing(connect: Connect) -> None:
    others = [
        {"event_id": "1", "event_type": "COMMENT_CREATE", "source": {"type": "comment", "id": "3"}},
        {"event_id": "2", "event_type": "ITEM_CREATE", "source": {"type": "web_link", "id": "4"}},
        {"event_id": "3", "event_type": "ITEM_CREATE", "source": None},
    ]
    with Script(page(*others)) as server:
        assert connect(server.url).changes("1").entries == ()


@pytest.mark.parametrize(
    "kind", ["COLLAB_REMOVE_COLLABORATOR", "COLLAB_ADD_COLLABORATOR", "COLLAB_ROLE_CHANGE"]
)
def test_who_shares_a_folder_is_looked_for_where_it_is_listed(connect: Connect, kind: str) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        shared = event("1", kind, type="folder", name="A", id="8")
        news = told(server, backend, shared)
        assert news == (Gone(item_id="8"), Doubted(folder_id="7"), Doubted(folder_id="0"))
        assert told(server, backend, event("2", kind, type="user", id="3")) == (Doubted(folder_id="0"),)


@pytest.mark.parametrize("parent", [None, {"id": "777"}], ids=["untold", "its owner's"])
def test_a_folder_that_others_begin_to_share_appears_at_the_top(connect: Connect, parent: object) -> None:
    """Its event may tell the folder that its owner has it in, or none: here it is in neither."""
    with Script(answer(500)) as server:
        shared = event("1", "COLLAB_ADD_COLLABORATOR", type="folder", name="A", id="8", parent=parent)
        assert Doubted(folder_id="0") in told(server, connect(server.url), shared)


@pytest.mark.parametrize("nothing", [{}, {"event_id": None}, {"event_id": ""}])
def test_events_without_an_id_are_each_told(connect: Connect, nothing: dict[str, object]) -> None:
    first, second = event("", id="12"), event("", id="13")
    for one in (first, second):
        del one["event_id"]
        one.update(nothing)
    with Script(answer(500)) as server:
        backend = connect(server.url)
        later = Seen(File("13", "x", "13:3:99", 5, 0, "00" * 20), folder_id="7")
        assert told(server, backend, first, second, first) == (X, later, X)
        assert told(server, backend, first, cursor="7") == (X,)
        assert told(server, backend, first, cursor="7") == ()


@pytest.mark.parametrize("circle", [("1", "2"), ("1", "2", "3")])
def test_positions_that_lead_in_a_circle_are_void(connect: Connect, circle: tuple[str, ...]) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        at, pages = circle[0], 0
        with pytest.raises(Conflict):
            while pages < 20:
                onward = circle[(circle.index(at) + 1) % len(circle)]
                play(server, page(event(f"{pages}"), position=onward))
                at, pages = backend.changes(at).cursor, pages + 1
        assert pages <= len(circle) + CIRCLES
        play(server, page(position="1"))
        assert backend.latest_cursor() == "1"
        play(server, page(event("new"), position="2"))
        assert backend.changes("1").entries == (X,)


def test_a_page_that_is_asked_for_again_is_no_circle(connect: Connect) -> None:
    with Script(page(event("1"), position="2")) as server:
        backend = connect(server.url)
        for _ in range(2 * CIRCLES):
            assert backend.changes("1").cursor == "2"


@pytest.mark.parametrize("item_id", ["12", 12])
def test_an_item_that_an_event_names_by_its_id_alone_is_looked_for(connect: Connect, item_id: object) -> None:
    """The reference has the id as a text and, in an example, as a number."""
    parent = {"type": "folder", "id": "7"}
    source = {"item_type": "file", "item_id": item_id, "item_name": "x", "parent": parent}
    with Script(answer(500)) as server:
        news = told(server, connect(server.url), {"event_id": "1", "event_type": "MOVE", "source": source})
        assert news == (Gone(item_id="12"), Doubted(folder_id="7"))


@pytest.mark.parametrize("kind", ["ITEM_UPLOAD", "ITEM_TRASH"])
def test_what_names_no_item_has_its_folder_listed_and_takes_nothing_else_along(
    connect: Connect, kind: str
) -> None:
    with Script(answer(500)) as server:
        news = told(server, connect(server.url), event("1"), event("2", kind, id=None, parent={"id": "8"}))
        assert news == (X, Doubted(folder_id="8"))


def test_what_names_neither_itself_nor_its_folder_voids_the_position(connect: Connect) -> None:
    with Script(answer(500)) as server:
        play(server, page(event("1", id=None, parent=None)))
        with pytest.raises(Conflict):
            connect(server.url).changes("1")


def test_news_of_a_page_that_fails_are_told_by_the_next(connect: Connect) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        play(server, page(event("1"), event("2", id=None, parent=None)))
        with pytest.raises(Conflict):
            backend.changes("1")
        assert told(server, backend, event("1")) == (X,)


def test_a_page_without_a_position_is_told_when_it_has_one(connect: Connect) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        play(server, page(event("1"), position=None))
        with pytest.raises(ServerFault):
            backend.changes("1")
        assert told(server, backend, event("1")) == (X,)


def test_only_so_many_events_are_remembered(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "EVENTS_KEPT", 2)
    with Script(answer(500)) as server:
        backend = connect(server.url)
        told(server, backend, *(event(f"{number}") for number in range(3)))
        assert told(server, backend, event("1"), event("2"), cursor="7") == ()
        assert told(server, backend, event("0"), cursor="7") == (X,)


def test_a_full_page_is_followed_by_another(connect: Connect) -> None:
    with Script(page(*(event(f"{number}") for number in range(500)))) as server:
        assert connect(server.url).changes("1").has_more


def test_a_full_page_that_leads_nowhere_voids_the_position(connect: Connect) -> None:
    """What comes behind it would never be told."""
    with Script(page(*(event(f"{number}") for number in range(500)), position=1)) as server:
        backend = connect(server.url)
        for _ in range(2):
            with pytest.raises(Conflict):
                backend.changes("1")


def test_a_page_that_leads_nowhere_and_is_not_full_is_told_once(connect: Connect) -> None:
    with Script(page(event("1"), position=1)) as server:
        backend = connect(server.url)
        assert backend.changes("1").entries == (X,)
        assert backend.changes("1").entries == ()


def test_a_notice_that_got_lost_is_made_up_for_by_a_look(connect: Connect) -> None:
    with Script(answer(500)) as server:
        backend = connect(server.url)
        play(server, page(event("1")))
        assert backend.wait_for_changes("1", 0.0)
        backend.changes("1")
        # What was told already is nothing to wake up for.
        assert not backend.wait_for_changes("7", 0.0)
