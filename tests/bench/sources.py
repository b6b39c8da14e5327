"""What the jobs copy: made once for all turns."""

from __future__ import annotations

import os
import random
import shutil
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.mounted.realmount import small_tree

MIB = 1024 * 1024
LARGE_MIB = 512
EDITED_MIB = 256
WRITERS = 8


def _large(path: Path, mib: int) -> None:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))


def _tree(path: Path, files: int, size_bytes: int, folders: int) -> None:
    for number in range(files):
        file = path / f"d{number % folders}" / f"f{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size_bytes))


def _several(path: Path) -> None:
    path.mkdir()
    for number in range(8):
        _large(path / f"f{number}", 128)


def _writers(path: Path) -> None:
    for number in range(WRITERS):
        _tree(path / f"w{number}", 125, 4096, 1)


def _program(path: Path) -> None:
    """The modules of Python's standard library: real names, sizes and depths."""
    library = Path(sysconfig.get_path("stdlib"))
    for source in library.rglob("*.py"):
        below = source.relative_to(library)
        if {"site-packages", "dist-packages", "test"} & set(below.parts):
            continue
        (path / below).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path / below)


MAKERS: dict[str, Callable[[Path], object]] = {
    "small": lambda path: small_tree(path, 1000),
    "many": lambda path: small_tree(path, 10_000),
    "tiny": lambda path: _tree(path, 100_000, 1024, 100),
    "medium": lambda path: _tree(path, 1000, 100 * 1024, 10),
    "folders": lambda path: _tree(path, 1000, 4096, 20),
    "fewer": lambda path: _tree(path, 200, 4096, 1),
    "writers": _writers,
    "program": _program,
    "large": lambda path: _large(path, LARGE_MIB),
    "edited": lambda path: _large(path, EDITED_MIB),
    "several": _several,
    "one": lambda path: path.write_bytes(random.Random(1).randbytes(4096)),
}
"""By name: makes what lies at that name below the folder of sources."""


def make_sources(folder: Path, names: Iterable[str]) -> None:
    for name in sorted(set(names)):
        MAKERS[name](folder / name)


def count_files(path: Path) -> int:
    return sum(each.is_file() for each in path.rglob("*")) if path.is_dir() else 1
