"""Whether a mount does what it is for: the verdict behind the exit code of ``mountfs status``."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from daemon.control.status import FAILED, Condition, MountStatus, Tally, plural


class Health(StrEnum):
    """The words are those of ``status --json``."""

    WELL = "well"
    TROUBLE = "trouble"
    """Something does not get on, or waits for a person."""
    DOWN = "down"
    """No process serves it."""


EXIT_CODES = {Health.WELL: 0, Health.TROUBLE: 1, Health.DOWN: 2}


def trouble_of(status: MountStatus) -> tuple[str, ...]:
    """What keeps the mount from being well, a line each, the gravest first; empty: it is well."""
    account = status.account
    found: list[str] = []
    if account.far_side.condition is not Condition.ANSWERS or not account.far_side.is_reachable:
        found.append(f"the service {account.far_side.in_words}")
    if account.paused:
        found.append(f"uploads pause: {account.paused}")
    found += [f"{worker} fails: {reason}" for worker, reason in account.workers.items()]
    if count := account.states.get(FAILED, Tally()).count:
        found.append(
            f"{plural(count, 'change')} failed, and {_waits(count)} for you: mountfs retry, or discard"
        )
    if count := account.retried:
        found.append(f"{plural(count, 'change')} met an error and {_is(count)} tried again")
    return tuple(found)


def health_of(status: MountStatus) -> Health:
    return Health.TROUBLE if trouble_of(status) else Health.WELL


def worst(found: Iterable[Health]) -> Health:
    """Of several mounts; DOWN where there is none."""
    return max(found, key=lambda each: EXIT_CODES[each], default=Health.DOWN)


def _waits(count: int) -> str:
    return "waits" if count == 1 else "wait"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
