from __future__ import annotations

import pytest

from daemon.commit.patience import (
    ENTRY_ENDS_S,
    JOB_ENDS_S,
    LONGEST_JOB_S,
    LOOKS,
    MOST_DOUBLINGS,
    Patience,
)
from mountfs.errors import Busy, Offline, Throttled


@pytest.fixture
def patience() -> Patience:
    return Patience(is_alone=True)


def test_a_larger_batch_may_run_for_longer(patience: Patience) -> None:
    assert patience.ends_in_s(1000) == JOB_ENDS_S + 1000 * ENTRY_ENDS_S


def test_a_job_may_run_for_twice_as_long_as_the_longest_one_took_lately(patience: Patience) -> None:
    patience.job_took(20.0)
    assert patience.ends_in_s(1) == 40.0


def test_a_slow_job_is_forgotten_little_by_little(patience: Patience) -> None:
    patience.job_took(20.0)
    patience.job_took(1.0)
    assert patience.ends_in_s(1) == 36.0


def test_no_job_is_thought_to_take_for_ever(patience: Patience) -> None:
    patience.job_took(10_000.0)
    assert patience.ends_in_s(1) == 2 * LONGEST_JOB_S


def test_launches_that_are_not_answered_double_it_up_to_a_bound(patience: Patience) -> None:
    usual_s = patience.ends_in_s(1)
    ends_s = []
    for _ in range(MOST_DOUBLINGS + 2):
        patience.unanswered()
        ends_s.append(patience.ends_in_s(1) / usual_s)
    assert ends_s == [2.0, 4.0, 8.0, 8.0, 8.0]


def test_an_answer_makes_it_usual_again(patience: Patience) -> None:
    usual_s = patience.ends_in_s(1)
    patience.unanswered()
    patience.answered()
    assert patience.ends_in_s(1) == usual_s


def test_looks_grow_apart_up_to_a_bound(patience: Patience) -> None:
    delays = [patience.look_delay_s(looks) for looks in (0, 1, 9, 2000)]
    assert delays == [LOOKS.first_s, 2 * LOOKS.first_s, LOOKS.longest_s, LOOKS.longest_s]


@pytest.mark.parametrize("outcome", [Busy("busy"), Throttled("slow down")])
def test_only_after_a_launch_without_an_answer_may_a_busy_service_be_busy_with_it(
    patience: Patience, outcome: Busy | Throttled
) -> None:
    assert not patience.is_behind_itself(outcome)
    patience.unanswered()
    assert patience.is_behind_itself(outcome)
    assert not patience.is_behind_itself(Offline("no route"))


def test_batches_side_by_side_need_no_patience() -> None:
    patience = Patience(is_alone=False)
    patience.unanswered()
    assert patience.ends_in_s(1000) == patience.look_delay_s(3) == 0.0
    assert not patience.is_behind_itself(Busy("busy"))
