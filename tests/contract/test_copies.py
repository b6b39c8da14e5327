"""The port's rules on files that the service makes of other ones."""

from __future__ import annotations

import pytest

from mountfs.errors import Conflict, InvalidArgument, MountfsError, NotFound
from mountfs.model.entry import File
from mountfs.model.order import OrderKind
from mountfs.model.path import RemotePath
from mountfs.ports import Backend
from tests.contract.far import (
    Far,
    copy_order,
    delete_order,
    ensure_folder,
    file_at,
    finish,
    put_file,
    settle,
)


def test_a_copy_is_a_file_of_its_own_with_the_same_bytes_and_the_time_of_the_other(
    far: Far, backend: Backend
) -> None:
    source = put_file(backend, "/A/x", b"bytes")
    ensure_folder(backend, RemotePath("/B"))
    (made,) = finish(backend, [copy_order(source, "/B/y")])
    assert isinstance(made, File)
    assert made == file_at(backend, "/B/y")
    assert made.id != source.id
    assert made.revision != source.revision
    assert (made.size_bytes, made.content_hash, made.mtime_ns) == (5, source.content_hash, source.mtime_ns)
    assert (far.read("/A/x"), far.read("/B/y")) == (b"bytes", b"bytes")


def test_a_copy_makes_the_folders_above_it_where_a_new_file_does(far: Far, backend: Backend) -> None:
    source = put_file(backend, "/x", b"bytes")
    (made,) = finish(backend, [copy_order(source, "/B/c/y")])
    if backend.limits.parents_implicit:
        assert far.paths() == {"/x", "/B", "/B/c", "/B/c/y"}
    else:
        assert isinstance(made, NotFound)
        assert far.paths() == {"/x"}


def test_a_copy_never_replaces(far: Far, backend: Backend) -> None:
    source = put_file(backend, "/x", b"ours")
    far.write("/y", b"theirs")
    far.mkdir("/z")
    for target in ("/y", "/z"):
        (outcome,) = finish(backend, [copy_order(source, target)])
        assert isinstance(outcome, Conflict)
    assert far.read("/y") == b"theirs"


def test_of_a_file_that_is_gone_there_is_no_copy(far: Far, backend: Backend) -> None:
    source = put_file(backend, "/x", b"x")
    assert finish(backend, [delete_order("/x", source.revision)]) == (None,)
    (outcome,) = finish(backend, [copy_order(source, "/y")])
    assert isinstance(outcome, NotFound)
    assert far.paths() == set()


def test_of_a_file_that_was_renamed_a_copy_is_made_all_the_same(far: Far, backend: Backend) -> None:
    source = put_file(backend, "/x", b"x")
    far.move("/x", "/renamed")
    (made,) = finish(backend, [copy_order(source, "/y")])
    assert isinstance(made, File)
    assert far.paths() == {"/renamed", "/y"}


def test_the_outcome_tells_whose_bytes_were_copied_of_a_file_that_has_others_by_now(
    far: Far, backend: Backend
) -> None:
    source = put_file(backend, "/x", b"former")
    far.write("/x", b"new")
    (made,) = finish(backend, [copy_order(source, "/y")])
    assert isinstance(made, File)
    assert made == file_at(backend, "/y")
    assert far.read("/y") in (b"former", b"new")
    assert (made.content_hash == source.content_hash) is (far.read("/y") == b"former")


def test_a_file_is_copied_once_in_a_batch(backend: Backend) -> None:
    source = put_file(backend, "/x", b"x")
    other = put_file(backend, "/other", b"y")
    orders = [copy_order(source, "/1"), copy_order(source, "/2"), copy_order(other, "/3")]
    outcomes = finish(backend, orders)
    if backend.limits.batch_entries[OrderKind.COPY] > 1:
        assert [type(each) for each in outcomes] == [InvalidArgument, InvalidArgument, File]
    else:
        assert [type(each) for each in outcomes] == [File, File, File]


def test_a_copy_whose_reply_was_lost_stands_there_and_conflicts_with_another_try(
    far: Far, backend: Backend
) -> None:
    source = put_file(backend, "/x", b"x")
    far.lose_reply("submit", OrderKind.COPY)
    with pytest.raises(MountfsError):
        backend.submit([copy_order(source, "/y")])
    (outcome,) = settle(backend, [copy_order(source, "/y")])
    assert isinstance(outcome, Conflict)
    assert file_at(backend, "/y").content_hash == source.content_hash
