"""Events and the long poll, driven by the official SDK."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
from box_sdk_gen import BoxClient
from box_sdk_gen.managers.events import GetEventsStreamType
from box_sdk_gen.managers.files import UpdateFileByIdParent

from cloudsandbox.box import BoxSandbox

CHANGES = GetEventsStreamType.CHANGES


@pytest.fixture
def page(client: BoxClient) -> Callable[..., Any]:
    """One page of changes."""

    def get(position: Any, **options: Any) -> Any:
        return client.events.get_events(stream_type=CHANGES, stream_position=str(position), **options)

    return get


def told(events: Any) -> list[tuple[str, str]]:
    return [(each.event_type, each.source.name) for each in events.entries]


def test_now_is_a_position_without_events(page: Any, upload: Any) -> None:
    upload("before")
    now = page("now")
    assert (now.chunk_size, now.entries) == (0, [])
    assert page(now.next_stream_position).entries == []


def test_each_change_is_an_event(
    client: BoxClient, page: Any, upload: Any, upload_version: Any, make_folder: Any
) -> None:
    start = page("now").next_stream_position
    file, folder = upload("f.txt"), make_folder("d")
    upload_version(file.id, b"2")
    client.files.update_file_by_id(file.id, name="g")
    client.files.update_file_by_id(file.id, parent=UpdateFileByIdParent(id=folder.id))
    client.folders.delete_folder_by_id(folder.id, recursive=True)
    events = page(start)
    assert told(events) == [
        ("ITEM_UPLOAD", "f.txt"),
        ("ITEM_CREATE", "d"),
        ("ITEM_UPLOAD", "f.txt"),
        ("ITEM_RENAME", "g"),
        ("ITEM_MOVE", "g"),
        ("ITEM_TRASH", "d"),
    ]
    assert events.chunk_size == 6
    assert page(events.next_stream_position).chunk_size == 0


def test_an_event_shows_the_item_as_it_was_after_it(page: Any, upload: Any, upload_version: Any) -> None:
    start = page("now").next_stream_position
    file = upload("f.txt", b"1")
    upload_version(file.id, b"22")
    first, second = page(start).entries
    assert [(each.source.sequence_id, each.source.size) for each in (first, second)] == [("0", 1), ("1", 2)]
    assert first.source.parent.id == "0"
    assert first.event_id != second.event_id


def test_events_come_in_pages(page: Any, make_folder: Any) -> None:
    position = page("now").next_stream_position
    for number in range(5):
        make_folder(f"d{number}")
    names, sizes = [], []
    while True:
        events = page(position, limit=2)
        sizes.append(events.chunk_size)
        names += [name for _, name in told(events)]
        position = events.next_stream_position
        if not events.chunk_size:
            break
    assert names == [f"d{number}" for number in range(5)]
    assert sizes == [2, 2, 1, 0]


def test_events_may_come_twice(box: BoxSandbox, page: Any, make_folder: Any) -> None:
    box.set_switches(repeated_events=1)
    make_folder("a")
    first = page(0)
    make_folder("b")
    second = page(first.next_stream_position)
    assert [name for _, name in told(second)] == ["a", "b"]
    assert second.entries[0].event_id == first.entries[0].event_id
    assert page(second.next_stream_position).chunk_size == 0


def test_events_may_come_out_of_order(box: BoxSandbox, page: Any, make_folder: Any) -> None:
    box.set_switches(disordered_events=True)
    for name in "abc":
        make_folder(name)
    events = page(0)
    assert [name for _, name in told(events)] == ["c", "b", "a"]
    assert page(events.next_stream_position).chunk_size == 0


@pytest.mark.parametrize(("as_string", "kind"), [(True, str), (False, int)])
def test_a_position_is_text_or_a_number(box: BoxSandbox, page: Any, as_string: bool, kind: type) -> None:
    box.set_switches(string_positions=as_string)
    assert isinstance(page("now").next_stream_position, kind)


def test_an_old_position_is_refused(box: BoxSandbox, page: Any, make_folder: Any, refused: Any) -> None:
    make_folder("a")
    old = page("now").next_stream_position
    box.forget_events()
    assert refused(page, old).status_code == 400
    now = page("now").next_stream_position
    make_folder("b")
    assert told(page(now)) == [("ITEM_CREATE", "b")]


@pytest.mark.parametrize("position", ["x", "99999999", "-1"])
def test_a_position_nobody_gave_out_is_refused(page: Any, refused: Any, position: str) -> None:
    assert refused(page, position).status_code == 400


def test_the_events_of_all_users_are_for_admins(client: BoxClient, refused: Any) -> None:
    answer = refused(client.events.get_events, stream_type=GetEventsStreamType.ADMIN_LOGS)
    assert answer.status_code == 403


def poll(client: BoxClient, position: Any) -> str:
    server = client.events.get_events_with_long_polling().entries[0]
    url = f"{server.url}&stream_position={position}"
    message: str = requests.get(url, timeout=20).json()["message"]
    return message


def test_the_realtime_server_says_how_to_wait(client: BoxClient) -> None:
    (server,) = client.events.get_events_with_long_polling().entries
    assert (server.type, server.max_retries, server.retry_timeout) == ("realtime_server", "10", 610)


def test_a_long_poll_ends_with_the_next_change(client: BoxClient, page: Any, box: BoxSandbox) -> None:
    position = page("now").next_stream_position
    answers: list[str] = []
    waiting = threading.Thread(target=lambda: answers.append(poll(client, position)))
    waiting.start()
    while not box.log.requests.now["realtime"]:
        waiting.join(0.01)
    assert answers == []
    box.write("/new", b"1")
    waiting.join(20)
    assert answers == ["new_change"]


def test_a_long_poll_knows_what_happened_before_it(client: BoxClient, page: Any, box: BoxSandbox) -> None:
    position = page("now").next_stream_position
    box.write("/new", b"1")
    assert poll(client, position) == "new_change"


def test_a_long_poll_in_quiet_times_asks_to_come_again(client: BoxClient, page: Any, box: BoxSandbox) -> None:
    box.set_switches(realtime_timeout_s=0.05)
    assert poll(client, page("now").next_stream_position) == "reconnect"


def test_the_sdk_s_own_stream_brings_changes_as_they_come(client: BoxClient, box: BoxSandbox) -> None:
    stream = client.events.get_event_stream()
    seen: list[str] = []

    def listen() -> None:
        for event in stream:
            seen.append(event.source.name)
            stream.stop()

    listening = threading.Thread(target=listen)
    listening.start()
    while not box.log.requests.now["realtime"]:
        listening.join(0.01)
    box.write("/hello", b"1")
    listening.join(20)
    assert seen == ["hello"]
