"""Power lost at every step of a run, with the journal's log cut at every frame that was not synced."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.crash.powerloss import Moment, check, frames, run, run_with_appends, run_with_gaps, start_after

Scenario = Callable[[Path], list[Moment]]

LOSSES: dict[Scenario, int] = {run: 430, run_with_gaps: 470, run_with_appends: 340}
"""Of the thousands of ways in which the power may go in each run, a few more than meet each moment and each
cut once: 25 ms each."""


@pytest.mark.parametrize("run", LOSSES.keys())
def test_power_lost_at_any_step_takes_nothing_that_was_synced_and_shows_nothing_torn(
    tmp_path: Path, run: Scenario
) -> None:
    moments = run(tmp_path / "before")
    ways = [(moment, cut) for moment in moments for cut in moment.cuts()]
    # Each moment once, each place in the log once; which of them meet is drawn.
    draw = Random(11)
    draw.shuffle(ways)
    seen: Counter[object] = Counter()
    ways.sort(key=lambda way: _novelty(seen, way[0].name, way[1]))
    chosen = ways[: LOSSES[run]]
    assert {moment.name for moment, _ in chosen} == {moment.name for moment in moments}
    assert {cut for _, cut in chosen} == {cut for _, cut in ways}
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


def _novelty(seen: Counter[object], *what: object) -> bool:
    """False, which sorts first, if any of *what* is met for the first time."""
    is_known = all(seen[each] for each in what)
    seen.update(what)
    return is_known


def test_the_cuts_of_a_log_are_all_of_its_frames_and_their_middles(tmp_path: Path) -> None:
    last = max(run(tmp_path / "before"), key=lambda moment: len(moment.cuts()))
    ends = [end for end in frames(last.log) if end >= last.synced_bytes]
    assert len(last.cuts()) == 2 * len(ends) - 1
    assert len(ends) > 10
