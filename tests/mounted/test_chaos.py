"""Any calls, while every request may go wrong and the mount dies now and then: in the end all is as the calls
left it, each version given once, and nothing is left over."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

from tests.mounted.boxprocess import BoxProcess
from tests.mounted.realmount import RealMount, hashes, real_mounts
from tests.mounted.sandboxprocess import SandboxProcess
from tests.mounted.services import SERVICES
from tests.waiting import until

SEED = 1
CALLS = 40
KILLED_AT = (20,)
PAUSED_EVERY = 6
PATIENCE_S = 120.0
"""A batch whose reply is lost is looked for during 4 s before it is sent again, and each time that happens in
a row for twice as long. It happens to one in six: four in a row take a minute."""
FOLDERS = ("a", "b", "b/c", "d")
LARGE_BYTES = 100_000

FAULTS: tuple[dict[str, Any], ...] = (
    {"action": "drop_before"},
    {"action": "drop_after"},
    {"action": "drop_request", "cut_bytes": 1000},
    {"action": "cut_body", "cut_bytes": 20},
    {"action": "reply", "status": 500},
    {"action": "reply", "status": 503, "retry_after_s": 0.2},
    {"action": "reply", "status": 429, "retry_after_s": 0.3},
)
"""Each befalls one request of thirty."""

SMALL_PARTS: dict[str, dict[str, Any]] = {
    "box": {
        "min_session_bytes": LARGE_BYTES,
        "part_size_bytes": 65_536,
        "pending_commits": 1,
        "early_commits": 1,
    }
    | {"commit_retry_after_s": 0.2, "repeated_events": 3, "disordered_events": True},
}
REMOTES = {"box": {"small_file_bytes": str(LARGE_BYTES)}}


class Model:
    """A tree in a dictionary and the same one in a mount: each call is made on both."""

    def __init__(self, top: Path, draw: Random) -> None:
        self.top = top
        self.draw = draw
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()
        self.bodies = 0

    def call(self) -> None:
        """One call, made until it is not in the way of a fault: what is not known here cannot be looked at
        while the service does not answer."""
        step = self.draw.choices(
            [self.write, self.append, self.rename, self.rename_folder, self.remove, self.remove_folder],
            [10, 2, 4, 1, 3, 1],
        )[0]
        do = step()
        if do is not None:
            until(lambda: _succeeds(do), "the call gets through")

    def write(self) -> Any:
        path = f"{self.draw.choice(FOLDERS)}/f{self.draw.randrange(10)}"
        body = self.body(0, 5000, 50_000, 150_000, 300_000)
        if not self.fits(path):
            return None

        def do() -> None:
            self.make_folders(path)
            (self.top / path).write_bytes(body)
            self.files[path] = body

        return do

    def append(self) -> Any:
        if not self.files:
            return None
        path = self.draw.choice(sorted(self.files))
        more = self.body(0, 70_000)

        def do() -> None:
            with (self.top / path).open("ab", buffering=0) as file:
                file.write(more)
            self.files[path] += more

        return do

    def rename(self) -> Any:
        path = f"{self.draw.choice(FOLDERS)}/m{self.draw.randrange(6)}"
        if not self.files or not self.fits(path):
            return None
        source = self.draw.choice(sorted(self.files))

        def do() -> None:
            self.make_folders(path)
            (self.top / source).rename(self.top / path)
            self.files[path] = self.files.pop(source)

        return do

    def rename_folder(self) -> Any:
        if not self.folders:
            return None
        source, target = self.draw.choice(sorted(self.folders)), f"r{self.draw.randrange(3)}"
        if target in self.folders or target in self.files:
            return None

        def do() -> None:
            (self.top / source).rename(self.top / target)
            self.folders = {moved(path, source, target) for path in self.folders}
            self.files = {moved(path, source, target): body for path, body in self.files.items()}

        return do

    def remove(self) -> Any:
        if not self.files:
            return None
        path = self.draw.choice(sorted(self.files))

        def do() -> None:
            (self.top / path).unlink()
            del self.files[path]

        return do

    def remove_folder(self) -> Any:
        if not self.folders:
            return None
        folder = self.draw.choice(sorted(self.folders))

        def do() -> None:
            shutil.rmtree(self.top / folder)
            self.folders = {path for path in self.folders if not f"{path}/".startswith(f"{folder}/")}
            self.files = {
                path: body for path, body in self.files.items() if not path.startswith(f"{folder}/")
            }

        return do

    def body(self, *sizes: int) -> bytes:
        """Of a size that no other has: a version that is given twice shows by its size."""
        self.bodies += 1
        return self.draw.randbytes(self.draw.choice(sizes) + self.bodies - 1)

    def fits(self, path: str) -> bool:
        above = [str(parent) for parent in Path(path).parents][:-1]
        return path not in self.folders and not any(parent in self.files for parent in above)

    def make_folders(self, path: str) -> None:
        parent = Path(path).parent
        (self.top / parent).mkdir(parents=True, exist_ok=True)
        self.folders |= {str(folder) for folder in (parent, *parent.parents)} - {"."}


def moved(path: str, source: str, target: str) -> str:
    return target + path[len(source) :] if f"{path}/".startswith(f"{source}/") else path


def _succeeds(do: Any) -> bool:
    try:
        do()
    except OSError as error:
        assert error.errno == errno.EIO, error
        return False
    return True


def test_any_calls_arrive_as_they_were_made_each_version_once(tmp_path: Path, service: str) -> None:
    far_side = SERVICES[service](tmp_path / "far-side", **SMALL_PARTS.get(service, {}))
    with far_side, real_mounts(tmp_path, far_side, REMOTES.get(service)) as make:
        mount = make()
        mount.start()
        os.listdir(mount.path)
        far_side.faults(
            *(
                {"route": "*", "probability": 0.033, "seed": SEED * 10 + at, **fault}
                for at, fault in enumerate(FAULTS)
            )
        )
        model = Model(mount.path, Random(SEED))
        for number in range(CALLS):
            model.call()
            if number in KILLED_AT:
                mount.kill9()
                mount.start()
            if number % PAUSED_EVERY == 0:
                left = model.draw.randrange(6)
                until(lambda: pending(mount) <= left, "the service gets most", PATIENCE_S)  # noqa: B023
        assert far_side.spoiled()
        far_side.faults()
        mount.wait_committed(PATIENCE_S)
        check(model, mount, far_side)
        assert mount.terminate() == 0
        if isinstance(far_side, BoxProcess):
            # One whose opening was never heard of is known to nobody but the service.
            opened = [each for each in far_side.spoiled() if each["route"].startswith("sessions/create")]
            unheard = [each for each in opened if each["fault"] in ("drop_after", "cut_body")]
            assert len(far_side.sessions()) <= len(unheard)


def pending(mount: RealMount) -> int:
    count: int = mount.status()["account"]["pending"]["count"]
    return count


def check(model: Model, mount: RealMount, far_side: SandboxProcess) -> None:
    """The model, the mount and the service are one."""
    kind = far_side.hash_kind
    outside = mount.folder / "model"
    for folder in model.folders:
        (outside / folder).mkdir(parents=True, exist_ok=True)
    for path, body in model.files.items():
        (outside / path).write_bytes(body)
    wanted = hashes(outside, kind)
    assert far_side.files() == wanted, mount.status()["account"]["troubles"]
    assert hashes(mount.path, kind) == wanted
    folders = {f"/{folder}" for folder in model.folders}
    assert {path for path, entry in far_side.tree().items() if entry["kind"] == "folder"} == folders
    for path in wanted:
        sizes = far_side.version_sizes(path)
        assert len(set(sizes)) == len(sizes), path
