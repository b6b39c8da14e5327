"""Uploads of a full account pause as a whole."""

from __future__ import annotations

import pytest

from mountfs.errors import (
    DiskFull,
    Forbidden,
    MountfsError,
    NoSpace,
    NotSignedIn,
    ServerFault,
    SessionLost,
    TooLarge,
    TransferLimit,
)
from mountfs.model.pausing import (
    FIRST_PROBE_S,
    HURRIED_PROBE_S,
    LONGEST_PROBE_S,
    ROOM_HOLDS_S,
    TRY_EVERY,
    Pause,
    is_full,
    is_passing,
)

FULL = NoSpace("the account is full")


def paused(size_bytes: int = 100) -> Pause:
    pause = Pause()
    pause.begin(FULL, size_bytes, started_s=0.0, now_s=1.0)
    return pause


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (FULL, True),
        (TransferLimit("used up"), True),
        (TooLarge("too large"), False),
        (Forbidden("no"), False),
    ],
)
def test_only_what_befalls_every_file_pauses_the_account(error: MountfsError, answer: bool) -> None:
    assert is_full(error) is answer


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (ServerFault("500"), True),
        (NotSignedIn("revoked"), True),
        (FULL, True),
        (DiskFull("the local disk"), False),
        (Forbidden("no"), False),
        (SessionLost("gone"), False),
    ],
)
def test_what_is_sent_again_as_it_is_fails_for_no_fault_of_its_own(error: MountfsError, answer: bool) -> None:
    assert is_passing(error) is answer


def test_a_refusal_for_want_of_room_pauses_everything_until_the_first_probe() -> None:
    pause = paused()
    assert (pause.is_on, pause.due_s) == (True, 1.0 + FIRST_PROBE_S)


def test_files_refused_side_by_side_are_one_refusal_and_the_smallest_counts() -> None:
    pause = paused(100)
    pause.begin(FULL, 10, started_s=0.5, now_s=1.5)
    pause.begin(FULL, 50, started_s=0.5, now_s=1.6)
    assert (pause.needed_bytes, pause.due_s) == (10, 1.0 + FIRST_PROBE_S)


def test_room_for_the_smallest_that_was_refused_ends_it() -> None:
    pause = paused(100)
    pause.probed(99, 10.0)
    assert pause.is_on
    pause.probed(100, 20.0)
    assert not pause.is_on


def test_an_account_without_a_limit_has_room() -> None:
    pause = paused()
    pause.probed(None, 10.0)
    assert not pause.is_on


def test_an_empty_file_that_was_refused_needs_some_room() -> None:
    pause = paused(0)
    pause.probed(0, 10.0)
    assert pause.is_on


def test_probes_that_find_no_room_come_ever_later_up_to_a_bound() -> None:
    pause = paused()
    delays = []
    for at in range(12):
        pause.probed(0, float(at))
        delays.append(pause.due_s - at)
    assert delays[:3] == [2 * FIRST_PROBE_S, 4 * FIRST_PROBE_S, 8 * FIRST_PROBE_S]
    assert delays[-1] == LONGEST_PROBE_S


def test_smaller_files_are_tried_now_and_then_where_there_is_some_room() -> None:
    pause = paused(1_000_000)
    probes = 0
    while pause.is_on:
        probes += 1
        pause.probed(5, float(probes))
    assert probes == TRY_EVERY


def test_an_attempt_that_fails_again_is_followed_by_a_longer_pause_and_one_that_succeeds_is_not() -> None:
    pause = paused()
    pause.end()
    pause.begin(FULL, 1, started_s=10.0, now_s=11.0)
    assert pause.due_s == 11.0 + 2 * FIRST_PROBE_S
    pause.end()
    pause.succeeded()
    pause.begin(FULL, 1, started_s=20.0, now_s=21.0)
    assert pause.due_s == 21.0 + FIRST_PROBE_S


def test_whoever_waits_is_told_when_it_begins_and_when_it_ends() -> None:
    pause = Pause()
    told: list[bool] = []
    pause.changed = lambda: told.append(pause.is_on)
    pause.begin(FULL, 1, started_s=0.0, now_s=0.0)
    pause.begin(FULL, 1, started_s=0.0, now_s=0.0)
    pause.end()
    pause.end()
    assert told == [True, False]


def test_somebody_who_made_room_has_the_service_asked_at_once() -> None:
    pause = paused()
    pause.hurry(2.0)
    assert pause.due_s == 2.0
    idle = Pause()
    idle.hurry(2.0)
    assert not idle.is_on


def test_somebody_who_goes_on_making_room_has_the_service_asked_once_a_second() -> None:
    pause = paused()
    probes_s: list[float] = []
    told: list[float] = []
    pause.changed = lambda: told.append(pause.due_s)
    for tick in range(100):
        now_s = 2.0 + tick / 10
        pause.hurry(now_s)
        if pause.due_s <= now_s:
            probes_s.append(now_s)
            pause.probed(0, now_s)
    assert probes_s == pytest.approx([2.0 + second for second in range(10)], abs=0.11)
    assert len(told) <= 2 * len(probes_s)


def test_a_second_after_a_question_that_was_not_answered_it_is_asked_again_for_whoever_made_room() -> None:
    pause = paused()
    pause.postpone(10.0)
    pause.hurry(10.1)
    assert pause.due_s == 10.0 + HURRIED_PROBE_S


def test_a_question_that_is_due_soon_is_not_put_off_by_whoever_makes_room() -> None:
    pause = paused()
    pause.hurry(2.0)
    pause.hurry(3.0)
    assert pause.due_s == 2.0


def test_a_file_that_is_refused_though_there_is_room_for_it_waits_alone() -> None:
    pause = paused(100)
    pause.probed(1_000, 10.0)
    assert pause.elsewhere(11.0) is None
    assert not pause.begin(FULL, 100, started_s=10.0, now_s=11.0)
    assert not pause.is_on
    assert str(pause.elsewhere(300.0)) == str(FULL)
    assert pause.elsewhere(700.0) is None
    assert pause.begin(FULL, 1_001, started_s=11.0, now_s=12.0)
    assert pause.is_on


def test_room_that_was_found_long_ago_says_nothing() -> None:
    pause = paused(100)
    pause.probed(None, 10.0)
    assert not pause.begin(FULL, 100, started_s=10.0, now_s=10.0 + ROOM_HOLDS_S - 1.0)
    assert pause.begin(FULL, 100, started_s=10.0, now_s=10.0 + ROOM_HOLDS_S)
    assert pause.due_s == 10.0 + ROOM_HOLDS_S + FIRST_PROBE_S


def test_a_used_up_transfer_limit_pauses_whatever_room_there_is() -> None:
    pause = paused(100)
    pause.probed(None, 10.0)
    assert pause.begin(TransferLimit("used up"), 100, started_s=10.0, now_s=11.0)
