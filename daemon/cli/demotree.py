"""The tree that the demonstration copies, and how it is compared afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mountfs.model.hashing import HashKind, hasher

FOLDERS = 20
LARGEST_SMALL_BYTES = 16 * 1024
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TreeSize:
    """How many files a tree has, and how many bytes."""

    files: int
    size_bytes: int


def make_tree(root: Path, small_files: int, large_bytes: int) -> TreeSize:
    """Writes *small_files* files of up to 16 KiB in folders, and one file of *large_bytes*."""
    dice = random.Random(20)  # the same tree each time, with contents that do not compress
    total_bytes = large_bytes
    for number in range(small_files):
        folder = root / f"letters/{number % FOLDERS:02}"
        folder.mkdir(parents=True, exist_ok=True)
        body = dice.randbytes(dice.randint(1, LARGEST_SMALL_BYTES))
        (folder / f"letter {number:04}.txt").write_bytes(body)
        total_bytes += len(body)
    film = root / "film" / "holiday.mov"
    film.parent.mkdir(parents=True)
    with film.open("wb") as file:
        for offset in range(0, large_bytes, PIECE_BYTES):
            file.write(dice.randbytes(min(PIECE_BYTES, large_bytes - offset)))
    return TreeSize(small_files + 1, total_bytes)


def files_below(root: Path) -> Iterator[tuple[str, Path]]:
    """Every file of the tree with its path as the service writes it."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield "/" + path.relative_to(root).as_posix(), path


def hash_of(path: Path, kind: HashKind = HashKind.DROPBOX) -> str:
    """The content hash of a local file, as a service computes it."""
    state = hasher(kind)
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            state.update(piece)
    return state.hexdigest()
