"""What programs do while the mount dies, and what each call promised."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

from daemon.control.client import Client, DeadMount
from daemon.control.protocol import DiscardRequest, Request, RetryRequest
from daemon.failure import Failure
from tests.mounted.sandboxprocess import Asked, Refusal, SandboxProcess
from tests.waiting import until

LARGE_BYTES = {"dropbox": 17 * 1024 * 1024, "box": 200_000}
"""Three parts each."""

NO_SUCH_JOB = {".tag": "invalid_async_job_id"}
LOST_JOBS = {
    "dropbox": {
        "route": "files/upload_session/finish_batch/check",
        "action": "reply",
        "status": 409,
        "body": {"error_summary": "invalid_async_job_id/", "error": NO_SUCH_JOB},
        "count": 1,
    }
}
"""The service does not know a job any more, where it has jobs."""

Tree = dict[str, bytes]
"""Path below the scenario's folder -> bytes, of all files."""


class Promises:
    """A tree in a dictionary beside the same one in a mount. A call that fails, since the mount died in it,
    leaves in doubt what it was to change; everything else stands."""

    def __init__(self, top: Path, far_side: SandboxProcess, journal: Path, draw: Random) -> None:
        self.top = top
        self.far_side = far_side
        self.draw = draw
        self._journal = journal
        self.now: Tree = {}
        self.before: Tree = {}
        """As it was before the call that is under way, or failed."""
        self.written: list[bytes] = []
        """Every version that was ever begun: a recovered copy is the beginning of one."""
        self.kept: list[bytes] = []
        """Versions that must be somewhere, though not under the name they were given."""
        self.loose: set[str] = set()
        """Paths at which others are at work, too."""
        self.refused: set[str] = set()
        """Paths that the service did not take once: they are kept, and sent again only when asked to."""
        self._bodies = 0

    def allowed(self, path: str) -> set[bytes | None]:
        """What may stand at *path*; None: nothing."""
        return {self.now.get(path), self.before.get(path)}

    def paths(self) -> set[str]:
        return self.now.keys() | self.before.keys()

    def body(self, size_bytes: int) -> bytes:
        """Bytes of a size that no other version has: one that is committed twice shows by it."""
        self._bodies += 1
        body = self.draw.randbytes(size_bytes + self._bodies)
        self.written.append(body)
        return body

    def step(self, do: Callable[[], object], after: Tree) -> None:
        """One call, which makes the tree *after*. OSError when the mount died."""
        self.now = after
        do()
        self.before = after

    def folder(self, name: str) -> None:
        self.step((self.top / name).mkdir, self.now)

    def write(self, name: str, size_bytes: int, *, is_synced: bool = False) -> None:
        self._put(name, self.body(size_bytes), is_synced=is_synced)

    def copy(self, name: str, target: str) -> None:
        """Of what the service has, as the mount has heard."""
        self.await_(lambda: state_of(self.top / name) == b"clean", f"{name} is acknowledged")
        self._put(target, self.now[name])

    def _put(self, name: str, body: bytes, *, is_synced: bool = False) -> None:
        def do() -> None:
            fd = os.open(self.top / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                for at in range(0, len(body), 1 << 20):
                    os.write(fd, body[at : at + (1 << 20)])
                if is_synced:
                    os.fsync(fd)
            finally:
                os.close(fd)

        self.step(do, {**self.now, name: body})

    def append(self, name: str, size_bytes: int) -> None:
        more = self.body(size_bytes)
        self.written.append(self.now[name] + more)

        def do() -> None:
            with (self.top / name).open("ab", buffering=0) as file:
                file.write(more)

        self.step(do, {**self.now, name: self.now[name] + more})

    def keep_open(self, name: str, size_bytes: int) -> None:
        """Writes a file that is open for so long that the store knows of it."""
        body = self.body(size_bytes)

        def is_known() -> bool:
            os.stat(self.top)
            with closing(sqlite3.connect(f"{self._journal.as_uri()}?mode=ro", uri=True)) as db:
                query = "SELECT count(*) FROM contents WHERE NOT is_flushed AND node IS NOT NULL"
                return bool(db.execute(query).fetchone()[0])

        def do() -> None:
            with (self.top / name).open("wb", buffering=0) as file:
                file.write(body[:-50])
                until(is_known, "the store knows of it")
                file.write(body[-50:])
                os.fsync(file.fileno())

        self.step(do, {**self.now, name: body})

    def cut(self, name: str, size_bytes: int) -> None:
        self.step(
            lambda: os.truncate(self.top / name, size_bytes),
            {**self.now, name: self.now[name][:size_bytes]},
        )

    def rename(self, name: str, target: str) -> None:
        after = {
            target + path[len(name) :] if f"{path}/".startswith(f"{name}/") else path: body
            for path, body in self.now.items()
            if path != target
        }
        self.step(lambda: (self.top / name).rename(self.top / target), after)

    def remove(self, name: str) -> None:
        after = {path: body for path, body in self.now.items() if path != name}
        self.step((self.top / name).unlink, after)

    def remove_folder(self, name: str) -> None:
        after = {path: body for path, body in self.now.items() if not path.startswith(f"{name}/")}
        self.step(lambda: shutil.rmtree(self.top / name), after)

    def retry(self, name: str) -> None:
        """``mountfs retry``."""
        self.step(lambda: self._command(RetryRequest(f"/{self.top.name}/{name}")), self.now)

    def discard(self, name: str) -> None:
        """``mountfs discard`` of a new file."""
        after = {path: body for path, body in self.now.items() if path != name}
        request = DiscardRequest(f"/{self.top.name}/{name}", is_trial=False)
        self.step(lambda: self._command(request), after)

    def _command(self, request: Request) -> None:
        try:
            list(Client.at(self.top.parent).ask(request))
        except (Failure, DeadMount) as error:
            raise OSError(str(error)) from error

    def all_sent(self) -> None:
        """Waits for what the far side gets. OSError when the mount died."""

        def is_sent() -> bool:
            names = self.far_side.files().keys()
            return all(f"/{self.top.name}/{path}" in names for path in self.now)

        self.await_(is_sent, "the service has all of it")

    def await_(self, is_so: Callable[[], object], what: str) -> None:
        """Returns once *is_so* gives something true. OSError when the mount died."""
        until(lambda: os.stat(self.top) and is_so(), what)


def small(here: Promises) -> None:
    """Small files made, saved anew, renamed, removed; before and after they were sent."""
    here.folder("d")
    for number in range(4):
        here.write(f"d/{number}", 3000 + 100 * number, is_synced=number == 1)
    here.write("d/0", 2000)
    here.append("d/2", 500)
    here.rename("d/3", "d/three")
    here.remove("d/1")
    here.all_sent()
    here.append("d/0", 700)
    here.cut("d/2", 1000)
    here.write("save.tmp", 5000)
    here.rename("save.tmp", "d/three")
    here.rename("d", "e")
    here.write("e/new", 10)
    here.write("empty", 0)
    here.all_sent()
    here.copy("e/new", "e/copy")
    here.copy("e/three", "copy")
    here.all_sent()
    # Two files change places: one of them takes a third name for a moment.
    here.rename("e/0", "third")
    here.rename("e/2", "e/0")
    here.rename("third", "e/2")
    here.all_sent()
    here.remove("e/0")
    here.rename("e/new", "moved")
    here.all_sent()
    here.write("last", 100)
    here.remove_folder("e")
    here.write("after", 100)
    here.all_sent()


def large(here: Promises) -> None:
    """Large files sent in parts, one of them given up half-way, one kept open for long."""
    size_bytes = LARGE_BYTES[here.far_side.service]
    here.write("film", size_bytes, is_synced=True)
    here.all_sent()
    here.far_side.spoil(Asked.BYTES, "stall", stall_s=0.3)
    begun = len(here.far_side.asked(Asked.BYTES))
    here.write("given up", size_bytes)
    here.await_(lambda: len(here.far_side.asked(Asked.BYTES)) > begun, "its first part is on its way")
    here.remove("given up")
    here.far_side.faults()
    here.write("small", 100)
    here.all_sent()
    here.append("film", 5000)
    here.rename("film", "renamed")
    here.all_sent()
    here.copy("renamed", "copy")
    here.all_sent()
    here.keep_open("open", size_bytes)
    here.all_sent()


def others(here: Promises) -> None:
    """Another client is at work on the same files."""
    here.folder("mine")
    here.write("theirs", 100)
    here.write("mine/a", 100)
    here.write("same", 100)
    here.all_sent()
    folder = f"/{here.top.name}"
    here.loose |= {"theirs", "new folder/f"}
    ours = here.body(300)
    with (here.top / "theirs").open("r+b", buffering=0) as file:
        here.far_side.write(f"{folder}/theirs", "somebody else's")
        here.far_side.mkdir(f"{folder}/new folder")
        here.far_side.write(f"{folder}/new folder/f", "new")
        here.await_((here.top / "new folder").exists, "what others made is seen")
        file.truncate(0)
        file.write(ours)
    here.kept.append(ours)
    for name in ("filled", "empty"):
        here.folder(name)
    here.all_sent()
    here.await_(lambda: {"filled", "empty"} <= folders_at(here), "the service has the folders")
    here.far_side.pause()
    for name in ("filled", "empty"):
        here.step((here.top / name).rmdir, here.now)
    here.loose.add("filled/f")
    here.far_side.write(f"{folder}/filled/f", "new")
    here.far_side.resume()
    here.rename("mine/a", "new folder/a")
    here.remove_folder("mine")
    here.write("same", 200)
    here.all_sent()


def refused(here: Promises) -> None:
    """The service never takes some things, and loses its replies to others."""
    folder = f"/{here.top.name}"
    here.folder("d")
    here.write("moves", 100)
    here.write("d/a", 100)
    here.all_sent()
    here.far_side.refuse("never*", Refusal.PERMISSION)
    here.refused.add("never sent")
    here.write("never sent", 100)
    here.write("d/b", 100)
    here.await_(lambda: f"{folder}/d/b" in here.far_side.files(), "the others are sent")
    here.await_(lambda: state_of(here.top / "never sent") == b"failed", "it is refused")
    here.refused |= {"never given up", "never tried"}
    for name in ("never given up", "never tried"):
        here.write(name, 100)
    here.await_(
        lambda: {state_of(here.top / name) for name in here.refused} == {b"failed"}, "the others are, too"
    )
    here.discard("never given up")
    here.far_side.take_all()
    here.rename("never sent", "sent")
    here.retry("never tried")
    here.all_sent()
    if here.far_side.service in LOST_JOBS:
        here.far_side.faults(LOST_JOBS[here.far_side.service])
        here.write("of a lost job", 100)
        here.all_sent()
    last = ""
    for asked in (Asked.MOVE, Asked.DELETE, Asked.MKDIR, Asked.COMMIT, Asked.BYTES):
        here.far_side.spoil(asked, "drop_after", count=1)
        here.write(f"{asked.name} lost", 200_000 if asked is Asked.BYTES else 100)
        here.folder(f"{asked.name} folder")
        here.rename("moves" if asked is Asked.MOVE else f"{last} moved", f"{asked.name} moved")
        last = asked.name
        here.all_sent()
        here.rename(f"{asked.name} lost", f"{asked.name} folder/renamed")
        here.write("comes", 50)
        here.all_sent()
        here.remove("comes")
    here.far_side.faults()


def folders_at(here: Promises) -> set[str]:
    """The folders that the service has in the scenario's own."""
    above = f"/{here.top.name}/"
    tree = here.far_side.tree()
    return {path.removeprefix(above) for path, each in tree.items() if each["kind"] == "folder"}


def state_of(path: Path) -> bytes:
    return os.getxattr(path, "user.mountfs.state")


SCENARIOS: dict[str, Callable[[Promises], None]] = {
    "small": small,
    "large": large,
    "others": others,
    "refused": refused,
}
