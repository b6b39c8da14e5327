"""What is another in a mount that is itself forked from a process that has imported what it runs: its network
process is forked, too, and it keeps fewer empty files at hand."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress

from daemon.process import assembly, connection, network
from mountfs.transport.link import Child
from mountfs.transport.window import Window


class ForkedNetwork:
    """What is used of ``subprocess.Popen``."""

    def __init__(self, socket_fd: int, window_fd: int) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            _become(socket_fd, window_fd)
        self._pidfd = os.pidfd_open(self.pid)
        self.returncode: int | None = None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._pidfd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("mountfs-network", timeout or 0.0)
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


class ForkedChild(Child):
    """The first network process of a mount: at that time the mount is a single thread. Those that take the
    place of one that died are started as always."""

    def __init__(self, command: Sequence[str], window: Window) -> None:
        if threading.active_count() > 1:
            super().__init__(command, window)
            return
        self.window = window
        self.has_recipe = False
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = ForkedNetwork(theirs.fileno(), window.fd)  # type: ignore[assignment]


def _become(socket_fd: int, window_fd: int) -> None:
    """Never returns. Nothing of the mount is left in it but what both have imported."""
    os.setsid()
    low, high = sorted((socket_fd, window_fd))
    os.closerange(3, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, os.sysconf("SC_OPEN_MAX"))
    logging.getLogger().handlers.clear()
    try:
        network.main(socket_fd, window_fd)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


AHEAD_FILES = 64
"""So many empty files such a mount keeps at hand: twice what it makes in one step. The thousand that others
keep were a sixth of what a mount of a test's own cost."""

connection.Child = ForkedChild  # type: ignore[attr-defined]
assembly.AHEAD_FILES = AHEAD_FILES  # type: ignore[attr-defined]
