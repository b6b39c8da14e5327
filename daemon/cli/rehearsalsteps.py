"""What a rehearsal does to a folder: each step is done to one in the mount, and to one beside it."""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.cli.demotree import hash_of

SMALL_FILES = 40
"""Box takes 240 uploads a minute, and no batches."""
LARGE_BYTES = 25_000_000
"""Above the 20 MB from which on Box takes a file in parts; of several parts at Dropbox, too."""
PIECE_BYTES = 1_000_000
FIRST_S, APART_S = 1_700_000_000, 10
"""When the files were written, as they say: the services keep whole seconds."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that people do."""

    title: str
    act: Callable[[Path], None]
    """Is given the folder. It does the same to each that it is given. OSError."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to see of a file; of a folder all but ``is_folder`` is empty."""

    is_folder: bool
    size_bytes: int = 0
    modified_s: int = 0
    digest: str = ""


def steps() -> list[Step]:
    """In the order in which they are done: one needs what those before it have left."""
    return [
        Step(f"{SMALL_FILES} small files in four folders", _small),
        Step(f"a file of {LARGE_BYTES // PIECE_BYTES} MB, sent in parts", _large),
        Step("names with blanks, accents and signs, and an empty file", _named),
        Step("a write into the middle of the large file", _into_the_middle),
        Step("a line appended", _appended),
        Step("an editor's save: a new file in place of the old one", _saved),
        Step("a file and a folder renamed", _renamed),
        Step("a name in other case", _in_other_case),
        Step("a file moved over another one", _moved_over),
        Step("a file removed, and a folder with all in it", _removed),
    ]


def seen_in(folder: Path) -> dict[str, Seen]:
    """All below *folder*, by its path from there. OSError."""
    found = {}
    for path in folder.rglob("*"):
        told = path.stat()
        is_folder = stat.S_ISDIR(told.st_mode)
        seen = Seen(True) if is_folder else Seen(False, told.st_size, int(told.st_mtime), hash_of(path))
        found[path.relative_to(folder).as_posix()] = seen
    return found


def difference(ours: dict[str, Seen], theirs: dict[str, Seen]) -> str | None:
    """The first one between what there should be and what there is, in words; None: they are equal."""
    for name in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(name), theirs.get(name)
        if mine == other:
            continue
        if mine is None:
            return f"{name} is there, and should not be"
        if other is None:
            return f"{name} is missing"
        if mine.is_folder != other.is_folder:
            return f"{name} is a {'file' if mine.is_folder else 'folder'}"
        if mine.size_bytes != other.size_bytes:
            return f"{name} has {other.size_bytes} bytes, and should have {mine.size_bytes}"
        if mine.digest != other.digest:
            return f"{name} has other bytes than were written"
        return f"{name} says that it was changed at {other.modified_s}, and should say {mine.modified_s}"
    return None


def _small(folder: Path) -> None:
    dice = random.Random(1)
    for number in range(SMALL_FILES):
        file = folder / "letters" / str(number % 4) / f"letter {number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, dice.randbytes(dice.randint(1, 8192)), number)


def _large(folder: Path) -> None:
    dice = random.Random(2)
    file = folder / "film.mov"
    with file.open("wb") as film:
        for _ in range(LARGE_BYTES // PIECE_BYTES):
            film.write(dice.randbytes(PIECE_BYTES))
    _date(file, 100)


def _named(folder: Path) -> None:
    names = ("Grüße aus Łódź", "日本語.txt", "a  b & c's (1) [2] {3} #4 %41 +.txt", "e\u0301.txt", ".hidden")
    for number, name in enumerate(names, 200):
        _write(folder / "names" / name, name.encode(), number)
    _write(folder / "empty", b"", 210)


def _into_the_middle(folder: Path) -> None:
    with (folder / "film.mov").open("r+b") as film:
        film.seek(LARGE_BYTES // 2)
        film.write(b"spliced" * 1000)
    _date(folder / "film.mov", 300)


def _appended(folder: Path) -> None:
    with (folder / "letters" / "0" / "letter 0.txt").open("ab") as letter:
        letter.write(b"PS: all is well\n")
    _date(folder / "letters" / "0" / "letter 0.txt", 310)


def _saved(folder: Path) -> None:
    letter = folder / "letters" / "1" / "letter 1.txt"
    draft = letter.with_name(".letter 1.txt.swp")
    _write(draft, letter.read_bytes() + b"with love\n", 320)
    draft.replace(letter)


def _renamed(folder: Path) -> None:
    (folder / "film.mov").rename(folder / "letters" / "holiday.mov")
    (folder / "letters" / "2").rename(folder / "names" / "letters of the second")


def _in_other_case(folder: Path) -> None:
    (folder / "empty").rename(folder / "Empty")


def _moved_over(folder: Path) -> None:
    (folder / "letters" / "3" / "letter 3.txt").replace(folder / "letters" / "3" / "letter 7.txt")


def _removed(folder: Path) -> None:
    (folder / "Empty").unlink()
    shutil.rmtree(folder / "letters" / "0")


def _write(file: Path, body: bytes, number: int) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(body)
    _date(file, number)


def _date(file: Path, number: int) -> None:
    """As a copy does that keeps times: after the last byte."""
    when_s = FIRST_S + number * APART_S
    os.utime(file, (when_s, when_s))
