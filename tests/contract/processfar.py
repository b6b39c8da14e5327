"""A sandbox Dropbox behind network processes: the port as a mount has it."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
from typing import cast

from cloudsandbox.dropbox import DropboxSandbox
from daemon.config.settings import DropboxRemote
from daemon.process.connection import COMMAND
from daemon.process.networkrecipe import Recipe
from mountfs.clock import SystemClock
from mountfs.ports import Backend
from mountfs.transport.codec import dumps
from mountfs.transport.link import Child
from mountfs.transport.remote import RemoteBackend
from mountfs.transport.window import Window
from tests.contract.far import DropboxFar
from tests.mounted.forks import Forked


class ProcessFar(DropboxFar):
    """Each connection is a process of its own."""

    def __init__(self, sandbox: DropboxSandbox) -> None:
        self._processes: list[RemoteBackend] = []
        super().__init__(sandbox)

    def _connect(self, token: str, url: str) -> Backend:
        remote = DropboxRemote("work", access_token=token, api_url=url, content_url=url, notify_url=url)
        process = in_a_process(remote)
        self._processes.append(process)
        return cast(Backend, process)

    def close(self) -> None:
        super().close()
        for process in self._processes:
            process.end()


def in_a_process(remote: DropboxRemote) -> RemoteBackend:
    """Forked; one that took the place of one that died would be started as a mount does it."""
    recipe = Recipe(remote, remote.name, "/nowhere", "", logging.WARNING, logging.WARNING)
    backend = RemoteBackend(COMMAND, lambda: dumps(recipe), SystemClock(), ForkedChild())
    backend.start()
    return backend


class ForkedChild(Child):
    def __init__(self) -> None:
        self.window = Window()
        self.has_recipe = False
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = _Network(theirs.fileno(), self.window.fd)  # type: ignore[assignment]


class _Network:
    """What is used of ``subprocess.Popen``."""

    def __init__(self, socket_fd: int, window_fd: int) -> None:
        self._forked = Forked(["daemon.process.network", "0", "1"], (socket_fd, window_fd, 2))
        self.pid = self._forked.pid

    def kill(self) -> None:
        self._forked.signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        code = self._forked.wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("mountfs-network", timeout or 0.0)
        return code
