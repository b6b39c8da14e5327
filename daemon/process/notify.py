"""Tells systemd how the service is doing, by the protocol of sd_notify(3)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.printable import printable


@dataclass(frozen=True, slots=True)
class Notifier:
    """Datagrams to the service manager; silent where there is none.

    *address* is NOTIFY_SOCKET (a path, or an abstract name after ``@``); *watchdog_s* is how often at
    the latest ``alive`` must be called, None when nobody watches.
    """

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], pid: int) -> Notifier:
        """What the manager asked of process *pid*; WATCHDOG_PID may address another one."""
        usec = environ.get("WATCHDOG_USEC", "")
        is_watched = usec.isdecimal() and environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        return cls(environ.get("NOTIFY_SOCKET") or None, int(usec) / 1e6 if is_watched else None)

    def ready(self, status: str) -> None:
        """The service does its work; ``systemctl start`` returns."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._send(f"STATUS={_line(status)}")

    def stopping(self, status: str) -> None:
        """The service is on its way down."""
        self._send(f"STOPPING=1\nSTATUS={_line(status)}")

    def extend(self, seconds: float) -> None:
        """Asks for *seconds* from now on before the manager loses patience."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def alive(self) -> None:
        """Feeds the watchdog."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if self.address is None:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        # Neither a manager that is restarting or gone, nor a missing descriptor, must take the mount with it.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.settimeout(1.0)
            sender.sendto(message.encode(), address)


def _line(text: str) -> str:
    return printable(" ".join(text.split()))
