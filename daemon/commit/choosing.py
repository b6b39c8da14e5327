"""Which kind of order goes next, and whether its batch waits to be fuller. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mountfs.model.order import OrderKind

JOBS_WORTH = 2.5
"""So many times the fixed cost of a job a ready node waits for a fuller batch, while others are on their way
up. What is sent too early costs one job more, which all later ones wait for; what waits costs that time.
`tests/unit/commit/test_batch_sizes.py` compares it with the best possible."""
LONGEST_FILLING_S = 5.0
HURRIED_FILLING_S = 0.5
"""The longest while somebody waits: one job holds up all others, so a moment is still well spent."""
STARVED_S = 15.0
"""When nodes of one kind have waited for so long, they go next, however full the other batches are."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The nodes that are ready for one kind of order, and at most how many go in one batch."""

    count: int
    oldest_s: float
    most: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What a choice depends on besides the queues. *quiet_in_s*: until nothing has changed for the settling
    time. *is_filling*: more will be ready soon, such as small files that are on their way up. *job_s*: what a
    job costs whatever is in it. *is_planning*: there are nodes that nobody has looked at yet."""

    now_s: float
    quiet_in_s: float
    job_s: float
    is_hurried: bool = False
    is_filling: bool = False
    is_planning: bool = False


def choose(queues: Mapping[OrderKind, Queue], moment: Moment, *, is_side_by_side: bool) -> OrderKind | float:
    """The kind of the next batch, or when to look again (``math.inf``: when something happens).

    A batch goes when it is full; when nothing is on its way that could join it; or when its oldest node has
    waited for FILLING_S. Where one batch runs at a time the largest goes first, unless another kind starves.
    Where several do, the one that has been ready for longest.
    """
    due_s = math.inf
    best: tuple[bool, float, OrderKind] | None = None
    for kind, queue in queues.items():
        if not queue.count:
            continue
        if queue.count < queue.most and (goes_s := _alone_s(queue.oldest_s, moment)) > moment.now_s:
            due_s = min(due_s, goes_s)
            continue
        is_starved = moment.now_s - queue.oldest_s >= STARVED_S
        weight = -queue.oldest_s if is_side_by_side else float(min(queue.count, queue.most))
        if best is None or (is_starved, weight) > best[:2]:
            best = (is_starved, weight, kind)
    return due_s if best is None else best[2]


def _alone_s(oldest_s: float, moment: Moment) -> float:
    """When a batch goes although it is not full; *oldest_s*: since when its oldest is ready."""
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
