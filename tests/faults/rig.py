"""A core on a service's stand-in: real HTTP, and a clock that moves only when somebody waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloudsandbox.box import BoxSandbox, BoxSwitches
from cloudsandbox.dropbox import DropboxSandbox, DropboxSwitches
from cloudsandbox.inprocess import Sandbox
from daemon.control.parked import Parked
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.http import HttpSettings
from mountfs.model.path import ROOT
from mountfs.ports import Backend
from mountfs.tree.node import path_of
from tests.doubles.world import World
from tests.fakes.clock import FakeClock
from tests.fakes.ending import ClockedEnding
from tests.mounted.sandboxprocess import SandboxProcess
from tests.mounted.services import SERVICES

STALL_S = 0.6
"""How long a reply may take, where one is made to take longer. Of the machine's time, as is the service."""
PATIENCE_S = 60.0
"""How long any other may."""
SMALL_BYTES = 2_000
PART_BYTES = 1_000
"""Of Box, where both can be chosen."""


class FreshTokens:
    """One token, and another of the same text whenever it is refused."""

    def current(self) -> str:
        return "sandbox"

    def refused(self, token: str) -> str:
        return token


class Rig:
    """One account at a stand-in, and one mount's core on it."""

    def __init__(
        self, service: str, directory: Path, sandbox: Sandbox[Any, Any], backend: Backend, clock: FakeClock
    ):
        self.service = service
        self.sandbox = sandbox
        self.clock = clock
        self.far: SandboxProcess = SERVICES[service](directory / "not-used")
        self.far.port = int(sandbox.base_url.rpartition(":")[2])
        self._directory = directory
        self._switches = sandbox.switches()
        self._backend = backend
        self.world: World

    def mount(self) -> None:
        settings = {"ending": ClockedEnding(self.clock)}
        self.world = World(self._directory, clock=self.clock, backend=self._backend, settings=settings)

    def calm_down(self, switches: Mapping[str, Any]) -> None:
        """The service does nothing wrong any more; *switches* are those that were turned."""
        self.sandbox.set_faults([])
        self.sandbox.set_switches(**{name: self._switches[name] for name in switches})

    def others_write(self, path: str, body: bytes) -> None:
        """Another client's write; nothing goes wrong for it."""
        turned = self.sandbox.switches()
        self.sandbox.set_switches(**self._switches)
        self.sandbox.write(path, body)  # type: ignore[attr-defined]  # each has more to say
        self.sandbox.set_switches(**turned)

    def refused(self) -> list[tuple[str, str]]:
        """What stays behind, by path, with the reason."""
        tree = self.world.core.tree
        with tree.lock:
            refusals = [(path_of(node), node.state.refusal) for node in tree.refused.values()]
        return [(path, refusal.reason) for path, refusal in refusals if refusal is not None]

    def retry(self) -> None:
        """Sends again all that was refused."""
        core = self.world.core
        parked = Parked(
            core.tree, core.view, core.listings, core.copies, core.clock, shown=str, hurry=lambda _now_s: None
        )
        parked.retry(ROOT)

    def shown(self, folder: str = "") -> dict[str, int]:
        """Bytes of every file that the mount shows, by path."""
        world, found = self.world, dict[str, int]()
        for name in world.names(folder or "/"):
            path = f"{folder}/{name}"
            if world.node(path).is_folder:
                found |= self.shown(path)
            else:
                found[path] = world.fs.getattr(path).size_bytes
        return found

    def spoiled(self) -> int:
        """How many requests a rule befell."""
        return sum(record.fault is not None for record in self.sandbox.log.records())

    def routes(self) -> Counter[str]:
        """How often each route was asked since the log was reset."""
        return Counter(record.route for record in self.sandbox.log.records())

    def content_bytes(self) -> int:
        """Bytes of the requests that carry content up, those that were never answered too."""
        return sum(each.request_bytes for each in self.sandbox.log.records() if each.route in CONTENT)


CONTENT = frozenset(
    {
        "files/upload_session/start",
        "files/upload_session/append_v2",
        "files/upload_session/append_batch",
        "files/upload",
        "files/upload_version",
        "sessions/part",
    }
)
"""The routes that take bytes of files."""


@contextmanager
def rig(service: str, directory: Path, patience_s: float = PATIENCE_S) -> Iterator[Rig]:
    """A fresh account; ``mount`` is still to be called."""
    clock = FakeClock()
    ending = ClockedEnding(clock)
    http = HttpSettings(read_timeout_s=patience_s, connect_timeout_s=patience_s)
    directory.mkdir(parents=True)
    backend: Backend
    if service == "dropbox":
        with DropboxSandbox(switches=DropboxSwitches(job_duration_s=0.0), token="sandbox") as dropbox:
            url = dropbox.base_url
            backend = DropboxBackend(DropboxSettings(url, url, url), FreshTokens(), clock, http, ending)
            yield from _used(Rig(service, directory, dropbox, backend, clock))
    else:
        switches = BoxSwitches(min_session_bytes=0, part_size_bytes=PART_BYTES)
        with BoxSandbox(switches=switches, token="sandbox") as box:
            settings = BoxSettings(
                box.api_url,
                box.upload_url,
                uploads_per_minute=10**6,
                calls_per_minute=10**6,
                small_file_bytes=SMALL_BYTES,
            )
            backend = BoxBackend(settings, FreshTokens(), clock, http, ending)
            yield from _used(Rig(service, directory, box, backend, clock))


def _used(rig: Rig) -> Iterator[Rig]:
    try:
        yield rig
    finally:
        if hasattr(rig, "world"):
            rig.world.close()
            rig.world.backend.close()
