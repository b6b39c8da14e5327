from __future__ import annotations

import tempfile

import pytest

from mountfs.files import copyup
from mountfs.tree import residents
from tests.scratch import Scratch


@pytest.fixture(autouse=True)
def _in_memory(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis makes a machine for each of its runs, and a machine its own folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(scratch.in_memory))


@pytest.fixture(autouse=True)
def _few_entries_in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the machines let go of nearly every folder that is not in use, and read it again: with the
    usual limits none of their few files ever leaves the memory."""
    if "SideBySide" in request.node.nodeid:
        monkeypatch.setattr(residents, "ENTRIES_KEPT", 3)
        monkeypatch.setattr(residents, "LOOSE_KEPT", 1)
        monkeypatch.setattr(residents, "ENTRIES_OF_FEW", 3)


@pytest.fixture(autouse=True)
def _appends_behind_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added to a pending file copies nothing, however small the file is."""
    monkeypatch.setattr(copyup, "EXTENDED_FROM_BYTES", 1)
