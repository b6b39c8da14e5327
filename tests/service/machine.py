"""A real systemd as the first process of name spaces of its own, whatever runs as this machine's PID 1."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.service import cgroups
from tests.waiting import until

BOOT_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 120.0
LOOK_TIMEOUT_S = 10.0
REPOSITORY = Path(__file__).resolve().parents[2]


def why_not() -> str | None:
    """Why this machine or user cannot boot one; None when nothing is in the way."""
    if os.geteuid() != 0:
        return "needs root: a systemd of its own takes name spaces and mounts"
    if not Path("/lib/systemd/systemd").exists():
        return "needs systemd; install the package systemd"
    for program in ("unshare", "nsenter", "mount", "systemctl", "journalctl", "systemd-analyze"):
        if shutil.which(program) is None:
            return f"needs the program {program}; install systemd and util-linux"
    if not Path("/dev/fuse").exists():
        return "needs /dev/fuse"
    return None


class Machine:
    """Boots on entry and is gone on exit, with everything that ran on it.

    *shared* and the project are at the same paths inside as outside; /run, /tmp, /etc/systemd/system,
    /etc/mountfs and /var/lib/mountfs are private and empty. Mounts made inside are seen by ``run`` only.
    With *disk*, an empty directory, the last three are there again after ``reboot`` and ``lose_power``.
    """

    def __init__(self, shared: Path, disk: Path | None = None) -> None:
        self.shared = shared
        self._disk = disk
        self._groups: list[Path] = []
        self._holder: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        self._boot()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                error.add_note(self.story())
        finally:
            self._end()

    def reboot(self, *, has_network: bool = True) -> None:
        """Stops all units as a machine that goes down does, and boots again."""
        self.run("systemctl", "--no-block", "reboot")
        assert self._holder is not None
        self._holder.wait(BOOT_TIMEOUT_S)
        self._end()
        self._boot(has_network=has_network)

    def lose_power(self, *, has_network: bool = True) -> None:
        """Nothing is stopped: all processes are gone at once. Then it boots again."""
        self._end()
        self._boot(has_network=has_network)

    @property
    def log(self) -> Path:
        """What the manager itself said."""
        return self.shared / "systemd.log"

    def run(
        self,
        *order: str | Path,
        check: bool = True,
        timeout_s: float = COMMAND_TIMEOUT_S,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Runs a command inside; what it printed. AssertionError with all of it when it fails."""
        words = [str(word) for word in order]
        done = subprocess.run(
            ["nsenter", "-t", str(self._pid), "-m", "-p", "-u", "-i", "-C", "--", *words],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Writes a file inside."""
        target = Path(f"/proc/{self._pid}/root{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def journal(self, unit: str = "") -> str:
        """What the services have said so far."""
        chosen = ["-u", unit] if unit else []
        return self.run("journalctl", "--no-pager", "-o", "short-monotonic", *chosen, check=False)

    def property(self, unit: str, name: str) -> str:
        """One property of a unit, as ``systemctl show`` tells it."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def story(self) -> str:
        """What is known of the machine, for a failed test: the end of the journal, which has the manager's
        words as well, what the manager waits for, and where each thread of its processes is."""
        looks = {
            "journal": ["journalctl", "--no-pager", "-o", "short-monotonic", "-n", "80"],
            "jobs": ["systemctl", "list-jobs", "--no-pager"],
            "threads": ["ps", "-eLo", "pid,ppid,tid,stat,wchan:32,etime,args"],
        }
        lines: list[str] = []
        for title, order in looks.items():
            try:
                said = self.run(*order, check=False, timeout_s=LOOK_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                said = f"no answer within {LOOK_TIMEOUT_S:.0f} s"
            lines += [f"--- {title}", *said.splitlines()]
        manager = self.log.read_text(errors="replace").splitlines()[-20:]
        return "\n".join([*lines, "--- manager, before there was a journal", *manager])

    def _boot(self, *, has_network: bool = True) -> None:
        kept = {self.shared, REPOSITORY, Path(sys.prefix), Path(sys.base_prefix)}
        order = ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--mount", "--uts", "--ipc"]
        if not has_network:
            order.append("--net")
        disk = "" if self._disk is None else str(self._disk)
        order += ["--cgroup", sys.executable, str(Path(__file__).with_name("boot.py")), disk]
        self._groups = cgroups.new_groups()
        with self.log.open("ab") as log:
            self._holder = subprocess.Popen(
                cgroups.inside(self._groups, [*order, *sorted(map(str, kept))]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._await_boot()
        except BaseException:
            self._end()
            raise

    def _await_boot(self) -> None:
        def is_up() -> bool:
            holder = self._holder
            assert holder is not None and holder.poll() is None, "it ended"
            self._pid = self._pid or _only_child(holder.pid)
            if not self._pid or not self._is_systemd():
                return False
            return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")

        try:
            until(is_up, "systemd is up", BOOT_TIMEOUT_S)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.log.read_text(errors='replace')[-4000:]}") from None

    def _is_systemd(self) -> bool:
        return Path(f"/proc/{self._pid}/comm").read_text().strip() == "systemd"

    def _end(self) -> None:
        if self._pid:
            try:
                os.kill(self._pid, signal.SIGKILL)  # with it goes everything in its name space of processes
            except ProcessLookupError:
                pass
        if self._holder is not None:
            if not self._pid:
                self._holder.kill()
            self._holder.wait(BOOT_TIMEOUT_S)
        self._holder, self._pid = None, 0
        cgroups.remove(self._groups)


def _only_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0
