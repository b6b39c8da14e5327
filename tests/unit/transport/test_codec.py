"""What crosses between a mount and its network process: values whole, errors by class, nothing that acts."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config.fleet import Fleet
from mountfs import errors
from mountfs.backends.box.commits import UnknownJob
from mountfs.backends.box.limits import BOX_LIMITS
from mountfs.backends.dropbox.limits import DROPBOX_LIMITS
from mountfs.backends.http import NotReachedInTime
from mountfs.errors import MountfsError, ServerFault, SessionLost, Throttled, Unreachable
from mountfs.model.entry import Account, Doubted, File, Folder, Gone, Odd, Place, Seen, Space
from mountfs.model.hashing import HashKind
from mountfs.model.order import Delete, MakeFolder, Move, Part, Put, SetTime
from mountfs.model.path import RemotePath
from mountfs.model.pendingbytes import Unreadable
from mountfs.ports import Done, Piece, RemoteChanges, Running, Stored, TreePage
from mountfs.transport.codec import dumps, loads
from tests.doubles.sources import source_of

FILE = File("id:1", "ü.txt", "rev", 5, 10**18, "ab" * 32)
PLACE = Place(RemotePath("/Ä/b"), "7")
PUT = Put(PLACE, 5, 1, "hash", None, "session", (Part(0, 5, "receipt"),))

VALUES: list[object] = [
    None,
    True,
    ["a", "b"],
    {"files/list_folder": 3},
    DROPBOX_LIMITS,
    BOX_LIMITS,
    Account("dropbox-1", "Name"),
    Space(1, None),
    [FILE, Folder("", "f", is_new=True), Odd("x", "why")],
    RemoteChanges((Seen(FILE, PLACE.path), Gone(None, "i"), Doubted(PLACE.path)), "cursor", has_more=True),
    (
        PUT,
        MakeFolder(PLACE),
        Delete(PLACE, True, "i", "r"),
        Move(PLACE, PLACE, False),
        SetTime(PLACE, 1, "r"),
    ),
    [Done((FILE, None), ("s",)), Running("job", 1.5), Stored("s", "h")],
    RemotePath("/A/B"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_arrives_as_it_was(value: object) -> None:
    arrived = loads(dumps(value))
    assert arrived == value
    assert type(arrived) is type(value)


def test_a_member_of_an_enum_arrives_whatever_python_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11.2, that of Debian 12, pickles it as below: no mount started there."""
    monkeypatch.setattr(
        HashKind, "__reduce_ex__", lambda member, protocol: (getattr, (type(member), member.name))
    )
    assert [loads(dumps(each)) for each in HashKind] == list(HashKind)
    assert loads(dumps(DROPBOX_LIMITS)) == DROPBOX_LIMITS


MANY = 300
LONG: list[list[object]] = [
    [replace(FILE, name=f"f{number}") for number in range(MANY)],
    [(FILE, Folder("", "f", is_new=True), Odd("x", "why"))[number % 3] for number in range(MANY)],
    [None if number % 2 else FILE for number in range(MANY)],
    list(range(MANY)),
    [(f"/a/{number}", "/a", None if number % 5 else FILE) for number in range(MANY)],
    [(number,) * (number % 3) for number in range(MANY)],
    [PUT] * MANY,
    [FILE, Throttled("429", 9.5)] * MANY,
]


@pytest.mark.parametrize("value", LONG, ids=range(len(LONG)))
def test_a_long_list_arrives_as_it_was(value: list[object]) -> None:
    arrived = loads(dumps(value))
    assert list(map(repr, arrived)) == list(map(repr, value))
    page = loads(dumps(TreePage(value, "cursor", has_more=True)))  # type: ignore[arg-type]
    assert (list(map(repr, page.entries)), page.cursor, page.has_more) == (
        list(map(repr, value)),
        "cursor",
        True,
    )


