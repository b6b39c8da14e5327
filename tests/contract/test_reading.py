"""The port's rules on reading bytes, following changes, and the account itself."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from mountfs.errors import Conflict, NotFound, NotSignedIn, NotSupported, Offline, Unreachable
from mountfs.model.entry import Entry, Gone, News, Seen
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Backend
from tests.contract.far import (
    Far,
    file_at,
    folder_at,
    mkdir_order,
    names,
    open_large,
    place,
    put_file,
)
from tests.waiting import until

BODY = bytes(range(256)) * 40


@pytest.mark.parametrize(("offset", "length"), [(0, 10240), (0, 1), (5000, 77), (10239, 1), (10000, 5000)])
def test_a_range_has_the_bytes_of_its_place(backend: Backend, offset: int, length: int) -> None:
    file = put_file(backend, "/x", BODY)
    assert backend.read(file, offset, length) == BODY[offset : offset + length]


@pytest.mark.parametrize(("offset", "length"), [(10240, 1), (99999, 10), (10240, 0), (3, 0)])
def test_there_is_nothing_behind_the_end(backend: Backend, offset: int, length: int) -> None:
    assert backend.read(put_file(backend, "/x", BODY), offset, length) == b""


def test_an_empty_file_reads_as_nothing(backend: Backend) -> None:
    assert backend.read(put_file(backend, "/x", b""), 0, 100) == b""


def test_a_revision_stays_readable_when_the_path_goes_on(far: Far, backend: Backend) -> None:
    file = put_file(backend, "/x", BODY)
    far.write("/x", b"theirs")
    assert backend.read(file, 0, 20000) == BODY


def test_what_was_removed_is_read_as_it_was_or_not_at_all(far: Far, backend: Backend) -> None:
    file = put_file(backend, "/x", BODY)
    far.remove("/x")
    try:
        assert backend.read(file, 100, 5) == BODY[100:105]
    except NotFound:
        far.write("/x", b"theirs")
        with pytest.raises(NotFound):
            backend.read(file, 100, 5)


def test_an_unknown_revision_is_not_found(backend: Backend) -> None:
    file = put_file(backend, "/x", BODY)
    with pytest.raises(NotFound):
        backend.read(replace(file, revision="0123456789abcdef"), 0, 10)


def test_a_document_without_bytes_cannot_be_read(backend: Backend) -> None:
    file = put_file(backend, "/x", BODY)
    with pytest.raises(NotSupported):
        backend.read(replace(file, is_downloadable=False), 0, 10)


def collect(backend: Backend, cursor: str) -> tuple[list[News], str]:
    """All news since *cursor*, and the one after them."""
    found: list[News] = []
    while True:
        page = backend.changes(cursor)
        cursor = page.cursor
        found += page.entries
        if not page.has_more:
            return found, cursor


def seen(news: Iterable[News]) -> list[Entry]:
    return [one.entry for one in news if isinstance(one, Seen)]


def test_a_new_cursor_has_seen_everything(far: Far, backend: Backend) -> None:
    far.write("/old", b"x")
    assert collect(backend, backend.latest_cursor())[0] == []


def test_changes_by_anybody_appear_once(far: Far, backend: Backend) -> None:
    far.write("/gone", b"x")
    gone = file_at(backend, "/gone")
    cursor = backend.latest_cursor()
    far.write("/A/theirs", b"theirs")
    ours = put_file(backend, "/ours", b"ours")
    far.remove("/gone")
    news, cursor = collect(backend, cursor)
    assert sorted(entry.name for entry in seen(news)) == ["A", "ours", "theirs"]
    assert ours in seen(news)
    assert file_at(backend, "/A/theirs") in seen(news)
    assert folder_at(backend, "/A") in seen(news)
    (end,) = [one for one in news if not isinstance(one, Seen)]
    assert end in (Gone(path=RemotePath("/gone")), Gone(item_id=gone.id))
    assert collect(backend, cursor)[0] == []


def test_news_say_where_something_stands_by_path_or_by_folder(far: Far, backend: Backend) -> None:
    far.mkdir("/A")
    folder = folder_at(backend, "/A")
    cursor = backend.latest_cursor()
    far.write("/A/x", b"x")
    far.write("/y", b"y")
    below, above = collect(backend, cursor)[0]
    x, y = file_at(backend, "/A/x"), file_at(backend, "/y")
    if backend.root_id:
        assert (below, above) == (Seen(x, folder_id=folder.id), Seen(y, folder_id=backend.root_id))
    else:
        assert (below, above) == (Seen(x, RemotePath("/A/x")), Seen(y, RemotePath("/y")))


def test_a_move_by_others_is_told_at_both_ends(far: Far, backend: Backend) -> None:
    """Where it stands now is told, and what went: as a path, or as the id that is known to have been there.

    A service may tell it twice, as moved and as renamed.
    """
    far.mkdir("/B")
    far.write("/A/x", b"x")
    before = file_at(backend, "/A/x")
    cursor = backend.latest_cursor()
    far.move("/A/x", "/B/y")
    news, _ = collect(backend, cursor)
    after = file_at(backend, "/B/y")
    assert after.id == before.id
    assert set(seen(news)) == {after}
    assert backend.root_id or Gone(path=RemotePath("/A/x")) in news


def test_a_cursor_survives_a_restart(far: Far, backend: Backend) -> None:
    cursor = backend.latest_cursor()
    far.mkdir("/A")
    assert names(seen(collect(far.another(), cursor)[0])) == {"A"}


def test_a_void_cursor_is_a_conflict(far: Far, backend: Backend) -> None:
    far.mkdir("/A")
    cursor = backend.latest_cursor()
    far.void_cursors()
    with pytest.raises(Conflict):
        backend.changes(cursor)
    try:
        # A service that only wakes the waiting leaves it to ``changes`` to say more.
        assert backend.wait_for_changes(cursor, 1.0)
    except Conflict:
        return


def test_waiting_ends_with_a_change(far: Far, backend: Backend) -> None:
    cursor = backend.latest_cursor()
    timer = threading.Timer(0.2, far.write, ("/x", b"x"))
    timer.start()
    try:
        assert backend.wait_for_changes(cursor, 30.0)
    finally:
        timer.join()


def test_waiting_is_over_at_once_when_there_was_a_change(far: Far, backend: Backend) -> None:
    cursor = backend.latest_cursor()
    far.write("/x", b"x")
    assert backend.wait_for_changes(cursor, 30.0)


def test_waiting_ends_with_its_time(backend: Backend) -> None:
    began_s = time.monotonic()
    assert not backend.wait_for_changes(backend.latest_cursor(), 0.3)
    assert time.monotonic() - began_s < 5.0


def test_closing_ends_a_wait(far: Far, backend: Backend) -> None:
    cursor = backend.latest_cursor()
    ended: list[Exception] = []

    def wait() -> None:
        try:
            backend.wait_for_changes(cursor, 60.0)
        except Offline as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(
        lambda: any("wait" in route or "longpoll" in route for route in backend.calls()),
        "the question is there",
    )
    backend.close()
    thread.join(10.0)
    assert len(ended) == 1
    with pytest.raises(Offline):
        backend.stat(place("/x"))


def test_the_account_has_a_key_that_is_fit_for_a_file_name(far: Far, backend: Backend) -> None:
    account = backend.account()
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]+", account.key)
    assert account.display_name
    assert far.another().account() == account


def test_space_is_what_files_take(backend: Backend) -> None:
    before = backend.space()
    put_file(backend, "/x", BODY)
    assert backend.space().used_bytes == before.used_bytes + len(BODY)


def test_refused_credentials_are_told(far: Far) -> None:
    with pytest.raises(NotSignedIn):
        far.sign_out().account()


CALLS: list[Callable[[Backend], object]] = [
    lambda backend: backend.stat(place("/x")),
    lambda backend: backend.list_folder(ROOT),
    lambda backend: open_large(backend, "/y", 1000),
    lambda backend: backend.submit([mkdir_order("/A")]),
    lambda backend: backend.latest_cursor(),
]


def test_a_service_that_is_down_is_offline(far: Far, backend: Backend) -> None:
    far.write("/x", b"x")
    far.go_down()
    for call in CALLS:
        with pytest.raises(Offline):
            call(backend)


def test_where_nobody_listens_a_call_is_known_to_have_had_no_effect(far: Far) -> None:
    backend = far.astray()
    for call in CALLS:
        with pytest.raises(Unreachable):
            call(backend)


def test_calls_are_counted(backend: Backend) -> None:
    backend.space()
    backend.space()
    assert list(backend.calls().values()) == [2]
