"""A network process that does what a test says: ``python -m tests.doubles.oddprocess DIRECTORY [WORD]``."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mountfs.errors import MountfsError, Offline, ServerFault
from mountfs.model.entry import Account, Entry, File, Folder, Listed, Place
from mountfs.model.logevent import LogEvent
from mountfs.model.order import Order
from mountfs.model.path import RemotePath
from mountfs.model.rates import Rates
from mountfs.ports import Launch, Take
from mountfs.transport.frames import Channel
from mountfs.transport.serving import LogToMount, Serving
from tests.doubles.memory_account import MEMORY_LIMITS

MIB = 1 << 20
LEARNED = replace(MEMORY_LIMITS, max_file_bytes=7)
"""The limits once the account was asked."""


class OddBackend:
    """Not all of the port: what tests of the transport ask for."""

    root_id = "root"

    def __init__(self, directory: Path) -> None:
        self.limits = MEMORY_LIMITS
        self._directory = directory
        self._closed = threading.Event()
        self._asked = 0

    def account(self) -> Account:
        self.limits = LEARNED
        return Account("key", str(os.getpid()))

    def submit(self, orders: Sequence[Order]) -> Launch:
        """Says in the directory that it was asked, and answers nothing until it is closed."""
        (self._directory / f"asked-{os.getpid()}-{threading.get_ident()}").touch()
        self._closed.wait()
        raise Offline("closed")

    def list_folder(self, path: RemotePath, folder_id: str = "") -> Sequence[Listed]:
        """The same, but where as many processes were asked so before as the path says; "/": one."""
        if len(list(self._directory.glob("asked-*"))) >= int(path.name or 1):
            return []
        self.submit(())
        raise AssertionError

    def stat(self, place: Place) -> Entry:
        self._asked += 1
        match place.name:
            case "bug":
                raise KeyError(place.name)
            case "fault":
                raise ServerFault("500", 9.5)
            case "death":
                os._exit(3)
        return Folder("1", place.name)

    def new_sessions(self, count: int) -> list[str]:
        return ["session"] * count

    def abandon(self, session: str) -> None:
        if session == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
            threading.Event().wait()  # another thread may take the signal, and this one be a little further
        os._exit(3)

    def read(self, file: File, offset: int, length: int, take: Take | None = None) -> bytes:
        """Each MiB is full of its number."""
        end = min(offset + length, file.size_bytes)
        pieces = [bytes([at // MIB]) * min(MIB, end - at) for at in range(offset, end, MIB)]
        if take is None:
            return b"".join(pieces)
        for piece in pieces:
            take(piece)
        return b""

    def latest_cursor(self) -> str:
        log = logging.getLogger("odd")
        try:
            raise ValueError("the reason")
        except ValueError:
            log.warning("what %s", "happened", exc_info=True)
        log.warning(LogEvent("happened", path="/a b", count=2))
        log.debug("too much")
        return ""

    def calls(self) -> dict[str, int]:
        return {"stat": self._asked}

    def outcomes(self) -> dict[str, dict[str, int]]:
        return {"stat": {"2xx": self._asked}}

    def limit_rates(self, rates: Rates) -> None:
        """Bytes do not travel here."""

    def trouble(self) -> MountfsError | None:
        return ServerFault("trouble") if self._asked else None

    def close(self) -> None:
        self._closed.set()


def main(directory: str, *rest: str) -> None:
    *words, socket_fd, window_fd = rest
    if words == ["stillborn"]:
        sys.exit(4)
    channel = Channel(socket.socket(fileno=int(socket_fd)))
    channel.receive()
    logging.getLogger().addHandler(LogToMount(channel))
    mounted = Path(directory) / "mounted"
    serving = Serving(
        channel,
        int(window_fd),
        OddBackend(Path(directory)),  # type: ignore[arg-type]
        lambda account: (mounted.write_text(account.key), None)[1],
    )
    serving.run()
    serving.await_last_calls()
    if words == ["deaf"]:
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
