"""The stand-in of a service as a child process of the mount or the demo."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any, Self, cast

from daemon.config.settings import REMOTE_TYPES, AccountRemote, SandboxRemote
from daemon.failure import BadSettings, Failure
from daemon.places.holders import holder_of

LOG = logging.getLogger(__name__)

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
LEAST_BYTES = 1 << 20
"""Its databases do not begin with less."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a stand-in listens, and the token that opens it: random, and another one at each start."""

    url: str
    token: str = field(repr=False)


def check_installed() -> None:
    """BadSettings where the stand-ins, a project of their own, are not installed."""
    if importlib.util.find_spec("cloudsandbox") is None:
        raise BadSettings(
            "the sandboxes are not installed; run: pip install 'mountfs[sandbox]' "
            "(in a checkout of mountfs: pip install '.[sandbox]')"
        )


class EmbeddedSandbox:
    """``python -m cloudsandbox SERVICE`` with its data in *data_dir*.

    It ends when its standard input closes, so it never outlives this process, however that dies.
    """

    def __init__(self, service: str, data_dir: Path, extra: tuple[str, ...] = ()) -> None:
        self._service = service
        self._data_dir = data_dir
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    def start(self) -> Listening:
        """Returns once it listens. Failure, also when another one has the data."""
        self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_data()
        order = [sys.executable, "-P", "-m", "cloudsandbox", self._service]
        order += ["--data", str(self._data_dir), "--parent-pipe", *self._extra]
        # In a session of its own, or the terminal's Ctrl-C would end it before the drain.
        self._process = subprocess.Popen(
            order, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        ready, _, _ = select([self._process.stdout], [], [], START_TIMEOUT_S)
        line = self._process.stdout.readline() if ready else b""
        # The child makes the token and tells it through the pipe: a command line can be read by every user.
        try:
            told = json.loads(line)
            listening = Listening(str(told["url"]), str(told["token"]))
        except (ValueError, KeyError, TypeError):
            self.stop()
            raise Failure(f"the sandbox of {self._service} did not start: {self._why()}") from None
        LOG.info("the sandbox of %s listens at %s", self._service, listening.url)
        return listening

    def stop(self) -> None:
        """Ends it and waits; harmless when it never started."""
        process, self._process = self._process, None
        lock, self._lock = self._lock, None
        try:
            if process is not None:
                self._end(process)
        finally:
            if lock is not None:
                os.close(lock)

    def _why(self) -> str:
        if shutil.disk_usage(self._data_dir).free < LEAST_BYTES:
            return (
                f"the disk of {self._data_dir} is full; free some space, or name another place for state_dir"
            )
        return "see what it wrote to standard error; of a mount in the background, that is in its log"

    def _take_data(self) -> None:
        """Two of them would write to the same files, each without the other's changes."""
        self._lock = os.open(self._data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = holder_of(self._lock)
            os.close(self._lock)
            self._lock = None
            raise Failure(
                f"{self._data_dir}: another mount{who} runs the {self._service} sandbox on these files; "
                "unmount it, or choose another place with -o state_dir=DIR"
            ) from None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def account_of(remote: SandboxRemote, listening: Listening) -> AccountRemote:
    """The account of a stand-in."""
    record, _ = REMOTE_TYPES[remote.service]
    keys = addresses_of(remote.service, listening.url)
    return record(remote.name, access_token=listening.token, **cast("dict[str, Any]", keys))


def addresses_of(service: str, url: str) -> Mapping[str, str]:
    """The keys of a remote that say where it is, for the stand-in at *url*."""
    if service == "box":
        return {"api_url": f"{url}/2.0", "upload_url": f"{url}/api/2.0", "token_url": f"{url}/oauth2/token"}
    return {"api_url": url, "content_url": url, "notify_url": url}
