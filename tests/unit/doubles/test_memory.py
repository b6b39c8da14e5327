"""The knobs of the account in memory; what it has in common with others is in the contract suite."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from mountfs.errors import (
    BatchRefused,
    InvalidArgument,
    NoSpace,
    NotFound,
    NotSignedIn,
    Offline,
    SessionLost,
    TooLarge,
    Unreachable,
)
from mountfs.model.entry import Gone, News, Seen
from mountfs.model.hashing import HashKind, content_hash
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Done, Running
from tests.contract.far import (
    file_at,
    finish,
    folder_at,
    move_order,
    place,
    put,
    put_file,
    put_order,
    time_order,
)
from tests.doubles.memory import MemoryBackend
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS, MemoryAccount
from tests.doubles.sources import append_pack, piece_of, source_of, upload_whole, whole_hash
from tests.fakes.clock import FakeClock


def test_jobs_run_for_as_many_polls_as_told() -> None:
    account = MemoryAccount()
    account.job_polls, account.poll_after_s = 3, 0.5
    backend = MemoryBackend(account)
    orders = [put_order("/x", upload_whole(backend, b"x"), 1)]
    launch = backend.submit(orders)
    polls = 0
    while isinstance(launch, Running):
        assert launch.retry_after_s == 0.5
        launch = backend.poll(launch.job, orders)
        polls += 1
    assert polls == 3
    assert account.overlapping_submits == 0


def test_overlapping_batches_are_counted() -> None:
    account = MemoryAccount()
    account.job_polls = 2
    backend = MemoryBackend(account)
    assert isinstance(backend.submit([put_order("/x", upload_whole(backend, b"x"), 1)]), Running)
    assert isinstance(backend.submit([put_order("/y", upload_whole(backend, b"y"), 1)]), Done)
    assert account.overlapping_submits == 1


def test_switches_cut_off_before_anything_happens() -> None:
    backend = MemoryBackend()
    backend.is_online = False
    with pytest.raises(Unreachable):
        upload_whole(backend, b"x")
    backend.is_online, backend.is_signed_in = True, False
    with pytest.raises(NotSignedIn):
        backend.list_folder(ROOT)
    backend.is_signed_in, backend.takes_packs = True, False
    with pytest.raises(BatchRefused):
        append_pack(backend, [piece_of(b"x")])


def test_a_held_call_waits_until_it_is_released() -> None:
    backend = MemoryBackend()
    backend.hold("list_folder")
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(backend.list_folder(ROOT)))
    thread.start()
    assert backend.wait_until_held("list_folder")
    assert found == []
    backend.release("list_folder")
    thread.join(10.0)
    assert found == [[]]


def test_a_held_call_ends_with_the_connection() -> None:
    backend = MemoryBackend()
    backend.hold("space")
    failed: list[Exception] = []

    def ask() -> None:
        try:
            backend.space()
        except Offline as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert backend.wait_until_held("space")
    backend.close()
    thread.join(10.0)
    assert len(failed) == 1


def test_a_quota_and_a_largest_file_are_kept_to() -> None:
    backend = MemoryBackend(limits=replace(MEMORY_LIMITS, max_file_bytes=8))
    backend.remote.tree.quota_bytes = 10
    assert isinstance(put(backend, "/large", b"123456789"), TooLarge)
    put_file(backend, "/x", b"12345678")
    assert isinstance(put(backend, "/y", b"123"), NoSpace)
    assert (backend.space().used_bytes, backend.space().free_bytes) == (8, 2)


def test_other_limits_make_another_service() -> None:
    limits = replace(
        MEMORY_LIMITS,
        hash_kind=HashKind.SHA1,
        pack_entries=0,
        size_known_at_start=True,
        parents_implicit=False,
    )
    backend = MemoryBackend(limits=limits)
    with pytest.raises(InvalidArgument):
        backend.open_session(place("/x"), None, None)
    order = replace(put_order("/A/x", None, 4), body=source_of(b"body"))
    (outcome,) = finish(backend, [order])
    assert isinstance(outcome, NotFound)
    backend.remote.mkdir("/A")
    finish(backend, [order])
    assert file_at(backend, "/A/x").content_hash == content_hash(HashKind.SHA1, b"body")
    assert whole_hash(backend, "session", b"body", []) == content_hash(HashKind.SHA1, b"body")
    assert backend.remote.files() == {"/A/x": b"body"}


def test_others_make_the_folders_above_what_they_write() -> None:
    account = MemoryAccount(SIDE_BY_SIDE_LIMITS)
    account.write("/A/b/x", b"x")
    account.mkdir("/C/d")
    account.move("/A/b/x", "/E/y")
    assert account.folders() == {"/A", "/A/b", "/C", "/C/d", "/E"}
    assert account.files() == {"/E/y": b"x"}


def told(backend: MemoryBackend, cursor: str) -> list[News]:
    return list(backend.changes(cursor).entries)


def test_news_of_a_renamed_folder_are_told_for_all_below_it_by_path_and_once_by_id() -> None:
    for tells_ids in (False, True):
        backend = MemoryBackend(MemoryAccount(tells_ids=tells_ids))
        backend.remote.write("/A/x", b"x")
        cursor = backend.latest_cursor()
        backend.remote.move("/A", "/B")
        folder, file = folder_at(backend, "/B"), file_at(backend, "/B/x")
        assert told(backend, cursor) == (
            [Seen(folder, folder_id=backend.root_id)]
            if tells_ids
            else [Gone(RemotePath("/A")), Seen(folder, RemotePath("/B")), Seen(file, RemotePath("/B/x"))]
        )


@pytest.mark.parametrize("renews", [True, False])
def test_a_move_renews_the_revisions_of_what_it_is_told_of(renews: bool) -> None:
    for tells_ids in (False, True):
        backend = MemoryBackend(MemoryAccount(tells_ids=tells_ids))
        backend.remote.tree.moves_renew_revisions = renews
        backend.remote.write("/A/x", b"x")
        first = file_at(backend, "/A/x")
        backend.remote.move("/A", "/B")
        second = file_at(backend, "/B/x")
        backend.remote.move("/B/x", "/B/y")
        third = file_at(backend, "/B/y")
        assert (second.revision != first.revision) is (renews and not tells_ids)
        assert (third.revision != second.revision) is renews
        assert backend.read(third, 0, 1) == b"x"


def test_accounts_side_by_side_tell_ids_unless_told_otherwise() -> None:
    assert MemoryBackend(limits=SIDE_BY_SIDE_LIMITS).root_id == "root"
    assert MemoryBackend().root_id == ""
    assert MemoryBackend(MemoryAccount(SIDE_BY_SIDE_LIMITS, tells_ids=False)).root_id == ""


def test_a_time_is_news_of_the_file() -> None:
    backend = MemoryBackend(limits=SIDE_BY_SIDE_LIMITS)
    first = put_file(backend, "/x", b"x")
    cursor = backend.latest_cursor()
    finish(backend, [time_order("/x", first.revision, 5 * 10**18)])
    dated = file_at(backend, "/x")
    assert (dated.id, dated.mtime_ns) == (first.id, 5 * 10**18)
    assert told(backend, cursor) == [Seen(dated, folder_id="root")]


def test_orders_side_by_side_overlap_where_one_s_source_is() -> None:
    account = MemoryAccount(SIDE_BY_SIDE_LIMITS)
    account.write("/A/x", b"x")
    account.job_polls = 2
    backend = MemoryBackend(account)
    assert isinstance(backend.submit([move_order("/A", "/B", is_folder=True)]), Running)
    assert isinstance(backend.submit([move_order("/C", "/D")]), Running)
    assert isinstance(backend.submit([time_order("/A/x", "", 0)]), Done)
    assert (account.overlapping_submits, account.most_at_once) == (1, 2)


def test_a_forgotten_revision_cannot_be_read() -> None:
    backend = MemoryBackend()
    file = put_file(backend, "/x", b"x")
    backend.remote.tree.forget(file.revision)
    with pytest.raises(NotFound):
        backend.read(file, 0, 1)


def test_changes_come_in_pages() -> None:
    backend = MemoryBackend()
    backend.page_entries = 2
    cursor = backend.latest_cursor()
    for number in range(5):
        backend.remote.write(f"/{number}", b"x")
    sizes = []
    has_more = True
    while has_more:
        page = backend.changes(cursor)
        sizes.append(len(page.entries))
        cursor, has_more = page.cursor, page.has_more
    assert sizes == [2, 2, 1]


def test_two_connections_share_one_account() -> None:
    account = MemoryAccount()
    put_file(MemoryBackend(account), "/x", b"x")
    assert MemoryBackend(account).stat(place("/x")).name == "x"


def test_a_job_on_the_clock_takes_effect_order_by_order_whether_it_is_asked_after_or_not() -> None:
    account, clock = MemoryAccount(), FakeClock()
    account.clock, account.job_s = clock, 4.0
    backend = MemoryBackend(account)
    orders = [put_order(f"/{name}", upload_whole(backend, b"x"), 1) for name in "ab"]
    launch = backend.submit(orders)
    assert isinstance(launch, Running)
    clock.advance(2.0)
    assert set(account.files()) == {"/a"}
    assert isinstance(backend.poll(launch.job, orders), Running)
    clock.advance(2.0)
    done = backend.poll(launch.job, orders)
    assert isinstance(done, Done) and done.outcomes == (account.get("/a"), account.get("/b"))


@pytest.mark.parametrize("end", [False, True])
def test_a_job_that_nobody_can_ask_about_runs_on_unless_it_ends(end: bool) -> None:
    account, clock = MemoryAccount(), FakeClock()
    account.clock, account.job_s = clock, 4.0
    backend = MemoryBackend(account)
    orders = [put_order(f"/{name}", upload_whole(backend, b"x"), 1) for name in "ab"]
    launch = backend.submit(orders)
    assert isinstance(launch, Running)
    clock.advance(2.0)
    account.lose_jobs(end=end)
    with pytest.raises(SessionLost):
        backend.poll(launch.job, orders)
    clock.advance(1.0)
    next_one = backend.submit([put_order("/c", upload_whole(backend, b"x"), 1)])
    assert isinstance(next_one, Running if end else Done)
    assert account.overlapping_submits == (0 if end else 1)
    clock.advance(4.0)
    assert set(account.files()) == ({"/a", "/c"} if end else {"/a", "/b"})
