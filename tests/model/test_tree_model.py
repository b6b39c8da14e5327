"""The mount against a file system in dictionaries.

Any calls in any order, with uploads, commits, faults, crashes and restarts in between. The mount shows what
the calls made, at every step; in the end the service has it, and has got each version once.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mountfs.errors import Busy, CrossDevice, MountfsError, NotSignedIn, Offline, ServerFault, Throttled
from mountfs.files import copyup
from mountfs.model.entry import NS_PER_S
from mountfs.model.names import is_local_name
from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.recording import RecordingAccount
from tests.doubles.soundness import faults_of
from tests.doubles.world import World
from tests.model.posix import ModelHandle, ModelNode, ModelTree

NAMES = st.sampled_from(["a", "b", "B", "c", "~$l", ".t.aB3xYz"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "".join("/" + name for name in names))
TAILS = st.binary(max_size=2)
LOST = [Offline("lost"), ServerFault("500")]
PUT_OFF = [Throttled("slow", 3.0), Busy("locked"), NotSignedIn("expired")]
UPLOADS = ["new_sessions", "append_pack", "upload_whole"]
ALL_KINDS = ("file", "folder", "link")

RECOVERED = "(recovered copy"
OF_A_CRASH = ("that nothing names any more are kept in", "was still being written when mountfs stopped")
"""What a start may tell of files that were open when the process died."""


class MountMachine(RuleBasedStateMachine):
    """Each rule does one call on the mount and on the model, and expects the same of both."""

    limits: BackendLimits = MEMORY_LIMITS
    settings: Mapping[str, Any] = {}

    @initialize(job_polls=st.integers(0, 3), there=st.dictionaries(PATHS, st.booleans(), max_size=6))
    def begin(self, job_polls: int, there: dict[str, bool]) -> None:
        """*there*: what the account has already, files and folders."""
        self._directory = tempfile.TemporaryDirectory()
        self.account = RecordingAccount(self.limits)
        self.account.job_polls = job_polls
        self.world = World(
            Path(self._directory.name), self.account, limits=self.limits, settings=dict(self.settings)
        )
        self.model = ModelTree()
        self.written = 0
        self.copied: Counter[bytes] = Counter()
        self.hidden = 0
        self.has_cut = False
        self.has_lost_a_job = False
        for path, is_folder in there.items():
            self.stands_already(path, is_folder)

    def stands_already(self, path: str, is_folder: bool) -> None:
        if not self.model.can_make(path) or self.model.kind(path) != "none":
            return
        if is_folder:
            self.account.mkdir(path)
            self.model.place(path, ModelNode(is_folder=True))
        else:
            body = self.fresh_body()
            self.account.write(path, body)
            self.model.place(path, ModelNode(is_folder=False, body=bytearray(body), whole=body))

    # Helpers

    def some_path(self, data: st.DataObject, kinds: tuple[str, ...] = ("file", "folder")) -> str | None:
        """Something that is there: most paths are of nothing, the cases are in what becomes of something."""
        paths = sorted(path for path, _ in self.model.walk() if self.model.kind(path) in kinds)
        return data.draw(st.sampled_from(paths)) if paths else None

    def fresh_body(self) -> bytes:
        """Every version differs, so that a second commit of one is seen."""
        self.written += 1
        return f"version {self.written}.".encode()

    def stays_here(self, path: str) -> bool:
        """Whether a name of a path, or one above, keeps it on this machine."""
        return any(is_local_name(name) for name in path.split("/") if name)

    def expect_failure(self, call: Callable[[], object]) -> None:
        with pytest.raises(MountfsError):
            call()

    def hide_if_open(self, path: str) -> bool:
        """As libfuse removes a file that is open: it gives it a name of its own first."""
        node = self.model.find(path)
        if node is None or not self.model.is_open(node):
            return False
        self.hidden += 1
        folder = path.rpartition("/")[0]
        hidden = f"{folder}/.fuse_hidden{self.hidden:016x}"
        self.world.rename(path, hidden)
        self.model.moved(path, hidden)
        return True

    # Files

    @rule(path=PATHS)
    def put(self, path: str) -> None:
        if not self.model.can_make(path) or self.model.kind(path) in ("folder", "link"):
            self.expect_failure(lambda: self.world.put(path, b""))
            return
        self.world.advance(1.0)
        self.put_body(path, self.fresh_body())

    @rule(data=st.data(), path=PATHS, is_settled=st.booleans())
    def copy(self, data: st.DataObject, path: str, is_settled: bool) -> None:
        """`cp` of a file, which the service has if that *is_settled*."""
        source = self.some_path(data, ("file",))
        is_taken = self.model.kind(path) in ("folder", "link")
        if source is None or not self.model.can_make(path) or is_taken:
            return
        if is_settled:
            self.settle()
        body = self.world.get(source)
        self.copied[body] += 1
        self.put_body(path, body)

    def put_body(self, path: str, body: bytes) -> None:
        self.world.put(path, body)
        node = self.model.find(path)
        if node is None:
            node = ModelNode(is_folder=False)
            self.model.place(path, node)
        self.model.opens(node)
        node.body[:] = body
        self.model.wrote(node)
        if self.model.is_open(node):
            node.flushed = bytes(body)
        else:
            node.whole = bytes(body)

    @rule(path=PATHS, is_new=st.booleans())
    def open(self, path: str, is_new: bool) -> None:
        """For writing: from empty, or where it stands."""
        if not self.model.can_make(path) or self.model.kind(path) in ("folder", "link"):
            return
        node = self.model.find(path)
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if is_new else 0)
        number = self.world.open(path, flags)
        if node is None:
            node = ModelNode(is_folder=False)
            self.model.place(path, node)
        else:
            self.model.opens(node)
            if is_new:
                node.body.clear()
                self.model.wrote(node)
        self.model.handles.append(ModelHandle(node, number, can_write=True, path=path))

    @precondition(lambda self: self.model.handles)
    @rule(data=st.data(), is_tail=st.booleans())
    def write(self, data: st.DataObject, is_tail: bool) -> None:
        handle = data.draw(st.sampled_from(self.model.handles))
        body = self.fresh_body()
        offset = len(handle.node.body) if is_tail else 0
        self.world.fs.write(handle.number, offset, body)
        handle.node.body[offset : offset + len(body)] = body
        self.model.wrote(handle.node)

    @precondition(lambda self: self.model.handles)
    @rule(data=st.data(), size=st.integers(0, 12))
    def cut(self, data: st.DataObject, size: int) -> None:
        handle = data.draw(st.sampled_from(self.model.handles))
        self.world.fs.ftruncate(handle.number, size)
        body = handle.node.body
        self.has_cut = True
        body[:] = bytes(body[:size]).ljust(size, b"\0")
        self.model.wrote(handle.node)

    @precondition(lambda self: self.model.handles)
    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        """A forked child closes its copy of the descriptor."""
        handle = data.draw(st.sampled_from(self.model.handles))
        self.world.fs.flush(handle.number)
        self.model.flush(handle.node)

    @precondition(lambda self: self.model.handles)
    @rule(data=st.data())
    def fsync(self, data: st.DataObject) -> None:
        self.world.fs.fsync(data.draw(st.sampled_from(self.model.handles)).number)

    @precondition(lambda self: self.model.handles)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        handle = data.draw(st.sampled_from(self.model.handles))
        self.world.close_file(handle.number)
        self.model.close(handle)

    @rule(data=st.data(), time_s=st.integers(10**9, 10**9 + 3))
    def touch(self, data: st.DataObject, time_s: int) -> None:
        path = self.some_path(data)
        if path is not None:
            self.world.touch(path, time_s * NS_PER_S)
            node = self.model.find(path)
            assert node is not None
            node.mtime_ns = time_s * NS_PER_S

    @rule(data=st.data(), mode=st.sampled_from([0o600, 0o644, 0o755, 0o2770]))
    def chmod(self, data: st.DataObject, mode: int) -> None:
        path = self.some_path(data)
        if path is not None:
            self.world.fs.metadata.chmod(path, mode)
            node = self.model.find(path)
            assert node is not None
            node.mode = mode

    # Names

    @rule(path=PATHS)
    def mkdir(self, path: str) -> None:
        if not self.model.can_make(path) or self.model.kind(path) != "none":
            self.expect_failure(lambda: self.world.mkdir(path))
            return
        self.world.mkdir(path)
        self.model.place(path, ModelNode(is_folder=True))

    @rule(path=PATHS, leads_to=st.sampled_from(["a", "../b", "/no/where"]))
    def symlink(self, path: str, leads_to: str) -> None:
        if not self.model.can_make(path) or self.model.kind(path) != "none":
            self.expect_failure(lambda: self.world.fs.symlink(path, leads_to))
            return
        self.world.fs.symlink(path, leads_to)
        self.model.place(path, ModelNode(is_folder=False, target=leads_to))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        path = self.some_path(data, ALL_KINDS)
        if path is None:
            return
        node = self.model.find(path)
        assert node is not None
        if not node.is_folder:
            if not self.hide_if_open(path):
                self.world.fs.unlink(path)
        elif node.children:
            self.expect_failure(lambda: self.world.fs.rmdir(path))
            return
        else:
            self.world.fs.rmdir(path)
        self.model.take(path)

    @rule(source=PATHS, to=PATHS)
    def rename(self, source: str, to: str) -> None:
        target = to
        if not self.model.may_rename(source, target):
            self.expect_failure(lambda: self.world.rename(source, target))
            return
        moving, there = self.model.find(source), self.model.find(target)
        assert moving is not None
        if there is not None and there is not moving and self.hide_if_open(target):
            self.model.take(target)
            there = None
        try:
            self.world.rename(source, target)
        except CrossDevice:
            assert self.stays_here(target)
            return
        self.model.moved(source, target)
        self.model.take(source)
        if there is not None and there is not moving:
            self.model.take(target)
        self.model.place(target, moving)

    @rule(data=st.data(), name=NAMES)
    def rename_what_stands(self, data: st.DataObject, name: str) -> None:
        source = self.some_path(data, ALL_KINDS)
        if source is None:
            return
        folders = ["", *sorted(path for path, node in self.model.walk() if node.is_folder)]
        self.rename(source, f"{data.draw(st.sampled_from(folders))}/{name}")

    @rule(data=st.data(), name=NAMES)
    def swap(self, data: st.DataObject, name: str) -> None:
        """Two names are exchanged by way of a third, as `mv a x; mv b a; mv x b` does."""
        one, other = self.some_path(data, ALL_KINDS), self.some_path(data, ALL_KINDS)
        between = f"/{name}"
        if one is None or other is None or self.model.kind(between) != "none":
            return
        for source, target in ((one, between), (other, one), (between, other)):
            if self.model.kind(target) == "none" and self.model.may_rename(source, target):
                self.rename(source, target)

    @rule(data=st.data())
    def save(self, data: st.DataObject) -> None:
        """As editors do: the old version is moved aside, the new one written, the old one removed or kept."""
        path = self.some_path(data, ("file",))
        if path is None:
            return
        if data.draw(st.booleans()):
            self.rename(path, f"{path}~")
        self.put(path)
        if data.draw(st.booleans()) and self.model.kind(f"{path}~") == "file":
            if not self.hide_if_open(f"{path}~"):
                self.world.fs.unlink(f"{path}~")
            self.model.take(f"{path}~")

    # What goes on behind

    @rule(seconds=st.sampled_from([0.01, 0.3, 3.0]), steps=st.integers(1, 6))
    def work(self, seconds: float, steps: int) -> None:
        core = self.world.core
        for _ in range(steps):
            for step in (core.filler.step, core.uploader.step, core.committer.step, core.sweeper.step):
                step(self.world.clock.now_s())
            core.durability.step(self.world.clock.now_s())
            self.world.advance(seconds)

    @rule()
    def hurry(self) -> None:
        self.world.core.urgency.hurry()

    @rule(
        route=st.sampled_from([*UPLOADS, "submit", "poll", "stat"]),
        error=st.sampled_from(LOST),
        after=st.booleans(),
    )
    def lose(self, route: str, error: MountfsError, after: bool) -> None:
        self.world.backend.fail(route, error, after=after)
        self.has_lost_a_job = self.has_lost_a_job or route == "submit"

    @rule(route=st.sampled_from([*UPLOADS, "submit"]), error=st.sampled_from(PUT_OFF))
    def put_off(self, route: str, error: MountfsError) -> None:
        self.world.backend.fail(route, error)

    @rule()
    def expire(self) -> None:
        self.account.lose_sessions()

    @rule()
    def lose_jobs(self) -> None:
        self.account.lose_jobs()
        self.has_lost_a_job = True

    @rule()
    def follow(self) -> None:
        self.world.follow()

    @rule()
    def doubt_everything(self) -> None:
        """As when the position in the changes is void."""
        with self.world.core.tree.transaction():
            self.world.core.listings.doubt_all()

    @rule()
    def crash(self) -> None:
        torn = [path for path, node in self.model.walk() if self.is_torn_by_a_crash(node)]
        open_bodies = [bytes(handle.node.body) for handle in self.model.handles]
        open_nodes = {id(handle.node) for handle in self.model.handles}
        self.world.restart()
        self.model.crash()
        shown_again = self.world.tree()
        copies = [path for path in shown_again if RECOVERED in path]
        assert len(copies) <= len(open_nodes), "more than one copy of a file"
        for path, body in shown_again.items():
            if RECOVERED in path:
                assert body in open_bodies, "a copy is not what was written until the crash"
                self.world.fs.unlink(path)
                folder = self.model.parent(path)
                assert folder is not None
                folder.mtime_ns = None  # the copy came into it, and is gone again
        remote = {path.lower(): body for path, body in self.world.remote().items()}
        shown = {path.lower(): (path, body) for path, body in self.world.tree().items()}
        for torn_path in torn:
            # What it replaced, which the service still has, is shown again, spelled as it was.
            path, body = shown.get(torn_path.lower(), ("", None))
            if path.lower() in remote and remote[path.lower()] == body:
                bytes_there = bytearray(body or b"")
                self.model.place(path, ModelNode(is_folder=body is None, body=bytes_there, whole=body))

    def is_torn_by_a_crash(self, node: ModelNode) -> bool:
        """Whether it is being written and was never closed."""
        is_open = any(handle.node is node for handle in self.model.handles)
        return is_open and node.whole is None and node.flushed is None

    @rule()
    def settle(self) -> None:
        self.settle_everything()
        self.check_account()

    # What must hold

    @invariant()
    def shows_what_the_calls_made(self) -> None:
        if not hasattr(self, "model"):
            return
        assert self.world.tree() == self.model.tree()
        assert self.world.links() == self.model.links()
        for path, node in self.model.walk():
            told = self.world.fs.getattr(path)
            if node.mtime_ns is not None and not self.model.shows_older(path, node):
                assert told.mtime_ns == node.mtime_ns, path
            if node.mode is not None:
                assert stat.S_IMODE(told.mode) == node.mode, path

    @invariant()
    def is_sound(self) -> None:
        if hasattr(self, "model"):
            assert faults_of(self.world.core.tree) == []

    def settle_everything(self) -> None:
        self.world.settle()

    def check_account(self) -> None:
        remote = self.world.remote()
        # A name that stays here does so only until the service has the file, which may have got it later.
        shown = {
            path: body
            for path, body in self.model.tree().items()
            if path in remote or not self.stays_here(path)
        }
        open_nodes = {id(handle.node) for handle in self.model.handles}
        # What is being written, and what it replaces, is there in some version or not yet.
        being_written = {path.lower() for path, node in self.model.walk() if id(node) in open_nodes}
        assert {path: body for path, body in remote.items() if path.lower() not in being_written} == {
            path: body for path, body in shown.items() if path.lower() not in being_written
        }
        assert [text for text in self.world.notices() if not any(word in text for word in OF_A_CRASH)] == []
        if not self.model.handles:
            assert [path for path, word in self.world.pending() if not self.stays_here(path)] == []
        # To the account a job runs until it is asked after, which nobody can whose reply was lost.
        assert self.has_lost_a_job or self.account.overlapping_submits == 0

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        while self.model.handles:
            handle = self.model.handles[-1]
            self.world.close_file(handle.number)
            self.model.close(handle)
        self.settle_everything()
        self.check_account()
        # Unless files were cut, versions differ from each other, but for copies: the service is given each
        # once at most.
        given = Counter(body for body in self.account.given if body)
        assert self.has_cut or all(count <= 1 + self.copied[body] for body, count in given.items())
        self.world.close()
        self._directory.cleanup()


class SideBySideMachine(MountMachine):
    """The same, where there are no batches but several calls at once, ids, and times without bytes; what is
    added to the smallest file goes behind its pending bytes, as in large ones."""

    limits = SIDE_BY_SIDE_LIMITS

    def __init__(self) -> None:
        super().__init__()
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(copyup, "EXTENDED_FROM_BYTES", 1)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self._patched.undo()


MountMachine.TestCase.settings = SideBySideMachine.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestMount = MountMachine.TestCase
TestSideBySideMount = SideBySideMachine.TestCase
