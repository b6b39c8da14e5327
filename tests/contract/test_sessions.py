"""The port's rules on upload sessions: packs of small files, parts of large ones, and lost replies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mountfs.errors import InvalidArgument, MountfsError, Refused, RequestTooBig, Resend, SessionLost
from mountfs.model.entry import File
from mountfs.model.hashing import BLOCK_BYTES, HashKind, content_hash
from mountfs.model.path import RemotePath
from mountfs.ports import Backend, Part, Piece
from tests.contract.far import Far, finish, pack, put_order, upload_parts

BLOCK = bytes(range(256)) * (BLOCK_BYTES // 256)


def commit(backend: Backend, path: str, session: str, size_bytes: int) -> File:
    (outcome,) = finish(backend, [put_order(path, session, size_bytes)])
    assert isinstance(outcome, File), outcome
    return outcome


def test_a_pack_carries_many_small_files(far: Far, backend: Backend) -> None:
    pieces = pack(backend, [b"one", b"", b"three"])
    assert backend.append_pack(pieces) == [None, None, None]
    for at, piece in enumerate(pieces):
        commit(backend, f"/{at}", piece.session, len(piece.body))
    assert [far.read(f"/{at}") for at in range(3)] == [b"one", b"", b"three"]


def test_every_session_is_another(backend: Backend) -> None:
    assert len(set(backend.new_sessions(10)) | {backend.upload_whole(b"x")}) == 11


def test_a_pack_sent_again_after_a_lost_reply_is_a_success(far: Far, backend: Backend) -> None:
    pieces = pack(backend, [b"one", b"", b"three"])
    far.lose_reply("append_pack")
    with pytest.raises(MountfsError):
        backend.append_pack(pieces)
    assert backend.append_pack(pieces) == [None, None, None]
    commit(backend, "/x", pieces[2].session, 5)
    assert far.read("/x") == b"three"


def test_a_piece_without_a_session_fails_alone(far: Far, backend: Backend) -> None:
    lost, kept = pack(backend, [b"lost", b"kept"])
    far.lose_sessions(lost.session)
    (fresh,) = pack(backend, [b"fresh"])
    first, second = backend.append_pack([lost, fresh])
    assert isinstance(first, SessionLost)
    assert second is None
    assert kept.session != fresh.session


def test_a_session_closed_with_other_bytes_is_no_success(backend: Backend) -> None:
    (piece,) = pack(backend, [b"four"])
    assert backend.append_pack([piece]) == [None]
    (outcome,) = backend.append_pack([Piece(piece.session, b"and more")])
    # A service that only says "closed" cannot tell; the hash in the commit's reply does.
    assert outcome is None or isinstance(outcome, Resend)


def test_a_large_file_goes_in_parts(far: Far, backend: Backend) -> None:
    body = BLOCK * 4 + b"the rest"
    session, parts = upload_parts(backend, body)
    assert len(parts) == 3
    file = commit(backend, "/large", session, len(body))
    assert backend.whole_hash(parts) == file.content_hash == content_hash(HashKind.DROPBOX, body)
    assert far.read("/large") == body


@pytest.mark.parametrize("is_closed_empty", [False, True])
def test_a_file_of_whole_parts_is_closed_by_its_last_or_an_empty_one(
    far: Far, backend: Backend, is_closed_empty: bool
) -> None:
    body = BLOCK * 4
    session, parts = upload_parts(backend, body, is_closed_empty=is_closed_empty)
    file = commit(backend, "/large", session, len(body))
    assert backend.whole_hash(parts) == file.content_hash
    assert far.read("/large") == body


def test_a_large_session_may_end_up_empty(far: Far, backend: Backend) -> None:
    session = backend.open_session(RemotePath("/x"), None, None)
    backend.append(session, 0, b"", closing=True, size_bytes=0)
    assert backend.whole_hash([]) == commit(backend, "/x", session, 0).content_hash


def test_parts_go_in_any_order_and_at_once(far: Far, backend: Backend) -> None:
    session = backend.open_session(RemotePath("/x"), None, None)
    step = backend.part_bytes(session)
    pieces = {at * step: bytes([at]) * step for at in range(4)}
    with ThreadPoolExecutor(4) as pool:
        sent = {
            offset: pool.submit(backend.append, session, offset, piece, closing=False, size_bytes=None)
            for offset, piece in reversed(pieces.items())
        }
        parts = [Part(offset, step, future.result()) for offset, future in sent.items()]
    backend.append(session, 4 * step, b"end", closing=True, size_bytes=4 * step + 3)
    parts.append(Part(4 * step, 3, backend.append(session, 4 * step, b"end", closing=True, size_bytes=None)))
    file = commit(backend, "/x", session, 4 * step + 3)
    assert file.content_hash == backend.whole_hash(parts)
    assert far.read("/x") == b"".join(pieces.values()) + b"end"


@pytest.mark.parametrize("closing", [False, True])
def test_a_part_sent_again_after_a_lost_reply_is_a_success(far: Far, backend: Backend, closing: bool) -> None:
    session = backend.open_session(RemotePath("/x"), None, None)
    body = BLOCK * (backend.part_bytes(session) // BLOCK_BYTES)
    far.lose_reply("append")
    with pytest.raises(MountfsError):
        backend.append(session, 0, body, closing=closing, size_bytes=None)
    assert backend.append(session, 0, body, closing=closing, size_bytes=None)
    if not closing:
        backend.append(session, len(body), b"", closing=True, size_bytes=len(body))
    assert commit(backend, "/x", session, len(body)).size_bytes == len(body)


def test_a_part_is_as_long_as_the_session_demands(backend: Backend) -> None:
    session = backend.open_session(RemotePath("/x"), None, None)
    with pytest.raises(InvalidArgument):
        backend.append(session, 0, b"short", closing=False, size_bytes=None)


def test_a_part_for_a_lost_session_must_begin_again(far: Far, backend: Backend) -> None:
    session = backend.open_session(RemotePath("/x"), None, None)
    far.lose_sessions(session)
    with pytest.raises(SessionLost):
        backend.append(session, 0, b"x", closing=True, size_bytes=1)


def test_a_session_with_a_gap_is_not_committed(backend: Backend) -> None:
    session = backend.open_session(RemotePath("/x"), None, None)
    step = backend.part_bytes(session)
    try:
        backend.append(session, step, b"end", closing=True, size_bytes=step + 3)
    except (Refused, Resend):
        return
    (outcome,) = finish(backend, [put_order("/x", session, step + 3)])
    assert isinstance(outcome, Resend)


def test_an_abandoned_session_troubles_nobody(far: Far, backend: Backend) -> None:
    session = backend.open_session(RemotePath("/x"), None, None)
    backend.abandon(session)
    backend.abandon(session)
    backend.abandon("unknown")


def test_a_hash_cannot_be_told_from_parts_with_a_gap(backend: Backend) -> None:
    _, parts = upload_parts(backend, BLOCK * 4 + b"x")
    assert backend.whole_hash(parts[1:]) is None
    assert backend.whole_hash([parts[0], parts[2]]) is None


def test_a_session_survives_a_restart(far: Far, backend: Backend) -> None:
    session = backend.open_session(RemotePath("/x"), None, None)
    body = BLOCK * (backend.part_bytes(session) // BLOCK_BYTES)
    backend.append(session, 0, body, closing=False, size_bytes=None)
    restarted = far.another()
    assert restarted.part_bytes(session) == len(body)
    restarted.append(session, len(body), b"end", closing=True, size_bytes=len(body) + 3)
    commit(restarted, "/x", session, len(body) + 3)
    assert far.read("/x") == body + b"end"


def test_more_than_a_pack_takes_is_too_big_or_taken(backend: Backend) -> None:
    pieces = pack(backend, [b"x"] * (backend.limits.pack_entries + 1))
    try:
        assert backend.append_pack(pieces) == [None] * len(pieces)
    except RequestTooBig:
        assert backend.append_pack(pieces[:1]) == [None]
