"""The knobs of the account in memory; what it has in common with others is in the contract suite."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from mountfs.backends.memory import MemoryBackend
from mountfs.backends.memory_account import MEMORY_LIMITS, MemoryAccount
from mountfs.errors import BatchRefused, InvalidArgument, NoSpace, NotFound, NotSignedIn, Offline, TooLarge
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Done, Running
from tests.contract.far import finish, make_folder, move_order, put, put_file, put_order


def test_jobs_run_for_as_many_polls_as_told() -> None:
    account = MemoryAccount()
    account.job_polls, account.poll_after_s = 3, 0.5
    backend = MemoryBackend(account)
    orders = [put_order("/x", backend.upload_whole(b"x"), 1)]
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
    assert isinstance(backend.submit([put_order("/x", backend.upload_whole(b"x"), 1)]), Running)
    assert isinstance(backend.submit([put_order("/y", backend.upload_whole(b"y"), 1)]), Done)
    assert account.overlapping_submits == 1


def test_switches_cut_off_before_anything_happens() -> None:
    backend = MemoryBackend()
    backend.is_online = False
    with pytest.raises(Offline):
        backend.upload_whole(b"x")
    backend.is_online, backend.is_signed_in = True, False
    with pytest.raises(NotSignedIn):
        backend.list_folder(ROOT)
    backend.is_signed_in, backend.takes_packs = True, False
    with pytest.raises(BatchRefused):
        backend.append_pack([])


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
        moves_overwrite=True,
    )
    backend = MemoryBackend(limits=limits)
    with pytest.raises(InvalidArgument):
        backend.open_session(RemotePath("/x"), None, None)
    assert isinstance(put(backend, "/A/x", b"x"), NotFound)
    make_folder(backend, "/A")
    order = replace(
        put_order("/A/x", "", 4), session=None, read=lambda offset, length: b"body"[offset:length]
    )
    (file,) = finish(backend, [order])
    assert isinstance(file, File)
    assert file.content_hash == content_hash(HashKind.SHA1, b"body")
    assert backend.whole_hash([]) is None
    backend.remote.write("/A/y", b"target")
    (moved,) = finish(backend, [move_order("/A/x", "/A/y")])
    assert isinstance(moved, File)
    assert backend.remote.files() == {"/A/y": b"body"}


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
    assert MemoryBackend(account).stat(RemotePath("/x")).path.text == "/x"
