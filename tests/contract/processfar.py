"""A sandbox Dropbox behind network processes: the port as a mount has it."""

from __future__ import annotations

import logging
from typing import cast

from cloudsandbox.dropbox import DropboxSandbox
from daemon.config.settings import DropboxRemote
from daemon.process.connection import COMMAND
from daemon.process.networkrecipe import Recipe
from mountfs.clock import SystemClock
from mountfs.ports import Backend
from mountfs.transport.codec import dumps
from mountfs.transport.remote import RemoteBackend
from tests.contract.far import DropboxFar


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
    recipe = Recipe(remote, remote.name, "/nowhere", "", logging.WARNING, logging.WARNING)
    return RemoteBackend(COMMAND, lambda: dumps(recipe), SystemClock())
