from __future__ import annotations

from collections.abc import Sequence

import pytest

from daemon.commit.jobcost import FIRST_GUESS_S, GUESSED_ENTRY_S, JobCost
from daemon.commit.polling import poll_delay_s
from mountfs.model.order import Order
from mountfs.ports import Launch
from tests.doubles.world import World
from tests.unit.commit.scenarios import calls

# When a job is asked after


@pytest.mark.parametrize(("expected_s", "really_s", "most"), [(2.5, 2.5, 3), (0.3, 3.0, 14), (3.0, 0.3, 1)])
def test_the_end_of_a_job_is_known_soon_and_with_few_questions(
    expected_s: float, really_s: float, most: int
) -> None:
    at_s, questions = 0.0, 0
    while at_s < really_s:
        at_s += poll_delay_s(at_s, expected_s, None)
        questions += 1
    assert questions <= most
    assert at_s <= max(1.25 * really_s, expected_s)


def test_a_job_that_never_ends_is_asked_after_ever_more_rarely() -> None:
    assert poll_delay_s(600.0, 1.0, None) == 5.0


def test_no_question_comes_before_the_service_wants_it() -> None:
    assert poll_delay_s(0.0, 1.0, 17.0) == 17.0
    assert poll_delay_s(600.0, 1.0, 0.1) == 5.0


# What jobs cost


def test_before_any_job_its_cost_is_a_guess() -> None:
    cost = JobCost()
    assert cost.fixed_s == FIRST_GUESS_S
    assert cost.expected_s(1000) == FIRST_GUESS_S + 1000 * GUESSED_ENTRY_S


def test_the_fixed_part_is_learned_from_jobs_of_different_sizes() -> None:
    cost = JobCost()
    for entries in (1, 1000, 300, 700, 20):
        cost.took(entries, 1.5 + 0.0004 * entries)
    assert cost.fixed_s == pytest.approx(1.5, abs=0.02)
    assert cost.expected_s(500) == pytest.approx(1.7, abs=0.02)


def test_jobs_of_one_size_leave_what_an_entry_adds_to_the_guess() -> None:
    cost = JobCost()
    for _ in range(9):
        cost.took(100, 1.0)
    assert cost.expected_s(100) == pytest.approx(1.0)
    assert cost.fixed_s == pytest.approx(1.0 - 100 * GUESSED_ENTRY_S)


def test_a_service_that_has_become_faster_is_noticed() -> None:
    cost = JobCost()
    for entries in (1, 1000) * 5:
        cost.took(entries, 10.0 + 0.01 * entries)
    for entries in (1, 1000) * 10:
        cost.took(entries, 0.3 + 0.001 * entries)
    assert cost.fixed_s == pytest.approx(0.3, abs=0.2)


def test_noise_makes_no_job_cheaper_than_nothing() -> None:
    cost = JobCost()
    for entries, seconds in ((1000, 0.1), (1, 3.0), (1000, 0.1), (1, 0.01)):
        cost.took(entries, seconds)
    assert cost.fixed_s > 0.0
    assert cost.expected_s(1_000_000) > 0.0


def test_after_one_slow_job_the_end_of_the_next_ones_is_seen_soon_again() -> None:
    """One hiccup of 1.2 s does not have dozens of jobs polled late, while all others of the account wait."""
    cost = JobCost()
    cost.took(1, 0.3)
    cost.took(100, 1.5)
    late = []
    for _ in range(4):
        ran_s = at_s = 0.0
        while at_s < 1.1:
            ran_s, at_s = at_s, at_s + poll_delay_s(at_s, cost.expected_s(400), None)
        cost.took(400, at_s, ran_s)
        late.append(at_s / 1.1)
    assert max(late[2:]) <= 1.25


def test_a_slow_reply_to_one_launch_has_no_later_job_polled_late(batches: World) -> None:
    """The request waited for 7 s, and not the job: it is over with the first poll."""
    batches.account.job_polls = 1
    submit = batches.memory.submit

    def submit_slowly(orders: Sequence[Order]) -> Launch:
        launch = submit(orders)
        batches.advance(7.0)
        return launch

    batches.memory.submit = submit_slowly  # type: ignore[method-assign]
    batches.put("/a", b"1")
    batches.settle()
    batches.memory.submit = submit  # type: ignore[method-assign]
    batches.put("/b", b"2")
    batches.upload_all()
    wait_s = 0.0
    while calls(batches)["submit"] < 2:
        batches.advance(wait_s)
        wait_s = max(0.0, batches.core.committer.step(batches.clock.now_s()) - batches.clock.now_s())
    assert wait_s <= 1.0
