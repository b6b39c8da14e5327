"""Which kind of order goes next, and whether its batch waits to be fuller. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mountfs.model.order import OrderKind

JOBS_WORTH = 2.5
"""How long a ready node waits for a fuller batch while more files are going up, as a multiple of the fixed
cost of a job. A batch that goes too early costs one more job, for which all later batches wait; a batch that
waits costs that time. `tests/unit/commit/test_batch_sizes.py` compares the result with the best possible."""
LONGEST_FILLING_S = 5.0
"""A ready node never waits longer for a fuller batch, whatever a job costs."""
HURRIED_FILLING_S = 0.5
"""The same while somebody waits for commits (`mountfs wait`). Not 0: each job holds up all later ones."""
STARVED_S = 15.0
"""A kind of order whose oldest node is ready for so long goes next, however many nodes the others have."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The nodes that are ready for one kind of order: how many, since when the oldest of them is, and how
    many go in one batch at most."""

    count: int
    oldest_s: float
    most: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What a choice depends on besides the queues.

    ``quiet_in_s``: seconds until nothing has changed for the settling time. ``job_s``: the fixed cost of a
    job, for any number of entries. ``is_hurried``: somebody waits for commits. ``is_filling``: small files
    are going up, so more nodes will be ready soon. ``is_planning``: the plan has not looked at all changed
    nodes yet.
    """

    now_s: float
    quiet_in_s: float
    job_s: float
    is_hurried: bool = False
    is_filling: bool = False
    is_planning: bool = False


def choose(queues: Mapping[OrderKind, Queue], moment: Moment, *, is_side_by_side: bool) -> OrderKind | float:
    """The kind of the next batch, or when to look again (``math.inf``: when something changes).

    A batch may go in three cases: it is full; nothing is going up that could join it; or its oldest node has
    waited for JOBS_WORTH jobs, at most LONGEST_FILLING_S. Of several that may go it is the one with most
    nodes where one batch runs at a time (Dropbox), unless another kind has waited for STARVED_S. Where
    batches run side by side (Box) it is the one whose oldest node has waited longest.
    """
    due_s = math.inf
    best: tuple[bool, float, OrderKind] | None = None
    for kind, queue in queues.items():
        if not queue.count:
            continue
        if queue.count < queue.most and (goes_s := _unfilled_s(queue.oldest_s, moment)) > moment.now_s:
            due_s = min(due_s, goes_s)
            continue
        is_starved = moment.now_s - queue.oldest_s >= STARVED_S
        weight = -queue.oldest_s if is_side_by_side else float(min(queue.count, queue.most))
        if best is None or (is_starved, weight) > best[:2]:
            best = (is_starved, weight, kind)
    return due_s if best is None else best[2]


def _unfilled_s(oldest_s: float, moment: Moment) -> float:
    """When a batch that is not full goes; *oldest_s*: since when its oldest node is ready."""
    if moment.is_filling or moment.is_planning:
        quiet_s = math.inf
    elif moment.is_hurried:
        quiet_s = moment.now_s
    else:
        quiet_s = moment.now_s + moment.quiet_in_s
    most_s = HURRIED_FILLING_S if moment.is_hurried else LONGEST_FILLING_S
    if not moment.is_planning:
        most_s = min(most_s, JOBS_WORTH * moment.job_s)
    return min(quiet_s, oldest_s + most_s)
