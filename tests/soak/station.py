"""One mount and the disk of its state directory: it dies and comes back, its disk fills up and is freed."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.failure import Failure
from tests.fakes.smalldisk import KINDS, MIB, SmallTmpfs, small_disk
from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import SandboxProcess
from tests.soak.figures import Figures
from tests.soak.toolbox import ToolFailed
from tests.waiting import until

DISK_BYTES = 768 * MIB
"""More than what the mount leaves free for others and what it slows writers in (``spool.quota``)."""
MOST_PENDING = 150
"""What a service that fails at one call of ten takes in half a minute."""
COMES_BACK_S = 120.0
"""A writer that cannot go on for so long is stuck: the longest thing to wait for is a disk that is full."""

_EXCUSES = {
    errno.EIO,
    errno.ENOSPC,
    errno.EACCES,  # a token that was refused again just after it had been renewed
    errno.EINTR,
    errno.ENOTCONN,
    errno.ECONNABORTED,
}
"""What the kernel may answer while the service fails, the disk is full or the mount is dead."""

_OF_SQLITE = ("disk I/O error", "database or disk is full")
_OF_RSYNC = ("rsync error: error in socket IO", "rsync error: error in rsync protocol data stream")
"""Where the process that met the failure could not say so."""
_OF_TAR = ("Wrote only",)
"""A disk that gets full in the middle of a write takes a part of it, and tar does not ask why."""
_OF_GIT = ("couldn't write '",)
"""Of a ref on a full disk; git does not say why."""
_OF_PROGRAMS = (*_OF_SQLITE, *_OF_RSYNC, *_OF_TAR)
_WORDS = (*map(os.strerror, _EXCUSES), *_OF_PROGRAMS)


class Station:
    """A mount with its own state directory. One thread kills it and fills its disk; all others use it."""

    def __init__(self, name: str, mount: RealMount, disk: SmallTmpfs | None, figures: Figures) -> None:
        self.name = name
        self.mount = mount
        self.disk = disk
        self.deaths = 0
        self.is_up = False
        self.is_full = False
        self.pending = 0
        self._figures = figures

    def start(self) -> None:
        self.mount.start()
        self.is_up = True

    def kill(self) -> None:
        """Kills it and starts it again at once; while its disk is full it may need more than one start."""
        self.deaths += 1
        self.is_up = False
        self._figures.tell(f"{self.name} is killed")
        self.mount.kill9()
        self._figures.count("trouble", "kill -9")
        until(self._is_back, f"mount {self.name} is back", COMES_BACK_S)
        self.is_up = True
        self._figures.tell(f"{self.name} is back")

    def _is_back(self) -> bool:
        try:
            self.mount.start()
        except AssertionError as error:
            if not self.is_full:
                raise
            self._figures.tell(f"{self.name} does not start: {error}")
            self._figures.count("trouble", "starts that failed on a full disk")
            self.free()
            return False
        return True

    def fill(self) -> None:
        """Others take all that is left on the disk of the state directory."""
        assert self.disk is not None
        self._figures.tell(f"{self.name} has a full disk")
        self._figures.count("trouble", "full disks")
        self.is_full = True
        self.disk.fill()

    def free(self) -> None:
        if self.is_full:
            assert self.disk is not None
            self.disk.empty()
            self.is_full = False
            self._figures.tell(f"{self.name} has room again")

    def look(self) -> None:
        """Takes notice of how much is pending."""
        with contextlib.suppress(Failure):
            self.pending = self.mount.status()["account"]["pending"]["count"]

    @property
    def is_behind(self) -> bool:
        """Whether so much is pending that writers should wait."""
        return self.pending > MOST_PENDING

    def excuses(self, error: Exception, deaths: int) -> bool:
        """Whether *error* is what a writer may meet; *deaths*: before its call."""
        number = error.errno if isinstance(error, OSError) else None
        words = (*_WORDS, *_OF_GIT) if self.is_full else _WORDS
        is_expected = number in _EXCUSES or any(word in str(error) for word in words)
        return is_expected or self.deaths != deaths or not self.is_up

    def again(self, do: Callable[[], object], what: str) -> None:
        """Does it until it gets through. AssertionError when it never does, or fails as it should not."""
        last: Exception | None = None

        def succeeds() -> bool:
            nonlocal last
            deaths = self.deaths
            try:
                do()
            except (OSError, ToolFailed) as error:
                assert self.excuses(error, deaths), f"{what}: {error}"
                last = error
                time.sleep(0.1)  # a failing service is not asked again at once
                return False
            return True

        try:
            until(succeeds, what, COMES_BACK_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; the last failure: {last}") from None


def may_tear(error: Exception) -> bool:
    """Whether a writer that met *error* may have closed a file that it had written in part."""
    numbers = (errno.ENOSPC, errno.EIO)
    words = (*map(os.strerror, numbers), *_OF_PROGRAMS)
    return any(word in str(error) for word in words)


@contextlib.contextmanager
def stations(
    folder: Path, far_side: SandboxProcess, remote: dict[str, str], figures: Figures
) -> Iterator[list[Station]]:
    """Two of them, not started yet. Where we may not mount a disk, they have that of *folder*."""
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("A", "B"):
            here = folder / name
            here.mkdir()
            disk: SmallTmpfs | None = None
            if "tmpfs" in KINDS:
                mounted = stack.enter_context(small_disk("tmpfs", here, DISK_BYTES))
                assert isinstance(mounted, SmallTmpfs)
                disk = mounted
            state = disk.directory if disk is not None else here / "state"
            mount = stack.enter_context(RealMount(here, far_side, remote=remote, state_dir=str(state)))
            made.append(Station(name, mount, disk, figures))
        yield made
