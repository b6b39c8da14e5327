"""What the jobs copy: made once for all turns."""

from __future__ import annotations

import os
import random
import shutil
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

MIB = 1024 * 1024
WRITERS = 8


def _large(path: Path, mib: float) -> None:
    with path.open("wb") as file:
        for _ in range(max(1, round(mib))):
            file.write(os.urandom(MIB))


def _tree(path: Path, files: float, size_bytes: int, folders: int) -> None:
    for number in range(max(1, round(files))):
        file = path / f"d{number % folders}" / f"f{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size_bytes))


def _several(path: Path, part: float) -> None:
    path.mkdir()
    for number in range(8):
        _large(path / f"f{number}", 128 * part)


def _writers(path: Path, part: float) -> None:
    for number in range(WRITERS):
        _tree(path / f"w{number}", 125 * part, 4096, 1)


def _program(path: Path, part: float) -> None:
    """The modules of Python's standard library: real names, sizes and depths."""
    library = Path(sysconfig.get_path("stdlib"))
    names = [each.relative_to(library) for each in sorted(library.rglob("*.py"))]
    names = [each for each in names if not {"site-packages", "dist-packages", "test"} & set(each.parts)]
    for name in names[: max(1, round(len(names) * part))]:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library / name, path / name)


MAKERS: dict[str, Callable[[Path, float], object]] = {
    "small": lambda path, part: _tree(path, 1000 * part, 4096, 10),
    "many": lambda path, part: _tree(path, 10_000 * part, 4096, 10),
    "tiny": lambda path, part: _tree(path, 100_000 * part, 1024, 100),
    "medium": lambda path, part: _tree(path, 1000 * part, 100 * 1024, 10),
    "folders": lambda path, part: _tree(path, 1000 * part, 4096, 20),
    "fewer": lambda path, part: _tree(path, 200 * part, 4096, 1),
    "writers": _writers,
    "program": _program,
    "large": lambda path, part: _large(path, 512 * part),
    "edited": lambda path, part: _large(path, 256 * part),
    "several": _several,
    "one": lambda path, _part: path.write_bytes(random.Random(1).randbytes(4096)),
}
"""By name: makes what lies at that name below the folder of sources, or a part of it."""


def make_sources(folder: Path, names: Iterable[str], part: float = 1.0) -> None:
    """*part*: of their files, or of their bytes where a source has few files."""
    for name in sorted(set(names)):
        MAKERS[name](folder / name, part)


def count_files(path: Path) -> int:
    return sum(each.is_file() for each in path.rglob("*")) if path.is_dir() else 1
