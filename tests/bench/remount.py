"""How long it takes to look at a known tree when the mount was started anew while the service is away."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until

T = TypeVar("T")

FOLDERS = 200
FILES = 2000
READ = 100


def remount(folder: Path, far_side: SandboxProcess) -> dict[str, float]:
    """Walks 2,000 files of others in 200 folders and reads some, starts the mount anew without the service,
    walks and reads again, and waits for what somebody changed meanwhile."""
    for number in range(FOLDERS):
        far_side.mkdir(f"/d{number}")
    for number in range(FILES):
        far_side.write(_name(number), f"{number}")
    figures: dict[str, float] = {}

    def timed(what: str, call: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = call()
        figures[what] = time.perf_counter() - began
        return result

    with RealMount(folder, far_side) as mount:
        mount.start()
        seen = timed("find at first, s", lambda: find(mount.path))
        assert len(seen) == 1 + FOLDERS + FILES
        read = [mount.path / _name(number)[1:] for number in range(READ)]
        bodies = [path.read_bytes() for path in read]
        assert mount.terminate() == 0
        far_side.pause()
        timed("start without the service, s", mount.start)
        assert timed("find without the service, s", lambda: find(mount.path)) == seen
        assert timed(f"{READ} files read without the service, s", lambda: _read(read)) == bodies
        (mount.path / "new").touch()
        far_side.write(_name(READ), "changed")
        far_side.remove(_name(READ + 1))
        far_side.write("/d0/added", "added")
        changed, removed, added = (
            mount.path / each for each in (_name(READ)[1:], _name(READ + 1)[1:], "d0/added")
        )

        def has_caught_up() -> bool:
            return added.exists() and not removed.exists() and changed.read_text() == "changed"

        far_side.resume()
        timed("caught up, s", lambda: until(has_caught_up, "what changed meanwhile is seen"))
        mount.wait_committed()
        assert "/new" in far_side.files()
    return figures


def find(top: Path) -> set[str]:
    """Everything at and below *top*, as find(1) prints it."""
    done = subprocess.run(["find", top], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


def _name(number: int) -> str:
    return f"/d{number % FOLDERS}/f{number}"


def _read(paths: list[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]
