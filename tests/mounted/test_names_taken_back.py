"""The kernel keeps no more names than it should, and nobody notices which ones it has to look up again."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread, get_native_id
from threading import enumerate as all_threads
from typing import Any

import pytest

from daemon.process.mountpoint import detach
from mountfs.attributes import Attributes
from mountfs.fuse import mount as fuse_mount
from mountfs.fuse.mount import FuseMount, FuseOptions
from mountfs.fuse.operations import Operations
from tests.doubles.world import World
from tests.waiting import DEADLINE_S, until

FOLDERS, FILES, NAMES_KEPT = 30, 10, 100
LONG_S = 3600.0


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each path was asked for."""
    asked: Counter[str] = Counter()
    answer = Operations.getattr

    def getattr_(self: Operations, path: str | None, info: Any = None) -> Attributes:
        asked[path or ""] += 1
        return answer(self, path, info)

    monkeypatch.setattr(Operations, "getattr", getattr_)
    return asked


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A mount, in this process, whose names the kernel keeps until they are taken back, and trusts for the
    parameter's time."""
    trusted_s = getattr(request, "param", LONG_S)
    monkeypatch.setattr(fuse_mount, "serve_kernel_first", lambda: None)
    world, mountpoint = World(tmp_path / "world"), tmp_path / "mnt"
    mountpoint.mkdir()
    for folder in range(FOLDERS):
        world.fs.mkdir(f"/d{folder}")
        for file in range(FILES):
            world.fs.mknod(f"/d{folder}/f{file}", 0o644)
    options = FuseOptions(
        "memory:",
        attr_timeout_s=trusted_s,
        entry_timeout_s=trusted_s,
        names_kept=NAMES_KEPT,
        checks_modes=False,
    )
    mounted = FuseMount(world.fs, mountpoint, options)
    thread = Thread(target=mounted.run)
    thread.start()
    until(lambda: os.path.ismount(mountpoint), "it is mounted")
    yield mountpoint
    detach(mountpoint)
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Lets the answer out to who asks for a name that is not there; what was asked for then is in it."""
    answer, may_go = Operations.getattr, Event()

    def getattr_(self: Operations, path: str | None, info: Any = None) -> Attributes:
        if path == "/d0/absent":
            may_go.wait(DEADLINE_S)
        return answer(self, path, info)

    monkeypatch.setattr(Operations, "getattr", getattr_)
    yield may_go
    may_go.set()


@pytest.fixture
def askers(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The threads that asked for anything."""
    import fuse

    asked: set[int] = set()
    answer = Operations.__call__

    def call(self: Operations, op: str, *args: Any) -> Any:
        asked.add(int(fuse.fuse_get_context()[2]))
        return answer(self, op, *args)

    monkeypatch.setattr(Operations, "__call__", call)
    return asked


def _look_at_all(top: Path) -> None:
    for folder in range(FOLDERS):
        for file in range(FILES):
            (top / f"d{folder}" / f"f{file}").stat()


def test_old_names_are_taken_back_but_not_those_in_use(top: Path, looked_up: Counter[str]) -> None:
    def is_asked_for(path: str) -> bool:
        before = looked_up[path]
        (top / path[1:]).stat()
        return looked_up[path] > before

    folder = os.open(top / "d0", os.O_PATH)
    file = os.open(top / "d0" / "f0", os.O_RDONLY)
    try:
        _look_at_all(top)
        until(lambda: is_asked_for("/d0/f1"), "the oldest name is taken back")
        assert not is_asked_for(f"/d{FOLDERS - 1}/f1")
        links = [os.readlink(f"/proc/self/fd/{each}") for each in (folder, file)]
        assert links == [str(top / "d0"), str(top / "d0" / "f0")]
    finally:
        os.close(folder)
        os.close(file)


def test_what_is_mounted_over_in_another_name_space_stays(
    top: Path, looked_up: Counter[str], tmp_path: Path
) -> None:
    """As a container has it: `docker run -v cloud:/app -v secrets:/app/f0`."""
    over = tmp_path / "over"
    over.write_bytes(b"over")
    script = 'mount --bind "$0" "$1" && echo mounted && read line && cat "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    with subprocess.Popen(
        [*command, str(over), str(top / "d0" / "f0")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as container:
        assert container.stdout is not None
        if container.stdout.readline() != b"mounted\n":
            pytest.skip("no name space can be made here")
        _look_at_all(top)
        before = looked_up["/d0/f1"]

        def is_taken_back() -> bool:
            (top / "d0" / "f1").stat()
            return looked_up["/d0/f1"] > before

        until(is_taken_back, "the others are taken back")
        assert container.communicate(b"\n")[0] == b"over"


@pytest.mark.parametrize("top", [0.0], indirect=True)
def test_no_thread_of_the_mount_s_asks_the_mount(top: Path, askers: set[int]) -> None:
    """Nothing could end a thread that waits for the answer if the process was killed, nor the process, and
    all on the mount would hang."""
    _look_at_all(top)
    (worker,) = (each for each in all_threads() if each.name == "dentries")
    until(lambda: len(askers - {get_native_id()}) > 0, "the numbers of folders are asked for")
    assert worker.native_id not in askers


def test_no_lock_of_a_folder_is_waited_for_in_which_a_call_is_answered(
    held: Event, top: Path, looked_up: Counter[str]
) -> None:
    """The kernel has it while somebody waits for the answer; a thread that waits for it cannot be ended."""
    (top / "d0" / "f0").stat()  # the oldest
    waiting = Thread(target=(top / "d0" / "absent").exists)
    waiting.start()
    for folder in range(1, FOLDERS):
        for file in range(FILES):
            (top / f"d{folder}" / f"f{file}").stat()
    before = looked_up["/d1/f1"]

    def is_taken_back() -> bool:
        (top / "d1" / "f1").stat()
        return looked_up["/d1/f1"] > before

    until(is_taken_back, "the others are taken back meanwhile")
    assert waiting.is_alive()
    held.set()
    waiting.join(DEADLINE_S)