def test_in_a_long_list_the_name_of_a_class_crosses_once() -> None:
    assert dumps([replace(FILE, name=f"f{number}") for number in range(MANY)]).count(b"File") == 1


def test_of_long_lists_of_pending_files_the_paths_arrive() -> None:
    (*_, piece) = loads(dumps([Piece(source_of(b"abc"), 3, "s")] * MANY))
    assert piece.source.exactly(1, 2) == b"bc"


def test_what_a_value_works_out_for_itself_is_there_again() -> None:
    assert loads(dumps(RemotePath("/A/B"))).key == "/a/b"
    assert loads(dumps(Folder("1", "f", is_new=True))).is_new


def _classes(kind: type[MountfsError]) -> Iterator[type[MountfsError]]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from _classes(each)


@pytest.mark.parametrize("kind", sorted(_classes(MountfsError), key=str))
def test_an_error_keeps_its_class_and_its_words(kind: type[MountfsError]) -> None:
    error = kind("why")
    arrived = loads(dumps(error))
    assert type(arrived) is kind
    assert str(arrived) == "why"
    assert vars(arrived) == vars(error)


def test_an_error_keeps_its_time_and_its_place_among_outcomes() -> None:
    outcomes = loads(dumps(Done((FILE, Throttled("429", 9.5))))).outcomes
    assert outcomes[0] == FILE
    assert outcomes[1].retry_after_s == 9.5


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotReachedInTime("late"), Unreachable),
        (UnknownJob("gone"), SessionLost),
        (Unreadable("gone"), Unreadable),
    ],
)
def test_an_error_of_a_backend_s_own_arrives_as_what_it_is_to_everybody(
    error: MountfsError, kind: type[MountfsError]
) -> None:
    assert isinstance(error, kind)
    assert type(loads(dumps(error))) is kind


def test_of_a_pending_file_its_path_arrives_and_the_bytes_are_read_there() -> None:
    body = b"x" * 100_000
    sent = dumps([Piece(source_of(body), len(body), "s")])
    assert len(sent) < 1000
    (piece,) = loads(sent)
    assert piece.source.exactly(10, 20) == body[10:30]
    assert piece.source.read(99_990, 20) == body[-10:]
    with pytest.raises(Unreadable):
        piece.source.exactly(99_990, 20)


def test_a_pending_file_that_is_gone_is_unreadable_there_too(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    source = loads(dumps(replace_path(source_of(b"x"), path)))
    path.unlink()
    with pytest.raises(Unreadable):
        source.read(0, 1)
    with pytest.raises(Unreadable):
        loads(dumps(replace_path(source, Path()))).read(0, 1)


def replace_path(source: object, path: Path) -> object:
    return replace(source, path=str(path) if path != Path() else "")  # type: ignore[type-var]


def test_what_one_message_may_name_the_next_may_not() -> None:
    message = dumps(Fleet(url="redis://host"))
    module = Fleet.__module__
    assert isinstance(loads(message, (module,)), Fleet)
    assert isinstance(loads(message, (module,)), Fleet)
    with pytest.raises(ServerFault):
        loads(message)


class Acts:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.mark.parametrize(
    "message",
    [
        pickle.dumps(Acts()),
        dumps([FILE] * MANY).replace(b"mountfs.model.entry", b"mountfs.model.namez"),
        pickle.dumps(eval),
        pickle.dumps(pickle.loads),
        b"cmountfs.ports\nMapping\n.",  # what a module of ours has imported is none of its values
        b"cmountfs.model.names\nfnmatchcase\n.",
        b"cmountfs.errors\nwith_class\n.",
        b"cmountfs.backends.http\nHttpClient\n.",
        b"\x80\x04\x8c\x0emountfs.errors\x8c\x19Refused.__init_subclass__\x93.",
    ],
)
def test_what_acts_is_not_taken(message: bytes) -> None:
    with pytest.raises((ServerFault, pickle.UnpicklingError)):
        loads(message)
