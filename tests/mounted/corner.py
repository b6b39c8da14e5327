"""A mount that the tests of one module share, each in a folder of its own."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.control.protocol import Settled, WaitRequest
from mountfs.model.hashing import hasher
from tests.mounted.realmount import RealMount, hashes
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import DEADLINE_S, until

STATE = "user.mountfs.state"
ERROR = "user.mountfs.error"
AT_ONCE = 10
"""So many folders are made together: what others do is seen after a second."""


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

    @property
    def work(self) -> Path:
        """Room outside the mount."""
        return self.mount.folder

    def theirs(self, name: str, text: str) -> None:
        """Another client writes a file; returns once it is seen here."""
        self.far_side.write(self.remote(name), text)
        until(lambda: is_text(self.path / name, text), f"{name} is seen as the other client wrote it")

    def committed(self, name: str, text: str) -> Path:
        """A file of ours that the service has."""
        path = self.path / name
        path.write_text(text)
        self.settle()
        return path

    def settle(self) -> None:
        """Returns once the service has everything in the folder; fails when something failed."""
        reply = self.wait()
        assert reply == Settled(0), f"{reply}\n{self.mount.log_file.read_text()}"

    def wait(self, timeout_s: float = DEADLINE_S) -> Settled:
        """What `mountfs wait` on the folder comes to."""
        for reply in self.mount.client().ask(WaitRequest(f"/{self.name}", timeout_s)):
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

    def arrived(self) -> dict[str, str]:
        """Path below the folder -> hash, of all files that the service has there; `seen` in the same form."""
        entries = self.there().items()
        return {f"/{name}": entry["content_hash"] for name, entry in entries if entry["kind"] == "file"}

    def content(self, name: str) -> bytes:
        """The whole file as another client gets it."""
        return self.far_side.read(self.remote(name))

    def names(self) -> set[str]:
        """What the mount shows in the folder."""
        return set(os.listdir(self.path))

    def seen(self) -> dict[str, str]:
        """Path below the folder -> hash, of all files that the mount shows there."""
        return self.hashes(self.path)

    def hashes(self, folder: Path) -> dict[str, str]:
        """The same of any folder."""
        return hashes(folder, self.far_side.hash_kind)

    def hash_of(self, content: bytes) -> str:
        """As the service states it."""
        state = hasher(self.far_side.hash_kind)
        state.update(content)
        return state.hexdigest()

    def state(self, name: str) -> str:
        return os.getxattr(self.path / name, STATE).decode()

    def error(self, name: str) -> str:
        return os.getxattr(self.path / name, ERROR).decode()

    def run(self, command: str) -> str:
        """A shell command in the folder, with $W the room outside; its output. Fails if it fails."""
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", command],
            cwd=self.path,
            env={**os.environ, "HOME": str(self.work), "W": str(self.work), "LC_ALL": "C.UTF-8"},
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


@dataclass
class Shared:
    """One far side and one mount of it, and how many folders were made there."""

    far_side: SandboxProcess
    mount: RealMount
    free: list[str] = field(default_factory=list)
    made: int = 0

    def folder(self) -> str:
        """The name of a folder that is seen at the top and that nobody had before."""
        if not self.free:
            self.free = [f"corner {self.made + number:03}" for number in range(AT_ONCE)]
            self.made += AT_ONCE
            for name in self.free:
                self.far_side.mkdir(f"/{name}")
            until(lambda: set(self.free) <= set(os.listdir(self.mount.path)), "the folders are seen")
        return self.free.pop()


def is_text(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def recovered(mount: RealMount, stem: str) -> Path:
    """The one recovered copy beside *stem*."""
    (found,) = mount.path.glob(f"{stem} (recovered copy {os.uname().nodename} *)*")
    return found
