"""Blocks of large files that outlive a process: right, or absent."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mountfs.model.blocksums import BLOCK_BYTES, DIGEST_BYTES
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.reading import blocks, cachefile, sums
from mountfs.reading.blocks import Blocks
from mountfs.reading.readahead import MIB
from mountfs.reading.sums import SUFFIX

SIZE_BYTES = 9 * BLOCK_BYTES + 777
BODY = random.Random(3).randbytes(SIZE_BYTES)
FILE = File("id:1", "big", "1", SIZE_BYTES, 0, content_hash(HashKind.DROPBOX, BODY))
OTHER_BODY = random.Random(4).randbytes(SIZE_BYTES)
OTHER = File("id:2", "other", "1", SIZE_BYTES, 0, content_hash(HashKind.DROPBOX, OTHER_BODY))


def a_cache(tmp_path: Path, limit_bytes: int = 64 * MIB) -> Blocks:
    return Blocks(tmp_path / "cache", limit_bytes, HashKind.DROPBOX)


def put(cache: Blocks, *numbers: int, file: File = FILE, body: bytes = BODY) -> None:
    for number in numbers:
        at = number * BLOCK_BYTES
        cache.put(file, at, body[at : at + BLOCK_BYTES])


def present(cache: Blocks, file: File = FILE, body: bytes = BODY) -> list[int]:
    """The blocks that are there; all that is served is right."""
    cache.recall(file)
    found = []
    for at in range(0, SIZE_BYTES, BLOCK_BYTES):
        piece = cache.peek(file, at, BLOCK_BYTES)
        assert piece == body[at : at + len(piece)]
        if len(piece) == min(BLOCK_BYTES, SIZE_BYTES - at):
            found.append(at // BLOCK_BYTES)
    return found


def the(tmp_path: Path, suffix: str) -> Path:
    (found,) = [each for each in (tmp_path / "cache").iterdir() if each.name.endswith(SUFFIX) is bool(suffix)]
    return found


def test_blocks_of_a_large_file_are_there_for_the_next_process(tmp_path: Path) -> None:
    put(a_cache(tmp_path), 0, 3, 9)
    after = a_cache(tmp_path)
    assert after.used_bytes == 2 * BLOCK_BYTES + 777
    assert present(after) == [0, 3, 9]
    put(after, 4)
    assert present(a_cache(tmp_path)) == [0, 3, 4, 9]


def test_each_block_proves_itself_once_and_not_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(a_cache(tmp_path), *range(10))
    proven: list[int] = []
    inner = sums.Sums.prove

    def prove(self: sums.Sums, number: int, fd: int) -> bool | None:
        proven.append(number)
        return inner(self, number, fd)

    monkeypatch.setattr(sums.Sums, "prove", prove)
    after = a_cache(tmp_path)
    assert not proven
    assert after.peek(FILE, 5 * BLOCK_BYTES + 10, 20) == BODY[5 * BLOCK_BYTES + 10 :][:20]
    assert proven == [5]
    assert present(after) == list(range(10))
    assert sorted(proven) == list(range(10))


@pytest.mark.parametrize("at", [0, BLOCK_BYTES - 1, 5000])
def test_a_block_with_a_wrong_byte_is_absent_and_can_come_again(tmp_path: Path, at: int) -> None:
    put(a_cache(tmp_path), 1, 2)
    path = the(tmp_path, "")
    damaged = bytearray(path.read_bytes())
    damaged[2 * BLOCK_BYTES + at] ^= 1
    path.write_bytes(damaged)
    after = a_cache(tmp_path)
    assert present(after) == [1]
    assert after.gaps(FILE, 0, 3 * BLOCK_BYTES) == [(0, BLOCK_BYTES), (2 * BLOCK_BYTES, 3 * BLOCK_BYTES)]
    put(after, 2)
    assert present(after) == [1, 2]
    assert present(a_cache(tmp_path)) == [1, 2]


def test_digests_whose_bytes_power_took_are_worth_nothing(tmp_path: Path) -> None:
    put(a_cache(tmp_path), *range(10))
    os.truncate(the(tmp_path, ""), 2 * BLOCK_BYTES + 5)
    assert present(a_cache(tmp_path)) == [0, 1]


def test_bytes_whose_digests_power_took_are_absent(tmp_path: Path) -> None:
    put(a_cache(tmp_path), *range(10))
    os.truncate(the(tmp_path, SUFFIX), 3 * DIGEST_BYTES + 1)
    assert present(a_cache(tmp_path)) == [0, 1, 2]


def test_digests_without_their_cache_file_are_removed(tmp_path: Path) -> None:
    put(a_cache(tmp_path), 1)
    the(tmp_path, "").unlink()
    assert a_cache(tmp_path).used_bytes == 0
    assert not list((tmp_path / "cache").iterdir())


def test_a_part_of_a_block_has_no_digest(tmp_path: Path) -> None:
    cache = a_cache(tmp_path)
    cache.put(FILE, 100, BODY[100 : 2 * BLOCK_BYTES])
    assert cache.peek(FILE, 100, 50) == BODY[100:150]
    assert present(a_cache(tmp_path)) == [1]


def test_what_goes_takes_its_digests_along(tmp_path: Path) -> None:
    cache = a_cache(tmp_path, limit_bytes=10 * BLOCK_BYTES)
    put(cache, *range(10))
    put(cache, *range(10), file=OTHER, body=OTHER_BODY)
    assert present(cache) == []
    assert len(list((tmp_path / "cache").iterdir())) == 2
    cache.drop(OTHER)
    assert not list((tmp_path / "cache").iterdir())


def uploaded(tmp_path: Path, body: bytes) -> Path:
    """What an earlier process took over after an upload, of which power loss may have left other bytes."""
    (tmp_path / "spool").write_bytes(body)
    assert a_cache(tmp_path).adopt(FILE.content_hash or "", SIZE_BYTES, str(tmp_path / "spool"))
    return the(tmp_path, "")


def test_a_kill_while_an_uploaded_file_proves_itself_leaves_no_digest_of_what_power_tore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded(tmp_path, BODY[:BLOCK_BYTES] + bytes(BLOCK_BYTES) + BODY[2 * BLOCK_BYTES :])
    monkeypatch.setattr(cachefile, "PIECE_BYTES", 3 * BLOCK_BYTES)

    class Killed(BaseException):
        pass

    class Hashing:
        pieces = 0

        def update(self, _piece: bytes) -> None:
            self.pieces += 1
            if self.pieces == 3:
                raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(cachefile, "hasher", lambda _kind: Hashing())
        with pytest.raises(Killed):
            a_cache(tmp_path).recall(FILE)
    assert present(a_cache(tmp_path)) == []


def test_a_large_file_with_holes_and_no_digests_is_not_read_through(tmp_path: Path) -> None:
    """Its digests could not be written. To hash 50 GB of holes would keep the first read waiting."""
    path = uploaded(tmp_path, BODY)
    with path.open("r+b") as sparse:
        sparse.truncate(0)
        sparse.seek(SIZE_BYTES - 100)
        sparse.write(BODY[-100:])
    assert a_cache(tmp_path).used_bytes == 0
    assert not path.exists()


@pytest.mark.parametrize("size_bytes", [0, SIZE_BYTES - 1, SIZE_BYTES + 2])
def test_a_large_file_of_another_size_without_digests_is_not_read_through(
    tmp_path: Path, size_bytes: int
) -> None:
    path = uploaded(tmp_path, BODY)
    os.truncate(path, size_bytes)
    assert a_cache(tmp_path).used_bytes == 0
    assert not path.exists()


def test_a_large_file_that_was_uploaded_proves_itself_as_a_whole_once(tmp_path: Path) -> None:
    spooled = tmp_path / "spooled"
    spooled.write_bytes(BODY)
    assert FILE.content_hash is not None
    assert a_cache(tmp_path).adopt(FILE.content_hash, SIZE_BYTES, str(spooled))
    after = a_cache(tmp_path)
    assert present(after) == list(range(10))
    third = a_cache(tmp_path)
    assert third.peek(FILE, 0, 10) == BODY[:10]  # by the digests that were made on that occasion


class Killed(BaseException):
    pass


class Killer:
    """Has one system call of the cache be the last of its process: half of its bytes are written."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.has_killed = False

    def __call__(self, inner: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        if self.has_killed:
            raise Killed
        self._left -= 1
        if self._left >= 0:
            return inner(*arguments)
        self.has_killed = True
        if inner is _pwrite:
            fd, data, offset = arguments
            inner(fd, bytes(data)[: len(data) // 2], offset)
        raise Killed


_pwrite, _open, _unlink = os.pwrite, os.open, os.unlink


def test_a_kill_in_the_middle_of_any_write_leaves_no_wrong_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each system call of a life with two files and an eviction is the last one once."""
    for at in range(1000):
        directory = tmp_path / str(at)
        killer = Killer(at)
        cache = a_cache(directory, 14 * BLOCK_BYTES)
        with monkeypatch.context() as patched:
            for module in (blocks, cachefile, sums):
                system = _System(killer)
                patched.setattr(module, "os", system)
            patched.setattr(Path, "unlink", lambda path, killer=killer: killer(_unlink, (path,)))
            try:
                put(cache, 0, 1, 5, 9)
                cache.put(FILE, BLOCK_BYTES, BODY[BLOCK_BYTES : 4 * BLOCK_BYTES])
                put(cache, *range(9), file=OTHER, body=OTHER_BODY)
                put(cache, 2, 3)
            except Killed:
                pass
        after = a_cache(directory, 14 * BLOCK_BYTES)
        present(after)
        present(after, OTHER, OTHER_BODY)
        put(after, 7)
        assert 7 in present(after)
        if not killer.has_killed:
            assert at > 20
            return
    raise AssertionError("the sweep does not end")


class _System:
    """``os``, with the calls that change something through a killer."""

    def __init__(self, killer: Killer) -> None:
        self._killer = killer

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        if name not in ("pwrite", "open", "unlink"):
            return found
        return lambda *arguments: self._killer(found, arguments)
