"""The calls of a user, counted in a file that all mounts of that user on this machine share.

The file holds the last minute's calls: for each kind its name, five numbers and the times of its calls, on
the monotonic clock, which all processes of a machine share. Who takes a place locks the file, reads it whole
and writes it whole: some 10 KiB of what services document, 160 KiB of the most that is counted. What its
checksum does not hold for counts for nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock

from mountfs.model.allowance import COUNTED_MOST, Allowance, Window, Windows
from mountfs.ports import Clock

CALLS = "calls"
"""The directory of these files, in the state directory that ``daemon.places.statedir`` describes."""

_MAGIC = b"mountfs calls 2\n"
_SUM = struct.Struct("<16sI")
"""Magic, CRC-32 of all that follows: looking at each number takes ten times as long."""
_HEAD = struct.Struct("<di")
"""When a pause ends, how many kinds."""
_KIND = struct.Struct("<16siiiidddi")
"""Name, per minute, at once, most, allowed; times of spreading, growth and objection; how many calls."""
MOST_BYTES = 1 << 20
LOCK_TRIES = 200
LOCK_TRY_S = 0.001
"""Who has the lock needs it for moments. A process that was stopped meanwhile must not stop the others: after
so many tries they count on their own."""


class AccountBudget:
    """``ports.CallBudget``: in memory until ``share`` names the file, and again where that cannot be used."""

    def __init__(self, clock: Clock, rest: Callable[[float], object] | None = None) -> None:
        """*rest* waits between two tries of the lock."""
        self._clock = clock
        self._rest = rest or Event().wait
        self._lock = Lock()
        self._path: Path | None = None
        self._windows = Windows()

    def share(self, path: Path) -> None:
        """From here on the user's other mounts are counted, too. The directory is made if it is missing."""
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
        with self._lock:
            self._path = path

    def take(self, wanted: tuple[Allowance, ...]) -> float:
        if not any(each.is_counted for each in wanted):
            return 0.0
        waits_s: list[float] = []

        def work(windows: Windows) -> None:
            now_s = self._clock.now_s()
            waits_s.append(windows.take_s(wanted, now_s) - now_s)

        self._with_all(work)
        return waits_s[-1]

    def refused(self, refused: tuple[Allowance, ...], retry_after_s: float | None) -> None:
        self._with_all(lambda windows: windows.refused(refused, retry_after_s or 0.0, self._clock.now_s()))

    def _with_all(self, work: Callable[[Windows], None]) -> None:
        with self._lock:
            try:
                fd = None if self._path is None else self._locked(self._path)
            except OSError:
                fd = None
            if fd is None:
                work(self._windows)
                return
            try:
                with contextlib.suppress(OSError):
                    self._windows = _read(fd)
                work(self._windows)
                with contextlib.suppress(OSError):  # a full disk; the place is reserved in memory
                    _write(fd, self._windows)
            finally:
                os.close(fd)

    def _locked(self, path: Path) -> int | None:
        """The file, locked; None: another process keeps it."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._rest(LOCK_TRY_S)
            except OSError:
                os.close(fd)
                raise
            else:
                return fd
        os.close(fd)
        return None


def _read(fd: int) -> Windows:
    try:
        return _parsed(os.pread(fd, MOST_BYTES, 0))
    except (struct.error, ValueError):
        return Windows()


def _parsed(raw: bytes) -> Windows:
    """ValueError, struct.error."""
    found = Windows()
    magic, crc = _SUM.unpack_from(raw)
    if magic != _MAGIC or zlib.crc32(memoryview(raw)[_SUM.size :]) != crc:
        raise ValueError("not a count of calls")
    found.opens_s, kinds = _HEAD.unpack_from(raw, _SUM.size)
    at = _SUM.size + _HEAD.size
    for _ in range(kinds):
        name, per_minute, at_once, most, allowed, *times_s, count = _KIND.unpack_from(raw, at)
        at += _KIND.size
        left_s = array("d")
        left_s.frombytes(raw[at : at + count * left_s.itemsize])
        at += count * left_s.itemsize
        allowance = Allowance(name.rstrip(b"\0").decode(), per_minute, at_once, most)
        found.windows[allowance.name] = Window(allowance, left_s, times_s[0], allowed, *times_s[1:])
    return found


def _write(fd: int, windows: Windows) -> None:
    parts = [_HEAD.pack(windows.opens_s, len(windows.windows))]
    for name, each in windows.windows.items():
        kept, of = each.left_s[-COUNTED_MOST:], each.allowance
        numbers = (of.per_minute, of.at_once, of.most, each.allowed)
        parts.append(
            _KIND.pack(name.encode(), *numbers, each.spread_s, each.grown_s, each.objected_s, len(kept))
        )
        parts.append(kept.tobytes())
    told = b"".join(parts)
    whole = _SUM.pack(_MAGIC, zlib.crc32(told)) + told
    os.pwrite(fd, whole, 0)
    os.ftruncate(fd, len(whole))
