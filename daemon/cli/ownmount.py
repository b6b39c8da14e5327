"""A mount that a command makes for itself, with a state directory of its own."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from daemon.cli.statusline import StatusLine
from daemon.control.client import Client, all_mounts, last_of, socket_of
from daemon.control.protocol import (
    Progress,
    Settled,
    StatusReply,
    StatusRequest,
    Stopped,
    StopRequest,
    WaitRequest,
)
from daemon.control.status import in_bytes, plural
from daemon.failure import Failure
from daemon.places.runtimedir import process_at
from daemon.process.mountpoint import detach

COMMIT_TIMEOUT_S = 600.0
NEWS_S = 5.0
"""How often progress is printed where there is no terminal."""
ENDS_WITHIN_S = 30.0
"""A mount that is taken away ends, unless its process hangs."""
_MOUNTPOINT = "mnt"
_MOST_MOUNTS = 10
"""On one mount point, after each other, of processes that were still beginning when they were given up."""


@contextmanager
def own_workplace(prefix: str) -> Iterator[Path]:
    """A new directory, each folder of which may be an OwnMount's. It is gone afterwards, but never with a
    mount in it: what is removed there would be removed from the account. Failure: a mount stays.

    Meanwhile a signal that would end the process is an interrupt, or the mounts would stay."""
    made = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    ending = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) == signal.SIG_DFL]
    for each in ending:
        signal.signal(each, signal.default_int_handler)
    try:
        yield made
    finally:
        try:
            for folder in made.iterdir():
                _clear(folder / _MOUNTPOINT)
            shutil.rmtree(made, ignore_errors=True)
        except KeyboardInterrupt:
            raise Failure(f"interrupted: unmount what is mounted in {made}, and then remove it") from None
        finally:
            for each in ending:
                signal.signal(each, signal.SIG_DFL)


def _clear(mountpoint: Path) -> None:
    """Afterwards nothing is mounted there, nor will be by a process that still begins to: the directory is
    gone, which rmdir(2) removes only where nothing is mounted. Failure, OSError."""
    for left in reversed(range(_MOST_MOUNTS)):
        if mountpoint in all_mounts():
            _detach(mountpoint)
        try:
            mountpoint.rmdir()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            if not left:
                raise


def _detach(mountpoint: Path) -> None:
    """Failure."""
    with _until_ended(mountpoint):
        detach(mountpoint)


@contextmanager
def _until_ended(mountpoint: Path) -> Iterator[None]:
    """Within it the mount there is taken away. Afterwards its process, which writes until then, has ended."""
    with ExitStack() as stack:
        process = None
        with suppress(Failure, OSError):  # it hangs, or is dead
            number = process_at(socket_of(mountpoint))
            if number is not None:
                process = os.pidfd_open(number)
                stack.callback(os.close, process)
        yield
        if process is not None:
            select.select([process], [], [], ENDS_WITHIN_S)


class OwnMount:
    """Mounted while it is entered. What is pending when it is left is given up with its state."""

    def __init__(self, directory: Path, config: Path, remote: str) -> None:
        """*directory*: a new one, for this mount alone. *remote*: as ``mountfs mount`` takes it, of the
        configuration *config*."""
        self._config = config
        self._remote = remote
        self._state_dir = directory / "state"
        self.mountpoint = (directory / _MOUNTPOINT).resolve()

    def __enter__(self) -> Self:
        self.mountpoint.mkdir(parents=True)
        order = [sys.executable, "-P", "-m", "daemon.cli", "--config", str(self._config)]
        order += ["mount", "--background", "-o", f"state_dir={self._state_dir}"]
        order += [self._remote, str(self.mountpoint)]
        try:
            done = subprocess.run(
                order, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
            )
        except BaseException:  # the mount's process may have begun
            _clear(self.mountpoint)
            raise
        if done.returncode:
            reason = done.stderr.strip().removeprefix("mountfs: ") or f"mount exited with {done.returncode}"
            raise Failure(reason)
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            if self.mountpoint in all_mounts():
                with suppress(Failure):
                    self.unmount(timeout_s=0.0)
        finally:
            _clear(self.mountpoint)

    def calls(self) -> Mapping[str, int]:
        """To the service so far, by route."""
        replies = Client.at(self.mountpoint).ask(StatusRequest())
        return last_of(replies, StatusReply, self.mountpoint).status.account.calls

    def settle(
        self, line: StatusLine, say: Callable[[str], None], timeout_s: float = COMMIT_TIMEOUT_S
    ) -> None:
        """Returns when all is committed. Failure: something was refused, or it took too long."""
        spoken_s = time.monotonic()
        for reply in Client.at(self.mountpoint).ask(WaitRequest("/", timeout_s)):
            if isinstance(reply, Progress):
                news = f"{plural(reply.pending, 'change')} pending, {in_bytes(reply.size_bytes)}"
                line.show(news)
                if not line.is_shown and time.monotonic() - spoken_s >= NEWS_S:
                    spoken_s = time.monotonic()
                    say(news)
            elif isinstance(reply, Settled):
                if reply.failed:
                    raise Failure(f"not committed: {reply.failed[0].path}: {reply.failed[0].reason}")
                if reply.pending:
                    raise Failure(f"{plural(reply.pending, 'change')} not committed after {timeout_s:.0f} s")

    def unmount(self, timeout_s: float | None = None) -> None:
        """Drains, for at most *timeout_s* where given, and unmounts. Failure: something is left over."""
        with _until_ended(self.mountpoint):
            replies = Client.at(self.mountpoint).ask(StopRequest(timeout_s), until_closed=True)
            left = sum(reply.pending for reply in replies if isinstance(reply, Stopped))
        if left:
            raise Failure(f"{plural(left, 'change')} left over after the drain")
