"""Power lost at every step of a run, with the journal's log cut at every frame that was not synced."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.crash.powerloss import Moment, check, frames, run, run_with_appends, run_with_gaps, start_after

Scenario = Callable[[Path], list[Moment]]

Way = tuple[Moment, int]
"""When the power goes, and where that cuts the log."""


@pytest.mark.parametrize("run", [run, run_with_gaps, run_with_appends])
def test_power_lost_at_any_step_takes_nothing_that_was_synced_and_shows_nothing_torn(
    tmp_path: Path, run: Scenario
) -> None:
    moments = run(tmp_path / "before")
    ways = [(moment, cut) for moment in moments for cut in moment.cuts()]
    Random(11).shuffle(ways)
    chosen = few_of(ways)
    assert len(chosen) < len(ways) / 3
    for number, (moment, cut) in enumerate(chosen):
        folder = tmp_path / "after"
        try:
            world = start_after(moment, cut, folder, Random(number), has_labels=number % 2 == 0)
            try:
                check(moment, world)
            finally:
                world.close()
        except Exception as error:
            error.add_note(f"at {moment.name}, log cut at {cut}, draw {number}")
            raise
        shutil.rmtree(folder)


def few_of(ways: Sequence[Way]) -> list[Way]:
    """Each moment once and each cut once, in few ways: first those in which both are new."""
    moments, cuts = {moment.name for moment, _ in ways}, {cut for _, cut in ways}
    chosen: list[Way] = []
    for is_enough in (all, any):
        for moment, cut in ways:
            if is_enough((moment.name in moments, cut in cuts)):
                chosen.append((moment, cut))
                moments.discard(moment.name)
                cuts.discard(cut)
    return chosen


def test_the_cuts_of_a_log_are_its_transactions_and_the_middles_of_their_last_frames(tmp_path: Path) -> None:
    last = max(run(tmp_path / "before"), key=lambda moment: len(moment.cuts()))
    ends = [end for end in last.cuts() if end in frames(last.log)]
    assert len(last.cuts()) == 2 * len(ends) - 1
    assert len(ends) > 10
    assert ends[0] >= last.synced_bytes
    assert ends[-1] == frames(last.log)[-1]
