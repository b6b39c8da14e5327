"""Some of the runs of ``tests.model.meanwhile``: of those that found a fault, and of each kind one more."""

from __future__ import annotations

from pathlib import Path

import pytest

from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.model.meanwhile import Case, run

RUNS = (
    "version/0|late 3|4|remove and anew|3 steps later",
    "version/0|late 3|4|rewrite|1 step later",
    "version/0|500 after|0|utimes, rename|before",
    "over/0|late 3|0|replace|after",
    "new/0|lost after|0|utimes, remove|after",
    "copy/0|lost after|4|rename and back|after",
    "mkdir/0|lost after|0|file in it|after",
    "move/0|late 100|0|rename, same in place|3 steps later",
    "move into/0|late 3|0|replace|after",
    "move into/0|late 30|4|replace|before",
    "move into new/1|job lost, late|4|rename over|3 steps later",
    "move out/0|late 30|4|rename, same in place|never",
    "move over/1|job lost, late|4|rename over|never",
    "move and write/0|late twice|4|rename over|before",
    "move and write/0|late twice|0|rename, same in place|1 step later",
    "write and move/0|late twice|4|rename, new in place|never",
    "exchange/1|job fails|0|utimes, rename|after",
    "move folder/0|lost after|0|file in it|1 step later",
    "rm/0|lost after|0|file anew|before",
    "rmdir/0|job lost, late|4|folder anew|3 steps later",
    "rm -r/1|lost before|0|folder anew|after",
    "time/0|lost after|0|rewrite, rename|before",
)


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("name", RUNS)
def test_the_account_has_once_what_is_shown_after_a_change(
    limits: BackendLimits, name: str, tmp_path: Path
) -> None:
    assert not run(Case.of(name), tmp_path, limits)  # None: there is no such order with these limits
