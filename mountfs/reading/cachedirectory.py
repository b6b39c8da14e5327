"""The directory of a cache: what a former process left there, and names for new files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

from mountfs.model.ranges import RangeSet
from mountfs.reading.cachefile import CacheFile, is_lengthened, stored_in
from mountfs.reading.contentkey import Key
from mountfs.reading.readahead import WHOLE_FILE_BYTES
from mountfs.reading.sums import SUFFIX, Sums, remove

_NAME = re.compile(r"([0-9a-f]+)\.([0-9]+)\.([0-9A-Za-z]+)")
"""Of a cache file of a content whose hash is known: a serial number, the bytes of the whole, the hash."""


class Name(NamedTuple):
    """What the name of a cache file says."""

    serial: int
    size_bytes: int
    content_hash: str


def name_of(name: str) -> Name | None:
    """None: that is not the name of a cache file of a content whose hash is known."""
    named = _NAME.fullmatch(name)
    return None if named is None else Name(int(named[1], 16), int(named[2]), named[3])


def path_of(directory: str, name: Name) -> str:
    return f"{directory}/{name.serial:08x}.{name.size_bytes}.{name.content_hash}"


class Found(NamedTuple):
    """A cache file of a former process: the key of its content, and in which order it was made."""

    key: Key
    file: CacheFile
    serial: int


def found_as(path: Path, *, has_sums: bool) -> Found | None:
    """What the file at *path* is; None: none of ours."""
    named = name_of(path.name)
    if named is None:
        return None
    size_bytes = named.size_bytes
    try:
        found = os.stat(path)  # noqa: PTH116 - the system call itself
    except OSError:
        return None
    inode = found.st_dev, found.st_ino
    if has_sums:
        sums = Sums(path, size_bytes)
        is_long = found.st_size == sums.uncut_bytes
        if not is_long and found.st_nlink > 1:
            return None  # another mount uses it, and is to learn that somebody cut it
        is_long = is_long or _is_lengthened(path, sums.uncut_bytes)
        blocks = sums.present()
        ranges = RangeSet(sums.span(number) for number in blocks)
        former = CacheFile(str(path), ranges, sums=sums, is_former=True, inode=inode, is_long=is_long)
        former.leave(stored_in(former.path, 0, size_bytes))
        former.cached_bytes = former.disk_bytes
        sums.unproven = set(blocks)
    elif size_bytes > WHOLE_FILE_BYTES and not _is_full(path, size_bytes):
        return None
    else:
        former = CacheFile(str(path), cached_bytes=size_bytes, is_proven=False, is_former=True, inode=inode)
    return Found((named.content_hash, str(size_bytes)), former, named.serial)


def _is_lengthened(path: Path, length: int) -> bool:
    """Whether a file that power left too short is as long as *length* again."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return is_lengthened(fd, length)
    except OSError:
        return False
    finally:
        os.close(fd)


def _is_full(path: Path, size_bytes: int) -> bool:
    """Whether a file has as many bytes, and no hole. A large file without digests is an upload that was taken
    over, or its digests could not be written: to hash its holes would keep the first read waiting."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        is_as_long = os.lseek(fd, 0, os.SEEK_END) in (size_bytes, Sums(path, size_bytes).uncut_bytes)
        return is_as_long and os.lseek(fd, 0, os.SEEK_HOLE) >= size_bytes
    except OSError:
        return False
    finally:
        os.close(fd)


class CacheDirectory:
    """Gives no name twice: whoever still reads or writes an evicted file must not meet another's. Any thread
    may ask for a name."""

    def __init__(self, path: Path) -> None:
        """Makes the directory if it is missing."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = str(path)
        self._serials = count(1)

    def take_stock(self) -> list[Found]:
        """The cache files of a former process, in the order in which they were made; what is none is removed.
        To be called before there are new ones."""
        found = list(_found_in(self._path))
        self._serials = count(1 + max((each.serial for each in found), default=0))
        return found

    def new_path(self, content_hash: str | None, size_bytes: int) -> str:
        """Of a new cache file; the directory is made again if somebody has removed it."""
        with suppress(OSError):
            Path(self._path).mkdir(mode=0o700, exist_ok=True)
        serial = next(self._serials)
        known = path_of(self._path, Name(serial, size_bytes, content_hash or ""))
        return known if name_of(Path(known).name) else f"{self._path}/{serial:08x}"


def _found_in(directory: str) -> Iterator[Found]:
    names = set(os.listdir(directory))  # noqa: PTH208 - the system call itself
    for name in sorted(names):
        path = Path(directory, name)
        if name.endswith(SUFFIX):
            found, is_ours = None, name.removesuffix(SUFFIX) in names
        else:
            found = found_as(path, has_sums=name + SUFFIX in names)
            is_ours = found is not None
        if not is_ours:
            remove(path)
            if name + SUFFIX in names:
                remove(Path(directory, name + SUFFIX))
        if found is not None:
            yield found
