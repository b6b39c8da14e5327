"""Random calls and workers while requests take long, against a dictionary.

SEEDS in the environment (``SEEDS=100-2000``) asks for others than the usual few. With PYTHONHASHSEED=0 a
seed repeats a run.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mountfs.errors import Busy, MountfsError
from mountfs.ports import BackendLimits
from mountfs.tree import listings
from mountfs.tree.load import Asker, Load
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.model.lateness import Lateness
from tests.model.seeds import asked

USUAL_SEEDS = (21, 43, 55, 70, 111, 204, 246)
"""Each of them found a fault."""
TURNS = 100


class PassedLoad(Load):
    """Nobody waits for it: there is one thread, and who would wait is told to come again."""

    def outcome(self, asker: Asker) -> MountfsError | None:
        raise Busy("it is being listed")


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
def test_what_happens_while_requests_are_on_their_way_comes_to_the_same(
    limits: BackendLimits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "Load", PassedLoad)
    for seed in asked(USUAL_SEEDS):
        (tmp_path / str(seed)).mkdir()
        lateness = Lateness(seed, limits, tmp_path / str(seed))
        try:
            lateness.run(TURNS)
        except Exception as error:
            error.add_note("\n".join([f"seed {seed}:", *lateness.told[-150:]]))
            raise
        finally:
            lateness.world.close()
