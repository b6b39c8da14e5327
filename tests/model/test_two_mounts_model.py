"""Two mounts of one account, each of which is somebody else to the other one, while others work there too.

Jobs take their time, so that things happen between an order and its effect, and between that and the reply;
the service refuses orders by any error; one mount may take over what the other one left. In the end both show
what the service has, and no version is lost unless somebody who saw it replaced or removed it.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from daemon.core import Foundation, Settings, lay
from daemon.process.adoption import adopt
from mountfs import errors
from mountfs.errors import MountfsError
from mountfs.model.order import OrderKind
from mountfs.model.path import RemotePath
from mountfs.spool.quota import Quota
from mountfs.tree import residents
from mountfs.tree.place import remote_path
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.soundness import faults_of
from tests.doubles.world import HOST, World
from tests.model.runs import drawn, failure
from tests.model.test_others_model import PATHS, OthersMachine

OUTCOMES = [
    errors.AlreadyExists("taken"),
    errors.Busy("locked"),
    errors.Conflict("another revision"),
    errors.Corrupt("another hash"),
    errors.DirectoryNotEmpty("not empty"),
    errors.Forbidden("no"),
    errors.InvalidArgument("senseless"),
    errors.NameNotAllowed("no such names"),
    errors.NoSpace("full"),
    errors.NotADirectory("a file is above it"),
    errors.NotFound("gone"),
    errors.NotSignedIn("expired"),
    errors.Offline("no reply"),
    errors.ServerFault("500"),
    errors.SessionLost("expired"),
    errors.Throttled("slow", 2.0),
    errors.TooLarge("too large"),
    errors.TransferLimit("used up"),
]
"""What one order may be answered with."""
PAUSES_S = 400.0
"""After so long no pause after a failure lasts."""


class TwoMountsMachine(OthersMachine):
    """What programs do, they do on ``world``; ``other`` is the other mount. With ``handles`` of each."""

    @initialize(
        job_polls=st.just(0),
        there=st.dictionaries(PATHS, st.booleans(), max_size=6),
        job_s=st.sampled_from([0.0, 0.5, 6.0]),
        page_entries=st.sampled_from([2, 500]),
    )
    def begin(self, job_polls: int, there: dict[str, bool], job_s: float, page_entries: int) -> None:
        super().begin(job_polls, there)
        self.account.clock, self.account.job_s = self.world.clock, job_s
        self._page_entries = page_entries
        self._directories = [self._directory]
        self.world.memory.page_entries = page_entries
        self.other = self.one_more()
        self.other_handles: list[int] = []

    def one_more(self) -> World:
        self._directories.append(tempfile.TemporaryDirectory())
        directory = Path(self._directories[-1].name)
        world = World(directory, self.account, limits=self.limits, clock=self.world.clock)
        world.memory.page_entries = self._page_entries
        return world

    @property
    def both(self) -> tuple[World, World]:
        return self.world, self.other

    @rule()
    def switch(self) -> None:
        self.world, self.other = self.other, self.world
        self.handles, self.other_handles = self.other_handles, self.handles

    @rule(seconds=st.sampled_from([0.01, 0.3, 3.0]), steps=st.integers(1, 6))
    def work_all(self, seconds: float, steps: int) -> None:
        for _ in range(steps):
            for core in (self.world.core, self.other.core):
                sends = (core.filler.step, core.uploader.step, core.committer.step)
                for step in (*sends, core.sweeper.step, core.prober.step, core.durability.step):
                    step(self.world.clock.now_s())
            self.world.advance(seconds)

    @rule(data=st.data(), error=st.sampled_from(OUTCOMES), times=st.sampled_from([1, 2, 5]))
    def answer(self, data: st.DataObject, error: MountfsError, times: int) -> None:
        path = self.some_shown(data)
        if path is not None:
            self.world.backend.refuse(path, error, times)

    @rule(path=PATHS)
    def others_write(self, path: str) -> None:
        """A service may remove a folder with all that is in it, on no condition, as Dropbox does. So what
        somebody puts into one after we have looked into it, before the removal takes effect, goes with it
        (S-CONFLICT)."""
        super().others_write(path)
        if self.limits.deletes_recursively and self.is_being_removed(path):
            self.let_go(self.account.files().get(self.path_of(path)))

    def is_being_removed(self, path: str) -> bool:
        """Whether the order to remove a folder above it is on its way."""
        key = RemotePath(path).key
        for world in self.both:
            for node in world.core.tree.dirty.values():
                flight = node.state.flight
                is_removal = flight is not None and flight.kind is OrderKind.DELETE and node.is_folder
                if is_removal and key.startswith(f"{remote_path(node).key}/"):
                    return True
        return False

    @rule()
    def expire(self) -> None:
        self.account.lose_sessions()

    @rule(end=st.booleans())
    def lose_jobs(self, *, end: bool) -> None:
        self.account.lose_jobs(end=end)

    @rule(data=st.data())
    def rename_in_case(self, data: st.DataObject) -> None:
        path = self.some_shown(data)
        if path is not None:
            self.rename_to(path, path[:-1] + path[-1].swapcase())

    @rule(jump_s=st.sampled_from([-1e6, -3.0, 3600.0]))
    def set_clock(self, jump_s: float) -> None:
        clock = self.world.clock
        clock.set_wall_ns(clock.wall_ns() + int(jump_s * 1e9))  # type: ignore[attr-defined]

    @precondition(lambda self: not self.handles and not self.other_handles)
    @rule()
    def take_over(self) -> None:
        """The other mount dies; this one is started again, and takes over what that left."""
        left = self.other
        left.close()

        def take(ours: Foundation) -> None:
            own = Settings(boot_id=left.boot_id, host=HOST, quota=Quota(reserve_bytes=0), ballast_bytes=0)
            adopt(ours, lay(left.places, left.backend, left.clock, left.disk, own), left.directory)

        self.world.on_laid = take
        self.world.restart()
        self.world.on_laid = lambda _foundation: None
        self.other = self.one_more()

    def settle_everything(self) -> None:
        for _ in self.both:
            for number in self.handles:
                self.world.close_file(number)
            self.handles.clear()
            self.world.backend.forgive()
            self.switch()
        for _ in range(5):
            self.world.advance(PAUSES_S)
            for world in self.both:
                world.follow()
                with contextlib.suppress(MountfsError):
                    world.tree()
                world.settle(10 * PAUSES_S)
        for world in self.both:
            world.follow()
        self.check()

    def check(self) -> None:
        remote = self.world.remote()
        kept = {body for body in remote.values() if body is not None}
        for world in self.both:
            shown = world.tree()
            kept |= {body for body in shown.values() if body is not None}
            assert faults_of(world.core.tree) == []
            if not world.core.tree.refused:
                assert world.pending() == []
                assert shown == remote
                assert world.core.spool.names() == []
                assert world.core.tree.store.flights() == []
        assert self.alive <= kept, f"lost: {self.alive - kept}"

    def teardown(self) -> None:
        if hasattr(self, "other"):
            self.settle_everything()
            for world in self.both:
                world.close()
            for directory in self._directories:
                directory.cleanup()


class TwoMountsSideBySideMachine(TwoMountsMachine):
    """The same, where several calls go at once, by ids; nearly every folder leaves the memory at once."""

    limits = SIDE_BY_SIDE_LIMITS

    def __init__(self) -> None:
        super().__init__()
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(residents, "ENTRIES_KEPT", 3)
        self._patched.setattr(residents, "ENTRIES_OF_FEW", 3)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self._patched.undo()


MACHINES = [TwoMountsMachine, TwoMountsSideBySideMachine]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("seed", range(8))
def test_runs_in_which_much_is_done(machine: type[TwoMountsMachine], seed: int) -> None:
    steps = drawn(machine, seed, 60)
    error = failure(machine, steps)
    assert error is None, (seed, error)


for each in MACHINES:
    each.TestCase.settings = settings(OthersMachine.TestCase.settings, max_examples=10)
TestTwoMounts = TwoMountsMachine.TestCase
TestTwoMountsSideBySide = TwoMountsSideBySideMachine.TestCase
