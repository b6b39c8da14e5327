"""Two mounts of one account, others within their calls, and what people do to files and names beside that.

Files stay open while they are written, cut, appended to, removed and renamed over; names are spelled in two
ways of Unicode; and there are the commands: what was removed or replaced is brought back, what is pending is
given up, what was refused is sent again.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from daemon.control.parked import Parked
from daemon.process.undelete import Undelete
from mountfs.errors import MountfsError
from mountfs.files.openfile import OpenFile
from mountfs.model.path import RemotePath
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.model.runs import drawn, failure
from tests.model.test_meddling_model import MeddlingMachine

NAMES = st.sampled_from(["a", "B", "\u00e4", "a\u0308", "A\u0308"])
FOLDERS = st.sampled_from(["", "/a", "/b", "/\u00e4"])
RECOVERED = "(recovered copy"


@dataclass
class Written:
    """What is known of an open file: its bytes when it was opened, and whether it was written to since
    somebody has closed it."""

    first: bytes
    is_changed: bool = False


class StirringMachine(MeddlingMachine):
    def __init__(self) -> None:
        super().__init__()
        self.written_to: dict[OpenFile, Written] = {}
        self.hidden: dict[World, list[str]] = {}
        self.made_from: dict[bytes, bytes] = {}
        """What is being written, and whole versions that it is to replace."""

    def let_go(self, body: bytes | None) -> None:
        """Who removes what is being written lets go of the version below, too."""
        super().let_go(body)
        if body is not None and body in self.made_from:
            self.let_go(self.made_from.pop(body))

    # Names

    def rename_to(self, source: str, target: str) -> None:
        with contextlib.suppress(MountfsError):
            is_same = RemotePath(source).key == RemotePath(target).key
            replaced = None if is_same else self.shown_body(target)
            self.world.node(source)
            if replaced is not None and self.world.fs.is_open(target):
                self.hide(target)
                self.let_go(replaced)
            self.world.rename(source, target)
            self.let_go(replaced)

    def hide(self, path: str) -> None:
        """As libfuse removes a file that is open."""
        self.written += 1
        hidden = f"{path.rpartition('/')[0]}/.fuse_hidden{self.written:016x}"
        self.world.rename(path, hidden)
        self.hidden.setdefault(self.world, []).append(hidden)

    @rule(data=st.data(), folder=FOLDERS, name=NAMES)
    def rename_wide(self, data: st.DataObject, folder: str, name: str) -> None:
        source = self.some_shown(data)
        if source is not None:
            self.rename_to(source, f"{folder}/{name}")

    @rule(data=st.data(), name=NAMES)
    def exchange(self, data: st.DataObject, name: str) -> None:
        one, other = self.some_shown(data), self.some_shown(data)
        if one is not None and other is not None and one != other:
            for source, target in ((one, f"/{name}x"), (other, one), (f"/{name}x", other)):
                self.rename_to(source, target)

    @rule(data=st.data(), folder=FOLDERS, name=NAMES)
    def others_move_wide(self, data: st.DataObject, folder: str, name: str) -> None:
        source = self.some_remote(data)
        if source is not None:
            self.act("move", source, f"{folder}/{name}")

    @rule(data=st.data())
    def others_exchange(self, data: st.DataObject) -> None:
        one, other = self.some_remote(data), self.some_remote(data)
        if one is not None and other is not None:
            self.act("exchange", one, other)

    @rule(data=st.data())
    def replace_by_folder(self, data: st.DataObject) -> None:
        path = self.some_shown(data)
        with contextlib.suppress(MountfsError):
            if path is not None and not self.world.node(path).is_folder:
                body = self.shown_body(path)
                if self.world.fs.is_open(path):
                    self.hide(path)
                else:
                    self.world.fs.unlink(path)
                self.let_go(body)
                self.world.mkdir(path)

    # Open files

    @rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        super().open(data)
        with contextlib.suppress(MountfsError):
            for number in self.handles:
                self.note(number)

    @rule(data=st.data(), is_appending=st.booleans())
    def open_to_write(self, data: st.DataObject, is_appending: bool) -> None:
        path = self.some_shown(data)
        with contextlib.suppress(MountfsError):
            if path is not None and not self.world.node(path).is_folder:
                number = self.world.open(path, os.O_RDWR | (os.O_APPEND if is_appending else 0))
                self.handles.append(number)
                self.note(number)

    def note(self, number: int) -> Written:
        file = self.world.fs._handles[number].file
        if file not in self.written_to:
            self.written_to[file] = Written(self.body_of(number))
        return self.written_to[file]

    def body_of(self, number: int) -> bytes:
        return self.world.fs.read(number, 0, self.world.fs.fgetattr(number).size_bytes)

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), how=st.sampled_from(["append", "over", "cut"]))
    def write_on(self, data: st.DataObject, how: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.handles)))
        with contextlib.suppress(MountfsError):
            self.write_to(number, how)

    def write_to(self, number: int, how: str) -> None:
        known, before = self.note(number), self.body_of(number)
        if before != known.first:
            self.alive.discard(before)  # a kill may find it torn, though somebody has closed it
        size = self.world.fs.fgetattr(number).size_bytes
        if how == "cut":
            size //= 2
            self.world.fs.ftruncate(number, size)
        elif how == "over":
            size = 0
        self.world.fs.write(number, size, self.fresh_body("ours"))
        known.is_changed = True
        self.made_from[self.body_of(number)] = known.first

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.handles)))
        with contextlib.suppress(MountfsError):
            self.write_to(number, "over")
        self.close(number)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def close_one(self, data: st.DataObject) -> None:
        self.close(data.draw(st.sampled_from(sorted(self.handles))))

    def close(self, number: int) -> None:
        known = self.note(number)
        self.handles.remove(number)
        body = self.body_of(number) if known.is_changed else b""
        is_named = self.is_named(number)
        file = self.world.fs._handles[number].file
        self.world.close_file(number)
        if known.is_changed:
            if is_named:
                self.let_go(known.first)
                self.alive.add(body)
            known.is_changed = False
        if all(self.world.fs._handles[each].file is not file for each in self.handles):
            self.written_to.pop(file, None)
        for hidden in self.hidden.pop(self.world, []):
            if self.world.fs.is_open(hidden):
                self.hidden.setdefault(self.world, []).append(hidden)
            else:
                with contextlib.suppress(MountfsError):
                    self.world.fs.unlink(hidden)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def sync(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.handles)))
        with contextlib.suppress(MountfsError):
            self.world.fs.fsync(number)

    # Commands

    @rule(data=st.data())
    def undelete(self, data: st.DataObject) -> None:
        trash = sorted({str(removed[0][0]) for removed in self.account.tree.trash.values()})
        if trash:
            path = data.draw(st.sampled_from(trash))
            with contextlib.suppress(MountfsError):
                list(Undelete(self.world.core).run(RemotePath(path), lambda _done, _all: False))

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        path = self.some_shown(data)
        with contextlib.suppress(MountfsError):
            if path is not None:
                below = {
                    body for at, body in self.world.tree().items() if f"{at}/".startswith(f"{path}/") and body
                }
                told = self.parked(self.world).discard(RemotePath(path), is_trial=False)
                if told.count:
                    self.alive -= below - set(self.account.files().values())

    @rule()
    def retry(self) -> None:
        self.parked(self.world).retry(RemotePath(""))

    def parked(self, world: World) -> Parked:
        core = world.core
        return Parked(
            *(core.tree, core.view, core.listings, core.copies, core.clock),
            shown=str,
            hurry=lambda _now_s: None,
        )

    # In the end

    def settle_everything(self) -> None:
        self.forget_plans()
        for _ in self.both:
            for number in list(self.handles):
                self.close(number)
            self.world.backend.forgive()
            self.drop_recovered()
            self.retry()
            self.switch()
        super().settle_everything()

    def drop_recovered(self) -> None:
        with contextlib.suppress(MountfsError):
            for path, body in self.world.tree().items():
                if RECOVERED in path and body is not None:
                    self.world.fs.unlink(path)
                    self.let_go(body)


class StirringSideBySideMachine(StirringMachine):
    """The same, where several calls go at once, by ids."""

    limits = SIDE_BY_SIDE_LIMITS


@pytest.mark.parametrize("machine", [StirringMachine, StirringSideBySideMachine])
@pytest.mark.parametrize("seed", range(3))
def test_runs_in_which_files_stay_open_and_people_use_commands(
    machine: type[StirringMachine], seed: int
) -> None:
    error = failure(machine, drawn(machine, seed, 60))
    assert error is None, (seed, error)
