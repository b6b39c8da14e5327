"""What Box leaves open on its upload sessions: the client survives either answer."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace
from unittest.mock import Mock

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.faults import FaultKind, FaultRule
from mountfs.backends import filerange, wholehash
from mountfs.backends.box import backend as backend_module
from mountfs.backends.box import commits, intheway, smallfiles, uploads
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.commits import DIRECT_TRIES, MISMATCHES
from mountfs.backends.box.intheway import ENDS, IDLE_TRIES
from mountfs.backends.box.sessionparts import PART_TRIES
from mountfs.backends.box.smallfiles import DIRECT_BYTES
from mountfs.backends.box.uploads import ENDING_TRIES, OPENING_TRIES
from mountfs.errors import (
    Busy,
    Conflict,
    Locked,
    MountfsError,
    NotFound,
    Offline,
    Refused,
    ServerFault,
    SessionLost,
    Throttled,
    Transient,
    Unreachable,
)
from mountfs.model.entry import File
from mountfs.model.order import Part, Put
from mountfs.model.source import Source
from mountfs.ports import Done, Running
from tests.contract.boxes import BODY, PART, connect, statuses
from tests.contract.far import (
    delete_order,
    file_at,
    finish,
    large_order,
    make_folder,
    place,
    sent,
    upload_parts,
)
from tests.doubles.sources import append_part, source_of


@pytest.mark.parametrize(
    ("recommit", "result", "shape"),
    [*itertools.product(["result", "not_found", "gone", "conflict"], ["files", "file"], ["object", "array"])],
)
def test_a_lost_commit_is_found_or_done_again_whatever_a_used_session_answers(
    sandbox: BoxSandbox, box: BoxBackend, recommit: str, result: str, shape: str
) -> None:
    sandbox.set_switches(recommit=recommit, commit_result=result, conflict_shape=shape)
    session, parts = upload_parts(box, "/x", BODY)
    order = large_order(box, "/x", BODY, session, parts)
    sandbox.set_faults([FaultRule(route="sessions/commit", action=FaultKind.DROP_AFTER, count=1)])
    with pytest.raises(Offline):
        box.submit([order])
    (outcome,) = finish(box, [order])
    assert isinstance(outcome, File if recommit in ("result", "conflict") else SessionLost)
    standing = box.stat(place("/x"))
    assert isinstance(standing, File)
    assert standing.content_hash == order.content_hash
    assert sandbox.tree()["/x"]["versions"] == 1


@pytest.mark.parametrize("answer", ["gone", "not_found", "invalid"])
def test_an_expired_session_is_lost_whatever_it_answers(
    sandbox: BoxSandbox, box: BoxBackend, answer: str
) -> None:
    sandbox.set_switches(expired_session=answer)
    session, parts = upload_parts(box, "/x", BODY)
    sandbox.expire_sessions()
    with pytest.raises(SessionLost):
        append_part(box, session, 0, BODY[:PART], closing=False, size_bytes=None)
    (outcome,) = finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert isinstance(outcome, SessionLost)


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_parts_are_known_in_either_shape(sandbox: BoxSandbox, box: BoxBackend, is_wrapped: bool) -> None:
    sandbox.set_switches(wrapped_part=is_wrapped, only_session_urls=True)
    session, parts = upload_parts(box, "/x", BODY)
    (file,) = finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert isinstance(file, File)
    assert sandbox.read("/x") == BODY


def test_the_identical_commit_goes_out_until_it_is_done_also_after_a_restart(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.set_switches(pending_commits=2, commit_retry_after_s=7.0)
    session, parts = upload_parts(box, "/x", BODY)
    order = large_order(box, "/x", BODY, session, parts)
    launch = box.submit([order])
    assert isinstance(launch, Running)
    assert launch.retry_after_s == 7.0
    sandbox.set_switches(commit_retry_after_s=0.0)
    restarted = connect(sandbox)
    launch = restarted.poll(launch.job, [order])
    assert isinstance(launch, Running)
    launch = restarted.poll(launch.job, [order])
    assert isinstance(launch, Done)
    assert statuses(sandbox, "sessions/commit") == [202, 202, 201]
    assert sandbox.sessions() == []
    restarted.close()


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_commit_that_was_accepted_and_changes_meanwhile_is_one_of_another_session(
    sandbox: BoxSandbox, box: BoxBackend, *, is_restarted: bool
) -> None:
    """Its job was lost, and the file was given another time."""
    sandbox.set_switches(pending_commits=1)
    session, parts = upload_parts(box, "/x", BODY)
    order = large_order(box, "/x", BODY, session, parts)
    assert isinstance(box.submit([order]), Running)
    dated = replace(order, mtime_ns=order.mtime_ns + 10**9)
    later = connect(sandbox) if is_restarted else box
    (outcome,) = finish(later, [dated])
    assert isinstance(outcome, SessionLost)
    if later is not box:
        later.close()
    box.abandon(session)
    session, parts = upload_parts(box, "/x", BODY)
    (file,) = finish(box, [replace(dated, session=session, parts=tuple(parts))])
    assert isinstance(file, File)
    assert sandbox.sessions() == []


def test_parts_that_are_not_seen_yet_are_waited_for(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.set_switches(early_commits=2)
    session, parts = upload_parts(box, "/x", BODY)
    order = large_order(box, "/x", BODY, session, parts)
    waits = []
    launch = box.submit([order])
    while isinstance(launch, Running):
        waits.append(launch.retry_after_s)
        launch = box.poll(launch.job, [order])
    assert waits == [1.0, 2.0]
    assert isinstance(launch.outcomes[0], File)


def test_parts_that_are_never_seen_are_sent_again_in_the_end(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.set_switches(early_commits=100)
    session, parts = upload_parts(box, "/x", BODY)
    (outcome,) = finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert isinstance(outcome, SessionLost)


def test_a_commit_that_fails_by_a_condition_nobody_stated_is_one_of_another_session_in_the_end(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    session, parts = upload_parts(box, "/x", BODY)
    order = large_order(box, "/x", BODY, session, parts)
    sandbox.set_faults([FaultRule(route="sessions/commit", status=412)])
    for _ in range(MISMATCHES):
        with pytest.raises(ServerFault):
            box.submit([order])
    (outcome,) = finish(box, [order])
    assert isinstance(outcome, SessionLost)
    sandbox.set_faults([])
    box.abandon(session)
    session, parts = upload_parts(box, "/x", BODY)
    (file,) = finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert isinstance(file, File)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_a_part_too_long_for_memory_is_read_while_it_is_sent(
    sandbox: BoxSandbox, box: BoxBackend, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    """Parts of 64 MB, as Box makes them of large files, took 256 MB where four were on their way."""
    monkeypatch.setattr(backend_module, "PART_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(filerange, "READ_BYTES", PART // 4)
    monkeypatch.setattr(wholehash, "READ_BYTES", PART // 4)
    reads: list[int] = []

    def read(offset: int, length: int) -> bytes:
        reads.append(length)
        return BODY[offset : offset + length]

    source = Source("", read)
    session = box.open_session(place("/x"), len(BODY), None)
    parts = {}
    for number in order:
        offset = number * PART
        length = min(PART, len(BODY) - offset)
        receipt = box.append(session, source, offset, length, closing=False, size_bytes=None)
        parts[offset] = Part(offset, length, receipt)
    digest = box.whole_hash(session, source, len(BODY), [])
    assert max(reads) <= PART // 4
    assert sum(reads) == 3 * len(BODY)
    put = large_order(box, "/x", BODY, session, tuple(parts.values()))
    assert digest == put.content_hash
    (file,) = finish(box, [put])
    assert isinstance(file, File)
    assert sandbox.read("/x") == BODY
    assert statuses(sandbox, "sessions/part") == [200] * 3


def test_after_a_restart_only_missing_parts_are_sent(sandbox: BoxSandbox, box: BoxBackend) -> None:
    session = box.open_session(place("/x"), len(BODY), None)
    append_part(box, session, 0, BODY[:PART], closing=False, size_bytes=None)
    sandbox.log.reset()
    restarted = connect(sandbox)
    parts = []
    for offset in range(0, len(BODY), PART):
        piece = BODY[offset : offset + PART]
        receipt = append_part(restarted, session, offset, piece, closing=False, size_bytes=len(BODY))
        parts.append(Part(offset, len(piece), receipt))
    (file,) = finish(restarted, [large_order(restarted, "/x", BODY, session, parts)])
    assert isinstance(file, File)
    assert statuses(sandbox, "sessions/part") == [200, 200]
    restarted.close()


def test_a_part_whose_reply_was_lost_is_looked_for_before_it_is_sent_again(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    session = box.open_session(place("/x"), len(BODY), None)
    sandbox.set_faults([FaultRule(route="sessions/part", action=FaultKind.DROP_AFTER, count=1)])
    with pytest.raises(Offline):
        append_part(box, session, 0, BODY[:PART], closing=False, size_bytes=None)
    sandbox.log.reset()
    assert append_part(box, session, 0, BODY[:PART], closing=False, size_bytes=None)
    assert statuses(sandbox, "sessions/part") == []


def test_a_part_that_overlaps_with_other_bytes_makes_the_session_worthless(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    session = box.open_session(place("/x"), len(BODY), None)
    append_part(box, session, 0, BODY[:PART], closing=False, size_bytes=None)
    with pytest.raises(SessionLost):
        append_part(box, session, 0, bytes(PART), closing=False, size_bytes=None)


def test_a_file_goes_up_in_another_session_where_one_takes_no_part(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    session = box.open_session(place("/x"), len(BODY), None)
    sandbox.set_faults([FaultRule(route="sessions/part", status=412, count=PART_TRIES)])
    for _ in range(PART_TRIES - 1):
        with pytest.raises(ServerFault):
            append_part(box, session, 0, BODY[:PART], closing=False, size_bytes=len(BODY))
    with pytest.raises(SessionLost):
        append_part(box, session, 0, BODY[:PART], closing=False, size_bytes=len(BODY))
    box.abandon(session)
    again, parts = upload_parts(box, "/x", BODY)
    assert again != session
    (file,) = finish(box, [large_order(box, "/x", BODY, again, parts)])
    assert isinstance(file, File)
    assert sandbox.sessions() == []


def test_a_file_too_small_for_a_session_travels_with_its_commit(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.set_switches(min_session_bytes=20 * 2**20)
    session, parts = upload_parts(box, "/x", BODY)
    order = large_order(box, "/x", BODY, session, parts)
    (file,) = finish(box, [replace(order, body=source_of(BODY))])
    assert isinstance(file, File)
    assert sandbox.read("/x") == BODY


def test_a_session_in_the_way_is_waited_for_and_never_ended(sandbox: BoxSandbox, box: BoxBackend) -> None:
    """It may be one that another process is filling."""
    sandbox.set_switches(session_conflict=True)
    other = connect(sandbox)
    theirs = other.open_session(place("/x"), len(BODY), None)
    with pytest.raises(Busy):
        box.open_session(place("/x"), len(BODY), None)
    assert len(sandbox.sessions()) == 1
    assert statuses(sandbox, "sessions/abort") == []
    other.abandon(theirs)
    other.close()
    session, parts = upload_parts(box, "/x", BODY)
    (file,) = finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert isinstance(file, File)
    assert sandbox.sessions() == []


def test_a_file_travels_with_its_commit_where_the_session_in_the_way_never_ends(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.set_switches(session_conflict=True)
    stuck = box.open_session(place("/x"), len(BODY), None)
    failing = FaultRule(route="sessions/create", status=500, count=1, after=OPENING_TRIES - 1)
    sandbox.set_faults([FaultRule(route="sessions/abort", status=412), failing])
    for _ in range(OPENING_TRIES - 1):
        with pytest.raises(Busy):
            box.open_session(place("/x"), len(BODY), None)
    with pytest.raises(ServerFault):  # which tells nothing of the session in the way
        box.open_session(place("/x"), len(BODY), None)
    session, parts = upload_parts(box, "/x", BODY)
    order = replace(large_order(box, "/x", BODY, session, parts), body=source_of(BODY))
    (file,) = finish(box, [order])
    assert isinstance(file, File)
    assert sandbox.read("/x") == BODY
    for _ in range(ENDING_TRIES - 1):
        with pytest.raises(ServerFault):
            box.abandon(stuck)
    with pytest.raises(Refused):
        box.abandon(stuck)


def test_a_file_that_needs_a_session_waits_for_the_one_in_the_way(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.set_switches(session_conflict=True)
    stuck = box.open_session(place("/x"), DIRECT_BYTES + 1, None)
    for _ in range(OPENING_TRIES + 1):
        with pytest.raises(Busy):
            box.open_session(place("/x"), DIRECT_BYTES + 1, None)
    box.abandon(stuck)
    assert box.part_bytes(box.open_session(place("/x"), DIRECT_BYTES + 1, None)) == PART


@pytest.fixture
def large(sandbox: BoxSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """BODY needs a session, and there is one for each name at most."""
    monkeypatch.setattr(uploads, "DIRECT_BYTES", 0)
    monkeypatch.setattr(smallfiles, "DIRECT_BYTES", 0)
    monkeypatch.setattr(intheway, "IDLE_S", 0.0)
    sandbox.set_switches(session_conflict=True)


def blocked(box: BoxBackend, size_bytes: int, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Busy):
            box.open_session(place("/x"), size_bytes, None)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("sent_parts", [0, 1])
def test_a_session_in_the_way_that_nobody_fills_is_gone_on_with(
    sandbox: BoxSandbox, box: BoxBackend, sent_parts: int
) -> None:
    """A kill before its row was written, or an end that the service refuses, leaves such."""
    other = connect(sandbox)
    theirs = other.open_session(place("/x"), len(BODY), None)
    if sent_parts:
        append_part(other, theirs, 0, BODY[:PART], closing=False, size_bytes=None)
    other.close()
    blocked(box, len(BODY), IDLE_TRIES - 1)
    sandbox.log.reset()
    session, parts = upload_parts(box, "/x", BODY)
    assert len(statuses(sandbox, "sessions/part")) == len(parts) - sent_parts
    (file,) = finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert isinstance(file, File)
    assert sandbox.read("/x") == BODY
    assert sandbox.sessions() == []


@pytest.mark.usefixtures("large")
def test_a_session_in_the_way_is_not_taken_from_who_fills_it_by_many_tries_at_once(
    sandbox: BoxSandbox, box: BoxBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is saved each second is tried anew each second: a part takes another machine longer."""
    monkeypatch.setattr(intheway, "IDLE_S", 480.0)
    other = connect(sandbox)
    session = other.open_session(place("/x"), len(BODY), None)
    blocked(box, len(BODY), 2 * IDLE_TRIES)
    append_part(other, session, 0, BODY[:PART], closing=False, size_bytes=None)
    other.close()


