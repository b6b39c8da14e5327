"""The port's rules on what a file was before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mountfs.errors import AlreadyExists, Conflict, MountfsError, NotFound, NotSignedIn, Unreachable
from mountfs.model.entry import File
from mountfs.model.hashing import content_hash
from mountfs.ports import Backend
from tests.contract.far import Far, file_at, finish, move_order, place, put, put_file, undelete

BODIES = [b"first", b"the second", b"third", b"a fourth one"]


def hashes(backend: Backend, bodies: list[bytes]) -> list[tuple[int, str]]:
    """What revisions with these bytes state, the last one first."""
    return [(len(body), content_hash(backend.limits.hash_kind, body)) for body in reversed(bodies)]


def stated(revisions: list[File]) -> list[tuple[int, str | None]]:
    return [(each.size_bytes, each.content_hash) for each in revisions]


def before(backend: Backend, path: str, since: File | None) -> list[File]:
    return list(backend.revisions_before(file_at(backend, path), None if since is None else since.revision))


@pytest.fixture
def first(far: Far, backend: Backend) -> File:
    """What somebody knows of a file that has BODIES by now, ours and others' in turn."""
    first = put_file(backend, "/x", BODIES[0])
    far.write("/x", BODIES[1])
    put_file(backend, "/x", BODIES[2], file_at(backend, "/x").revision)
    far.write("/x", BODIES[3])
    return first


def test_what_a_file_was_since_a_revision_is_told_the_newest_first(backend: Backend, first: File) -> None:
    assert stated(before(backend, "/x", first)) == hashes(backend, BODIES[1:3])
    assert stated(before(backend, "/x", None)) == hashes(backend, BODIES[:3])


def test_between_a_revision_and_the_next_one_there_is_none(far: Far, backend: Backend) -> None:
    first = put_file(backend, "/x", b"first")
    assert before(backend, "/x", first) == []
    assert before(backend, "/x", None) == []
    far.write("/x", b"second")
    assert before(backend, "/x", first) == []


def test_former_revisions_are_of_the_same_file_and_can_be_read(backend: Backend, first: File) -> None:
    for former, body in zip(before(backend, "/x", first), BODIES[2:0:-1], strict=True):
        assert (former.id, former.name) == (first.id, "x")
        assert backend.read(former, 0, 100) == body


def test_a_former_revision_may_be_replaced_no_more(backend: Backend, first: File) -> None:
    for former in before(backend, "/x", first):
        assert isinstance(put(backend, "/x", b"new", former.revision), Conflict)
    assert file_at(backend, "/x").size_bytes == len(BODIES[-1])


def test_a_revision_that_the_file_never_had_is_not_found(far: Far, backend: Backend, first: File) -> None:
    other = put_file(backend, "/other", b"other")
    for since in (other.revision, "no revision"):
        with pytest.raises(NotFound):
            backend.revisions_before(file_at(backend, "/x"), since)


def test_a_history_goes_with_the_file_that_is_moved(far: Far, backend: Backend, first: File) -> None:
    (moved,) = finish(backend, [move_order("/x", "/y", item_id=first.id)])
    assert isinstance(moved, File)
    sizes = [size for size, _ in stated(before(backend, "/y", first))]
    assert [size for size in sizes if size != len(BODIES[3])] == [len(body) for body in BODIES[2:0:-1]]


def test_another_file_of_the_same_name_has_a_history_of_its_own(
    far: Far, backend: Backend, first: File
) -> None:
    far.remove("/x")
    far.write("/x", b"new")
    assert before(backend, "/x", None) == []
    with pytest.raises(NotFound):
        before(backend, "/x", first)


def test_a_long_history_is_told_as_far_as_a_call_looks(far: Far, backend: Backend) -> None:
    oldest = put_file(backend, "/x", b"")
    for number in range(1, 320):
        far.write("/x", b"x" * number)
        if number == 250:
            recent = file_at(backend, "/x")
    assert [each.size_bytes for each in before(backend, "/x", recent)] == list(range(318, 250, -1))
    told = [each.size_bytes for each in before(backend, "/x", None)]
    assert told == list(range(318, 318 - len(told), -1))
    assert len(told) >= 99
    try:
        told = [each.size_bytes for each in before(backend, "/x", oldest)]
    except NotFound:  # too far back
        return
    assert told == list(range(318, 0, -1))


def test_who_is_not_signed_in_or_cut_off_is_told_nothing(far: Far, backend: Backend, first: File) -> None:
    file = file_at(backend, "/x")
    refused: list[tuple[Backend, type[MountfsError]]] = [
        (far.sign_out(), NotSignedIn),
        (far.astray(), Unreachable),
    ]
    for connection, error in refused:
        with pytest.raises(error):
            connection.revisions_before(file, None)
        connection.close()


