"""A process that may open no further file loses nothing of what it has cached."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mountfs.errors import Offline
from mountfs.model.blocksums import BLOCK_BYTES
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.reading.blocks import Blocks
from mountfs.reading.readahead import MIB
from mountfs.reading.reader import Reader
from mountfs.reading.sums import SUFFIX
from tests.fakes.clock import FakeClock

BODY = random.Random(7).randbytes(2 * MIB + 777)
FILE = File("id:1", "big", "1", len(BODY), 0, content_hash(HashKind.DROPBOX, BODY))
SMALL = File("id:2", "small", "1", 1000, 0, content_hash(HashKind.DROPBOX, BODY[:1000]))
LACKS = [errno.EMFILE, errno.ENFILE, errno.ENOMEM]


def a_cache(tmp_path: Path) -> Blocks:
    return Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX)


def refuse(
    patched: pytest.MonkeyPatch, reason: int, which: Callable[[str], bool] = lambda _path: True
) -> None:
    """Has opening a file of the cache fail."""
    real_open, real_io = os.open, Path.open

    def check(path: object) -> None:
        if "/cache/" in str(path) and which(str(path)):
            raise OSError(reason, os.strerror(reason), str(path))

    def refuse_fd(path: Any, *rest: Any, **more: Any) -> int:
        check(path)
        return real_open(path, *rest, **more)

    def refuse_file(path: Path, *rest: Any, **more: Any) -> Any:
        check(path)
        return real_io(path, *rest, **more)

    patched.setattr(os, "open", refuse_fd)
    patched.setattr(Path, "open", refuse_file)


@pytest.mark.parametrize("reason", LACKS)
@pytest.mark.parametrize("is_pinned", [True, False])
def test_what_is_cached_stays_where_more_of_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int, is_pinned: bool
) -> None:
    """All of a file went where one further piece of it could not be opened."""
    blocks = a_cache(tmp_path)
    blocks.begin_pins()
    if is_pinned:
        blocks.pin(FILE)
    blocks.put(FILE, 0, BODY[:MIB])
    for which in (lambda _: True, lambda path: not path.endswith(SUFFIX)):
        with monkeypatch.context() as patched:
            refuse(patched, reason, which)
            assert blocks.land(FILE, MIB) is None
            blocks.put(FILE, MIB, BODY[MIB : 2 * MIB])
    assert (blocks.bytes_of(FILE), blocks.has_lost_pins) == (MIB, False)
    assert blocks.peek(FILE, 0, 2 * MIB) == BODY[:MIB]
    blocks.put(FILE, MIB, BODY[MIB : 2 * MIB])
    assert a_cache(tmp_path).peek(FILE, 0, 2 * MIB) == BODY[: 2 * MIB]


@pytest.mark.parametrize("reason", LACKS)
@pytest.mark.parametrize(("file", "length"), [(SMALL, 1000), (FILE, 2 * BLOCK_BYTES)])
def test_what_a_former_process_kept_proves_itself_once_it_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int, file: File, length: int
) -> None:
    """It counted as wrong, and was removed: without the service a pinned file could not be read any more."""

    class Away:
        def read(self, _file: File, _offset: int, _length: int) -> bytes:
            raise Offline("no network")

    a_cache(tmp_path).put(file, 0, BODY[:length])
    blocks = a_cache(tmp_path)
    blocks.pin(file)
    reader = Reader(Away(), blocks, FakeClock())
    for which in (lambda _: True, lambda path: path.endswith(SUFFIX)):
        with monkeypatch.context() as patched:
            refuse(patched, reason, which if file is FILE else lambda _: True)
            with pytest.raises(Offline):
                reader.read(file, 0, length, ahead=False)
    assert reader.read(file, 0, length, ahead=False) == BODY[:length]
    reader.close()


@pytest.mark.parametrize("is_direct", [False, True])
def test_what_could_not_be_opened_stays_where_a_piece_of_it_is_fetched_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_direct: bool
) -> None:
    """There was a descriptor again by the time the piece had come, and the whole made way for it."""
    assert a_cache(tmp_path).adopt(FILE.content_hash or "", len(BODY), str(spool_file(tmp_path)))
    blocks = a_cache(tmp_path)
    blocks.pin(FILE)
    with monkeypatch.context() as patched:
        refuse(patched, errno.EMFILE)
        blocks.recall(FILE)
    if is_direct:
        assert blocks.land(FILE, MIB) is None
    else:
        blocks.put(FILE, 0, BODY[:BLOCK_BYTES])
    blocks.recall(FILE)
    assert blocks.peek(FILE, 0, len(BODY)) == BODY
    assert not blocks.has_lost_pins


def spool_file(tmp_path: Path) -> Path:
    path = tmp_path / "spooled"
    path.write_bytes(BODY)
    return path


def test_nothing_is_left_of_what_was_evicted_as_it_could_not_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = a_cache(tmp_path)
    blocks.put(FILE, 0, BODY[:MIB])

    def evict(path: str) -> bool:
        is_data = not path.endswith(SUFFIX)
        if is_data:
            blocks.drop(FILE)
        return is_data

    with monkeypatch.context() as patched:
        refuse(patched, errno.EMFILE, evict)
        assert blocks.land(FILE, MIB) is None
    assert not list((tmp_path / "cache").iterdir())
    assert blocks.used_bytes == 0
