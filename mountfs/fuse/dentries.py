"""Has the kernel forget names of files that were looked up long ago, so that libfuse forgets them too.

libfuse keeps a node, some 280 bytes, for each name that the kernel has looked up, until the kernel gives it
back. The kernel does so when the machine's memory is short; until then a `du` over a million files would
leave 280 MB with us. Asked to drop a name (``FUSE_NOTIFY_INVAL_ENTRY``), it gives it back at once, and looks
it up again when somebody uses it.

Names of folders are not taken back: a process that works in one would not find its way up any more
(getcwd(3)). Nor are those of open files, which /proc would call deleted, and of files that something is
mounted over, which would be unmounted.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import struct
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

from mountfs.fuse.covered import covered
from mountfs.fuse.lookups import Lookups
from mountfs.fuse.nodes import nodes_of

LOG = logging.getLogger(__name__)

NAMES_KEPT = 100_000
"""As many as a large source tree has. To take one back costs 8 us, and the pages that the kernel has."""
KEPT_THEN = 0.8
"""The part of them that is kept when there were too many."""
MOST_NOTED = 2
"""So many times NAMES_KEPT are noted, where all are in folders in use: a name takes 100 bytes."""
NAMES_AT_ONCE = 20_000
"""The process that asks for the numbers of their folders takes 50 ms to begin."""

INVALIDATE_ENTRY = 3
"""FUSE_NOTIFY_INVAL_ENTRY in linux/fuse.h; in a header that answers no request it stands for an error."""
HEADER = struct.Struct("=IiQQII")
"""``fuse_out_header`` and ``fuse_notify_inval_entry_out``: length, code, 0; folder, length of the name, 0."""

GONE = (errno.ENODEV, errno.EPERM, errno.ENOTCONN)
"""The mount is not there any more."""

END_S = 5.0
"""How long the end of a mount waits for what is being taken back."""


class Dentries:
    """Names of one mount. ``begin`` and ``end`` are the mount's, the rest is for any thread."""

    def __init__(
        self, mountpoint: Path, is_open: Callable[[str], bool], names_kept: int = NAMES_KEPT
    ) -> None:
        """*is_open*: whether a file is open by that path."""
        self._mountpoint = os.fsencode(mountpoint)
        self._is_open = is_open
        self._most = self._due = names_kept
        self._lookups = Lookups()
        self.in_hand: dict[int, tuple[Any, ...]] = {}
        """By thread: what a call that is being answered was given, the paths among it."""
        self._are_too_many = Event()
        self._is_over = False
        self._channel = -1
        self._worker: Thread | None = None

    def begin(self, fuse: Any) -> None:
        """Called in libfuse's ``init``; *fuse*: the module of that name."""
        self._channel = _channel(fuse)
        self._worker = Thread(target=self._run, name="dentries", daemon=True)
        self._worker.start()

    def end(self) -> None:
        """The mount is gone."""
        self._is_over = True
        self._are_too_many.set()
        if self._worker is not None:
            self._worker.join(END_S)
            if not self._worker.is_alive():  # it may wait for another file system, on the way to this one
                os.close(self._channel)

    def note(self, path: str) -> None:
        """The kernel is being told of the file at *path*."""
        self._lookups.note(path)
        if self._lookups.count > self._due:
            self._are_too_many.set()

    def left(self, path: str) -> None:
        """The file at *path* was removed."""
        self._lookups.left(path)

    def renamed(self, source: str, target: str) -> None:
        """What the kernel had as *source* it has as *target*. Names below a folder are not followed: they are
        taken back where they were, in vain."""
        if self._lookups.left(source):
            self.note(target)

    def _run(self) -> None:
        while not self._is_over:
            self._are_too_many.wait()
            self._are_too_many.clear()
            try:
                self._take_back()
            except Exception as error:
                self._due = self._lookups.count + self._most
                if not (isinstance(error, OSError) and error.errno in GONE):
                    LOG.warning("the kernel keeps names that nobody uses: %s", error)
            self._lookups.forget(MOST_NOTED * self._most)

    def _take_back(self) -> None:
        """Goes on until few enough are left, or all were looked at: those in use come again later."""
        lookups, enough = self._lookups, int(self._most * KEPT_THEN)
        hidden, left = covered(self._mountpoint), lookups.count
        while left > 0 and lookups.count > enough and not self._is_over:
            taken = self._taken(min(left, lookups.count - enough))
            if not taken:
                break
            left -= sum(len(names) for _, names in taken)
            folders = [self._outside(folder) for folder, _ in taken]
            for (folder, names), node in zip(taken, nodes_of(self._mountpoint, folders), strict=True):
                for name in names:
                    path = f"{folder}/{name}"
                    if self._is_open(path) or _encoded(path) in hidden or self._is_in_use(folder):
                        lookups.note(path)
                    elif node is not None:
                        self._forget(node, name)
        self._due = max(self._most, lookups.count + self._most - enough)

    def _taken(self, most: int) -> list[tuple[str, list[str]]]:
        """Names of several folders, whose numbers are asked for at once."""
        taken: list[tuple[str, list[str]]] = []
        left = min(most, NAMES_AT_ONCE)
        while left > 0 and (one := self._lookups.take(left)) is not None:
            taken.append(one)
            left -= len(one[1])
        return taken

    def _is_in_use(self, folder: str) -> bool:
        """Whether a call is being answered for which the kernel may hold the lock of *folder*: it would wait
        for that, and a thread that waits there keeps a process that was killed from its end, and with it the
        call from being answered."""
        where = folder or "/"
        for told in list(self.in_hand.values()):
            for each in told:
                if isinstance(each, str) and (each == where or each.rpartition("/")[0] == folder):
                    return True
        return False

    def _forget(self, folder_node: int, name: str) -> None:
        """May wait for calls in the folder: it must hold nothing that these need."""
        encoded = _encoded(name)
        length = HEADER.size + len(encoded) + 1
        header = HEADER.pack(length, INVALIDATE_ENTRY, 0, folder_node, len(encoded), 0)
        try:
            os.write(self._channel, header + encoded + b"\0")
        except FileNotFoundError:
            pass  # the kernel does not have it any more

    def _outside(self, path: str) -> bytes:
        """Where the machine has what is at *path* in the mount."""
        return self._mountpoint + _encoded(path)


def _encoded(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _channel(fuse: Any) -> int:
    """A descriptor of our own of the mount that libfuse is just answering for: libfuse closes its own at the
    end, and the number may be another file's then."""
    library = fuse._libfuse
    for name in ("fuse_get_session", "fuse_session_next_chan"):
        getattr(library, name).restype = ctypes.c_void_p
    session = library.fuse_get_session(ctypes.c_void_p(library.fuse_get_context().contents.fuse))
    channel = library.fuse_session_next_chan(ctypes.c_void_p(session), None)
    return os.dup(library.fuse_chan_fd(ctypes.c_void_p(channel)))
