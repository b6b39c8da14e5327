"""Random steps of a machine, many more in a run than Hypothesis makes, and the fewest of them that fail.

    python -m tests.model.runs test_two_mounts_model:TwoMountsMachine --seeds 0-500

Hypothesis looks for the shortest run of a new kind, and most of its runs are short. What is wrong when many
things meet takes runs in which much is done; here what makes work is drawn more often than the rest.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import traceback
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis.control import BuildContext
from hypothesis.internal.conjecture.data import ConjectureData
from hypothesis.stateful import RuleBasedStateMachine

from tests.model.seeds import span

Step = tuple[str, int]
"""A rule's name, and the seed of what it draws."""

OFTEN = ("put", "put_over", "rename", "rename_what_stands", "remove", "work", "work_all", "open", "write")
MOST_CHOICES = 10**6
MOST_TRIES = 300
"""Of shorter runs, before what is left is told."""


def drawn(machine: type[RuleBasedStateMachine], seed: int, count: int) -> list[Step]:
    """So many steps, the first one for what the machine begins with. A third of the rules is left out, so
    that not every run is one of everything."""
    draw = Random(f"{machine.__name__} {seed}")
    rules = sorted(rule.function.__name__ for rule in machine().rules)
    kept = [name for name in rules if name in OFTEN or draw.random() < 2 / 3]
    weights = [4 if name in OFTEN else 1 for name in kept]
    names = ["", *draw.choices(kept, weights, k=count)]
    return [(name, draw.randrange(1 << 30)) for name in names]


def failure(machine: type[RuleBasedStateMachine], steps: Sequence[Step]) -> Exception | None:
    """What the run of *steps* ends with; None: all is well."""
    run = machine()
    rules = {rule.function.__name__: rule for rule in run.rules}
    try:
        begin = run._initialize_rules_to_run
        for each in sorted(begin, key=lambda rule: bool(rule.function.__name__ != "begin")):
            _call(run, each, steps[0][1])
        for name, seed in steps[1:]:
            rule = rules[name]
            if all(holds(run) for holds in rule.preconditions):
                _call(run, rule, seed)
                for invariant in run.invariants:
                    invariant.function(run)
        run.teardown()
    except Exception as error:
        return error
    return None


def _call(run: RuleBasedStateMachine, rule: Any, seed: int) -> None:
    data = ConjectureData(random=Random(seed), prefix=(), max_choices=MOST_CHOICES)
    with BuildContext(data, is_final=False, wrapped_test=_call):
        rule.function(run, **{name: data.draw(strategy) for name, strategy in rule.arguments.items()})


def shortest(machine: type[RuleBasedStateMachine], steps: list[Step], error: Exception) -> list[Step]:
    """The steps without those that the same failure does not need."""
    size, tries = len(steps) // 2, 0
    while size:
        at = 1
        while at < len(steps) and tries < MOST_TRIES:
            fewer = steps[:at] + steps[at + size :]
            found = failure(machine, fewer)
            tries += 1
            if found is not None and _place(found) == _place(error):
                steps = fewer
            else:
                at += size
        size //= 2
    return steps


def _place(error: Exception) -> tuple[str, str]:
    """Which failures count as the same: those of one kind, in one function."""
    return type(error).__name__, traceback.extract_tb(error.__traceback__)[-1].name


def main() -> None:
    parser = argparse.ArgumentParser(description="Random steps of a model machine.")
    parser.add_argument("machine", help="MODULE:CLASS, in tests.model")
    parser.add_argument("--seeds", default="0-100", help="FIRST-LAST")
    parser.add_argument("--steps", type=int, default=60)
    asked = parser.parse_args()
    module, _, name = asked.machine.partition(":")
    machine = getattr(importlib.import_module(f"tests.model.{module}"), name)
    logging.disable(logging.CRITICAL)
    failed = 0
    for seed in span(asked.seeds):
        steps = drawn(machine, seed, asked.steps)
        error = failure(machine, steps)
        if error is not None:
            failed += 1
            steps = shortest(machine, steps, error)
            print(f"seed {seed}: {steps}")
            traceback.print_exception(failure(machine, steps) or error)
    print(f"{failed} of the runs failed")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
