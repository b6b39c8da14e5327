"""When an answer to somebody else has what failed tried sooner."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from mountfs.errors import MountfsError, NotSignedIn, Offline, ServerFault, Throttled, Unreachable
from mountfs.model.comeback import VAIN, Comeback
from mountfs.model.pacing import Pacer

LONG_S = 30.0


def failing(error: MountfsError, now_s: float = 0.0) -> Pacer:
    pacer = Pacer()
    for _ in range(12):
        pacer.failed(error, started_s=now_s, now_s=now_s, jitter=1.0)
    return pacer


def hurries(comeback: Comeback, now_s: float) -> bool:
    woken: list[bool] = []
    comeback.answered(nullcontext(), lambda: now_s, lambda: woken.append(True))
    return bool(woken)


@pytest.mark.parametrize("error", [Offline("x"), Unreachable("x", LONG_S), NotSignedIn("x")])
def test_what_failed_because_nobody_answered_is_tried_once_somebody_is_answered(error: MountfsError) -> None:
    pacer = failing(error)
    assert pacer.ready_s == LONG_S
    assert hurries(Comeback(pacer), 1.0)
    assert pacer.ready_s == 1.0


@pytest.mark.parametrize("error", [Throttled("x"), Throttled("x", LONG_S), ServerFault("x")])
def test_a_pause_that_the_service_wants_is_kept(error: MountfsError) -> None:
    pacer = failing(error)
    assert not hurries(Comeback(pacer), 1.0)
    assert pacer.ready_s == LONG_S


def test_while_nothing_failed_and_when_it_may_be_tried_anyway_there_is_nothing_to_do() -> None:
    assert not hurries(Comeback(Pacer()), 1.0)
    assert not hurries(Comeback(failing(Offline("x"))), LONG_S)


def test_answers_to_others_bring_forward_ever_fewer_tries_that_are_in_vain() -> None:
    """Reads are answered ten times a second, and uploads are not."""
    pacer = failing(Offline("x"))
    comeback, hurried_s = Comeback(pacer), list[float]()
    for tenths in range(6000):
        now_s = tenths / 10
        is_hurried = hurries(comeback, now_s)
        if is_hurried:
            hurried_s.append(now_s)
        if is_hurried or pacer.ready_s <= now_s:
            pacer.failed(Offline("x"), started_s=now_s, now_s=now_s, jitter=1.0)
    assert len(hurried_s) <= 8
    assert hurried_s[1] - hurried_s[0] >= VAIN.first_s
    pacer.succeeded()
    assert not hurries(comeback, 600.0)
    pacer.failed(Offline("x"), started_s=600.0, now_s=600.0, jitter=1.0)
    assert hurries(comeback, 600.1)  # another trouble
