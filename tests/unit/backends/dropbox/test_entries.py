"""Metadata as entries, and times as Dropbox writes them."""

from __future__ import annotations

import pytest

from mountfs.backends.checked import time_ns
from mountfs.backends.dropbox.entries import (
    MOST_PATH_CHARS,
    entry_of,
    listed_of,
    name_of,
    news_of,
    time_stamp,
)
from mountfs.errors import Conflict, ServerFault
from mountfs.model.entry import Doubted, File, Folder, Gone, Odd, Seen
from mountfs.model.path import RemotePath

FILE = {
    ".tag": "file",
    "name": "b.txt",
    "id": "id:1",
    "client_modified": "2015-05-12T15:50:38Z",
    "server_modified": "2016-05-12T15:50:38Z",
    "rev": "a1c10ce0dd78",
    "size": 7212,
    "path_lower": "/a/b.txt",
    "path_display": "/A/b.txt",
    "is_downloadable": True,
    "content_hash": "00" * 32,
}
NOW_NS = 1_700_000_000_500_000_000


def test_a_file_has_the_client_s_time() -> None:
    assert entry_of(FILE) == File("id:1", "b.txt", "a1c10ce0dd78", 7212, 1_431_445_838_000_000_000, "00" * 32)


def test_a_document_without_bytes_is_told() -> None:
    document = {**FILE, "is_downloadable": False}
    del document["content_hash"]
    file = entry_of(document)
    assert isinstance(file, File)
    assert (file.is_downloadable, file.content_hash) == (False, None)


@pytest.mark.parametrize("key", ["id", "name", "rev", "size", "client_modified"])
def test_metadata_that_lacks_something_is_a_fault(key: str) -> None:
    with pytest.raises(ServerFault):
        entry_of({name: value for name, value in FILE.items() if name != key})


@pytest.mark.parametrize("metadata", [{}, {".tag": "hologram"}, {**FILE, "client_modified": "yesterday"}])
def test_metadata_of_another_kind_is_a_fault(metadata: dict[str, object]) -> None:
    with pytest.raises(ServerFault):
        entry_of(metadata)


def test_a_name_is_told_by_itself() -> None:
    assert name_of({**FILE, "name": "B.txt"}) == "B.txt"
    with pytest.raises(ServerFault):
        name_of({".tag": "file", "path_display": "/A/b.txt"})


def test_news_are_of_paths() -> None:
    folder = {".tag": "folder", "name": "A", "id": "id:2", "path_lower": "/a", "path_display": "/A"}
    assert news_of(folder) == Seen(Folder("id:2", "A"), RemotePath("/A"))
    assert news_of(FILE) == Seen(entry_of(FILE), RemotePath("/A/b.txt"))
    assert news_of({".tag": "deleted", "name": "A", "path_lower": "/a"}) == Gone(RemotePath("/a"))
    assert news_of({".tag": "folder", "name": "A", "id": "id:2"}) is None


@pytest.mark.parametrize("change", [{".tag": "hologram"}, {".tag": None}, {"rev": None, "size": "many"}])
def test_news_that_make_no_sense_are_of_their_folder(change: dict[str, object]) -> None:
    assert news_of({**FILE, **change}) == Doubted(RemotePath("/A"))


@pytest.mark.parametrize(
    ("given_ns", "stamp"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-5_000_000_000, "1970-01-01T00:00:00Z"),
        (1_431_445_838_999_999_999, "2015-05-12T15:50:38Z"),
        (NOW_NS, "2023-11-14T22:13:20Z"),
        (NOW_NS * 9, "2023-11-14T22:13:20Z"),
    ],
)
def test_a_time_is_whole_seconds_of_the_past(given_ns: int, stamp: str) -> None:
    assert time_stamp(given_ns, NOW_NS) == stamp
    assert time_ns(stamp, "stamp") <= NOW_NS


def test_what_makes_no_sense_in_a_listing_is_odd_by_its_name_where_it_has_one() -> None:
    assert listed_of(FILE) == entry_of(FILE)
    assert listed_of({**FILE, "size": -1}) == Odd("b.txt", "size makes no sense: -1")
    assert listed_of({**FILE, "name": "a/b"}) == Odd("", "name makes no sense: 'a/b'")
    assert listed_of(["x"]) == Odd("", "an entry makes no sense: a list")


@pytest.mark.parametrize("shown", ["/A/../b", "/A/b\0", "/A/\ud800/c", "/A//x", f"/A/{'x' * 2000}"])
def test_news_of_a_path_that_makes_no_sense_are_of_the_deepest_folder_that_does(shown: str) -> None:
    for kind in ("file", "deleted"):
        assert news_of({**FILE, ".tag": kind, "path_display": shown}) == Doubted(RemotePath("/A"))


@pytest.mark.parametrize("name", ["d", "d" * 1000])
def test_news_of_a_path_of_any_length_are_of_the_deepest_folder_that_is_looked_at(name: str) -> None:
    shown = f"/{name}" * (4 * MOST_PATH_CHARS // len(name))
    for kind in ("file", "deleted"):
        news = news_of({**FILE, ".tag": kind, "path_display": shown})
        assert isinstance(news, Doubted)
        assert news.path is not None
        assert 0 <= MOST_PATH_CHARS - len(news.path.text) <= len(name) + 1
        assert set(news.path.components) == {name}


@pytest.mark.parametrize("shown", ["b", 5, ["/A"], {"/A": 1}])
def test_news_that_nobody_can_place_void_what_is_known(shown: object) -> None:
    with pytest.raises(Conflict):
        news_of({**FILE, "path_display": shown})
