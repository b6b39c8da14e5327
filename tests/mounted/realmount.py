"""A `mountfs mount` process, and the command line, for tests of the whole product."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Self

from daemon.control.client import Client, all_mounts
from daemon.control.protocol import Settled, StatusReply, StatusRequest, WaitRequest
from daemon.failure import Failure
from daemon.places.runtimedir import socket_path
from daemon.process.mountpoint import detach
from mountfs.model.hashing import HashKind, hasher
from tests.mounted import forks
from tests.mounted.forks import Forked, Started
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import DEADLINE_S, until

STARTS_S = 0.02
"""Between two looks whether a mount is ready: of the third of a second that takes, some are for nothing."""


class RealMount:
    """One `mountfs mount` of remote `work:`, in the foreground of a child, with its own state directory.

    Whatever becomes of the test: `cleanup` leaves neither a process nor a mount behind.
    """

    def __init__(
        self,
        folder: Path,
        far_side: SandboxProcess,
        *,
        subdir: str = "",
        name: str = "mnt",
        remote: Mapping[str, str] | None = None,
        **options: str,
    ) -> None:
        self.folder = folder
        self.path = (folder / name).resolve()
        self.state_dir = folder / "state"
        self.config = folder / "mountfs.toml"
        self.log_file = folder / f"{name}.log"
        self.spec = f"work:{subdir}"
        self.options = {"state_dir": str(self.state_dir), "drain_timeout": "60", **options}
        self._mountfs = far_side.mountfs
        self._process: Forked | Started | None = None
        self.path.mkdir(parents=True, exist_ok=True)
        write_config(self.config, far_side, **(remote or {}))

    @property
    def pid(self) -> int:
        """Of the process that runs now, or ran last."""
        assert self._process is not None
        return self._process.pid

    def order(self, *flags: str) -> list[str]:
        """The arguments of `mountfs` that make this mount."""
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return ["--config", str(self.config), "mount", *flags, "-o", options, self.spec, str(self.path)]

    def start(self) -> None:
        """Returns when the mount answers; fails with the process's own words when it ends instead."""
        with self.log_file.open("ab") as log:
            self._process = _begun([*self._mountfs, *self.order()], log, log)
        until(self._is_ready_or_ended, "the mount answers", look_every_s=STARTS_S)
        assert self._process.poll() is None, self.log_file.read_text()

    def kill9(self) -> None:
        """Ends the process as a crash would; the dead mount stays, as it does in life."""
        assert self._process is not None
        self._process.signal(signal.SIGKILL)
        self.ended()

    def terminate(self) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.signal(number)

    def freeze(self) -> None:
        """Returns when no thread of the process runs any more, until ``thaw``."""
        freeze(self.pid)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def ended(self) -> int:
        """The exit code, once the process has ended."""
        assert self._process is not None
        code = self._process.wait(DEADLINE_S)
        assert code is not None, f"process {self.pid} does not end"
        return code

    def client(self) -> Client:
        """Talks to the process that runs now, or ran last. Where it listens follows from its number: to ask
        the mount for that starts a Python, as commands do."""
        return Client(self.path, socket_path(os.environ, os.geteuid(), self.pid))

    def wait_committed(self, timeout_s: float = DEADLINE_S) -> None:
        """Returns when the service has everything; fails when anything failed."""
        for reply in self.client().ask(WaitRequest("/", timeout_s)):
            if isinstance(reply, Settled):
                assert reply == Settled(0), f"{reply}\n{self.log_file.read_text()}"

    def status(self) -> dict[str, Any]:
        """What `mountfs status --json` prints."""
        for reply in self.client().ask(StatusRequest()):
            if isinstance(reply, StatusReply):
                return asdict(reply.status)
        raise AssertionError("the mount gave no status")

    def peak_memory_bytes(self) -> int:
        """The most memory that the process ever had in use."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    def cleanup(self) -> None:
        """Takes away whatever is left, and fails if the process ever broke."""
        process = self._process
        if process is not None:
            process.signal(signal.SIGKILL)
        # First, since a process that was asking its own mount something dies only when that is gone.
        while self.path in all_mounts():
            detach(self.path)
        if process is not None:
            self.ended()
        if self.log_file.exists():
            text = self.log_file.read_text()
            assert "Traceback" not in text, text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.cleanup()

    def _is_ready_or_ended(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        with contextlib.suppress(Failure):  # it does not listen yet
            return bool(self.status()["phase"] == "ready")
        return False


def freeze(pid: int) -> None:
    """SIGSTOP, and returns when it has reached every thread. kill(2) returns before: while the thread that
    takes the signal waits for a core or a disk, the others go on answering."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: all(each == "T" for each in _states(pid)), f"all threads of process {pid} stand still")


def _states(pid: int) -> Iterator[str]:
    """Of each thread: proc_pid_stat(5)."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield (thread / "stat").read_text().rpartition(") ")[2][0]


def write_config(path: Path, far_side: SandboxProcess, **keys: str) -> None:
    """A configuration whose remote `work` is the account of *far_side*; *keys* are added or replace. An
    empty token is left out."""
    values = {**far_side.remote(), **keys}
    lines = [f'{key} = "{value}"\n' for key, value in values.items() if value or key != "access_token"]
    path.touch(mode=0o600)
    path.write_text("[remotes.work]\n" + "".join(lines))


def mountfs(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    order = [*SandboxProcess.mountfs, *map(str, arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = _begun(order, out, err)
        code = process.wait(2 * DEADLINE_S)
        if code is None:
            process.signal(signal.SIGKILL)
            raise subprocess.TimeoutExpired(order, 2 * DEADLINE_S)
        return subprocess.CompletedProcess(order, code, _told(out), _told(err))


def _begun(order: Sequence[str], out: IO[bytes], err: IO[bytes]) -> Forked | Started:
    begin = Forked if forks.is_used_for_mounts else Started
    with open(os.devnull, "rb") as nothing:
        return begin(order, (nothing.fileno(), out.fileno(), err.fileno()))


def _told(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def small_tree(folder: Path, count: int) -> Path:
    """*folder* with *count* files of 4 KiB, all different: dN/fNUMBER in up to ten folders."""
    for number in range(count):
        path = folder / f"d{number % 10}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(4096))
    return folder


def hashes(folder: Path, kind: HashKind) -> dict[str, str]:
    """Path below *folder* -> content hash, of all files; the far side's `files` in the same form."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            state = hasher(kind)
            with path.open("rb") as file:
                while piece := file.read(4 * 1024 * 1024):
                    state.update(piece)
            found[f"/{path.relative_to(folder)}"] = state.hexdigest()
    return found


MakeMount = Callable[..., RealMount]


@contextlib.contextmanager
def real_mounts(
    folder: Path, far_side: SandboxProcess, remote: Mapping[str, str] | None = None
) -> Iterator[MakeMount]:
    """Makes RealMounts, not yet started, and cleans all of them up; *remote*: keys of `write_config`."""
    with contextlib.ExitStack() as stack:

        def make(remote: Mapping[str, str] | None = remote, **given: str) -> RealMount:
            mount = RealMount(folder, far_side, remote=remote, **given)
            stack.callback(mount.cleanup)
            return mount

        yield make
