"""When the plan is brought up to date, and by which of the threads that commit."""

from __future__ import annotations

import math
from threading import get_ident

from mountfs.tree.plan import Plan

LOOK_EVERY_S = 0.05
"""The plan is not looked at more often, however fast the tree changes."""
REST_S = 0.005
"""Between two parts of a plan that has changed much, however much more of it changes meanwhile: calls of the
kernel get lock and interpreter, and nodes are still looked at ten times faster than they are committed."""


class PlanLooks:
    """One thread at a time goes through a plan that has changed much, part by part, and the others leave the
    lock to it. Guarded by the tree's lock."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._next_s = -math.inf
        self._looker: int | None = None
        """The thread that goes through the plan."""

    @property
    def is_under_way(self) -> bool:
        """Whether the plan has not come to all nodes yet, so that more may be ready."""
        return self._looker is not None

    def leave(self) -> None:
        """The calling thread has something else to do: any may go on."""
        self._looker = None

    def look(self, now_s: float) -> float:
        """Brings the plan up to date; when that is due again."""
        if now_s < self._next_s and not self._plan.is_hurried():
            return self._next_s if self._plan.has_changed else max(self._plan.due_s, self._next_s)
        if self._looker not in (None, get_ident()):
            return now_s + LOOK_EVERY_S
        self._looker = None
        due_s = self._plan.look(now_s)
        if due_s <= now_s:
            self._looker = get_ident()
            self._next_s = now_s + REST_S
            return self._next_s
        self._next_s = now_s + LOOK_EVERY_S
        return max(due_s, self._next_s)
