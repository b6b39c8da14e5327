"""Two mounts of one account, while others act within the calls of either, and its process dies there.

Others exchange names, respell them, bring back older versions, make anew what they removed, put a file in
place of a folder, and move things into what is being made here: right before a call takes effect, or between
that and its reply.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from mountfs.errors import MountfsError, NotFound
from mountfs.model.entry import File
from tests.doubles.faulty import FaultyBackend
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.model.runs import drawn, failure
from tests.model.test_two_mounts_model import OUTCOMES, TwoMountsMachine

T = TypeVar("T")
NAMES = st.sampled_from(["a", "b", "B"])
PATHS = st.lists(NAMES, min_size=1, max_size=2).map(lambda names: "".join("/" + name for name in names))
SENDS = ("submit", "poll", "new_sessions", "append_pack", "upload_whole", "stat", "revisions_before")
ROUTES = (*SENDS, "list_folder", "changes", "list_tree", "read")
KINDS = ("write", "mkdir", "remove", "move", "respell", "exchange", "restore", "replace", "anew", "move_in")
BETWEEN = "/between"


class Killed(BaseException):
    """The process ends here."""


class MeddledBackend(FaultyBackend):
    """Something else happens ``before`` and ``after`` the next call of a route."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.before: dict[str, list[Callable[[], None]]] = {}
        self.after: dict[str, list[Callable[[], None]]] = {}

    def _run(self, route: str, call: Callable[[], T]) -> T:
        for each in self.before.pop(route, []):
            each()
        try:
            return super()._run(route, call)
        finally:
            for each in self.after.pop(route, []):
                each()


