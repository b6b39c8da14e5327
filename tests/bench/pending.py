"""How long calls take while the service is away: with nothing pending, and with very much."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

from daemon.config.settings import SandboxRemote, find_remote, load
from daemon.control.client import Client
from daemon.control.protocol import StatusRequest
from daemon.core import Core, Places, Settings, build, lay
from daemon.places.statedir import StateDir
from daemon.signin import remotes
from daemon.signin.identity import identity_mark
from mountfs.attributes import FileSystemOptions
from mountfs.clock import SystemClock, boot_id
from mountfs.filesystem import FileSystem
from mountfs.ports import Backend
from mountfs.spool.disk import RealDisk
from tests.mounted.corner import STATE
from tests.mounted.memorymount import RemoteMemory
from tests.mounted.memoryprocess import MemoryProcess
from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import REPOSITORY, SandboxProcess

IN_ONE_FOLDER = 100
TRIES = 21
STARTS = 5
TOP = "top"
REST_S = 1.0
"""A process that used no more than a tenth of a core for so long is at rest."""

Figures = dict[str, float]


def pending(folder: Path, far_side: SandboxProcess, count: int) -> Figures:
    """Times calls on a mount whose service is away: with nothing pending, and with *count* changes.

    Those are new folders, each with 99 new files of 100 bytes, below one folder that the service has. To send
    so many calls through the kernel takes minutes. They are made in less by the same file system without a
    kernel, on the account's own state directory, while nothing is mounted; and they are synced, as a mount
    does a second later.
    """
    mount = RealMount(folder, far_side, drain_timeout="30")
    try:
        mount.start()
        top = mount.path / TOP
        top.mkdir()
        for number in range(TRIES):
            (top / f"stat{number}").write_text("known")
        mount.wait_committed()
        assert mount.terminate() == 0
        far_side.pause()
        none = _times(mount, "none")
        with _without_kernel(mount, far_side) as core:
            _make(core.file_system(FileSystemOptions(uid=os.getuid(), gid=os.getgid())), count)
            core.durability.step(core.clock.now_s())
        many = _times(mount, "many")
    finally:
        mount.cleanup()
    figures: Figures = {}
    for what, value in none.items():
        figures[what] = value
        figures[f"- with {count:,}: {what}"] = many[what]
        figures[f"- times: {what}"] = many[what] / value
    return figures


@contextmanager
def _without_kernel(mount: RealMount, far_side: SandboxProcess) -> Iterator[Core]:
    """The account of *mount*, while that is not mounted and nobody sends anything."""
    remote = find_remote(load((), mount.config), "work")
    assert not isinstance(remote, SandboxRemote)
    clock, disk, state = SystemClock(), RealDisk(), StateDir(mount.state_dir)
    if isinstance(far_side, MemoryProcess):
        backend = cast(Backend, RemoteMemory(remote.api_url))
    else:
        backend = remotes.connect(remote, clock, mount.state_dir)
    account = state.identify("work", identity_mark(remote), backend.account)
    slot = state.take_slot(account)
    places = Places(slot.journal, slot.spool, slot.cache, slot.directory / "commit.lock")
    settings = Settings(boot_id=boot_id())
    core = build(lay(places, backend, clock, disk, settings), places, backend, clock, disk, settings)
    try:
        yield core
    finally:
        core.close()
        slot.release()
        backend.close()


def _make(file_system: FileSystem, count: int) -> None:
    for number in range(count):
        folder = f"/{TOP}/new{number // IN_ONE_FOLDER}"
        if number % IN_ONE_FOLDER == 0:
            file_system.mkdir(folder)
            continue
        handle = file_system.create(f"{folder}/f{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY).number
        file_system.write(handle, 0, b"x" * 100)
        file_system.flush(handle)
        file_system.release(handle)


def _times(mount: RealMount, mark: str) -> Figures:
    """Starts *mount* a few times, makes the calls, and kills it; *mark* makes names unlike others."""
    starts = [_seconds(mount.start)]
    for _ in range(STARTS - 1):
        mount.kill9()
        starts.append(_seconds(mount.start))
    figures = {"start, s": statistics.median(starts)}
    figures |= {f"{what}, at once, ms": value for what, value in _calls(mount, f"{mark}-at-once").items()}
    figures["at rest after, s"] = _seconds(lambda: _await_rest(mount.pid))
    figures |= {f"{what}, ms": value for what, value in _calls(mount, mark).items()}
    mount.kill9()
    return figures


def _calls(mount: RealMount, mark: str) -> Figures:
    """Milliseconds of each call, the median of some tries."""
    top = mount.path / TOP
    moved = mount.path / f"{TOP}-moved"
    back = {top: moved, moved: top}
    at = [top]

    def create(number: int) -> None:
        os.close(os.open(top / f"{mark}{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))

    def rename_top(_: int) -> None:
        at[0].rename(back[at[0]])
        at[0] = back[at[0]]

    def status(_: int) -> None:
        list(Client.at(mount.path).ask(StatusRequest()))

    def status_command(_: int) -> None:
        order = [sys.executable, "-m", *SandboxProcess.mountfs, "status", str(mount.path)]
        subprocess.run(order, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)

    for number in range(TRIES):
        (top / f"{mark}-empty{number}").mkdir()
    calls: dict[str, tuple[Callable[[int], object], int]] = {
        "stat": (lambda number: (top / f"stat{number}").stat(), TRIES),
        "create": (create, TRIES),
        "rename of a file": (lambda n: (top / f"{mark}{n}").rename(top / f"{mark}{n}-moved"), TRIES),
        "rmdir": (lambda number: (top / f"{mark}-empty{number}").rmdir(), TRIES),
        "getfattr of the top": (lambda _: os.getxattr(top, STATE), TRIES),
        "status, asked": (status, TRIES),
        "mountfs status": (status_command, STARTS),
        "rename of the top": (rename_top, TRIES + 1),
    }
    return {
        what: 1000 * statistics.median(_seconds(partial(call, number)) for number in range(tries))
        for what, (call, tries) in calls.items()
    }


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _await_rest(pid: int) -> None:
    """Returns when the process has nothing to do any more."""
    used_s = _cpu_s(pid)
    while True:
        time.sleep(REST_S)
        before_s, used_s = used_s, _cpu_s(pid)
        if used_s - before_s < REST_S / 10:
            return


def _cpu_s(pid: int) -> float:
    """Seconds of a core that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
