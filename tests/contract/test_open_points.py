"""What Dropbox leaves open, and what goes wrong on the way: the client survives either answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.faults import FaultKind, FaultRule
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import FINISH_BATCH, FINISH_BATCH_V2, DropboxSettings
from mountfs.backends.http import HttpSettings
from mountfs.clock import SystemClock
from mountfs.errors import BatchRefused, Busy, MountfsError, NotPassedOn, Offline, SessionLost, Transient
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.model.path import ROOT
from mountfs.ports import Backend
from tests.contract.far import (
    OneToken,
    finish,
    mkdir_order,
    pack,
    place,
    put_file,
    put_order,
    settle,
    waiting_for,
)
from tests.doubles.sources import append_pack, append_part, piece_of, upload_whole
from tests.waiting import DEADLINE_S

START = "files/upload_session/start"
APPEND = "files/upload_session/append_v2"
APPEND_BATCH = "files/upload_session/append_batch"


@pytest.fixture
def sandbox() -> Iterator[DropboxSandbox]:
    with DropboxSandbox(token="sandbox") as sandbox:
        yield sandbox


def connect(sandbox: DropboxSandbox, commit_route: str = FINISH_BATCH) -> DropboxBackend:
    url = sandbox.base_url
    settings = DropboxSettings(url, url, url, commit_route=commit_route)
    http = HttpSettings(read_timeout_s=DEADLINE_S)
    return DropboxBackend(settings, OneToken("sandbox"), SystemClock(), http)


@pytest.fixture
def backend(sandbox: DropboxSandbox) -> Iterator[DropboxBackend]:
    backend = connect(sandbox)
    yield backend
    backend.close()


@pytest.mark.parametrize(
    ("reuse", "launch", "route"),
    [
        *itertools.product(
            ["success", "not_found", "closed"], ["async", "complete"], [FINISH_BATCH, FINISH_BATCH_V2]
        )
    ],
)
def test_a_lost_commit_is_found_or_done_again_whatever_a_used_session_answers(
    sandbox: DropboxSandbox, reuse: str, launch: str, route: str
) -> None:
    sandbox.set_switches(session_reuse=reuse, launch_result=launch)
    backend = connect(sandbox, route)
    order = put_order("/x", upload_whole(backend, b"ours"), 4)
    sandbox.set_faults([FaultRule(route="*/finish_batch*", action=FaultKind.DROP_AFTER, count=1)])
    with pytest.raises(Offline):
        backend.submit([order])
    (outcome,) = settle(backend, [order])
    assert isinstance(outcome, File if reuse == "success" else SessionLost)
    standing = backend.stat(place("/x"))
    assert isinstance(standing, File)
    assert standing.content_hash == content_hash(HashKind.DROPBOX, b"ours")
    backend.close()


@pytest.mark.parametrize("answer", ["closed", "incorrect_offset"])
def test_a_closing_part_that_arrived_is_known_by_either_answer(
    sandbox: DropboxSandbox, backend: DropboxBackend, answer: str
) -> None:
    sandbox.set_switches(resent_close=answer)
    pieces = pack(backend, [b"small"])
    session = backend.open_session(place("/x"), None, None)
    sandbox.set_faults([FaultRule(route="*/append*", action=FaultKind.DROP_AFTER, every=2, after=-1)])
    with pytest.raises(Offline):
        append_pack(backend, pieces)
    assert append_pack(backend, pieces) == [None]
    with pytest.raises(Offline):
        append_part(backend, session, 0, b"large", closing=True, size_bytes=5)
    append_part(backend, session, 0, b"large", closing=True, size_bytes=5)
    outcomes = finish(backend, [put_order("/s", pieces[0].session, 5), put_order("/l", session, 5)])
    assert all(isinstance(outcome, File) for outcome in outcomes)


@pytest.mark.parametrize("status", [403, 404, 501])
def test_an_account_that_takes_no_packs_is_told(
    sandbox: DropboxSandbox, backend: DropboxBackend, status: int
) -> None:
    sandbox.set_switches(append_batch_status=status)
    with pytest.raises(BatchRefused):
        append_pack(backend, pack(backend, [b"a", b"b"]))
    put_file(backend, "/x", b"whole")


def test_a_pack_whose_header_is_too_long_can_be_halved(
    sandbox: DropboxSandbox, backend: DropboxBackend
) -> None:
    sandbox.set_switches(max_arg_header_bytes=8192)
    pieces = pack(backend, [b"x"] * 100)
    with pytest.raises(NotPassedOn):
        append_pack(backend, pieces)
    for start in range(0, 100, 25):
        assert append_pack(backend, pieces[start : start + 25]) == [None] * 25


def upload(backend: Backend) -> object:
    return upload_whole(backend, b"body")


def send_pack(backend: Backend) -> object:
    return append_pack(backend, [piece_of(b"body", "0:nobody")])


def append(backend: Backend) -> object:
    return append_part(backend, "8388608:nobody", 0, b"body", closing=True, size_bytes=4)


CALLS: list[tuple[str, Callable[[Backend], object]]] = [
    ("users/get_current_account", lambda backend: backend.account()),
    ("users/get_space_usage", lambda backend: backend.space()),
    ("files/list_folder", lambda backend: backend.list_folder(ROOT)),
    ("files/get_metadata", lambda backend: backend.stat(place("/x"))),
    ("files/list_folder/get_latest_cursor", lambda backend: backend.latest_cursor()),
    ("files/upload_session/start_batch", lambda backend: backend.new_sessions(2)),
    (START, upload),
    (APPEND_BATCH, send_pack),
    (APPEND, append),
    ("files/create_folder_batch", lambda backend: backend.submit([mkdir_order("/A")])),
]
FAULTS = {
    "500": FaultRule(action=FaultKind.REPLY, status=500),
    "503": FaultRule(action=FaultKind.REPLY, status=503, body="down"),
    "429": FaultRule(action=FaultKind.REPLY, status=429, body="slow down", retry_after_s=0.0),
    "busy": FaultRule(action=FaultKind.BUSY_NAMESPACE),
    "cut": FaultRule(action=FaultKind.CUT_BODY, cut_bytes=3),
    "dropped before": FaultRule(action=FaultKind.DROP_BEFORE),
    "dropped after": FaultRule(action=FaultKind.DROP_AFTER),
}


@pytest.mark.parametrize(("route", "call"), CALLS, ids=[route for route, _ in CALLS])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_transient_in_every_call(
    sandbox: DropboxSandbox,
    backend: DropboxBackend,
    route: str,
    call: Callable[[Backend], object],
    fault: str,
) -> None:
    sandbox.set_faults([replace(FAULTS[fault], route=route)])
    with pytest.raises(Transient) as caught:
        call(backend)
    assert isinstance(caught.value, Busy) is (fault == "busy")
    sandbox.set_faults([])
    try:
        call(backend)
    except MountfsError as error:
        assert not isinstance(error, Transient)


def test_silence_is_offline_within_the_time_out(sandbox: DropboxSandbox, backend: DropboxBackend) -> None:
    sandbox.set_faults([FaultRule(route="files/list_folder", action=FaultKind.STALL, stall_s=60.0, count=1)])
    with waiting_for(backend._http, 0.5), pytest.raises(Offline):
        backend.list_folder(ROOT)
    backend.account()  # its answer ends the silence
    assert backend.list_folder(ROOT) == []
