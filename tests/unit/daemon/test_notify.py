"""What the service manager hears."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.process.notify import Notifier
from tests.unit.daemon.hostile import HOSTILE


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


def test_each_message_arrives_as_written(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname(), watchdog_s=10.0)
    notifier.ready("on\n/mnt")
    notifier.status("3 changes pending")
    notifier.stopping("draining")
    notifier.extend(1.5)
    notifier.alive()
    assert [manager.recv(4096).decode() for _ in range(5)] == [
        "READY=1\nSTATUS=on /mnt",
        "STATUS=3 changes pending",
        "STOPPING=1\nSTATUS=draining",
        "EXTEND_TIMEOUT_USEC=1500000",
        "WATCHDOG=1",
    ]


def test_an_abstract_address_works_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # the kernel picks an abstract name
        listener.settimeout(5)
        Notifier("@" + listener.getsockname()[1:].decode()).status("x")
        assert listener.recv(4096) == b"STATUS=x"


def test_without_a_manager_it_is_silent() -> None:
    Notifier().ready("x")


def test_a_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "nobody")).ready("x")


def test_a_process_without_a_free_descriptor_goes_on(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", refuse)
        Notifier(manager.getsockname(), watchdog_s=1.0).alive()
    Notifier(manager.getsockname()).status("later")
    assert manager.recv(4096) == b"STATUS=later"


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "77"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_USEC": "nonsense"}, None),
    ],
)
def test_the_watchdog_is_fed_only_by_whom_it_watches(
    environ: dict[str, str], watchdog_s: float | None
) -> None:
    assert Notifier.from_environment(environ, pid=77).watchdog_s == watchdog_s


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_in_a_status_is_a_message_of_its_own(manager: socket.socket, name: str) -> None:
    Notifier(manager.getsockname()).status(f"{name}\nMAINPID=1: is refused")
    (line,) = manager.recv(4096).decode().split("\n")
    assert line.startswith("STATUS=")
    assert line.isprintable()
