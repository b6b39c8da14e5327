"""The port's rules on upload sessions: packs of small files, parts of large ones, and lost replies."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.errors import (
    Conflict,
    InvalidArgument,
    MountfsError,
    Refused,
    RequestTooBig,
    Resend,
    SessionLost,
)
from mountfs.model.entry import File
from mountfs.model.hashing import BLOCK_BYTES, content_hash
from mountfs.model.order import Part
from mountfs.model.pendingbytes import Unreadable
from mountfs.ports import Backend
from tests.contract.far import (
    Far,
    finish,
    large_order,
    open_large,
    pack,
    place,
    put_file,
    put_order,
    upload_parts,
)
from tests.doubles.sources import (
    append_pack,
    append_part,
    piece_of,
    source_at,
    source_of,
    upload_whole,
    whole_hash,
)

BLOCK = bytes(range(256)) * (BLOCK_BYTES // 256)


def commit(backend: Backend, path: str, session: str, size_bytes: int) -> File:
    (outcome,) = finish(backend, [put_order(path, session, size_bytes)])
    assert isinstance(outcome, File), outcome
    return outcome


def commit_large(backend: Backend, path: str, body: bytes, session: str, parts: Sequence[Part]) -> File:
    (outcome,) = finish(backend, [large_order(backend, path, body, session, parts)])
    assert isinstance(outcome, File), outcome
    assert whole_hash(backend, session, body, parts) == outcome.content_hash
    assert outcome.content_hash == content_hash(backend.limits.hash_kind, body)
    return outcome


def test_a_pack_carries_many_small_files(packing: Far) -> None:
    backend = packing.backend
    pieces = pack(backend, [b"one", b"", b"three"])
    assert append_pack(backend, pieces) == [None, None, None]
    for at, piece in enumerate(pieces):
        commit(backend, f"/{at}", piece.session, piece.length)
    assert [packing.read(f"/{at}") for at in range(3)] == [b"one", b"", b"three"]


@pytest.mark.parametrize("empty_at", [0, 1, 2])
def test_a_pack_of_one_larger_file_and_empty_ones_arrives(packing: Far, empty_at: int) -> None:
    """All the bytes of the request are those of one file."""
    backend, bodies = packing.backend, [b"", b""]
    bodies.insert(empty_at, b"x" * (1024 * 1024 + 1))
    pieces = pack(backend, bodies)
    assert append_pack(backend, pieces) == [None, None, None]
    for at, piece in enumerate(pieces):
        commit(backend, f"/{at}", piece.session, piece.length)
    assert [packing.read(f"/{at}") for at in range(3)] == bodies


def test_every_session_is_another(packing: Far) -> None:
    backend = packing.backend
    assert len(set(backend.new_sessions(10)) | {upload_whole(backend, b"x")}) == 11


def test_a_pack_sent_again_after_a_lost_reply_is_a_success(packing: Far) -> None:
    backend = packing.backend
    pieces = pack(backend, [b"one", b"", b"three"])
    packing.lose_reply("append_pack")
    with pytest.raises(MountfsError):
        append_pack(backend, pieces)
    assert append_pack(backend, pieces) == [None, None, None]
    commit(backend, "/x", pieces[2].session, 5)
    assert packing.read("/x") == b"three"


def test_a_piece_without_a_session_fails_alone(packing: Far) -> None:
    backend = packing.backend
    lost, kept = pack(backend, [b"lost", b"kept"])
    packing.lose_sessions(lost.session)
    (fresh,) = pack(backend, [b"fresh"])
    first, second = append_pack(backend, [lost, fresh])
    assert isinstance(first, SessionLost)
    assert second is None
    assert kept.session != fresh.session


def test_a_session_closed_with_other_bytes_is_no_success(packing: Far) -> None:
    backend = packing.backend
    (piece,) = pack(backend, [b"four"])
    assert append_pack(backend, [piece]) == [None]
    (outcome,) = append_pack(backend, [piece_of(b"and more", piece.session)])
    # A service that only says "closed" cannot tell; the hash in the commit's reply does.
    assert outcome is None or isinstance(outcome, Resend)


def test_a_large_file_goes_in_parts(far: Far, backend: Backend) -> None:
    body = BLOCK * 4 + b"the rest"
    session, parts = upload_parts(backend, "/large", body)
    assert len(parts) == 3
    commit_large(backend, "/large", body, session, parts)
    assert far.read("/large") == body


@pytest.mark.parametrize("is_closed_empty", [False, True])
def test_a_file_of_whole_parts_is_closed_by_its_last_or_an_empty_one(
    far: Far, backend: Backend, is_closed_empty: bool
) -> None:
    body = BLOCK * 4
    session, parts = upload_parts(backend, "/large", body, is_closed_empty=is_closed_empty)
    commit_large(backend, "/large", body, session, parts)
    assert far.read("/large") == body


def test_a_large_file_replaces_a_revision_and_keeps_its_id(far: Far, backend: Backend) -> None:
    first = put_file(backend, "/large", b"one")
    body = BLOCK * 3
    session, parts = upload_parts(backend, "/large", body, base=first.revision)
    (second,) = finish(backend, [large_order(backend, "/large", body, session, parts, base=first.revision)])
    assert isinstance(second, File)
    assert second.id == first.id
    assert far.read("/large") == body


def test_a_large_file_does_not_replace_what_somebody_changed(far: Far, backend: Backend) -> None:
    first = put_file(backend, "/large", b"one")
    body = BLOCK * 3
    session, parts = upload_parts(backend, "/large", body, base=first.revision)
    far.write("/large", b"theirs")
    (outcome,) = finish(backend, [large_order(backend, "/large", body, session, parts, base=first.revision)])
    assert isinstance(outcome, Conflict)
    assert far.read("/large") == b"theirs"


def test_a_large_file_takes_no_place_that_was_taken_meanwhile(far: Far, backend: Backend) -> None:
    body = BLOCK * 3
    session, parts = upload_parts(backend, "/large", body)
    far.write("/large", b"theirs")
    (outcome,) = finish(backend, [large_order(backend, "/large", body, session, parts)])
    assert isinstance(outcome, Conflict)
    assert far.read("/large") == b"theirs"


def test_a_large_session_may_end_up_empty(packing: Far) -> None:
    backend = packing.backend
    session = backend.open_session(place("/x"), None, None)
    append_part(backend, session, 0, b"", closing=True, size_bytes=0)
    assert whole_hash(backend, session, b"", []) == commit(backend, "/x", session, 0).content_hash


def test_parts_go_in_any_order_and_at_once(far: Far, backend: Backend) -> None:
    step = backend.limits.chunk_bytes
    body = b"".join(bytes([at]) * step for at in range(4)) + b"end"
    session = open_large(backend, "/x", len(body))
    assert backend.part_bytes(session) == step
    with ThreadPoolExecutor(4) as pool:
        sent = {
            offset: pool.submit(
                append_part,
                backend,
                session,
                offset,
                body[offset : offset + step],
                closing=False,
                size_bytes=None,
                whole=body,
            )
            for offset in reversed(range(0, 4 * step, step))
        }
        parts = [Part(offset, step, future.result()) for offset, future in sent.items()]
    for size_bytes in (len(body), None):
        receipt = append_part(
            backend, session, 4 * step, b"end", closing=True, size_bytes=size_bytes, whole=body
        )
    parts.append(Part(4 * step, 3, receipt))
    commit_large(backend, "/x", body, session, parts)
    assert far.read("/x") == body


@pytest.mark.parametrize("closing", [False, True])
def test_a_part_sent_again_after_a_lost_reply_is_a_success(far: Far, backend: Backend, closing: bool) -> None:
    body = BLOCK * (backend.limits.chunk_bytes // BLOCK_BYTES)
    session = open_large(backend, "/x", len(body))
    far.lose_reply("append")
    with pytest.raises(MountfsError):
        append_part(backend, session, 0, body, closing=closing, size_bytes=None)
    receipt = append_part(backend, session, 0, body, closing=closing, size_bytes=None)
    assert receipt
    if not closing:
        append_part(backend, session, len(body), b"", closing=True, size_bytes=len(body))
    commit_large(backend, "/x", body, session, [Part(0, len(body), receipt)])


def test_a_part_is_as_long_as_the_session_demands(backend: Backend) -> None:
    session = open_large(backend, "/x", 2 * backend.limits.chunk_bytes)
    with pytest.raises(InvalidArgument):
        append_part(backend, session, 0, b"short", closing=False, size_bytes=None)


def test_a_part_for_a_lost_session_must_begin_again(far: Far, backend: Backend) -> None:
    session = open_large(backend, "/x", 1)
    far.lose_sessions(session)
    with pytest.raises(SessionLost):
        append_part(backend, session, 0, b"x", closing=True, size_bytes=1)


def test_a_session_that_expired_before_its_commit_must_be_sent_again(far: Far, backend: Backend) -> None:
    session, parts = upload_parts(backend, "/x", b"body")
    far.lose_sessions(session)
    (outcome,) = finish(backend, [large_order(backend, "/x", b"body", session, parts)])
    assert isinstance(outcome, SessionLost)


def test_a_session_with_a_gap_is_not_committed(backend: Backend) -> None:
    step = backend.limits.chunk_bytes
    body = bytes(step) + b"end"
    session = open_large(backend, "/x", len(body))
    try:
        receipt = append_part(backend, session, step, b"end", closing=True, size_bytes=step + 3)
    except (Refused, Resend):
        return
    (outcome,) = finish(backend, [large_order(backend, "/x", body, session, [Part(step, 3, receipt)])])
    assert isinstance(outcome, Resend)


def test_an_abandoned_session_troubles_nobody(far: Far, backend: Backend) -> None:
    session = open_large(backend, "/x", 1000)
    backend.abandon(session)
    backend.abandon(session)
    backend.abandon("unknown")


def test_what_parts_do_not_tell_of_a_hash_is_read(backend: Backend) -> None:
    body = BLOCK * 4 + b"x"
    right = content_hash(backend.limits.hash_kind, body)
    session, parts = upload_parts(backend, "/x", body)
    assert whole_hash(backend, session, body, parts[1:]) == right
    assert whole_hash(backend, session, body, [parts[0], parts[2]]) == right
    assert whole_hash(backend, "another session", body, ()) == right


def test_a_file_that_was_written_over_holds_the_parts_of_its_session_no_more(packing: Far) -> None:
    backend = packing.backend
    body = BLOCK * 4 + b"x"
    session, parts = upload_parts(backend, "/x", body)
    assert backend.resume(session, source_of(body), len(body), parts)
    assert backend.resume(session, source_of(body), len(body), parts[:1])
    changed = source_of(body[:-2] + b"yx")
    assert not backend.resume(session, changed, len(body), parts)
    assert backend.resume(session, changed, len(body), parts[:1])
    assert not backend.resume(session, source_of(body), len(body) - 1, parts)


def test_what_a_former_process_sent_is_part_of_the_hash(far: Far, backend: Backend) -> None:
    step = backend.limits.chunk_bytes
    body = BLOCK * (2 * step // BLOCK_BYTES) + b"end"
    session = open_large(backend, "/x", len(body))
    parts = [
        Part(
            step,
            step,
            append_part(backend, session, step, body[step : 2 * step], closing=False, size_bytes=None),
        )
    ]
    restarted = far.another()
    assert restarted.resume(session, source_of(body), len(body), parts)
    for offset in (0, 2 * step):
        part = body[offset : offset + step]
        is_last = offset > step
        receipt = append_part(
            restarted, session, offset, part, closing=is_last, size_bytes=len(body), whole=body
        )
        parts.append(Part(offset, len(part), receipt))
    commit_large(restarted, "/x", body, session, sorted(parts, key=lambda part: part.offset))


def test_a_piece_that_cannot_be_read_fails_alone(packing: Far, tmp_path: Path) -> None:
    backend = packing.backend
    lost, kept, short = pack(backend, [b"lost", b"kept", b"short"])
    gone = replace(lost, source=source_at(tmp_path / "gone"))
    results = backend.append_pack([gone, kept, replace(short, length=6)])
    assert [type(each) for each in results] == [Unreadable, str, Unreadable]
    commit(backend, "/kept", kept.session, 4)
    assert packing.read("/kept") == b"kept"
    with pytest.raises(Unreadable):
        backend.upload_whole(gone)
    assert [type(each) for each in backend.content_hashes([gone, kept])] == [Unreadable, str]


def test_a_session_survives_a_restart(far: Far, backend: Backend) -> None:
    step = backend.limits.chunk_bytes
    body = BLOCK * (step // BLOCK_BYTES) + b"end"
    session = open_large(backend, "/x", len(body))
    first = append_part(backend, session, 0, body[:step], closing=False, size_bytes=None)
    restarted = far.another()
    assert restarted.part_bytes(session) == step
    last = append_part(restarted, session, step, b"end", closing=True, size_bytes=len(body), whole=body)
    commit_large(restarted, "/x", body, session, [Part(0, step, first), Part(step, 3, last)])
    assert far.read("/x") == body


def test_more_than_a_pack_takes_is_too_big_or_taken(packing: Far) -> None:
    backend = packing.backend
    pieces = pack(backend, [b"x"] * (backend.limits.pack_entries + 1))
    try:
        assert append_pack(backend, pieces) == [None] * len(pieces)
    except RequestTooBig:
        assert append_pack(backend, pieces[:1]) == [None]
