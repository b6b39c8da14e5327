"""The same machines where the first write into a remote file fetches nothing, however small the file is.

Files are cut into requests and parts of a few bytes, and nothing is cached, so that reads, filling, uploads
and crashes meet at every place of a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from daemon.upkeep import filling
from mountfs.errors import Busy, MountfsError, Offline, ServerFault, Throttled
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.model.test_others_model import OthersMachine
from tests.model.test_tree_model import MountMachine

LARGE: dict[str, Any] = {"session_min_bytes": 6, "chunk_bytes": 4}
PATCHES = st.binary(min_size=1, max_size=3)


class GapsMachine(MountMachine):
    """Files of the account are edited in the middle."""

    limits = replace(MEMORY_LIMITS, **LARGE)
    settings: Mapping[str, Any] = {"small_bytes": 0, "cache_bytes": 0}

    @initialize()
    def cut_small(self) -> None:
        self._patch = mock.patch.multiple(filling, FILL_BYTES=4, SKIPPED_BYTES=1)
        self._patch.start()

    def fresh_body(self) -> bytes:
        """Long enough for several requests."""
        return super().fresh_body() * 2

    @precondition(lambda self: self.model.handles)
    @rule(data=st.data(), at=st.integers(0, 24), patch=PATCHES)
    def patch(self, data: st.DataObject, at: int, patch: bytes) -> None:
        handle = data.draw(st.sampled_from(self.model.handles))
        body = handle.node.body
        offset = min(at, len(body))
        self.world.fs.write(handle.number, offset, patch)
        body[offset : offset + len(patch)] = patch
        self.has_cut = True  # versions may be equal
        self.model.wrote(handle.node)

    @rule(data=st.data(), at=st.integers(0, 24), patch=PATCHES)
    def edit(self, data: st.DataObject, at: int, patch: bytes) -> None:
        """Opens, writes a few bytes, closes."""
        path = self.some_path(data, ("file",))
        if path is None:
            return
        self.open(path, False)
        handle = self.model.handles[-1]
        body = handle.node.body
        offset = min(at, len(body))
        self.world.fs.write(handle.number, offset, patch)
        body[offset : offset + len(patch)] = patch
        self.has_cut = True
        self.model.wrote(handle.node)
        self.world.close_file(handle.number)
        self.model.close(handle)

    @rule(error=st.sampled_from([Offline("lost"), ServerFault("500"), Throttled("slow", 3.0), Busy("no")]))
    def fail_to_fill(self, error: MountfsError) -> None:
        self.world.backend.fail("read", error)
        self.world.core.filler.step(self.world.clock.now_s())
        self.world.backend._faults["read"].clear()

    def teardown(self) -> None:
        try:
            super().teardown()
            if hasattr(self, "world"):
                assert self.world.core.spool.promised_bytes() == 0
        finally:
            if hasattr(self, "_patch"):
                self._patch.stop()


class GapsSideBySideMachine(GapsMachine):
    limits = replace(SIDE_BY_SIDE_LIMITS, **LARGE)


class OthersGapsMachine(OthersMachine):
    """Others replace and remove what is edited here."""

    limits = replace(MEMORY_LIMITS, **LARGE)
    settings: Mapping[str, Any] = {"small_bytes": 0, "cache_bytes": 0}

    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        """Changes the first bytes of a file, which name its version."""
        path = self.some_shown(data)
        if path is not None:
            self.open(data)
            if self.handles:
                self.change_first(self.handles.pop())

    def change_first(self, number: int) -> None:
        """What of a longer body stays is the version's before."""
        size = self.world.fs.fgetattr(number).size_bytes
        try:
            seen = self.world.fs.read(number, 0, size)
        except MountfsError:
            self.handles.append(number)
            return
        body = self.fresh_body("ours")
        self.world.fs.write(number, 0, body)
        is_named = self.is_named(number)
        self.world.close_file(number)
        if is_named:
            self.let_go(seen)
            self.alive.add(body + seen[len(body) :])

    def fresh_body(self, who: str) -> bytes:
        """Theirs are longer, so that what is changed here leaves something of them."""
        body = super().fresh_body(who)
        return body * 3 if who == "theirs" else body


class OthersGapsSideBySideMachine(OthersGapsMachine):
    limits = replace(SIDE_BY_SIDE_LIMITS, **LARGE)


for machine in (GapsMachine, GapsSideBySideMachine, OthersGapsMachine, OthersGapsSideBySideMachine):
    machine.TestCase.settings = MountMachine.TestCase.settings
TestGaps = GapsMachine.TestCase
TestGapsSideBySide = GapsSideBySideMachine.TestCase
TestOthersGaps = OthersGapsMachine.TestCase
TestOthersGapsSideBySide = OthersGapsSideBySideMachine.TestCase
