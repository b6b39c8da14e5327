"""A range that lands in a cache file, and whose reply breaks off: it is read on from there."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from mountfs.errors import MountfsError, NotFound, Offline, ServerFault, Unreachable
from mountfs.model.blocksums import BLOCK_BYTES, DIGEST_BYTES, Digests
from mountfs.model.entry import File
from mountfs.ports import Take
from mountfs.transport.codec import loads
from mountfs.transport.frames import Kind
from mountfs.transport.serving import LEAST_ON_BYTES, Serving
from mountfs.transport.window import Window
from tests.doubles.memory_account import MEMORY_LIMITS

SIZE_BYTES = 4 * LEAST_ON_BYTES + 777
BODY = random.Random(7).randbytes(SIZE_BYTES)
FILE = File("id:1", "big", "1", SIZE_BYTES, 0, "")
PIECE_BYTES = 10_000


class Breaking:
    """Each reply but the last breaks off after so many bytes, in the way that is said."""

    root_id = ""
    limits = MEMORY_LIMITS

    def __init__(self, *breaks: tuple[int, MountfsError]) -> None:
        self._breaks = list(breaks)
        self.asked: list[tuple[int, int]] = []

    def read(self, _file: File, offset: int, length: int, take: Take) -> bytes:
        self.asked.append((offset, length))
        came_bytes, error = self._breaks.pop(0) if self._breaks else (length, None)
        for at in range(offset, offset + came_bytes, PIECE_BYTES):
            take(BODY[at : min(at + PIECE_BYTES, offset + came_bytes)])
        if error is not None:
            raise error
        return b""


class Told:
    """The mount's end of the channel."""

    def __init__(self) -> None:
        self.outcome: Any = None

    def send(self, kind: Kind, _number: int, payload: bytes) -> None:
        if kind is not Kind.STATE:
            self.outcome = loads(payload)


def landed(path: Path, backend: Any) -> Any:
    """What the mount is told of the range of all bytes but the first block."""
    path.write_bytes(b"")
    told: Any = Told()
    window = Window()
    serving = Serving(told, window.fd, backend, lambda _account: None)
    target = (str(path), window.lend_flag())
    serving._answer(1, "read", (FILE, BLOCK_BYTES, SIZE_BYTES - BLOCK_BYTES, target), {})
    return told.outcome


def test_what_broke_off_is_read_on(tmp_path: Path) -> None:
    lost = Offline("it broke the connection")
    backend = Breaking((LEAST_ON_BYTES + 5, lost), (LEAST_ON_BYTES, lost))
    digests = landed(tmp_path / "cached", backend)
    whole = Digests()
    whole.update(BODY[BLOCK_BYTES:])
    assert digests == whole.all()
    assert len(digests) == -(-(SIZE_BYTES - BLOCK_BYTES) // BLOCK_BYTES) * DIGEST_BYTES
    assert (tmp_path / "cached").read_bytes()[BLOCK_BYTES:] == BODY[BLOCK_BYTES:]
    first, second, third = [offset for offset, _ in backend.asked]
    assert (first, second, third) == (
        BLOCK_BYTES,
        BLOCK_BYTES + LEAST_ON_BYTES + 5,
        BLOCK_BYTES + 2 * LEAST_ON_BYTES + 5,
    )
    assert all(offset + length == SIZE_BYTES for offset, length in backend.asked)


def test_one_that_brings_hardly_anything_is_not_asked_again(tmp_path: Path) -> None:
    """Or a far side that always breaks off would be asked for each few bytes."""
    backend = Breaking((LEAST_ON_BYTES - 1, Offline("it broke the connection")))
    assert isinstance(landed(tmp_path / "cached", backend), Offline)
    assert len(backend.asked) == 1


@pytest.mark.parametrize(
    "error",
    [Unreachable("no connection"), ServerFault("too much came"), NotFound("gone")],
    ids=lambda error: type(error).__name__,
)
def test_after_another_failure_nothing_is_asked_again(tmp_path: Path, error: MountfsError) -> None:
    backend = Breaking((LEAST_ON_BYTES, error))
    assert isinstance(landed(tmp_path / "cached", backend), type(error))
    assert len(backend.asked) == 1
