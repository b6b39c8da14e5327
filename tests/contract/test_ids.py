"""The port's rules on folders and items that are named by their ids, wherever others have moved them."""

from __future__ import annotations

import pytest

from mountfs.errors import NotFound
from mountfs.model.entry import File, Folder
from mountfs.model.path import RemotePath
from mountfs.ports import Backend
from tests.contract.far import (
    Far,
    delete_order,
    file_at,
    finish,
    folder_at,
    mkdir_order,
    move_order,
    names,
    place,
    put,
    put_file,
    sent,
)


def test_a_folder_is_listed_by_its_id_after_others_renamed_it(far: Far, backend: Backend) -> None:
    far.write("/A/x", b"x")
    folder = folder_at(backend, "/A")
    far.move("/A", "/B")
    assert names(backend.list_folder(RemotePath("/A"), folder.id)) == {"x"}
    # A folder that has taken its name is another one.
    far.write("/A/other", b"y")
    assert names(backend.list_folder(RemotePath("/A"), folder.id)) == {"x"}
    assert names(backend.list_folder(RemotePath("/A"))) == {"other"}


def test_a_folder_that_is_gone_has_no_listing_whatever_has_its_name(far: Far, backend: Backend) -> None:
    far.mkdir("/A")
    folder = folder_at(backend, "/A")
    far.remove("/A")
    far.mkdir("/A")
    with pytest.raises(NotFound):
        backend.list_folder(RemotePath("/A"), folder.id)


def test_the_root_is_listed_by_its_id(far: Far, backend: Backend) -> None:
    far.mkdir("/A")
    assert names(backend.list_folder(RemotePath(""), backend.root_id)) == {"A"}


def test_a_file_is_removed_by_its_id_after_a_folder_above_was_renamed(far: Far, backend: Backend) -> None:
    far.write("/A/x", b"x")
    far.write("/A/y", b"y")
    folder = folder_at(backend, "/A")
    far.move("/A", "/B")
    file = file_at(backend, "/B/x")
    order = delete_order("/A/x", file.revision, item_id=file.id, folder_id=folder.id)
    assert finish(backend, [order]) == (None,)
    assert far.paths() == {"/B", "/B/y"}
    assert finish(backend, [order]) == (None,)


def test_a_folder_is_removed_by_its_id_after_one_above_was_renamed(far: Far, backend: Backend) -> None:
    far.mkdir("/A/inner")
    above, inner = folder_at(backend, "/A"), folder_at(backend, "/A/inner")
    far.move("/A", "/B")
    order = delete_order("/A/inner", is_folder=True, item_id=inner.id, folder_id=above.id)
    assert finish(backend, [order]) == (None,)
    assert far.paths() == {"/B"}


def test_an_item_is_moved_by_its_id_after_a_folder_above_was_renamed(far: Far, backend: Backend) -> None:
    far.write("/A/x", b"x")
    far.mkdir("/A/inner")
    file, folder = file_at(backend, "/A/x"), folder_at(backend, "/A/inner")
    far.move("/A", "/B")
    moved, taken = finish(
        backend,
        [
            move_order("/A/x", "/y", item_id=file.id),
            move_order("/A/inner", "/outer", is_folder=True, item_id=folder.id),
        ],
    )
    assert isinstance(moved, File)
    assert (moved.name, moved.id) == ("y", file.id)
    assert taken == Folder(folder.id, "outer")
    assert far.paths() == {"/B", "/outer", "/y"}


def test_an_item_whose_id_is_gone_is_not_found_whatever_has_its_name(far: Far, backend: Backend) -> None:
    far.write("/x", b"x")
    file = file_at(backend, "/x")
    far.remove("/x")
    far.write("/x", b"theirs")
    (outcome,) = finish(backend, [move_order("/x", "/y", item_id=file.id)])
    assert isinstance(outcome, NotFound)
    assert finish(backend, [delete_order("/x", item_id=file.id)]) == (None,)
    assert far.paths() == {"/x"}


def test_what_is_put_into_a_renamed_folder_is_in_it_or_in_one_of_the_old_name(
    far: Far, backend: Backend
) -> None:
    """A service that takes paths alone makes the folder anew: who asked learns of it with the news."""
    far.mkdir("/A")
    folder = folder_at(backend, "/A")
    far.move("/A", "/B")
    put_file(backend, "/A/x", b"x", folder_id=folder.id)
    put_inner, *_ = finish(backend, [mkdir_order("/A/inner", folder.id)])
    assert isinstance(put_inner, Folder)
    is_by_path = backend.limits.parents_implicit
    assert far.paths() == ({"/A", "/A/x", "/A/inner", "/B"} if is_by_path else {"/B", "/B/x", "/B/inner"})


def test_nothing_is_put_into_a_folder_that_is_gone_unless_it_makes_it_anew(
    far: Far, backend: Backend
) -> None:
    far.mkdir("/A")
    far.write("/x", b"x")
    folder, file = folder_at(backend, "/A"), file_at(backend, "/x")
    far.remove("/A")
    outcomes = [
        put(backend, "/A/y", b"y", folder_id=folder.id),
        *finish(backend, [mkdir_order("/A/inner", folder.id), mkdir_order("/A/other")]),
        *finish(backend, [move_order("/x", "/A/x", item_id=file.id, folder_id=folder.id)]),
    ]
    if backend.limits.parents_implicit:
        assert [type(outcome) for outcome in outcomes] == [File, Folder, Folder, File]
    else:
        assert [type(outcome) for outcome in outcomes] == [NotFound] * 4
        assert ["gone" in str(outcome) for outcome in outcomes] == [True, True, False, True]
        assert far.paths() == {"/x"}


def test_a_place_is_found_by_its_folder_after_a_folder_above_was_renamed(by_id: Far) -> None:
    backend = by_id.backend
    by_id.write("/A/x", b"one")
    folder, file = folder_at(backend, "/A"), file_at(backend, "/A/x")
    by_id.move("/A", "/B")
    (second,) = finish(backend, [sent(backend, "/A/x", b"two", file.revision, folder_id=folder.id)])
    assert isinstance(second, File)
    assert second.id == file.id
    assert backend.stat(place("/A/x", folder.id)) == second
    assert by_id.paths() == {"/B", "/B/x"}


@pytest.mark.parametrize("away", ["/theirs", "/D/x"], ids=["renamed", "moved"])
def test_a_base_that_others_moved_away_is_left_alone_and_a_new_file_made(by_id: Far, away: str) -> None:
    backend = by_id.backend
    by_id.mkdir("/D")
    first = put_file(backend, "/x", b"one")
    by_id.move("/x", away)
    second = put_file(backend, "/x", b"two", first.revision)
    assert second.id != first.id
    assert (by_id.read("/x"), by_id.read(away)) == (b"two", b"one")
    assert finish(backend, [delete_order("/x", first.revision, item_id=first.id)]) == (None,)
    assert by_id.paths() == {"/D", "/x", away}
