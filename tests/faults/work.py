"""What is done to a mount while a fault waits for it: a bit of everything that asks the service something."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from mountfs.errors import MountfsError, NotFound, Offline, Refused
from tests.doubles.world import MIB, NotSettled
from tests.faults.rig import Rig

T = TypeVar("T")

TRIES = 60
TRY_AGAIN_S = 10.0
"""A program that gets an error for a time tries again so often, so far apart."""
MOST_S = 3_600.0
"""In which everything must have settled, however long the service is in trouble."""
HELD_S = 1_200.0
"""So long an account stays full that nobody gives room. From the sixth minute on all that wait ask again
every 230 s, and nothing else comes in an hour."""

FORM_BYTES = 1_000
"""What a request has, at most, beside the bytes of its file."""
LARGE_BYTES = {"dropbox": 17 * MIB, "box": 3_500}
"""Three or four parts."""


class Work:
    """Steps on one mount, and what the account is to hold after them."""

    def __init__(self, rig: Rig, *, held: bool = False) -> None:
        """*held*: files wait for room, so that nobody waits for them."""
        self.rig = rig
        self._is_held = held
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()
        self._made = 0
        self.copied_bytes = 0
        """Of the requests that would carry up what the service has, so that it need not go up."""

    def begin(self) -> None:
        """Mounts an account that holds something."""
        for folder in ("/keep", "/keep/dir"):
            self.rig.sandbox.create_folder(folder)
        self.folders = {"/keep", "/keep/dir"}
        for name in ("a", "b", "replaced", "renamed", "removed", "dir/x"):
            self._others_write(f"/keep/{name}")
        self.rig.sandbox.log.reset()
        self.rig.mount()

    def small(self) -> None:
        """Small files, folders, renames, removals, and what others do meanwhile."""
        world = self.rig.world
        self._insist(world.follow)
        for folder in ("/", "/keep", "/keep/dir"):
            self._insist(partial(world.names, folder))
        assert self._insist(lambda: world.get("/keep/a")) == self.files["/keep/a"]
        self._insist(lambda: world.mkdir("/new"))
        self._insist(lambda: world.mkdir("/new/sub"))
        self._insist(lambda: world.mkdir("/empty"))
        self.folders |= {"/new", "/new/sub", "/empty"}
        for path in ("/new/one", "/new/two", "/new/sub/three", "/keep/replaced", "/four", "/five"):
            self._write(path)
        for name in ("a", "b"):
            self._copy(f"/keep/{name}", f"/new/copy of {name}")
        self._rename("/keep/renamed", "/keep/moved")
        self._remove("/keep/removed")
        self._remove("/keep/dir/x")
        self._insist(lambda: world.fs.rmdir("/keep/dir"))
        self.folders.discard("/keep/dir")
        self._insist(lambda: world.touch("/keep/b", 1_600_000_000 * 10**9))
        self._settle()
        self._others_write("/keep/theirs")
        assert self._insist(lambda: self._hear_of("/keep/theirs")) == self.files["/keep/theirs"]
        self._copy("/four", "/keep/four")
        self._write("/new/two")
        self._rename("/new/one", "/new/uno")
        self._insist(lambda: world.rename("/new/sub", "/under"))
        self.folders ^= {"/new/sub", "/under"}
        self.files["/under/three"] = self.files.pop("/new/sub/three")
        self._write_what_was_replaced("/keep/a")
        self._settle()
        self._insist(world.follow)

    def large(self) -> None:
        """A file of several parts, one over another while others look on, and a small one and a copy beside
        them."""
        world = self.rig.world
        self._insist(lambda: world.names("/"))
        self._write("/large", LARGE_BYTES[self.rig.service])
        self._settle()
        self._write("/keep/replaced", LARGE_BYTES[self.rig.service] * 2 // 3)
        self._write("/small")
        self._copy("/large", "/keep/large")
        self._settle()

    def _hear_of(self, path: str) -> bytes:
        """Reads what others have just written; Offline while nobody has told of it."""
        self.rig.world.follow()
        try:
            return self.rig.world.get(path)
        except NotFound as error:
            raise Offline("not heard of yet") from error

    def _settle(self) -> None:
        if not self._is_held:
            self.rig.world.settle(MOST_S)
            return
        with contextlib.suppress(NotSettled):
            self.rig.world.settle(HELD_S)

    def body(self, size_bytes: int) -> bytes:
        """No two are of one size, so that a version that is given twice shows."""
        self._made += 1
        return bytes([65 + self._made]) * (size_bytes + self._made)

    def _others_write(self, path: str) -> None:
        self.files[path] = self.body(300)
        self.rig.others_write(path, self.files[path])

    def _write(self, path: str, size_bytes: int = 600) -> None:
        body = self.body(size_bytes)
        self._insist(lambda: self.rig.world.put(path, body))
        self.files[path] = body

    def _copy(self, source: str, target: str) -> None:
        """Of a file that the service has; `cp` in the mount."""
        body = self.files[target] = self.files[source]
        self.copied_bytes += len(body) + FORM_BYTES
        self._insist(lambda: self.rig.world.put(target, body))

    def _write_what_was_replaced(self, path: str) -> None:
        """Others write the same bytes a moment before us, and replace them: only the history tells."""
        body = self.body(600)
        self._insist(lambda: self.rig.world.put(path, body))
        self.rig.others_write(path, body)
        self._others_write(path)

    def _rename(self, source: str, target: str) -> None:
        self._insist(lambda: self.rig.world.rename(source, target))
        self.files[target] = self.files.pop(source)

    def _remove(self, path: str) -> None:
        self._insist(lambda: self.rig.world.fs.unlink(path))
        del self.files[path]

    def _insist(self, call: Callable[[], T]) -> T:
        """As a patient program does: what fails for a time is done again."""
        for _ in range(TRIES):
            try:
                return call()
            except Refused:
                raise
            except MountfsError:
                self.rig.clock.advance(TRY_AGAIN_S)
        return call()


WORKS: dict[str, Callable[[Work], None]] = {"small": Work.small, "large": Work.large}
