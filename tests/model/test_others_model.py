"""The mount while others work in the account, and while the service refuses things.

Whatever the order of events, in the end the mount shows what the service has, and no version that anybody
wrote is lost unless somebody who saw it replaced or removed it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mountfs.errors import (
    Busy,
    Forbidden,
    MountfsError,
    NotADirectory,
    NotFound,
    NotSignedIn,
    Offline,
    ServerFault,
    Throttled,
)
from mountfs.model.entry import File
from mountfs.ports import BackendLimits
from mountfs.tree import treewalk, walks
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS, MemoryAccount
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

NAMES = st.sampled_from(["a", "b", "B", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "".join("/" + name for name in names))
LOST = [Offline("lost"), ServerFault("500")]
PUT_OFF = [Throttled("slow", 3.0), Busy("locked"), NotSignedIn("expired")]
UPLOADS = ["new_sessions", "append_pack", "upload_whole"]


class OthersMachine(RuleBasedStateMachine):
    """``alive``: every version that nobody has let go of, who saw it."""

    limits: BackendLimits = MEMORY_LIMITS
    settings: Mapping[str, Any] = {}

    @initialize(job_polls=st.integers(0, 3), there=st.dictionaries(PATHS, st.booleans(), max_size=6))
    def begin(self, job_polls: int, there: dict[str, bool]) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.account = MemoryAccount(self.limits)
        self.account.job_polls = job_polls
        self.world = World(
            Path(self._directory.name), self.account, limits=self.limits, settings=dict(self.settings)
        )
        self.alive: set[bytes] = set()
        self.handles: list[int] = []
        self.written = 0
        for path, is_folder in there.items():
            with contextlib.suppress(MountfsError):
                if is_folder:
                    self.account.mkdir(path)
                else:
                    self.theirs_write(path)
        self.world.follow()

    # Helpers

    def fresh_body(self, who: str) -> bytes:
        self.written += 1
        return f"{who} {self.written}.".encode()

    def shown_body(self, path: str) -> bytes | None:
        """What somebody at this machine sees at *path*; the error of one who cannot look just now, and does
        nothing blindly."""
        with contextlib.suppress(NotFound, NotADirectory):
            if not self.world.node(path).is_folder:
                return self.world.get(path)
        return None

    def some_shown(self, data: st.DataObject) -> str | None:
        with contextlib.suppress(MountfsError):
            paths = sorted(self.world.tree())
            if paths:
                return data.draw(st.sampled_from(paths))
        return None

    def some_remote(self, data: st.DataObject) -> str | None:
        paths = sorted(self.world.remote())
        return data.draw(st.sampled_from(paths)) if paths else None

    def let_go(self, body: bytes | None) -> None:
        if body is not None:
            self.alive.discard(body)

    # Here

    @rule(path=PATHS)
    def put(self, path: str) -> None:
        body = self.fresh_body("ours")
        with contextlib.suppress(MountfsError):
            seen = self.shown_body(path)
            self.world.put(path, body)
            self.let_go(seen)
            self.alive.add(body)

    @rule(data=st.data())
    def put_over(self, data: st.DataObject) -> None:
        path = self.some_shown(data)
        if path is not None:
            self.put(path)

    @rule(data=st.data(), path=PATHS)
    def copy(self, data: st.DataObject, path: str) -> None:
        source = self.some_shown(data)
        with contextlib.suppress(MountfsError):
            body = None if source is None else self.shown_body(source)
            seen = self.shown_body(path)
            if body is not None:
                self.world.put(path, body)
                if body != seen:  # else nothing has changed, and somebody may have seen and replaced it
                    self.let_go(seen)
                    self.alive.add(body)

    @rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        """Opens a file, to be changed later; what is written then is made from what was seen now."""
        path = self.some_shown(data)
        if path is not None:
            with contextlib.suppress(MountfsError):
                self.handles.append(self.world.open(path, os.O_RDWR))

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.handles)))
        self.handles.remove(number)
        size = self.world.fs.fgetattr(number).size_bytes
        seen = self.world.fs.read(number, 0, size)
        body = self.fresh_body("ours").ljust(size)
        self.world.fs.write(number, 0, body)
        is_named = self.is_named(number)
        self.world.close_file(number)
        if is_named:
            self.let_go(seen)
            self.alive.add(body)

    def is_named(self, number: int) -> bool:
        """Whether what is written to a handle is anybody's."""
        content = self.world.fs._handles[number].file.content
        return content is not None and self.world.core.tree.content(content.id) is not None

    @rule(path=PATHS)
    def mkdir(self, path: str) -> None:
        with contextlib.suppress(MountfsError):
            self.world.mkdir(path)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        path = self.some_shown(data)
        if path is None:
            return
        with contextlib.suppress(MountfsError):
            seen = self.shown_body(path)
            if self.world.node(path).is_folder:
                self.world.fs.rmdir(path)
            else:
                self.world.fs.unlink(path)
            self.let_go(seen)

    @rule(data=st.data(), folder=st.sampled_from(["", "/a", "/b", "/c", "/a/b"]), name=NAMES)
    def rename(self, data: st.DataObject, folder: str, name: str) -> None:
        source = self.some_shown(data)
        if source is not None:
            self.rename_to(source, f"{folder}/{name}")

    @rule(data=st.data(), to=PATHS, is_refused=st.booleans())
    def move_out_and_remove(self, data: st.DataObject, to: str, is_refused: bool) -> None:
        """`mv d/f g; rmdir d` of the only file in d, where the service may refuse the rename."""
        with contextlib.suppress(MountfsError):
            shown = sorted(self.world.tree())
            folders = Counter(path.rpartition("/")[0] for path in shown)
            alone = [path for path in shown if folders[path.rpartition("/")[0]] == 1 and path.count("/") > 1]
            if not alone:
                return
            source = data.draw(st.sampled_from(alone))
            if is_refused:
                self.world.backend.refuse(to, Forbidden("no"))
            self.rename_to(source, to)
            self.world.fs.rmdir(source.rpartition("/")[0])

    def rename_to(self, source: str, target: str) -> None:
        with contextlib.suppress(MountfsError):
            replaced = self.shown_body(target) if target.lower() != source.lower() else None
            self.world.rename(source, target)
            self.let_go(replaced)

    # Elsewhere

    def theirs_write(self, path: str) -> None:
        before = self.account.get(path)
        body = self.fresh_body("theirs")
        seen = self.account.files().get(self.path_of(path)) if isinstance(before, File) else None
        self.account.write(path, body)
        self.let_go(seen)
        self.alive.add(body)

    def path_of(self, path: str) -> str:
        """As the account spells it."""
        return next((at for at in self.world.remote() if at.lower() == path.lower()), path)

    @rule(path=PATHS)
    def others_write(self, path: str) -> None:
        with contextlib.suppress(MountfsError):
            self.theirs_write(path)

    @rule(data=st.data())
    def others_write_over(self, data: st.DataObject) -> None:
        path = self.some_remote(data)
        if path is not None:
            self.others_write(path)

    @rule(path=PATHS)
    def others_mkdir(self, path: str) -> None:
        with contextlib.suppress(MountfsError):
            self.account.mkdir(path)

    @rule(data=st.data())
    def others_remove(self, data: st.DataObject) -> None:
        path = self.some_remote(data)
        if path is None:
            return
        files = self.account.files()
        self.account.remove(path)
        for at, body in files.items():
            if at.lower() == path.lower() or at.lower().startswith(path.lower() + "/"):
                self.let_go(body)

    @rule(data=st.data(), folder=st.sampled_from(["", "/a", "/b", "/c"]), name=NAMES)
    def others_move(self, data: st.DataObject, folder: str, name: str) -> None:
        source = self.some_remote(data)
        if source is not None:
            with contextlib.suppress(MountfsError):
                self.account.move(source, f"{folder}/{name}")

    # In between

    @rule(seconds=st.sampled_from([0.01, 0.3, 3.0]), steps=st.integers(1, 6))
    def work(self, seconds: float, steps: int) -> None:
        core = self.world.core
        for _ in range(steps):
            for step in (core.filler.step, core.uploader.step, core.committer.step, core.sweeper.step):
                step(self.world.clock.now_s())
            self.world.advance(seconds)

    @rule()
    def follow(self) -> None:
        self.world.follow()

    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        path = self.some_shown(data)
        if path is not None:
            self.world.backend.refuse(path, Forbidden("no"), times=data.draw(st.sampled_from([1, 4])))

    @rule(
        route=st.sampled_from([*UPLOADS, "submit", "poll", "stat", "list_folder", "changes"]),
        error=st.sampled_from([*LOST, *PUT_OFF]),
        after=st.booleans(),
    )
    def fail(self, route: str, error: MountfsError, after: bool) -> None:
        self.world.backend.fail(route, error, after=after and isinstance(error, Offline | ServerFault))

    @rule()
    def void_cursors(self) -> None:
        self.account.void_cursors()

    @rule()
    def crash(self) -> None:
        self.handles.clear()
        self.world.restart()

    # What must hold

    @invariant()
    def is_sound(self) -> None:
        if hasattr(self, "world"):
            assert faults_of(self.world.core.tree) == []

    # In the end

    @rule()
    def settle(self) -> None:
        self.settle_everything()

    def settle_everything(self) -> None:
        for number in list(self.handles):
            self.world.close_file(number)
        self.handles.clear()
        self.world.backend.forgive()
        for _ in range(4):
            self.world.advance(40.0)  # pauses after failures are over
            self.world.follow()
            with contextlib.suppress(MountfsError):
                self.world.tree()
            self.world.settle()
        self.world.follow()
        self.check()

    def check(self) -> None:
        shown, remote = self.world.tree(), self.world.remote()
        tree = self.world.core.tree
        if not tree.refused:
            assert self.world.pending() == []
            assert shown == remote
        kept = {body for body in [*shown.values(), *remote.values()] if body is not None}
        assert self.alive <= kept, f"lost: {self.alive - kept}"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.settle_everything()
            self.world.close()
            self._directory.cleanup()


class OthersSideBySideMachine(OthersMachine):
    """The same, where there are no batches but several calls at once, ids, and times without bytes."""

    limits = SIDE_BY_SIDE_LIMITS


class OthersWalkingMachine(OthersMachine):
    """The same, where the second folder that is opened begins a recursive listing, and no folder is short."""

    settings: Mapping[str, Any] = {"walkers": 2}

    def __init__(self) -> None:
        super().__init__()
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(walks, "ENOUGH", 2)
        self._patched.setattr(treewalk, "FEWEST_FILLED", 1)

    def teardown(self) -> None:
        super().teardown()
        self._patched.undo()


OthersMachine.TestCase.settings = OthersSideBySideMachine.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestOthers = OthersMachine.TestCase
TestOthersSideBySide = OthersSideBySideMachine.TestCase
OthersWalkingMachine.TestCase.settings = settings(OthersMachine.TestCase.settings, max_examples=25)
TestOthersWalking = OthersWalkingMachine.TestCase