@pytest.mark.usefixtures("large")
def test_a_session_in_the_way_that_gets_parts_is_waited_for(sandbox: BoxSandbox, box: BoxBackend) -> None:
    other = connect(sandbox)
    theirs = other.open_session(place("/x"), len(BODY), None)
    blocked(box, len(BODY), IDLE_TRIES - 1)
    append_part(other, theirs, 0, BODY[:PART], closing=False, size_bytes=None)
    blocked(box, len(BODY), IDLE_TRIES - 1)
    other.close()


@pytest.mark.usefixtures("large")
def test_a_session_in_the_way_for_a_file_of_more_parts_is_ended_once_nobody_fills_it(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    """It is of no use to this file, which would wait for a week."""
    other = connect(sandbox)
    theirs = other.open_session(place("/x"), len(BODY) + PART, None)
    append_part(other, theirs, 0, BODY[:PART], closing=False, size_bytes=None)
    other.close()
    blocked(box, len(BODY), IDLE_TRIES - 1)
    assert statuses(sandbox, "sessions/abort") == []
    blocked(box, len(BODY), 1)
    session, parts = upload_parts(box, "/x", BODY)
    finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert sandbox.read("/x") == BODY
    assert sandbox.sessions() == []


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("status", [403, 412, 503])
def test_a_large_file_goes_up_in_one_request_where_the_session_in_the_way_does_not_end(
    sandbox: BoxSandbox, box: BoxBackend, status: int
) -> None:
    connect(sandbox).open_session(place("/x"), len(BODY) + PART, None)
    sandbox.set_faults([FaultRule(route="sessions/abort", status=status)])
    blocked(box, len(BODY), IDLE_TRIES - 1 + ENDS)
    session, parts = upload_parts(box, "/x", BODY)
    order = replace(large_order(box, "/x", BODY, session, parts), body=source_of(BODY))
    finish(box, [order])
    assert sandbox.read("/x") == BODY
    assert len(statuses(sandbox, "sessions/abort")) == ENDS


@pytest.mark.usefixtures("large")
def test_a_large_file_waits_where_the_service_takes_it_neither_in_one_request_nor_in_a_session(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    connect(sandbox).open_session(place("/x"), len(BODY) + PART, None)
    refused = FaultRule(route="sessions/abort", status=403)
    sandbox.set_faults([refused, FaultRule(route="files/upload", status=413)])
    blocked(box, len(BODY), IDLE_TRIES - 1 + ENDS)
    session, parts = upload_parts(box, "/x", BODY)
    order = replace(large_order(box, "/x", BODY, session, parts), body=source_of(BODY))
    (outcome,) = finish(box, [order])
    assert isinstance(outcome, SessionLost)
    blocked(box, len(BODY), 2)
    sandbox.set_faults([])
    sandbox.expire_sessions()
    session, parts = upload_parts(box, "/x", BODY)
    finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert sandbox.read("/x") == BODY


def direct_order(sandbox: BoxSandbox, box: BoxBackend) -> Put:
    """Of a large file, in whose way is a session that does not end."""
    connect(sandbox).open_session(place("/x"), len(BODY) + PART, None)
    sandbox.set_faults([FaultRule(route="sessions/abort", status=403)])
    blocked(box, len(BODY), IDLE_TRIES - 1 + ENDS)
    session, parts = upload_parts(box, "/x", BODY)
    return replace(large_order(box, "/x", BODY, session, parts), body=source_of(BODY))


def fail(box: BoxBackend, order: Put, error: MountfsError, times: int) -> None:
    """Sends *order* so often in one request, which ends with *error* each time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(smallfiles.SmallFiles, "put", Mock(side_effect=error))
        for _ in range(times):
            with suppress(type(error)):
                assert finish(box, [order]) == (error,)


@pytest.mark.usefixtures("large")
def test_a_large_file_in_one_request_is_tried_anew_after_a_trouble_of_the_service(
    sandbox: BoxSandbox, box: BoxBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some tries in a row are over within a minute, and the session in the way stands for a week."""
    order = direct_order(sandbox, box)
    fail(box, order, ServerFault("busy"), DIRECT_TRIES)
    monkeypatch.setattr(commits, "DIRECT_REST_S", 0.0)
    (outcome,) = finish(box, [order])
    assert isinstance(outcome, SessionLost)
    session, parts = upload_parts(box, "/x", BODY)
    finish(box, [replace(order, session=session, parts=tuple(parts))])
    assert sandbox.read("/x") == BODY


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("error", [Unreachable("down"), Throttled("slow"), Locked("theirs")])
def test_only_requests_with_a_large_file_that_break_off_count(
    sandbox: BoxSandbox, box: BoxBackend, error: MountfsError
) -> None:
    order = direct_order(sandbox, box)
    fail(box, order, error, 2 * DIRECT_TRIES)
    finish(box, [order])
    assert sandbox.read("/x") == BODY


@pytest.mark.usefixtures("large")
def test_a_large_file_whose_requests_break_off_is_not_sent_for_a_while(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    order = direct_order(sandbox, box)
    fail(box, order, Offline("cut"), DIRECT_TRIES)
    (outcome,) = finish(box, [order])
    assert isinstance(outcome, SessionLost)
    blocked(box, len(BODY), 2)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("theirs", [bytes(len(BODY)), BODY[:-1]], ids=["other bytes", "another size"])
def test_a_session_in_the_way_with_another_file_s_parts_is_lost_and_ended(
    sandbox: BoxSandbox, box: BoxBackend, theirs: bytes
) -> None:
    other = connect(sandbox)
    in_the_way = other.open_session(place("/x"), len(theirs), None)
    append_part(other, in_the_way, 0, theirs[:PART], closing=False, size_bytes=None)
    other.close()
    blocked(box, len(BODY), IDLE_TRIES - 1)
    session = box.open_session(place("/x"), len(BODY), None)
    with pytest.raises(SessionLost):
        for offset in (0, PART):
            append_part(box, session, offset, BODY[offset : offset + PART], closing=False, size_bytes=None)
    blocked(box, len(BODY), 1)
    box.abandon(session)
    session, parts = upload_parts(box, "/x", BODY)
    (file,) = finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert isinstance(file, File)
    assert sandbox.read("/x") == BODY


@pytest.mark.usefixtures("large")
def test_a_session_that_was_of_no_use_is_ended_when_it_is_met_again(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    connect(sandbox).open_session(place("/x"), len(BODY), None)
    blocked(box, len(BODY), IDLE_TRIES - 1)
    box.open_session(place("/x"), len(BODY), None)
    blocked(box, len(BODY), IDLE_TRIES)
    assert sandbox.sessions() == []


def test_a_session_whose_opening_was_never_heard_of_is_ended_when_it_is_in_the_way(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.set_switches(session_conflict=True)
    sandbox.set_faults([FaultRule(route="sessions/create", action=FaultKind.DROP_AFTER, count=1)])
    with pytest.raises(Offline):
        box.open_session(place("/x"), len(BODY), None)
    with pytest.raises(Busy):
        box.open_session(place("/x"), len(BODY), None)
    session, parts = upload_parts(box, "/x", BODY)
    (file,) = finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert isinstance(file, File)
    assert sandbox.sessions() == []


def test_a_file_travels_with_its_commit_where_the_session_that_was_never_heard_of_does_not_end(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    sandbox.set_switches(session_conflict=True)
    lost = FaultRule(route="sessions/create", action=FaultKind.DROP_AFTER, count=1)
    sandbox.set_faults([lost, FaultRule(route="sessions/abort", status=412)])
    with pytest.raises(Offline):
        box.open_session(place("/x"), len(BODY), None)
    for _ in range(OPENING_TRIES - 1):
        with pytest.raises(Busy):
            box.open_session(place("/x"), len(BODY), None)
    session, parts = upload_parts(box, "/x", BODY)
    order = replace(large_order(box, "/x", BODY, session, parts), body=source_of(BODY))
    (file,) = finish(box, [order])
    assert isinstance(file, File)
    assert len(statuses(sandbox, "sessions/abort")) == OPENING_TRIES


@pytest.mark.parametrize("size_bytes", [len(BODY), 60_000_000])
def test_a_name_that_is_taken_is_a_conflict_before_any_byte_is_sent(
    sandbox: BoxSandbox, box: BoxBackend, size_bytes: int
) -> None:
    sandbox.write("/x", b"theirs")
    body = BODY[:1] * size_bytes
    session, parts = upload_parts(box, "/x", body)
    order = replace(large_order(box, "/x", body, session, parts), body=sent(box, "/x", body).body)
    (outcome,) = finish(box, [order])
    assert isinstance(outcome, Conflict)
    assert statuses(sandbox, "sessions/part") == []
    assert statuses(sandbox, "files/upload") == []
    (beside,) = finish(box, [replace(order, place=place("/x (copy)"))])
    # What does not go in one request needs a session under its new name.
    assert isinstance(beside, File if size_bytes <= 50_000_000 else SessionLost)
    assert sandbox.read("/x") == b"theirs"


@pytest.mark.parametrize("shape", ["object", "array"])
def test_a_name_that_is_taken_by_the_same_bytes_is_done(
    sandbox: BoxSandbox, box: BoxBackend, shape: str
) -> None:
    sandbox.set_switches(conflict_shape=shape)
    sandbox.write("/x", BODY)
    session, parts = upload_parts(box, "/x", BODY)
    order = replace(large_order(box, "/x", BODY, session, parts), body=sent(box, "/x", BODY).body)
    (outcome,) = finish(box, [order])
    assert outcome == box.stat(place("/x"))
    assert statuses(sandbox, "files/upload") == []


def test_a_name_that_was_taken_and_is_free_again_is_given(sandbox: BoxSandbox, box: BoxBackend) -> None:
    sandbox.write("/x", b"theirs")
    session, parts = upload_parts(box, "/x", BODY)
    order = replace(large_order(box, "/x", BODY, session, parts), body=sent(box, "/x", BODY).body)
    theirs = box.stat(place("/x"))
    assert isinstance(theirs, File)
    other = connect(sandbox)
    finish(other, [delete_order("/x", theirs.revision, item_id=theirs.id)])
    other.close()
    (file,) = finish(box, [order])
    assert isinstance(file, File)
    assert sandbox.read("/x") == BODY


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "version"])
def test_a_session_whose_bytes_stand_there_already_is_told_to_be_unused(
    sandbox: BoxSandbox, box: BoxBackend, is_new: bool
) -> None:
    base = None
    if not is_new:
        sandbox.write("/x", b"before")
        standing = box.stat(place("/x"))
        assert isinstance(standing, File)
        base = standing.revision
    session = box.open_session(place("/x"), len(BODY), base)
    parts = send_parts(box, session)
    sandbox.write("/x", BODY)
    order = replace(large_order(box, "/x", BODY, session, parts), base_revision=base)
    launch = box.submit([order])
    assert isinstance(launch, Done)
    assert isinstance(launch.outcomes[0], File)
    assert launch.unused_sessions == (session,)
    box.abandon(session)
    assert sandbox.sessions() == []


def test_a_session_is_not_committed_to_another_place(sandbox: BoxSandbox, box: BoxBackend) -> None:
    session, parts = upload_parts(box, "/x", BODY)
    (outcome,) = finish(box, [large_order(box, "/y", BODY, session, parts)])
    assert isinstance(outcome, SessionLost)
    assert sandbox.tree() == {}


def test_nothing_is_uploaded_for_a_folder_that_is_gone(sandbox: BoxSandbox, box: BoxBackend) -> None:
    folder = make_folder(box, "/A")
    session = box.open_session(place("/A/x", folder.id), len(BODY), None)
    parts = send_parts(box, session)
    sandbox.delete("/A")
    sandbox.create_folder("/A")
    with pytest.raises(NotFound, match="gone"):
        box.open_session(place("/A/x", folder.id), len(BODY), None)
    # The folder that has the name by now is not the one that the session was opened for.
    order = large_order(box, "/A/x", BODY, session, parts)
    (outcome,) = finish(box, [order])
    assert isinstance(outcome, SessionLost)
    assert set(sandbox.tree()) == {"/A"}


def send_parts(box: BoxBackend, session: str) -> list[Part]:
    return [
        Part(
            offset,
            len(BODY[offset : offset + PART]),
            append_part(
                box, session, offset, BODY[offset : offset + PART], closing=False, size_bytes=len(BODY)
            ),
        )
        for offset in range(0, len(BODY), PART)
    ]


def test_a_session_for_a_new_file_is_none_for_a_version_while_the_file_stands(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    session = box.open_session(place("/x"), len(BODY), None)
    parts = send_parts(box, session)
    sandbox.write("/x", b"theirs")
    theirs = file_at(box, "/x")
    order = large_order(box, "/x", BODY, session, parts, base=theirs.revision)
    (outcome,) = finish(box, [order])
    assert isinstance(outcome, SessionLost)
    sandbox.move("/x", "/theirs")
    (file,) = finish(box, [order])
    assert isinstance(file, File)
    assert file.id != theirs.id
    assert (sandbox.read("/x"), sandbox.read("/theirs")) == (BODY, b"theirs")


def test_a_large_version_of_a_file_others_moved_away_becomes_a_new_file(
    sandbox: BoxSandbox, box: BoxBackend
) -> None:
    """Its first session is for the file that is elsewhere by now; the bytes travel again only once."""
    sandbox.write("/x", b"one")
    first = file_at(box, "/x")
    session, parts = upload_parts(box, "/x", BODY, base=first.revision)
    sandbox.move("/x", "/theirs")
    (outcome,) = finish(box, [large_order(box, "/x", BODY, session, parts, base=first.revision)])
    assert isinstance(outcome, SessionLost)
    session, parts = upload_parts(box, "/x", BODY, base=first.revision)
    (second,) = finish(box, [large_order(box, "/x", BODY, session, parts, base=first.revision)])
    assert isinstance(second, File)
    assert second.id != first.id
    assert (sandbox.read("/x"), sandbox.read("/theirs")) == (BODY, b"one")
    # Where it came back, it gets a version again.
    sandbox.delete("/x")
    sandbox.move("/theirs", "/x")
    back = file_at(box, "/x")
    session, parts = upload_parts(box, "/x", BODY, base=back.revision)
    (third,) = finish(box, [large_order(box, "/x", BODY, session, parts, base=back.revision)])
    assert isinstance(third, File)
    assert third.id == first.id


def test_who_abandons_a_session_is_told_that_it_is_still_open(sandbox: BoxSandbox, box: BoxBackend) -> None:
    session = box.open_session(place("/x"), len(BODY), None)
    sandbox.pause()
    with pytest.raises(Transient):
        box.abandon(session)
    sandbox.resume()
    sandbox.set_faults([FaultRule(route="sessions/abort", status=503, count=1)])
    with pytest.raises(ServerFault):
        box.abandon(session)
    assert len(sandbox.sessions()) == 1
    box.abandon(session)
    assert sandbox.sessions() == []


def test_what_is_over_or_never_was_is_abandoned_without_a_word(sandbox: BoxSandbox, box: BoxBackend) -> None:
    session = box.open_session(place("/x"), len(BODY), None)
    box.abandon(session)
    box.abandon(session)
    assert statuses(sandbox, "sessions/abort") == [204, 404]
    sandbox.write("/taken", b"theirs")
    sandbox.log.reset()
    box.abandon(box.open_session(place("/taken"), len(BODY), None))
    box.abandon("unknown")
    assert statuses(sandbox, "sessions/abort") == []
