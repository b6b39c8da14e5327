"""Any calls, with faults, crashes and commits in between: in the end the service has what the calls made,
and has got each version once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mountfs.backends.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS, MemoryAccount
from mountfs.errors import Busy, MountfsError, NotSignedIn, Offline, ServerFault, Throttled
from mountfs.model.entry import NS_PER_S, File
from mountfs.model.path import RemotePath
from tests.fakes.pending import Pipeline

NAMES = st.sampled_from(["a", "b", "c", ".t.aB3xYz"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "".join("/" + name for name in names))
LOST = [Offline("lost"), ServerFault("500")]
REFUSED = [Throttled("slow", 3.0), Busy("locked"), NotSignedIn("expired")]
UPLOADS = ["new_sessions", "append_pack", "upload_whole"]


class PipelineMachine(RuleBasedStateMachine):
    """The model is a dict of what stands at each path: bytes, or None for a folder."""

    limits = MEMORY_LIMITS

    @initialize(job_polls=st.integers(0, 3))
    def begin(self, job_polls: int) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.pipeline = Pipeline(Path(self._directory.name), limits=self.limits)
        self.pipeline.account.job_polls = job_polls
        self.given: list[bytes] = []
        self._record(self.pipeline.account)
        self.tree: dict[str, bytes | None] = {}
        self.times_s: dict[bytes, int] = {}
        self.written = 0
        self.has_lost_a_job = False

    def _record(self, account: MemoryAccount) -> None:
        overwrite = account.tree.overwrite

        def recording(path: RemotePath, body: bytes, mtime_ns: int) -> File:
            self.given.append(body)
            return overwrite(path, body, mtime_ns)

        account.tree.overwrite = recording  # type: ignore[method-assign]

    def parent_stands(self, path: str) -> bool:
        parent = path.rpartition("/")[0]
        return not parent or self.tree.get(parent, b"") is None

    def below(self, path: str) -> list[str]:
        return [at for at in self.tree if at.startswith(path + "/")]

    @rule(path=PATHS)
    def write(self, path: str) -> None:
        if self.parent_stands(path) and self.tree.get(path, b"") is not None:
            self.written += 1
            # Every version differs, so that a second commit of one is seen as a new revision.
            body = f"version {self.written}".encode()
            self.pipeline.write(path, body)
            self.tree[path] = body
            self.times_s[body] = self.pipeline.clock.wall_ns() // NS_PER_S

    @rule(path=PATHS, time_s=st.integers(10**9, 10**9 + 3))
    def touch(self, path: str, time_s: int) -> None:
        body = self.tree.get(path)
        if body is not None:
            self.pipeline.touch(path, time_s * NS_PER_S)
            self.times_s[body] = time_s

    @rule(path=PATHS)
    def mkdir(self, path: str) -> None:
        if self.parent_stands(path) and path not in self.tree:
            self.pipeline.mkdir(path)
            self.tree[path] = None

    @rule(path=PATHS)
    def remove(self, path: str) -> None:
        if path in self.tree and not self.below(path):
            if self.tree.pop(path) is None:
                self.pipeline.rmdir(path)
            else:
                self.pipeline.unlink(path)

    @rule(source=PATHS, to=PATHS)
    def rename(self, source: str, to: str) -> None:
        fits = source in self.tree and self.parent_stands(to) and source != to
        if not fits or to.startswith(source + "/"):
            return
        if to in self.tree and (self.tree[source] is None) != (self.tree[to] is None):
            return
        if self.below(to):
            return
        self.pipeline.rename(source, to)
        moved = {at: self.tree.pop(at) for at in [source, *self.below(source)]}
        self.tree |= {to + at[len(source) :]: body for at, body in moved.items()}

    @precondition(lambda self: self.tree)
    @rule(data=st.data(), name=NAMES)
    def rename_what_stands(self, data: st.DataObject, name: str) -> None:
        source = data.draw(st.sampled_from(sorted(self.tree)))
        folders = ["", *(path for path, body in sorted(self.tree.items()) if body is None)]
        self.rename(source, f"{data.draw(st.sampled_from(folders))}/{name}")

    @precondition(lambda self: self.tree)
    @rule(data=st.data())
    def remove_what_stands(self, data: st.DataObject) -> None:
        self.remove(data.draw(st.sampled_from(sorted(self.tree))))

    @rule(path=PATHS)
    def forget_one_listing(self, path: str) -> None:
        """Listings are not all of one age."""
        self.pipeline.snapshot.invalidate(RemotePath(path))

    @invariant()
    def shows_what_the_calls_made(self) -> None:
        if hasattr(self, "pipeline"):
            assert self.shown() == self.tree

    def shown(self, folder: str = "") -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for node in self.pipeline.view.children(RemotePath(folder)):
            path = node.path.text
            if node.is_folder:
                found |= {path: None} | self.shown(path)
            else:
                body = self.tree.get(path) or b""
                found[path] = body if node.size_bytes == len(body) else b"another"
        return found

    @rule(seconds=st.sampled_from([0.01, 0.3, 3.0]), steps=st.integers(1, 6))
    def work(self, seconds: float, steps: int) -> None:
        for _ in range(steps):
            for step in (
                self.pipeline.uploader.step,
                self.pipeline.committer.step,
                self.pipeline.sweeper.step,
            ):
                step(self.pipeline.clock.now_s())
            self.pipeline.clock.advance(seconds)

    @rule(hurried=st.booleans())
    def hurry(self, hurried: bool) -> None:
        if hurried:
            self.pipeline.urgency.hurry()

    @rule(
        route=st.sampled_from([*UPLOADS, "submit", "poll", "stat"]),
        error=st.sampled_from(LOST),
        after=st.booleans(),
    )
    def lose(self, route: str, error: MountfsError, after: bool) -> None:
        self.pipeline.backend.fail(route, error, after=after)
        self.has_lost_a_job = self.has_lost_a_job or route == "submit"

    @rule(route=st.sampled_from([*UPLOADS, "submit"]), error=st.sampled_from(REFUSED))
    def refuse(self, route: str, error: MountfsError) -> None:
        self.pipeline.backend.fail(route, error)

    @rule()
    def expire(self) -> None:
        self.pipeline.account.lose_sessions()

    @rule()
    def crash(self) -> None:
        self.pipeline.restart()

    @rule()
    def settle(self) -> None:
        self.pipeline.settle()
        self.check()

    def check(self) -> None:
        account = self.pipeline.account
        assert account.files() == {path: body for path, body in self.tree.items() if body is not None}
        assert account.folders() == {path for path, body in self.tree.items() if body is None}
        assert self.pipeline.journal.rows() == []
        assert self.pipeline.spool.names() == []
        # A batch whose reply was lost is sent again: its job may still run, and nobody knows its name.
        assert self.has_lost_a_job or account.overlapping_submits == 0
        assert self.pipeline.notices() == []
        for path, body in self.tree.items():
            node = self.pipeline.view.stat(RemotePath(path))
            assert node.is_folder is (body is None)
            if body is not None and self.limits.carries_times:
                assert node.mtime_ns == self.times_s[body] * NS_PER_S
                assert self.pipeline.file(path).mtime_ns == node.mtime_ns

    def teardown(self) -> None:
        if not hasattr(self, "pipeline"):
            return
        self.pipeline.settle()
        self.check()
        # Every version was written differently, so each is given to the service once at most.
        assert len(set(self.given)) == len(self.given)
        self.pipeline.close()
        self._directory.cleanup()


class SideBySideMachine(PipelineMachine):
    """The same, where there are no batches but several calls at once, and times without bytes."""

    limits = SIDE_BY_SIDE_LIMITS


PipelineMachine.TestCase.settings = SideBySideMachine.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestPipeline = PipelineMachine.TestCase
TestSideBySidePipeline = SideBySideMachine.TestCase
