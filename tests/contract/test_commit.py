"""The port's rules on giving uploaded bytes a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mountfs.errors import (
    Busy,
    Conflict,
    MountfsError,
    NotADirectory,
    NotFound,
    Resend,
    SessionLost,
)
from mountfs.model.entry import File
from mountfs.model.hashing import content_hash
from mountfs.ports import Backend, Running
from tests.contract.far import (
    Far,
    finish,
    large_order,
    pack,
    place,
    poll_to_the_end,
    put,
    put_file,
    put_order,
    sent,
    settle,
    upload_parts,
)
from tests.doubles.sources import append_pack, upload_whole
from tests.waiting import until


def test_a_committed_file_is_what_was_uploaded(far: Far, backend: Backend) -> None:
    file = put_file(backend, "/A/new.txt", b"hello")
    assert file.name == "new.txt"
    assert (file.size_bytes, file.content_hash) == (5, content_hash(backend.limits.hash_kind, b"hello"))
    assert backend.stat(place("/A/new.txt")) == file
    assert far.read("/A/new.txt") == b"hello"


def test_an_empty_file_is_a_file(far: Far, backend: Backend) -> None:
    file = put_file(backend, "/empty", b"")
    assert file.content_hash == content_hash(backend.limits.hash_kind, b"")
    assert far.read("/empty") == b""


def test_the_time_is_kept_to_the_second(backend: Backend) -> None:
    (file,) = finish(backend, [sent(backend, "/x", b"x", mtime_s=1_234_567_890)])
    assert isinstance(file, File)
    assert file.mtime_ns == 1_234_567_890_000_000_000


def test_a_new_file_takes_no_place_that_is_taken(far: Far, backend: Backend) -> None:
    far.write("/x", b"theirs")
    assert isinstance(put(backend, "/x", b"ours"), Conflict)
    assert far.read("/x") == b"theirs"


def test_the_same_bytes_again_are_the_same_file(backend: Backend) -> None:
    first = put_file(backend, "/x", b"same")
    assert put_file(backend, "/x", b"same") == first
    # Some services make another version of the same bytes.
    again = put_file(backend, "/x", b"same", base=first.revision)
    assert (again.id, again.content_hash) == (first.id, first.content_hash)


def test_a_known_revision_is_replaced_and_keeps_its_id(backend: Backend) -> None:
    first = put_file(backend, "/x", b"one")
    second = put_file(backend, "/x", b"two", base=first.revision)
    assert second.revision != first.revision
    assert second.id == first.id


def test_a_revision_somebody_replaced_is_a_conflict(far: Far, backend: Backend) -> None:
    first = put_file(backend, "/x", b"one")
    far.write("/x", b"theirs")
    assert isinstance(put(backend, "/x", b"two", base=first.revision), Conflict)
    assert far.read("/x") == b"theirs"


def test_a_file_somebody_removed_is_written_anew(far: Far, backend: Backend) -> None:
    first = put_file(backend, "/x", b"one")
    far.remove("/x")
    put_file(backend, "/x", b"two", base=first.revision)
    assert far.read("/x") == b"two"


def test_a_folder_in_the_way_is_a_conflict(far: Far, backend: Backend) -> None:
    far.mkdir("/x")
    assert isinstance(put(backend, "/x", b"ours"), Conflict)


def test_nothing_goes_below_a_file(far: Far, backend: Backend) -> None:
    far.write("/x", b"file")
    assert isinstance(put(backend, "/x/y", b"ours"), NotADirectory)


def test_the_bytes_outlive_a_conflict(far: Far, backend: Backend) -> None:
    far.write("/x", b"theirs")
    order = sent(backend, "/x", b"ours")
    (outcome,) = finish(backend, [order])
    assert isinstance(outcome, Conflict)
    (beside,) = finish(backend, [replace(order, place=place("/x (copy)"))])
    assert isinstance(beside, File)
    assert far.read("/x (copy)") == b"ours"


def test_a_thousand_files_go_in_one_batch(packing: Far) -> None:
    backend = packing.backend
    bodies = [f"file {number}".encode() for number in range(1000)]
    pieces = pack(backend, bodies)
    step = backend.limits.pack_entries
    for start in range(0, 1000, step):
        assert append_pack(backend, pieces[start : start + step]) == [None] * step
    outcomes = finish(
        backend,
        [put_order(f"/D/{at}", piece.session, piece.length) for at, piece in enumerate(pieces)],
    )
    assert [outcome.size_bytes for outcome in outcomes if isinstance(outcome, File)] == [
        len(body) for body in bodies
    ]
    assert packing.read("/D/999") == b"file 999"


def test_a_session_that_expired_must_be_sent_again(packing: Far) -> None:
    backend = packing.backend
    lost, kept = upload_whole(backend, b"lost"), upload_whole(backend, b"kept")
    packing.lose_sessions(lost)
    outcome = finish(backend, [put_order("/lost", lost, 4)])[0]
    assert isinstance(outcome, SessionLost)
    assert kept


def test_a_session_of_another_size_must_be_sent_again(packing: Far) -> None:
    backend = packing.backend
    (outcome,) = finish(backend, [put_order("/x", upload_whole(backend, b"four"), 5)])
    assert isinstance(outcome, Resend)
    with pytest.raises(NotFound):
        backend.stat(place("/x"))


def test_a_session_that_was_not_closed_is_not_committed(packing: Far) -> None:
    backend = packing.backend
    (session,) = backend.new_sessions(1)
    (outcome,) = finish(backend, [put_order("/x", session, 0)])
    assert isinstance(outcome, Resend)


def test_a_file_that_was_never_uploaded_fails_alone(backend: Backend) -> None:
    nothing = put_order("/nothing", None, 0)
    first, second = finish(backend, [nothing, sent(backend, "/something", b"x")])
    assert isinstance(first, SessionLost)
    assert isinstance(second, File)


def test_a_running_batch_is_told_by_its_job(far: Far, backend: Backend) -> None:
    far.slow_jobs()
    session, parts = upload_parts(backend, "/x", b"x")
    orders = [large_order(backend, "/x", b"x", session, parts)]
    launch = backend.submit(orders)
    assert isinstance(launch, Running)
    assert isinstance(poll_to_the_end(far.another(), launch, orders).outcomes[0], File)


def test_whether_another_machine_s_job_is_over_is_told_by_its_name_alone(far: Far, backend: Backend) -> None:
    if backend.limits.batches_at_once > 1:
        pytest.skip("no job of another machine is waited for")
    far.slow_jobs()
    launch = backend.submit([sent(backend, "/x", b"x")])
    assert isinstance(launch, Running)
    another = far.another()
    poll_to_the_end(another, launch, ())
    assert isinstance(another.stat(place("/x")), File)


def test_an_unknown_job_is_lost(backend: Backend) -> None:
    order = sent(backend, "/x", b"x")
    for job in ("put:nonsense", "commit:nonsense", "nonsense", ""):
        with pytest.raises(SessionLost):
            backend.poll(job, [order])


def test_a_second_batch_while_one_runs_is_busy(packing: Far) -> None:
    backend = packing.backend
    packing.slow_jobs()
    first = put_order("/x", upload_whole(backend, b"x"), 1)
    second = put_order("/y", upload_whole(backend, b"y"), 1)
    launch = backend.submit([first])
    assert isinstance(launch, Running)
    (outcome,) = finish(backend, [second])
    assert isinstance(outcome, Busy)
    (outcome,) = settle(backend, [second])
    assert isinstance(outcome, File)


def test_a_commit_whose_reply_was_lost_is_done_once(far: Far, backend: Backend) -> None:
    order = sent(backend, "/x", b"ours")
    far.lose_reply("submit")
    with pytest.raises(MountfsError):
        backend.submit([order])
    # The session may be gone with the commit, which then must be found in the target.
    (outcome,) = settle(backend, [order])
    assert isinstance(outcome, File | SessionLost)
    standing = backend.stat(place("/x"))
    assert isinstance(standing, File)
    assert standing.content_hash == content_hash(backend.limits.hash_kind, b"ours")
    assert put_file(backend, "/x", b"ours").revision == standing.revision


def test_a_lost_commit_that_somebody_overwrote_does_not_come_back(far: Far, backend: Backend) -> None:
    first = put_file(backend, "/x", b"one")
    order = sent(backend, "/x", b"two", first.revision)
    far.lose_reply("submit")
    with pytest.raises(MountfsError):
        backend.submit([order])
    until(lambda: far.read("/x") == b"two", "the commit took effect")
    far.write("/x", b"theirs")
    again = sent(backend, "/x", b"two", first.revision)
    (outcome,) = settle(backend, [again])
    assert isinstance(outcome, Conflict)
    assert far.read("/x") == b"theirs"
