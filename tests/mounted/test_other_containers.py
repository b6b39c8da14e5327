"""A mount whose process runs in another container: commands reach no other process in its place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.control.client import all_mounts
from daemon.failure import Failure
from daemon.process.mountpoint import detach
from tests.mounted.realmount import mountfs
from tests.mounted.sandboxprocess import REPOSITORY
from tests.waiting import DEADLINE_S, until

pytestmark = [
    pytest.mark.only_on("dropbox", because="who is asked is the same on every service"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a PID namespace"),
]


class Container:
    """A mount that is process 1 in a PID namespace of its own, and takes *run* for its runtime directory."""

    def __init__(self, folder: Path, name: str, run: Path) -> None:
        self.path = folder / name
        self.path.mkdir()
        run.mkdir(mode=0o700)
        order = [sys.executable, "-m", "daemon.cli", "mount", "-o", f"state_dir={folder / name}.state"]
        self._process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", *order, "sandbox-dropbox:", str(self.path)],
            cwd=REPOSITORY,
            env={**os.environ, "XDG_RUNTIME_DIR": str(run)},
        )
        until(lambda: self.path in all_mounts() and (self.path / "x").parent.is_dir(), "it is mounted")

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.kill()
        self._process.wait(DEADLINE_S)
        with suppress(Failure):
            detach(self.path)


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[tuple[Container, Container]]:
    """Two of them. What the first one calls its runtime directory is that of the second one for who asks now,
    as for a command in the second container."""
    made: list[Container] = []
    try:
        made.append(Container(tmp_path, "first", tmp_path / "run"))
        (tmp_path / "run").rename(tmp_path / "run of the first")
        made.append(Container(tmp_path, "second", tmp_path / "run"))
        yield made[0], made[1]
    finally:
        for each in made:
            each.end()


def test_no_other_process_is_asked_in_place_of_one_in_another_container(
    containers: tuple[Container, Container],
) -> None:
    first, second = containers
    said = f"mountfs: {first.path}: its process runs in another container; run the command there\n"
    for command in ("status", "pause", "umount", "pending", "sync"):
        told = mountfs(command, first.path)
        assert (told.returncode, told.stderr) == (2 if command == "status" else 1, said)
    assert first.runs
    assert second.runs
    assert second.path in all_mounts()
    told = mountfs("status", "--json")
    assert str(first.path) not in told.stdout
    assert mountfs("umount", second.path).returncode == 0
