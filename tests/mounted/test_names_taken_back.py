"""The kernel keeps no more names than it should, and nobody notices which ones it has to look up again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

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

    def getattr_(self: Operations, path: str | None, info: Any = None) -> dict[str, int]:
        asked[path or ""] += 1
        return answer(self, path, info)

    monkeypatch.setattr(Operations, "getattr", getattr_)
    return asked


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A mount, in this process, whose names the kernel keeps until they are taken back."""
    monkeypatch.setattr(fuse_mount, "serve_kernel_first", lambda: None)
    world, mountpoint = World(tmp_path / "world"), tmp_path / "mnt"
    mountpoint.mkdir()
    for folder in range(FOLDERS):
        world.fs.mkdir(f"/d{folder}")
        for file in range(FILES):
            world.fs.mknod(f"/d{folder}/f{file}", 0o644)
    options = FuseOptions(
        "memory:", attr_timeout_s=LONG_S, entry_timeout_s=LONG_S, names_kept=NAMES_KEPT, checks_modes=False
    )
    mounted = FuseMount(world.fs, mountpoint, options)
    thread = Thread(target=mounted.run)
    thread.start()
    until(lambda: os.path.ismount(mountpoint), "it is mounted")
    yield mountpoint
    mounted.unmount(lazy=True)
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


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