def test_a_former_revision_becomes_the_present_one(far: Far, backend: Backend, first: File) -> None:
    present = file_at(backend, "/x")
    wanted = list(backend.revisions_before(present, None))[1]
    restored = backend.restore(place("/x"), wanted)
    after = file_at(backend, "/x")
    assert restored == after
    assert far.read("/x") == BODIES[1]
    assert (after.id, after.content_hash) == (present.id, wanted.content_hash)
    assert after.revision != present.revision
    assert stated(before(backend, "/x", None))[0] == stated([present])[0]


def test_a_revision_that_is_not_kept_is_not_found(backend: Backend, first: File) -> None:
    with pytest.raises(NotFound):
        backend.restore(
            place("/x"),
            replace(first, revision="1:former:999999" if ":" in first.revision else "0123456789abc"),
        )


def test_what_was_removed_comes_back(far: Far, backend: Backend) -> None:
    far.write("/d/x", b"first")
    far.write("/d/x", b"second")
    far.remove("/d/x")
    undelete(backend, "/d/x")
    assert far.read("/d/x") == b"second"
    with pytest.raises(AlreadyExists):
        undelete(backend, "/d/x")


def test_what_never_stood_there_does_not_come_back(far: Far, backend: Backend) -> None:
    far.write("/d/x", b"x")
    far.remove("/d/x")
    far.mkdir("/e")
    with pytest.raises(NotFound):
        undelete(backend, "/e/x")
    far.write("/e/x", b"other")
    with pytest.raises(AlreadyExists):
        undelete(backend, "/e/x")


def test_a_folder_comes_back_with_what_went_along_with_it(far: Far, backend: Backend) -> None:
    far.write("/d/Box/x", b"first")
    far.write("/d/Box/x", b"second")
    far.write("/d/Box/Sub/deep/y", b"y")
    far.mkdir("/d/Box/Empty")
    far.write("/d/Boxer/z", b"z")
    before = far.paths()
    far.remove("/d/Boxer")
    far.remove("/d/Box")
    undelete(backend, "/d/Box")
    assert far.paths() == {path for path in before if "Boxer" not in path}
    assert (far.read("/d/Box/x"), far.read("/d/Box/Sub/deep/y")) == (b"second", b"y")
    with pytest.raises(AlreadyExists):
        undelete(backend, "/d/Box")


def test_an_empty_folder_comes_back(far: Far, backend: Backend) -> None:
    far.mkdir("/d/empty")
    far.remove("/d/empty")
    undelete(backend, "/d/empty")
    assert "/d/empty" in far.paths()
    far.mkdir("/e")
    with pytest.raises(AlreadyExists):
        undelete(backend, "/e")


def test_a_folder_whose_files_were_removed_one_by_one_comes_back_whole(far: Far, backend: Backend) -> None:
    """As ``rm -r`` does."""
    far.write("/d/Box/x", b"x")
    far.write("/d/Box/Sub/deep/y", b"y")
    far.mkdir("/d/Box/Empty")
    before = far.paths()
    for path in ("Box/Empty", "Box/Sub/deep/y", "Box/Sub/deep", "Box/Sub", "Box/x", "Box"):
        far.remove(f"/d/{path}")
    count, left = undelete(backend, "/d/Box")
    assert far.paths() == before
    assert far.read("/d/Box/Sub/deep/y") == b"y"
    assert count >= 3
    assert left == 0
    with pytest.raises(AlreadyExists):
        undelete(backend, "/d/Box")


def test_a_folder_that_stands_gets_back_what_was_removed_from_it(far: Far, backend: Backend) -> None:
    """As ``rm -r`` leaves it that was interrupted."""
    far.write("/d/sub/stays", b"stays")
    far.write("/d/sub/deep/x", b"x")
    far.write("/d/y", b"y")
    before = far.paths()
    for path in ("/d/sub/deep/x", "/d/sub/deep", "/d/y"):
        far.remove(path)
    undelete(backend, "/d")
    assert far.paths() == before
    assert far.read("/d/sub/deep/x") == b"x"


def test_what_came_back_is_told_as_it_stands(far: Far, backend: Backend) -> None:
    far.write("/d/x", b"x")
    far.remove("/d/x")
    undeleted = backend.undelete(place("/d/x"))
    assert (undeleted.entry, undeleted.rest) == (backend.stat(place("/d/x")), ())
