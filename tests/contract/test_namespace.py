"""The port's rules on what stands where, and on making, moving and removing it."""

from __future__ import annotations

import contextlib

import pytest

from mountfs.errors import (
    BatchRefused,
    Conflict,
    DirectoryNotEmpty,
    InvalidArgument,
    MountfsError,
    NameNotAllowed,
    NotADirectory,
    NotFound,
    Refused,
)
from mountfs.model.change import ChangeKind
from mountfs.model.entry import File, Folder
from mountfs.model.hashing import content_hash
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Backend
from tests.contract.far import (
    Far,
    delete_order,
    finish,
    make_folder,
    mkdir_order,
    move_order,
    names,
    put_file,
    sent,
    settle,
)


def test_a_new_account_is_an_empty_folder(backend: Backend) -> None:
    assert backend.list_folder(ROOT) == []


def test_a_listing_has_every_child_with_its_attributes(far: Far, backend: Backend) -> None:
    far.write("/A/one.txt", b"one")
    far.mkdir("/A/inner")
    far.write("/A/inner/deep.txt", b"deep")
    listed = {entry.path.text: entry for entry in backend.list_folder(RemotePath("/A"))}
    assert set(listed) == {"/A/one.txt", "/A/inner"}
    assert isinstance(listed["/A/inner"], Folder)
    one = listed["/A/one.txt"]
    assert isinstance(one, File)
    assert (one.size_bytes, one.content_hash) == (3, content_hash(backend.limits.hash_kind, b"one"))
    assert one.is_downloadable
    assert backend.stat(RemotePath("/A/one.txt")) == one


def test_a_listing_longer_than_a_page_is_whole(far: Far, backend: Backend) -> None:
    wanted = [f"/many/{number:04d}" for number in range(2100)]
    for path in wanted:
        far.mkdir(path)
    listed = backend.list_folder(RemotePath("/many"))
    assert sorted(entry.path.text for entry in listed) == wanted


def test_case_makes_no_difference_and_is_kept(far: Far, backend: Backend) -> None:
    far.write("/Photos/Summer.JPG", b"sun")
    assert backend.stat(RemotePath("/photos/SUMMER.jpg")).path.text == "/photos/Summer.JPG"
    assert [entry.path.text for entry in backend.list_folder(RemotePath("/PHOTOS"))] == ["/PHOTOS/Summer.JPG"]


def test_what_is_not_there_is_not_found(backend: Backend) -> None:
    with pytest.raises(NotFound):
        backend.stat(RemotePath("/nothing"))
    with pytest.raises(NotFound):
        backend.list_folder(RemotePath("/nothing"))


def test_a_file_has_no_listing(far: Far, backend: Backend) -> None:
    far.write("/file", b"x")
    with pytest.raises(NotADirectory):
        backend.list_folder(RemotePath("/file"))


def test_names_in_any_script_arrive_as_they_are(far: Far, backend: Backend) -> None:
    wanted = "héllo wörld 😀 'quoted\" \n\u202f.txt"
    name = "".join(char for char in wanted if char not in backend.limits.names.forbidden_chars)
    put_file(backend, f"/{name}", b"x")
    assert far.paths() == {f"/{name}"}
    assert names(backend.list_folder(ROOT)) == {name}


ODD_CHARS = [*map(chr, (*range(1, 33), *range(127, 161))), "\u00ad", "\u200b", "\u2028", "\u3000"]
"""Control characters, and what may pass for a space or for nothing at all."""


def test_what_our_rules_let_pass_the_service_takes(backend: Backend) -> None:
    taken = []
    for char in ODD_CHARS:
        for name in (f"{char}a", f"a{char}a", f"a{char}"):
            with contextlib.suppress(NameNotAllowed):
                backend.limits.names.check(name)
                taken.append(name)
    outcomes = finish(backend, [sent(backend, f"/{name}", b"x") for name in taken])
    refused = [name for name, made in zip(taken, outcomes, strict=True) if not isinstance(made, File)]
    assert refused == []


def test_a_folder_is_made_with_those_above_it(far: Far, backend: Backend) -> None:
    folder = make_folder(backend, "/A/b/C")
    assert folder.path.text == "/A/b/C"
    assert far.paths() == {"/A", "/A/b", "/A/b/C"}


def test_making_a_folder_that_stands_is_a_success_with_its_id(backend: Backend) -> None:
    first = make_folder(backend, "/A")
    assert make_folder(backend, "/A").id == first.id


def test_many_folders_that_stand_already_are_all_successes(far: Far, backend: Backend) -> None:
    paths = [f"/A/{number}" for number in range(6)]
    for path in paths:
        far.mkdir(path)
    outcomes = finish(backend, [mkdir_order(path) for path in [*paths, "/A/new", "/B/new"]])
    assert [outcome.path.text for outcome in outcomes if isinstance(outcome, Folder)] == [
        *paths,
        "/A/new",
        "/B/new",
    ]


def test_a_folder_cannot_be_made_over_a_file(far: Far, backend: Backend) -> None:
    far.write("/A", b"x")
    (outcome,) = finish(backend, [mkdir_order("/A")])
    assert isinstance(outcome, Conflict)


