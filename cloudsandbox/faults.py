"""Faults by schedule: which request goes wrong, and how.

A schedule is a list of rules. For every request each rule whose route pattern matches counts one; the first
rule that is due decides. Deciding is pure bookkeeping; carrying the fault out is the server's business.
"""

import random
from dataclasses import dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class FaultError(ValueError):
    """A fault rule that cannot be understood."""


class FaultKind(StrEnum):
    """What happens to a request that a rule picked."""

    REPLY = "reply"  # answer with status, body and headers; nothing is applied
    STALL = "stall"  # wait stall_s, then handle the request as usual
    CUT_BODY = "cut_body"  # apply, then send only the first cut_bytes of the reply and close
    DROP_BEFORE = "drop_before"  # close the connection; nothing is applied
    DROP_REQUEST = "drop_request"  # read cut_bytes of the request body, then close; nothing is applied
    DROP_AFTER = "drop_after"  # apply, then close the connection without a reply
    GARBAGE = "garbage"  # apply, then answer with a text that is no JSON
    WRONG_HASH = "wrong_hash"  # apply, then state hashes of other bytes
    EXPIRED_TOKEN = "expired_token"  # the service's answer to an access token out of date
    SESSION_EXPIRED = "session_expired"  # forget the upload sessions named in the request, then handle it
    BUSY_NAMESPACE = "busy_namespace"  # the service's answer when another write holds the lock


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One rule. Without nth, every or probability it is due at every match, up to *count* times."""

    route: str = "*"
    action: FaultKind = FaultKind.REPLY
    nth: int | None = None  # due at this match only, counted from 1
    every: int | None = None  # due at each match whose number divides by this
    after: int = 0  # the first matches that pass unharmed
    count: int | None = None  # at most so many faults
    probability: float | None = None
    seed: int = 0
    status: int = 503
    body: Any = None  # str: plain text; anything else: JSON; None: empty
    retry_after_s: float | None = None
    stall_s: float = 0.0
    cut_bytes: int = 0

    def __post_init__(self) -> None:
        if self.nth is not None and self.nth < 1:
            raise FaultError("nth counts from 1")
        if self.every is not None and self.every < 1:
            raise FaultError("every must be at least 1")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise FaultError("probability is between 0 and 1")
        if not 100 <= self.status <= 599:
            raise FaultError(f"not an HTTP status: {self.status}")


_MAY_BE_NONE = ("nth", "every", "count", "probability", "retry_after_s")
_INTEGERS = ("nth", "every", "after", "count", "seed", "status", "cut_bytes")
_NUMBERS = ("probability", "retry_after_s", "stall_s")
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "route": ((str,), "a text"),
    **dict.fromkeys(_INTEGERS, ((int,), "a whole number")),
    **dict.fromkeys(_NUMBERS, ((int, float), "a number")),
}


def parse_rule(raw: object) -> FaultRule:
    """A rule from its JSON object. Raises FaultError naming what is wrong."""
    if not isinstance(raw, dict):
        raise FaultError(f"a fault rule is an object, got {raw!r}")
    known = {field.name for field in fields(FaultRule)}
    unknown = sorted(set(raw) - known)
    if unknown:
        raise FaultError(f"unknown fault field {unknown[0]}; known: {', '.join(sorted(known))}")
    values = dict(raw)
    for name, value in values.items():
        _check(name, value)
    try:
        if "action" in values:
            values["action"] = FaultKind(values["action"])
        return FaultRule(**values)
    except (TypeError, ValueError) as error:
        raise FaultError(str(error)) from error


def _check(name: str, value: object) -> None:
    if name not in _TYPES or (name in _MAY_BE_NONE and value is None):
        return
    types, words = _TYPES[name]
    if not isinstance(value, types) or isinstance(value, bool):
        raise FaultError(f"{name}: expected {words}, got {value!r}")


def parse_rules(raw: object) -> list[FaultRule]:
    """Rules from a JSON list, or from an object with the list under `rules`."""
    listed = raw.get("rules", []) if isinstance(raw, dict) else raw
    if not isinstance(listed, list):
        raise FaultError("fault rules are a list")
    return [parse_rule(each) for each in listed]


class _Counter:
    """What one rule has seen and done so far."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.matches = 0
        self.fired = 0
        self._random = random.Random(rule.seed)

    def is_due(self, route: str) -> bool:
        rule = self.rule
        if not fnmatchcase(route, rule.route):
            return False
        self.matches += 1
        number = self.matches - rule.after
        if number < 1 or (rule.count is not None and self.fired >= rule.count):
            return False
        if rule.nth is not None and number != rule.nth:
            return False
        if rule.every is not None and number % rule.every:
            return False
        # Drawn only when all else says yes, so that a seed gives the same faults whatever other rules do.
        return rule.probability is None or self._random.random() < rule.probability


class FaultSchedule:
    """The rules in force and their counters. Used on the server's loop only."""

    def __init__(self, rules: list[FaultRule] | None = None) -> None:
        self._counters: list[_Counter] = []
        self.replace(rules or [])

    def replace(self, rules: list[FaultRule]) -> None:
        """Put new rules in force; all counters start at zero."""
        self._counters = [_Counter(rule) for rule in rules]

    def pick(self, route: str) -> FaultRule | None:
        """The fault for this request, or None. Every rule that matches counts it, the first one due wins."""
        due = [counter for counter in self._counters if counter.is_due(route)]
        if not due:
            return None
        due[0].fired += 1
        return due[0].rule

    def report(self) -> list[dict[str, object]]:
        """For each rule: its route, action, how many requests matched and how many it spoiled."""
        return [
            {"route": c.rule.route, "action": c.rule.action.value, "matches": c.matches, "fired": c.fired}
            for c in self._counters
        ]
