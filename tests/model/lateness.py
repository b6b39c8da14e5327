"""A mount whose requests take long: programs and other workers get on before the service has a request, and
before its reply is read.

One thread does all of it, so that a seed repeats a run: while a request is made, other turns are taken, each
of which may make requests of its own. The account's lock is not held during a request, so that other threads
could do the same then.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

from mountfs.errors import MountfsError, NotFound, Offline, ServerFault, Transient
from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MemoryAccount
from tests.doubles.soundness import faults_of
from tests.doubles.world import World
from tests.model.posix import ModelHandle, ModelNode, ModelTree

T = TypeVar("T")

NAMES = ("a", "b", "c")
DEEPEST, MOST_OPEN = 3, 3
TURNS_AT_ONCE = (1, 2, 3, 6, 12)
PAUSES_S = (0.0, 0.0, 0.001, 0.05, 0.4, 1.1)
LOST = ("submit", "poll", "list_folder", "changes", "stat", "append_pack")
WITHOUT_TURNS = ("read", "account", "space")
"""Calls under the lock of an open file, or none that anything depends on."""


class Lateness:
    """One run. AssertionError where the mount shows, or the service has, anything else than the model."""

    def __init__(self, seed: int, limits: BackendLimits, folder: Path) -> None:
        self._draw = Random(seed)
        self._limits = limits
        self._account = MemoryAccount(limits)
        self._account.job_polls = self._draw.choice((0, 0, 1, 2))
        self._chance = self._draw.choice((0.1, 0.3, 0.5))
        self._chance_lost = self._draw.choice((0.0, 0.0, 0.05, 0.15))
        settings = {"settle_s": self._draw.choice((0.0, 0.3, 1.0))}
        self.world = World(folder, self._account, limits=limits, settings=settings)
        self.world.backend._run = self._request  # type: ignore[method-assign]
        self.model = ModelTree()
        self.told: list[str] = []
        """What happened, the turns within a request indented."""
        self._depth = 0
        self._is_over = False
        self._at_work: set[str] = set()
        self._written = 0
        self._hidden = 0
        """How many names libfuse has given to removed files that are open."""

    def run(self, turns: int) -> None:
        for _ in range(turns):
            self._turn()
            assert faults_of(self.world.core.tree) == []
        self._is_over = True
        for handle in list(self.model.handles):
            self.world.close_file(handle.number)
            self.model.handles.remove(handle)
        for _ in range(3):
            self.world.follow()
            self.world.settle(most_s=20_000.0)
            self.world.advance(2.0)
        wanted = self.model.tree()
        assert self.world.tree() == wanted
        assert self.world.remote() == wanted
        assert (self.world.pending(), self.world.notices()) == ([], [])

    # Requests

    def _request(self, route: str, call: Callable[[], T]) -> T:
        is_main = threading.current_thread() is threading.main_thread()
        is_held = self.world.core.tree.lock._is_owned()  # type: ignore[attr-defined]
        if not is_main or is_held or self._is_over or route in WITHOUT_TURNS or self._depth > 1:
            return call()
        self._meanwhile(f"before {route}", self._chance / 2)
        if route in LOST and self._draw.random() < self._chance_lost:
            if self._draw.random() < 0.5:
                raise self._draw.choice((Offline("lost"), ServerFault("500")))
            call()
            raise Offline("lost")
        result = call()
        self._meanwhile(f"after {route}", self._chance)
        return result

    def _meanwhile(self, when: str, chance: float) -> None:
        if self._draw.random() >= chance:
            return
        self._tell(f"{when}:")
        self._depth += 1
        try:
            for _ in range(self._draw.choice(TURNS_AT_ONCE)):
                self._turn()
        finally:
            self._depth -= 1

    # Turns

    def _turn(self) -> None:
        turns = [self._call, self._commit, self._hurry, self._follow, self._list, self._sweep, self._crash]
        (turn,) = self._draw.choices(turns, (45, 28, 3, 12, 5, 3, 0.5))
        turn()
        self.world.advance(self._draw.choice(PAUSES_S))

    def _commit(self) -> None:
        self._step("uploader")
        self._step("committer")

    def _hurry(self) -> None:
        for _ in range(self._draw.choice((4, 12))):
            self._commit()
            self.world.advance(self._draw.choice((0.01, 0.3, 1.0)))

    def _follow(self) -> None:
        self._step("follower")

    def _sweep(self) -> None:
        self._step("sweeper")

    def _step(self, worker: str) -> None:
        """As the threads of *worker* do; of most there is one."""
        has_many = worker == "uploader" or (worker == "committer" and self._limits.batches_at_once > 1)
        is_first = worker not in self._at_work
        if not is_first and not has_many:
            return
        self._at_work.add(worker)
        self._tell(f"step of the {worker}")
        try:
            getattr(self.world.core, worker).step(self.world.clock.now_s())
        finally:
            if is_first:
                self._at_work.discard(worker)

    def _list(self) -> None:
        nodes = list(self.world.core.tree.nodes.values())
        shown = [each for each in nodes if each.is_folder and each.state.base and each.state.parent]
        node = self._draw.choice([self.world.core.tree.root, *shown])
        self._tell(f"list {node}")
        self.world.core.listings.try_relist(node)

    def _crash(self) -> None:
        if not self._depth and not self.model.handles:
            self._tell("kill -9")
            self.world.restart()

    # Calls

    def _call(self) -> None:
        calls = {
            self._mkdir: 5,
            self._put: 6,
            self._unlink: 5,
            self._rmdir: 3,
            self._rename: 8,
            self._open: 3,
            self._write: 3,
            self._close: 3,
            self._clear: 1,
            self._make_anew: 1,
        }
        (call,) = self._draw.choices(list(calls), list(calls.values()))
        call(self._path())

    def _path(self) -> str:
        known = [path for path, _ in self.model.walk()]
        if known and self._draw.random() < 0.6:
            return self._draw.choice(known)
        folders = [path for path, node in self.model.walk() if node.is_folder and path.count("/") < DEEPEST]
        return f"{self._draw.choice(['', *folders])}/{self._draw.choice(NAMES)}"

    def _mkdir(self, path: str) -> None:
        self._do(
            f"mkdir {path}",
            lambda: self.world.mkdir(path),
            lambda: self.model.can_make(path) and self.model.kind(path) == "none",
            lambda: self.model.place(path, ModelNode(is_folder=True)),
        )

    def _put(self, path: str) -> None:
        if self._is_open(path):
            return
        self._written += 1
        number = self._written % 7 if self._draw.random() < 0.3 else self._written  # bytes that are known
        body = str(number).encode()

        def apply() -> None:
            if self.model.find(path) is None:
                self.model.place(path, ModelNode(is_folder=False))
            node = self.model.find(path)
            assert node is not None
            node.body[:] = body

        self._do(
            f"put {path}",
            lambda: self.world.put(path, body),
            lambda: self.model.can_make(path) and self.model.kind(path) in ("none", "file"),
            apply,
        )

    def _unlink(self, path: str) -> None:
        self._do(
            f"rm {path}",
            lambda: self._hide(path) if self._is_open(path) else self.world.fs.unlink(path),
            lambda: self.model.kind(path) == "file",
            lambda: self.model.take(path),
        )

    def _rmdir(self, path: str) -> None:
        def may() -> bool:
            node = self.model.find(path)
            return node is not None and node.is_folder and not node.children

        self._do(
            f"rmdir {path}",
            lambda: self.world.fs.rmdir(path),
            may,
            lambda: self.model.take(path),
        )

    def _rename(self, source: str) -> None:
        target = self._path()
        if self._is_open(target):
            return  # libfuse would hide it first

        def apply() -> None:
            node = self.model.find(source)
            if node is self.model.find(target):
                return
            self.model.take(source)
            if self.model.find(target) is not None:
                self.model.take(target)
            assert node is not None
            self.model.place(target, node)

        self._do(
            f"mv {source} {target}",
            lambda: self.world.rename(source, target),
            lambda: self.model.may_rename(source, target),
            apply,
        )

    def _open(self, path: str) -> None:
        if len(self.model.handles) >= MOST_OPEN or self.model.kind(path) != "file":
            return
        numbers: list[int] = []

        def apply() -> None:
            node = self.model.find(path)
            assert node is not None
            self.model.handles.append(ModelHandle(node, numbers[0], can_write=True, path=path))

        self._do(
            f"open {path}",
            lambda: numbers.append(self.world.open(path, os.O_RDWR)),
            lambda: self.model.kind(path) == "file",
            apply,
        )

    def _write(self, _path: str) -> None:
        if not self.model.handles:
            return
        handle = self._draw.choice(self.model.handles)
        self._written += 1
        body = str(self._written).encode()
        try:
            self.world.fs.write(handle.number, 0, body)
        except (NotFound, Transient):
            return  # of a removed file whose bytes the service has removed as well; or as in ``_do``
        handle.node.body[: len(body)] = body
        self._tell(f"write {handle.number}")

    def _close(self, _path: str) -> None:
        if self.model.handles:
            handle = self._draw.choice(self.model.handles)
            self.world.close_file(handle.number)
            self.model.handles.remove(handle)
            self._tell(f"close {handle.number}")

    def _clear(self, path: str) -> None:
        """As `rm -r`."""
        below = [each for each, _ in self.model.walk() if f"{each}/".startswith(f"{path}/")]
        for each in sorted(below, reverse=True):
            (self._unlink if self.model.kind(each) == "file" else self._rmdir)(each)

    def _make_anew(self, path: str) -> None:
        self._clear(path)
        self._hurry()
        self._mkdir(path)
        self._put(f"{path}/a")

    # Inside

    def _do(
        self,
        words: str,
        call: Callable[[], object],
        may: Callable[[], bool],
        apply: Callable[[], object],
    ) -> None:
        """Makes a call, and expects of it what the model says. Other turns may be taken within the call, but
        before it changes anything. One that would wait for a listing which a turn further out makes fails."""
        error: MountfsError | None = None
        try:
            call()
        except Transient:
            return
        except MountfsError as raised:
            error = raised
        self._tell(f"{words}: {error!r}" if error else words)
        assert may() is (error is None), words
        if error is None:
            apply()

    def _is_open(self, path: str) -> bool:
        node = self.model.find(path)
        return node is not None and self.model.is_open(node)

    def _hide(self, path: str) -> None:
        """As libfuse removes a file that is open."""
        self._hidden += 1
        self.world.rename(path, f"{path.rpartition('/')[0]}/.fuse_hidden{self._hidden:016x}")

    def _tell(self, words: str) -> None:
        self.told.append("  " * self._depth + words)
