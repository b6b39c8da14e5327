"""The cache of a mount that no longer runs becomes part of another one's, which would never remove it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from mountfs.reading.cachedirectory import Name, name_of, path_of
from mountfs.reading.sums import SUFFIX


def take_cache(theirs: Path, ours: Path) -> None:
    """Moves the cache files in *theirs*, which nobody uses, into *ours* before that is used; *theirs* is gone
    after that. Of a content that both have, the file with more bytes stays. Nothing is believed here: it
    proves itself as what a former process of *ours* kept."""
    names = _names_in(theirs)
    kept = {(name.size_bytes, name.content_hash): name for name in _names_in(ours)}
    serial = max((name.serial for name in kept.values()), default=0)
    if names:
        ours.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in names:
        key = (name.size_bytes, name.content_hash)
        before = kept.get(key)
        source = path_of(str(theirs), name)
        if before is not None:
            former = path_of(str(ours), before)
            if _disk_bytes(source) <= _disk_bytes(former):
                continue
            _remove(former)
        serial += 1
        kept[key] = name._replace(serial=serial)
        _move(source, path_of(str(ours), kept[key]))
    shutil.rmtree(theirs, ignore_errors=True)


def _names_in(directory: Path) -> list[Name]:
    """In the order in which the files were made."""
    try:
        found = [name_of(name) for name in os.listdir(directory)]  # noqa: PTH208 - the system call itself
    except OSError:
        return []
    return sorted(name for name in found if name is not None)


def _move(source: str, target: str) -> None:
    """The digests first: a large file without any counts as a whole, and is read through to be believed."""
    with suppress(OSError):
        with suppress(FileNotFoundError):
            os.rename(source + SUFFIX, target + SUFFIX)  # noqa: PTH104 - the system call itself
        os.rename(source, target)  # noqa: PTH104 - likewise


def _remove(path: str) -> None:
    for each in (path, path + SUFFIX):
        Path(each).unlink(missing_ok=True)


def _disk_bytes(path: str) -> int:
    try:
        return os.stat(path).st_blocks  # noqa: PTH116 - the system call itself
    except OSError:
        return 0
