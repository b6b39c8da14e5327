"""Which of the nodes that are ready go next, and whether they wait for company. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mountfs.model.order import OrderKind

COMPANY_S = 5.0
"""The longest a ready node waits for a fuller batch while others are still on their way up."""
HURRIED_COMPANY_S = 0.5
"""The same while somebody waits: one job holds up all others, so a moment is still well spent."""
STARVED_S = 15.0
"""From here on a kind has its turn however full the others' batches are."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The nodes that are ready for one kind of order, and at most how many go in one batch."""

    count: int
    oldest_s: float
    most: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What a choice depends on besides the queues. *quiet_in_s*: until nothing has changed for the settling
    time. *is_filling*: more will be ready soon, such as small files that are on their way up."""

    now_s: float
    quiet_in_s: float
    is_hurried: bool = False
    is_filling: bool = False


def choose(queues: Mapping[OrderKind, Queue], moment: Moment, *, is_side_by_side: bool) -> OrderKind | float:
    """The kind of the next batch, or when to look again (``math.inf``: when something happens).

    A batch goes when it is full, when nothing is on its way that could join it, or when its oldest has waited
    for company long enough. Where one batch runs at a time the largest that may go is taken, unless another
    kind starves; where several do, what has been ready for longest.
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
    if moment.is_filling:
        quiet_s = math.inf
    elif moment.is_hurried:
        quiet_s = moment.now_s
    else:
        quiet_s = moment.now_s + moment.quiet_in_s
    return min(quiet_s, oldest_s + (HURRIED_COMPANY_S if moment.is_hurried else COMPANY_S))
