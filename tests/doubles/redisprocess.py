"""A real Redis of the test's own, on loopback."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.ports import OwnPort
from tests.waiting import DEADLINE_S, until

READY = b"+PONG"


class RedisProcess:
    """``url``: where it is, also after a restart. Without its files: what it knew is gone with it."""

    def __init__(self, folder: Path, password: str = "") -> None:
        self._folder = folder
        self._password = password
        self._own = OwnPort()
        self.port = self._own.number
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        order = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        order += ["--appendonly", "no", "--dir", str(self._folder)]
        if self._password:
            order += ["--requirepass", self._password]
        self._folder.mkdir(parents=True, exist_ok=True)
        # Even a killed test run takes it along.
        order = ["setpriv", "--pdeathsig", "KILL", "--", *order]
        self._process = subprocess.Popen(order, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until(self._answers, "Redis answers")

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """As a crash would; harmless when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(DEADLINE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "redis-server ended; is the package redis-server installed?"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as link:
                link.settimeout(1.0)
                link.sendall(b"PING\r\n")
                return link.recv(100).startswith((READY, b"-NOAUTH"))
        except OSError:
            return False
