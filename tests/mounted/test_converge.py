"""The short form of ``python -m tests.converge``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.converge.run import Plan, converge
from tests.mounted.sandboxprocess import SandboxProcess
from tests.soak.figures import Figures

SECONDS = 4.0


@pytest.mark.only_on("dropbox", "box", because="each orders changes in another way")
def test_two_mounts_and_another_client_change_one_tree_and_nobody_sees_a_mix(
    far_side: SandboxProcess, tmp_path: Path
) -> None:
    figures = Figures(tmp_path / "diary")
    assert converge(Plan(SECONDS, seed=11), tmp_path / "mounts", far_side, figures) == []
    figures.close()