class MeddlingMachine(TwoMountsMachine):
    @initialize(
        job_polls=st.just(0),
        there=st.dictionaries(PATHS, st.booleans(), max_size=6),
        job_s=st.sampled_from([0.0, 0.5, 6.0]),
        page_entries=st.sampled_from([2, 500]),
    )
    def begin(self, job_polls: int, there: dict[str, bool], job_s: float, page_entries: int) -> None:
        self.former: dict[str, bytes] = {}
        self.working: World | None = None
        super().begin(job_polls, there, job_s, page_entries)
        self.watch(self.world)

    def one_more(self) -> World:
        return self.watch(super().one_more())

    def watch(self, world: World) -> World:
        world.close()
        world.backend = MeddledBackend(world.memory)
        world.start()
        world.follow()
        return world

    # What others do at *one* path, or with two

    def theirs_write(self, path: str) -> None:
        super().theirs_write(path)
        self.former.setdefault(path.lower(), self.account.files()[self.path_of(path)])

    def do_write(self, one: str, _other: str) -> None:
        self.theirs_write(one)

    def do_mkdir(self, one: str, _other: str) -> None:
        self.account.mkdir(one)

    def do_remove(self, one: str, _other: str) -> None:
        files = self.account.files()
        self.account.remove(one)
        for at, body in files.items():
            if f"{at}/".lower().startswith(f"{one}/".lower()):
                self.let_go(body)

    def do_move(self, one: str, other: str) -> None:
        self.account.move(one, other)

    def do_respell(self, one: str, _other: str) -> None:
        self.account.move(one, one[:-1] + one[-1].swapcase())

    def do_exchange(self, one: str, other: str) -> None:
        are_apart = not f"{one}/".lower().startswith(f"{other}/".lower())
        are_apart = are_apart and not f"{other}/".lower().startswith(f"{one}/".lower())
        if are_apart and self.account.get(one) is not None and self.account.get(other) is not None:
            self.account.move(one, BETWEEN)
            self.account.move(other, one)
            self.account.move(BETWEEN, other)

    def do_restore(self, one: str, _other: str) -> None:
        """An older version of the file again."""
        body, seen = self.former.get(one.lower()), self.account.files().get(self.path_of(one))
        if body is not None and body not in self.account.files().values():
            self.account.write(one, body)
            self.let_go(seen)

    def do_replace(self, one: str, other: str) -> None:
        """By a folder where it is a file, and the other way round."""
        was = self.account.get(one)
        self.do_remove(one, other)
        (self.do_mkdir if isinstance(was, File) else self.do_write)(one, other)

    def do_anew(self, one: str, other: str) -> None:
        was = self.account.get(one)
        self.do_remove(one, other)
        (self.do_write if isinstance(was, File) else self.do_mkdir)(one, other)

    def do_move_in(self, one: str, other: str) -> None:
        """Into a folder that may be ours by then."""
        self.account.move(one, f"{other}{one[-2:]}")

    def act(self, kind: str, one: str, other: str) -> None:
        with contextlib.suppress(MountfsError):
            getattr(self, f"do_{kind}")(one, other)

    @rule(kind=st.sampled_from(KINDS), data=st.data(), path=PATHS, is_there=st.booleans(), other=PATHS)
    def others_act(self, kind: str, data: st.DataObject, path: str, is_there: bool, other: str) -> None:
        self.act(kind, (is_there and self.some_remote(data)) or path, other)

    @rule(
        kind=st.sampled_from(KINDS),
        data=st.data(),
        other=PATHS,
        route=st.sampled_from(ROUTES),
        is_before=st.booleans(),
    )
    def others_act_within(
        self, kind: str, data: st.DataObject, other: str, route: str, is_before: bool
    ) -> None:
        one = self.some_remote(data)
        if one is not None:
            self.plan(route, is_before, lambda: self.act(kind, one, other))

    @rule(route=st.sampled_from(SENDS), is_before=st.booleans())
    def kill_within(self, route: str, is_before: bool) -> None:
        world = self.world

        def kill() -> None:
            if self.working is world:
                raise Killed

        self.plan(route, is_before, kill)

    def plan(self, route: str, is_before: bool, what: Callable[[], None]) -> None:
        backend: Any = self.world.backend
        (backend.before if is_before else backend.after).setdefault(route, []).append(what)

    # In between

    def step(self, world: World, name: str) -> None:
        self.working = world
        try:
            getattr(world.core, name).step(world.clock.now_s())
        except Killed:
            (self.handles if world is self.world else self.other_handles).clear()
            world.restart()
        finally:
            self.working = None

    @rule(seconds=st.sampled_from([0.01, 0.3, 3.0]), steps=st.integers(1, 6))
    def work_all(self, seconds: float, steps: int) -> None:
        for _ in range(steps):
            for name in ("filler", "uploader", "committer", "sweeper", "prober", "durability"):
                for world in self.both:
                    self.step(world, name)
            self.world.advance(seconds)

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 2.5]))
    def commit(self, seconds: float) -> None:
        self.world.advance(seconds)
        self.step(self.world, "committer")

    @rule(source=PATHS, to=PATHS)
    def rename_unseen(self, source: str, to: str) -> None:
        self.rename_to(source, to)

    @rule(path=PATHS)
    def save(self, path: str) -> None:
        """A new file is renamed over it."""
        self.put(f"{path}t")
        self.rename_to(f"{path}t", path)

    @rule(data=st.data(), error=st.sampled_from(OUTCOMES), times=st.sampled_from([1, 2, 5]))
    def answer(self, data: st.DataObject, error: MountfsError, times: int) -> None:
        if not isinstance(error, NotFound):  # no news would tell that what stands there is still there
            super().answer(data, error, times)

    @precondition(lambda self: not self.handles and not self.other_handles)
    @rule()
    def take_over(self) -> None:
        self.forget_plans()
        super().take_over()

    def forget_plans(self) -> None:
        for world in self.both:
            backend: Any = world.backend
            backend.before.clear()
            backend.after.clear()

    # In the end

    def settle_everything(self) -> None:
        self.forget_plans()
        super().settle_everything()

    def check(self) -> None:
        """What others put into a folder between the look into it and its removal goes with it."""
        tree = self.account.tree
        for removed in tree.trash.values():
            if not isinstance(removed[0][1], File):
                gone = {tree.body(each.revision) for _, each in removed if isinstance(each, File)}
                self.alive -= gone - set(self.account.files().values())
        super().check()


class MeddlingSideBySideMachine(MeddlingMachine):
    """The same, where several calls go at once, by ids."""

    limits = SIDE_BY_SIDE_LIMITS


@pytest.mark.parametrize("machine", [MeddlingMachine, MeddlingSideBySideMachine])
@pytest.mark.parametrize("seed", range(4))
def test_runs_in_which_others_act_within_calls(machine: type[MeddlingMachine], seed: int) -> None:
    error = failure(machine, drawn(machine, seed, 60))
    assert error is None, (seed, error)