def test_a_name_the_service_refuses_is_told_for_its_entry_alone(far: Far, backend: Backend) -> None:
    refused = sent(backend, f"/A/{far.refused_name}", b"x")
    bad, good = finish(backend, [refused, sent(backend, "/A/taken.txt", b"x")])
    with pytest.raises(NameNotAllowed):
        backend.limits.names.check(far.refused_name)
    assert isinstance(bad, NameNotAllowed)
    assert isinstance(good, File)


def test_a_file_is_removed_at_its_revision(far: Far, backend: Backend) -> None:
    file = put_file(backend, "/A/x", b"x")
    assert finish(backend, [delete_order("/A/x", file.revision)]) == (None,)
    assert far.paths() == {"/A"}


def test_a_file_somebody_changed_is_not_removed(far: Far, backend: Backend) -> None:
    file = put_file(backend, "/x", b"x")
    far.write("/x", b"theirs")
    (outcome,) = finish(backend, [delete_order("/x", file.revision)])
    assert isinstance(outcome, Conflict)
    assert far.read("/x") == b"theirs"


def test_removing_what_is_gone_is_a_success(backend: Backend) -> None:
    assert finish(backend, [delete_order("/x", "015f0000001")]) == (None,)
    assert finish(backend, [delete_order("/y", is_folder=True)]) == (None,)


def test_a_folder_goes_with_all_that_is_in_it_or_not_at_all(far: Far, backend: Backend) -> None:
    far.write("/A/b/c", b"x")
    far.write("/AB", b"x")
    (outcome,) = finish(backend, [delete_order("/a", is_folder=True)])
    if outcome is None:
        assert far.paths() == {"/AB"}
    else:
        assert isinstance(outcome, DirectoryNotEmpty)
        assert far.paths() == {"/A", "/A/b", "/A/b/c", "/AB"}


def test_an_empty_folder_is_removed(far: Far, backend: Backend) -> None:
    far.mkdir("/A/b")
    assert finish(backend, [delete_order("/a/B", is_folder=True)]) == (None,)
    assert far.paths() == {"/A"}


def test_a_file_is_moved_with_its_id(far: Far, backend: Backend) -> None:
    file = put_file(backend, "/A/x", b"x")
    (outcome,) = finish(backend, [move_order("/A/x", "/B/y")])
    assert isinstance(outcome, File)
    assert (outcome.path.text, outcome.id, outcome.content_hash) == ("/B/y", file.id, file.content_hash)
    assert far.paths() == {"/A", "/B", "/B/y"}


def test_a_folder_is_moved_with_all_that_is_in_it(far: Far, backend: Backend) -> None:
    far.write("/A/b/c", b"x")
    (outcome,) = finish(backend, [move_order("/A", "/Z", is_folder=True)])
    assert isinstance(outcome, Folder)
    assert far.paths() == {"/Z", "/Z/b", "/Z/b/c"}


def test_a_move_never_replaces(far: Far, backend: Backend) -> None:
    far.write("/x", b"x")
    far.write("/y", b"y")
    (outcome,) = finish(backend, [move_order("/x", "/y")])
    assert isinstance(outcome, Conflict)
    assert (far.read("/x"), far.read("/y")) == (b"x", b"y")


def test_moving_what_is_not_there_is_not_found(backend: Backend) -> None:
    (outcome,) = finish(backend, [move_order("/x", "/y")])
    assert isinstance(outcome, NotFound)


def test_a_folder_cannot_move_into_itself(far: Far, backend: Backend) -> None:
    far.mkdir("/A")
    (outcome,) = finish(backend, [move_order("/A", "/A/b", is_folder=True)])
    assert isinstance(outcome, Refused)
    assert far.paths() == {"/A"}


@pytest.mark.parametrize(("source", "target"), [("/A/readme.txt", "/A/README.txt"), ("/A", "/a")])
def test_a_rename_that_changes_only_the_case_works(
    far: Far, backend: Backend, source: str, target: str
) -> None:
    far.write("/A/readme.txt", b"x")
    (outcome,) = finish(backend, [move_order(source, target)])
    assert not isinstance(outcome, MountfsError | None)
    assert outcome.path.text == target
    assert backend.stat(RemotePath(target)).path.name == target.rpartition("/")[2]


def test_outcomes_come_by_position(far: Far, backend: Backend) -> None:
    far.write("/1", b"1")
    far.write("/3", b"3")
    far.write("/taken", b"x")
    outcomes = finish(
        backend, [move_order("/1", "/A/1"), move_order("/2", "/A/2"), move_order("/3", "/taken")]
    )
    assert [type(outcome) for outcome in outcomes] == [File, NotFound, Conflict]


@pytest.mark.parametrize("kind", [ChangeKind.MKDIR, ChangeKind.DELETE])
def test_a_replayed_order_is_a_success(far: Far, backend: Backend, kind: ChangeKind) -> None:
    far.write("/old", b"x")
    order = mkdir_order("/new") if kind is ChangeKind.MKDIR else delete_order("/old")
    far.lose_reply("submit", kind)
    with pytest.raises(MountfsError):
        backend.submit([order])
    (outcome,) = settle(backend, [order])
    assert not isinstance(outcome, MountfsError)


def test_a_batch_has_orders_of_one_kind(backend: Backend) -> None:
    with pytest.raises((InvalidArgument, BatchRefused)):
        backend.submit([mkdir_order("/A"), delete_order("/B")])
