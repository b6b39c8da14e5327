"""What other mounts of the account have cached on this machine: it is linked, and not fetched again.

The names of their cache files tell the contents. A link gives such a file a second name, in the cache that
wants it, and from there on it counts as what a former process of that cache kept: its bytes have to prove
themselves. Either cache removes its own name alone. Both may write into the file, only what belongs to its
content; so no bytes there ever change, but from absent to right.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mountfs.reading.cachedirectory import Name, found_as, name_of, path_of
from mountfs.reading.cachefile import CacheFile
from mountfs.reading.contentkey import Key
from mountfs.reading.sums import SUFFIX, Sums, remove

LOOK_S = 10.0
"""Between two looks at the other caches; only the directories that have changed are read."""
WANTED_S = 1.0
"""The same, once something was wanted that none of them had at the last look."""
LOOK_FOR_OTHERS_S = 60.0
"""While there are none: a second mount may start, and a first one learns of it."""
NAMES_A_SECOND = 2000
"""So many known names put the next look off by a second: 100,000 take 0.17 s of the processor to read."""
MOST_HASHED_BYTES = 512 * 1024 * 1024
"""Of a file without digests, which is read as a whole, at 2 GB/s at best, before its first byte is believed.
The first bytes of a larger one are there sooner from the service."""
MOST_NAMES = 100_000
"""Of all other caches; each takes 120 bytes."""


def no_others() -> Iterable[Path]:
    """For a mount beside which there is none."""
    return ()


@dataclass(slots=True)
class _Cache:
    """The directory of another cache, as it was when it was read."""

    mtime_ns: int
    serials: dict[int, int] = field(default_factory=dict)
    """Of its files, by the hash of the content's key: the rest of a name is known to whoever wants it."""
    is_doubted: bool = False
    """Whether a file was not what its name told: it may be by now, without a change of the directory."""


class OtherCaches:
    """One thread calls ``step``, any may ask. To ask costs a look into memory, and nothing where there is no
    other cache."""

    def __init__(
        self, directories: Callable[[], Iterable[Path]] = no_others, most_names: int = MOST_NAMES
    ) -> None:
        """*directories*: the caches of the account on this machine, but for the one that asks."""
        self.wake: Callable[[], None] = lambda: None
        self.on_look: Callable[[float], None] = lambda _now_s: None
        """Called after each look: a shared file gives the disk room only when all caches let go of it, that
        of an idle mount too."""
        self._directories = directories
        self._most_names = most_names
        self._caches: dict[str, _Cache] = {}
        """By their directories; replaced as a whole, so that who asks needs no lock."""
        self._looked_s = -math.inf
        self._is_wanted = False

    def step(self, now_s: float) -> float:
        """Looks what the others have if it is time."""
        if now_s >= self._due_s():
            self._is_wanted = False
            self._look()
            self._looked_s = now_s
            self.on_look(now_s)
        return self._due_s()

    def lend(self, key: Key, new_path: Callable[[], str]) -> CacheFile | None:
        """A cache file of the content *key*, which gets *new_path* as another name; None: nobody has one."""
        content_hash, size = key
        caches = self._caches
        for directory, cache in caches.items():
            serial = cache.serials.get(hash(key))
            if serial is not None:
                theirs = path_of(directory, Name(serial, int(size), content_hash))
                lent = _linked(theirs, new_path(), int(size))
                if lent is not None:
                    return lent
                cache.serials.pop(hash(key), None)
                cache.is_doubted = True
        if caches and not self._is_wanted:
            self._is_wanted = True
            self.wake()
        return None

    def doubt(self, key: Key) -> None:
        """What was lent of the content *key* does not prove itself."""
        for cache in self._caches.values():
            if cache.serials.pop(hash(key), None) is not None:
                cache.is_doubted = True

    def _due_s(self) -> float:
        if not self._caches:
            return self._looked_s + LOOK_FOR_OTHERS_S
        count = sum(len(cache.serials) for cache in self._caches.values())
        return self._looked_s + (WANTED_S if self._is_wanted else LOOK_S) + count / NAMES_A_SECOND

    def _look(self) -> None:
        caches: dict[str, _Cache] = {}
        left = self._most_names
        for directory in map(str, self._directories()):
            cache = self._caches.get(directory)
            try:
                mtime_ns = os.stat(directory).st_mtime_ns  # noqa: PTH116 - the system call itself
                if cache is None or cache.is_doubted or cache.mtime_ns != mtime_ns:
                    cache = _Cache(mtime_ns, _serials_in(directory, left))
            except OSError:
                continue  # it has no cache yet
            caches[directory] = cache
            left -= len(cache.serials)
        self._caches = caches


def _serials_in(directory: str, most: int) -> dict[int, int]:
    """OSError."""
    found: dict[int, int] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if len(found) >= most:
                break
            name = name_of(entry.name)
            if name is not None:
                found[hash((name.content_hash, str(name.size_bytes)))] = name.serial
    return found


def _linked(theirs: str, ours: str, size_bytes: int) -> CacheFile | None:
    """None where *theirs* is gone, or has nothing that counts yet; also where it can have no further name, as
    link(2) tells. Then what was made is removed."""
    has_sums = True
    try:
        try:
            os.link(theirs + SUFFIX, ours + SUFFIX)
        except FileNotFoundError:
            has_sums = False
        if not has_sums and size_bytes > MOST_HASHED_BYTES:
            return None
        os.link(theirs, ours)
        # All of a file without digests would be read: not of one whose end has not come.
        if has_sums or os.stat(ours).st_size >= size_bytes:  # noqa: PTH116 - the system call itself
            found = found_as(Path(ours), has_sums=has_sums)
            if found is not None and (found.file.ranges or not has_sums):
                return found.file
    except OSError:
        pass
    remove(Path(ours))
    Sums(Path(ours), size_bytes).remove()
    return None
