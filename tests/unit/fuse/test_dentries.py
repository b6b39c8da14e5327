"""What the kernel is told, so that it gives names back."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread

import pytest

from mountfs.fuse import dentries
from mountfs.fuse.dentries import Dentries
from mountfs.fuse.lookups import FOLDERS_IN_USE
from tests.waiting import DEADLINE_S, until

NODES = {"/mnt/d0": 7, "/mnt/d1": 8}
OPEN = "/d0/open"


class Channel(Dentries):
    """As if begun, on a channel that the test reads."""

    def __init__(self) -> None:
        super().__init__(Path("/mnt"), lambda path: path == OPEN, names_kept=10)
        self.theirs, self._channel = os.pipe2(os.O_NONBLOCK)

    def told(self) -> list[tuple[int, bytes]]:
        """The folder's number and the name in each message; one is read at a time, as the kernel does."""
        found, pending = [], b""
        try:
            pending = os.read(self.theirs, 1 << 16)
        except BlockingIOError:
            pass
        while pending:
            length, code, unique, folder, name_bytes, flags = struct.unpack_from("=IiQQII", pending)
            assert (code, unique, flags) == (3, 0, 0)
            assert length == 32 + name_bytes + 1
            found.append((folder, pending[32 : 32 + name_bytes]))
            assert pending[length - 1 : length] == b"\0"
            pending = pending[length:]
        return found

    def close(self) -> None:
        os.close(self.theirs)
        os.close(self._channel)


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    def nodes_of(mountpoint: bytes, folders: Sequence[bytes]) -> list[int | None]:
        assert mountpoint == b"/mnt"
        return [NODES.get(folder.decode()) for folder in folders]

    monkeypatch.setattr(dentries, "nodes_of", nodes_of)
    monkeypatch.setattr(dentries, "covered", lambda _mountpoint: {b"/d0/covered"})
    made = Channel()
    yield made
    made.close()


def _look_up(channel: Channel, *paths: str) -> None:
    """*paths*, and after them others in folders that are in use."""
    for path in (*paths, *(f"/used{number}/f" for number in range(FOLDERS_IN_USE))):
        channel.note(path)


def test_the_kernel_is_told_folder_and_name(channel: Channel) -> None:
    _look_up(channel, "/d0/a", "/d0/\udcff", "/d1/b", "/gone/c")
    channel._take_back()
    assert sorted(channel.told()) == [(7, b"a"), (7, b"\xff"), (8, b"b")]


def test_files_in_use_keep_their_names(channel: Channel) -> None:
    _look_up(channel, "/d0/a", OPEN, "/d0/covered")
    channel._take_back()
    assert channel.told() == [(7, b"a")]


def test_few_names_are_left_alone(channel: Channel) -> None:
    channel.note("/d0/a")
    channel._take_back()
    assert channel.told() == []


def test_a_renamed_file_is_taken_back_by_its_new_name(channel: Channel) -> None:
    channel.note("/d0/a")
    channel.renamed("/d0/a", "/d1/b")
    channel.note("/d1/c")
    channel.left("/d1/c")
    _look_up(channel, "/d0/x", "/d0/y")
    channel._take_back()
    assert set(channel.told()) >= {(8, b"b")}
    assert not any(name in (b"a", b"c") for _, name in channel.told())


def test_names_are_not_noted_without_end_where_none_can_be_given_back(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def covered(_mountpoint: bytes) -> set[bytes]:
        raise PermissionError

    monkeypatch.setattr(dentries, "covered", covered)
    for number in range(100):
        channel.note(f"/large/{number}")
    runner = Thread(target=channel._run)
    runner.start()
    until(lambda: channel._lookups.count == 0, "they are forgotten")
    channel._is_over = True
    channel._are_too_many.set()
    runner.join(DEADLINE_S)


def test_the_end_of_a_mount_waits_for_no_other_file_system(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to the mount may lead over one that does not answer."""
    asks, answers = Event(), Event()

    def nodes_of(_mountpoint: bytes, folders: Sequence[bytes]) -> list[int | None]:
        asks.set()
        answers.wait(DEADLINE_S)
        return [None] * len(folders)

    monkeypatch.setattr(dentries, "nodes_of", nodes_of)
    monkeypatch.setattr(dentries, "END_S", 0.01)
    channel._worker = Thread(target=channel._run, daemon=True)
    channel._worker.start()
    _look_up(channel, *(f"/d0/{number}" for number in range(10)))
    assert asks.wait(DEADLINE_S)
    channel.end()
    assert channel._worker.is_alive()
    answers.set()
    channel._worker.join(DEADLINE_S)
