from __future__ import annotations

import pytest

from mountfs.tree import residents


@pytest.fixture(autouse=True)
def _few_entries_in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the machines let go of nearly every folder that is not in use, and read it again: with the
    usual limits none of their few files ever leaves the memory."""
    if "SideBySide" in request.node.nodeid:
        monkeypatch.setattr(residents, "ENTRIES_KEPT", 3)
        monkeypatch.setattr(residents, "ENTRIES_OF_FEW", 3)
