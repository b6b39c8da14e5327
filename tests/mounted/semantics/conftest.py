"""A mount that the tests of one file share, each in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.client import Client
from daemon.protocol import Settled, WaitRequest
from tests.mounted.realmount import DEADLINE_S, RealMount, SandboxProcess, real_mounts, sandbox_process, until

STATE = "user.mountfs.state"
ERROR = "user.mountfs.error"


@dataclass(frozen=True)
class Corner:
    """A folder in a mount that other tests use too, and the account it shows."""

    far_side: SandboxProcess
    mount: RealMount
    name: str

    @property
    def path(self) -> Path:
        return self.mount.path / self.name

    def remote(self, name: str) -> str:
        """Where the service has *name*."""
        return f"/{self.name}/{name}"

    def theirs(self, name: str, text: str) -> dict[str, Any]:
        """Another client writes a file; returns once it is seen here."""
        written = self.far_side.write(self.remote(name), text)
        until(lambda: is_text(self.path / name, text), f"{name} is seen as the other client wrote it")
        return written

    def committed(self, name: str, text: str) -> Path:
        """A file of ours that the service has."""
        path = self.path / name
        path.write_text(text)
        self.settle()
        return path

    def settle(self) -> None:
        """Returns once the service has everything in the folder; fails when something failed."""
        assert self.wait() == Settled(0)

    def wait(self) -> Settled:
        """What `mountfs wait` on the folder comes to."""
        for reply in Client.at(self.mount.path).ask(WaitRequest(f"/{self.name}", DEADLINE_S)):
            if isinstance(reply, Settled):
                return reply
        raise AssertionError("the mount gave no answer")

    def there(self) -> dict[str, dict[str, Any]]:
        """What the service has in the folder, by name."""
        above = f"/{self.name}/"
        return {
            path.removeprefix(above): entry
            for path, entry in self.far_side.tree().items()
            if path.startswith(above)
        }

    def names(self) -> set[str]:
        """What the mount shows in the folder."""
        return set(os.listdir(self.path))

    def state(self, name: str) -> str:
        return os.getxattr(self.path / name, STATE).decode()

    def error(self, name: str) -> str:
        return os.getxattr(self.path / name, ERROR).decode()

    def run(self, command: str) -> str:
        """A shell command in the folder; its output. Fails if it fails."""
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", command],
            cwd=self.path,
            env={**os.environ, "HOME": str(self.mount.folder), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def troubles(self) -> list[str]:
        """What the status says about paths in the folder."""
        listed = self.mount.status()["account"]["troubles"]
        return [f"{each['path']}: {each['reason']}" for each in listed if self.name in each["path"]]


def is_text(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def ask(far_side: SandboxProcess, route: str, argument: dict[str, Any]) -> Any:
    """The service's own answer to a call by another client."""
    request = urllib.request.Request(
        f"{far_side.url}/2/{route}",
        json.dumps(argument).encode(),
        {"Authorization": "Bearer sandbox", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
        return json.loads(response.read())


def download(far_side: SandboxProcess, path: str) -> bytes:
    """The whole file as another client gets it."""
    return far_side.content(path)


def recovered(mount: RealMount, stem: str) -> Path:
    """The one recovered copy beside *stem*."""
    (found,) = mount.path.glob(f"{stem} (recovered copy {os.uname().nodename} *)*")
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SandboxProcess, RealMount]]:
    """One far side and one mount of it for all tests of a module."""
    folder = tmp_path_factory.mktemp("shared")
    with sandbox_process(folder / "far-side") as far_side, real_mounts(folder, far_side.url) as make:
        mount = make()
        mount.start()
        yield far_side, mount


@pytest.fixture
def corner(shared: tuple[SandboxProcess, RealMount], request: pytest.FixtureRequest) -> Iterator[Corner]:
    """A folder of the test's own in the shared mount; what the test did to the far side ends with it."""
    far_side, mount = shared
    here = Corner(far_side, mount, request.node.name.replace("/", "-"))
    far_side.edit(op="mkdir", path=f"/{here.name}")
    until(here.path.is_dir, "the folder is seen")
    assert here.names() == set()
    far_side.reset_log()
    yield here
    far_side.faults()
    far_side.switches(**far_side.quiet)
    far_side.resume()
