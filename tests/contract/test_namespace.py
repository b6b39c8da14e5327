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
from mountfs.model.entry import File, Folder, Listed
from mountfs.model.hashing import content_hash
from mountfs.model.order import Order, OrderKind
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Backend
from tests.contract.far import (
    Far,
    delete_order,
    ensure_folder,
    file_at,
    finish,
    folder_at,
    make_folder,
    mkdir_order,
    move_order,
    names,
    place,
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
    listed = {entry.name: entry for entry in backend.list_folder(RemotePath("/A"))}
    assert set(listed) == {"one.txt", "inner"}
    assert isinstance(listed["inner"], Folder)
    one = listed["one.txt"]
    assert isinstance(one, File)
    assert (one.size_bytes, one.content_hash) == (3, content_hash(backend.limits.hash_kind, b"one"))
    assert one.is_downloadable
    assert backend.stat(place("/A/one.txt")) == one


def test_a_listing_longer_than_a_page_is_whole(far: Far, backend: Backend) -> None:
    wanted = [f"{number:04d}" for number in range(2100)]
    for name in wanted:
        far.mkdir(f"/many/{name}")
    listed = backend.list_folder(RemotePath("/many"))
    assert sorted(entry.name for entry in listed) == wanted


def test_a_folder_is_listed_page_by_page(far: Far, backend: Backend) -> None:
    wanted = [f"f{number}" for number in range(5)]
    for name in wanted:
        far.write(f"/d/{name}", name.encode())
    path = RemotePath("/d")
    for folder_id in ("", folder_at(backend, "/d").id):
        page = backend.list_page(path, folder_id, None, most=2)
        found = [*page.entries]
        assert 1 <= len(found) <= 3
        while page.cursor is not None:
            page = backend.list_page(path, folder_id, page.cursor, most=2)
            found += page.entries
        assert sorted(entry.name for entry in found if entry is not None) == wanted
        assert [*backend.list_page(path, folder_id, None).entries] == backend.list_folder(path, folder_id)
    with pytest.raises(NotFound):
        backend.list_page(RemotePath("/nothing"), "", None)
    with pytest.raises(NotADirectory):
        backend.list_page(RemotePath("/d/f1"), "", None)


def test_all_below_a_folder_is_listed_in_pages(packing: Far) -> None:
    far, backend = packing, packing.backend
    far.write("/Top/B/c", b"1")
    far.write("/Top/A", b"22")
    far.write("/other", b"3")
    for number in range(2000):
        far.mkdir(f"/Top/many/{number:04d}")
    top = folder_at(backend, "/Top")
    found = _pages(backend, top.id)
    assert found["/top"] == ("", top)
    assert found["/top/b"] == ("/top", folder_at(backend, "/Top/B"))
    assert found["/top/b/c"] == ("/top/b", file_at(backend, "/Top/B/c"))
    assert found["/top/a"] == ("/top", file_at(backend, "/Top/A"))
    assert len(found) == 2005
    assert set(_pages(backend, backend.root_id)) - {""} == {*found, "/other"}
    with pytest.raises(NotFound):
        backend.list_tree("id:nothing", None)


def _pages(backend: Backend, folder_id: str) -> dict[str, tuple[str, Listed | None]]:
    found: dict[str, tuple[str, Listed | None]] = {}
    page = backend.list_tree(folder_id, None)
    pages = 1
    while True:
        found |= {path: (folder, entry) for path, folder, entry in page.entries}
        if not page.has_more:
            assert pages > 1
            return found
        page = backend.list_tree(folder_id, page.cursor)
        pages += 1


def test_case_makes_no_difference_and_is_kept(far: Far, backend: Backend) -> None:
    far.write("/Photos/Summer.JPG", b"sun")
    assert backend.stat(place("/photos/SUMMER.jpg")).name == "Summer.JPG"
    assert names(backend.list_folder(RemotePath("/PHOTOS"))) == {"Summer.JPG"}


def test_what_is_not_there_is_not_found(backend: Backend) -> None:
    with pytest.raises(NotFound):
        backend.stat(place("/nothing"))
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
    assert folder.name == "C"
    assert far.paths() == {"/A", "/A/b", "/A/b/C"}


def test_making_a_folder_that_stands_is_a_success_with_its_id(backend: Backend) -> None:
    first = make_folder(backend, "/A")
    assert make_folder(backend, "/A").id == first.id


def test_many_folders_that_stand_already_are_all_successes(far: Far, backend: Backend) -> None:
    paths = [f"/A/{number}" for number in range(6)]
    for path in paths:
        far.mkdir(path)
    ensure_folder(backend, RemotePath("/B"))
    outcomes = finish(backend, [mkdir_order(path) for path in [*paths, "/A/new", "/B/new"]])
    assert [outcome.name for outcome in outcomes if isinstance(outcome, Folder)] == [
        *(str(number) for number in range(6)),
        "new",
        "new",
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
    ensure_folder(backend, RemotePath("/B"))
    (outcome,) = finish(backend, [move_order("/A/x", "/B/y")])
    assert isinstance(outcome, File)
    assert (outcome.name, outcome.id, outcome.content_hash) == ("y", file.id, file.content_hash)
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
    assert outcome.name == target.rpartition("/")[2]
    assert backend.stat(place(target)) == outcome


def test_outcomes_come_by_position(far: Far, backend: Backend) -> None:
    far.write("/1", b"1")
    far.write("/3", b"3")
    far.write("/taken", b"x")
    ensure_folder(backend, RemotePath("/A"))
    outcomes = finish(
        backend, [move_order("/1", "/A/1"), move_order("/2", "/A/2"), move_order("/3", "/taken")]
    )
    assert [type(outcome) for outcome in outcomes] == [File, NotFound, Conflict]


@pytest.mark.parametrize("kind", [OrderKind.MAKE_FOLDER, OrderKind.DELETE, OrderKind.MOVE])
def test_a_replayed_order_is_a_success(far: Far, backend: Backend, kind: OrderKind) -> None:
    far.write("/old", b"x")
    old = file_at(backend, "/old")
    orders: dict[OrderKind, Order] = {
        OrderKind.MAKE_FOLDER: mkdir_order("/new"),
        OrderKind.DELETE: delete_order("/old"),
        OrderKind.MOVE: move_order("/old", "/moved", item_id=old.id),
    }
    far.lose_reply("submit", kind)
    with pytest.raises(MountfsError):
        backend.submit([orders[kind]])
    (outcome,) = settle(backend, [orders[kind]])
    assert not isinstance(outcome, MountfsError)
    if kind is OrderKind.MOVE:
        assert outcome == file_at(backend, "/moved")
        assert file_at(backend, "/moved").id == old.id


def test_a_batch_has_orders_of_one_kind(backend: Backend) -> None:
    with pytest.raises((InvalidArgument, BatchRefused)):
        backend.submit([mkdir_order("/A"), delete_order("/B")])
